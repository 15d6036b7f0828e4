"""`medbench serve` over HTTP, with a tiny model: the same answers as the engine's own, and bounds that hold."""

from __future__ import annotations

import json
import math
import re
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import httpx
import pytest
import tiny
import torch
from medbench.benchmarks.medqa import MEDQA
from medbench.benchmarks.medquad import MEDQUAD
from medbench.core.types import ChoiceRequest, GenerateRequest, Item, ModelSpec, Output, Prompt, Turn
from medbench.engines.hf.engine import TransformersEngine
from medbench.engines.one_by_one import OneByOne
from medbench.engines.prompting import messages
from medbench.engines.text_requests import Rejected, TextRequest, as_prompt
from medbench.serving.api.server import serving
from medbench.serving.api.service import Service
from medbench.serving.api.settings import ServerSettings

WINDOW = 256


def test_two_adapters_of_one_base_are_told_apart() -> None:
    def revision(adapter: str) -> str:
        engine = SimpleNamespace(spec=ModelSpec("tiny", "tiny", "0123", adapter_hash=adapter))
        return Service(SimpleNamespace(engine=engine), ServerSettings()).revision  # type: ignore[arg-type]

    assert [revision(""), revision("a" * 64), revision("b" * 64)] == ["0123", "0123+" + "a" * 12, "0123+" + "b" * 12]


QUESTION = "What are the symptoms of fever and cough in a child?"
CASE = {
    "context": "The trial enrolled 120 patients.",
    "question": "Which one?",
    "options": {"a": "aspirin", "b": "heparin", "c": "warfarin", "d": "placebo"},
}


def engine_of(folder: Path, **settings: Any) -> TransformersEngine:
    engine = TransformersEngine(ModelSpec("tiny", str(folder), "r1", device="cpu", dtype="float64", **settings))
    engine.load()
    # With the input's own embeddings for output a small model repeats its last token, whatever came before.
    torch.manual_seed(1)
    head = engine.loaded.model.get_output_embeddings()  # type: ignore[union-attr]
    head.weight = torch.nn.Parameter(torch.randn_like(head.weight))
    return engine


@pytest.fixture(scope="module")
def engine(tmp_path_factory: pytest.TempPathFactory) -> TransformersEngine:
    return engine_of(tiny.save(tmp_path_factory.mktemp("served"), "llama", window=WINDOW))


@pytest.fixture(scope="module")
def url(engine: TransformersEngine) -> Iterator[str]:
    with serving(engine, ServerSettings(max_tokens=100)) as address:
        yield address


@pytest.fixture
def client(url: str) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=url, timeout=60, trust_env=False) as made:
        yield made


@pytest.fixture
def bounded(engine: TransformersEngine) -> Iterator[Any]:
    """Another server of the same model, under other settings."""
    with ExitStack() as stack:

        def start(**settings: Any) -> httpx.Client:
            address = stack.enter_context(serving(engine, ServerSettings(**settings)))
            return stack.enter_context(httpx.Client(base_url=address, timeout=60, trust_env=False))

        yield start


def fine(reply: httpx.Response) -> Any:
    assert reply.status_code == 200, reply.text
    return reply.json()


def chat(text: str, **fields: Any) -> dict[str, Any]:
    return {"model": "tiny", "messages": [{"role": "user", "content": text}], **fields}


def events(client: httpx.Client, path: str, body: dict[str, Any]) -> list[dict[str, Any]]:
    with client.stream("POST", path, json=body | {"stream": True}) as reply:
        lines = [line.removeprefix("data: ") for line in reply.iter_lines() if line]
    assert lines[-1] == "[DONE]"
    return [json.loads(line) for line in lines[:-1]]


# The same answers as the engine's own


def test_ask_scores_options_as_the_benchmark_does(client: httpx.Client, engine: TransformersEngine) -> None:
    found = fine(client.post("/ask", json=CASE))
    item = Item(
        "1",
        "The trial enrolled 120 patients.\nWhich one?",
        labels=tuple("ABCD"),
        options=tuple(CASE["options"].values()),
    )
    (direct,) = engine.choose([ChoiceRequest("1", Prompt(MEDQA.question(item)), item.answers)])
    assert direct.logprobs is not None
    assert list(found["logprobs"].values()) == pytest.approx(direct.logprobs)
    total = sum(map(math.exp, direct.logprobs))
    shares = [math.exp(value) / total for value in direct.logprobs]
    assert list(found["probabilities"].values()) == pytest.approx(shares)
    assert found["option"] == "abcd"[shares.index(max(shares))]
    assert found["option_text"] == CASE["options"][found["option"]]
    assert (found["model"], found["revision"]) == ("tiny", "r1")
    assert found["analysis"]
    assert "not medical advice" in found["disclaimer"]
    assert set(found["safety"]["labels"]) == {"disclaimer", "unsafe", "referral", "refusal", "emergency"}


def test_the_example_of_the_documentation_works_as_printed(client: httpx.Client) -> None:
    page = Path(__file__).parents[1].joinpath("docs", "serve.md").read_text(encoding="utf-8")
    (body,) = re.findall(r"/ask -H 'Content-Type: application/json' -d '(.*?)'", page, re.DOTALL)
    found = fine(client.post("/ask", content=body, headers={"Content-Type": "application/json"}))
    fields = page.partition("The reply has these fields:")[2].partition("\n\n`option` and")[0]
    first_column = [line.split("|")[1] for line in fields.splitlines() if line.startswith("| `")]
    assert set(re.findall(r"`(\w+)`", " ".join(first_column))) == set(found)


def test_ask_answers_an_open_question_as_the_benchmark_does(client: httpx.Client, engine: TransformersEngine) -> None:
    found = fine(client.post("/ask", json={"question": QUESTION, "max_tokens": 20}))
    asked = Prompt(MEDQUAD.question(Item("1", QUESTION)))
    (direct,) = engine.generate([GenerateRequest("1", asked, 20)])
    assert found["analysis"] == direct.text
    assert found["option"] is None and found["probabilities"] is None
    assert found["usage"] == {
        "prompt_tokens": direct.prompt_tokens,
        "completion_tokens": direct.completion_tokens,
        "total_tokens": direct.prompt_tokens + direct.completion_tokens,
    }


def test_cases_that_come_together_keep_their_own_answers(client: httpx.Client, url: str) -> None:
    cases = [CASE | {"question": f"Which one? {'fever ' * n}", "analyze": False} for n in range(12)]
    alone = [fine(client.post("/ask", json=case))["logprobs"] for case in cases]
    assert len({tuple(found.values()) for found in alone}) == 12

    def ask(case: dict[str, Any]) -> Any:
        with httpx.Client(base_url=url, timeout=60, trust_env=False) as mine:
            return fine(mine.post("/ask", json=case))["logprobs"]

    for _ in range(3):
        with ThreadPoolExecutor(12) as pool:
            for found, right in zip(pool.map(ask, cases), alone, strict=True):
                assert found == pytest.approx(right)


@pytest.mark.parametrize("count", [2, 5, 26])
def test_ask_takes_2_to_26_options(client: httpx.Client, count: int) -> None:
    found = fine(client.post("/ask", json={"question": "?", "options": ["x"] * count, "analyze": False}))
    assert list(found["probabilities"]) == list("ABCDEFGHIJKLMNOPQRSTUVWXYZ"[:count])
    assert sum(found["probabilities"].values()) == pytest.approx(1)
    assert found["analysis"] is None and found["safety"] is None


def test_a_chat_says_what_the_engine_says(client: httpx.Client, engine: TransformersEngine) -> None:
    (direct,) = engine.generate([GenerateRequest("1", Prompt(QUESTION), 24)])
    found = fine(client.post("/v1/chat/completions", json=chat(QUESTION, max_tokens=24)))
    assert found["choices"][0]["message"]["content"] == direct.text
    assert found["choices"][0]["finish_reason"] == direct.finish
    assert found["usage"]["prompt_tokens"] == direct.prompt_tokens


def test_a_completion_is_literal(client: httpx.Client, engine: TransformersEngine) -> None:
    """No template, and no white space taken off: prompt and text together are what the model saw and wrote."""
    body = {"prompt": "Answer:", "max_tokens": 12, "logprobs": 0}
    found = fine(client.post("/v1/completions", json=body))["choices"][0]
    assert found["text"] == "".join(found["logprobs"]["tokens"])
    echoed = fine(client.post("/v1/completions", json=body | {"echo": True}))["choices"][0]
    assert echoed["text"] == "Answer:" + found["text"]


@pytest.mark.parametrize("path", ["/v1/chat/completions", "/v1/completions"])
def test_a_stream_says_what_the_whole_reply_says(client: httpx.Client, path: str) -> None:
    for text in (QUESTION, "zinc 5 mg Ωμέγα 🙂", "A"):
        body = chat(text) if "chat" in path else {"prompt": text}
        body |= {"max_tokens": 40, "stop": ["xx"], "logprobs": True if "chat" in path else 1}
        whole = fine(client.post(path, json=body))
        parts = events(client, path, body | {"stream_options": {"include_usage": True}})
        *pieces, last = parts
        choices = [piece["choices"][0] for piece in pieces]
        if "chat" in path:
            said = "".join(choice["delta"].get("content", "") for choice in choices)
            assert said == whole["choices"][0]["message"]["content"]
            scores = [one for choice in choices if choice["logprobs"] for one in choice["logprobs"]["content"]]
            assert scores == whole["choices"][0]["logprobs"]["content"]
        else:
            assert "".join(choice["text"] for choice in choices) == whole["choices"][0]["text"]
            tokens = [one for choice in choices if choice["logprobs"] for one in choice["logprobs"]["tokens"]]
            assert tokens == whole["choices"][0]["logprobs"]["tokens"]
        assert [choice["finish_reason"] for choice in choices][-1] == whole["choices"][0]["finish_reason"]
        assert (last["choices"], last["usage"]) == ([], whole["usage"])


def test_the_log_probabilities_of_a_prompt(client: httpx.Client, engine: TransformersEngine) -> None:
    """`echo` without new tokens: each token's log-probability after those before it; the first has none."""
    assert engine.loaded is not None
    tokens = engine.loaded.tokenizer.encode(QUESTION * 12)
    assert len(tokens) > 128, "longer than one piece"
    with torch.inference_mode():
        shares = engine.loaded.model(torch.tensor([tokens])).logits[0].float().log_softmax(-1)
    right = [float(shares[at, token]) for at, token in enumerate(tokens[1:])]
    body = {"max_tokens": 0, "echo": True, "logprobs": 1}
    for prompt in (QUESTION * 12, tokens):
        found = fine(client.post("/v1/completions", json=body | {"prompt": prompt}))
        scores = found["choices"][0]["logprobs"]
        assert scores["token_logprobs"][0] is None and scores["top_logprobs"][0] is None
        assert scores["token_logprobs"][1:] == pytest.approx(right, abs=1e-4)
        likeliest = [max(top.values()) for top in scores["top_logprobs"][1:]]
        assert likeliest == pytest.approx(shares[:-1].max(-1).values.tolist(), abs=1e-4)
        assert found["usage"]["completion_tokens"] == 0


def test_many_clients_at_once_hear_what_each_hears_alone(client: httpx.Client, url: str) -> None:
    bodies = [chat(f"{QUESTION} {'fever ' * (n % 7)}{n}", max_tokens=5 + n % 30) for n in range(24)]
    alone = [fine(client.post("/v1/chat/completions", json=body))["choices"] for body in bodies]

    def ask(body: dict[str, Any]) -> Any:
        time.sleep(len(body["messages"][0]["content"]) % 5 / 50)  # some join while others are being written
        with httpx.Client(base_url=url, timeout=60, trust_env=False) as mine:
            return fine(mine.post("/v1/chat/completions", json=body))["choices"]

    with ThreadPoolExecutor(24) as pool:
        assert list(pool.map(ask, bodies)) == alone


# ServerSettings of a text


def test_a_stop_string_ends_the_text_before_it(client: httpx.Client) -> None:
    body = {"prompt": QUESTION, "max_tokens": 30}
    whole = fine(client.post("/v1/completions", json=body))["choices"][0]["text"]
    stop = whole[8:11]
    found = fine(client.post("/v1/completions", json=body | {"stop": stop}))["choices"][0]
    assert (found["text"], found["finish_reason"]) == (whole[: whole.index(stop)], "stop")
    streamed = events(client, "/v1/completions", body | {"stop": [stop]})
    assert "".join(event["choices"][0]["text"] for event in streamed) == found["text"]


def test_white_space_is_a_stop_string_like_any_other(client: httpx.Client) -> None:
    for prompt in ("A. aspirin B.", QUESTION, "Rest, fluids"):
        found = fine(client.post("/v1/completions", json={"prompt": prompt, "max_tokens": 60, "stop": [" ", "\n"]}))
        assert not re.search(r"[ \n]", found["choices"][0]["text"])


def test_sampling_is_repeatable_by_its_seed_whoever_else_is_there(client: httpx.Client) -> None:
    body = chat(QUESTION, max_tokens=16, temperature=1.0, seed=5)
    first = fine(client.post("/v1/chat/completions", json=body))["choices"][0]["message"]["content"]
    several = fine(client.post("/v1/chat/completions", json=body | {"n": 4}))["choices"]
    said = [choice["message"]["content"] for choice in several]
    assert said[0] == first and len(set(said)) > 1
    assert [choice["index"] for choice in several] == [0, 1, 2, 3]
    greedy = fine(client.post("/v1/chat/completions", json=chat(QUESTION, max_tokens=16)))["choices"]
    narrow = fine(client.post("/v1/chat/completions", json=body | {"top_p": 1e-9}))["choices"]
    cold = fine(client.post("/v1/chat/completions", json=body | {"temperature": 1e-9}))["choices"]
    assert narrow == greedy and cold == greedy


def test_several_prompts_in_one_request(client: httpx.Client) -> None:
    found = fine(client.post("/v1/completions", json={"prompt": ["A", "fever?"], "max_tokens": 4, "n": 2}))
    alone = [
        fine(client.post("/v1/completions", json={"prompt": text, "max_tokens": 4}))["choices"][0]["text"]
        for text in ("A", "fever?")
    ]
    assert [choice["text"] for choice in found["choices"]] == [alone[0], alone[0], alone[1], alone[1]]


# Requests that are wrong

WRONG = [
    ("/v1/chat/completions", {"messages": []}, "messages"),
    ("/v1/chat/completions", {}, "messages"),
    ("/v1/chat/completions", {"messages": [{"role": "robot", "content": "x"}]}, "messages"),
    ("/v1/chat/completions", {"messages": [{"role": "user", "content": [{"type": "image_url"}]}]}, "messages"),
    ("/v1/chat/completions", chat("x", temperature=3), "temperature"),
    ("/v1/chat/completions", chat("x", temperature="hot"), "temperature"),
    ("/v1/chat/completions", chat("x", top_p=0), "top_p"),
    ("/v1/chat/completions", chat("x", n=0), "n"),
    ("/v1/chat/completions", chat("x", n=65), "n"),
    ("/v1/chat/completions", chat("x", max_tokens=0), "max_tokens"),
    ("/v1/chat/completions", chat("x", max_tokens=101), "max_tokens"),
    ("/v1/chat/completions", chat("x", max_tokens=10**30), "max_tokens"),
    ("/v1/chat/completions", chat("x", top_logprobs=3), "top_logprobs"),
    ("/v1/chat/completions", chat("x", presence_penalty=1), "presence_penalty"),
    ("/v1/chat/completions", chat("x", tools=[{"type": "function"}]), "tools"),
    ("/v1/chat/completions", chat("x", response_format={"type": "json_schema"}), "response_format"),
    ("/v1/chat/completions", chat("x", temprature=0), "temprature"),
    ("/v1/chat/completions", chat("fever " * WINDOW), "messages"),
    ("/v1/completions", {"prompt": "x", "max_tokens": 0}, "max_tokens"),
    ("/v1/completions", {"prompt": []}, "prompt"),
    ("/v1/completions", {"prompt": [10**6]}, "prompt"),
    ("/v1/completions", {"prompt": [-1]}, "prompt"),
    ("/v1/completions", {"prompt": {"text": "x"}}, "prompt"),
    ("/v1/completions", {"prompt": "x", "stop": ["a"] * 17}, "stop"),
    ("/v1/completions", {"prompt": "x", "logprobs": 101}, "logprobs"),
    ("/ask", {}, "question"),
    ("/ask", {"question": ""}, "question"),
    ("/ask", {"question": "x", "options": ["one"]}, ""),
    ("/ask", {"question": "x", "options": ["x"] * 27}, ""),
    ("/ask", {"question": "x", "options": {"a": "x", "c": "y"}}, ""),
    ("/ask", {"question": "x", "options": {"a": "x", "b": ""}}, "options"),
    ("/ask", {"question": "x", "answer": "y"}, "answer"),
    ("/ask", {"question": "fever " * WINDOW, "options": ["x", "y"]}, "question"),
]


@pytest.mark.parametrize(("path", "body", "param"), WRONG)
def test_a_wrong_request_gets_a_reason(client: httpx.Client, path: str, body: dict[str, Any], param: str) -> None:
    reply = client.post(path, json=body)
    error = reply.json()["error"]
    assert reply.status_code == 400, error
    assert (error["type"], error["param"] or "") == ("invalid_request_error", param)
    assert error["message"]


def test_a_limit_that_is_too_large_is_answered_with_the_option_that_allows_it(client: httpx.Client) -> None:
    told = client.post("/v1/chat/completions", json=chat("x", max_tokens=101)).json()["error"]["message"]
    assert told == "at most 100 new tokens (medbench serve --max-tokens N allows more)."


@pytest.mark.parametrize("stream", [False, True])
def test_a_wrong_request_for_a_stream_gets_its_status(client: httpx.Client, stream: bool) -> None:
    reply = client.post("/v1/completions", json={"prompt": [10**6], "stream": stream})
    assert (reply.status_code, reply.json()["error"]["param"]) == (400, "prompt")


def test_other_ways_to_be_wrong(client: httpx.Client) -> None:
    sent = {"Content-Type": "application/json"}
    assert client.post("/ask", content=b'{"question": ', headers=sent).status_code == 400
    assert client.post("/ask", content=b"\xff\xfe", headers=sent).status_code == 400
    assert client.post("/ask", content=b"[" * 100_000, headers=sent).status_code == 400
    assert client.post("/ask", content=b"", headers=sent).status_code == 400
    assert client.post("/ask", content=b'{"question": "x"}', headers={"Content-Type": "text/plain"}).status_code == 415
    assert client.get("/ask").status_code == 405
    assert client.get("/v1/nothing").status_code == 404
    other = client.post("/v1/completions", json={"model": "gpt-4", "prompt": "x"})
    assert (other.status_code, other.json()["error"]["code"]) == (404, "model_not_found")
    assert fine(client.get("/health"))["status"] == "ok"


@pytest.mark.parametrize(
    ("body", "said"),
    [
        (chat("x", stop=5), "stop: Input should be a valid string or a valid list"),
        (chat("x", stop=["a", None]), "stop.1: Input should be a valid string"),
        ({"prompt": [1, "a"]}, "prompt.0: Input should be a valid string or a valid list"),
        ({"messages": [{"role": "user", "content": [{"type": "image_url"}]}]}, "messages.0.content.0.type: Input"),
        ({"messages": [{"role": "user", "content": None}]}, "messages.0.content: Input should be a valid string"),
    ],
)
def test_a_field_of_several_types_says_what_is_wrong_where(
    client: httpx.Client, body: dict[str, Any], said: str
) -> None:
    reply = client.post("/v1/chat/completions" if "messages" in body else "/v1/completions", json=body)
    assert reply.status_code == 400
    message = reply.json()["error"]["message"]
    assert message.startswith(said) and "str:" not in message, message


def test_fields_that_other_clients_send_and_that_change_nothing(client: httpx.Client) -> None:
    """What OpenAI's, LangChain's and others' clients add by themselves."""
    idle = {"modalities": ["text"], "function_call": "none", "prompt_cache_retention": "24h", "tools": [], "top_k": -1}
    assert client.post("/v1/chat/completions", json=chat("x", max_tokens=2, **idle)).status_code == 200
    reply = client.post("/v1/chat/completions", json=chat("x", modalities=["text", "audio"]))
    assert (reply.status_code, reply.json()["error"]["param"]) == (400, "modalities")


def test_a_server_with_a_low_limit_answers_requests_without_one(bounded: Any) -> None:
    client = bounded(max_tokens=5)
    for path, body in (
        ("/ask", {"question": QUESTION}),
        ("/v1/completions", {"prompt": "x"}),
        ("/v1/chat/completions", chat("x")),
    ):
        found = fine(client.post(path, json=body))
        assert 0 < found["usage"]["completion_tokens"] <= 5, path


def test_a_stream_with_echo_begins_with_the_prompt(client: httpx.Client) -> None:
    body = {"prompt": QUESTION, "max_tokens": 6, "echo": True, "n": 2}
    whole = fine(client.post("/v1/completions", json=body))["choices"]
    parts = [event["choices"][0] for event in events(client, "/v1/completions", body)]
    for at, choice in enumerate(whole):
        assert "".join(part["text"] for part in parts if part["index"] == at) == choice["text"]
    reply = client.post("/v1/completions", json=body | {"stream": True, "logprobs": 1})
    assert (reply.status_code, reply.json()["error"]["param"]) == (400, "logprobs")
    scored = {"prompt": QUESTION, "max_tokens": 6, "logprobs": 1}
    offsets = fine(client.post("/v1/completions", json=scored))["choices"][0]["logprobs"]["text_offset"]
    streamed = [event["choices"][0]["logprobs"] for event in events(client, "/v1/completions", scored)]
    assert [at for scores in streamed if scores for at in scores["text_offset"]] == offsets


def test_a_health_check_by_head_and_other_methods(client: httpx.Client) -> None:
    assert client.head("/health").status_code == 200
    reply = client.put("/ask", json={})
    assert (reply.status_code, reply.json()["error"]["message"]) == (405, "PUT /ask: this address takes POST.")
    headers = {"Content-Type": "application/json", "Content-Encoding": "gzip"}
    packed = client.post("/ask", content=b"\x1f\x8b", headers=headers)
    assert (packed.status_code, "gzip" in packed.json()["error"]["message"]) == (415, True)


def test_half_a_character_is_no_reason_to_fail(client: httpx.Client) -> None:
    reply = client.post(
        "/v1/completions",
        content=b'{"prompt": "a\\ud800b", "max_tokens": 3, "echo": true}',
        headers={"Content-Type": "application/json"},
    )
    assert "\ufffd" in fine(reply)["choices"][0]["text"]


# Bounds


def test_a_body_that_is_too_large_is_not_read(bounded: Any) -> None:
    client = bounded(max_bytes=2_000)
    assert client.post("/ask", json={"question": "x" * 2_000}).status_code == 413

    def endless() -> Iterator[bytes]:
        yield b'{"question": "'
        for _ in range(100):
            yield b"x" * 1_000

    reply = client.post("/ask", content=endless(), headers={"Content-Type": "application/json"})
    assert (reply.status_code, reply.json()["error"]["code"]) == (413, "request_too_large")


def held(engine: TransformersEngine, monkeypatch: pytest.MonkeyPatch) -> threading.Event:
    """Let every pass of the engine wait for an event."""
    from medbench.engines.hf.session import TextSession

    go, advance = threading.Event(), TextSession.advance
    monkeypatch.setattr(TextSession, "advance", lambda self: [go.wait(30), advance(self)][1])
    return go


def until(true: Any) -> None:
    deadline = time.monotonic() + 20
    while not true():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def test_a_full_queue_says_when_to_come_back(
    bounded: Any, engine: TransformersEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    go = held(engine, monkeypatch)
    monkeypatch.setattr("medbench.engines.hf.engine.SLOTS", {"cpu": 2})
    client = bounded(queue=1)  # two at work, one waiting
    with ThreadPoolExecutor(3) as pool:
        running = [pool.submit(client.post, "/v1/chat/completions", json=chat("x", max_tokens=3)) for _ in range(3)]
        until(lambda: fine(client.get("/health"))["waiting"] == 3)
        reply = client.post("/v1/completions", json={"prompt": "x", "max_tokens": 1})
        assert (reply.json()["error"]["code"], reply.headers["retry-after"].isdigit()) == ("queue_full", True)
        go.set()
        assert [one.result().status_code for one in running] == [200, 200, 200]
    assert client.post("/v1/completions", json={"prompt": "x", "max_tokens": 1}).status_code == 200
    assert client.post("/v1/completions", json={"prompt": ["x"] * 4, "max_tokens": 1}).status_code == 400


def test_a_request_that_takes_too_long_ends(
    bounded: Any, engine: TransformersEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    go = held(engine, monkeypatch)
    client = bounded(timeout_s=0.3)
    reply = client.post("/v1/chat/completions", json=chat("x", max_tokens=3))
    go.set()
    assert (reply.status_code, reply.json()["error"]["code"]) == (504, "timeout")
    until(lambda: "medbench_batch 0.0" in client.get("/metrics").text)


@pytest.mark.parametrize("stream", [False, True])
def test_a_text_whose_reader_left_leaves_the_batch(bounded: Any, stream: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    from medbench.engines.hf.session import TextSession

    advance = TextSession.advance
    monkeypatch.setattr(TextSession, "advance", lambda self: [time.sleep(0.05), advance(self)][1])  # 100 tokens: 5 s
    client = bounded(max_tokens=150)
    body = chat("fever", max_tokens=150, temperature=1.0, stream=stream)
    with httpx.Client(base_url=client.base_url, timeout=60, trust_env=False) as leaving:
        if stream:
            with leaving.stream("POST", "/v1/chat/completions", json=body) as reply:
                next(reply.iter_lines())
        else:
            with pytest.raises(httpx.ReadTimeout):
                leaving.post("/v1/chat/completions", json=body, timeout=0.4)
    until(lambda: fine(client.get("/health"))["waiting"] == 0)
    until(lambda: "medbench_batch 0.0" in client.get("/metrics").text)
    written = re.search(r'medbench_tokens_total{kind="completion"} (\S+)', client.get("/metrics").text)
    assert written is None, "it was not written to its end"


def test_a_key_is_asked_for_where_there_is_one(bounded: Any) -> None:
    client = bounded(api_key="s3cret")
    for headers in ({}, {"Authorization": "Bearer s3cre"}, {"Authorization": "s3cret"}, {"Authorization": "Bearer é"}):
        reply = client.get("/v1/models", headers={k: v.encode() for k, v in headers.items()})
        assert (reply.status_code, reply.json()["error"]["code"]) == (401, "invalid_api_key")
    assert client.get("/v1/models", headers={"Authorization": "Bearer s3cret"}).status_code == 200
    assert client.get("/health").status_code == 200
    assert client.get("/metrics").status_code == 401


# Pages


def test_the_page_of_docs_loads_nothing_from_elsewhere(client: httpx.Client) -> None:
    page = client.get("/docs").text
    assert not re.search(r"(?:src|href|url\()\s*=?\s*['\"]?(?:https?:)?//", page)
    for path in ("/ask", "/v1/chat/completions", "/v1/completions"):
        assert path in page
    assert "`" not in page.split("<script>")[0] and "exactly as <code>medbench run</code> scores" in page
    examples = client.get("/openapi.json").json()["components"]["schemas"]
    for example in examples["AskRequest"]["examples"]:
        assert client.post("/ask", json=example | {"max_tokens": 2}).status_code == 200
    for name, path in (("ChatRequest", "/v1/chat/completions"), ("CompletionRequest", "/v1/completions")):
        for example in examples[name]["examples"]:
            assert client.post(path, json=example | {"max_tokens": 2}).status_code == 200


def test_what_is_counted(client: httpx.Client) -> None:
    fine(client.post("/v1/chat/completions", json=chat("x", max_tokens=2)))
    client.get("/" + "x" * 50)
    text = client.get("/metrics").text
    assert 'medbench_requests_total{path="/v1/chat/completions",status="200"}' in text
    assert 'medbench_requests_total{path="other",status="404"}' in text and "xxx" not in text
    assert "medbench_request_seconds_bucket" in text and "medbench_queue 0.0" in text


# Other models


def test_a_model_without_a_template_chats_plainly(tmp_path: Path) -> None:
    engine = engine_of(tiny.save(tmp_path, "gpt2", chat=False))
    (direct,) = engine.generate([GenerateRequest("1", Prompt("fever?", "Be brief.", (("cough?", "rest"),)), 8)])
    turns = [("system", "Be brief."), ("user", "cough?"), ("assistant", "rest"), ("user", "fever?")]
    body = {"messages": [{"role": role, "content": text} for role, text in turns], "max_tokens": 8}
    with serving(engine, ServerSettings()) as url, httpx.Client(base_url=url, timeout=60, trust_env=False) as client:
        found = fine(client.post("/v1/chat/completions", json=body))
        assert found["choices"][0]["message"]["content"] == direct.text
        wrong = client.post("/v1/chat/completions", json={"messages": body["messages"][:3]})
        assert (wrong.status_code, wrong.json()["error"]["param"]) == (400, "messages")


def test_a_model_that_cannot_join_texts_answers_one_at_a_time(tmp_path: Path) -> None:
    engine = TransformersEngine(
        ModelSpec("tiny", str(tiny.save(tmp_path, "t5", chat=False)), "r1", device="cpu", dtype="float64")
    )
    (direct,) = engine.generate([GenerateRequest("1", Prompt(QUESTION), 8)])
    with serving(engine, ServerSettings()) as url, httpx.Client(base_url=url, timeout=60, trust_env=False) as client:
        found = fine(client.post("/v1/chat/completions", json=chat(QUESTION, max_tokens=8)))
        assert found["choices"][0]["message"]["content"] == direct.text
        streamed = events(client, "/v1/chat/completions", chat(QUESTION, max_tokens=8))
        assert "".join(event["choices"][0]["delta"].get("content", "") for event in streamed) == direct.text
        reply = client.post("/v1/chat/completions", json=chat(QUESTION, logprobs=True))
        assert (reply.status_code, reply.json()["error"]["param"]) == (400, "logprobs")
        drawn = chat(QUESTION, max_tokens=8, temperature=1, seed=3)
        once, again = (fine(client.post("/v1/chat/completions", json=drawn))["choices"] for _ in range(2))
        assert once[0]["message"]["content"] == again[0]["message"]["content"]
        assert fine(client.post("/ask", json=CASE | {"analyze": False}))["option"] in "abcd"
        long = client.post("/v1/chat/completions", json=chat("fever " * 5_000, max_tokens=8))
        assert (long.status_code, long.json()["error"]["code"]) == (400, "context_length_exceeded")
        streamed = client.post("/v1/chat/completions", json=chat("fever " * 5_000, max_tokens=8, stream=True))
        assert (streamed.status_code, streamed.json()["error"]["param"]) == (400, "messages")
        least = client.post("/v1/chat/completions", json=chat("x", min_tokens=3))
        assert (least.status_code, least.json()["error"]["param"]) == (400, "min_tokens")


def test_more_new_tokens_than_a_context_holds(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """By an engine that answers one at a time: a limit beyond the window is the client's, the usual one is not."""
    engine = engine_of(tiny.save(tmp_path, "llama", window=WINDOW))
    monkeypatch.setattr(TransformersEngine, "session", lambda self: None)
    with serving(engine, ServerSettings()) as url, httpx.Client(base_url=url, timeout=60, trust_env=False) as client:
        reply = client.post("/v1/chat/completions", json=chat("x", max_tokens=WINDOW))
        assert (reply.status_code, reply.json()["error"]["param"]) == (400, "max_tokens")
        usual = fine(client.post("/v1/chat/completions", json=chat("x")))
        assert usual["usage"]["completion_tokens"] <= WINDOW // 2


class Relayed:
    """An engine for chats at a server: notes the prompts that it gets."""

    spec = ModelSpec("relayed", "relayed", "r1", "openai")

    def __init__(self) -> None:
        self.asked: list[Prompt] = []

    def chat(self, method: str) -> str:
        return "template"

    def describe(self) -> dict[str, Any]:
        return {}

    def generate(self, requests: Any) -> Iterator[Output]:
        for request in requests:
            self.asked.append(request.prompt)
            yield Output(request.item_id, text="ok", finish="stop")


def test_a_chats_system_turn_reaches_a_server_as_a_system_turn() -> None:
    """Whatever the order of its turns; and an engine without a template is told when they do not alternate."""
    engine = Relayed()
    said = [("system", "Be brief."), ("user", "cough?"), ("assistant", "rest"), ("user", "fever?")]
    odd = [("user", "cough?"), ("user", "fever?"), ("system", "Be brief."), ("user", "well?")]
    for turns in (said, odd):
        texts = OneByOne(engine)  # type: ignore[arg-type]
        texts.add(1, TextRequest(tuple(Turn(role, content) for role, content in turns)))
        assert texts.advance()[0][1].text == "ok"
        assert [(turn["role"], turn["content"]) for turn in messages(engine.asked[-1])] == turns
    with pytest.raises(Rejected, match="the last message must be the user's"):
        texts.add(2, TextRequest((Turn("user", "fever?"), Turn("assistant", "rest"))))
    with pytest.raises(Rejected, match="must alternate"):
        as_prompt([Turn("user", "cough?"), Turn("user", "fever?")])
