"""Intervals and tests against arithmetic by hand, scipy and statsmodels."""

from __future__ import annotations

import math
import random
import tracemalloc
from typing import Literal

import numpy as np
import pytest
import scipy.stats
from hypothesis import given, settings
from hypothesis import strategies as st
from medbench.core.agreement import bootstrap_kappa, bootstrap_spearman, krippendorff_alpha, spearman, weighted_kappa
from medbench.core.paired_tests import holm, mcnemar_exact, paired_permutation
from medbench.core.stats import UNKNOWN, bootstrap, bootstrap_counts, bootstrap_mean, clusters_of, percentiles, wilson
from medbench.core.types import Item, Output, Record
from statsmodels.stats.contingency_tables import mcnemar
from statsmodels.stats.inter_rater import cohens_kappa
from statsmodels.stats.multitest import multipletests
from statsmodels.stats.proportion import proportion_confint

finite = st.floats(-1e6, 1e6)
counts = st.integers(0, 60)


class TestWilson:
    def test_by_hand(self) -> None:
        # 7 of 20: p = 0.35, z² = 3.841459; centre = (0.35 + z²/40)/(1 + z²/20) = 0.446036/1.192073 = 0.374169
        # half = 1.959964·√(0.35·0.65/20 + z²/1600)/1.192073 = 1.959964·√(0.011375 + 0.002401)/1.192073 = 0.192977
        low, high = wilson(7, 20)
        assert low == pytest.approx(0.374169 - 0.192977, abs=2e-6)
        assert high == pytest.approx(0.374169 + 0.192977, abs=2e-6)

    @given(st.integers(1, 5000).flatmap(lambda n: st.tuples(st.integers(0, n), st.just(n))))
    def test_equals_statsmodels(self, pair: tuple[int, int]) -> None:
        assert wilson(*pair) == pytest.approx(proportion_confint(*pair, method="wilson"), abs=1e-12)

    def test_ends_are_exact_and_the_interval_is_not_empty(self) -> None:
        # 0 of n: the upper bound is z²/(n + z²) = 3.841459/13.841459
        assert wilson(0, 10) == (0.0, pytest.approx(0.277533, abs=1e-6))
        assert wilson(10, 10) == (pytest.approx(1 - 0.277533, abs=1e-6), 1.0)
        assert wilson(1, 1)[0] > 0

    @pytest.mark.parametrize(("successes", "n"), [(0, 0), (-1, 5), (6, 5)])
    def test_refuses_what_is_no_proportion(self, successes: int, n: int) -> None:
        with pytest.raises(ValueError, match=f"{successes} of {n}"):
            wilson(successes, n)


class TestBootstrap:
    def test_mean_is_the_same_resamples_as_the_general_one(self) -> None:
        values = np.random.default_rng(3).random(57)
        documents = [str(i // 4) for i in range(57)]

        def mean(chosen: np.ndarray) -> float:
            return float(values[chosen].mean())

        assert bootstrap_mean(values, seed=5) == pytest.approx(bootstrap(mean, 57, seed=5), abs=1e-12)
        clustered = bootstrap_mean(values, documents, seed=5)
        assert clustered == pytest.approx(bootstrap(mean, 57, documents, seed=5), abs=1e-12)

    def test_agrees_with_scipy(self) -> None:
        values = np.random.default_rng(4).gamma(2.0, size=300)
        theirs = scipy.stats.bootstrap(
            (values,), np.mean, n_resamples=20000, method="percentile", random_state=0
        ).confidence_interval
        ours = bootstrap_mean(values, resamples=20000)
        # Two sets of 20,000 resamples: the ends differ by Monte Carlo error, about 2% of the width.
        assert ours == pytest.approx(tuple(theirs), abs=0.03 * (theirs.high - theirs.low))

    def test_two_items_by_hand(self) -> None:
        # Resamples of (0, 1) have means 0, 1/2, 1 with chances 1/4, 1/2, 1/4: the 2.5% and 97.5% points are 0 and 1.
        assert bootstrap_mean([0, 1]) == (0.0, 1.0)

    def test_documents_are_resampled_whole(self) -> None:
        # Two documents, one of four zeros and one of a single 1. Means: 0 (both the first), 1 (both the second),
        # 1/5 (one of each); resampling items alone would give 2/5 and others too.
        seen = set()

        def mean(chosen: np.ndarray) -> float:
            seen.add(tuple(sorted(chosen)))
            return float(np.array([0, 0, 0, 0, 1.0])[chosen].mean())

        assert bootstrap(mean, 5, list("aaaab")) == (0.0, 1.0)
        assert seen == {(0, 0, 1, 1, 2, 2, 3, 3), (0, 1, 2, 3, 4), (4, 4)}
        assert bootstrap_mean([0, 0, 0, 0, 1], list("aaaab")) == (0.0, 1.0)

    def test_repeated_items_do_not_narrow_a_clustered_interval(self) -> None:
        values = list(np.random.default_rng(5).random(40))
        once = bootstrap_mean(values)
        tenfold = bootstrap_mean([v for v in values for _ in range(10)], [str(i) for i in range(40) for _ in range(10)])
        assert tenfold == pytest.approx(once, abs=1e-12)

    def test_fewer_than_two_units_leave_everything_open(self) -> None:
        assert bootstrap_mean([0.7]) == UNKNOWN == (-math.inf, math.inf)
        assert bootstrap_mean([]) == UNKNOWN
        assert bootstrap_mean([0.1, 0.2, 0.3], ["same"] * 3) == UNKNOWN
        assert bootstrap(lambda chosen: 1.0, 1) == UNKNOWN
        assert bootstrap(lambda chosen: 1.0, 0) == UNKNOWN

    def test_the_seed_fixes_it(self) -> None:
        values = list(np.random.default_rng(6).random(30))
        assert bootstrap_mean(values, seed=1) == bootstrap_mean(values, seed=1) != bootstrap_mean(values, seed=2)

    @given(st.lists(finite, min_size=2, max_size=30))
    def test_lies_within_the_values(self, values: list[float]) -> None:
        low, high = bootstrap_mean(values, resamples=50)
        slack = 1e-9 * max(1, *map(abs, values))
        assert min(values) - slack <= low <= high <= max(values) + slack

    def test_what_is_not_finite_is_refused(self) -> None:
        with pytest.raises(ValueError, match="value 1 is not finite"):
            bootstrap_mean([0.0, float("nan"), 1.0])

    def test_clusters_must_match_the_values(self) -> None:
        with pytest.raises(ValueError, match="2 clusters for 3 values"):
            bootstrap_mean([0, 1, 1], ["a", "b"])

    def test_paired_is_narrower_than_unpaired_where_models_agree(self) -> None:
        rng = np.random.default_rng(7)
        a = rng.random(200)
        b = a - 0.1 + 0.01 * rng.random(200)
        low, high = bootstrap_mean(a - b)
        assert low <= (a - b).mean() <= high
        assert 0.09 < low < high < 0.1
        assert bootstrap_mean(b - a) == pytest.approx((-high, -low), abs=1e-12)


class TestBootstrapCounts:
    def test_is_the_same_resamples_of_documents_as_the_general_one(self) -> None:
        random = np.random.default_rng(10)
        cells = random.integers(0, 3, 60)
        documents = [str(i) for i in random.integers(0, 12, 60)]
        counts = bootstrap_counts(cells, 3, documents, seed=4, resamples=300)
        assert counts.shape == (300, 3)
        shares = counts[:, 1] / counts.sum(axis=1)
        general = bootstrap(lambda chosen: float((cells[chosen] == 1).mean()), 60, documents, seed=4, resamples=300)
        assert percentiles(shares) == pytest.approx(general, abs=1e-12)

    def test_of_items_it_agrees_with_the_general_one(self) -> None:
        cells = np.repeat([0, 1, 2], [100, 60, 40])
        shares = bootstrap_counts(cells, 3, resamples=20000)[:, 1] / 200
        low, high = bootstrap_mean(cells == 1, resamples=20000)
        assert percentiles(shares) == pytest.approx((low, high), abs=0.01)

    def test_fewer_than_two_units_leave_everything_open(self) -> None:
        for counts in (bootstrap_counts([], 2), bootstrap_counts([1], 2), bootstrap_counts([0, 1], 2, ["a", "a"])):
            assert counts.shape == (0, 2)
            assert percentiles(counts[:, 0]) == UNKNOWN


class TestMcNemar:
    def test_by_hand(self) -> None:
        assert mcnemar_exact(0, 5) == 2 / 32
        assert mcnemar_exact(1, 5) == 2 * (1 + 6) / 64
        # 3/20 against 7/20 right where the 3 are among the 7: only four discordant items, and no real difference.
        assert mcnemar_exact(4, 0) == 2 / 16

    def test_no_discordant_item_says_nothing(self) -> None:
        assert mcnemar_exact(0, 0) == 1.0

    @given(counts, counts)
    def test_equals_statsmodels_and_scipy(self, only_a: int, only_b: int) -> None:
        ours = mcnemar_exact(only_a, only_b)
        assert ours == pytest.approx(mcnemar([[9, only_a], [only_b, 4]], exact=True).pvalue, rel=1e-10)
        if only_a + only_b:
            assert ours == pytest.approx(scipy.stats.binomtest(only_a, only_a + only_b, 0.5).pvalue, rel=1e-10)
        assert ours == mcnemar_exact(only_b, only_a)

    def test_many_items(self) -> None:
        theirs = scipy.stats.binomtest(4800, 10000, 0.5).pvalue
        assert mcnemar_exact(4800, 5200) == pytest.approx(theirs, rel=1e-8)
        assert mcnemar_exact(0, 5000) == 0.0  # 2·2**-5000 is below the smallest float

    def test_refuses_negative_counts(self) -> None:
        with pytest.raises(ValueError, match="negative"):
            mcnemar_exact(-1, 3)


class TestPermutation:
    def test_by_hand(self) -> None:
        # |±1 ±2 ±3| ≥ 6 for two of the eight sign patterns.
        assert paired_permutation([1, 2, 3]) == 2 / 8
        # |±1 ±2 ±3| ≥ |1 + 2 - 3| = 0 for all of them.
        assert paired_permutation([1, 2, -3]) == 1.0
        # |±1 ±1 ±1 ±1| ≥ 2: all but the six balanced ones.
        assert paired_permutation([1, 1, 1, -1]) == 10 / 16

    @given(st.lists(st.integers(-20, 20), min_size=2, max_size=9))
    def test_equals_scipy_where_all_patterns_are_enumerated(self, differences: list[int]) -> None:
        theirs = scipy.stats.permutation_test(
            (np.array(differences, dtype=float),), np.mean, permutation_type="samples", n_resamples=np.inf
        )
        assert paired_permutation(differences) == pytest.approx(theirs.pvalue, abs=1e-12)

    @given(st.lists(st.sampled_from([0.0, 0.1, 0.2, 0.3, -0.1, -0.2, -0.3, 0.7]), min_size=1, max_size=8))
    def test_ties_are_found_in_spite_of_rounding(self, differences: list[float]) -> None:
        tenths = [round(10 * d) for d in differences]
        assert paired_permutation(differences) == paired_permutation(tenths)

    def test_on_right_and_wrong_it_is_mcnemar(self) -> None:
        differences = [1] * 9 + [-1] * 2 + [0] * 50
        assert paired_permutation(differences) == pytest.approx(mcnemar_exact(9, 2), abs=1e-12)

    def test_random_patterns_come_near_the_exact_value(self) -> None:
        differences = [1] * 30 + [-1] * 15
        exact = mcnemar_exact(30, 15)  # 0.0357
        # Monte Carlo error of a share of 0.036 over 10,000 draws: 0.0019; four of them.
        assert paired_permutation(differences) == pytest.approx(exact, abs=0.0075)

    def test_never_zero(self) -> None:
        assert paired_permutation([1.0] * 100) == 1 / 10001

    def test_documents_are_turned_whole(self) -> None:
        # Six differences from two documents are two signs: 2 of 4 patterns, not 2 of 64.
        assert paired_permutation([1] * 6) == 2 / 64
        assert paired_permutation([1] * 6, ["a", "a", "a", "b", "b", "b"]) == 2 / 4
        assert paired_permutation([1] * 6, ["a"] * 6) == 1.0

    def test_no_difference_is_no_evidence(self) -> None:
        assert paired_permutation([0.0, 0.0]) == 1.0
        assert paired_permutation([]) == 1.0

    def test_the_null_hypothesis_is_rejected_as_often_as_it_should_be(self) -> None:
        rng = np.random.default_rng(8)
        rejected = sum(paired_permutation(rng.normal(size=25), permutations=400) <= 0.05 for _ in range(400))
        # 5% of 400 is 20, with a standard deviation of 4.4.
        assert 6 <= rejected <= 38


class TestHolm:
    def test_by_hand(self) -> None:
        # Sorted: 0.01·3 = 0.03, 0.02·2 = 0.04, 0.04·1 = 0.04.
        assert holm([0.04, 0.01, 0.02]) == pytest.approx([0.04, 0.03, 0.04])
        # A later one is never below an earlier one: 0.02·2 = 0.04, then 0.03·1 = 0.03 is raised to 0.04.
        assert holm([0.02, 0.03]) == pytest.approx([0.04, 0.04])
        assert holm([0.6, 0.9]) == [1.0, 1.0]
        assert holm([]) == []

    @settings(max_examples=30, deadline=None)
    @given(st.lists(st.floats(0, 1), min_size=1, max_size=12))
    def test_equals_statsmodels(self, p_values: list[float]) -> None:
        assert holm(p_values) == pytest.approx(list(multipletests(p_values, method="holm")[1]), abs=1e-12)

    @pytest.mark.parametrize("wrong", [1.5, -0.1, math.nan])
    def test_refuses_what_is_no_probability(self, wrong: float) -> None:
        with pytest.raises(ValueError, match="p-values"):
            holm([0.5, wrong])


class TestSpearman:
    def test_by_hand(self) -> None:
        # Ranks 1, 2.5, 2.5, 4 and 1, 4, 2.5, 2.5; from their mean 2.5: -1.5, 0, 0, 1.5 and -1.5, 1.5, 0, 0.
        # Products add up to 2.25, squares to 4.5 and 4.5: 2.25 / 4.5.
        assert spearman([1, 2, 2, 4], [0.1, 0.9, 0.5, 0.5]) == pytest.approx(0.5, abs=1e-15)

    @given(st.lists(st.tuples(st.integers(0, 4), st.floats(0, 1)), min_size=2, max_size=40))
    def test_equals_scipy(self, pairs: list[tuple[int, float]]) -> None:
        a, b = zip(*pairs)
        found = spearman(a, b)
        if len(set(a)) == 1 or len(set(b)) == 1:
            assert found is None
        else:
            assert found == pytest.approx(scipy.stats.spearmanr(a, b).statistic, abs=1e-12)

    def test_nothing_to_order(self) -> None:
        assert spearman([0.1] * 7, range(7)) is None
        assert spearman([1], [2]) is None
        assert spearman([], []) is None

    def test_refuses_what_are_no_pairs_of_numbers(self) -> None:
        with pytest.raises(ValueError, match="not pairs"):
            spearman([1, 2], [1])
        with pytest.raises(ValueError, match="not all values are finite"):
            spearman([1, math.nan], [1, 2])

    @pytest.mark.parametrize("clusters", [None, [str(i % 7) for i in range(60)]])
    def test_its_bootstrap_is_the_same_resamples_as_the_general_one(self, clusters: list[str] | None) -> None:
        rng = np.random.default_rng(11)
        grades = rng.integers(1, 5, 60)
        values = np.round(grades + rng.normal(size=60), 1)  # some are equal

        def general(chosen: np.ndarray) -> float:
            found = spearman(values[chosen], grades[chosen])
            assert found is not None
            return found

        ours = bootstrap_spearman(values, grades, clusters, seed=3)
        assert ours == pytest.approx(bootstrap(general, 60, clusters, seed=3), abs=1e-12)
        assert -1 <= ours[0] < ours[1] <= 1

    def test_a_bootstrap_that_says_nothing(self) -> None:
        assert bootstrap_spearman([1, 2, 3], [1, 2, 3], ["one"] * 3) == UNKNOWN
        assert bootstrap_spearman([1, 1, 1], [1, 2, 3]) == UNKNOWN
        assert bootstrap_spearman([], []) == UNKNOWN
        # Half of the resamples of two pairs have one of them twice, and no correlation.
        assert bootstrap_spearman([1, 2], [5, 6]) == UNKNOWN
        # One pair in 100 that differs is missing from 37% of the resamples; the ten best are from next to none.
        assert bootstrap_spearman([0] * 99 + [1], range(100)) == UNKNOWN
        assert bootstrap_spearman([0] * 90 + [1] * 10, range(100))[0] > 0


class TestWeightedKappa:
    def test_by_hand(self) -> None:
        # Squared steps apart: 0, 1, 0, 0, 4, so 5 in five pairs. By chance, from how often each grade is given (2, 1,
        # 2 and 2, 2, 1): one step apart 2·2 + 1·2 + 1·1 + 2·2 = 11 of 25, two steps 2·1 + 2·2 = 6 of 25,
        # (11 + 4·6)/25 = 1.4 a pair. 1 - (5/5)/1.4 = 2/7.
        assert weighted_kappa([1, 1, 2, 3, 3], [1, 2, 2, 3, 1], (1, 2, 3)) == pytest.approx(2 / 7, abs=1e-15)

    @given(st.lists(st.tuples(st.integers(1, 4), st.integers(1, 4)), min_size=1, max_size=40))
    def test_equals_statsmodels(self, pairs: list[tuple[int, int]]) -> None:
        a, b = zip(*pairs)
        found = weighted_kappa(a, b, (1, 2, 3, 4))
        if len({*a, *b}) == 1:
            assert found is None
            return
        table = np.zeros((4, 4))
        for one, other in pairs:
            table[one - 1, other - 1] += 1
        assert found == pytest.approx(cohens_kappa(table, wt="quadratic", return_results=False), abs=1e-12)

    def test_ends(self) -> None:
        assert weighted_kappa("abc", "abc", "abc") == 1.0
        assert weighted_kappa("ac", "ca", "abc") == -1.0
        assert weighted_kappa("aa", "aa", "abc") is None
        assert weighted_kappa([], [], (1, 2)) is None

    def test_a_level_that_nobody_gave_still_counts_as_a_step(self) -> None:
        # With level 2 between, 1 and 3 lie two steps apart; the weights of all pairs grow alike and kappa stays.
        a, b = [1, 1, 3, 3], [1, 3, 3, 3]
        assert weighted_kappa(a, b, (1, 3)) == weighted_kappa(a, b, (1, 2, 3))

    def test_refuses_an_unknown_grade_and_what_are_no_pairs(self) -> None:
        with pytest.raises(ValueError, match="5 is not one of the levels"):
            weighted_kappa([1, 5], [1, 1], (1, 2, 3, 4))
        with pytest.raises(ValueError, match="not pairs"):
            weighted_kappa([1, 2], [1], (1, 2))

    def test_its_bootstrap_is_the_same_resamples_as_the_general_one(self) -> None:
        rng = np.random.default_rng(12)
        a = rng.integers(1, 5, 80)
        b = np.clip(a + rng.integers(-1, 2, 80), 1, 4)
        documents = [str(i // 4) for i in range(80)]

        def general(chosen: np.ndarray) -> float:
            found = weighted_kappa(list(a[chosen]), list(b[chosen]), (1, 2, 3, 4))
            assert found is not None
            return found

        ours = bootstrap_kappa(list(a), list(b), (1, 2, 3, 4), documents, seed=4)
        assert ours == pytest.approx(bootstrap(general, 80, documents, seed=4), abs=1e-12)

    def test_its_bootstrap_leaves_out_resamples_without_kappa(self) -> None:
        assert bootstrap_kappa([1, 1], [1, 1], (1, 2)) == UNKNOWN
        assert bootstrap_kappa([1, 2], [1, 2], (1, 2), ["a", "b"]) == UNKNOWN  # as for a correlation
        assert bootstrap_kappa([1, 2] * 10, [1, 2] * 10, (1, 2)) == (1.0, 1.0)


class TestKrippendorff:
    # The worked examples of Krippendorff 2011, with the values printed there.
    BINARY = (
        (0, 1, 0, 0, 0, 0, 0, 0, 1, 0),
        (1, 1, 1, 0, 0, 1, 0, 0, 0, 0),
    )
    FOUR_OBSERVERS = (
        (1, 2, 3, 3, 2, 1, 4, 1, 2, None, None, None),
        (1, 2, 3, 3, 2, 2, 4, 1, 2, 5, None, 3),
        (None, 3, 3, 3, 2, 3, 4, 2, 2, 5, 1, None),
        (1, 2, 3, 3, 2, 4, 4, 1, 2, 5, 1, None),
    )

    def test_two_observers(self) -> None:
        # Of 20 values 14 are 0 and 6 are 1; 4 of 10 units differ, which is 8 of 20 pairable values. By chance
        # 2·14·6/19 would: 1 - 8·19/(2·14·6) = 1 - 152/168.
        assert krippendorff_alpha(list(zip(*self.BINARY)), "nominal") == pytest.approx(1 - 152 / 168, abs=1e-15)
        assert round(1 - 152 / 168, 3) == 0.095

    @pytest.mark.parametrize(("level", "printed"), [("nominal", 0.743), ("ordinal", 0.815), ("interval", 0.849)])
    def test_four_observers_with_missing_ratings(self, level: Literal["nominal", "ordinal"], printed: float) -> None:
        assert krippendorff_alpha(list(zip(*self.FOUR_OBSERVERS)), level) == pytest.approx(printed, abs=5e-4)

    def test_interval_by_hand(self) -> None:
        # Squared differences over all ordered pairs: within units 2·1 + 0 = 2, over 4 values 0.5 a value. Across all
        # of 1, 2, 3, 3: 2·(1 + 4 + 4 + 1 + 1 + 0) = 22, over 4·3 pairs. 1 - 0.5/(22/12).
        assert krippendorff_alpha([[1, 2], [3, 3]]) == pytest.approx(1 - 0.5 * 12 / 22, abs=1e-15)

    def test_a_unit_that_one_rater_saw_changes_nothing(self) -> None:
        assert krippendorff_alpha([[1, 2], [3, 3], [9, None], [None, None]]) == krippendorff_alpha([[1, 2], [3, 3]])

    def test_ends(self) -> None:
        assert krippendorff_alpha([[1, 1], [5, 5]]) == 1.0
        assert krippendorff_alpha([[1, 5], [5, 1]]) < 0  # type: ignore[operator]
        assert krippendorff_alpha([[3, 3], [3, 3]]) is None
        assert krippendorff_alpha([[1, None], [None, 2]]) is None
        assert krippendorff_alpha([]) is None

    @given(st.lists(st.lists(st.one_of(st.none(), st.integers(1, 5)), min_size=3, max_size=3), min_size=1, max_size=15))
    def test_interval_is_twice_the_variances(self, ratings: list[list[int | None]]) -> None:
        """Another way to the same number: differences squared over all pairs are variances."""
        units = [kept for unit in ratings if len(kept := [float(v) for v in unit if v is not None]) > 1]
        values = [value for unit in units for value in unit]
        found = krippendorff_alpha(ratings)
        if len(set(values)) < 2:
            assert found is None
            return
        within = sum(len(unit) * np.var(unit, ddof=1) for unit in units) / len(values)
        assert found == pytest.approx(1 - within / np.var(values, ddof=1), abs=1e-9)


class TestClusters:
    def record(self, item: str, **meta: str) -> Record:
        return Record(Item(id=item, question="?", meta=meta), Output(item_id=item))

    def test_none_where_no_document_is_shared(self) -> None:
        assert clusters_of([self.record("1"), self.record("2")]) is None
        assert clusters_of([self.record("1", document="a"), self.record("2", document="b")]) is None
        assert clusters_of([]) is None

    def test_items_of_a_document_share_a_cluster_and_the_rest_stand_alone(self) -> None:
        records = [self.record("1", document="2"), self.record("2"), self.record("3", document="2")]
        first, second, third = clusters_of(records) or []
        assert first == third != second


def test_a_hundred_thousand_values_stay_within_memory() -> None:
    """10,000 × 100,000 draws at once would be 8 GB; a chunk is a few dozen MB."""
    values = np.random.default_rng(9).random(100_000) - 0.5
    documents = [str(random.Random(i).randrange(40_000)) for i in range(100_000)]
    tracemalloc.start()
    try:
        bootstrap_mean(values, documents, resamples=200)
        bootstrap_mean(values, resamples=200)
        paired_permutation(values, permutations=200)
        bootstrap_spearman(values[:20_000], values[20_000:40_000], documents[:20_000], resamples=20)
        assert tracemalloc.get_traced_memory()[1] < 150e6
    finally:
        tracemalloc.stop()
