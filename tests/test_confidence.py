"""Confidence and repeated samples: hand-computed values, and scikit-learn's AUROC."""

from __future__ import annotations

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st
from medbench.metrics.confidence import aurc, auroc, risk_coverage
from medbench.metrics.repeated_samples import agreement, majority, pass_at

ANSWERS = st.lists(st.tuples(st.sampled_from([0.2, 0.4, 0.5, 0.6, 0.9]), st.booleans()), min_size=1, max_size=30)


def test_auroc_counts_pairs_of_a_right_and_a_wrong_answer() -> None:
    # Right at 0.9, 0.5, 0.4; wrong at 0.6, 0.4. Of 6 pairs, 0.9 wins 2, 0.5 wins 1, 0.4 ties with 0.4: 3.5 / 6.
    assert auroc([0.9, 0.5, 0.4, 0.6, 0.4], [True, True, True, False, False]) == pytest.approx(3.5 / 6)


def test_auroc_needs_both_right_and_wrong_answers() -> None:
    assert auroc([0.1, 0.9], [True, True]) is None
    assert auroc([], []) is None


@given(ANSWERS)
def test_auroc_is_the_share_of_pairs_in_order(answers: list[tuple[float, bool]]) -> None:
    confidence, right = zip(*answers, strict=True)
    pairs = [
        1.0 if a > b else 0.5 if a == b else 0.0
        for (a, r), (b, s) in itertools.product(answers, answers)
        if r and not s
    ]
    expected = sum(pairs) / len(pairs) if pairs else None
    found = auroc(confidence, right)
    assert found == (None if expected is None else pytest.approx(expected))


def test_risk_at_each_coverage() -> None:
    # By confidence: right 0.9; wrong 0.8; right and right 0.5; wrong 0.1.
    curve = risk_coverage([0.5, 0.9, 0.1, 0.8, 0.5], [True, True, False, False, True])
    assert curve == [(0.2, 0.0), (0.4, 0.5), (0.8, 0.25), (1.0, 0.4)]


def test_the_area_is_the_mean_risk_over_coverages() -> None:
    # Without ties: risks 0, 1/2, 1/3 after one, two and three answers.
    assert aurc([0.9, 0.8, 0.7], [True, False, True]) == pytest.approx((0 + 1 / 2 + 1 / 3) / 3)
    # All tied: the risk is 1/2 at every coverage, whatever the order.
    assert aurc([0.5, 0.5], [True, False]) == pytest.approx(0.5)
    assert aurc([], []) is None


@given(ANSWERS)
def test_the_curve_ends_at_the_share_of_wrong_answers(answers: list[tuple[float, bool]]) -> None:
    confidence, right = zip(*answers, strict=True)
    assert risk_coverage(confidence, right)[-1] == (1.0, pytest.approx(right.count(False) / len(right)))
    assert 0 <= (aurc(confidence, right) or 0) <= 1


@pytest.mark.parametrize(
    ("answers", "chosen", "share"),
    [
        (["A", "B", "B", "C"], "B", 0.5),
        (["A", "B", "B", "A"], "A", 0.5),  # a tie: the answer given first
        ([None, None, "C"], "C", 1 / 3),  # unread answers have no vote, and count into the share
        ([None, None], None, 0.0),
    ],
)
def test_the_majority_and_the_share_that_agrees(answers: list[str | None], chosen: str | None, share: float) -> None:
    assert majority(answers) == chosen
    assert agreement(answers) == pytest.approx(share)


def test_pass_at_k_is_the_share_of_draws_with_a_right_answer() -> None:
    right = [True, False, False, True, False]
    for k in range(1, 6):
        draws = list(itertools.combinations(right, k))
        assert pass_at(k, right) == pytest.approx(sum(any(draw) for draw in draws) / len(draws))
    with pytest.raises(ValueError, match="pass@6 of 5"):
        pass_at(6, right)
