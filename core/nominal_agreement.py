"""Agreement of raters on unordered labels: Cohen's and Fleiss' kappa, precision, recall and F1.

Everything is computed from tables of counts, many at once along the first axis: the observed table and its bootstrap
resamples (`stats.bootstrap_counts`). A table of r raters and k labels has r axes of length k. What is undefined is NaN.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray

from .stats import bootstrap_counts

Tables = NDArray[np.int_]
Values = NDArray[np.float64]


def resampled_tables(
    ratings: Sequence[Sequence[int]],
    labels: int,
    clusters: Sequence[str],
    seed: int = 0,
    resamples: int = 2000,
) -> Tables:
    """Return the table of all units, then one per resample of the clusters (none with fewer than two clusters).

    `ratings`: units × raters, each the number of a label in 0..labels-1. Shape: 1 + resamples × labels × labels × …
    """
    shape = (labels,) * len(ratings[0])
    cells = np.ravel_multi_index(tuple(np.asarray(ratings, dtype=np.int_).T), shape)
    n_cells = labels ** len(shape)
    observed = np.bincount(cells, minlength=n_cells)[None]
    drawn = bootstrap_counts(cells, n_cells, clusters, seed, resamples)
    tables: Tables = np.concatenate([observed, drawn]).reshape(-1, *shape)
    return tables


def of_raters(tables: Tables, *raters: int) -> Tables:
    """Return the tables of these raters alone, with their axes in this order."""
    others = tuple(axis + 1 for axis in range(tables.ndim - 1) if axis not in raters)
    kept = sorted(raters)
    theirs: Tables = tables.sum(axis=others).transpose(0, *(kept.index(rater) + 1 for rater in raters))
    return theirs


def cohen_kappa(tables: Tables) -> Values:
    """Return Cohen's kappa (1960) of two raters. Undefined if both give one and the same label to all units."""
    n = tables.sum(axis=(1, 2))
    by_chance = (tables.sum(axis=2) * tables.sum(axis=1)).sum(axis=1)
    return _ratio(n * np.einsum("tii->t", tables) - by_chance, n**2 - by_chance)


def fleiss_kappa(tables: Tables) -> Values:
    """Return Fleiss' kappa (1971) of all raters of the tables. Undefined if only one label occurs."""
    raters, labels = tables.ndim - 1, tables.shape[1]
    patterns = np.indices((labels,) * raters).reshape(raters, -1, 1)
    votes = (patterns == np.arange(labels)).sum(axis=0)  # pattern × label
    counts = tables.reshape(len(tables), -1)
    n = counts.sum(axis=1)
    observed = _ratio(counts @ ((votes**2).sum(axis=1) - raters), n * raters * (raters - 1))
    shares = _ratio(counts @ votes, (n * raters)[:, None])
    by_chance = (shares**2).sum(axis=1)
    by_chance[(shares == 1).any(axis=1)] = 1.0
    return _ratio(observed - by_chance, 1 - by_chance)


def same_share(tables: Tables) -> Values:
    """Return the share of units to which two raters give the same label."""
    return _ratio(np.einsum("tii->t", tables), tables.sum(axis=(1, 2)))


def label_recall(tables: Tables) -> Values:
    """Return the recall of each label: of the units that the first rater gave it, the share that the second did too."""
    return _ratio(np.einsum("tii->ti", tables), tables.sum(axis=2))


def label_precision(tables: Tables) -> Values:
    """Return the precision of each label: of the units that the second rater gave it, the share the first did too."""
    return _ratio(np.einsum("tii->ti", tables), tables.sum(axis=1))


def label_f1(tables: Tables) -> Values:
    """Return 2TP / (2TP + FP + FN) of each label, undefined for one that neither rater gives. Tables × k.

    The second rater may have more labels than the first, such as one for "none": they are in no F1 of their own.
    """
    k = tables.shape[1]
    right = np.einsum("tii->ti", tables[:, :, :k])
    return _ratio(2 * right, tables.sum(axis=2) + tables[:, :, :k].sum(axis=1))


def macro_f1(tables: Tables) -> Values:
    """Return the mean F1 over the labels that either rater gives, as scikit-learn does."""
    each = label_f1(tables)
    given = ~np.isnan(each)
    return _ratio(np.where(given, each, 0.0).sum(axis=1), given.sum(axis=1))


def _ratio(top: ArrayLike, bottom: ArrayLike) -> Values:
    above, below = np.asarray(top, dtype=np.float64), np.asarray(bottom, dtype=np.float64)
    return np.divide(above, below, out=np.full(np.broadcast_shapes(above.shape, below.shape), np.nan), where=below != 0)
