"""The leaderboard: comparable runs are on one board, and each board says which differences are significant."""

from __future__ import annotations

import dataclasses
import itertools
from collections.abc import Iterable, Sequence
from typing import Any

from ..core.errors import MedbenchError
from ..core.stats import few_documents
from ..core.types import Figure, Measurement, Metric
from .board import Board, BoardRow, Cell, Column, Leaderboard
from .descriptions import (
    clean_note,
    distinguishing_fields,
    items_of,
    leaked_in,
    missing_latency,
    notes_on,
    setup_of,
    short_text,
    title,
)
from .identity import differing
from .manifest import UNFINISHED, Manifest
from .one_sided import CHOICE
from .scoring import JUDGING, Load, RunScores, load_metric, load_stored, run_scores
from .statuses import mark
from .store import StoredRun


def build(runs: Iterable[StoredRun], metrics: Sequence[str] = (), load: Load | None = None) -> Leaderboard:
    """Return the leaderboard of `runs`. Missing scores are computed and stored. `metrics`: only these; by default, each
    run's own.

    A broken run or metric is named in `problems` and does not affect the others. `load`: by default `load_metric` for
    `metrics` and `load_stored` for what runs list, which runs no code that is not installed.
    """
    load = _once(load or (load_metric if metrics else load_stored))
    sheets: dict[str, list[RunScores]] = {}
    problems: dict[str, MedbenchError] = {}
    groups: dict[str, list[StoredRun]] = {}
    for run in runs:
        groups.setdefault(run.manifest.comparable.key, []).append(run)
    for comparable, group in groups.items():
        leaked = set(leaked_in(group))
        for run in group:
            try:
                made = run_scores(run, metrics or run.manifest.reported_metrics, load, leaked)
            except MedbenchError as error:
                problems.setdefault(str(error), error)
                continue
            problems.update((str(error), error) for error in made.problems if str(error) not in problems)
            sheets.setdefault(comparable, []).append(made)
    boards = [_board(made, groups[comparable], load) for comparable, made in sheets.items()]
    titled = _told_apart(boards, [made[0].run.manifest for made in sheets.values()])
    shown = [made.run for made in itertools.chain.from_iterable(sheets.values())]
    return Leaderboard(
        tuple(sorted(titled, key=lambda board: (board.sample, board.title))),
        tuple(problems.values()),
        notes_on(shown),
    )


def _board(sheets: Sequence[RunScores], group: Sequence[StoredRun], load: Load) -> Board:
    """Return the board of a group of comparable runs. Those in `sheets` could be read."""
    manifest = sheets[0].run.manifest
    columns = _columns(sheets, load)
    table = [[_cell(made, column) for column in columns] for made in sheets]
    leaked = leaked_in(group)
    tests = mark(sheets, columns, table, frozenset(leaked))
    told_apart = distinguishing_fields([made.run for made in sheets])
    rows = [
        BoardRow(
            run_id=made.run.manifest.run_id,
            path=str(made.run.path),
            setup=setup_of(made.run.manifest),
            answered=made.answered,
            truncated=made.truncated,
            asked=made.run.manifest.answers,
            cells=tuple(cells),
            apart=told,
            unchecked=made.run.manifest.model.unchecked,
            changes=tuple(made.run.changes),
            sealed=made.run.manifest.sealed,
            leaked=len(leaked_in([made.run])),
            missing_latency=missing_latency(made.run),
            one_sided=made.results[CHOICE].one_sided if CHOICE in made.results else "",
        )
        for made, cells, told in zip(sheets, table, told_apart, strict=True)
    ]
    return Board(
        title=title(manifest),
        benchmark=manifest.comparable.benchmark,
        version=manifest.comparable.version,
        variant=manifest.comparable.variant,
        sample=bool(manifest.benchmark.sample),
        items=items_of(manifest),
        asked=len(manifest.item_ids),
        method=manifest.method,
        shots=manifest.comparable.shots,
        columns=tuple(columns),
        rows=tuple(sorted(rows, key=lambda row: (_rank(columns, row), row.label, row.run_id))),
        tests=tests,
        leaked=leaked,
        clean=clean_note(group, len(leaked), len(manifest.item_ids)),
        comparable=manifest.comparable,
        few=few_documents(document for made in sheets for document in (made.clusters or {}).values()),
    )


def _columns(sheets: Sequence[RunScores], load: Load) -> list[Column]:
    """Return a column per figure that any run has, metric by metric, measurements last.

    A figure without a value in any run (accuracy of open answers) has no column, unless it is a judge's.
    """
    metrics = list(dict.fromkeys(name for made in sheets for name in made.results))
    measured = {name for made in sheets for name, result in made.results.items() if result.measured}
    columns: dict[tuple[str, str], Column] = {}
    for metric in sorted(metrics, key=lambda name: name in measured):
        plugin = load(metric)
        results = [made.results[metric] for made in sheets if metric in made.results]
        told = {
            f.name for result in results for f in result.figures if f.value is not None or metric.startswith(JUDGING)
        }
        for result in results:
            for index, figure in enumerate(result.figures):
                if figure.name not in told:
                    continue
                column = Column(
                    metric=metric,
                    name=figure.name,
                    unit=figure.unit,
                    better=figure.better,
                    headline=figure.headline,
                    tested=index == 0 and result.paired,
                    scale=scale(plugin, figure),
                )
                columns.setdefault((metric, figure.name), column)
                if index == 0 and result.clean:
                    clean = dataclasses.replace(columns[metric, figure.name], name=result.clean.name, clean=True)
                    columns.setdefault((metric, clean.name), clean)
    return list(columns.values())


def scale(metric: Metric | Measurement, figure: Figure) -> str:
    """Return what a figure's values are: its own unit, or its metric's ("share", "0..1", "1 to 5"); "" if unknown."""
    if figure.unit or not figure.better:
        return figure.unit
    if figure.name.partition("[")[0] == metric.name or figure.name.startswith(f"{metric.name}["):
        return metric.unit or ("share" if metric.binary else "")
    return "share" if figure.name.endswith("_rate") else "0..1"


def _cell(made: RunScores, column: Column) -> Cell:
    result = made.results.get(column.metric)
    if result is None:
        return Cell(None)
    of_column = (f for f in result.figures if f.name == column.name)
    return Cell(result.clean if column.clean else next(of_column, None), remark=result.remark)


def _rank(columns: Sequence[Column], row: BoardRow) -> tuple[int, float]:
    """Return the sort key of a row: by the first column, rows without a value last."""
    value = row.cells[0].value if columns else None
    if value is None:
        return 1, 0.0
    return 0, value if columns[0].better == "lower" else -value


def _told_apart(boards: Sequence[Board], manifests: Sequence[Manifest]) -> list[Board]:
    """Return the boards; those with equal titles get the fields that differ added to the title."""
    named = []
    for board, manifest in zip(boards, manifests, strict=True):
        extra: dict[str, str] = {}
        for other, theirs in zip(boards, manifests, strict=True):
            if other is not board and other.title == board.title:
                for name, own, _ in differing(manifest.comparable.as_json(), theirs.comparable.as_json()):
                    extra[name] = f"{name.removesuffix('_hash')} {short_text(own)}"
        named.append(dataclasses.replace(board, title=" · ".join([board.title, *extra.values()])))
    return named


def _once(load: Load) -> Load:
    """Return a loader that loads each metric once, so that a broken one is one error however many runs name it."""
    known: dict[str, Any] = {}

    def cached(name: str) -> Any:
        if name not in known:
            try:
                # What is reported of every run is ours, whatever metrics a caller knows.
                known[name] = load_stored(name) if name == UNFINISHED else load(name)
            except MedbenchError as error:
                known[name] = error
        if isinstance(known[name], MedbenchError):
            raise known[name]
        return known[name]

    return cached
