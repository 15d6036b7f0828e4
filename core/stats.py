"""Confidence intervals, paired tests and agreement. Every interval is 95 %; every random draw is fixed by its seed.

`clusters` gives the document of each value, in order. Values from one document are not independent, so documents are
resampled (or flipped) whole. A document has the weight of its number of values, so the mean is still over values.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any, Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from .types import Record

Z = 1.959963984540054  # 97.5 % point of the standard normal distribution
TAILS = (2.5, 97.5)
UNKNOWN = (-math.inf, math.inf)  # the interval from a single unit
CHUNK = 1 << 21  # values drawn at once: about 16 MiB as float64
PATTERNS = 512  # sign patterns drawn at once
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

    `statistic` receives resampled item indices in 0..n-1, with repeats: `n` of them, or with clusters the items of as
    many documents as there are. Returns UNKNOWN with fewer than two units to resample.
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
    """Return the bootstrap interval of a mean: as `bootstrap`, from the same resamples, but vectorized.

    Raises ValueError if a value is not finite. Returns UNKNOWN with fewer than two units to resample.
    """
    sums, sizes = unit_totals(values, clusters)
    if len(sums) < 2:
        return UNKNOWN
    means = [sums[drawn].sum(axis=1) / sizes[drawn].sum(axis=1) for drawn in _draws(len(sums), seed, resamples)]
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
    ids = _ids(n, clusters)
    units = len(set(clusters))
    table = np.zeros((units, n_cells), dtype=np.int_)
    np.add.at(table, (ids, cell), 1)
    rows = [np.bincount(drawn, minlength=units) @ table for some in _draws(units, seed, resamples) for drawn in some]
    return np.array(rows if units > 1 else np.empty((0, n_cells)), dtype=np.int_)


def percentiles(values: ArrayLike) -> tuple[float, float]:
    """Return the 2.5 % and 97.5 % points of a statistic's values over resamples; UNKNOWN if there are none."""
    array = np.asarray(values, dtype=np.float64)
    if not len(array):
        return UNKNOWN
    low, high = np.percentile(array, TAILS)
    return float(low), float(high)


def paired_bootstrap(
    a: ArrayLike, b: ArrayLike, clusters: Sequence[str] | None = None, seed: int = 0, resamples: int = 2000
) -> tuple[float, float]:
    """Return the interval of mean(a) - mean(b), where a[i] and b[i] are two models' values on one item."""
    return bootstrap_mean(_differences(a, b), clusters, seed, resamples)


def mcnemar_exact(only_a: int, only_b: int) -> float:
    """Return the two-sided exact p-value of McNemar's test (1947).

    `only_a` items are right for A alone, `only_b` for B alone. Under the null hypothesis each discordant item is a fair
    coin flip. All arithmetic is in whole numbers, so only the last division rounds.
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
    """Return the two-sided p-value of the paired permutation test of mean difference 0 (Fisher 1935; Pitman 1937).

    Up to `permutations` sign patterns are enumerated. Beyond that, k of m random patterns
    as extreme as the observed one give (k + 1) / (m + 1), which is never 0 (Phipson & Smyth 2010).
    """
    return paired_permutations([unit_totals(differences, clusters)[0]], seed, permutations)[0]


def paired_permutations(tests: Sequence[NDArray[Any]], seed: int = 0, permutations: int = 10000) -> list[float]:
    """Run `paired_permutation` on the differences of each test, summed by unit, under the same random patterns."""
    # A unit without a difference changes nothing, whatever its sign.
    tests = [sums[sums != 0] for sums in tests]
    found = [0.0] * len(tests)
    long = []
    for at, sums in enumerate(tests):
        if len(sums) > math.log2(permutations):
            long.append(at)
        else:
            found[at] = float(_extreme(all_patterns(len(sums)) @ sums[:, None], sums[:, None])[0] / 2 ** len(sums))
    if long:
        table = np.zeros((max(len(tests[at]) for at in long), len(long)))
        for column, at in enumerate(long):
            table[: len(tests[at]), column] = tests[at]
        extreme = sum(_extreme(kept, table) for kept in kept_sums(table, seed, permutations))
        for at, k in zip(long, np.atleast_1d(extreme), strict=True):
            found[at] = (int(k) + 1) / (permutations + 1)
    return found


def _extreme(kept: NDArray[Any], table: NDArray[Any]) -> NDArray[Any]:
    """Count the patterns as extreme as the observed one, per test, from the sums of the units that keep their sign."""
    total = table.sum(axis=0)
    # Patterns that tie with the observed one may differ from it by rounding.
    threshold = np.abs(total) - 1e-10 * np.abs(table).sum(axis=0)
    counts: NDArray[Any] = (np.abs(2 * kept - total) >= threshold).sum(axis=0)
    return counts


def holm(p_values: Sequence[float]) -> list[float]:
    """Return p-values adjusted for multiple comparisons (Holm 1979), in the order given."""
    if any(not 0 <= p <= 1 for p in p_values):
        raise ValueError(f"not all p-values are in 0..1: {list(p_values)}")
    adjusted = [0.0] * len(p_values)
    highest = 0.0
    for rank, index in enumerate(sorted(range(len(p_values)), key=lambda i: p_values[i])):
        highest = max(highest, min(1.0, (len(p_values) - rank) * p_values[index]))
        adjusted[index] = highest
    return adjusted


def spearman(a: ArrayLike, b: ArrayLike) -> float | None:
    """Return Spearman's rank correlation (1904): Pearson's of the ranks; equal values share their mean rank.

    None if either side is constant or there are fewer than two pairs.
    """
    left, right = (_ranks(side) for side in _pairs(a, b))
    if len(left) < 2 or not left.any() or not right.any():
        return None
    return float(left @ right / math.sqrt((left @ left) * (right @ right)))


def bootstrap_spearman(
    a: ArrayLike, b: ArrayLike, clusters: Sequence[str] | None = None, seed: int = 0, resamples: int = 2000
) -> tuple[float, float]:
    """Return the bootstrap interval of Spearman's correlation: as `bootstrap`, same resamples, but vectorized.

    Resamples in which either side is constant are left out.
    """
    left, right = _pairs(a, b)
    ids = np.arange(len(left)) if clusters is None else _ids(len(left), clusters)
    units = len(np.unique(ids))
    if units < 2:
        return UNKNOWN
    order_a, order_b = np.argsort(left, kind="stable"), np.argsort(right, kind="stable")
    (group_a, starts_a), (group_b, starts_b) = (_groups(side) for side in (left, right))
    found = []
    for drawn in _draws(units, seed, resamples, width=32 * len(left)):  # so that a row stays in the CPU cache
        times = np.stack([np.bincount(row, minlength=units) for row in drawn]).astype(np.float64)[:, ids]
        counts_a = np.add.reduceat(times[:, order_a], starts_a, axis=1)
        counts_b = np.add.reduceat(times[:, order_b], starts_b, axis=1)
        ranks_a, ranks_b = _weighted_ranks(counts_a), _weighted_ranks(counts_b)
        squares = np.einsum("rg,rg,rg->r", counts_a, ranks_a, ranks_a)
        squares *= np.einsum("rg,rg,rg->r", counts_b, ranks_b, ranks_b)
        products = np.einsum("rn,rn,rn->r", times, ranks_a[:, group_a], ranks_b[:, group_b])
        found.append(products[squares > 0] / np.sqrt(squares[squares > 0]))
    return percentiles(np.concatenate(found))


def weighted_kappa(a: Sequence[Any], b: Sequence[Any], levels: Sequence[Any]) -> float | None:
    """Return Cohen's kappa with quadratic weights (Cohen 1968): two raters' agreement, corrected for chance.

    `levels` are all possible grades, in order; a disagreement of d steps has the weight d². None without pairs, and if
    chance alone cannot disagree (both raters always give the same grade). Raises ValueError for an unknown grade.
    """
    kappa = _kappas(np.bincount(_cells(a, b, levels), minlength=len(levels) ** 2)[None], len(levels))[0]
    return None if math.isnan(kappa) else float(kappa)


def bootstrap_kappa(
    a: Sequence[Any],
    b: Sequence[Any],
    levels: Sequence[Any],
    clusters: Sequence[str] | None = None,
    seed: int = 0,
    resamples: int = 2000,
) -> tuple[float, float]:
    """Return the bootstrap interval of `weighted_kappa`. Resamples where kappa is undefined are left out."""
    tables = bootstrap_counts(_cells(a, b, levels), len(levels) ** 2, clusters, seed, resamples)
    kappas = _kappas(tables, len(levels))
    return percentiles(kappas[~np.isnan(kappas)])


def krippendorff_alpha(
    ratings: Sequence[Sequence[float | None]], level: Literal["nominal", "ordinal", "interval"] = "interval"
) -> float | None:
    """Return Krippendorff's alpha: agreement of any number of raters, with missing ratings allowed.

    After "Computing Krippendorff's Alpha-Reliability" (2011). 1 is perfect, 0 is chance, below 0 is worse than chance.
    `ratings`: units × raters, None for a missing rating. A unit with fewer than two ratings is left out. Returns None
    if no unit has two, and if all ratings are the same value.
    """
    units = [[float(value) for value in unit if value is not None] for unit in ratings]
    units = [unit for unit in units if len(unit) > 1]
    if not units:
        return None
    sizes = np.array([len(unit) for unit in units])
    values, cells = np.unique(np.concatenate(units), return_inverse=True)
    if not np.isfinite(values).all():
        raise ValueError("not all ratings are finite")
    counts = np.zeros((len(units), len(values)))  # how often each value was given to each unit
    np.add.at(counts, (np.repeat(np.arange(len(units)), sizes), cells), 1.0)
    totals = counts.sum(axis=0)
    # The distance of two values. Ordinal: the ratings between them plus half of their own, a distance of mid-ranks.
    places = np.cumsum(totals) - totals / 2 if level == "ordinal" else values
    apart = 1.0 - np.eye(len(values)) if level == "nominal" else np.subtract.outer(places, places) ** 2
    shares = counts / (sizes - 1)[:, None]
    observed = (counts.T @ shares * apart).sum()
    expected = totals @ apart @ totals / (totals.sum() - 1)
    return float(1 - observed / expected) if expected > 0 else None


def clusters_of(records: Sequence[Record]) -> list[str] | None:
    """Return the document of each record, from `item.meta["document"]`; None if no two records share one.

    A record without a document is a cluster of its own.
    """
    named = [
        f"document {record.item.meta['document']}" if record.item.meta.get("document") else f"item {record.item.id}"
        for record in records
    ]
    return named if len(set(named)) < len(named) else None


def _pairs(a: ArrayLike, b: ArrayLike) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    left, right = np.asarray(a, dtype=np.float64), np.asarray(b, dtype=np.float64)
    if left.shape != right.shape or left.ndim != 1:
        raise ValueError(f"not pairs: {left.shape} against {right.shape}")
    if not (np.isfinite(left).all() and np.isfinite(right).all()):
        raise ValueError("not all values are finite")
    return left, right


def _groups(values: NDArray[np.float64]) -> tuple[NDArray[np.int_], NDArray[np.int_]]:
    """Return the number of each value's distinct value, and where each distinct value starts once sorted."""
    _, group, counts = np.unique(values, return_inverse=True, return_counts=True)
    return group, np.cumsum(counts) - counts


def _ranks(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return mean ranks, measured from the middle: they sum to 0, and all are 0 if all values are equal."""
    _, group, counts = np.unique(values, return_inverse=True, return_counts=True)
    ranks: NDArray[np.float64] = _weighted_ranks(counts[None].astype(np.float64))[0][group]
    return ranks


def _weighted_ranks(counts: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return `_ranks` of each distinct value (in order) from its number of occurrences. Resamples × values.

    Only whole and half numbers are used, so equal ranks are exactly equal.
    """
    ranks: NDArray[np.float64] = np.cumsum(counts, axis=1) - counts / 2 - counts.sum(axis=1, keepdims=True) / 2
    return ranks


def _cells(a: Sequence[Any], b: Sequence[Any], levels: Sequence[Any]) -> NDArray[np.int_]:
    """Return the cell of the levels × levels table, counted row by row, for each pair of grades."""
    if len(a) != len(b):
        raise ValueError(f"not pairs: {len(a)} against {len(b)}")
    at = {level: index for index, level in enumerate(levels)}
    unknown = [grade for grade in (*a, *b) if grade not in at]
    if unknown:
        raise ValueError(f"{unknown[0]!r} is not one of the levels {list(levels)}")
    return np.array([at[one] * len(levels) + at[other] for one, other in zip(a, b)], dtype=np.int_)


def _kappas(tables: NDArray[np.int_], levels: int) -> NDArray[np.float64]:
    """Return the quadratic-weighted kappa of each table (a row of levels × levels counts); NaN if undefined."""
    counts = tables.reshape(-1, levels, levels).astype(np.float64)
    steps = np.subtract.outer(np.arange(levels), np.arange(levels)) ** 2
    rows, columns = counts.sum(axis=2), counts.sum(axis=1)
    observed = (counts * steps).sum(axis=(1, 2)) * counts.sum(axis=(1, 2))
    by_chance = np.einsum("ri,ij,rj->r", rows, steps.astype(np.float64), columns)
    defined = by_chance > 0
    return np.where(defined, 1 - observed / np.where(defined, by_chance, 1.0), np.nan)


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


def few_documents(clusters: Iterable[str] | None) -> str:
    """What a reader must know where items come from fewer than FEW documents, in words; "" for nothing."""
    count = len(set(clusters or ()))
    if not 0 < count < FEW:
        return ""
    many = "1 document" if count == 1 else f"{count} documents"
    return f"The items come from only {many}: below {FEW}, intervals and tests by document cannot be relied on."


def unit_totals(values: ArrayLike, clusters: Sequence[str] | None) -> tuple[NDArray[Any], NDArray[Any]]:
    """Sum and number of the values of each unit; a unit is a cluster or, without clusters, one value."""
    array = np.asarray(values, dtype=np.float64)
    if not np.isfinite(array).all():
        raise ValueError(f"value {int(np.argmin(np.isfinite(array)))} is not finite")
    if clusters is None:
        return array, np.ones(len(array))
    ids = _ids(len(array), clusters)
    return np.bincount(ids, weights=array), np.bincount(ids)


def _draws(units: int, seed: int, resamples: int, width: int = 0) -> Iterator[NDArray[np.int_]]:
    """`resamples` rows of `units` indices drawn with replacement, a few rows at a time. Rows × units.

    `width`: values that the caller makes of a row, where they are more than `units`.
    """
    random = np.random.default_rng(seed)
    rows = max(1, CHUNK // max(units, width))
    for start in range(0, resamples, rows):
        yield random.integers(0, units, size=(min(rows, resamples - start), units))


def all_patterns(units: int) -> NDArray[np.float64]:
    """Every way to keep (1) or flip (0) the sign of each unit. Patterns × units."""
    kept: NDArray[np.float64] = ((np.arange(2**units)[:, None] >> np.arange(units)) & 1).astype(np.float64)
    return kept


def kept_sums(table: NDArray[Any], seed: int, permutations: int) -> Iterator[NDArray[np.float64]]:
    """Sums of the units (rows of `table`) that keep their sign under random patterns, some patterns at a time.

    Patterns × columns. The first units get the same signs however many follow, so that tests of different numbers of
    units can share one table, padded with zeros, and give what each gives alone.
    """
    for start in range(0, permutations, PATTERNS):
        random = np.random.default_rng([seed, start])
        rows = min(PATTERNS, permutations - start)
        sums = np.zeros((rows, table.shape[1]))
        for first in range(0, len(table), CHUNK // PATTERNS):
            block = table[first : first + CHUNK // PATTERNS]
            drawn = np.frombuffer(random.bytes(len(block) * PATTERNS // 8), dtype=np.uint8).reshape(len(block), -1)
            sums += np.unpackbits(drawn, axis=1, count=rows).T.astype(np.float64) @ block
        yield sums
