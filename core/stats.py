"""Intervals and paired tests. Every interval is 95 %; every random draw is fixed by its seed.

`clusters` names the document of each value, in order: values of one document are not independent, so documents are
resampled (or flipped) whole. A document counts with as many values as it has, so the mean stays the mean over values.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from .types import Record

Z = 1.959963984540054  # 97.5 % point of the standard normal distribution
TAILS = (2.5, 97.5)
UNKNOWN = (-math.inf, math.inf)  # the interval that one unit allows
CHUNK = 1 << 21  # values drawn at once: about 16 MiB as float64


def wilson(successes: int, n: int) -> tuple[float, float]:
    """Score interval of a proportion (Wilson 1927). Raises ValueError unless 0 <= successes <= n and n >= 1."""
    if n < 1 or not 0 <= successes <= n:
        raise ValueError(f"not a proportion: {successes} of {n}")
    share = successes / n
    centre = share + Z**2 / (2 * n)
    half = Z * math.sqrt(share * (1 - share) / n + Z**2 / (4 * n**2))
    scale = 1 + Z**2 / n
    # At the ends the bound is exactly 0 or 1; rounding would leave 1e-17 beside it.
    low = 0.0 if successes == 0 else (centre - half) / scale
    high = 1.0 if successes == n else (centre + half) / scale
    return low, high


def bootstrap(
    statistic: Callable[[NDArray[np.int_]], float],
    n: int,
    clusters: Sequence[str] | None = None,
    seed: int = 0,
    resamples: int = 2000,
) -> tuple[float, float]:
    """Percentile bootstrap (Efron 1979) of any statistic of `n` items.

    `statistic` is given resampled item indices, in 0..n-1 with repeats: `n` of them, or with clusters the items of as
    many documents as there are. With fewer than two units to resample the interval is UNKNOWN.
    """
    ids = np.arange(n) if clusters is None else _ids(n, clusters)
    by_unit = np.argsort(ids, kind="stable")  # items, those of one document side by side
    sizes = np.bincount(ids)
    starts = np.cumsum(sizes) - sizes
    if len(sizes) < 2:
        return UNKNOWN
    values = []
    for rows in _draws(len(sizes), seed, resamples):
        for drawn in rows:
            if clusters is None:
                values.append(statistic(drawn))
                continue
            taken = sizes[drawn]
            offsets = starts[drawn] - (np.cumsum(taken) - taken)
            values.append(statistic(by_unit[np.repeat(offsets, taken) + np.arange(taken.sum())]))
    return percentiles(values)


def bootstrap_mean(
    values: ArrayLike, clusters: Sequence[str] | None = None, seed: int = 0, resamples: int = 2000
) -> tuple[float, float]:
    """Percentile bootstrap of a mean: as `bootstrap` with the mean, from the same resamples, but vectorised.

    Raises ValueError where a value is not finite; UNKNOWN with fewer than two units to resample.
    """
    sums, sizes = _totals(values, clusters)
    if len(sums) < 2:
        return UNKNOWN
    means = [sums[drawn].sum(axis=1) / sizes[drawn].sum(axis=1) for drawn in _draws(len(sums), seed, resamples)]
    return percentiles(np.concatenate(means))


def bootstrap_counts(
    cells: ArrayLike, n_cells: int, clusters: Sequence[str] | None = None, seed: int = 0, resamples: int = 2000
) -> NDArray[np.int_]:
    """How often each cell 0..n_cells-1 occurs in each resample of items that each lie in one cell. Resamples × cells.

    All that a statistic of a table of counts (F1, for one) needs, at a thousandth of the cost of drawing items. No
    rows where there are fewer than two units to resample.
    """
    cell = np.asarray(cells, dtype=np.int_)
    n = len(cell)
    random = np.random.default_rng(seed)
    if clusters is None:
        if n < 2:
            return np.empty((0, n_cells), dtype=np.int_)
        return random.multinomial(n, np.bincount(cell, minlength=n_cells) / n, size=resamples)
    ids = _ids(n, clusters)
    units = len(set(clusters))
    table = np.zeros((units, n_cells), dtype=np.int_)
    np.add.at(table, (ids, cell), 1)
    rows = [np.bincount(drawn, minlength=units) @ table for some in _draws(units, seed, resamples) for drawn in some]
    return np.array(rows if units > 1 else np.empty((0, n_cells)), dtype=np.int_)


def percentiles(values: ArrayLike) -> tuple[float, float]:
    """The 2.5 % and 97.5 % points of a statistic's values over resamples; UNKNOWN where there are none."""
    array = np.asarray(values, dtype=np.float64)
    if not len(array):
        return UNKNOWN
    low, high = np.percentile(array, TAILS)
    return float(low), float(high)


def paired_bootstrap(
    a: ArrayLike, b: ArrayLike, clusters: Sequence[str] | None = None, seed: int = 0, resamples: int = 2000
) -> tuple[float, float]:
    """Interval of mean(a) - mean(b), where a[i] and b[i] are two models' values on one item."""
    return bootstrap_mean(_differences(a, b), clusters, seed, resamples)


def mcnemar_exact(only_a: int, only_b: int) -> float:
    """Two-sided exact p-value of McNemar's test (1947): `only_a` items that only A has right, `only_b` only B.

    Under the null hypothesis each discordant item falls to either side like a fair coin. Whole numbers throughout, so
    the only rounding is the last division.
    """
    if only_a < 0 or only_b < 0:
        raise ValueError(f"counts cannot be negative: {only_a}, {only_b}")
    n = only_a + only_b
    ways = tail = 1
    for k in range(min(only_a, only_b)):
        ways = ways * (n - k) // (k + 1)
        tail += ways
    return min(1.0, 2 * tail / (1 << n))


def paired_permutation(
    differences: ArrayLike, clusters: Sequence[str] | None = None, seed: int = 0, permutations: int = 10000
) -> float:
    """Two-sided p-value of the paired permutation test of mean difference 0 (Fisher 1935; Pitman 1937).

    Every sign pattern is enumerated where there are no more than `permutations` of them; otherwise k of m random
    patterns as extreme as the observed one give (k + 1) / (m + 1), which is never 0 (Phipson & Smyth 2010).
    """
    sums, _ = _totals(differences, clusters)
    sums = sums[sums != 0]  # a unit without a difference changes nothing whichever way it is turned
    exact = len(sums) <= math.log2(permutations)
    # Patterns that tie with the observed one may differ from it by rounding.
    threshold = abs(sums.sum()) - 1e-10 * np.abs(sums).sum()
    extreme = total = 0
    for kept in _all_patterns(len(sums)) if exact else _random_patterns(len(sums), seed, permutations):
        turned = 2 * (kept @ sums) - sums.sum()
        extreme += int((np.abs(turned) >= threshold).sum())
        total += len(turned)
    return extreme / total if exact else (extreme + 1) / (total + 1)


def holm(p_values: Sequence[float]) -> list[float]:
    """p-values adjusted for being shown together (Holm 1979), in the order given."""
    if any(not 0 <= p <= 1 for p in p_values):
        raise ValueError(f"not all p-values lie in 0..1: {list(p_values)}")
    adjusted = [0.0] * len(p_values)
    highest = 0.0
    for rank, index in enumerate(sorted(range(len(p_values)), key=lambda i: p_values[i])):
        highest = max(highest, min(1.0, (len(p_values) - rank) * p_values[index]))
        adjusted[index] = highest
    return adjusted


def clusters_of(records: Sequence[Record]) -> list[str] | None:
    """The document of each record, by `item.meta["document"]`; None where no two records share one.

    A record that names no document stands for itself.
    """
    named = [
        f"document {record.item.meta['document']}" if record.item.meta.get("document") else f"item {record.item.id}"
        for record in records
    ]
    return named if len(set(named)) < len(named) else None


def _differences(a: ArrayLike, b: ArrayLike) -> NDArray[Any]:
    left, right = np.asarray(a, dtype=np.float64), np.asarray(b, dtype=np.float64)
    if left.shape != right.shape:
        raise ValueError(f"not pairs: {left.shape} against {right.shape}")
    return np.subtract(left, right)


def _ids(n: int, clusters: Sequence[str]) -> NDArray[np.int_]:
    if len(clusters) != n:
        raise ValueError(f"{len(clusters)} clusters for {n} values")
    numbers: dict[str, int] = {}
    return np.array([numbers.setdefault(name, len(numbers)) for name in clusters], dtype=np.int_)


def _totals(values: ArrayLike, clusters: Sequence[str] | None) -> tuple[NDArray[Any], NDArray[Any]]:
    """Sum and number of the values of each unit; a unit is a cluster or, without clusters, one value."""
    array = np.asarray(values, dtype=np.float64)
    if not np.isfinite(array).all():
        raise ValueError(f"value {int(np.argmin(np.isfinite(array)))} is not finite")
    if clusters is None:
        return array, np.ones(len(array))
    ids = _ids(len(array), clusters)
    return np.bincount(ids, weights=array), np.bincount(ids)


def _draws(units: int, seed: int, resamples: int) -> Iterator[NDArray[np.int_]]:
    """`resamples` rows of `units` indices drawn with replacement, a few rows at a time. Rows × units."""
    random = np.random.default_rng(seed)
    rows = max(1, CHUNK // units)
    for start in range(0, resamples, rows):
        yield random.integers(0, units, size=(min(rows, resamples - start), units))


def _all_patterns(units: int) -> Iterator[NDArray[np.float64]]:
    """Every way to keep (1) or turn (0) the sign of each unit. Patterns × units."""
    numbers = np.arange(2**units)[:, None]
    yield ((numbers >> np.arange(units)) & 1).astype(np.float64)


def _random_patterns(units: int, seed: int, permutations: int) -> Iterator[NDArray[np.float64]]:
    """As `_all_patterns`, but `permutations` random ones, a few rows at a time."""
    random = np.random.default_rng(seed)
    rows = max(1, CHUNK // units)
    for start in range(0, permutations, rows):
        wanted = min(rows, permutations - start)
        drawn = np.frombuffer(random.bytes(wanted * ((units + 7) // 8)), dtype=np.uint8).reshape(wanted, -1)
        yield np.unpackbits(drawn, axis=1, count=units).astype(np.float64)
