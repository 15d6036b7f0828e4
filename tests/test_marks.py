"""Marks of a leaderboard: how often they are wrong with models that are equal, and that the rows' order is irrelevant.

Simulated boards have a fixed seed; a rate over 600 of them has a standard error of 0.009 at 0.05. `peers/marks.py` has
the same with more boards and other shapes.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from statistics import NormalDist
from typing import Any

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from medbench.core.paired_intervals import sign_flip_bound
from medbench.core.paired_tests import holm, mcnemar_exact, paired_permutation, paired_permutations
from medbench.results.marks import Compared, Verdict, verdicts
from medbench.results.pairing import ALPHA

BOARDS = 600
MOST = ALPHA + 3 * math.sqrt(ALPHA * (1 - ALPHA) / BOARDS)  # 0.077: what chance makes of a true 0.05


def column(values: Any, binary: bool = True, clusters: dict[str, str] | None = None, **about: Any) -> Compared:
    """A metric of a board from values as items × models; NaN is unscored."""
    table = np.asarray(values, dtype=np.float64)
    rows = [{f"{i:04}": v for i, v in enumerate(row.tolist()) if not math.isnan(v)} for row in table.T]
    given = {"names": [f"m{row:03}" for row in range(len(rows))], "rivals": range(len(rows)), "higher": True} | about
    return Compared(values=[row or None for row in rows], binary=binary, clusters=clusters, **given)


def worse(*columns: Compared) -> list[set[int]]:
    """The rows that are marked, by column."""
    return [{row for row, v in found.items() if v.p is not None and v.p < ALPHA} for found in verdicts(columns)[0]]


def right_and_wrong(random: np.random.Generator, items: int, accuracy: Sequence[float]) -> np.ndarray:
    """Answers of models whose errors correlate: half of the variance of a latent ability is the item's."""
    ability = math.sqrt(0.5) * random.normal(size=(items, 1)) + math.sqrt(0.5) * random.normal(
        size=(items, len(accuracy))
    )
    return (ability < [NormalDist().inv_cdf(share) for share in accuracy]).astype(float)


# --- how often a mark is wrong ----------------------------------------------------------------------------------------


def test_twelve_equal_models_by_right_and_wrong() -> None:
    """At most one board in twenty may mark any of them. With the best one chosen first and the others tested against it
    with eleven tests, it was 12%.
    """
    random = np.random.default_rng(1)
    boards = [right_and_wrong(random, 200, [0.6] * 12) for _ in range(BOARDS)]
    assert sum(bool(worse(column(board))[0]) for board in boards) / BOARDS <= MOST
    chosen = 0
    for board in boards:
        best = int(board.sum(axis=0).argmax())
        p = [mcnemar_exact(*map(int, ((board[:, best] > x).sum(), (board[:, best] < x).sum()))) for x in board.T]
        del p[best]
        chosen += min(holm(p)) < ALPHA
    assert chosen / BOARDS > MOST  # the simulation can tell the two


def test_twelve_equal_models_by_scores() -> None:
    random = np.random.default_rng(2)
    boards = 150
    marked = sum(
        bool(worse(column(np.exp(random.normal(size=(40, 1)) + random.normal(size=(40, 12))), binary=False))[0])
        for _ in range(boards)
    )
    assert marked / boards <= ALPHA + 3 * math.sqrt(ALPHA * (1 - ALPHA) / boards)


def test_equal_best_models_among_worse_ones_stepping_down() -> None:
    """Six models that are far behind drop out; the six best are equal, and none of them may be marked more often."""
    random = np.random.default_rng(3)
    marks = [worse(column(right_and_wrong(random, 200, [0.7] * 6 + [0.35] * 6)))[0] for _ in range(BOARDS)]
    assert sum(bool(marked & set(range(6))) for marked in marks) / BOARDS <= MOST
    assert sum(len(marked & set(range(6, 12))) for marked in marks) / BOARDS > 5.99  # of six that are worse


def test_two_metrics_of_equal_models_share_one_error_rate() -> None:
    random = np.random.default_rng(4)
    marked = 0
    for _ in range(BOARDS):
        one, two = (column(right_and_wrong(random, 100, [0.6] * 6)) for _ in range(2))
        marked += any(worse(one, two))
    assert marked / BOARDS <= MOST


def test_documents_of_equal_models_are_not_independent_items() -> None:
    """Twenty documents with ten items each, on which a model is right or wrong together."""
    random = np.random.default_rng(5)
    clusters = {f"{item:04}": str(item // 10) for item in range(200)}
    boards = 200
    marked = sum(
        bool(worse(column(np.repeat(right_and_wrong(random, 20, [0.6] * 5), 10, axis=0), clusters=clusters))[0])
        for _ in range(boards)
    )
    assert marked / boards <= ALPHA + 3 * math.sqrt(ALPHA * (1 - ALPHA) / boards)


def test_a_model_that_is_worse_is_found() -> None:
    """0.45 among eleven of 0.60, over 200 items: found on 95% of boards (98% by the test that marks too much)."""
    random = np.random.default_rng(6)
    found = [worse(column(right_and_wrong(random, 200, [0.6] * 11 + [0.45])))[0] for _ in range(BOARDS)]
    assert sum(11 in marked for marked in found) / BOARDS > 0.9


# --- what two models have always had ----------------------------------------------------------------------------------


@settings(max_examples=60, deadline=None)
@given(st.lists(st.tuples(st.booleans(), st.booleans()), min_size=1, max_size=40))
def test_two_models_have_the_plain_paired_test(pairs: list[tuple[bool, bool]]) -> None:
    board = np.array(pairs, dtype=float)
    (found,), _ = verdicts([column(board)])
    more, less = int((board[:, 0] > board[:, 1]).sum()), int((board[:, 0] < board[:, 1]).sum())
    expected = (
        {0: None, 1: None} if more == less else {int(more > less): mcnemar_exact(more, less), int(more < less): None}
    )
    assert {row: verdict.p for row, verdict in found.items()} == expected


def test_two_models_with_three_metrics_have_holm() -> None:
    random = np.random.default_rng(7)
    boards = [random.random((30, 2)) + np.array([0, lead]) for lead in (0.05, 0.2, 0.3)]
    plain = [paired_permutation(board[:, 1] - board[:, 0]) for board in boards]
    found, tests = verdicts([column(board, binary=False) for board in boards])
    assert tests == 3
    assert [verdict[0].p for verdict in found] == pytest.approx(holm(plain))


def test_three_models_by_hand() -> None:
    # Right: 20, 14 and 8 of 20, each a part of the one before. McNemar: 6, 12 and 6 against 0.
    board = np.array([[item < right for right in (20, 14, 8)] for item in range(20)])
    (found,), tests = verdicts([column(board)])
    assert tests == 3
    # The last: 2 / 2¹² times three pairs. It drops out, one pair is left: 2 / 2⁶.
    assert found == {0: Verdict(), 1: Verdict(2 / 2**6, 0, 20), 2: Verdict(3 * 2 / 2**12, 0, 20)}


# --- what does not matter ---------------------------------------------------------------------------------------------


def shuffled(columns: Sequence[Compared], order: Sequence[int]) -> list[Compared]:
    return [
        Compared(
            [each.names[row] for row in order],
            [each.values[row] for row in order],
            [at for at, row in enumerate(order) if row in each.rivals],
            each.higher,
            each.binary,
            each.clusters,
        )
        for each in columns
    ]


cell = st.sampled_from([0.0, 1.0, 1.0, math.nan])


@settings(max_examples=80, deadline=None)
@given(
    st.integers(2, 5).flatmap(lambda n: st.lists(st.lists(cell, min_size=n, max_size=n), min_size=1, max_size=14)),
    st.randoms(use_true_random=False),
    st.booleans(),
)
@example([[1.0, 1.0, 0.0]] * 12, None, True)  # two that are best, and one that is worse than either
def test_the_order_of_the_runs_changes_nothing(board: list[list[float]], random: Any, binary: bool) -> None:
    columns = [column(board, binary=binary), column(np.array(board)[::-1], binary=binary, rivals={0, 1})]
    order = list(range(len(board[0])))[::-1]
    if random:
        random.shuffle(order)
    straight, tests = verdicts(columns)
    other, others_tests = verdicts(shuffled(columns, order))
    assert tests == others_tests
    for found, moved in zip(straight, other, strict=True):
        assert {row: verdict.p for row, verdict in found.items()} == {
            order[row]: verdict.p for row, verdict in moved.items()
        }


@pytest.mark.parametrize("other", [lambda x: x, lambda x: 1 - x, lambda x: 100 * x, lambda x: 1 - 2 * x])
def test_a_metric_that_says_the_same_is_no_second_test(other: Any) -> None:
    """accuracy beside an equal exact_match, a rate beside the rate of its opposite, a share beside percent."""
    board = np.array([[item < right for right in (20, 14, 8)] for item in range(20)], dtype=float)
    (alone,), tests = verdicts([column(board)])
    same = column(other(board), higher=bool(other(np.float64(1)) > other(np.float64(0))))
    both, of_both = verdicts([column(board), same])
    assert (both, of_both) == ([alone, alone], tests)


def test_a_metric_that_differs_on_one_item_is_a_second_test() -> None:
    board = np.array([[item < right for right in (20, 14)] for item in range(20)], dtype=float)
    near = board.copy()
    near[0, 1] = 0
    (first, second), tests = verdicts([column(board), column(near)])
    assert tests == 2
    # 6 and 7 against 0: 2/2⁷ twice, then 2/2⁶.
    assert (second[1].p, first[1].p) == (2 * 2 / 2**7, 2 / 2**6)


def test_equal_values_are_no_test_and_never_best_or_worse() -> None:
    found, tests = verdicts([column(np.zeros((20, 5))), column([[1.0, 0.0, 1.0, 0.0, 0.0]] * 12)])
    assert found[0] == dict.fromkeys(range(5), Verdict())
    assert tests == 6  # two against three
    assert worse(column([[1.0, 0.0, 1.0, 0.0, 0.0]] * 12)) == [{1, 3, 4}]


def test_a_model_without_common_items_is_not_tested() -> None:
    nan = math.nan
    (found,), tests = verdicts([column([[1, nan, 0]] * 10 + [[nan, 1, nan]] * 10)])
    assert (sorted(found), tests) == ([0, 2], 1)
    assert verdicts([column([[nan, nan]] * 3)]) == ([{}], 0)
    assert verdicts([]) == ([], 0)


def test_a_run_that_is_no_rival_is_tested_and_shows_nothing() -> None:
    board = [[0.0, 1.0]] * 12
    (found,), _ = verdicts([column(board, rivals={0})])
    assert found == {0: Verdict(), 1: Verdict()}
    (found,), _ = verdicts([column(board, rivals={1})])
    assert found == {0: Verdict(2 / 2**12, 1, 12), 1: Verdict()}


# --- small p-values ---------------------------------------------------------------------------------------------------


def test_a_hundred_models_can_be_told_apart_by_scores() -> None:
    """4,950 pairs: a p-value of 1 in 10,001, the least that random patterns show, could never pass 5% after them."""
    random = np.random.default_rng(8)
    values = random.random((300, 1)) + 0.2 * random.random((300, 100))
    values[:, 7] -= 0.1
    assert worse(column(values, binary=False)) == [{7}]


@settings(max_examples=60, deadline=None)
@given(st.lists(st.floats(-3, 3).filter(lambda x: abs(x) > 1e-3), min_size=1, max_size=12))
def test_the_bound_is_never_below_the_exact_p_value(differences: list[float]) -> None:
    assert sign_flip_bound(np.array(differences)) >= paired_permutation(differences) - 1e-12


def test_tests_together_give_what_each_gives_alone() -> None:
    random = np.random.default_rng(9)
    several = [random.normal(0.2, 1, size=units) for units in (3, 13, 14, 60, 200)]
    assert paired_permutations(several) == pytest.approx([paired_permutation(one) for one in several], abs=1e-12)
