"""The judging loop with real servers and a real process: what is requested, what is kept, what counts."""

from __future__ import annotations

import dataclasses
import itertools
import json
import os
import re
import signal
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import fakes
import made
import pytest
import servers
from medbench.cli.ui.judge_progress import speed, spent
from medbench.core import registry
from medbench.core.budget import Limits
from medbench.core.errors import MedbenchError
from medbench.core.types import GenerateRequest, Item, Output, Record, Score
from medbench.engines.server.engine import Refused
from medbench.judges.judge import Judge
from medbench.judges.judging import Caps, Judging, ask, dollars, judge
from medbench.judges.modes import MODES
from medbench.results import files, leaderboard
from medbench.results.board import Leaderboard
from medbench.results.export import to_csv, to_json, to_markdown
from medbench.results.manifest import ModelRecord
from medbench.results.manifest_file import write_manifest
from medbench.results.scoring import figures, load_metric, score_run
from medbench.results.store import StoredRun
from medbench.results.writer import RunWriter

ANSWERS = {f"q{n}": f"answer {n}" for n in range(6)}


def grade(score: int = 4) -> str:
    return json.dumps({"reason": "It agrees.", "score": score})


def by_number(text: str) -> str:
    """A grade that the answer decides: "answer 3" gets 1 + 3 % 5."""
    found = re.search(r"answer (\d+)\n", text)
    assert found is not None
    return grade(1 + int(found[1]) % 5)


WELL = servers.says(lambda asked: by_number(asked.text))


class Grader(fakes.FakeEngine):
    """Grades by `text`, without a server. Ids in `fails` get no reply."""

    def __init__(self, text: Callable[[str], str] = by_number, fails: Sequence[str] = ()) -> None:
        super().__init__(dataclasses.replace(fakes.FakeEngine().spec, name="grader", location="at the grader's"))
        self.text = text
        self.fails = fails
        self.requests: list[GenerateRequest] = []

    def generate(self, requests: Sequence[GenerateRequest]) -> Iterator[Output]:
        for request in requests:
            self.asked.append(request.item_id)
            self.requests.append(request)
            if request.item_id in self.fails:
                yield Output(request.item_id, finish="error", error="told to fail")
                continue
            text = self.text(request.prompt.plain)
            yield Output(
                request.item_id, request.prompt.plain, text, prompt_tokens=9, completion_tokens=3, finish="stop"
            )


def fake(**about: Any) -> Judge:
    return Judge("fake:grader", Grader(**about))


def values(run: StoredRun, name: str) -> dict[str, float | None]:
    return {score.item_id: score.value for score in score_run(run, load_metric(name))}  # type: ignore[arg-type]


@pytest.fixture
def run(tmp_path: Path) -> StoredRun:
    return made.make_run(tmp_path / "runs", ANSWERS)


# --- the loop ---------------------------------------------------------------------------------------------------------


def test_every_open_answer_is_judged_once_in_order_and_scored(run: StoredRun) -> None:
    asked = fake()
    came = ask(run, asked, "reference")
    assert came == Judging(f"judge:reference:fake:grader:{MODES['reference'].hash}", 6, 6)
    assert asked.engine.asked == list(ANSWERS)  # type: ignore[attr-defined]
    assert values(run, came.metric) == {"q0": 1, "q1": 2, "q2": 3, "q3": 4, "q4": 5, "q5": 1}
    (score, *_) = score_run(run, load_metric(came.metric))  # type: ignore[arg-type]
    assert score == Score("q0", 1.0, "It agrees.", "score 1")
    (mean,) = figures(run, [load_metric(came.metric)])
    assert mean.name == came.metric
    assert mean.value == pytest.approx((1 + 2 + 3 + 4 + 5 + 1) / 6)
    assert (mean.n, mean.total) == (6, 6)
    assert judge(run, asked, "reference") == came.metric
    assert asked.usage.calls == 6  # the second time nothing was missing
    assert not (run.path / "scores").exists()  # grades are read off the replies, and kept nowhere else


def test_the_request_holds_the_schema_and_room_to_reason(run: StoredRun) -> None:
    asked = fake()
    ask(run, asked, "reference")
    request = asked.engine.requests[0]  # type: ignore[attr-defined]
    assert request.schema == MODES["reference"].schema
    assert request.max_new_tokens == asked.max_new_tokens >= 1024


def test_a_rubric_scores_the_mean_and_every_criterion(run: StoredRun) -> None:
    reply = json.dumps({"reason": "r", "accuracy": 5, "completeness": 4, "clarity": 2, "safety": 4})
    came = ask(run, fake(text=lambda text: reply), "rubric")
    found = {f.name: f.value for f in figures(run, [load_metric(came.metric)])}
    assert found == {
        came.metric: (5 + 4 + 2 + 4) / 4,
        f"{came.metric}[accuracy]": 5,
        f"{came.metric}[completeness]": 4,
        f"{came.metric}[clarity]": 2,
        f"{came.metric}[safety]": 4,
    }


def test_the_four_grades_of_liveqa(run: StoredRun) -> None:
    came = ask(run, fake(text=lambda text: json.dumps({"reason": "", "grade": 3})), "grades")
    assert set(values(run, came.metric).values()) == {3.0}


def test_a_failure_is_no_score_and_is_asked_again(run: StoredRun) -> None:
    came = ask(run, fake(fails=["q1", "q4"]), "reference")
    assert (came.stored, came.missing) == (4, Counter({"told to fail": 2}))
    scores = {s.item_id: s for s in score_run(run, load_metric(came.metric))}  # type: ignore[arg-type]
    assert scores["q1"] == Score("q1", None, "not judged")
    (mean,) = figures(run, [load_metric(came.metric)])
    assert (mean.n, mean.total, mean.value) == (4, 6, pytest.approx((1 + 3 + 4 + 1) / 4))
    again = fake()
    assert ask(run, again, "reference").missing == Counter()
    assert again.engine.asked == ["q1", "q4"]  # type: ignore[attr-defined]


def test_a_reply_that_cannot_be_read_is_kept_unscored_and_not_paid_for_again(run: StoredRun) -> None:
    came = ask(run, fake(text=lambda text: "I would say 4 of 5."), "reference")
    assert (came.stored, len(came.unread)) == (6, 6)
    (score, *_) = score_run(run, load_metric(came.metric))  # type: ignore[arg-type]
    assert score.value is None
    assert score.reason is not None
    assert score.reason.startswith("unparsed: not one JSON object")
    assert "I would say 4 of 5." in score.reason
    assert "I would say 4 of 5." in run.judgement_file(came.metric).read_text()
    again = fake()
    ask(run, again, "reference")
    assert again.engine.asked == []  # type: ignore[attr-defined]


def test_a_judge_that_saw_a_part_of_the_answer_grades_nothing(run: StoredRun) -> None:
    class Cut(Grader):
        def generate(self, requests: Sequence[GenerateRequest]) -> Iterator[Output]:
            for output in super().generate(requests):
                yield dataclasses.replace(output, truncated_tokens=7)

    came = ask(run, Judge("fake:cut", Cut()), "reference")
    assert set(values(run, came.metric).values()) == {None}
    assert "7 tokens exceeded" in came.unread[0]


def test_multiple_choice_is_not_put_before_a_judge(tmp_path: Path) -> None:
    manifest = made.manifest(["a"], method="logprob")
    with RunWriter(tmp_path, manifest) as writer:
        item = Item("a", "q?", options=("yes", "no"), gold=0)
        writer.append([Record(item, Output("a", logprobs=(-1.0, -2.0)))])
    run = StoredRun(tmp_path / manifest.run_id)
    came = ask(run, fake(), "reference")
    assert (came.wanted, came.stored) == (0, 0)
    assert not (run.path / "judgements").exists()
    assert score_run(run, load_metric(came.metric)) == [Score("a", None, "multiple choice: not judged")]  # type: ignore[arg-type]


def test_a_replaced_answer_is_judged_anew(run: StoredRun) -> None:
    """Its line deleted from samples.jsonl of a run from before seals, and answered otherwise."""
    run = made.unsealed(run)
    came = ask(run, fake(), "reference")
    lines = (run.path / "samples.jsonl").read_text().splitlines(keepends=True)
    (run.path / "samples.jsonl").write_text("".join(lines[1:]))
    with RunWriter(run.path.parent, run.manifest) as writer:
        writer.append([made.record("q0", "answer 4")])
    assert values(run, came.metric)["q0"] is None  # the old grade is not the new answer's
    again = fake()
    ask(run, again, "reference")
    assert again.engine.asked == ["q0"]  # type: ignore[attr-defined]
    assert values(run, came.metric)["q0"] == 5


def test_replies_of_another_model_under_the_same_name_are_refused(run: StoredRun) -> None:
    ask(run, fake(fails=["q0"]), "reference")
    other = fake()
    other.engine.spec = dataclasses.replace(other.engine.spec, dtype="bfloat16")
    with pytest.raises(MedbenchError, match="dtype is 'float32' there and 'bfloat16' here"):
        ask(run, other, "reference")
    moved = fake()
    for url, each in (("http://a/v1", fake()), ("http://a/v2", moved)):
        each.label = "fake:moved"
        each.engine.spec = dataclasses.replace(each.engine.spec, base_url=url)
        if each is not moved:
            ask(run, each, "reference")
    with pytest.raises(MedbenchError, match="came from http://a/v1; this command names http://a/v2"):
        ask(run, moved, "reference")
    assert other.usage.calls == 0


def test_a_torn_last_line_is_asked_again(run: StoredRun) -> None:
    came = ask(run, fake(), "reference")
    file = run.judgement_file(came.metric)
    file.write_bytes(file.read_bytes()[:-5])  # killed while it was written
    assert [item for item, value in values(run, came.metric).items() if value is None] == ["q5"]
    again = fake()
    ask(run, again, "reference")
    assert again.engine.asked == ["q5"]  # type: ignore[attr-defined]
    assert None not in values(run, came.metric).values()


def test_a_broken_line_is_named(run: StoredRun) -> None:
    came = ask(run, fake(), "reference")
    file = run.judgement_file(came.metric)
    lines = file.read_text().splitlines()
    file.write_text("\n".join([*lines[:2], '{"asked": "x"}', *lines[2:]]) + "\n")
    # The line after it no longer fits the one before: its reply is left out too. Four of six remain.
    found = values(run, came.metric)
    assert [value is None for value in found.values()] == [False, True, False, False, False, False]
    assert [note.removeprefix(f"{file}, ").partition(":")[0] for note in run.notes] == ["line 3", "line 4 (item 'q1')"]
    again = fake()
    assert ask(run, again, "reference").stored == 6
    assert again.engine.asked == ["q1"]  # type: ignore[attr-defined]
    assert None not in values(StoredRun(run.path), came.metric).values()
    assert '{"asked": "x"}' in file.with_name(f"{file.name}.damaged-1").read_text()


@pytest.mark.parametrize("change", [("score", "scare"), (": 3}", ": 5}"), ('"asked"', '"asker"')])
def test_a_changed_reply_is_left_out_and_asked_for_again(run: StoredRun, change: tuple[str, str]) -> None:
    """It was paid for, so nothing is guessed in its place; the others stay."""
    came = ask(run, fake(), "reference")
    file = run.judgement_file(came.metric)
    right = values(run, came.metric)
    lines = file.read_text().splitlines(keepends=True)
    assert change[0] in lines[3]
    lines[3] = lines[3].replace(*change)
    file.write_text("".join(lines))
    found = StoredRun(run.path)
    assert values(found, came.metric) == right | {"q2": None}
    (note,) = found.notes
    assert note.startswith(f"{file}, line 4")
    assert note.endswith("It is left out; the same judge command requests it again.")
    again = fake()
    assert ask(StoredRun(run.path), again, "reference").stored == 6
    assert again.engine.asked == ["q2"]  # type: ignore[attr-defined]
    found = StoredRun(run.path)
    assert values(found, came.metric) == right
    assert not found.notes
    assert file.with_name(f"{file.name}.damaged-1").read_text() == "".join(lines)


# --- caps -------------------------------------------------------------------------------------------------------------


def test_a_cap_on_calls_holds_over_all_judges_and_the_next_command_goes_on(run: StoredRun) -> None:
    caps = Caps(Limits(max_calls=8))
    first, second = fake(), Judge("fake:second", Grader())
    assert ask(run, first, "reference", caps).missing == Counter()
    came = ask(run, second, "reference", caps)
    assert (came.stored, came.missing) == (2, Counter({"the cap of 8 calls is reached": 4}))
    assert (caps.calls, first.usage.calls, second.usage.calls) == (8, 6, 2)
    more = Judge("fake:second", Grader())
    assert ask(run, more, "reference", Caps(Limits(max_calls=8))).missing == Counter()
    assert more.engine.asked == ["q2", "q3", "q4", "q5"]  # type: ignore[attr-defined]


def test_a_cap_on_cost_holds_over_all_judges(run: StoredRun) -> None:
    """A reply of the test server has 7 new tokens: at 10,000 USD per million, 0.07 USD. 0.50 USD pay for seven."""
    limits = Limits(max_cost=0.5, prices=(0.0, 0.0))
    with servers.Server(then=WELL) as server:
        caps = Caps(limits)
        judges = [served(server, name, prices=(0.0, 10_000.0)) for name in ("a", "b")]
        for each in judges:
            each.max_new_tokens = 7  # the most that a call may come to is kept back until its reply is there
        came = [ask(run, each, "reference", caps) for each in judges]
    assert [each.stored for each in came] == [6, 1]
    assert len(server.asked) == caps.calls == 7
    assert caps.cost == pytest.approx(0.49)
    assert came[1].missing == Counter({"the cap of $0.50 is reached": 5})  # told as given, not as what was left


def test_a_cap_below_one_call_says_so(run: StoredRun) -> None:
    """2,048 new tokens at 1 USD per million come to $0.002048; with the prompt free, no call fits $0.0015."""
    with servers.Server(then=WELL) as server:
        command = ("score", run.path, "--judge", "openai:m", "--judge-base-url", server.url, "--judge-price", "0,1")
        process = medbench(*command, "--max-judge-cost", "0.0015")
        out, err = process.communicate(timeout=60)
    assert (process.returncode, out, server.asked) == (1, "", [])
    assert "6 not: the cap of $0.0015 is reached" in err
    assert "One call may cost up to $0.002048, more than the cap: raise --max-judge-cost." in err


def test_amounts_have_the_digits_that_they_need() -> None:
    assert [dollars(amount) for amount in (0.5, 12.0, 0.0015, 0.00004)] == ["$0.50", "$12.00", "$0.0015", "$0.00004"]
    assert [spent(1, None), spent(2, 0.25)] == ["1 call", "2 calls, $0.2500"]
    assert [speed(1400), speed(2.5), speed(1.0), speed(0.032)] == [
        "1400 replies/s",
        "2.5 replies/s",
        "1 reply/s",
        "31.2 s/reply",
    ]


def test_a_judge_that_is_not_there_leaves_the_calls_to_the_others(run: StoredRun) -> None:
    with servers.Server() as gone:
        pass
    with servers.Server(then=WELL) as server:
        caps = Caps(Limits(max_calls=6))
        with pytest.raises(Refused, match="no server answers") as told:
            ask(run, served(gone, "away"), "reference", caps)
        assert ask(run, served(server), "reference", caps).stored == 6
    assert caps.calls == len(server.asked) == 6
    assert told.value.hint == "Start it, or name another server: --judge-base-url URL"


# --- servers ----------------------------------------------------------------------------------------------------------


def served(server: servers.Server, model: str = "m", prices: tuple[float, float] | None = None) -> Judge:
    found: Judge = registry.get("judges", "openai").make(model, server.url, print)
    found.prices = prices
    found.engine.backoff_s = (0.01, 0.02)  # type: ignore[attr-defined]
    return found


def by_groq(server: servers.Server, monkeypatch: pytest.MonkeyPatch) -> Judge:
    monkeypatch.setenv("GROQ_API_KEY", "gsk_a_key_of_the_test")
    found: Judge = registry.get("judges", "groq").make("", server.root, print)
    found.engine.backoff_s = (0.01, 0.02)  # type: ignore[attr-defined]
    return found


QUICK = Limits(retries=2, timeout_s=2.0)

# What the server does first, and how many of six answers are judged, with how many calls, in one command.
COMPRESSED = {"Content-Encoding": "gzip"}
BEHAVIOURS: dict[str, tuple[list[servers.Behavior], int, int]] = {
    "answers well": ([], 6, 6),
    "429 and Retry-After": ([servers.busy("0.05"), servers.busy("0.05")], 6, 8),
    "500, then well": ([servers.error(500), servers.error(503)], 6, 8),
    "closes, then well": ([servers.closes, servers.cuts], 6, 8),
    # A reply with status 200 may have been paid for: it is not asked for again by the same command.
    "malformed HTTP, then well": ([servers.raw("{"), servers.raw("<html>")], 4, 6),
    "no gzip, then well": ([lambda asked: servers.Answer(body="{}", headers=COMPRESSED)], 5, 6),
    "slow, then well": ([servers.hangs(20.0)], 6, 7),
}


@pytest.mark.parametrize("maker", ["groq", "openai"])
@pytest.mark.parametrize("name", list(BEHAVIOURS))
def test_whatever_a_server_does_is_counted_and_only_grades_are_scores(
    run: StoredRun, monkeypatch: pytest.MonkeyPatch, name: str, maker: str
) -> None:
    script, judged, calls = BEHAVIOURS[name]
    with servers.Server(*script, then=WELL) as server:
        asked = by_groq(server, monkeypatch) if maker == "groq" else served(server)
        # Only where a reply is to come too late is the wait short: a busy machine is slow by itself.
        wait = QUICK.timeout_s if name == "slow, then well" else 60.0
        came = ask(run, asked, "reference", Caps(dataclasses.replace(QUICK, concurrency=1, timeout_s=wait)))
        assert (came.stored, len(server.asked), asked.usage.calls) == (judged, calls, calls)
        graded = {item: value for item, value in values(run, came.metric).items() if value is not None}
        assert len(graded) == judged
        assert graded.items() <= {"q0": 1, "q1": 2, "q2": 3, "q3": 4, "q4": 5, "q5": 1}.items()
        patient = Caps(dataclasses.replace(QUICK, timeout_s=60.0))
        assert ask(run, asked, "reference", patient).stored == 6  # the same command, once more
        assert len(server.asked) == asked.usage.calls == calls + 6 - judged
    assert server.asked[0].body["response_format"]["json_schema"]["schema"] == MODES["reference"].schema


@pytest.mark.parametrize("status", [400, 500])
def test_a_server_that_takes_no_schema_is_asked_without_one_by_the_next_command(run: StoredRun, status: int) -> None:
    """With one call each, the first command learns it, and each of the others has a reply."""
    with servers.Server(then=servers.refuses("response_format", WELL, status)) as server:
        for stored in (0, 1, 2):
            came = ask(run, served(server), "reference", Caps(Limits(max_calls=1)))
            assert came.stored == stored
        assert ask(run, served(server), "reference").stored == 6
    assert ["response_format" in asked.body for asked in server.asked] == [True, *[False] * 6]
    header, replies = run.judgements(came.metric)
    assert (header and header.refuses, len(replies)) == (("response_format",), 6)


def test_it_is_told_once_that_a_server_takes_no_schema(run: StoredRun, tmp_path: Path) -> None:
    other = made.make_run(tmp_path / "more", ANSWERS, model="other")
    with servers.Server(then=servers.refuses("response_format", WELL, 500)) as server:
        process = medbench("score", run.path, other.path, "--judge", "openai:m", "--judge-base-url", server.url)
        _, err = process.communicate(timeout=60)
    assert (process.returncode, len(server.asked)) == (0, 1 + 6 + 6)
    assert err.count("does not accept a JSON schema") == 1


def test_replies_that_cannot_be_read_are_told_in_words_and_without_a_table(run: StoredRun) -> None:
    with servers.Server(then=servers.says("I would say 4 of 5.")) as server:
        command = ("score", run.path, "--judge", "openai:m", "--judge-base-url", server.url)
        process = medbench(*command)
        out, err = process.communicate(timeout=60)
        assert (process.returncode, out) == (1, "")
        as_json = medbench(*command, "--json", "--quiet")
        found, told = as_json.communicate(timeout=60)
    assert '6 of 6 replies could not be read as a grade. The first: "I would say 4 of 5."' in err
    assert "not requested again; delete that file to request all again" in err
    (file,) = (run.path / "judgements").glob("*.jsonl")
    assert str(file) in err
    assert as_json.returncode == 1
    assert json.loads(found)["boards"] == []
    assert told.strip() == "Not judged: " + "".join(json.loads(found)["problems"])


ALWAYS = {
    "500": servers.error(500),
    "429": servers.busy("0.01"),
    "closes": servers.closes,
    "malformed HTTP": servers.raw("{"),
    "too slow": servers.hangs(20.0),
    "nothing said": servers.says(None),
}


@pytest.mark.parametrize("maker", ["groq", "openai"])
@pytest.mark.parametrize(
    "name", [pytest.param(name, marks=[pytest.mark.slow] if name == "too slow" else []) for name in ALWAYS]
)
def test_a_server_that_always_fails_leaves_nothing_scored_and_all_to_ask(
    run: StoredRun, monkeypatch: pytest.MonkeyPatch, name: str, maker: str
) -> None:
    with servers.Server(then=ALWAYS[name]) as server:
        asked = by_groq(server, monkeypatch) if maker == "groq" else served(server)
        came = ask(run, asked, "reference", Caps(dataclasses.replace(QUICK, retries=1)))
        assert asked.usage.calls == len(server.asked)
    assert set(values(run, came.metric).values()) == {None}
    assert (came.stored, came.missing.total()) == (0, 6)
    again = fake()
    again.label = asked.label
    again.engine.spec, again.max_new_tokens = asked.engine.spec, asked.max_new_tokens
    again.engine.chat = asked.engine.chat  # type: ignore[method-assign]
    assert ask(run, again, "reference").stored == 6


@pytest.mark.parametrize("maker", ["groq", "openai"])
def test_malformed_grades_of_a_server_are_kept_and_not_scored(
    run: StoredRun, monkeypatch: pytest.MonkeyPatch, maker: str
) -> None:
    wild = itertools.cycle(['{"score": 4', "4", "Score: 4", '{"reason": "x", "score": 9}', "```json\n{}\n```", ""])
    with servers.Server(then=servers.says(lambda asked: next(wild))) as server:
        asked = by_groq(server, monkeypatch) if maker == "groq" else served(server)
        came = ask(run, asked, "reference", Caps(QUICK))
        calls = len(server.asked)
        ask(run, asked, "reference", Caps(QUICK))
        assert len(server.asked) == calls + came.missing.total()
    assert set(values(run, came.metric).values()) == {None}
    assert len(came.unread) == came.stored


# --- a killed process -------------------------------------------------------------------------------------------------


def medbench(*arguments: object, key: str = "") -> subprocess.Popen[str]:
    environment = {name: value for name, value in os.environ.items() if not name.endswith("_API_KEY")}
    command = [sys.executable, "-m", "medbench", *map(str, arguments)]
    return subprocess.Popen(
        command,
        env=environment | ({"GROQ_API_KEY": key} if key else {}),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def test_killed_midway_and_repeated_it_makes_only_the_missing_calls(tmp_path: Path) -> None:
    answers = {f"q{n}": f"answer {n}" for n in range(20)}
    run = made.make_run(tmp_path / "runs", answers)

    def slowly(asked: servers.Asked) -> servers.Answer:
        time.sleep(0.1)
        return WELL(asked)

    with servers.Server(then=slowly) as server:
        command = ("score", run.path, "--judge", "openai:m", "--judge-base-url", server.url, "--judge-concurrency", "2")
        process = medbench(*command)
        deadline = time.monotonic() + 60
        while len(server.asked) < 8 and time.monotonic() < deadline:
            time.sleep(0.01)
        process.send_signal(signal.SIGKILL)
        process.communicate()
        (file,) = (run.path / "judgements").glob("*.jsonl")
        kept = [json.loads(line) for line in file.read_bytes().split(b"\n")[1:-1]]
        before = len(server.asked)
        assert 0 < len(kept) < 20
        process = medbench(*command)
        _, err = process.communicate(timeout=60)
        assert process.returncode == 0, err
        assert len(server.asked) - before == 20 - len(kept)
        process = medbench(*command)
        process.communicate(timeout=60)
        assert process.returncode == 0
        assert len(server.asked) - before == 20 - len(kept)
    lines = [json.loads(line) for line in file.read_text().splitlines()[1:]]
    assert sorted(line["output"]["item_id"] for line in lines) == sorted(answers)
    assert lines[: len(kept)] == kept
    assert f"{20 - len(kept)} calls in all" in err
    (name,) = [name for name in StoredRun(run.path).manifest.metrics if name.startswith("judge:")]
    assert values(run, name) == {f"q{n}": 1 + n % 5 for n in range(20)}


def test_without_a_key_the_command_ends_at_once_and_says_what_to_do(run: StoredRun) -> None:
    process = medbench("score", run.path, "--judge", "groq")
    out, err = process.communicate(timeout=60)
    assert (process.returncode, out) == (2, "")
    assert "GROQ_API_KEY is not set" in err
    assert "console.groq.com" in err
    assert not (run.path / "judgements").exists()


def test_a_capped_command_says_how_far_it_came_and_fails(run: StoredRun) -> None:
    with servers.Server(then=WELL) as server:
        command = ("score", run.path, "--judge", "openai:m", "--judge-base-url", server.url)
        process = medbench(*command, "--max-judge-calls", "4")
        out, err = process.communicate(timeout=60)
        assert process.returncode == 1
        assert "4 of 6 replies are there; 2 not: the cap of 4 calls is reached" in err
        assert "n 4 of 6" in out
        assert len(server.asked) == 4
        process = medbench(*command)
        out, err = process.communicate(timeout=60)
        assert process.returncode == 0, err
        assert len(server.asked) == 6


@pytest.mark.parametrize(
    ("options", "told"),
    [
        (["--judge", "grok"], "Did you mean groq?"),
        (
            ["--judge", "openai:m", "--max-judge-cost", "1", "--judge-base-url", "https://example.org/v1"],
            "is not known",
        ),
        (
            ["--judge", "openai:m", "--judge-base-url", "http://127.0.0.1:1/v1", "--judge-price", "cheap"],
            "not two prices",
        ),
        (["--max-judge-calls", "3", "--metrics", "rougeL"], "--max-judge-calls needs --judge"),
        (["--judge-mode", "rubric"], "--judge-mode needs --judge"),
        (["--metrics", "judge"], "To ask a judge: --judge groq"),
        (["--judge", "local:x", "--judge-base-url", "http://127.0.0.1:1/v1"], "--judge-base-url is for openai:NAME"),
        (["--judge-timeout", "3", "--metrics", "rougeL"], "--judge-timeout needs --judge"),
        (["--judge", "openai:m", "--judge-timeout", "0"], "--judge-timeout"),
        (["--judge", "openai:m,openai:m"], "--judge names openai:m twice"),
        (["--judge", "openai:m,openai:m ,openai:m", "--judge-mode", "taste"], "'taste' is not one of"),
    ],
)
def test_options_that_cannot_be_meant_are_refused_before_anything_is_asked(
    run: StoredRun, options: list[str], told: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    from click.testing import CliRunner
    from medbench.cli import cli

    monkeypatch.setenv("OPENAI_API_KEY", "sk-x")
    done = CliRunner().invoke(cli, ["score", str(run.path), *options])
    assert done.exit_code == 2
    assert told in done.output
    assert not (run.path / "judgements").exists()


def test_a_refused_key_is_told_and_is_nowhere(run: StoredRun, monkeypatch: pytest.MonkeyPatch) -> None:
    from click.testing import CliRunner
    from medbench.cli import cli

    key = "sk-secret-of-the-test"
    monkeypatch.setenv("OPENAI_API_KEY", key)
    with servers.Server(then=servers.error(401, f"Incorrect API key provided: {key}")) as server:
        command = ["score", str(run.path), "--judge", "openai:m", "--judge-base-url", server.url]
        done = CliRunner().invoke(cli, command)
        assert server.asked[0].headers["authorization"] == f"Bearer {key}"
    assert done.exit_code == 1
    assert "Not judged" in done.output
    assert key not in done.output
    assert not [file for file in run.path.rglob("*") if file.is_file() and key in file.read_text()]


def test_another_process_that_judges_the_same_is_waited_for_and_named(
    run: StoredRun, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The second waits for the first, then finds everything judged."""
    first, second, waiting = fake(), fake(), threading.Thread()

    def begin(text: str) -> str:
        nonlocal waiting
        if not waiting.ident:
            waiting = threading.Thread(target=lambda: ask(run, second, "reference"))
            waiting.start()
            time.sleep(0.3)
        return by_number(text)

    monkeypatch.setattr(files, "GRACE_S", 0.05)
    first.engine.text = begin  # type: ignore[attr-defined]
    assert ask(run, first, "reference").stored == 6
    waiting.join()
    assert second.engine.asked == []  # type: ignore[attr-defined]
    told = capsys.readouterr().err
    assert told.count("Waiting: ") == 1
    assert f"is being written by process {os.getpid()}" in told


def test_run_answers_then_asks_the_judge_and_says_that_it_judged_itself(tmp_path: Path) -> None:
    """The judge is the model at the same server: asked for answers and for grades, each once."""

    def reply(asked: servers.Asked) -> str:
        return grade(5) if "Reply with one JSON object" in asked.text else "Drink water."

    with servers.Server(then=servers.says(reply)) as server:
        command = [
            *("run", "--model", "openai:m", "--base-url", server.url, "--benchmark", "medquad-sample", "--limit", "4"),
            *("--metrics", "exact_match", "--out", str(tmp_path), "--latency-items", "0"),
            *("--judge", "openai:m", "--judge-base-url", server.url, "--json"),
        ]
        process = medbench(*command)
        out, err = process.communicate(timeout=120)
        assert process.returncode == 0, err
        assert len(server.asked) == 4 + 4
        process = medbench(*command)
        again, err = process.communicate(timeout=120)
        assert (process.returncode, again) == (0, out), err
        assert len(server.asked) == 8
    (row,) = json.loads(out)["boards"][0]["rows"]
    (figure,) = [figure for figure in row["figures"] if figure["metric"].startswith("judge:reference:openai:m@127")]
    assert (figure["value"], figure["n"]) == (5.0, 4)
    assert figure["remark"].startswith("judged by itself (openai:m@127.0.0.1:")


def test_run_without_a_key_for_its_judge_answers_nothing(tmp_path: Path) -> None:
    process = medbench("run", "--benchmark", "medquad-sample", "--out", tmp_path, "--judge", "groq")
    out, err = process.communicate(timeout=60)
    assert (process.returncode, out) == (2, "")
    assert "GROQ_API_KEY is not set" in err
    assert "loading" not in err
    assert not list(tmp_path.iterdir())


# --- a judge of one's own ---------------------------------------------------------------------------------------------

OWN_JUDGE = """
import sys
sys.path.insert(0, {tests!r})
import test_judging
from medbench.judges.judge import Judge

class Mine:
    name = "mine"
    summary = "A judge of a test."

    def make(self, model, base_url, tell):
        return Judge(f"mine:{{model or 'usual'}}", test_judging.Grader())

JUDGE = Mine()
"""


def test_a_file_with_a_judge_is_one(run: StoredRun, tmp_path: Path) -> None:
    from click.testing import CliRunner
    from medbench.cli import cli

    file = tmp_path / "my_judge.py"
    file.write_text(OWN_JUDGE.format(tests=str(Path(__file__).parent)))
    done = CliRunner().invoke(cli, ["score", str(run.path), "--judge", f"{file},local:no-such-model"])
    assert done.exit_code == 2  # one that cannot be meant, and none is asked
    assert not (run.path / "judgements").exists()
    done = CliRunner().invoke(cli, ["score", str(run.path), "--judge", str(file)])
    assert done.exit_code == 0, done.output
    (name,) = [name for name in StoredRun(run.path).manifest.metrics if name.startswith("judge:")]
    assert name == f"judge:reference:mine:usual:{MODES['reference'].hash}"
    assert set(values(run, name).values()) == {1.0, 2.0, 3.0, 4.0, 5.0}


# --- its own answers, in tables and exports ---------------------------------------------------------------------------


def own(run: StoredRun) -> Judge:
    """A judge that is the model of the run."""
    made_of = run.manifest.model
    engine = Grader()
    engine.spec = dataclasses.replace(engine.spec, name=made_of.name, engine="transformers")
    return Judge("local:tiny@01234567", engine)


def drawn(found: Leaderboard) -> str:
    """A leaderboard as the terminal shows it."""
    import io

    from medbench.cli.ui import render
    from rich.console import Console

    text = io.StringIO()
    for part in render.leaderboard(found):
        Console(file=text, width=120).print(part)
    return text.getvalue()


def test_a_table_says_that_a_model_was_judged_by_itself(tmp_path: Path) -> None:
    runs = []
    for model in ("tiny", "other"):
        each = made.make_run(tmp_path, ANSWERS, model=model)
        manifest = dataclasses.replace(each.manifest, model=ModelRecord(name=model, engine="transformers"))
        write_manifest(each.path, manifest)
        runs.append(StoredRun(each.path))
    judge_of = own(runs[0])
    names = [ask(each, judge_of, "reference").metric for each in runs]
    found = leaderboard.build(runs, names[:1])
    (board,) = found.boards
    assert {row.setup.model: (row.remarks, row.cells[0].remark) for row in board.rows} == {
        "tiny": ("", "judged by itself (local:tiny@01234567)"),
        "other": ("", ""),
    }
    assert to_markdown(found).count("†") == 2  # the cell and the note below the table
    assert "† judged by itself (local:tiny@01234567)." in to_markdown(found)
    shown = drawn(found)
    (of_tiny,) = [line for line in shown.splitlines() if line.startswith(" tiny")]
    assert "†" in of_tiny
    assert "† judged by itself (local:tiny@01234567)" in shown
    assert shown.count("†") == 2
    told = {row["label"]: row["figures"][0]["remark"] for row in to_json(found)["boards"][0]["rows"]}
    assert told == {"tiny": "judged by itself (local:tiny@01234567)", "other": ""}
    assert to_csv(found).count("judged by itself") == 1
