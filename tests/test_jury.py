"""Several judges of one answer, and one judge of two: juries, and preferences asked in both orders."""

from __future__ import annotations

import dataclasses
import json
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path

import fakes
import made
import pytest
import servers
from click.testing import CliRunner, Result
from medbench.cli import cli
from medbench.core.agreement import krippendorff_alpha
from medbench.core.types import GenerateRequest, Output, Score
from medbench.judges.judge import Judge
from medbench.judges.judging import Judging, ask
from medbench.judges.names import jury_name
from medbench.results.compare import STORED, compare
from medbench.results.comparison import ComparedFigure, Comparison, Verdicts
from medbench.results.manifest import ModelRecord
from medbench.results.manifest_file import write_manifest
from medbench.results.scoring import figures, load_metric, score_run
from medbench.results.store import StoredRun


class Says(fakes.FakeEngine):
    """Replies with what `text` makes of the prompt; no reply where that is None."""

    def __init__(self, text: Callable[[str], str | None]) -> None:
        super().__init__()
        self.text = text

    def generate(self, requests: Sequence[GenerateRequest]) -> Iterator[Output]:
        for request in requests:
            self.asked.append(request.item_id)
            text = self.text(request.prompt.question)
            if text is None:
                yield Output(request.item_id, finish="error", error="told to fail")
            else:
                yield Output(request.item_id, text=text, finish="stop")


def word(prompt: str, tag: str) -> str:
    """What stands between the tags called `tag`."""
    found = re.search(rf"<{tag}-(\w+)>\n(.*)\n</{tag}-\1>", prompt)
    assert found is not None
    return found[2]


# --- juries -----------------------------------------------------------------------------------------------------------

GRADES = {  # by item: what three judges say; None: no reply, "": one that cannot be read
    "a": (1, 2, 3),
    "b": (5, 5, 5),
    "c": (4, None, 4),
    "d": (2, 3, ""),
    "e": (4, 5, 4),
}


@pytest.fixture
def jury(tmp_path: Path) -> tuple[StoredRun, list[str]]:
    """A run that three judges have judged, and the names of their metrics."""
    run = made.make_run(tmp_path / "runs", {item: item for item in GRADES})
    names = []
    for place in range(3):

        def text(prompt: str, place: int = place) -> str | None:
            said = GRADES[word(prompt, "answer")][place]
            return None if said is None else json.dumps({"reason": "", "score": said}) if said else "no idea"

        names.append(ask(run, Judge(f"fake:{place}", Says(text)), "reference").metric)
    return run, names


def test_a_jury_is_the_mean_of_what_all_of_them_graded(jury: tuple[StoredRun, list[str]]) -> None:
    run, names = jury
    metric = load_metric(jury_name(names))
    scores = {score.item_id: score for score in score_run(run, metric)}  # type: ignore[arg-type]
    assert scores["a"] == Score("a", (1 + 2 + 3) / 3, answer="fake:0 1, fake:1 2, fake:2 3")
    assert (scores["b"].value, scores["e"].value) == (5, (4 + 5 + 4) / 3)
    assert scores["c"] == Score("c", None, "fake:1: not judged")
    assert scores["d"].value is None
    assert scores["d"].reason is not None
    assert scores["d"].reason.startswith("fake:2: unparsed")


def test_the_figures_of_a_jury_are_mean_and_alpha(jury: tuple[StoredRun, list[str]]) -> None:
    run, names = jury
    name = jury_name(names)
    mean, alpha = figures(run, [load_metric(name)])
    assert (mean.name, mean.n, mean.total) == (name, 3, 5)
    assert mean.value == pytest.approx((2 + 5 + 13 / 3) / 3)
    # Alpha takes every answer that two judges graded; of "c" and "d" one rating is missing.
    ratings = [[1, 2, 3], [5, 5, 5], [4, None, 4], [2, 3, None], [4, 5, 4]]
    assert alpha.name == f"{name}[alpha]"
    assert alpha.value == pytest.approx(krippendorff_alpha(ratings, "ordinal"))
    assert (alpha.n, alpha.total, alpha.better) == (5, 5, "")


def test_each_judge_has_its_own_column(jury: tuple[StoredRun, list[str]]) -> None:
    run, names = jury
    means = [figures(run, [load_metric(name)])[0] for name in names]
    assert [(mean.n, mean.value) for mean in means] == [
        (5, pytest.approx((1 + 5 + 4 + 2 + 4) / 5)),
        (4, pytest.approx((2 + 5 + 3 + 5) / 4)),
        (4, pytest.approx((3 + 5 + 4 + 4) / 4)),
    ]


def test_a_jury_says_which_of_it_judged_itself(tmp_path: Path) -> None:
    run = made.make_run(tmp_path, {"a": "x"})
    manifest = dataclasses.replace(run.manifest, model=ModelRecord(name="tiny", engine="transformers"))
    write_manifest(run.path, manifest)
    run = StoredRun(run.path)
    names = []
    for name in ("tiny", "other"):
        engine = Says(lambda prompt: json.dumps({"reason": "", "score": 3}))
        engine.spec = dataclasses.replace(engine.spec, name=name, engine="transformers", revision="")
        names.append(ask(run, Judge(f"local:{name}", engine), "reference").metric)
    metric = load_metric(jury_name(names))
    assert metric.of_run(run).remark == "judged by itself (local:tiny)"  # type: ignore[union-attr]


# --- preferences ------------------------------------------------------------------------------------------------------

# By item: A's answer, B's answer, and what the judge says with A first and with B first.
PAIRS = {
    "both orders for A": ("good", "bad", "first", "second"),
    "both orders for B": ("bad", "good", "second", "first"),
    "always the first": ("x", "y", "first", "first"),
    "always the second": ("v", "w", "second", "second"),
    "a declared tie": ("s", "t", "tie", "tie"),
    "half a tie": ("o", "p", "first", "tie"),
}
VALUES = {
    "both orders for A": 1.0,
    "both orders for B": 0.0,
    "always the first": 0.5,
    "always the second": 0.5,
    "a declared tie": 0.5,
    "half a tie": 0.5,
}


def prefers(pairs: Mapping[str, tuple[str, str, str, str]] = PAIRS) -> Says:
    said = {(a, b): in_ab for a, b, in_ab, _ in pairs.values()} | {(b, a): in_ba for a, b, _, in_ba in pairs.values()}

    def text(prompt: str) -> str:
        shown = word(prompt, "first-answer"), word(prompt, "second-answer")
        return json.dumps({"reason": "", "preference": said[shown]})

    return Says(text)


def two(root: Path, pairs: Mapping[str, tuple[str, str, str, str]] = PAIRS) -> tuple[StoredRun, StoredRun]:
    a = made.make_run(root, {item: pair[0] for item, pair in pairs.items()}, model="one")
    return a, made.make_run(root, {item: pair[1] for item, pair in pairs.items()}, model="two")


def preferred(found: Comparison, name: str) -> ComparedFigure:
    (match,) = found.matches
    (line,) = [line for line in match.lines if line.name == name]
    return line


def test_both_orders_are_asked_and_a_disagreement_is_a_tie(tmp_path: Path) -> None:
    a, b = two(tmp_path)
    engine = prefers()
    came = ask(a, Judge("fake:x", engine), "pairwise", against=b)
    assert (came.wanted, came.stored, len(engine.asked)) == (12, 12, 12)
    metric = load_metric(came.metric).between(a, b)  # type: ignore[union-attr]
    assert {score.item_id: score.value for score in metric.score(a.records())} == VALUES
    found = {figure.name.removeprefix(came.metric): figure.value for figure in metric.aggregate(*scored(metric, a))}
    assert found == {"": (1 + 0 + 4 * 0.5) / 6, "[wins]": 1, "[ties]": 4, "[losses]": 1}
    mirrored = load_metric(came.metric).between(b, a)  # type: ignore[union-attr]
    assert {s.item_id: s.value for s in mirrored.score(b.records())} == {i: 1 - value for i, value in VALUES.items()}


def scored(metric: object, run: StoredRun) -> tuple[list[object], list[Score]]:
    records = run.records()
    return records, metric.score(records)  # type: ignore[attr-defined,return-value]


def test_the_replies_lie_in_run_a_under_the_name_of_run_b_and_serve_both(tmp_path: Path) -> None:
    a, b = two(tmp_path)
    came = ask(a, Judge("fake:x", prefers()), "pairwise", against=b)
    (file,) = (a.path / "judgements").glob("*.jsonl")
    assert file.name.endswith(f"__against__{b.manifest.run_id}.jsonl")
    assert a.judged_against(b.manifest.run_id) == [came.metric]
    again = prefers()
    assert ask(b, Judge("fake:x", again), "pairwise", against=a).stored == 12
    assert again.asked == []


def test_a_pair_with_one_order_only_is_unscored(tmp_path: Path) -> None:
    a, b = two(tmp_path)
    engine = prefers()
    engine.text = lambda prompt, text=engine.text: None if word(prompt, "first-answer") == "bad" else text(prompt)  # type: ignore[misc]
    came = ask(a, Judge("fake:x", engine), "pairwise", against=b)
    assert came.missing.total() == 2
    metric = load_metric(came.metric).between(a, b)  # type: ignore[union-attr]
    scores = {score.item_id: score for score in metric.score(a.records())}
    assert scores["both orders for A"] == Score("both orders for A", None, "not judged in both orders")
    assert scores["both orders for B"].value is None
    assert scores["always the first"].value == 0.5


def test_two_answers_that_read_the_same_are_shown_once_and_tie(tmp_path: Path) -> None:
    pairs = {"i": ("same", "same", "first", "first")}
    a, b = two(tmp_path, pairs)
    engine = prefers(pairs)
    came = ask(a, Judge("fake:x", engine), "pairwise", against=b)
    assert len(engine.asked) == 1
    metric = load_metric(came.metric).between(a, b)  # type: ignore[union-attr]
    assert [score.value for score in metric.score(a.records())] == [0.5]


def wins(n: int, losses: int, ties: int) -> dict[str, tuple[str, str, str, str]]:
    outcomes = [("first", "second")] * n + [("second", "first")] * losses + [("tie", "tie")] * ties
    return {f"{at:02}": (f"a{at}", f"b{at}", in_ab, in_ba) for at, (in_ab, in_ba) in enumerate(outcomes)}


def test_a_comparison_has_win_rate_interval_and_sign_test(tmp_path: Path) -> None:
    """Nine wins, one loss, two ties. Of ten fair coins, nine or more fall alike with 2 · (10 + 1) / 2¹⁰ = 11/512."""
    pairs = wins(9, 1, 2)
    a, b = two(tmp_path, pairs)
    came = ask(a, Judge("fake:x", prefers(pairs)), "pairwise", against=b)
    found = compare(a, b, metrics=[came.metric])
    line = preferred(found, came.metric)
    assert (line.a, line.b) == (pytest.approx((9 + 2 / 2) / 12), pytest.approx((1 + 2 / 2) / 12))
    assert (line.n, line.test) == (12, "exact sign")
    assert line.difference == pytest.approx(8 / 12)
    assert line.p == pytest.approx(11 / 512)
    assert line.low is not None and line.high is not None
    assert 0 < line.low < 8 / 12 < line.high <= 1
    assert found.matches[0].notes == (
        f"{came.metric}: 12 items judged in both orders: A preferred on 9, B on 1, neither on 2",
    )
    assert line.verdicts == Verdicts(a=9, b=1, neither=2, judged=12, both=12)
    assert found.tests == 1
    # What is stored is shown without being named, and is said to be stored; asked for none of it, none is shown.
    stored = compare(a, b)
    assert preferred(stored, came.metric).p == line.p
    assert STORED in stored.matches[0].notes
    assert (compare(a, b, preferences=[]).tests, compare(a, b, preferences=[came.metric]).tests) == (0, 1)


def test_preferences_of_one_document_are_tested_by_document(tmp_path: Path) -> None:
    """Six wins, of two documents: four ways to swap the two models, two of them as extreme."""
    pairs = wins(6, 0, 0)
    documents = {item: f"document {int(item) // 3}" for item in pairs}
    runs = [
        made.make_run(tmp_path, {i: pair[at] for i, pair in pairs.items()}, model=str(at), documents=documents)
        for at in (0, 1)
    ]
    came = ask(runs[0], Judge("fake:x", prefers(pairs)), "pairwise", against=runs[1])
    line = preferred(compare(*runs, metrics=[came.metric]), came.metric)
    assert (line.test, line.p) == ("permutation by document", pytest.approx(1 / 2))
    assert line.verdicts == Verdicts(a=6, b=0, neither=0, judged=6, both=6)


def test_a_jury_of_preferences_goes_by_majority(tmp_path: Path) -> None:
    """Two judges prefer A on the item, one prefers B: 2/3, a win."""
    a, b = two(tmp_path, wins(1, 0, 0))
    names = []
    for place, pairs in enumerate((wins(1, 0, 0), wins(1, 0, 0), wins(0, 1, 0))):
        names.append(ask(a, Judge(f"fake:{place}", prefers(pairs)), "pairwise", against=b).metric)
    metric = load_metric(jury_name(names)).between(a, b)  # type: ignore[union-attr]
    records, scores = scored(metric, a)
    assert [score.value for score in scores] == [pytest.approx(2 / 3)]
    found = {f.name.removeprefix(metric.name): f.value for f in metric.aggregate(records, scores)}
    assert (found["[wins]"], found["[ties]"], found["[losses]"]) == (1, 0, 0)


def test_a_preference_is_no_metric_of_one_run(tmp_path: Path) -> None:
    a, b = two(tmp_path)
    came = ask(a, Judge("fake:x", prefers()), "pairwise", against=b)
    assert came == Judging(came.metric, 12, 12)
    assert {score.reason for score in score_run(a, load_metric(came.metric))} == {  # type: ignore[arg-type]
        "a preference is between two runs"
    }
    assert not [name for name in StoredRun(a.path).manifest.metrics if name.startswith("judge")]


# --- the commands -----------------------------------------------------------------------------------------------------


def reply(asked: servers.Asked) -> str:
    if "first-answer" in asked.text:
        return json.dumps(
            {"reason": "", "preference": "first" if word(asked.text, "first-answer") == "1" else "second"}
        )
    return json.dumps({"reason": "", "score": 5 if asked.body["model"] == "kind" else 3})


def test_compare_asks_a_jury_which_run_it_prefers(tmp_path: Path) -> None:
    a, b = (made.make_run(tmp_path, made.bits(bits), model=bits, metrics=["exact_match"]) for bits in ("1111", "0000"))
    with servers.Server(then=servers.says(reply)) as server:
        command = ["compare", str(a.path), str(b.path), "--judge", "openai:kind,openai:strict"]
        done = CliRunner().invoke(cli, [*command, "--judge-base-url", server.url, "--json"])
        assert done.exit_code == 0, done.output
        assert len(server.asked) == 2 * 2 * 4  # judges, orders, items
        again = CliRunner().invoke(
            cli, ["compare", str(b.path), *command[1:2], *command[3:], "--judge-base-url", server.url]
        )
        assert again.exit_code == 0, again.output
        assert len(server.asked) == 16
    lines = json.loads(done.stdout)["matches"][0]["lines"]
    judged = [line for line in lines if line["name"].startswith(("judge:pairwise:", "jury:pairwise:"))]
    assert [(line["a"], line["b"], line["test"]) for line in judged] == [(1.0, 0.0, "exact sign")] * 3


def test_compare_shows_the_judges_it_names_and_how_much_they_judged(tmp_path: Path) -> None:
    """One judge of an earlier command, and one whose two calls pay for one item of four."""
    a, b = (made.make_run(tmp_path, made.bits(bits), model=bits, metrics=["exact_match"]) for bits in ("1111", "0000"))

    def command(*words: str) -> Result:
        return CliRunner().invoke(cli, ["compare", str(a.path), str(b.path), *words])

    with servers.Server(then=servers.says(reply)) as server:
        at = ("--judge-base-url", server.url)
        assert command("--judge", "openai:kind", *at, "--quiet").output == ""
        capped = command(
            "--judge", "openai:strict", *at, "--max-judge-calls", "2", "--judge-concurrency", "1", "--json"
        )
    found = json.loads(capped.stdout)
    (match,) = found["matches"]
    (line,) = [line for line in match["lines"] if line["name"].startswith("judge:")]
    assert "openai:strict" in line["name"]
    assert line["verdicts"] == {"a": 1, "b": 0, "neither": 0, "judged": 1, "both": 4}
    assert (
        f"{line['name']}: 1 of 4 items judged in both orders: A preferred on 1, B on 0, neither on 0" in match["notes"]
    )
    # exact_match is 0 for all answers of both: nothing that a test could find, so it does not count.
    assert [(line["name"][:11], line["p_holm"]) for line in match["lines"]] == [
        ("exact_match", 1.0),
        ("judge:pairw", 1.0),
    ]
    assert found["tests"] == 1
    assert capped.exit_code == 1
    assert "6 not: the cap of 2 calls is reached" in found["problems"][0]
    both = command()
    assert "openai:kind" in both.output and "openai:strict" in both.output
    assert STORED[:30] in both.output


def test_what_cannot_be_compared_is_told_before_a_judge_is_paid(tmp_path: Path) -> None:
    run = made.make_run(tmp_path, made.bits("11"), metrics=["exact_match"])
    with servers.Server(then=servers.says(reply)) as server:
        command = ["compare", str(run.path), str(run.path), "--judge", "openai:kind", "--judge-base-url", server.url]
        done = CliRunner().invoke(cli, command)
        other = made.make_run(tmp_path, made.bits("00"), model="other", metrics=["exact_match"])
        wrong = CliRunner().invoke(cli, [*command[:2], str(other.path), *command[3:], "--metrics", "exact_mtach"])
    assert (done.exit_code, wrong.exit_code, server.asked) == (2, 2, [])
    assert "A and B are the same run" in done.output
    assert "Did you mean exact_match?" in wrong.output


def test_a_jury_joins_the_tables_of_a_run_with_its_members(tmp_path: Path) -> None:
    run = made.make_run(tmp_path, {"a": "x", "b": "y"}, metrics=["exact_match"])
    with servers.Server(then=servers.says(reply)) as server:
        command = [
            "score",
            str(run.path),
            "--judge",
            "openai:kind,openai:strict",
            "--judge-base-url",
            server.url,
            "--json",
        ]
        done = CliRunner().invoke(cli, command)
    assert done.exit_code == 0, done.output
    row = json.loads(done.stdout)["boards"][0]["rows"][0]
    kinds = [figure["metric"].split(":")[0] for figure in row["figures"]]
    assert kinds == ["judge", "judge", "jury", "jury"]  # two judges, the jury's mean, its alpha
    stored = StoredRun(run.path).manifest.metrics
    assert [name.split(":")[0] for name in stored] == ["exact_match", "judge", "judge", "jury"]
    assert figures(StoredRun(run.path), [load_metric(stored[-1])])[0].value == (5 + 3) / 2
