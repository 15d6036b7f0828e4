"""A system text: a system turn, or the head of the first user turn, or of a plain prompt; in every engine."""

from __future__ import annotations

import importlib.util
import json
import shutil
from pathlib import Path

import fake_vllm
import pytest
import tiny
from click.testing import CliRunner, Result
from medbench.cli import cli
from medbench.core.budget import Limits
from medbench.core.types import ChoiceRequest, GenerateRequest, ModelSpec, Prompt, Turn
from medbench.engines import chat_templates
from medbench.engines.hf.engine import TransformersEngine
from medbench.engines.llamacpp.engine import GgufEngine
from medbench.engines.prompting import Prompter, Wrapping, messages
from medbench.engines.server.openai import OpenAIEngine
from medbench.engines.vllm import VllmEngine
from medbench.results import manifest_file
from medbench.results.store import StoredRun
from medbench.zoo.resolve import resolve
from servers import Answer, Asked, Server, error, says
from test_resolve import write_gguf

llama_cpp = pytest.mark.skipif(
    importlib.util.find_spec("llama_cpp") is None, reason="needs llama-cpp-python, which is compiled when installed"
)
SYSTEM = "You are a careful physician."
ASKED = Prompt("Fever?\nAnswer:", "Answer.", (("Cough?\nAnswer:", "rest"),), system=SYSTEM)
TALK = Prompt(
    "And now?",
    turns=(Turn("system", "Be brief."), Turn("user", "I cough."), Turn("assistant", "Since when?")),
    system=SYSTEM,
)
# As Gemma 2's template, and one that leaves a system turn out without a word.
RAISES = "{% if messages[0]['role'] == 'system' %}{{ raise_exception('System role not supported') }}{% endif %}"
DROPS = (
    "{% for m in messages %}{% if m['role'] != 'system' %}<|start|>{{ m['role'] }}\n{{ m['content'] }}<|end|>\n"
    "{% endif %}{% endfor %}<|start|>assistant\n"
)
REFUSING = {"raises": RAISES + tiny.TEMPLATE, "drops": DROPS}


@pytest.fixture(autouse=True)
def _alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("MEDBENCH_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("VLLM_WORKER_MULTIPROC_METHOD", "spawn")
    chat_templates.has_system_turn.cache_clear()


@pytest.fixture(scope="module")
def llama(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny.save(tmp_path_factory.mktemp("models") / "tiny", "llama", window=512)


@pytest.fixture(params=REFUSING, scope="module")
def refusing(request: pytest.FixtureRequest, llama: Path) -> Path:
    folder = llama.with_name(request.param)
    shutil.copytree(llama, folder)
    (folder / "chat_template.jinja").unlink(missing_ok=True)
    path = folder / "tokenizer_config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"chat_template": REFUSING[request.param]}))
    return folder


def test_turns() -> None:
    assert messages(ASKED) == [
        {"role": "system", "content": SYSTEM},
        {"role": "user", "content": "Answer.\n\nCough?\nAnswer:"},
        {"role": "assistant", "content": "rest"},
        {"role": "user", "content": "Fever?\nAnswer:"},
    ]
    assert messages(ASKED, system_turn=False)[0] == {
        "role": "user",
        "content": f"{SYSTEM}\n\nAnswer.\n\nCough?\nAnswer:",
    }
    assert [turn["role"] for turn in messages(TALK)] == ["system", "system", "user", "assistant", "user"]
    assert messages(TALK, system_turn=False) == [
        {"role": "user", "content": f"{SYSTEM}\n\nBe brief.\n\nI cough."},
        {"role": "assistant", "content": "Since when?"},
        {"role": "user", "content": "And now?"},
    ]


def test_a_plain_prompt_has_it_at_its_head() -> None:
    assert ASKED.plain == f"{SYSTEM}\n\nAnswer.\n\nCough?\nAnswer: rest\n\nFever?\nAnswer:"


@pytest.mark.parametrize(("template", "has"), [(tiny.TEMPLATE, True), *((text, False) for text in REFUSING.values())])
def test_whether_a_template_has_a_system_turn_is_found_out_once(
    template: str, has: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert chat_templates.has_system_turn(template) is has
    chat_templates.has_system_turn.cache_clear()
    monkeypatch.setattr(chat_templates, "_tried", lambda *_: pytest.fail("it is known"))
    assert chat_templates.has_system_turn(template) is has


def test_a_template_that_does_not_end_at_a_system_turn_has_none(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(chat_templates, "CPU_SECONDS", 1)
    loops = "{% for i in range(99999) %}{% for j in range(99999) %}{% set x = i %}{% endfor %}{% endfor %}"
    template = "{% if messages[0]['role'] == 'system' %}" + loops + "{% endif %}" + tiny.TEMPLATE
    assert not chat_templates.has_system_turn(template)


def sent(engine: TransformersEngine | VllmEngine | GgufEngine, prompt: Prompt = ASKED) -> tuple[str, str]:
    """The prompts that a model reads where it writes and where it chooses."""
    engine.load()
    (written,) = engine.generate([GenerateRequest("1", prompt, 2)])
    (chosen,) = engine.choose([ChoiceRequest("1", prompt, ("A", "B"))])
    assert written.error is None and chosen.error is None
    return written.prompt, chosen.prompt


def test_transformers(llama: Path) -> None:
    engine = TransformersEngine(resolve(str(llama), device="cpu"))
    written, chosen = sent(engine)
    assert written.startswith(f"<|start|>system\n{SYSTEM}<|end|>\n<|start|>user\nAnswer.\n\nCough?")
    assert chosen == ASKED.plain
    assert engine.has_system_turn()
    talked, _ = sent(engine, TALK)
    assert "<|start|>user\nI cough.<|end|>\n<|start|>assistant\nSince when?<|end|>\n<|start|>user\nAnd now?" in talked


def test_transformers_where_the_template_has_no_system_turn(refusing: Path) -> None:
    engine = TransformersEngine(resolve(str(refusing), device="cpu"))
    written, _ = sent(engine)
    assert written.startswith(f"<|start|>user\n{SYSTEM}\n\nAnswer.\n\nCough?")
    assert not engine.has_system_turn()


def test_vllm(llama: Path, refusing: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    fake_vllm.install(monkeypatch)
    engine = VllmEngine(ModelSpec("tiny", str(llama), "", dtype="float32"))
    assert sent(engine)[0].startswith(f"<|start|>system\n{SYSTEM}<|end|>\n")
    assert engine.has_system_turn()
    engine = VllmEngine(ModelSpec("tiny", str(refusing), "", dtype="float32"))
    assert sent(engine)[0].startswith(f"<|start|>user\n{SYSTEM}\n\nAnswer.")
    assert not engine.has_system_turn()


@llama_cpp
def test_llama_cpp(llama: Path, refusing: Path) -> None:
    files = [write_gguf(folder, folder.with_suffix(".gguf"), pre="gpt-2") for folder in (llama, refusing)]
    good, bad = [GgufEngine(resolve(f"gguf:{file}")) for file in files]
    assert good.chat("generate") == bad.chat("generate") == "template"
    assert good.has_system_turn() and not bad.has_system_turn()
    assert sent(good)[0].startswith(f"<|start|>system\n{SYSTEM}<|end|>\n")
    assert sent(bad)[0].startswith(f"<|start|>user\n{SYSTEM}\n\nAnswer.")


def test_a_server_gets_a_system_message() -> None:
    with Server() as server:
        spec = ModelSpec("openai:m", "m", "", "openai", base_url=server.url)
        list(OpenAIEngine(spec).generate([GenerateRequest("1", ASKED, 8)]))
        (asked,) = server.asked
    assert asked.body["messages"] == messages(ASKED)


@pytest.mark.parametrize(
    "words", ["System role not supported", "Conversation roles must alternate user/assistant/user/assistant/..."]
)
def test_a_server_whose_model_has_no_system_turn_is_asked_again_once(words: str) -> None:
    """As vLLM answers for Gemma 2: 400 with what the template raised."""

    def refuse(asked: Asked) -> Answer:
        system = any(turn["role"] == "system" for turn in asked.body["messages"])
        return error(400, words)(asked) if system else says("Answer: A")(asked)

    with Server(then=refuse) as server:
        engine = OpenAIEngine(ModelSpec("openai:m", "m", "", "openai", base_url=server.url), Limits(concurrency=1))
        outputs = list(engine.generate([GenerateRequest(str(n), ASKED, 8) for n in range(3)]))
        asked = [turn.body["messages"] for turn in server.asked]
    assert [output.text for output in outputs] == ["Answer: A"] * 3
    assert asked == [messages(ASKED), *[messages(ASKED, system_turn=False)] * 3]
    assert engine.describe()["rejected_fields"] == ["system role"]
    assert outputs[0].prompt.startswith(f"user: {SYSTEM}\n\nAnswer.")


def test_another_error_about_a_system_text_is_an_error() -> None:
    with Server(then=error(400, "the system is overloaded by this prompt: it has too many tokens")) as server:
        engine = OpenAIEngine(ModelSpec("openai:m", "m", "", "openai", base_url=server.url))
        (output,) = engine.generate([GenerateRequest("1", ASKED, 8)])
        assert len(server.asked) == 1
    assert output.error and "too many tokens" in output.error


WRAPS = {
    "template": Wrapping("template", tiny.TEMPLATE),
    "plain": Wrapping("plain"),
    "format": Wrapping("format", "### {prompt}\n### Response:"),
}


@pytest.mark.parametrize("wrap", WRAPS.values(), ids=WRAPS)
@pytest.mark.parametrize("room", range(20, 200, 12))
def test_a_prompt_that_is_too_long_keeps_its_system_text(wrap: Wrapping, room: int) -> None:
    long = Prompt(
        "question " * 30 + "END\nAnswer:",
        "instruction " * 10,
        (("example " * 10, "rest"),) * 2,
        system=SYSTEM,
        turns=(Turn("user", "first"), Turn("assistant", "second"), Turn("user", "third"), Turn("assistant", "fourth")),
    )
    prompter = Prompter(tiny.tokenizer(), room * 2, encoder_decoder=False)
    encoded = prompter.for_generation(long, wrap, room)
    assert len(encoded.tokens) <= room and encoded.truncated > 0
    own = len(prompter.for_generation(Prompt("", system=SYSTEM), wrap, 0).tokens)
    if own > room:
        assert "END" not in encoded.text, "the system text is cut only after everything else"
        return
    assert SYSTEM in encoded.text
    assert "example" not in encoded.text, "examples go first"
    assert ("first" in encoded.text) == ("second" in encoded.text), "a question goes with its answer"
    assert "END" in encoded.text or own + 8 > room


def run(*words: object) -> Result:
    command = ["run", "-b", "medquad-sample", "--limit", "1", "--max-new-tokens", "2", "--latency-items", "0"]
    return CliRunner().invoke(cli, [*command, *map(str, words)], prog_name="medbench")


def only_run(root: Path) -> StoredRun:
    (path,) = root.iterdir()
    return StoredRun(path)


def test_a_run_says_where_the_system_text_is(llama: Path, refusing: Path, tmp_path: Path) -> None:
    file = tmp_path / "system.txt"
    file.write_text(SYSTEM)
    done = run("-m", llama, "--system", file, "--out", tmp_path / "a")
    assert done.exit_code == 0, done.output
    assert "medquad-sample (system text, at most 2 new tokens)" in " ".join(done.stdout.split())
    manifest = only_run(tmp_path / "a").manifest
    assert manifest.settings.system == SYSTEM
    assert not [note for note in manifest.benchmark.notes if "system" in note]
    assert next(only_run(tmp_path / "a").iter_records()).output.prompt.startswith(f"<|start|>system\n{SYSTEM}<|end|>")

    done = run("-m", refusing, "--system", SYSTEM, "--out", tmp_path / "b")
    assert done.exit_code == 0, done.output
    told = "Its chat template has no system turn, so the system text opens the first user turn."
    assert told in done.stderr
    manifest = only_run(tmp_path / "b").manifest
    assert told in manifest.benchmark.notes
    assert manifest.settings.system == SYSTEM
    assert next(only_run(tmp_path / "b").iter_records()).output.prompt.startswith(f"<|start|>user\n{SYSTEM}\n\n")


def test_it_is_part_of_the_identity_and_of_the_column(llama: Path, tmp_path: Path) -> None:
    for system in ("", SYSTEM, "You are a nurse."):
        assert run("-m", llama, "--out", tmp_path / "runs", *(["--system", system] if system else [])).exit_code == 0
    runs = [StoredRun(path) for path in (tmp_path / "runs").iterdir()]
    assert len({run.manifest.run_id for run in runs}) == 3
    assert len({run.manifest.comparable.key for run in runs}) == 3
    without = next(run for run in runs if not run.manifest.settings.system)
    stored = json.dumps(manifest_file.as_json(without.manifest))
    assert "system_hash" not in stored, "a run without a system text has the id that it always had"


def test_a_file_that_is_missing_is_an_error(llama: Path) -> None:
    done = run("-m", llama, "--system", "missing.txt")
    assert done.exit_code == 2
    assert "--system missing.txt: no such file." in done.stderr
