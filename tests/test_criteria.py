"""Judging criterion by criterion: HealthBench's rubrics and K-QA's statements."""

from __future__ import annotations

import dataclasses
import json
import re
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import fakes
import made
import pytest
import servers
from click.testing import CliRunner
from medbench.benchmarks.samples.benchmarks import HEALTHBENCH_SAMPLE
from medbench.benchmarks.sources.files import Source
from medbench.cli import cli
from medbench.core.types import Criterion, Figure, GenerateRequest, Item, Output, Record, Score, Turn
from medbench.judges.judge import Judge
from medbench.judges.judging import ask, estimate
from medbench.judges.modes import MODES, default_for, read_numbered
from medbench.results.scoring import evaluate, load_metric
from medbench.results.store import StoredRun
from medbench.results.writer import RunWriter

RUBRIC = (
    Criterion("names a stroke", 7, ("axis:accuracy",)),
    Criterion("calls for help", 10, ("axis:completeness",)),
    Criterion("advises sleep", -10, ("axis:accuracy",)),
)
STATEMENTS = (
    Criterion("gout hurts", 1, ("must_have",)),
    Criterion("gout is a joint disease", 1, ("must_have",)),
    Criterion("urate forms crystals", 0, ("nice_to_have",)),
)


class Checker(fakes.FakeEngine):
    """Finds a criterion met (or entailed) if the answer holds its text; says so by number, or for one alone."""

    def __init__(self, reply: Callable[[GenerateRequest], str] | None = None) -> None:
        super().__init__(dataclasses.replace(fakes.FakeEngine().spec, name="checker", location="here"))
        self.reply = reply or self.check
        self.requests: list[GenerateRequest] = []

    def generate(self, requests: Sequence[GenerateRequest]) -> Iterator[Output]:
        for request in requests:
            self.requests.append(request)
            yield Output(request.item_id, request.prompt.plain, self.reply(request), finish="stop")

    @staticmethod
    def check(request: GenerateRequest) -> str:
        return verdicts(request.prompt.question)


def verdicts(text: str) -> str:
    answer = re.search(r"<answer-\w+>\n(.*)\n</answer", text, re.S)[1]  # type: ignore[index]
    kind, listed = re.search(r"<(criteria|criterion|statements?)-\w+>\n(.*)\n</\1", text, re.S).groups()  # type: ignore[union-attr]
    yes, no = ("met", "not met") if kind.startswith("criteri") else ("entailment", "neutral")

    def one(criterion: str) -> dict[str, str]:
        verdict = "contradiction" if f"not {criterion}" in answer else yes if criterion in answer else no
        return {"reason": f"about: {criterion}", "verdict": verdict}

    if kind in ("criterion", "statement"):
        return json.dumps(one(listed))
    numbered = dict(line.split(". ", 1) for line in listed.splitlines())
    return json.dumps({number: one(criterion) for number, criterion in numbered.items()})


def judge(reply: Callable[[GenerateRequest], str] | None = None) -> Judge:
    return Judge("fake:checker", Checker(reply))


def run_of(root: Path, answers: dict[str, str], criteria: Sequence[Criterion] = RUBRIC, **about: object) -> StoredRun:
    manifest = made.manifest(list(answers))
    with RunWriter(root, manifest) as writer:
        for name, text in answers.items():
            item = Item(name, f"question {name}?", criteria=tuple(criteria), **about)  # type: ignore[arg-type]
            writer.append([Record(item, Output(name, text=text, finish="stop"))])
    return StoredRun(root / manifest.run_id)


def figures(run: StoredRun, metric: str) -> dict[str, Figure]:
    return {f.name.removeprefix(metric): f for f in evaluate(run, load_metric(metric), run.records()).figures}


@pytest.mark.parametrize(("mode", "calls"), [("criteria", 3), ("criteria-each", 9)])
def test_a_rubric_gives_points_met_over_positive_points(tmp_path: Path, mode: str, calls: int) -> None:
    answers = {"a": "names a stroke, calls for help", "b": "advises sleep", "c": "names a stroke, advises sleep"}
    run, asked = run_of(tmp_path, answers), judge()
    came = ask(run, asked, mode)
    assert (came.wanted, came.stored, asked.usage.calls) == (calls, calls, calls)
    found = evaluate(run, load_metric(came.metric), run.records())
    a, b, c = 17 / 17, -10 / 17, (7 - 10) / 17
    assert found.values == pytest.approx({"a": a, "b": b, "c": c})
    by_name = figures(run, came.metric)
    assert by_name[""].value == pytest.approx((a + b + c) / 3)
    # Of the criteria about accuracy, 7 points can be reached: 7/7, -10/7, -3/7. The mean is below 0, and clipped.
    assert by_name["[accuracy]"].value == 0
    assert by_name["[completeness]"].value == pytest.approx((10 / 10 + 0 + 0) / 3)
    ask(run, asked, mode)
    assert asked.usage.calls == calls  # a repeat pays for nothing


def test_statements_give_completeness_and_contradictions(tmp_path: Path) -> None:
    answers = {"a": "gout hurts; not urate forms crystals", "b": "gout hurts, gout is a joint disease"}
    run = run_of(tmp_path, answers, STATEMENTS)
    came = ask(run, judge(), "statements")
    by_name = figures(run, came.metric)
    assert by_name[""].value == pytest.approx((1 / 2 + 2 / 2) / 2)
    rate = by_name["[contradiction_rate]"]
    assert (rate.value, rate.better) == (pytest.approx((1 / 3 + 0) / 2), "lower")


def test_a_score_says_which_criteria_were_met_and_why(tmp_path: Path) -> None:
    run = run_of(tmp_path, {"a": "names a stroke"})
    metric = load_metric(ask(run, judge(), "criteria").metric).of_run(run)  # type: ignore[union-attr]
    (score,) = metric.score(run.records())
    why = "1: about: names a stroke\n2: about: calls for help\n3: about: advises sleep"
    assert score == Score("a", pytest.approx(7 / 17), why, "met 1; not met 2, 3")


@pytest.mark.parametrize(
    ("reply", "said"),
    [
        ('{"1": {"reason": "r", "verdict": "met"}}', "unparsed: no verdict 2"),
        ('{"reason": "r", "verdict": "met"}', "unparsed: no verdict 1"),
        ("all are met", "unparsed: not one JSON object"),
        (json.dumps({str(n): {"reason": "r", "verdict": "yes"} for n in (1, 2, 3)}), "unparsed: verdict 1: verdict is"),
        (json.dumps({str(n): {"reason": "r", "verdict": "met"} for n in (1, 2, 3, 4)}), "a verdict '4' that was not"),
    ],
)
def test_a_verdict_that_cannot_be_read_leaves_the_answer_unscored(tmp_path: Path, reply: str, said: str) -> None:
    run = run_of(tmp_path, {"a": "names a stroke"})
    came = ask(run, judge(lambda request: reply), "criteria")
    assert len(came.unread) == 1
    (score,) = load_metric(came.metric).of_run(run).score(run.records())  # type: ignore[union-attr]
    assert score.value is None and said in str(score.reason)


def test_an_answer_judged_on_some_criteria_is_unscored(tmp_path: Path) -> None:
    def fails(request: GenerateRequest) -> str:
        return "no idea" if "calls for help" in request.prompt.question else verdicts(request.prompt.question)

    run = run_of(tmp_path, {"a": "names a stroke"})
    came = ask(run, judge(fails), "criteria-each")
    (score,) = load_metric(came.metric).of_run(run).score(run.records())  # type: ignore[union-attr]
    assert score.value is None and "unparsed" in str(score.reason)


def test_an_answer_given_anew_is_judged_anew_and_another_rubric_too(tmp_path: Path) -> None:
    asked = judge()
    first = ask(run_of(tmp_path / "1", {"a": "names a stroke"}), asked, "criteria")
    other = run_of(tmp_path / "2", {"a": "names a stroke"}, RUBRIC[:2])
    ask(other, asked, "criteria")
    ids = [request.item_id for request in asked.engine.requests]  # type: ignore[attr-defined]
    assert len(set(ids)) == 2 and all(name.startswith("a|") for name in ids)
    assert first.metric == f"judge:criteria:fake:checker:{MODES['criteria'].hash}"


def test_the_judge_sees_the_conversation_the_answer_and_the_numbered_criteria(tmp_path: Path) -> None:
    asked = judge()
    turns = (Turn("user", "My arm is heavy."), Turn("assistant", "Since when?"))
    ask(run_of(tmp_path, {"a": "names a stroke"}, turns=turns), asked, "criteria")
    (request,) = asked.engine.requests  # type: ignore[attr-defined]
    text = re.sub(r"-[0-9a-f]{8}>", ">", request.prompt.question)
    assert text.startswith(
        "<conversation>\nUser: My arm is heavy.\n\nAssistant: Since when?\n\nUser: question a?\n</conversation>\n"
        "<answer>\nnames a stroke\n</answer>\n"
        "<criteria>\n1. names a stroke\n2. calls for help\n3. advises sleep\n</criteria>\n"
    )
    assert list(request.schema["properties"]) == ["1", "2", "3"]


def test_the_cost_is_estimated_before_the_first_call(tmp_path: Path) -> None:
    run, asked = run_of(tmp_path, {"a": "names a stroke", "b": ""}), judge()
    assert estimate(run, asked, "criteria") == (2, None)
    asked.prices = (1.0, 10.0)
    calls, cost = estimate(run, asked, "criteria")
    prompt = sum(len(request.prompt.plain) for request in _asked_of(run)) / 4
    assert calls == 2 and cost == pytest.approx((prompt * 1.0 + 2 * 3 * 60 * 10.0) / 1e6)
    ask(run, asked, "criteria")
    assert estimate(run, asked, "criteria")[0] == 0


def _asked_of(run: StoredRun) -> list[GenerateRequest]:
    asked = judge()
    ask(StoredRun(run.path), asked, "criteria")
    requests: list[GenerateRequest] = asked.engine.requests  # type: ignore[attr-defined]
    for file in (run.path / "judgements").iterdir():
        file.unlink()
    return requests


def test_items_say_in_which_mode_they_are_judged() -> None:
    assert default_for(Item("a", "?", criteria=STATEMENTS)) == "statements"
    assert default_for(Item("a", "?", criteria=RUBRIC)) == "criteria"
    assert default_for(Item("a", "?", meta={"harmful": "yes"})) == "harmfulness"
    assert default_for(Item("a", "?", references=("b",))) == "reference"


def test_numbered_verdicts_may_stand_in_a_fence_but_not_be_repeated() -> None:
    fields = MODES["criteria"].fields
    one = '{"1": {"reason": "r", "verdict": "met"}}'
    assert read_numbered(f"```json\n{one}\n```", fields, 1) == [{"verdict": "met", "reason": "r"}]
    assert isinstance(read_numbered(f"{one}\n{one}", fields, 1), str)


def test_a_run_with_a_judge_from_the_command_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    items = HEALTHBENCH_SAMPLE.load(Source()).items
    answers = [{"id": item.id, "text": " ".join(each.text for each in item.criteria)} for item in items]
    (tmp_path / "saved.jsonl").write_text("\n".join(map(json.dumps, answers)), encoding="utf-8")
    words = "run -m replay:saved.jsonl -b healthbench-sample -M unsafe_rate --judge openai:checker --judge-price 1,2"
    with servers.Server(then=servers.says(lambda asked: verdicts(asked.text))) as server:
        command = [*words.split(), "--judge-base-url", server.url]
        done = CliRunner().invoke(cli, [*command, "--json"], prog_name="medbench")
        assert done.exit_code == 0, done.output
        assert "6 calls, about $0.0" in done.stderr
        # Every answer holds all criteria, its faults too: the points met are the sum of all points.
        values = []
        for item in items:
            points = [each.points for each in item.criteria]
            values.append(sum(points) / sum(point for point in points if point > 0))
        found = json.loads(done.stdout)
        text = json.dumps(found)
        mean = sum(values) / len(values)
        assert f"{mean:.4f}"[:5] in text
        again = CliRunner().invoke(cli, [*command, "--judge-per", "criterion", "--quiet"], prog_name="medbench")
        assert again.exit_code == 0, again.output
    assert len(server.asked) == 6 + sum(len(item.criteria) for item in items)
