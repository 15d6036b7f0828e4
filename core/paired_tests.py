"""Tests of two models on the same items, and the correction for several tests.

A unit is an item or, where items share documents, a document: its values keep or flip their signs together.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from .stats import CHUNK, unit_totals

PATTERNS = 512  # sign patterns drawn at once


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


def all_patterns(units: int) -> NDArray[np.float64]:
    """Return every way to keep (1) or flip (0) the sign of each unit. Shape: patterns × units."""
    kept: NDArray[np.float64] = ((np.arange(2**units)[:, None] >> np.arange(units)) & 1).astype(np.float64)
    return kept


def kept_sums(table: NDArray[Any], seed: int, permutations: int) -> Iterator[NDArray[np.float64]]:
    """Yield the sums of the units (rows of `table`) that keep their sign under random patterns, a few at a time.

    Shape: patterns × columns. The first units get the same signs however many follow. So tests of different numbers of
    units can share one table, padded with zeros, and each has the same result as alone.
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


def _extreme(kept: NDArray[Any], table: NDArray[Any]) -> NDArray[Any]:
    """Count the patterns as extreme as the observed one, per test, from the sums of the units that keep their sign."""
    total = table.sum(axis=0)
    # Patterns that tie with the observed one may differ from it by rounding.
    threshold = np.abs(total) - 1e-10 * np.abs(table).sum(axis=0)
    counts: NDArray[Any] = (np.abs(2 * kept - total) >= threshold).sum(axis=0)
    return counts
