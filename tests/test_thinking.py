"""--think and --reasoning-effort: templates of several families, servers of several providers, identity, refusals."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import servers
import tiny
from click.testing import CliRunner
from medbench.cli import cli
from medbench.core.errors import UsageError
from medbench.core.types import GenerateRequest, ModelSpec, Prompt
from medbench.engines.prompting import Prompter, Wrapping
from medbench.engines.server.groq import GroqEngine
from medbench.engines.server.openai import OpenAIEngine
from medbench.engines.thinking import request_fields, switched
from medbench.zoo.resolve import resolve

TURNS = "{% for m in messages %}<|start|>{{ m['role'] }}\n{{ m['content'] }}<|end|>\n{% endfor %}"
OPENS = "{% if add_generation_prompt %}<|start|>assistant\n"
END = "{% endif %}"
NO_THOUGHT = "<think>\n\n</think>\n\n"
QWEN = (
    TURNS
    + OPENS
    + "{% if enable_thinking is defined and enable_thinking is false %}"
    + NO_THOUGHT
    + "{% endif %}"
    + END
)
GRANITE = "{% if thinking %}<|start|>system\nReason first.<|end|>\n{% endif %}" + TURNS + OPENS + END
DEEPSEEK = (
    "{% if not thinking is defined %}{% set thinking = false %}{% endif %}"
    + TURNS
    + OPENS
    + "{% if thinking %}<think>{% else %}</think>{% endif %}"
    + END
)
SMOLLM = (
    "{% if enable_thinking is not defined %}{% set enable_thinking = true %}{% endif %}"
    + TURNS
    + OPENS
    + "{% if not enable_thinking %}"
    + NO_THOUGHT
    + "{% endif %}"
    + END
)
SEED = TURNS + "{% if thinking_budget == 0 %}<|start|>system\nNo thinking.<|end|>\n{% endif %}" + OPENS + END
# The variable is the template's own: only the system turn switches.
NEMOTRON = (
    "{% set ns = namespace(enable_thinking=true) %}"
    "{% for m in messages %}{% if '/no_think' in m['content'] %}"
    "{% set ns.enable_thinking = false %}{% endif %}{% endfor %}"
    + TURNS
    + OPENS
    + "{% if ns.enable_thinking %}<think>\n{% else %}<think></think>{% endif %}"
    + END
)
GPT_OSS = "Reasoning: {{ reasoning_effort | default('medium') }}\n" + TURNS + OPENS + END
ALWAYS = TURNS + OPENS + "<think>\n" + END
MENTIONS = "{# enable_thinking #}" + TURNS + OPENS + END


def spec(**fields: Any) -> ModelSpec:
    return ModelSpec(**({"name": "m", "location": "m", "revision": ""} | fields))


def shown(template: str, **fields: Any) -> str:
    wrap = switched(Wrapping("template", template), spec(**fields), "generate")
    return Prompter(tiny.tokenizer(), 512, False).uncut([Prompt("Q")], wrap)[0].text


USER = "<|start|>user\nQ<|end|>\n"
ASSISTANT = "<|start|>assistant\n"


@pytest.mark.parametrize(
    ("template", "on", "off"),
    [
        (QWEN, USER + ASSISTANT, USER + ASSISTANT + NO_THOUGHT),
        (SMOLLM, USER + ASSISTANT, USER + ASSISTANT + NO_THOUGHT),
        (GRANITE, "<|start|>system\nReason first.<|end|>\n" + USER + ASSISTANT, USER + ASSISTANT),
        (DEEPSEEK, USER + ASSISTANT + "<think>", USER + ASSISTANT + "</think>"),
        (SEED, USER + ASSISTANT, USER + "<|start|>system\nNo thinking.<|end|>\n" + ASSISTANT),
        (
            NEMOTRON,
            "<|start|>system\n/think<|end|>\n" + USER + ASSISTANT + "<think>\n",
            "<|start|>system\n/no_think<|end|>\n" + USER + ASSISTANT + "<think></think>",
        ),
    ],
    ids=["Qwen", "SmolLM", "Granite", "DeepSeek", "Seed", "Nemotron"],
)
def test_the_switch_of_a_template(template: str, on: str, off: str) -> None:
    assert shown(template, think="on") == on
    assert shown(template, think="off") == off


def test_auto_leaves_a_template_as_it_is() -> None:
    wrap = Wrapping("template", QWEN)
    assert switched(wrap, spec(), "generate") is wrap


@pytest.mark.parametrize("effort", ["low", "high"])
def test_the_effort_of_a_template(effort: str) -> None:
    assert shown(GPT_OSS, reasoning_effort=effort).startswith(f"Reasoning: {effort}\n")


@pytest.mark.parametrize(
    ("template", "fields", "why"),
    [
        (tiny.TEMPLATE, {"think": "on"}, "the chat template of m has no switch for reasoning."),
        (MENTIONS, {"think": "on"}, "the chat template of m has no switch for reasoning."),
        (GPT_OSS, {"think": "off"}, "the chat template of m has no switch for reasoning."),
        (ALWAYS, {"think": "off"}, "has no switch for reasoning and always opens it"),
        (QWEN, {"reasoning_effort": "low"}, "--reasoning-effort low: the chat template of m has no reasoning effort"),
        (GPT_OSS, {"reasoning_effort": "xhigh"}, "--reasoning-effort xhigh: the chat template of m does not know it"),
    ],
)
def test_a_template_without_it_is_refused(template: str, fields: dict[str, Any], why: str) -> None:
    with pytest.raises(UsageError) as refused:
        switched(Wrapping("template", template), spec(**fields), "generate")
    assert why in str(refused.value)


def test_without_a_template_it_is_refused_unless_options_are_scored() -> None:
    wrap = Wrapping("plain")
    with pytest.raises(UsageError, match="--think off: m is prompted without a chat template"):
        switched(wrap, spec(think="off"), "generate")
    assert switched(wrap, spec(think="off"), "choose") is wrap


@pytest.mark.parametrize(
    ("url", "on", "off"),
    [
        (
            "http://localhost:8000/v1",
            {"chat_template_kwargs": {"enable_thinking": True, "thinking": True}},
            {"chat_template_kwargs": {"enable_thinking": False, "thinking": False}},
        ),
        ("http://localhost:11434/v1", {"reasoning_effort": "medium"}, {"reasoning_effort": "none"}),
        ("https://api.openai.com/v1", {"reasoning_effort": "medium"}, {"reasoning_effort": "none"}),
        ("", {"reasoning_effort": "medium"}, {"reasoning_effort": "none"}),
        ("https://openrouter.ai/api/v1", {"reasoning": {"enabled": True}}, {"reasoning": {"enabled": False}}),
        ("https://api.deepseek.com", {"thinking": {"type": "enabled"}}, {"thinking": {"type": "disabled"}}),
        ("https://dashscope-intl.aliyuncs.com/v1", {"enable_thinking": True}, {"enable_thinking": False}),
    ],
)
def test_the_field_of_a_server(url: str, on: dict[str, Any], off: dict[str, Any]) -> None:
    for think, fields in (("on", on), ("off", off)):
        assert request_fields(spec(base_url=url, think=think), OpenAIEngine.home) == fields
    assert request_fields(spec(base_url=url), OpenAIEngine.home) == {}
    assert request_fields(spec(base_url="", think="off"), GroqEngine.home) == {"reasoning_effort": "none"}


@pytest.fixture
def _alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for name in ("MEDBENCH_DATA", "OPENAI_API_KEY", "OPENAI_BASE_URL"):
        monkeypatch.delenv(name, raising=False)


def run(*words: str) -> Any:
    return CliRunner().invoke(cli, ["run", "-b", "medqa-sample", "--limit", "2", "--latency-items", "0", *words])


def identities() -> list[dict[str, Any]]:
    found = [json.loads(path.read_text()) for path in sorted(Path("runs").glob("*/manifest.json"))]
    return [one["identity"]["model"] for one in found]


@pytest.mark.usefixtures("_alone")
class TestServers:
    def test_it_is_sent_and_part_of_the_identity_and_the_model_writes(self) -> None:
        with servers.Server(then=servers.says("B", reasoning_content="Hm.")) as server:
            words = ("-m", "openai:m", "--base-url", server.url)
            done = run(*words, "--think", "on")
            assert done.exit_code == 0, done.output
            assert "--max-new-tokens 2048" in done.output
            assert all(a.body["chat_template_kwargs"]["enable_thinking"] for a in server.asked)
            run(*words, "--reasoning-effort", "low")
            assert server.asked[-1].body["reasoning_effort"] == "low"
            plain = run(*words, "--choice", "generate")
            assert plain.exit_code == 0, plain.output
            assert not {"chat_template_kwargs", "reasoning_effort"} & server.asked[-1].body.keys()
        told = [(one.get("think"), one.get("reasoning_effort")) for one in identities()]
        assert sorted(told, key=str) == [("on", None), (None, "low"), (None, None)]
        assert sum("think" in one or "reasoning_effort" in one for one in identities()) == 2

    def test_by_log_probability_a_model_cannot_reason(self) -> None:
        with servers.Server() as server:
            words = ("-m", "openai:m", "--base-url", server.url, "--choice", "logprob")
            done = run(*words, "--think", "on")
        assert done.exit_code == 2
        assert "a model that is asked to reason must write its answer" in done.output
        assert not server.asked

    def test_plain_prompts_are_refused(self) -> None:
        with servers.Server() as server:
            done = run("-m", "openai:m", "--base-url", server.url, "--chat", "never", "--think", "on")
        assert "--think on: openai:m is sent plain prompts" in done.output
        assert not server.asked

    def test_a_server_that_rejects_it_is_asked_once(self) -> None:
        rejects = servers.refuses("chat_template_kwargs", then=servers.says("B"))
        with servers.Server(then=rejects) as server:
            words = ("-m", "openai:m", "--base-url", server.url, "--concurrency", "1")
            done = run(*words, "--think", "on")
        assert done.exit_code == 1
        assert "rejects --think on: Unsupported parameter: 'chat_template_kwargs'" in done.output
        assert len(server.asked) == 1

    def test_a_server_that_reasons_nevertheless_is_named(self) -> None:
        with servers.Server(then=servers.says("B", reasoning_content="Hm.")) as server:
            words = ("-m", "openai:m", "--base-url", server.url, "--choice", "generate", "--concurrency", "1")
            done = run(*words, "--think", "off")
        assert done.output.count("the server reasons although --think off") == 1
        (manifest,) = Path("runs").glob("*/manifest.json")
        assert json.loads(manifest.read_text())["engine"]["think"] == (
            "the server reasoned although it was asked not to"
        )

    def test_an_answer_in_the_field_for_reasoning_is_no_answer(self) -> None:
        """Parsers for models that always reason file the whole text there if the template was told not to."""
        with servers.Server(then=servers.says(None, reasoning_content="B")) as server:
            engine = OpenAIEngine(spec(engine="openai", base_url=server.url, think="off"))
            (output,) = engine.generate([GenerateRequest("q", Prompt("Q"), 8)])
        assert "its reasoning parser does not fit" in (output.error or "")


@pytest.mark.usefixtures("_alone")
class TestLocal:
    @pytest.fixture
    def model(self, tmp_path: Path) -> Path:
        folder = tiny.save(tmp_path / "tiny", "llama", window=2048)
        return self.with_template(folder, QWEN)

    def with_template(self, folder: Path, template: str) -> Path:
        (folder / "chat_template.jinja").write_text(template)
        return folder

    def test_it_is_part_of_the_identity_only_where_prompts_are_wrapped(self, model: Path) -> None:
        words = ("-m", str(model), "--max-new-tokens", "4")
        assert run(*words, "--choice", "generate").exit_code == 0
        assert run(*words, "--choice", "generate", "--think", "off").exit_code == 0
        chosen = run(*words, "--think", "off")
        assert chosen.exit_code == 0, chosen.output
        assert "--think off has no effect: options are chosen by log-probability" in chosen.output
        again = run(*words)
        assert again.exit_code == 0 and len(identities()) == 3, "the same run with and without it"
        assert sorted(one.get("think", "") for one in identities()) == ["", "", "off"]
        prompts = [
            json.loads(line)["output"]["prompt"]
            for path in Path("runs").glob("*/samples.jsonl")
            for line in path.read_text().splitlines()
        ]
        assert sum(prompt.endswith(NO_THOUGHT) for prompt in prompts) == 2

    def test_a_model_without_a_switch_is_refused_before_it_is_loaded(self, model: Path) -> None:
        done = run("-m", str(self.with_template(model, tiny.TEMPLATE)), "--think", "on")
        assert done.exit_code == 2 and not list(Path().glob("runs/*/samples.jsonl"))
        assert "the chat template of tiny has no switch for reasoning." in done.output

    def test_one_of_several_models_is_refused_before_the_others_run(self, model: Path) -> None:
        with servers.Server(then=servers.says("B")) as server:
            plain = tiny.save(Path("plain"), "gpt2")
            done = run("-m", f"openai:m,{plain}", "--base-url", server.url, "--think", "on")
        assert done.exit_code == 2 and not server.asked
        assert "the chat template of plain has no switch for reasoning" in done.output

    @pytest.mark.parametrize(("think", "effort"), [("off", "low"), ("on", "none")])
    def test_the_two_options_may_not_contradict_each_other(self, think: str, effort: str) -> None:
        with pytest.raises(UsageError, match=f"--think {think} and --reasoning-effort {effort} contradict"):
            resolve("openai:m", think=think, reasoning_effort=effort)

    def test_saved_answers_have_none(self, tmp_path: Path) -> None:
        file = tmp_path / "answers.jsonl"
        file.write_text('{"id": "1", "text": "B"}\n')
        with pytest.raises(UsageError, match="--think on: the engine replay has no switch for reasoning"):
            resolve(f"replay:{file}", think="on")

    def test_chat_takes_it_too(self, model: Path) -> None:
        words = ["chat", str(model), "--once", "Q", "--max-new-tokens", "2", "--json", "--no-labels"]
        assert CliRunner().invoke(cli, [*words, "--think", "off"]).exit_code == 0
        refused = CliRunner().invoke(cli, [*words, "--reasoning-effort", "low"])
        assert refused.exit_code == 2 and "has no reasoning effort" in refused.output
