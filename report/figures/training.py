"""Before and after training: an adapter against its base model, in pairs of answers to the same items."""

from __future__ import annotations

from collections.abc import Sequence

from ...core.errors import UsageError
from ...results.compare import compare
from ...results.comparison import ComparedFigure, Match
from ...results.descriptions import setup_of
from ...results.export import number
from ...results.store import StoredRun
from ...results.summary import SAFETY
from . import forest
from .request import FigureRequest
from .style import PaperFigure, blank

TRAIN = "Train one, run both on the same items: medbench run -m NAME,NAME@TAG -b BENCHMARK"


def draw(request: FigureRequest) -> PaperFigure:
    """Draw the figure: a panel per adapter, a row per benchmark and tested figure."""
    bases, adapters = _sides(request.shown)
    panels, tests, notes = [], 0, [*request.samples_left_out]
    for adapter, runs in adapters.items():
        base = adapter.partition("@")[0]
        if base not in bases:
            notes.append(f"{adapter}: no run here is of its base {base}.")
            continue
        try:
            found = compare(runs, bases[base])
        except UsageError as error:
            notes.append(f"{adapter}: {error}")
            continue
        rows = [_row(match, line) for match in found.matches for line in _shown(match)]
        tests = max(tests, found.tests)
        notes += [f"{adapter}: {problem}" for problem in found.problems]
        notes += [f"{adapter}: {text}" for text in found.left_out]
        if rows:
            panels.append((adapter, rows))
    if not panels:
        raise UsageError("no adapter here shares items with its base model.", "\n".join([*notes, TRAIN]))
    heights = [forest.height(rows, title) for title, rows in panels]
    drawn = blank(request.inches(), sum(heights))
    grid = drawn.subplots(len(panels), 1, squeeze=False, sharex=True, height_ratios=heights)
    for axes, (title, rows) in zip(grid.flat, panels, strict=True):
        axes.axvline(0, color="#57606a", linewidth=0.7)
        forest.panel(axes, rows, title, "difference, after – before", share=False)
        axes.tick_params(labelbottom=True)
    caption = (
        "Scores of the adapter minus those of its base model, on the items that both answered, with 95% intervals; at "
        "the right before → after and the p-value (exact McNemar test or paired permutation test, Holm-corrected over "
        f"{'one test' if tests == 1 else f'all {tests} tests'} of the comparison). Filled marks: p < 0.05. ↓: less is "
        "better."
    )
    return drawn.describe(caption, tuple(dict.fromkeys([*notes])))


def _sides(runs: Sequence[StoredRun]) -> tuple[dict[str, list[StoredRun]], dict[str, list[StoredRun]]]:
    """Return the runs of base models, and those of adapters, by name: "NAME@TAG"."""
    bases: dict[str, list[StoredRun]] = {}
    adapters: dict[str, list[StoredRun]] = {}
    for run in runs:
        setup = setup_of(run.manifest)
        if setup.adapter or "@" in setup.model:
            name = setup.model if "@" in setup.model else f"{setup.model}@{setup.adapter}"
            adapters.setdefault(name, []).append(run)
        else:
            bases.setdefault(setup.model, []).append(run)
    return bases, adapters


def _shown(match: Match) -> list[ComparedFigure]:
    """Return the first tested figure of a benchmark, that without leaked items, and safety."""
    tested = [line for line in match.lines if line.difference is not None]
    main = next((line for line in tested if not line.clean and line.name != SAFETY), None)
    shown = [] if main is None else [line for line in tested if line is main or (line.clean and _of(line, main))]
    return [*shown, *(line for line in tested if line.name == SAFETY)]


def _of(line: ComparedFigure, main: ComparedFigure) -> bool:
    return line.name.startswith(main.name)


def _row(match: Match, line: ComparedFigure) -> forest.Row:
    benchmark = match.title.partition(" · ")[0].partition(" (")[0]
    name = f"{benchmark} {line.name}{' ↓' if line.better == 'lower' else ''}, n\u00a0{line.n}"
    p = "" if line.p_holm is None else "  p < 0.001" if line.p_holm < 0.001 else f"  p {line.p_holm:.3f}"
    values = f"{number(line.b, line.unit)} → {number(line.a, line.unit)}"
    return forest.Row(name, values + p, line.difference, line.low, line.high, hollow=not line.favours)
