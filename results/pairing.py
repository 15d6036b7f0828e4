"""Two models on the same items, and the test of whether their difference is significant."""

from __future__ import annotations

import math
from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from numpy.typing import NDArray

from ..core.paired_intervals import discordant_interval, permutation_interval, sign_flip_bound
from ..core.paired_tests import mcnemar_exact, paired_permutations
from ..core.stats import unit_totals

ALPHA = 0.05  # of Holm-adjusted p-values
LEAST = 1e-4  # what 10,000 random patterns can show


@dataclass(frozen=True)
class Counts:
    """How many items both, one or neither has right."""

    both: int
    only_a: int
    only_b: int
    neither: int


@dataclass(frozen=True)
class Pairs:
    """Values of two models on the items that both have values for, by id. `clusters`: the document of each."""

    items: tuple[str, ...]
    a: tuple[float, ...]
    b: tuple[float, ...]
    clusters: tuple[str, ...] | None
    binary: bool

    @property
    def test(self) -> str:
        # McNemar's test assumes independent items; items of one document are not.
        return "exact McNemar" if self.binary and self.clusters is None else "paired permutation"

    @property
    def counts(self) -> Counts | None:
        """Counts, if every value is right (1) or wrong (0); otherwise None."""
        if not self.binary:
            return None
        cells = [(right_a, right_b) for right_a, right_b in zip(self.a, self.b, strict=True)]
        return Counts(cells.count((1, 1)), cells.count((1, 0)), cells.count((0, 1)), cells.count((0, 0)))

    @property
    def difference(self) -> float:
        """mean(a) - mean(b)"""
        return math.fsum(a - b for a, b in zip(self.a, self.b, strict=True)) / len(self.a)

    @property
    def differences(self) -> list[float]:
        return [a - b for a, b in zip(self.a, self.b, strict=True)]

    @property
    def hypothesis(self) -> Hashable:
        """A key that metrics share if their differences are equal on every item, up to scale and sign: one test.

        None if there is no difference at all.
        """
        largest = max(map(abs, self.differences))
        if not largest:
            return None
        first = next(d for d in self.differences if d)
        scale = math.copysign(largest, first)
        return self.test, self.items, tuple(round(d / scale, 9) + 0.0 for d in self.differences)

    def p_value(self) -> float:
        """Return the two-sided p-value, not adjusted."""
        counts = self.counts
        if counts is not None and self.clusters is None:
            return mcnemar_exact(counts.only_a, counts.only_b)
        return permutation_p([unit_totals(self.differences, self.clusters)[0]])[0]

    def interval(self) -> tuple[float, float] | None:
        """Return the 95% interval of the difference, not adjusted. It excludes 0 exactly when `p_value` is below 5%.

        None if it is undefined, as `permutation_interval` describes.
        """
        counts, units = self.counts, len(set(self.clusters or range(len(self.a))))
        if counts is not None and units > 1:
            if self.clusters is None:
                return discordant_interval(counts.only_a, counts.only_b, units)
            if not counts.only_a and not counts.only_b:
                return discordant_interval(0, 0, units)  # a document counts as one item
        low, high = permutation_interval(self.differences, self.clusters)
        return (low, high) if math.isfinite(low) and math.isfinite(high) else None


def permutation_p(tests: Sequence[NDArray[Any]]) -> list[float]:
    """Return two-sided p-values of mean difference 0, each from differences summed by unit.

    If no random pattern is as extreme as the observed one, the upper bound is the p-value. Otherwise a table of a
    hundred models, which corrects for thousands of pairs, could show nothing.
    """
    found = zip(paired_permutations(tests), tests, strict=True)
    return [min(p, sign_flip_bound(sums)) if p <= LEAST else p for p, sums in found]


def pair(
    a: Mapping[str, float], b: Mapping[str, float], binary: bool, clusters: Mapping[str, str] | None
) -> Pairs | None:
    """Return the pairs of values, or None if the two have no item in common."""
    common = sorted(item_id for item_id in a if item_id in b)
    if not common:
        return None
    documents = tuple(clusters.get(i, i) for i in common) if clusters else None
    return Pairs(tuple(common), tuple(a[i] for i in common), tuple(b[i] for i in common), documents, binary)
