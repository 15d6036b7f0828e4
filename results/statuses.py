"""Which figures of a board are best, worse than another, or tied."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Collection, Mapping, Sequence
from statistics import NormalDist

from ..core.types import Figure
from .board import Cell, Column
from .marks import Compared, verdicts
from .pairing import ALPHA
from .scoring import RunScores


def mark(
    sheets: Sequence[RunScores], columns: Sequence[Column], table: list[list[Cell]], leaked: Collection[str]
) -> int:
    """Set the status of every cell in `table` (rows × columns). Return the number of pairs that were tested.

    The best figure of a column is marked only if another one differs from it: by the test; if the
    column is not tested, by intervals (`intervals_apart`); if no figure has an interval (speed is measured once), by
    its value, unless one of them rests on a single item or request.
    """
    known = [_known(column, at, table) for at, column in enumerate(columns)]
    # An unfinished run may look best by luck, so it is no evidence against a finished one.
    finished = {row for row, made in enumerate(sheets) if made.answered == made.run.manifest.answers}
    rivals = [finished.intersection(values) or set(values) for values in known]
    tested = [at for at, column in enumerate(columns) if column.tested and len(known[at]) > 1]
    found, pairs = verdicts([_tested(sheets, columns[at], known[at], rivals[at], leaked) for at in tested])
    worse: dict[int, set[int]] = {}
    for at, by_row in zip(tested, found, strict=True):
        worse[at] = {row for row, verdict in by_row.items() if verdict.p is not None and verdict.p < ALPHA}
        for row, verdict in by_row.items():
            table[row][at] = dataclasses.replace(
                table[row][at],
                status="worse" if row in worse[at] else "tied",
                p=verdict.p,
                pairs=verdict.pairs,
                against="" if verdict.rival is None else sheets[verdict.rival].run.manifest.run_id,
            )
    for at, column in enumerate(columns):
        level = rivals[at] - worse.get(at, set())
        if not level or (at in worse and not worse[at]):
            continue
        sign = 1 if column.better == "higher" else -1
        highest = max(sign * known[at][row] for row in level)
        best = [row for row in level if sign * known[at][row] == highest]
        figures = [figure for row in known[at] if (figure := table[row][at].figure)]
        if all(figure.low is None for figure in figures):
            differs = len(best) < len(figures) and all(figure.n > 1 for figure in figures)
        else:
            differs = any(intervals_apart(table[best[0]][at].figure, figure, len(figures)) for figure in figures)
        if at in worse or differs:
            for row in best:
                table[row][at] = dataclasses.replace(table[row][at], status="best")
    return pairs


def intervals_apart(one: Figure | None, other: Figure | None, models: int) -> bool:
    """Whether two figures of a column of so many models differ, by their intervals. False if one has no interval.

    The intervals must not overlap. Among many models some two are that far apart by chance alone, so the gap must
    also exceed the margin of a difference (Zou and Donner 2008), widened for all pairs of models (Bonferroni).
    """
    if one is None or other is None or one.value is None or other.value is None or one.value == other.value:
        return False
    if one.low is None or one.high is None or other.low is None or other.high is None:
        return False
    below, above = sorted((one, other), key=lambda figure: figure.value or 0.0)
    assert below.value is not None and below.high is not None and above.value is not None and above.low is not None
    pairs = models * (models - 1) / 2
    wider = NormalDist().inv_cdf(1 - ALPHA / 2 / pairs) / NormalDist().inv_cdf(1 - ALPHA / 2)
    margin = math.hypot(above.value - above.low, below.high - below.value) * wider
    return below.high < above.low and above.value - below.value > margin


def _known(column: Column, at: int, table: Sequence[Sequence[Cell]]) -> dict[int, float]:
    """Return the values of one column by row; none if a column's values are neither good nor bad."""
    if not column.better:
        return {}
    return {row: value for row, cells in enumerate(table) if (value := cells[at].value) is not None}


def _tested(
    sheets: Sequence[RunScores],
    column: Column,
    known: Collection[int],
    rivals: Collection[int],
    leaked: Collection[str],
) -> Compared:
    def values(row: int) -> Mapping[str, float]:
        found = sheets[row].results[column.metric].values
        return {item: value for item, value in found.items() if item not in leaked} if column.clean else found

    return Compared(
        names=[f"{made.run.manifest.run_id} {made.run.path}" for made in sheets],
        values=[values(row) if row in known else None for row in range(len(sheets))],
        rivals=rivals,
        higher=column.better == "higher",
        binary=any(sheets[row].results[column.metric].binary for row in known),
        clusters=next((made.clusters for made in sheets if made.clusters), None),
    )
