"""If a server rejects a field, in whatever words, the request is repeated without it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import made
import pytest
import servers
from click.testing import CliRunner
from medbench.cli import cli
from medbench.core.types import GenerateRequest, ModelSpec, Prompt
from medbench.engines.server.engine import Limits
from medbench.engines.server.openai import OpenAIEngine
from medbench.engines.server.rejected_fields import rejected, without
from medbench.engines.server.replies import HttpReply
from servers import Answer, Asked, Behavior, Server

ASKED = {
    "model": "m",
    "messages": [{"role": "user", "content": "At what temperature does one stop?"}],
    "max_tokens": 32,
    "temperature": 0,
    "stop": ["\n\n"],
    "seed": 0,
}
WITH_SCHEMA = ASKED | {"response_format": {"type": "json_schema"}}
NEWER = {name: value for name, value in ASKED.items() if name != "max_tokens"} | {"max_completion_tokens": 32}


def openai(message: str, param: str | None = None, code: str | None = None) -> dict[str, Any]:
    return {"error": {"message": message, "type": "invalid_request_error", "param": param, "code": code}}


def pydantic(field: str, value: Any, **more: Any) -> dict[str, Any]:
    """As FastAPI writes it: with what was sent, which here names all other fields."""
    return {"type": "extra_forbidden", "loc": ["body", field], "msg": "Extra inputs are not permitted", "input": ASKED}


NAMED: list[tuple[str, int, Any, dict[str, Any], set[str]]] = [
    (
        "OpenAI, a value",
        400,
        openai(
            "Unsupported value: 'temperature' does not support 0 with this model.", "temperature", "unsupported_value"
        ),
        ASKED,
        {"temperature"},
    ),
    (
        "OpenAI, the newer limit",
        400,
        openai("Unsupported parameter: 'max_tokens' is not supported with this model. Use 'max_completion_tokens'."),
        ASKED,
        {"max_tokens"},
    ),
    (
        "the older limit",
        400,
        openai("Unknown parameter: 'max_completion_tokens'. Did you mean 'max_tokens'?"),
        NEWER,
        {"max_completion_tokens"},
    ),
    ("OpenAI, stop", 400, openai("'stop' is not supported with this model."), ASKED, {"stop"}),
    ("Azure", 400, openai("Unrecognized request argument supplied: seed"), ASKED, {"seed"}),
    ("Azure, older", 400, openai("1 validation error for Request\nbody -> seed\n  extra fields"), ASKED, {"seed"}),
    ("FastAPI", 422, {"detail": [pydantic("seed", 0)]}, ASKED, {"seed"}),
    ("FastAPI, two", 422, {"detail": [pydantic("seed", 0), pydantic("stop", "")]}, ASKED, {"seed", "stop"}),
    (
        "vLLM",
        400,
        {"object": "error", "message": "[{'loc': ('body', 'seed'), 'msg': 'no'}]", "param": None, "code": 400},
        ASKED,
        {"seed"},
    ),
    (
        "Mistral",
        422,
        {"object": "error", "message": {"detail": [pydantic("response_format", {})]}, "type": "invalid_request_error"},
        WITH_SCHEMA,
        {"response_format"},
    ),
    (
        "Gemini",
        400,
        [{"error": {"code": 400, "message": 'Invalid JSON payload received. Unknown name "seed": Cannot find field.'}}],
        ASKED,
        {"seed"},
    ),
    (
        "Gemini, its own name",
        400,
        [{"error": {"code": 400, "message": "no", "details": [{"fieldViolations": [{"field": "stop_sequences"}]}]}}],
        ASKED,
        {"stop"},
    ),
    (
        "Ollama",
        400,
        openai("json: cannot unmarshal array into Go struct field ChatCompletionRequest.stop of type string"),
        ASKED,
        {"stop"},
    ),
    (
        "TGI",
        422,
        {"error": "Input validation error: `temperature` must be strictly positive", "error_type": "validation"},
        ASKED,
        {"temperature"},
    ),
    ("LM Studio", 400, {"error": "'response_format.type' must be 'text'"}, WITH_SCHEMA, {"response_format"}),
    (
        "llama.cpp",
        400,
        {"error": {"code": 400, "message": "Unsupported param: seed", "type": "invalid_request_error"}},
        ASKED,
        {"seed"},
    ),
    (
        "llama-cpp-python",
        500,
        openai("1 validation error: {'loc': ('body', 'response_format', 'type'), 'input': 'json_schema'}"),
        WITH_SCHEMA,
        {"response_format"},
    ),
    ("Together", 400, openai("Invalid request", "max_tokens"), ASKED, {"max_tokens"}),
    ("in words", 400, "Temperature is not supported.", ASKED, {"temperature"}),
    ("no JSON", 400, "unexpected field maxTokens", ASKED, {"max_tokens"}),
    ("a schema in no words", 400, openai("This model has no structured outputs"), WITH_SCHEMA, {"response_format"}),
]
NOT_NAMED: list[tuple[str, int, Any, dict[str, Any]]] = [
    ("the value of the limit", 400, openai("max_tokens is too large: 32. At most 16 are supported."), ASKED),
    (
        "vLLM's window",
        400,
        openai("'max_tokens' or 'max_completion_tokens' is too large: 32. The maximum context length is 4."),
        ASKED,
    ),
    ("what is not sent", 400, openai("Unsupported parameter: 'logit_bias'", "logit_bias"), ASKED),
    ("another status", 403, openai("'temperature' is not supported"), ASKED),
    ("an answer", 200, {"choices": [], "param": "temperature"}, ASKED),
    ("what was sent", 422, {"detail": "bad", "input": {"temperature": 0}, "messages": ["temperature"]}, ASKED),
    ("a content filter", 400, openai("filtered", "temperature", "content_filter"), ASKED),
    ("nested beyond reading", 400, "[" * 100_000, ASKED),
]


def reply(status: int, body: Any) -> HttpReply:
    return HttpReply(status, {}, body if isinstance(body, str) else json.dumps(body))


@pytest.mark.parametrize(
    ("status", "body", "asked", "right"), [row[1:] for row in NAMED], ids=[row[0] for row in NAMED]
)
def test_the_field_that_an_error_names(status: int, body: Any, asked: dict[str, Any], right: set[str]) -> None:
    assert rejected(reply(status, body), asked) == right


@pytest.mark.parametrize(("status", "body", "asked"), [row[1:] for row in NOT_NAMED], ids=next(zip(*NOT_NAMED)))
def test_an_error_about_something_else_names_none(status: int, body: Any, asked: dict[str, Any]) -> None:
    assert rejected(reply(status, body), asked) == set()


def test_the_limit_is_sent_under_its_other_name_and_left_out_where_both_are_rejected() -> None:
    assert without({"max_tokens": 5, "stop": []}, frozenset({"max_tokens", "stop"})) == {"max_completion_tokens": 5}
    assert without({"max_completion_tokens": 5}, frozenset({"max_completion_tokens"})) == {"max_tokens": 5}
    assert without({"max_tokens": 5}, frozenset({"max_tokens", "max_completion_tokens"})) == {}


def strict(*fields: str, then: Behavior, wording: str = "Unsupported parameter: '{}'") -> Behavior:
    """Rejects each of `fields`, one at a time."""

    def answer(asked: Asked) -> Answer:
        found = [field for field in fields if field in asked.body]
        return Answer(400, {"error": {"message": wording.format(found[0])}}) if found else then(asked)

    return answer


FIELDS = ("temperature", "max_tokens")


def run(server: Server, *words: str) -> Any:
    fixed = ["run", "-m", "openai:m", "--base-url", server.url, "-b", "medqa-sample", "--limit", "3", "--out", "runs"]
    fixed += ["--latency-items", "0", "--concurrency", "1"]
    return CliRunner().invoke(cli, [*fixed, *words])


@pytest.fixture(autouse=True)
def _alone(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)


def test_a_model_is_asked_again_without_and_the_manifest_says_so() -> None:
    with Server(then=strict(*FIELDS, "seed", then=servers.says("Answer: B"))) as server:
        done = run(server, "--choice", "generate")
    assert done.exit_code == 0, done.output
    assert len(server.asked) == 3 + 2, "each field is rejected once in the whole run"
    assert server.asked[-1].body.keys() == {"model", "messages", "max_completion_tokens"}
    (manifest,) = Path("runs").glob("*/manifest.json")
    assert json.loads(manifest.read_text())["engine"]["rejected_fields"] == sorted(FIELDS)
    assert "openai:m: the server rejects max_tokens, temperature; left out from now on" in done.output


def counts(text: str, new: int, **message: Any) -> Behavior:
    """Writes `text`, in so many tokens by its own count, and ends by itself."""

    def answer(asked: Asked) -> Answer:
        choice = {"index": 0, "finish_reason": "stop", "message": {"content": text} | message}
        details = {"reasoning_tokens": message.get("hidden", 0)}
        usage = {"prompt_tokens": 11, "completion_tokens": new, "completion_tokens_details": details}
        return Answer(body=servers.reply([choice]) | {"usage": usage if new else None})

    return answer


# An answer of 100 characters, the tokens that the server counts, the rest of the message; with a limit of 10 tokens:
# the text, the reasoning and the finish that are right.
LONG = "0123456789" * 10
UNLIMITED: list[tuple[int, dict[str, Any], str, str, str]] = [
    (10, {}, LONG, "", "stop"),
    (20, {}, LONG[:50], "", "length"),
    (0, {}, LONG[:40], "", "length"),  # no count: four characters a token
    (40, {"reasoning": LONG}, "", LONG[:50], "length"),
    (15, {"reasoning": LONG[:50]}, LONG[:50], LONG[:50], "length"),
    (25, {"hidden": 5}, LONG[:25], "", "length"),  # 5 of the 20 tokens of the text are left
]


@pytest.mark.parametrize(("new", "message", "text", "reasoning", "finish"), UNLIMITED)
def test_a_server_that_takes_no_limit_is_cut_at_it(
    new: int, message: dict[str, Any], text: str, reasoning: str, finish: str
) -> None:
    fields = {"name": "openai:m", "location": "m", "revision": "", "engine": "openai", "chat": "always"}
    both = strict("max_tokens", "max_completion_tokens", then=counts(LONG, new, **message))
    with Server(then=both) as server:
        engine = OpenAIEngine(ModelSpec(**fields, base_url=server.url), Limits(retries=0))  # type: ignore[arg-type]
        (output,) = engine.generate([GenerateRequest("i", Prompt("q"), 10)])
    assert (output.text, output.reasoning, output.finish, output.error) == (text, reasoning, finish, None)
    assert len(server.asked) == 3
    assert "medbench truncated" in engine.describe()["limit"]


def test_reasoning_that_is_not_shown_takes_up_the_limit_too() -> None:
    fields = {"name": "openai:m", "location": "m", "revision": "", "engine": "openai", "chat": "always"}
    both = strict("max_tokens", "max_completion_tokens", then=counts("B", 300, hidden=299))
    with Server(then=both) as server:
        engine = OpenAIEngine(ModelSpec(**fields, base_url=server.url), Limits(retries=0))  # type: ignore[arg-type]
        (output,) = engine.generate([GenerateRequest("i", Prompt("q"), 10)])
    assert (output.text, output.reasoning_tokens, output.finish, output.unfinished) == ("", 299, "length", True)


def anthropic(names: list[str]) -> Any:
    told = ", ".join(f"`{name}`" for name in names)
    return {"type": "error", "error": {"type": "invalid_request_error", "message": f"{told} may not be set here."}}


# How servers name what they reject: the first field only, or all of them at once.
STYLES: dict[str, Any] = {
    "OpenAI": lambda names: openai(f"Unsupported parameter: '{names[0]}' is not supported.", names[0]),
    "Azure": lambda names: openai(f"Unrecognized request argument supplied: {names[0]}"),
    "FastAPI": lambda names: {"detail": [pydantic(name, 0) for name in names]},
    "vLLM": lambda names: {
        "object": "error",
        "message": str([{"loc": ("body", name), "msg": "Extra inputs are not permitted"} for name in names]),
        "code": 400,
    },
    "Groq": lambda names: openai(f"property '{names[0]}' is unsupported, did you mean something else?"),
    "Anthropic": anthropic,
}
REJECTED = [["temperature"], ["max_tokens"], ["stop"], ["temperature", "stop"], ["max_tokens", "temperature", "stop"]]


@pytest.mark.parametrize("fields", REJECTED, ids=", ".join)
@pytest.mark.parametrize("style", STYLES.values(), ids=STYLES)
def test_each_server_is_asked_again_once_and_not_for_each_item(style: Any, fields: list[str]) -> None:
    def answer(asked: Asked) -> Answer:
        named = [field for field in fields if field in asked.body]
        return Answer(400, style(named)) if named else servers.says("B\nQ: more")(asked)

    with Server(then=answer) as server:
        spec = ModelSpec("openai:m", "m", "", "openai", base_url=server.url, chat="never")
        engine = OpenAIEngine(spec, Limits(concurrency=1, retries=0))
        requests = [GenerateRequest(f"i{n}", Prompt("q"), 10, stop=("\nQ:",)) for n in range(4)]
        found = [*engine.generate(requests[:2]), *engine.generate(requests[2:])]  # two benchmarks
    assert [(output.text, output.error) for output in found] == [("B", None)] * 4
    rejections = sum(any(field in asked.body for field in fields) for asked in server.asked)
    assert rejections == (1 if "xx" in json.dumps(style(["yy", "xx"])) else len(fields)), "all at once or one by one"
    assert len(server.asked) == 4 + rejections
    assert engine.describe()["rejected_fields"] == sorted(fields)


def test_requests_side_by_side_are_not_each_rejected() -> None:
    with Server(then=strict(*FIELDS, then=servers.says("B"))) as server:
        spec = ModelSpec("openai:m", "m", "", "openai", base_url=server.url)
        engine = OpenAIEngine(spec, Limits(concurrency=8, retries=0))
        found = list(engine.generate([GenerateRequest(f"i{n}", Prompt("q"), 10) for n in range(20)]))
    assert [output.text for output in found] == ["B"] * 20
    assert len(server.asked) == 20 + len(FIELDS)
    assert server.most_at_once > 1


@pytest.mark.parametrize("style", STYLES.values(), ids=STYLES)
def test_without_log_probabilities_the_model_writes_and_the_manifest_says_so(style: Any) -> None:
    def answer(asked: Asked) -> Answer:
        named = [field for field in ("logprobs", "top_logprobs") if field in asked.body]
        return Answer(400, style(named)) if named else servers.says("Answer: B")(asked)

    with Server(then=answer) as server:
        done = run(server, "-b", "medqa-sample,pubmedqa-sample")
    assert done.exit_code == 0, done.output
    assert done.output.count("openai:m: the server rejects logprobs; left out from now on") == 1
    rejected_ones = sum("logprobs" in asked.body for asked in server.asked)
    assert rejected_ones <= 6 and len(server.asked) == rejected_ones + 6
    for manifest in Path("runs").glob("*/manifest.json"):
        found = json.loads(manifest.read_text())
        assert (found["method"], found["engine"]["rejected_fields"]) == ("generate", ["logprobs"])


def test_the_manifest_says_that_the_server_takes_no_limit() -> None:
    both = strict("max_tokens", "max_completion_tokens", then=servers.says("Answer: B"))
    with Server(then=both) as server:
        done = run(server, "--choice", "generate")
    assert done.exit_code == 0, done.output
    assert server.asked[-1].body.keys() == {"model", "messages", "temperature"}
    (manifest,) = Path("runs").glob("*/manifest.json")
    engine = json.loads(manifest.read_text())["engine"]
    assert engine["rejected_fields"] == ["max_completion_tokens", "max_tokens"]
    assert "medbench truncated" in engine["limit"]


def test_a_judge_is_asked_again_without_and_its_file_says_so(tmp_path: Path) -> None:
    judged = made.make_run(tmp_path / "runs", {"q0": "answer 0", "q1": "answer 1"})
    fields = ("temperature", "max_tokens", "response_format")
    with Server(then=strict(*fields, then=servers.says('{"reason": "", "score": 4}'))) as server:
        words = ["score", str(judged.path), "--judge", "openai:m", "--judge-base-url", server.url]
        done = CliRunner().invoke(cli, words)
        assert done.exit_code == 0, done.output
        calls = len(server.asked)
        (file,) = (judged.path / "judgements").glob("*.jsonl")
        file.write_text("".join(file.read_text().splitlines(keepends=True)[:-1]))  # one reply is missing
        assert CliRunner().invoke(cli, words).exit_code == 0
    assert (calls, len(server.asked)) == (2 + 3, 2 + 3 + 1), "the next command knows it from the file"
    assert json.loads(file.read_text().splitlines()[0])["refuses"] == sorted(fields)


def test_log_probabilities_are_had_without_the_other_fields_too() -> None:
    with Server(then=strict("temperature", "min_tokens", then=servers.gives({" B": -0.2, " A": -2.0}))) as server:
        done = run(server)
    assert done.exit_code == 0, done.output
    assert "log-probability" in done.output


def test_a_server_that_rejects_log_probabilities_is_asked_for_texts() -> None:
    with Server(then=strict("logprobs", "temperature", then=servers.says("Answer: B"))) as server:
        done = run(server)
    assert done.exit_code == 0, done.output
    assert "generated" in done.output


@pytest.mark.parametrize(
    "body", ['{"detail": "not enough memory"}', "<html>Sign in</html>", "", '{"choices": []}', '{"choices": null}', "7"]
)
def test_a_200_without_an_answer_is_told_before_anything_is_asked(body: str) -> None:
    with Server(then=servers.raw(body)) as server:
        done = run(server)
    assert done.exit_code == 1, done.output
    assert "could not find out whether" in done.stderr and "the reply " in done.stderr
    assert not list(Path("runs").glob("*"))


def test_a_setting_of_the_models_own_is_not_left_out_in_silence() -> None:
    fields = {"name": "openai:m", "location": "m", "revision": "", "engine": "openai"}
    with Server(then=strict("temperature", then=servers.says("B"))) as server:
        spec = ModelSpec(**fields, base_url=server.url, generation={"temperature": 0.6})  # type: ignore[arg-type]
        (output,) = OpenAIEngine(spec, Limits(retries=0)).generate([GenerateRequest("i", Prompt("q"), 5)])
    assert "the server answered 400: Unsupported parameter: 'temperature'" in (output.error or "")
    assert len(server.asked) == 1
