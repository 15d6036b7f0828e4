"""Comparing two models: pairs, tests checked against scipy and statsmodels on stored answers, and refusals."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import made
import numpy as np
import pytest
from click.testing import CliRunner
from medbench.cli import cli
from medbench.core.errors import UsageError
from medbench.results.compare import compare
from medbench.results.comparison import ComparedFigure, Comparison
from medbench.results.manifest import Session
from medbench.results.pairing import Counts

RIGHT = made.Read("right")
SCORE = made.Read("score", binary=False)
LOAD = made.loader(
    RIGHT, SCORE, made.Read("loss", binary=False, better="lower"), made.Read("ece", mean=False), made.Speed()
)


def two(root: Path, a: dict[str, str], b: dict[str, str], metric: str = "right", **about: Any) -> Comparison:
    ids = sorted({*a, *b})
    runs = [
        made.make_run(root, answers, item_ids=ids, model=model, metrics=[metric], **about)
        for model, answers in (("one", a), ("two", b))
    ]
    return compare(runs[0], runs[1], load=LOAD)


def only(comparison: Comparison) -> ComparedFigure:
    ((line,),) = [match.lines for match in comparison.matches]
    return line


# --- against scipy and statsmodels ------------------------------------------------------------------------------------


@pytest.mark.parametrize(("n", "seed"), [(1, 0), (2, 1), (9, 2), (30, 3), (200, 4), (500, 5)])
def test_right_and_wrong_as_statsmodels_has_mcnemar(tmp_path: Path, n: int, seed: int) -> None:
    from statsmodels.stats.contingency_tables import mcnemar

    random = np.random.default_rng(seed)
    a, b = (random.random(n) < 0.6).astype(int), (random.random(n) < 0.5).astype(int)
    line = only(two(tmp_path, dict(made.enumerate_ids(a)), dict(made.enumerate_ids(b))))
    table = [[int(((a == x) & (b == y)).sum()) for y in (1, 0)] for x in (1, 0)]
    assert line.counts == Counts(both=table[0][0], only_a=table[0][1], only_b=table[1][0], neither=table[1][1])
    assert (line.test, line.n) == ("exact McNemar", n)
    assert line.p == pytest.approx(mcnemar(table, exact=True).pvalue)
    assert (line.a, line.b) == pytest.approx((a.mean(), b.mean()))
    assert line.difference == pytest.approx(a.mean() - b.mean())


def test_right_and_wrong_on_shared_documents_are_tested_by_document(tmp_path: Path) -> None:
    # One has all six items right, the other none. Six independent items: 2 · (1/2)⁶ = 1/32. But they are of two
    # documents, so there are four ways to swap the two models: 2 of 4 are as extreme.
    documents = {item_id: f"document {at // 3}" for at, item_id in enumerate(made.bits("111111"))}
    line = only(two(tmp_path, made.bits("111111"), made.bits("000000"), documents=documents))
    assert (line.test, line.p) == ("paired permutation", pytest.approx(1 / 2))
    assert line.counts == Counts(both=0, only_a=6, only_b=0, neither=0)
    alone = only(two(tmp_path / "alone", made.bits("111111"), made.bits("000000")))
    assert (alone.test, alone.p) == ("exact McNemar", pytest.approx(1 / 32))


@pytest.mark.parametrize("seed", range(4))
def test_scores_as_scipy_has_the_exact_permutation_test(tmp_path: Path, seed: int) -> None:
    from scipy.stats import permutation_test

    random = np.random.default_rng(seed)
    a, b = random.random(11).round(3), random.random(11).round(3)
    line = only(two(tmp_path, dict(made.enumerate_ids(a)), dict(made.enumerate_ids(b)), "score"))
    theirs = permutation_test(
        (a, b), lambda x, y: np.mean(x) - np.mean(y), permutation_type="samples", n_resamples=np.inf
    )
    assert (line.test, line.counts) == ("paired permutation", None)
    assert line.p == pytest.approx(theirs.pvalue)


def test_the_interval_of_a_difference_as_scipy_bootstraps_it(tmp_path: Path) -> None:
    from scipy.stats import bootstrap

    random = np.random.default_rng(0)
    a = random.random(300).round(4)
    b = (a + random.normal(0.05, 0.2, 300)).round(4)
    line = only(two(tmp_path, dict(made.enumerate_ids(a)), dict(made.enumerate_ids(b)), "score"))
    theirs = bootstrap(
        (a, b),
        lambda x, y, axis: np.mean(x, axis=axis) - np.mean(y, axis=axis),
        paired=True,
        n_resamples=20_000,
        method="percentile",
        rng=np.random.default_rng(1),
    ).confidence_interval
    assert line.low is not None and line.high is not None
    width = theirs.high - theirs.low
    assert (line.low, line.high) == pytest.approx((theirs.low, theirs.high), abs=0.07 * width)


def test_p_values_are_adjusted_over_everything_shown_as_statsmodels_has_holm(tmp_path: Path) -> None:
    from statsmodels.stats.multitest import multipletests

    random = np.random.default_rng(3)
    sides: list[list[Any]] = [[], []]
    for benchmark in ("medqa", "pubmedqa", "mmlu-med"):
        for side, model, share in ((0, "one", 0.7), (1, "two", 0.45)):
            answers = dict(made.enumerate_ids((random.random(60) < share).astype(int)))
            sides[side].append(
                made.make_run(tmp_path, answers, model=model, benchmark=benchmark, metrics=["right", "score"])
            )
    comparison = compare(sides[0], sides[1], load=LOAD)
    lines = [line for match in comparison.matches for line in match.lines]
    assert len(lines) == comparison.tests == 6
    theirs = multipletests([line.p for line in lines], method="holm")
    assert [line.p_holm for line in lines] == pytest.approx(list(theirs[1]))
    assert [line.favours for line in lines] == ["a" if real else "" for real in theirs[0]]
    assert {line.favours for line in lines} == {"a", ""}  # both kinds occur


# --- pairs ------------------------------------------------------------------------------------------------------------


def test_only_items_that_both_answered_and_scored_are_paired_and_the_rest_is_counted(tmp_path: Path) -> None:
    #              item:   000   001   002   003   004   005
    a = dict(zip(["000", "001", "002", "003", "004"], "11?01", strict=True))
    b = dict(zip(["001", "002", "003", "004", "005"], "01?11", strict=True))
    comparison = two(tmp_path, a, b)
    (match,) = comparison.matches
    assert (match.both, match.only_a, match.only_b) == (4, 1, 1)
    line = only(comparison)
    # 001: A right, B wrong; 002 unscored in A; 003 unscored in B; 004: both right.
    assert line.counts == Counts(both=1, only_a=1, only_b=0, neither=0)
    assert (line.n, line.a, line.b, line.difference) == (2, 1.0, 0.5, 0.5)
    assert line.left_out == (("unscored in A: no number", 1), ("unscored in B: no number", 1))


def test_nothing_in_common_is_said_and_not_tested(tmp_path: Path) -> None:
    comparison = two(tmp_path, {"000": "1"}, {"001": "1"})
    line = only(comparison)
    assert (line.n, line.p, line.note) == (0, None, "no item is scored in both")
    assert comparison.tests == 0


def test_one_pair_has_no_interval(tmp_path: Path) -> None:
    line = only(two(tmp_path, {"000": "1"}, {"000": "0"}))
    assert (line.low, line.high) == (None, None)
    assert line.p == 1.0
    assert line.favours == ""


def test_documents_are_turned_whole(tmp_path: Path) -> None:
    ids = [f"{n:03}" for n in range(40)]
    a = {item_id: "0.9" if n % 8 == 0 else "0.2" for n, item_id in enumerate(ids)}
    b = dict.fromkeys(ids, "0.1")
    apart = only(two(tmp_path / "apart", a, b, "score"))
    documents = {item_id: str(n % 8) for n, item_id in enumerate(ids)}
    together = only(two(tmp_path / "together", a, b, "score", documents=documents))
    assert together.difference == apart.difference
    # Eight documents, all in A's favor: 2 of 2⁸ sign patterns; forty items would seem far surer.
    assert together.p == pytest.approx(2 / 256)
    assert apart.p is not None and apart.p < 0.001
    assert None not in (apart.low, apart.high, together.low, together.high)
    assert together.high - together.low > 1.5 * (apart.high - apart.low)  # type: ignore[operator]


def test_few_documents_are_told_once_per_comparison(tmp_path: Path) -> None:
    answers = made.bits("10" * 20)
    for count, told in ((8, ["The items come from only 8 documents"]), (20, []), (0, [])):
        documents = {i: f"doc{at % count}" for at, i in enumerate(answers)} if count else None
        (match,) = two(tmp_path / str(count), answers, answers, documents=documents).matches
        assert [note.partition(".")[0] for note in match.notes] == told


def test_fewer_than_six_documents_have_no_interval(tmp_path: Path) -> None:
    # Of five signs, 2 of 2⁵ patterns are all alike: p is 1/16 at the least, so no difference can be excluded at 5%.
    answers = {f"{n:03}": str(n / 100) for n in range(40)}
    for count, known in ((5, False), (6, True)):
        documents = {item_id: str(n % count) for n, item_id in enumerate(answers)}
        line = only(two(tmp_path / str(count), answers, dict.fromkeys(answers, "0"), "score", documents=documents))
        assert line.p == pytest.approx(2 / 2**count)
        assert (line.low is not None, line.high is not None) == (known, known)


@pytest.mark.parametrize(("a", "b", "p"), [("1" * 5, "0" * 5, 1 / 16), ("1" * 6, "0" * 6, 1 / 32), ("", "", 1.0)])
def test_the_interval_of_right_and_wrong_holds_0_where_p_is_above_5_percent(
    tmp_path: Path, a: str, b: str, p: float
) -> None:
    line = only(two(tmp_path, made.bits(a.ljust(100, "1")), made.bits(b.ljust(100, "1"))))
    assert line.p == pytest.approx(p)
    assert line.low is not None and line.high is not None
    assert (line.low <= 0 <= line.high) == (p > 0.05)
    assert line.high - line.low > 0.05  # no discordant item of 100: up to 1 - 0.025^(1/100) = 0.036 on either side


def test_where_lower_is_better_the_lower_side_is_favoured(tmp_path: Path) -> None:
    low, high = (dict(made.enumerate_ids([value] * 12)) for value in (0.1, 0.9))
    line = only(two(tmp_path, low, high, "loss"))
    assert line.difference == pytest.approx(-0.8)
    assert line.favours == "a"


def test_a_figure_that_is_no_mean_is_shown_over_the_common_items_and_not_tested(tmp_path: Path) -> None:
    line = only(two(tmp_path, made.bits("1110"), made.bits("10"), "ece"))
    assert (line.a, line.b, line.n) == (1.0, 0.5, 2)
    assert (line.difference, line.test, line.p) == (0.5, "", None)
    assert line.note == "not tested; no item mean"


def test_a_measurement_is_shown_and_not_tested(tmp_path: Path) -> None:
    runs = [
        made.make_run(
            tmp_path, made.bits("10"), model=model, metrics=["speed"], sessions=[Session(items=2, seconds=seconds)]
        )
        for model, seconds in (("one", 1.0), ("two", 4.0))
    ]
    line = only(compare(*runs, load=LOAD))
    assert (line.a, line.b, line.difference, line.unit) == (2.0, 0.5, 1.5, "items/s")
    assert (line.note, line.p, line.favours) == ("measured once per run", None, "")


def test_a_verdict_is_below_its_p_value_in_a_narrow_window_and_a_reason_below_the_table(tmp_path: Path) -> None:
    about = {"metrics": ["exact_match", "peak_rss_bytes"]}
    for model, pattern in (("one", "1" * 12), ("two", "0" * 12)):
        answers = {f"{at:02}": "yes" if right == "1" else "no" for at, right in enumerate(pattern)}
        sessions = [Session(items=12, seconds=2.0, peak_rss_bytes=1 << 30)]
        made.make_run(tmp_path / "runs", answers, model=model, sessions=sessions, **about)

    def shown(columns: str) -> list[list[str]]:
        words = ["compare", "one", "two", "--out", str(tmp_path / "runs")]
        done = CliRunner().invoke(cli, words, env={"COLUMNS": columns})
        return [line.split() for line in done.stdout.splitlines()]

    wide, narrow = shown("120"), shown("80")
    assert ["exact_match", "1.000", "0.000", "+1.000", "<0.001", "A", "is", "better"] in wide
    at = narrow.index(["exact_match", "1.000", "0.000", "+1.000", "<0.001"])
    assert narrow[at + 1][-3:] == ["A", "is", "better"]
    assert ["peak", "RSS:", "measured", "once", "per", "run"] in narrow


def test_namesakes_are_told_apart(tmp_path: Path) -> None:
    a, b = (made.make_run(tmp_path, made.bits("10"), dtype=dtype) for dtype in ("float32", "bfloat16"))
    (match,) = compare(a, b, load=LOAD).matches
    assert (match.label_a, match.label_b) == ("tiny (dtype float32)", "tiny (dtype bfloat16)")


def test_metrics_are_those_that_both_list_or_those_named(tmp_path: Path) -> None:
    a = made.make_run(tmp_path, made.bits("10"), model="one", metrics=["right", "score"])
    b = made.make_run(tmp_path, made.bits("10"), model="two", metrics=["right"])
    assert only(compare(a, b, load=LOAD)).name == "right"
    assert only(compare(a, b, metrics=["score"], load=LOAD)).name == "score"
    comparison = compare(a, b, metrics=["gone", "right"], load=LOAD)
    assert only(comparison).name == "right"
    assert [str(problem) for problem in comparison.problems] == ["no metric is called 'gone'."]


# --- what cannot be compared ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("field", "other", "words"),
    [
        ("version", "2", "the benchmark's version: '1' against '2'"),
        ("variant", "4 of 6", "the variant: '' against '4 of 6'"),
        ("items_hash", "beef", "the items: 2 items [hash of 2] against 2 items [beef]"),
        ("prompt_hash", "beef", "the prompts: 'plain' against 'beef'"),
        ("shots", 3, "the number of examples (shots): 0 against 3"),
        ("method", "logprob", "how the answer is obtained (method): 'generate' against 'logprob'"),
        ("benchmark", "exam", "the benchmark: 'quiz' against 'exam'"),
    ],
)
def test_runs_that_cannot_be_compared_are_refused_with_the_field_and_both_values(
    tmp_path: Path, field: str, other: Any, words: str
) -> None:
    a = made.make_run(tmp_path, made.bits("10"), model="one")
    b = made.make_run(tmp_path, made.bits("10"), model="two", **{field: other})
    with pytest.raises(UsageError) as caught:
        compare(a, b, load=LOAD)
    assert caught.value.message.endswith(f"cannot be compared. They differ in {words}.")
    assert a.manifest.run_id in caught.value.message


def test_a_choice_and_a_written_answer_are_refused_with_the_way_to_have_both_written(tmp_path: Path) -> None:
    a = made.make_run(tmp_path, made.bits("10"), model="one")
    b = made.make_run(tmp_path, made.bits("10"), model="two", method="logprob")
    with pytest.raises(UsageError) as caught:
        compare(a, b, load=LOAD)
    assert caught.value.hint == "Have two write its answers too: medbench run … --choice generate"


def test_groups_are_matched_by_column_and_what_has_no_counterpart_is_named(tmp_path: Path) -> None:
    a = [made.make_run(tmp_path, made.bits("10"), model="one", benchmark=name) for name in ("medqa", "pubmedqa")]
    b = [made.make_run(tmp_path, made.bits("10"), model="two", benchmark=name) for name in ("mmlu-med", "medqa")]
    comparison = compare(a, b, load=LOAD)
    assert [match.title for match in comparison.matches] == ["medqa · 2 items · generated · 0-shot"]
    assert comparison.left_out == (
        "pubmedqa · 2 items · generated · 0-shot: only one has it",
        "mmlu-med · 2 items · generated · 0-shot: only two has it",
    )
    with pytest.raises(UsageError, match="the benchmark: 'pubmedqa' against 'mmlu-med'"):
        compare(a[1:], b[:1], load=LOAD)


def test_a_side_with_two_runs_for_one_column_is_a_choice_nobody_made(tmp_path: Path) -> None:
    one, two_, three = (made.make_run(tmp_path, made.bits("10"), model=model) for model in ("one", "two", "three"))
    with pytest.raises(UsageError, match=f"(?s)A has 2 runs of .*{one.manifest.run_id}.*{two_.manifest.run_id}"):
        compare([one, two_], three, load=LOAD)
    with pytest.raises(UsageError, match=r"B has no runs\."):
        compare(one, [], load=LOAD)
    with pytest.raises(UsageError, match="A and B are the same run"):
        compare(one, one, load=LOAD)


def test_a_column_that_one_side_has_twice_is_left_out_and_the_others_are_compared(tmp_path: Path) -> None:
    twice = [made.make_run(tmp_path, made.bits("10"), model="a", dtype=dtype) for dtype in ("float32", "bfloat16")]
    a = made.make_run(tmp_path, made.bits("10"), model="a", benchmark="exam")
    b = [made.make_run(tmp_path, made.bits("11"), model="b", benchmark=name) for name in ("quiz", "exam")]
    found = compare([*twice, a], b, load=LOAD)
    assert [match.title for match in found.matches] == ["exam · 2 items · generated · 0-shot"]
    (problem,) = found.problems
    assert "a has 2 runs of quiz" in problem.message
    assert "dtype bfloat16" in problem.message
    assert problem.hint == "Name one of them by its run id."
    assert found.left_out == ()


def test_of_three_sides_every_two_are_compared_and_corrected_together(tmp_path: Path) -> None:
    runs = [
        made.make_run(tmp_path, made.bits(pattern), model=model)
        for model, pattern in (("one", "1111110000"), ("two", "0000001111"), ("three", "1111110001"))
    ]
    found = compare(*runs, load=LOAD)
    assert [(match.label_a, match.label_b) for match in found.matches] == [
        ("one", "two"),
        ("one", "three"),
        ("two", "three"),
    ]
    # McNemar: 6 against 4, 0 against 1, and 3 against 6 discordant items; none is near 5%, and Holm leaves 1 each.
    assert [match.lines[0].p for match in found.matches] == pytest.approx([772 / 1024, 1.0, 260 / 512])
    assert [match.lines[0].p_holm for match in found.matches] == [1.0, 1.0, 1.0]
    assert found.tests == 3


def test_a_metric_that_fits_no_item_of_either_run_is_left_out_unless_it_is_asked_for(tmp_path: Path) -> None:
    runs = [
        made.make_run(tmp_path, {"1": "?", "2": "?"}, model=model, metrics=["right", "speed"])
        for model in ("one", "two")
    ]
    (match,) = compare(*runs, load=LOAD).matches
    assert match.lines == ()
    (match,) = compare(*runs, metrics=["right"], load=LOAD).matches
    first = match.lines[0]
    assert (first.name, first.note) == ("right", "no item is scored in both")
    assert first.left_out == (("unscored in A: no number", 2),)


def test_a_run_that_cannot_be_read_is_named_and_fails_the_command(tmp_path: Path) -> None:
    """Of the two models that are compared, not of others in the folder."""
    for model in ("one", "two", "another-one"):
        made.make_run(tmp_path, made.bits("1101"), model=model, metrics=["exact_match"])
    asked = ["compare", "one", "two", "--out", str(tmp_path)]
    broken = {model: tmp_path / f"{model}__broken__0123456789" for model in ("another-one", "one")}
    for folder in broken.values():
        folder.mkdir()
        (folder / "manifest.json").write_text("{")
        if folder == broken["another-one"]:
            assert (done := CliRunner().invoke(cli, asked)).exit_code == 0, done.stderr
    done = CliRunner().invoke(cli, [*asked, "--json"])
    assert done.exit_code == 1
    assert f"Left out: {broken['one']}" in done.stderr
    assert "another-one" not in done.stderr
    value = json.loads(done.stdout)
    assert str(broken["one"]) in value["problems"][0]
    assert len(value["matches"]) == 1, "what can be compared is shown"
