"""Quality against memory, latency and parameters: the data of the page of trade-offs."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ..core.types import Figure
from ..results.board import Board, Cell
from ..results.cells import GB, cell_text
from ..results.descriptions import Setup
from ..results.manifest import Manifest
from ..results.summary import Heading, ModelRow, Summary
from ..results.summary_export import summary_cells, summary_headings

COSTS = ("latency", "memory")  # kinds of columns that one wants low, and may limit
PARAMETERS = {"name": "parameters", "unit": "M", "kind": "parameters"}
UNITS = {"latency": "s", "memory": "GB"}

Parameters = Mapping[tuple[str, str], int | None]  # by a row's model and setup


@dataclass(frozen=True)
class Doubt:
    """Why a model's figure for one benchmark says little."""

    benchmark: str
    setup: Setup  # of the model
    why: str = ""  # a sentence
    chance: float | None = None  # what guessing gets right, if the figure is not shown to be above it


def tradeoffs(found: Summary, parameters: Parameters, doubts: Sequence[Doubt] = ()) -> dict[str, Any] | None:
    """Return the models of a summary with all their qualities and costs; None if there is nothing to trade off.

    Costs are in the unit that each names: GB, seconds, millions of parameters. A quality that says little has the
    doubts about it: those about its benchmark, or, if it is a mean, about any.
    """
    headings = summary_headings(found)[2:]
    having = [sum(_figure(line.cells[at]) is not None for line in found.lines) for at in range(len(found.headings))]
    qualities = [
        at for at, heading in enumerate(found.headings) if heading.kind not in COSTS and heading.better and having[at]
    ]
    measured = [at for at, heading in enumerate(found.headings) if heading.kind in COSTS]
    counts = [_parameters(line, parameters) for line in found.lines]
    if not qualities or not (measured or any(counts)) or len(found.lines) < 2:
        return None
    # The page opens on the first: the mean, if more than half of the models have one, else what most models have.
    qualities.sort(
        key=lambda at: (found.headings[at].kind != "mean" or 2 * having[at] <= len(found.lines), -having[at])
    )
    # A mean is over the benchmarks here: doubts about samples do not concern that of the real ones.
    here = {heading.benchmark for heading in found.headings if heading.kind == "benchmark"}
    doubts = [doubt for doubt in doubts if doubt.benchmark in here]
    costs: list[dict[str, str]] = [
        {"name": headings[at], "unit": UNITS[found.headings[at].kind], "kind": found.headings[at].kind}
        for at in measured
    ]
    return {
        "name": "Samples" if found.sample else "Benchmarks",
        "sample": found.sample,
        "qualities": [
            {
                "name": headings[at],
                "better": found.headings[at].better,
                "kind": found.headings[at].kind,
                "about": _about(found, found.headings[at]),
            }
            for at in qualities
        ],
        "costs": [*costs, *([PARAMETERS] if any(counts) else [])],
        "models": [
            {
                "name": line.label,
                "setup": summary_cells(line)[1],
                "qualities": [_quality(line, at, found.headings[at], doubts) for at in qualities],
                "costs": [
                    *(_cost(line.cells[at]) for at in measured),
                    *([_count(count)] if any(counts) else []),
                ],
            }
            for line, count in zip(found.lines, counts, strict=True)
        ],
    }


def left_out(found: Summary, parameters: Parameters) -> str:
    """Return which models of a summary without trade-offs are missing, and why; "" if there are trade-offs."""
    if tradeoffs(found, parameters) is not None:
        return ""
    known = any(_parameters(line, parameters) for line in found.lines)
    known = known or any(heading.kind in COSTS for heading in found.headings)
    scored = any(_figure(cell) is not None for line in found.lines for cell in line.cells)
    why = "they have no score" if not scored else "none of their costs is known" if not known else ""
    kind = "samples" if found.sample else "benchmarks"
    why = why or f"no other model was run on the {kind}"
    names = ", ".join(dict.fromkeys(line.label for line in found.lines))
    return f"Not on this page ({kind}): {names}, because {why}."


def _about(found: Summary, heading: Heading) -> str:
    """Return what a quality is, with its items: "accuracy of medqa, 1,273 items"."""
    if heading.kind == "benchmark":
        return heading.shows
    shown = "; ".join(each.shows for each in found.headings if each.kind == "benchmark")
    return f"the mean of {shown}" if heading.kind == "mean" else ""


def parameters_of(boards: Sequence[Board], manifests: Mapping[str, Manifest]) -> Parameters:
    """Return the number of parameters of each model, as its engine counted them. `manifests`: by the path of a run."""
    found: dict[tuple[str, str], int | None] = {}
    for board in boards:
        for row in board.rows:
            count = manifests[row.path].engine.get("parameters")
            if isinstance(count, int) and count > 0:
                key = row.setup.model, _without_chat(row.setup)
                found[key] = count if found.get(key, count) == count else None
    return found


def _parameters(line: ModelRow, parameters: Parameters) -> int | None:
    """Return how many parameters the model of a summary line has."""
    return parameters.get((line.model, line.setup))


def _without_chat(setup: Setup) -> str:
    """Return a setup as the lines of a summary have it, which take all ways of asking together."""
    return dataclasses.replace(setup, chat="").text


def _figure(cell: Cell | None) -> Figure | None:
    """Return the figure of a cell; None if it has no value."""
    return cell.figure if cell and cell.figure and cell.figure.value is not None else None


def _quality(line: ModelRow, at: int, heading: Heading, doubts: Sequence[Doubt]) -> dict[str, Any] | None:
    cell = line.cells[at]
    figure = _figure(cell)
    if cell is None or figure is None:
        return None
    text = summary_cells(line)[at + 2]
    found: dict[str, Any] = {
        "value": figure.value,
        "low": figure.low,
        "high": figure.high,
        "text": text,
        "status": cell.status,
    }
    about = [doubt for doubt in doubts if _is_about(doubt, line, heading)]
    why = [doubt.why for doubt in about if doubt.why]
    if guessed := [f"{doubt.benchmark} ({doubt.chance:.3f})" for doubt in about if doubt.chance is not None]:
        why.append(f"its accuracy is not shown to be above chance on {', '.join(guessed)}.")
    if why:
        found["doubts"] = why
    return found


def _is_about(doubt: Doubt, line: ModelRow, heading: Heading) -> bool:
    if (doubt.setup.model, _without_chat(doubt.setup)) != (line.model, line.setup):
        return False
    return heading.kind == "mean" or (heading.kind == "benchmark" and heading.name.split(" ")[0] == doubt.benchmark)


def _cost(cell: Cell | None) -> dict[str, Any] | None:
    if cell is None or _figure(cell) is None:
        return None
    shown = cell_text(cell)
    return {"value": shown.amount, "text": shown.figure}


def _count(parameters: int | None) -> dict[str, Any] | None:
    if parameters is None:
        return None
    text = f"{parameters / 1e9:.2f} B" if parameters >= GB else f"{parameters / 1e6:.0f} M"
    return {"value": parameters / 1e6, "text": text}
