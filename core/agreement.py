"""Agreement of raters: rank correlation, weighted kappa and Krippendorff's alpha, with 95% bootstrap intervals."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from .stats import UNKNOWN, bootstrap_counts, cluster_numbers, draws, percentiles

MOST_UNDEFINED = 0.05  # share of resamples without the statistic above which no 95% interval is given


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

    Resamples in which either side is constant have no correlation and are left out: up to 5%. With more, the interval
    is unknown.
    """
    left, right = _pairs(a, b)
    ids = np.arange(len(left)) if clusters is None else cluster_numbers(len(left), clusters)
    units = len(np.unique(ids))
    if units < 2:
        return UNKNOWN
    order_a, order_b = np.argsort(left, kind="stable"), np.argsort(right, kind="stable")
    (group_a, starts_a), (group_b, starts_b) = (_groups(side) for side in (left, right))
    found = []
    for drawn in draws(units, seed, resamples, width=32 * len(left)):  # so that a row stays in the CPU cache
        times = np.stack([np.bincount(row, minlength=units) for row in drawn]).astype(np.float64)[:, ids]
        counts_a = np.add.reduceat(times[:, order_a], starts_a, axis=1)
        counts_b = np.add.reduceat(times[:, order_b], starts_b, axis=1)
        ranks_a, ranks_b = _weighted_ranks(counts_a), _weighted_ranks(counts_b)
        squares = np.einsum("rg,rg,rg->r", counts_a, ranks_a, ranks_a)
        squares *= np.einsum("rg,rg,rg->r", counts_b, ranks_b, ranks_b)
        products = np.einsum("rn,rn,rn->r", times, ranks_a[:, group_a], ranks_b[:, group_b])
        found.append(products[squares > 0] / np.sqrt(squares[squares > 0]))
    return _interval(np.concatenate(found), resamples)


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
    """Return the bootstrap interval of `weighted_kappa`.

    Resamples where kappa is undefined are left out: up to 5%. With more, the interval is unknown.
    """
    tables = bootstrap_counts(_cells(a, b, levels), len(levels) ** 2, clusters, seed, resamples)
    kappas = _kappas(tables, len(levels))
    return _interval(kappas[~np.isnan(kappas)], resamples)


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


def _interval(values: NDArray[np.float64], resamples: int) -> tuple[float, float]:
    """Return the percentiles of a statistic over the resamples that have it; UNKNOWN if too many have none."""
    return percentiles(values) if len(values) >= (1 - MOST_UNDEFINED) * resamples else UNKNOWN


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
