"""Two models on the same items: the test that decides whether their difference is real."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

from ..core.stats import mcnemar_exact, paired_bootstrap, paired_permutation

ALPHA = 0.05  # of Holm-adjusted p-values


@dataclass(frozen=True)
class Counts:
    """Items by who has them right."""

    both: int
    only_a: int
    only_b: int
    neither: int


@dataclass(frozen=True)
class Pairs:
    """Values of two models on the items that both have one for, in A's order. `clusters`: the document of each."""

    a: tuple[float, ...]
    b: tuple[float, ...]
    clusters: tuple[str, ...] | None
    binary: bool

    @property
    def test(self) -> str:
        # McNemar's test takes items for independent, which those of one document are not.
        return "exact McNemar" if self.binary and self.clusters is None else "paired permutation"

    @property
    def counts(self) -> Counts | None:
        """None unless every value is right (1) or wrong (0)."""
        if not self.binary:
            return None
        cells = [(right_a, right_b) for right_a, right_b in zip(self.a, self.b, strict=True)]
        return Counts(cells.count((1, 1)), cells.count((1, 0)), cells.count((0, 1)), cells.count((0, 0)))

    @property
    def difference(self) -> float:
        """mean(a) - mean(b)"""
        return math.fsum(a - b for a, b in zip(self.a, self.b, strict=True)) / len(self.a)

    def p_value(self) -> float:
        counts = self.counts
        if counts is not None and self.clusters is None:
            return mcnemar_exact(counts.only_a, counts.only_b)
        return paired_permutation([a - b for a, b in zip(self.a, self.b, strict=True)], self.clusters)

    def interval(self) -> tuple[float, float] | None:
        """95 %, of the difference; None where one item or document leaves it open."""
        low, high = paired_bootstrap(self.a, self.b, self.clusters)
        return (low, high) if math.isfinite(low) and math.isfinite(high) else None


def pair(
    a: Mapping[str, float], b: Mapping[str, float], binary: bool, clusters: Mapping[str, str] | None
) -> Pairs | None:
    """None where the two have no item in common."""
    common = [item_id for item_id in a if item_id in b]
    if not common:
        return None
    documents = tuple(clusters.get(i, i) for i in common) if clusters else None
    return Pairs(tuple(a[i] for i in common), tuple(b[i] for i in common), documents, binary)
