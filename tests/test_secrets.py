"""Keys are masked before anything is stored or printed, wherever and however a server echoes them."""

from __future__ import annotations

import base64
import html
import json
import urllib.parse
from pathlib import Path
from typing import Any

import made
import pytest
import servers
from click.testing import CliRunner
from medbench.cli import cli
from medbench.core.secrets import Mask, masked
from medbench.engines.server.replies import HttpReply, received
from servers import Answer, Asked, Server

KEY = "k3y/of+the.test_0123456789=="


def base64_of(text: str) -> str:
    return base64.b64encode(text.encode()).decode()


SPELLINGS = {
    "as it is": KEY,
    "in capitals": KEY.upper(),
    "URL-encoded": urllib.parse.quote(KEY, safe=""),
    "URL-encoded twice": urllib.parse.quote(urllib.parse.quote(KEY, safe=""), safe=""),
    "escaped for JSON": KEY.replace("/", "\\/"),
    "all escaped for JSON": "".join(f"\\u{ord(character):04x}" for character in KEY),
    "escaped for HTML": html.escape(KEY).replace("=", "&#61;"),
    "with names of HTML": KEY.replace("/", "&sol;").replace("+", "&plus;").replace("=", "&amp;equals;"),
    "hexadecimal": KEY.encode().hex(),
    "base64": base64_of(KEY).rstrip("="),
    "base64 behind Bearer": base64_of(f"Bearer {KEY}"),
    "base64 behind a user": base64_of(f"u:{KEY}"),
    "base64 before and behind": base64_of(f'{{"key": "{KEY}"}}'),
    "base64 for URLs": base64.urlsafe_b64encode(KEY.encode()).decode(),
}


def holds_key(text: str) -> bool:
    """Whether six characters in a row of the key, in any spelling, are in `text`."""
    forms = [*SPELLINGS.values(), base64_of(f"Bearer {KEY}")[10:], base64_of(f"u:{KEY}")[4:]]
    inner = [form[at : at + 12] for form in forms for at in range(4, len(form) - 16)]
    return any(part in text for part in inner if part not in base64_of("Bearer ") + '{"key": "')


def test_a_spelling_is_recognized_here() -> None:
    assert all(holds_key(f"{{{spelled}}}") for spelled in SPELLINGS.values())
    assert not holds_key(json.dumps({"id": "q0", "text": "Answer: B. Bearer ***"}))


@pytest.mark.parametrize("spelled", SPELLINGS.values(), ids=SPELLINGS)
def test_a_key_is_found_in_every_spelling(spelled: str) -> None:
    mask = Mask(KEY)
    for found in (mask.answer(f"the key {spelled} here"), mask(f"the key {spelled} here")):
        assert "***" in found
        assert not holds_key(found)
        assert found.startswith("the key ")
        assert found.endswith(" here")


@pytest.mark.parametrize(
    ("text", "right"),
    [
        ("http://me:secret@host/v1", "http://***@host/v1"),
        ("https://host/v1?model=m&api_key=abc123&x=1", "https://host/v1?model=m&api_key=***&x=1"),
        ("https://cdn/f?X-Amz-Signature=00ff&X-Amz-Date=1", "https://cdn/f?X-Amz-Signature=***&X-Amz-Date=1"),
        ("Authorization: Bearer abcdefgh12345", "Authorization: Bearer ***"),
        ("provided: sk-proj-ab****yz.", "provided: ***"),
        ("hf_abcdefgh1j and gsk_abc2efghij", "*** and ***"),
        ("hf_hub_download, sk-learn, pk-values", "hf_hub_download, sk-learn, pk-values"),
        ("a key of 5 mg, at 2 pm; see https://host/a?b=c", "a key of 5 mg, at 2 pm; see https://host/a?b=c"),
    ],
)
def test_messages_lose_what_looks_like_a_key(text: str, right: str) -> None:
    assert masked(text) == right
    assert masked(right) == right, "twice is once"


def test_messages_lose_the_keys_and_proxy_passwords_of_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_TOKEN", "a-token-of-the-hub")
    monkeypatch.setenv("HTTPS_PROXY", "http://me:pass%2Fword1@proxy:3128")
    monkeypatch.setenv("MAX_TOKEN", "64")
    assert masked("a-token-of-the-hub, pass/word1, 64") == "***, ***, 64"


def test_an_answer_loses_the_key_that_was_sent_and_nothing_else() -> None:
    answer = "GSK-3beta (gsk-3beta): see http://a:b@c/?key=1, Bearer abcdefghijkl"
    assert Mask(KEY).answer(answer) == answer
    # A word or a few characters, which servers that want no key are given, may well be in an answer.
    for key in ("none", "EMPTY", "B", "anything"):
        assert Mask(key).answer(f"Answer: {key}.") == f"Answer: {key}."
    assert Mask("k1234")("no k1234, but xk12345") == "no ***, but xk12345"


def test_only_texts_of_a_json_body_are_masked() -> None:
    body = {"created": 1234567890, "id": "1234567890", "1234567890": ["x1234567890"]}
    clean = received(HttpReply(200, {"X-Key": "1234567890"}, json.dumps(body)), Mask("1234567890"))
    assert clean.json() == {"created": 1234567890, "id": "***", "***": ["x***"]}
    assert clean.headers == {"x-key": "***"}


ASKED = Asked("/chat/completions", {"messages": [{"content": "q"}]}, {}, 0.0)


def chat(**message: Any) -> Answer:
    return Answer(body=servers.reply([{"index": 0, "finish_reason": "stop", "message": message}]))


PLACES: dict[str, Any] = {
    "the answer": lambda key: chat(content=f"Answer: B. {key}"),
    "the answer's start": lambda key: chat(content=key),
    "a grade's reason": lambda key: chat(content=json.dumps({"reason": key, "score": 4})),
    "parts of the answer": lambda key: chat(
        content=[{"type": "text", "text": "B " + key[:9]}, {"type": "text", "text": key[9:]}]
    ),
    "reasoning": lambda key: chat(content="B", reasoning_content=key, reasoning=key),
    "thinking in the answer": lambda key: chat(content=f"<think>{key}</think>B"),
    "a refusal": lambda key: chat(content=None, refusal=f"no {key}"),
    "an error": lambda key: Answer(400, {"error": {"message": f"bad {key}", "code": key, "param": key}}),
    "an error in a 200": lambda key: Answer(200, {"error": {"message": f"bad {key}"}}),
    "a validator's error": lambda key: Answer(422, {"detail": [{"loc": ["header", key], "input": key, "msg": key}]}),
    "a web page": lambda key: Answer(400, f"<html><b>{key}</b></html>"),
    "no JSON": lambda key: Answer(200, f"{key} {{"),
    "no choices": lambda key: Answer(200, {"you": key}),
    "a refused key": lambda key: Answer(401, {"error": {"message": f"not a key: {key}"}}),
    "a missing model": lambda key: Answer(404, {"detail": key}),
    "a redirect": lambda key: Answer(
        302, "", {"Location": f"http://{urllib.parse.quote(key, safe='')}@h/?token={key}"}
    ),
    "a wait": lambda key: Answer(429, {"error": key}, {"Retry-After": "9999", "X-Key": key}),
    "finish_reason": lambda key: Answer(
        body=servers.reply([{"index": 0, "finish_reason": key, "message": {"content": ""}}])
    ),
    "no spelling is left": lambda key: chat(content=" ".join(SPELLINGS.values())),
}


def everything(folder: Path) -> str:
    return "".join(path.read_text(errors="replace") for path in folder.rglob("*") if path.is_file())


@pytest.fixture(autouse=True)
def _key(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("MEDBENCH_DATA", raising=False)
    monkeypatch.setenv("OPENAI_API_KEY", KEY)


@pytest.mark.parametrize("place", PLACES)
def test_an_echoed_key_is_in_no_file_and_no_line_of_a_run(place: str, tmp_path: Path) -> None:
    with Server(then=lambda asked: PLACES[place](asked.headers["authorization"].removeprefix("Bearer "))) as server:
        words = ["run", "-m", "openai:m", "--base-url", server.url, "-b", "medqa-sample", "--limit", "2"]
        words += ["--choice", "generate", "--latency-items", "0", "--out", str(tmp_path / "runs")]
        done = CliRunner().invoke(cli, words)
        assert server.asked[0].headers["authorization"] == f"Bearer {KEY}"
    assert done.exception is None or isinstance(done.exception, SystemExit)
    assert not holds_key(done.output + everything(tmp_path / "runs"))


@pytest.mark.parametrize("place", PLACES)
def test_an_echoed_key_is_in_no_file_and_no_line_of_a_judge(place: str, tmp_path: Path) -> None:
    run = made.make_run(tmp_path / "runs", {"q0": "answer 0"})
    with Server(then=lambda asked: PLACES[place](asked.headers["authorization"].removeprefix("Bearer "))) as server:
        words = ["score", str(run.path), "--judge", "openai:m", "--judge-base-url", server.url]
        done = CliRunner().invoke(cli, words)
    shown = CliRunner().invoke(cli, ["show", str(run.path), "--unscored"])
    assert done.exception is None or isinstance(done.exception, SystemExit)
    assert not holds_key(done.output + shown.output + everything(run.path))


def test_a_command_line_is_kept_without_keys(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.argv", ["medbench", "run", f"--note={KEY}", "--url=http://a:bcd@host/?key=efg"])
    with Server() as server:
        words = ["run", "-m", "openai:m", "--base-url", server.url, "-b", "medqa-sample", "--limit", "1", "-q"]
        done = CliRunner().invoke(cli, [*words, "--choice", "generate", "--out", str(tmp_path / "runs")])
    assert done.exit_code == 0, done.output
    (manifest,) = (tmp_path / "runs").glob("*/manifest.json")
    command = json.loads(manifest.read_text())["command"]
    assert command == ["medbench", "run", "--note=***", "--url=http://***@host/?key=***"]


@pytest.mark.parametrize(
    "url", ["http://me:pass-1234@127.0.0.1/v1", "http://127.0.0.1/v1?api_key=pass-1234", f"http://127.0.0.1/{KEY}/v1"]
)
@pytest.mark.parametrize("by", ["option", "variable"])
def test_an_address_that_holds_a_key_is_refused_and_not_shown(
    url: str, by: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    option = ["--base-url", url] if by == "option" else []
    monkeypatch.setenv("OPENAI_BASE_URL", url)
    done = CliRunner().invoke(cli, ["run", "-m", "openai:m", "-b", "medqa-sample", "--out", str(tmp_path), *option])
    assert done.exit_code == 2
    assert "cannot be used" in done.output
    assert "pass-1234" not in done.output
    assert not holds_key(done.output)
    assert list(tmp_path.iterdir()) == []


TOKEN = "sk-proj-4fQx9LmZ2vBn7Kd0"


@pytest.mark.parametrize(
    ("text", "right"),
    [
        (f"The key is {TOKEN}.", "The key is ***."),
        ("The key is sk-proj-4fQx", "The key is ***"),  # cut off after 12 characters
        ("The key is sk-proj-4fQx9Lm****, it is wrong.", "The key is ***, it is wrong."),
        ("The key is sk-proj-4f", "The key is sk-proj-4f"),  # three digits of entropy tell nothing
        ("mysk-proj-4fQx", "mysk-proj-4fQx"),
    ],
)
def test_the_beginning_of_a_key_is_masked_in_answers(text: str, right: str) -> None:
    assert Mask(TOKEN).answer(text) == right


@pytest.mark.parametrize("key", ["1234", "none", "B12", "CYP2D6", "anything", "acetylsalicylic-acid-100"])
def test_a_mask_leaves_words_of_answers_alone(key: str) -> None:
    """Short keys and ordinary words are placeholders; the beginning of a key may be a word too."""
    text = "None, 1234 mg of B12 by CYP2D6, anything but acetylsalicylic acid."
    assert Mask(key).answer(text) == text
