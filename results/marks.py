"""Which models of a table are worse than its best one.

Nobody knows which model is best: the highest value is the best partly by luck. So every pair counts. A model is worse
if some other model beats it in a paired test, and all pairs of the table share one error rate: with all models equal,
at most one table in twenty marks any of them.

The correction steps down (Holm 1979; Shaffer 1986). It multiplies the smallest p-value of all models by the number of
pairs. A model that is found worse drops out with its pairs, because it cannot be the best; the next p-value counts the
pairs that are left. Two models with one metric give the plain paired test, two models with several metrics give Holm's
correction. The error that is bounded is marking a model that is as good as the best.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..core.paired_tests import mcnemar_exact
from .pairing import permutation_p


@dataclass(frozen=True)
class Compared:
    """One metric of a table: the values by item of each model, None for a model without any.

    `names` order models whose results are the same, so that verdicts do not depend on the order of the rows. Only
    `rivals` show that another model is worse: a model that answered a few items does not.
    """

    names: Sequence[str]
    values: Sequence[Mapping[str, float] | None]
    rivals: Collection[int]
    higher: bool
    binary: bool
    clusters: Mapping[str, str] | None = None


@dataclass(frozen=True)
class Verdict:
    """The test of one model against the one that beats it most clearly; without a rival if none does.

    `p` is adjusted over the whole table.
    """

    p: float | None = None
    rival: int | None = None
    pairs: int = 0  # items that both have a value for


@dataclass(frozen=True)
class _Matrix:
    """Values as items × models, higher being better; NaN if a model has none."""

    values: NDArray[np.float64]
    documents: NDArray[np.int_] | None  # of each item, from 0

    def sums(self, differences: NDArray[np.float64]) -> NDArray[np.float64]:
        """Differences (items × models) summed by document; NaN counts as no difference."""
        filled = np.nan_to_num(differences, nan=0.0)
        if self.documents is None:
            return filled
        order = np.argsort(self.documents, kind="stable")
        starts = np.flatnonzero(np.diff(self.documents[order], prepend=-1))
        summed: NDArray[np.float64] = np.add.reduceat(filled[order], starts, axis=0)
        return summed


def verdicts(columns: Sequence[Compared]) -> tuple[list[dict[int, Verdict]], int]:
    """Return the verdict on each model that has a pair, by column and row, and how many pairs were tested in all.

    Columns with the same differences on every item, such as two equal metrics, count as one. Two models with equal
    values on every item are not tested, because nothing could show that one is worse.
    """
    matrices = [_matrix(column) for column in columns]
    same: dict[Any, int] = {}
    first = [same.setdefault(_key(column, matrix), at) for at, (column, matrix) in enumerate(zip(columns, matrices))]
    scans = {at: _scan(columns[at], matrices[at]) for at in sorted(same.values())}
    adjusted = _step_down(scans, columns)

    def verdict(at: int, row: int) -> Verdict:
        if row not in scans[at].beaten:
            return Verdict()
        _, rival, shared = scans[at].beaten[row]
        return Verdict(adjusted[at, row], rival, shared)

    found = [{row: verdict(at, row) for row in scans[at].paired} for at in first]
    return found, sum(int(scan.differ.sum()) for scan in scans.values()) // 2


def _matrix(column: Compared) -> _Matrix:
    items = sorted({item for values in column.values for item in values or ()})
    values = np.full((len(items), len(column.values)), np.nan)
    for row, found in enumerate(column.values):
        if found:
            values[:, row] = [found.get(item, np.nan) for item in items]
    if column.clusters is None:
        return _Matrix(values if column.higher else -values, None)
    numbers: dict[str, int] = {}
    documents = [numbers.setdefault(column.clusters.get(item, item), len(numbers)) for item in items]
    return _Matrix(values if column.higher else -values, np.array(documents, dtype=np.int_))


def _key(column: Compared, matrix: _Matrix) -> Any:
    """Return a key that columns share if the differences between models are equal on every item, up to their scale."""
    values = matrix.values
    if not values.size or np.isnan(values).all():
        return "empty", column.binary
    lowest = np.nanmin(np.where(np.isnan(values), np.inf, values), axis=1, keepdims=True)
    above = values - lowest
    scale = np.nanmax(above)
    shape = np.round(above / scale, 9) if scale > 0 else above
    return column.binary, values.shape, tuple(sorted(column.rivals)), (shape + 0.0).tobytes()


@dataclass(frozen=True)
class _Scan:
    """What the pairs of one column show."""

    paired: list[int]  # models that have an item in common with another
    differ: NDArray[np.bool_]  # models × models: pairs with unequal values, at least one of them a rival
    beaten: dict[int, tuple[float, int, int]]  # two-sided p of the clearest defeat, the rival, shared items; by row


def _scan(column: Compared, matrix: _Matrix) -> _Scan:
    values = matrix.values
    rows = range(values.shape[1])
    rival = np.isin(np.arange(len(rows)), list(column.rivals))
    paired, differ = list[int](), np.zeros((len(rows), len(rows)), dtype=bool)
    defeats = list[tuple[int, int, int, NDArray[np.float64]]]()
    for row in rows:
        better = values - values[:, [row]]
        shared = (~np.isnan(better)).sum(axis=0)
        sums = matrix.sums(better)
        total, squares, moved = sums.sum(axis=0), (sums**2).sum(axis=0), (sums != 0).sum(axis=0)
        allowed = rival | rival[row]
        allowed[row] = False
        if (allowed & (shared > 0)).any():
            paired.append(row)
        differ[row] = allowed & (moved > 0)
        scores = np.where(squares > 0, total / np.sqrt(np.where(squares > 0, squares, 1.0)), 0.0)
        beating = [at for at in column.rivals if at != row and scores[at] > 1e-9]
        if beating:
            # Of equally clear rivals, the one with the most differing units has the smallest p.
            clearest = min(beating, key=lambda at: (-scores[at], -moved[at], column.names[at]))
            defeats.append((row, clearest, int(shared[clearest]), sums[:, clearest]))
    if column.binary and matrix.documents is None:
        p_values = [mcnemar_exact(int((sums > 0).sum()), int((sums < 0).sum())) for *_, sums in defeats]
    else:
        p_values = permutation_p([sums for *_, sums in defeats])
    beaten = {row: (p, by, shared) for (row, by, shared, _), p in zip(defeats, p_values, strict=True)}
    return _Scan(paired, differ, beaten)


def _step_down(scans: Mapping[int, _Scan], columns: Sequence[Compared]) -> dict[tuple[int, int], float]:
    """Return adjusted p-values by column and row."""
    left = {at: scan.differ.copy() for at, scan in scans.items()}
    remaining = sum(int(table.sum()) for table in left.values()) // 2
    adjusted, highest = dict[tuple[int, int], float](), 0.0
    ordered = sorted(
        (p, at, columns[at].names[row], row) for at, scan in scans.items() for row, (p, *_) in scan.beaten.items()
    )
    for p, at, _, row in ordered:
        dropped = int(left[at][row].sum())
        if not dropped:  # every rival has dropped out: one model of a column is always left
            adjusted[at, row] = 1.0
            continue
        highest = max(highest, min(1.0, remaining * p))
        adjusted[at, row] = highest
        remaining -= dropped
        left[at][row] = False
        left[at][:, row] = False
    return adjusted
