"""Intervals of a paired difference: they agree with their test, and they cover."""

from __future__ import annotations

import math
from functools import lru_cache

import numpy as np
import pytest
import scipy.stats
from hypothesis import given, settings
from hypothesis import strategies as st
from medbench.core.paired_intervals import discordant_interval, permutation_interval
from medbench.core.paired_tests import mcnemar_exact, paired_permutation
from medbench.core.stats import UNKNOWN
from medbench.results.pairing import pair


class TestDiscordant:
    def test_no_discordant_item(self) -> None:
        # Clopper-Pearson's upper limit of 0 of n is 1 - 0.025^(1/n), and all of it may lean to either side.
        low, high = discordant_interval(0, 0, 100)
        assert (low, high) == (pytest.approx(-high), pytest.approx(1 - 0.025**0.01, abs=2e-4))

    def test_all_discordant_is_a_sign_test(self) -> None:
        # Every item is discordant or could be: the upper limit is Clopper-Pearson's of 8 of 10, on -1..1.
        high = discordant_interval(8, 2, 10)[1]
        assert high == pytest.approx(2 * scipy.stats.binomtest(8, 10).proportion_ci(method="exact").high - 1, abs=1e-3)

    def test_as_the_distributions_of_its_two_parts_have_it(self) -> None:
        # 15 against 5 of 100, from 400,000 draws: discordant shares times twice a Beta less 1.
        random = np.random.default_rng(0)
        low = random.beta(20, 81, 400_000) * (2 * random.beta(15, 6, 400_000) - 1)
        high = random.beta(21, 80, 400_000) * (2 * random.beta(16, 5, 400_000) - 1)
        expected = (np.quantile(low, 0.025), np.quantile(high, 0.975))
        assert discordant_interval(15, 5, 100) == pytest.approx(expected, abs=1e-3)

    def test_five_against_none_of_a_hundred(self) -> None:
        low, high = discordant_interval(5, 0, 100)
        assert mcnemar_exact(5, 0) == 0.0625
        assert low < 0 < 0.05 < high
        assert discordant_interval(6, 0, 100)[0] > 0  # p = 0.031

    @settings(max_examples=150, deadline=None)
    @given(st.integers(1, 400).flatmap(lambda n: st.tuples(st.just(n), st.integers(0, n), st.integers(0, n))))
    def test_it_holds_0_exactly_when_the_test_does_not_reject(self, drawn: tuple[int, int, int]) -> None:
        n, only_a, only_b = drawn[0], drawn[1], min(drawn[2], drawn[0] - drawn[1])
        low, high = discordant_interval(only_a, only_b, n)
        assert (low <= 0 <= high) == (mcnemar_exact(only_a, only_b) > 0.05)
        assert -1 <= low <= (only_a - only_b) / n <= high <= 1
        assert discordant_interval(only_b, only_a, n) == (-high, -low)

    @pytest.mark.parametrize(
        ("n", "only_a", "only_b"),
        [(30, 0.05, 0.05), (30, 0.3, 0.05), (60, 0.1, 0.02), (60, 0.01, 0.01), (60, 0.2, 0.2)],
    )
    def test_it_covers(self, n: int, only_a: float, only_b: float) -> None:
        """The probability over all outcomes, computed and not drawn."""
        interval = lru_cache(None)(discordant_interval)
        covered = 0.0
        outcomes = scipy.stats.multinomial(n, [only_a, only_b, 1 - only_a - only_b])
        for a in range(n + 1):
            for b in range(n - a + 1):
                chance = outcomes.pmf([a, b, n - a - b])
                if chance > 1e-5:
                    low, high = interval(a, b, n)
                    covered += chance * (low <= only_a - only_b <= high)
        assert covered > 0.95

    @pytest.mark.parametrize("counts", [(-1, 0, 5), (3, 3, 5), (0, 0, 0)])
    def test_refuses_what_are_no_counts(self, counts: tuple[int, int, int]) -> None:
        with pytest.raises(ValueError, match="not counts"):
            discordant_interval(*counts)


class TestPermutation:
    def test_six_units_by_hand(self) -> None:
        # 1…6: of 64 patterns 3 may be rejected. Kept and flipped subsets have the means, lowest first: (none), (none),
        # {1}, {1}, so the fourth is 1; and the fourth highest is 6.
        assert permutation_interval([1, 2, 3, 4, 5, 6]) == (1, 6)

    def test_it_is_what_the_test_does_not_reject(self) -> None:
        differences = np.random.default_rng(1).normal(0.3, 1, size=12)
        low, high = permutation_interval(differences)
        for value, rejected in [(low - 1e-6, True), (low + 1e-6, False), (high - 1e-6, False), (high + 1e-6, True)]:
            assert (paired_permutation(differences - value) <= 0.05) == rejected

    @settings(max_examples=100, deadline=None)
    @given(st.lists(st.integers(-3, 4), min_size=6, max_size=40), st.integers(1, 4))
    def test_it_holds_0_exactly_when_the_test_does_not_reject(self, tenths: list[int], size: int) -> None:
        differences = [value / 10 for value in tenths]
        clusters = [str(at // size) for at in range(len(tenths))]
        low, high = permutation_interval(differences, clusters)
        if (low, high) != UNKNOWN:
            assert low <= np.mean(differences) + 1e-12 and high >= np.mean(differences) - 1e-12
            assert (low <= 0 <= high) == (paired_permutation(differences, clusters) > 0.05)

    def test_too_few_units_or_no_variation_leave_it_open(self) -> None:
        assert permutation_interval([]) == permutation_interval([1.0]) == UNKNOWN
        assert permutation_interval([1, 2, 3, 4, 5]) == UNKNOWN  # p is 2/32 at the least
        assert permutation_interval([0.0] * 50) == permutation_interval([0.2] * 50) == UNKNOWN
        assert permutation_interval(range(50), [str(at % 5) for at in range(50)]) == UNKNOWN

    @pytest.mark.parametrize(("units", "size"), [(10, 1), (40, 1), (12, 5)])
    def test_it_covers(self, units: int, size: int) -> None:
        """Scores with a long tail; of documents, the same draw for all items but a little noise."""
        random = np.random.default_rng(2)
        clusters = [str(at // size) for at in range(units * size)]
        boards, covered = 300, 0
        for _ in range(boards):
            draws = np.repeat(random.gamma(2.0, size=units) - random.gamma(2.0, size=units), size)
            low, high = permutation_interval(
                draws + random.normal(0, 0.1, units * size) + 0.4, clusters, permutations=2000
            )
            covered += low <= 0.4 <= high
        assert covered / boards >= 0.95 - 3 * math.sqrt(0.95 * 0.05 / boards)


class TestPairs:
    def test_no_difference_on_documents_counts_each_document_once(self) -> None:
        values = {f"{at}": float(at % 2) for at in range(40)}
        pairs = pair(values, values, True, {item: str(int(item) % 10) for item in values})
        assert pairs is not None
        assert pairs.interval() == discordant_interval(0, 0, 10)

    def test_the_order_of_the_items_does_not_matter(self) -> None:
        random = np.random.default_rng(3)
        a, b = ({f"{at:02}": float(x) for at, x in enumerate(random.random(30))} for _ in range(2))
        one, other = pair(a, b, False, None), pair(dict(reversed(a.items())), b, False, None)
        assert one == other
