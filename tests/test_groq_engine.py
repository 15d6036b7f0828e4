"""What is specific to Groq: its SDK, its limits. What it shares with `openai` is in test_openai_engine.py."""

from __future__ import annotations

from pathlib import Path

import made
import pytest
import servers
from click.testing import CliRunner
from medbench.cli import cli
from medbench.core.errors import MedbenchError, UsageError
from medbench.core.types import ChoiceRequest, GenerateRequest, ModelSpec, Prompt
from medbench.engines.server.engine import Limits
from medbench.engines.server.groq import BASE_URL, GroqEngine
from servers import Server


@pytest.fixture(autouse=True)
def _no_keys(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("GROQ_API_KEY", "GROQ_BASE_URL"):
        monkeypatch.delenv(name, raising=False)


def spec(base_url: str = "", **fields: str) -> ModelSpec:
    return ModelSpec("groq:m", "m", "", "groq", base_url=base_url, **fields)  # type: ignore[arg-type]


ASK = GenerateRequest("i", Prompt("question?"), 32)


def test_it_goes_through_the_sdk_which_retries_nothing_of_its_own() -> None:
    with Server(servers.error(500)) as server:
        engine = GroqEngine(spec(server.root), Limits(retries=0))
        (output,) = engine.generate([ASK])
    assert output.error == "the server answered 500: it went wrong"
    assert engine.usage.calls == len(server.asked) == 1
    assert server.asked[0].path == "/chat/completions"
    assert server.asked[0].headers["user-agent"].startswith("Groq/Python")


def test_another_address_in_the_environment_changes_no_run(monkeypatch: pytest.MonkeyPatch) -> None:
    """The SDK would read it, and the run's identity would not know."""
    monkeypatch.setenv("GROQ_API_KEY", "gsk_0123456789")
    monkeypatch.setenv("GROQ_BASE_URL", "http://127.0.0.1:9")
    engine = GroqEngine(spec())
    engine.load()
    assert str(engine._client.base_url).rstrip("/") == BASE_URL
    assert not engine.local


def test_an_address_is_used_if_the_command_names_it(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """GROQ_BASE_URL alone sends the key nowhere; it is said how to use it."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("GROQ_API_KEY", "gsk_0123456789")
    words = ["run", "-m", "groq:m", "-b", "medqa-sample", "--limit", "1", "--latency-items", "0", "--out", "runs"]
    with Server(then=servers.says("Answer: B")) as server:
        monkeypatch.setenv("GROQ_BASE_URL", server.root)
        monkeypatch.setenv("HTTPS_PROXY", "http://127.0.0.1:9")  # nothing leaves this machine
        without = CliRunner().invoke(cli, words)
        assert without.exit_code == 1
        assert f"GROQ_BASE_URL is set to {server.root} but not used" in without.output
        assert server.asked == []
        done = CliRunner().invoke(cli, [*words, "--base-url", server.root])
        assert done.exit_code == 0, done.output
        assert server.asked[0].headers["authorization"] == "Bearer gsk_0123456789"
        both = CliRunner().invoke(cli, [*words, "-m", "openai:m", "--base-url", server.root])
        assert both.exit_code == 2
        assert "cannot share one address" in both.output
        assert len(server.asked) == 1


@pytest.mark.parametrize("url", ["", "/", "/openai/v1", "/openai/v1/"])
def test_a_judge_at_an_address_that_the_command_names(url: str, tmp_path: Path) -> None:
    run = made.make_run(tmp_path / "runs", {"q0": "answer 0"})
    with Server(then=servers.says('{"reason": "", "score": 4}')) as server:
        words = ["score", str(run.path), "--judge", "groq:m", "--judge-base-url", server.root + url]
        done = CliRunner().invoke(cli, words)
    assert done.exit_code == 0, done.output
    assert [asked.path for asked in server.asked] == ["/chat/completions"]


def test_choosing_is_by_generation_and_asks_nobody() -> None:
    engine = GroqEngine(spec())
    assert engine.cannot_choose([("A", "B")]) == "the server gives no log-probabilities for m"
    assert engine.usage.calls == 0
    with pytest.raises(MedbenchError, match="cannot choose by log-probability"):
        list(engine.choose([ChoiceRequest("i", Prompt("q"), ("A", "B"))]))


@pytest.mark.parametrize("fields", [{"chat": "never"}, {"prompt_format": "Q: {prompt}"}])
def test_plain_prompts_are_refused(fields: dict[str, str]) -> None:
    with pytest.raises(UsageError, match="accept chats only"):
        GroqEngine(spec(**fields))


def test_what_it_is_asked_with_is_the_newer_limit() -> None:
    with Server() as server:
        list(GroqEngine(spec(server.root)).generate([ASK]))
    assert server.asked[0].body["max_completion_tokens"] == 32
    assert "max_tokens" not in server.asked[0].body
