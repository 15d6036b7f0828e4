"""Confidence intervals of proportions and means. Every interval is 95%; every random draw is fixed by its seed.

`clusters` gives the document of each value, in order. Values from one document are not independent, so documents are
resampled whole. A document has the weight of its number of values, so the mean is still over values.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from .types import Record

Z = 1.959963984540054  # 97.5% point of the standard normal distribution
TAILS = (2.5, 97.5)
UNKNOWN = (-math.inf, math.inf)  # the interval from a single unit
CHUNK = 1 << 21  # values drawn at once: about 16 MiB as float64
FEW = 20  # documents; with fewer, resamples vary too little


def wilson(successes: int, n: int) -> tuple[float, float]:
    """Return the Wilson score interval (1927) of a proportion. Raises ValueError unless 0 <= successes <= n >= 1."""
    if n < 1 or not 0 <= successes <= n:
        raise ValueError(f"not a proportion: {successes} of {n}")
    share = successes / n
    centre = share + Z**2 / (2 * n)
    half = Z * math.sqrt(share * (1 - share) / n + Z**2 / (4 * n**2))
    scale = 1 + Z**2 / n
    # At the ends the bound is exactly 0 or 1; rounding would be off by 1e-17.
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
    """Return the percentile bootstrap interval (Efron 1979) of any statistic of `n` items.

    `statistic` receives resampled item indices in 0..n-1, with repeats: `n` of them, or, with clusters, the
    items of as many documents as there are. A resample for which it is NaN is left out. Returns UNKNOWN with fewer
    than two units to resample.
    """
    ids = np.arange(n) if clusters is None else cluster_numbers(n, clusters)
    by_unit = np.argsort(ids, kind="stable")  # items, those of one document side by side
    sizes = np.bincount(ids)
    starts = np.cumsum(sizes) - sizes
    if len(sizes) < 2:
        return UNKNOWN
    values = []
    for rows in draws(len(sizes), seed, resamples):
        for drawn in rows:
            if clusters is None:
                values.append(statistic(drawn))
                continue
            taken = sizes[drawn]
            offsets = starts[drawn] - (np.cumsum(taken) - taken)
            values.append(statistic(by_unit[np.repeat(offsets, taken) + np.arange(taken.sum())]))
    return percentiles([value for value in values if not math.isnan(value)])


def bootstrap_mean(
    values: ArrayLike, clusters: Sequence[str] | None = None, seed: int = 0, resamples: int = 2000
) -> tuple[float, float]:
    """Return the bootstrap interval of a mean: as `bootstrap`, from the same resamples, but vectorized.

    Raises ValueError if a value is not finite. Returns UNKNOWN with fewer than two units to resample.
    """
    sums, sizes = unit_totals(values, clusters)
    if len(sums) < 2:
        return UNKNOWN
    means = [sums[drawn].sum(axis=1) / sizes[drawn].sum(axis=1) for drawn in draws(len(sums), seed, resamples)]
    return percentiles(np.concatenate(means))


def bootstrap_counts(
    cells: ArrayLike, n_cells: int, clusters: Sequence[str] | None = None, seed: int = 0, resamples: int = 2000
) -> NDArray[np.int_]:
    """Return how often each cell 0..n_cells-1 occurs in each resample. Shape: resamples × cells.

    Each item is in one cell. These counts suffice for any statistic of a table of counts, such as F1, at a thousandth
    of the cost of drawing items. Returns no rows with fewer than two units to resample.
    """
    cell = np.asarray(cells, dtype=np.int_)
    n = len(cell)
    random = np.random.default_rng(seed)
    if clusters is None:
        if n < 2:
            return np.empty((0, n_cells), dtype=np.int_)
        return random.multinomial(n, np.bincount(cell, minlength=n_cells) / n, size=resamples)
    ids = cluster_numbers(n, clusters)
    units = len(set(clusters))
    table = np.zeros((units, n_cells), dtype=np.int_)
    np.add.at(table, (ids, cell), 1)
    rows = [np.bincount(drawn, minlength=units) @ table for some in draws(units, seed, resamples) for drawn in some]
    return np.array(rows if units > 1 else np.empty((0, n_cells)), dtype=np.int_)


def percentiles(values: ArrayLike) -> tuple[float, float]:
    """Return the 2.5% and 97.5% points of a statistic's values over resamples; UNKNOWN if there are none."""
    array = np.asarray(values, dtype=np.float64)
    if not len(array):
        return UNKNOWN
    low, high = np.percentile(array, TAILS)
    return float(low), float(high)


def clusters_of(records: Sequence[Record]) -> list[str] | None:
    """Return the document of each record, from `item.meta["document"]`; None if no two records share one.

    A record without a document is a cluster of its own.
    """
    named = [
        f"document {record.item.meta['document']}" if record.item.meta.get("document") else f"item {record.item.id}"
        for record in records
    ]
    return named if len(set(named)) < len(named) else None


def few_documents(clusters: Iterable[str] | None) -> str:
    """Return a warning if items come from fewer than FEW documents; "" otherwise."""
    count = len(set(clusters or ()))
    if not 0 < count < FEW:
        return ""
    many = "1 document" if count == 1 else f"{count} documents"
    return f"The items come from only {many}. With fewer than {FEW}, intervals and tests by document are unreliable."


def unit_totals(values: ArrayLike, clusters: Sequence[str] | None) -> tuple[NDArray[Any], NDArray[Any]]:
    """Return the sum and the number of the values of each unit: a cluster or, without clusters, one value."""
    array = np.asarray(values, dtype=np.float64)
    if not np.isfinite(array).all():
        raise ValueError(f"value {int(np.argmin(np.isfinite(array)))} is not finite")
    if clusters is None:
        return array, np.ones(len(array))
    ids = cluster_numbers(len(array), clusters)
    return np.bincount(ids, weights=array), np.bincount(ids)


def cluster_numbers(n: int, clusters: Sequence[str]) -> NDArray[np.int_]:
    """Return the number of each value's cluster, counted from 0. Raises ValueError unless there are `n` clusters."""
    if len(clusters) != n:
        raise ValueError(f"{len(clusters)} clusters for {n} values")
    numbers: dict[str, int] = {}
    return np.array([numbers.setdefault(name, len(numbers)) for name in clusters], dtype=np.int_)


def draws(units: int, seed: int, resamples: int, width: int = 0) -> Iterator[NDArray[np.int_]]:
    """Yield `resamples` rows of `units` indices drawn with replacement, a few rows at a time. Shape: rows × units.

    `width`: how many values the caller computes from a row, if more than `units`.
    """
    random = np.random.default_rng(seed)
    rows = max(1, CHUNK // max(units, width))
    for start in range(0, resamples, rows):
        yield random.integers(0, units, size=(min(rows, resamples - start), units))
