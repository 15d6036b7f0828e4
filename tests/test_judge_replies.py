"""What servers send instead of plain text, and what becomes of it: scored, stored, or requested again."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path
from typing import Any

import made
import pytest
import servers
from click.testing import CliRunner, Result
from medbench.cli import cli
from medbench.core.types import Output, Score
from medbench.results.judgments import JudgeReply
from medbench.results.scoring import load_metric, score_run
from medbench.results.store import StoredRun
from servers import Answer, Asked, Behavior, Server

GRADE = '{"reason": "It agrees.", "score": 4}'


@pytest.fixture(autouse=True)
def _alone(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)
    for name in ("OPENAI_API_KEY", "OPENAI_BASE_URL", "MEDBENCH_DATA"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture
def run(tmp_path: Path) -> StoredRun:
    return made.make_run(tmp_path / "runs", {"q0": "answer 0"})


def choice(finish: str | None = "stop", **message: Any) -> Behavior:
    body = servers.reply([{"index": 0, "finish_reason": finish, "message": {"role": "assistant"} | message}])
    return lambda asked: Answer(body=body)


def part(text: str, kind: str = "text") -> dict[str, str]:
    return {"type": kind, kind: text}


def judge(run: StoredRun, server: Server, *words: str) -> Result:
    fixed = ["score", str(run.path), "--judge", "openai:m", "--judge-base-url", server.url]
    return CliRunner().invoke(cli, [*fixed, *words])


def score(run: StoredRun) -> Score:
    (file,) = (run.path / "judgements").glob("*.jsonl")
    name = json.loads(file.read_text().splitlines()[0])["metric"]
    (found,) = score_run(StoredRun(run.path), load_metric(name))  # type: ignore[arg-type]
    return found


GRADED: dict[str, Behavior] = {
    "parts": choice(content=[part(GRADE[:9]), part(GRADE[9:])]),
    "one part": choice(content=part(GRADE)),
    "parts after reasoning": choice(content=[{"type": "thinking", "thinking": [part("2?")]}, part(GRADE)]),
    "reasoning beside it": choice(content=GRADE, reasoning_content='{"reason": "", "score": 1}'),
    "reasoning before it": choice(content=f"<think>\n{GRADE.replace('4', '1')}\n</think>\n{GRADE}"),
    "a fence of Windows": choice(content=f"```JSON\r\n{GRADE}\r\n```"),
    "a whole number with a point": choice(content=GRADE.replace("4", "4.0")),
    "marks in its reason": choice(content=json.dumps({"reason": "It agrees. </think>", "score": 4})),
    "no finish_reason": choice(finish=None, content=GRADE),
}


@pytest.mark.parametrize("behavior", GRADED.values(), ids=GRADED)
def test_a_grade_is_read(behavior: Behavior, run: StoredRun) -> None:
    with Server(then=behavior) as server:
        done = judge(run, server)
    assert done.exit_code == 0, done.output
    found = score(run)
    assert (found.value, found.answer) == (4.0, "score 4")
    assert (found.reason or "").startswith("It agrees.")
    assert len(server.asked) == 1


def azure(asked: Asked) -> Answer:
    inner = {"code": "ResponsibleAIPolicyViolation", "content_filter_result": {"hate": {"filtered": True}}}
    error = {"message": "The response was filtered.", "param": "prompt", "code": "content_filter", "innererror": inner}
    return Answer(400, {"error": error})


KEPT: dict[str, tuple[Behavior, str]] = {
    "a content filter": (choice("content_filter", content=GRADE), "refused: the server's content filter withheld the"),
    "Gemini's": (choice("SAFETY", content=None), "refused: the server's content filter withheld the answer"),
    "Azure's": (azure, "refused: the server's content filter rejected the request: The response was filtered."),
    "a refusal": (choice(content=None, refusal="I cannot."), "refused: the model refused: I cannot."),
    "a refusal among parts": (choice(content=[part("I cannot.", "refusal")]), "refused: the model refused: I cannot."),
    "cut off": (choice("length", content=GRADE[:-1]), "cut off at the judge's token limit; the judge wrote:"),
    "cut off behind a grade": (choice("length", content=f"{GRADE}\n"), "cut off at the judge's token limit"),
    "cut off in its reasoning": (choice("length", content=""), "cut off at the judge's token limit"),
    "reasoning that does not end": (
        choice(content=f"<think>{GRADE}"),
        "unparsed: the judge wrote only reasoning",
    ),
    "reasoning alone": (
        choice(content=None, reasoning_content="So 4."),
        "unparsed: the judge wrote only reasoning",
    ),
}


@pytest.mark.parametrize(("behavior", "why"), KEPT.values(), ids=KEPT)
def test_what_would_come_again_is_kept_unscored_and_not_asked_again(
    behavior: Behavior, why: str, run: StoredRun
) -> None:
    with Server(then=behavior) as server:
        first, again = judge(run, server), judge(run, server)
    assert (first.exit_code, again.exit_code) == (1, 1), "a judge that graded nothing"
    assert len(server.asked) == 1
    assert score(run).value is None
    assert (score(run).reason or "").startswith(why)
    shown = CliRunner().invoke(cli, ["show", str(run.path), "--unscored"], env={"COLUMNS": "250"})
    assert why.split(":")[0] in shown.output


ASKED_AGAIN: dict[str, tuple[Behavior, str]] = {
    "null": (choice(content=None), "the reply has no text (finish_reason stop)"),
    "a tool": (choice("tool_calls", content=None, tool_calls=[{"id": "1"}]), "the reply has a tool call but no text"),
    "an image": (choice(content=[{"type": "image_url", "image_url": {}}]), "no text, only parts of type image_url"),
    "a number": (choice(content=4), "the reply has a int instead of a text"),
    "an error in a 200": (
        lambda asked: Answer(body={"error": {"message": "no such\x1b[2J model", "code": 400}}),
        "the server answered 200 with an error (400): no such [2J model",
    ),
    "an error as text in a 200": (lambda asked: Answer(body={"error": "bad"}), "200 with an error (400): bad"),
    "vLLM's error in a 200": (
        lambda asked: Answer(body={"object": "error", "message": "bad", "code": 400}),
        "200 with an error (400): bad",
    ),
    "an error in the answer": (
        lambda asked: Answer(
            body=servers.reply([{"finish_reason": "error", "error": {"message": "lost"}, "message": {"content": ""}}])
        ),
        "the server reports an error in its answer: lost",
    ),
    "something else": (lambda asked: Answer(body={"hello": 1}), 'the reply has no choices: {"hello": 1}'),
    "nested beyond reading": (servers.raw('{"choices":' + "[" * 100_000), "the reply is not a JSON object"),
}


@pytest.mark.parametrize(("behavior", "why"), ASKED_AGAIN.values(), ids=ASKED_AGAIN)
def test_what_is_no_answer_is_called_what_it_is_and_asked_again_by_the_next_command(
    behavior: Behavior, why: str, run: StoredRun
) -> None:
    # An error may be about the schema, in whatever words: then it is asked once more, without one.
    calls = 2 if "error (400)" in why else 1
    with Server(*[behavior] * calls, then=servers.says(GRADE)) as server:
        done = judge(run, server)
        assert done.exit_code == 1
        assert why in done.output
        assert "\x1b" not in done.output
        assert len(server.asked) == calls
        assert judge(run, server).exit_code == 0
    assert score(run).value == 4


def test_an_overload_in_a_200_is_tried_again(run: StoredRun) -> None:
    overload = {"error": {"message": "Provider returned error", "code": 502}}
    with Server(lambda asked: Answer(body=overload), then=servers.says(GRADE)) as server:
        assert judge(run, server).exit_code == 0
    assert len(server.asked) == 2


def test_replies_that_are_kept_are_read_by_todays_rules_without_asking(run: StoredRun) -> None:
    """A file as medbench wrote it before these rules."""
    with Server(then=servers.says("I would say 4.")) as server:
        judge(run, server)
        made.unsealed(run)
        (file,) = (run.path / "judgements").glob("*.jsonl")
        header, line = file.read_text().splitlines()
        kept = json.loads(line)
        for text in (f"~~~json\r\n{GRADE}\r\n~~~", GRADE.replace("4", "4.0"), f"<think>Hm.</think>{GRADE}"):
            kept["output"]["text"] = text
            file.write_text(f"{header}\n{json.dumps(kept)}\n")
            assert judge(run, server).exit_code == 0
            assert score(run) == Score("q0", 4.0, "It agrees.", "score 4")
    assert len(server.asked) == 1


def test_a_refusal_is_stored_in_a_run_too_and_is_no_score() -> None:
    words = ["run", "-m", "openai:m", "-b", "medqa-sample", "--limit", "3", "--choice", "generate", "--out", "runs"]
    words += ["--latency-items", "0", "--concurrency", "1"]
    with Server(azure, choice("content_filter", content="B"), then=servers.says("Answer: B")) as server:
        first = CliRunner().invoke(cli, [*words, "--base-url", server.url])
        again = CliRunner().invoke(cli, [*words, "--base-url", server.url])
    assert (first.exit_code, again.exit_code) == (0, 0), first.output
    assert len(server.asked) == 3
    (path,) = Path("runs").iterdir()
    outputs = [record.output for record in StoredRun(path).records()]
    assert Counter((output.text, output.final) for output in outputs) == {(None, True): 2, ("Answer: B", False): 1}
    scores = score_run(StoredRun(path), load_metric("accuracy"))  # type: ignore[arg-type]
    assert sum(found.value is None for found in scores) == 2
    assert "n 1 of 3" in first.output
    assert "openai:m on medqa-sample: 2 answers were refused by the server or the model;" in first.output
    assert "were refused" not in again.output


def test_why_items_have_no_score_or_no_answer_is_shown_for_each() -> None:
    words = ["run", "-m", "openai:m", "-b", "medqa-sample", "--limit", "3", "--choice", "generate", "--out", "runs"]
    words += ["--latency-items", "0", "--concurrency", "1"]
    with Server(azure, servers.raw("{"), then=servers.says("Answer: B")) as server:
        done = CliRunner().invoke(cli, [*words, "--base-url", server.url])
    assert done.exit_code == 1
    (path,) = Path("runs").iterdir()
    shown = CliRunner().invoke(cli, ["show", str(path), "--unscored"], env={"COLUMNS": "250"})
    assert "2 of 2 items" in shown.output
    assert "no answer: the reply is not a JSON object: '{'" in shown.output
    assert "error: the server's content filter rejected the request" in shown.output
    found = json.loads(CliRunner().invoke(cli, ["show", str(path), "--unscored", "--json"]).output)["unscored"]
    refused, missing = found.values()
    assert missing == {"": "no answer: the reply is not a JSON object: '{'"}
    assert refused["accuracy"].startswith("error: the server's content filter rejected the request")
    whole = CliRunner().invoke(cli, ["show", str(path), "--unscored", "--limit", "1"], env={"COLUMNS": "250"})
    assert "1 of 2 items" in whole.output


def test_why_a_judge_gave_no_reply_is_shown_until_it_gives_one(run: StoredRun) -> None:
    with Server(servers.raw("{"), then=servers.says(GRADE)) as server:
        judge(run, server)
        words = ["show", str(run.path), "--unscored", "--json"]
        (reasons,) = json.loads(CliRunner().invoke(cli, words).stdout)["unscored"].values()
        assert reasons[next(iter(reasons))] == "not judged: the reply is not a JSON object: '{'"
        judge(run, server)
    assert json.loads(CliRunner().invoke(cli, words).stdout)["unscored"] == {}
    (file,) = (run.path / "judgements").glob("*.jsonl")
    assert "failures" not in file.read_text()


def test_control_characters_of_a_judge_never_reach_the_terminal(run: StoredRun) -> None:
    wild = json.dumps({"reason": "\x1b[31mred\x00\x07\x9b", "score": 4})
    with Server(then=servers.says(wild)) as server:
        outputs = [judge(run, server).output]
    for words in (["show", str(run.path)], ["show", str(run.path), "q0"], ["show", str(run.path), "--unscored"]):
        outputs.append(CliRunner().invoke(cli, words).output)
    assert "red" in outputs[2]
    assert not set("\x1b\x00\x07\x9b") & set("".join(outputs))


# --- a judge plugin that fails ----------------------------------------------------------------------------------------

PLUGIN = """
from medbench.core.types import Output
from medbench.judges.judge import Judge

class Engine:
    class spec:
        name = location = "broken"; revision = adapter_hash = dtype = quantize = base_url = ""; engine = "x"
        generation = {{}}
    def load(self): {load}
    def chat(self, method): return "plain"
    def generate(self, requests):
        for request in requests:
            yield {output}

class Broken:
    name = "broken"
    summary = "A judge of a test."
    def make(self, model, base_url, tell):
        {make}

JUDGE = Broken()
"""
WORKS = {"load": "pass", "output": "Output(request.item_id, text='x')", "make": "return Judge('broken', Engine())"}


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"make": "raise KeyError('no such grade')"}, "a plugin failed: KeyError: 'no such grade'"),
        ({"make": "return None"}, "a plugin failed: its `make` returned a NoneType, not a Judge"),
        ({"load": "raise RuntimeError('no weights')"}, "a plugin failed: RuntimeError: no weights"),
        ({"output": "1 / 0"}, "a plugin failed: ZeroDivisionError: division by zero"),
        ({"output": "Output(request.item_id, text=5)"}, "1 not: the engine gave no text"),
        ({"output": "Output(request.item_id)"}, "1 not: the engine gave no text"),
        ({"output": "'4'"}, "a plugin failed: the engine of broken returned a str, not an Output"),
    ],
)
def test_a_judge_plugin_that_fails_is_reported_and_the_others_go_on(
    changes: dict[str, str], told: str, run: StoredRun, tmp_path: Path
) -> None:
    file = tmp_path / "broken.py"
    file.write_text(PLUGIN.format(**WORKS | changes))
    with Server(then=servers.says(GRADE)) as server:
        done = judge(run, server, "--judge", str(file))
    assert isinstance(done.exception, SystemExit), done.exception
    assert done.exit_code == 1
    assert told in done.output
    assert len(server.asked) == 1, "the other judge is asked"
    assert "judge:reference:openai:m" in "".join(StoredRun(run.path).manifest.metrics)
    assert "jury" not in "".join(StoredRun(run.path).manifest.metrics), "one judge is no jury"


# --- time -------------------------------------------------------------------------------------------------------------


def test_a_judge_is_waited_for_as_long_as_asked(run: StoredRun) -> None:
    with Server(servers.hangs(30), then=servers.says(GRADE)) as server:
        assert judge(run, server, "--judge-timeout", "0.3").exit_code == 0
    assert len(server.asked) == 2, "the first reply did not come in time"


def test_a_server_that_is_too_slow_is_reported_with_the_option_that_waits_longer(run: StoredRun) -> None:
    with Server(then=servers.hangs(20.0)) as server:
        done = judge(run, server, "--judge-timeout", "0.3")
    assert done.exit_code == 1
    assert "0 of 1 replies are there; 1 not: no reply in time" in done.stderr
    assert "To wait longer for each: --judge-timeout SECONDS." in done.stderr


def test_a_time_for_servers_means_nothing_to_a_judge_on_this_machine(run: StoredRun, tmp_path: Path) -> None:
    file = tmp_path / "mine.py"
    file.write_text(PLUGIN.format(**WORKS))
    done = CliRunner().invoke(cli, ["score", str(run.path), "--judge", str(file), "--judge-timeout", "5"])
    assert done.exit_code == 2
    assert "--judge-timeout 5: none of these judges is at a server" in done.output


def test_a_long_wait_is_announced(run: StoredRun, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("medbench.engines.server.client.LONG_WAIT_S", 0.01)
    with Server(servers.busy("0.2"), then=servers.says(GRADE)) as server:
        done = judge(run, server)
    assert "openai:m: the server asks to wait 0 s" in done.output


# --- a killed process -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("at_once", [1, 8])
def test_killed_it_loses_no_more_replies_than_were_out(at_once: int, tmp_path: Path) -> None:
    """Fast replies and a disk that takes its time: what came and was not stored yet is lost, and was paid for."""
    run = made.make_run(tmp_path / "many", {f"q{n}": f"answer {n}" for n in range(60)})
    slow = (
        "import os, sys, time\n"
        "synced = os.fsync\n"
        "os.fsync = lambda file: (time.sleep(0.05), synced(file))[1]\n"
        "from medbench.cli import main\n"
        "main()\n"
    )
    with Server(then=servers.says(GRADE)) as server:
        words = ["score", str(run.path), "--judge", "openai:m", "--judge-base-url", server.url]
        words += ["--judge-concurrency", str(at_once)]
        process = subprocess.Popen([sys.executable, "-c", slow, *words], stderr=subprocess.PIPE)
        while len(server.asked) < 20:
            assert process.poll() is None, process.stderr.read() if process.stderr else ""
            time.sleep(0.005)
        os.kill(process.pid, signal.SIGKILL)
        process.communicate()
        asked = len(server.asked)
        (file,) = (run.path / "judgements").glob("*.jsonl")
        kept = file.read_bytes().count(b"\n") - 1
        assert asked - kept <= at_once
        assert judge(run, server).exit_code == 0
    assert len(server.asked) == asked + 60 - kept


def test_an_old_line_of_a_reply_is_read_and_a_new_field_is_left_out_if_unused() -> None:
    line = JudgeReply("a", Output("i", text="x", finish="stop")).as_json()
    assert line == {"asked": "a", "output": {"item_id": "i", "text": "x", "finish": "stop"}}
