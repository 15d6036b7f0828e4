"""Chat templates are programs that come with a model: one that raises, loops or attacks is reported before the run."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
import tiny
from click.testing import CliRunner, Result
from medbench.cli import cli
from medbench.core.errors import MedbenchError
from medbench.core.types import ChoiceRequest, GenerateRequest, Prompt
from medbench.engines import chat_templates
from medbench.engines.hf.engine import TransformersEngine
from medbench.zoo.resolve import resolve


@pytest.fixture(scope="module")
def llama(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny.save(tmp_path_factory.mktemp("models") / "tiny-llama", "llama")


@pytest.fixture(autouse=True)
def alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MEDBENCH_CACHE", str(tmp_path / "cache"))
    chat_templates.check.cache_clear()


def with_template(llama: Path, folder: Path, template: object) -> Path:
    """The tiny model, with this as its chat template."""
    shutil.copytree(llama, folder)
    (folder / "chat_template.jinja").unlink(missing_ok=True)
    path = folder / "tokenizer_config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"chat_template": template}))
    return folder


def run(folder: Path, *words: str) -> Result:
    command = ["run", "-m", str(folder), "-b", "medquad-sample", "--limit", "1", "--max-new-tokens", "2"]
    return CliRunner().invoke(cli, [*command, "--latency-items", "0", *words], prog_name="medbench")


LOOPS = "{% for i in range(99999) %}{% for j in range(99999) %}{% set x = i %}{% endfor %}{% endfor %}"
HOSTILE = {
    "{{ raise_exception('System role not supported') }}": "it says: System role not supported",
    "{{ messages[0].nothing.more }}": "it says: 'dict object' has no attribute 'nothing'",
    "{% for m in messages %}": "it says: Unexpected end of template. Jinja was looking for",
    "{{ 1 / 0 }}": "it says: ZeroDivisionError: division by zero",
    "{% for i in range(10**12) %}{% endfor %}": "it says: OverflowError: Range too big.",
    "{{ ''.__class__.__mro__ }}": "it reaches for what jinja's sandbox forbids: access to attribute '__class__'",
    "{{ cycler.__init__.__globals__.os.getcwd() }}": "it reaches for what jinja's sandbox forbids:",
    "{{ messages.append(1) }}": "it reaches for what jinja's sandbox forbids:",
    LOOPS: "it does not end: it ran for more than 1 seconds on one short question.",
    "{{ 3 ** (9 ** 10) }}": "it does not end: it ran for more than 1 seconds on one short question.",
    "{% set x = 'aaaaaaaa' * 999999999 %}{{ x|length }}": "it takes more than 1 GiB of memory for one short question.",
    "{% for i in range(99999) %}{{ 'a' * 99 }}{% endfor %}": "it makes 9,899,901 characters of one short question.",
}


@pytest.mark.parametrize(("template", "told"), HOSTILE.items(), ids=lambda text: text[:30])
def test_a_hostile_template_is_a_sentence(template: str, told: str, monkeypatch: pytest.MonkeyPatch) -> None:
    if "does not end" in told:  # starting the process itself takes nearly as long on a busy machine
        monkeypatch.setattr(chat_templates, "CPU_SECONDS", 1)
    with pytest.raises(MedbenchError) as error:
        chat_templates.check(template, "m")
    assert error.value.message.startswith(f"the chat template of m cannot be used: {told}")
    assert error.value.hint == "Without the template: --chat never"


@pytest.mark.parametrize("template", [tiny.TEMPLATE, "{{ messages[-1]['content'] }}", "{{ bos_token }}"])
def test_an_honest_template_passes_and_is_tried_once(template: str, monkeypatch: pytest.MonkeyPatch) -> None:
    chat_templates.check(template, "m")
    chat_templates.check.cache_clear()
    monkeypatch.setattr(chat_templates, "_problem", lambda text: pytest.fail("it is known"))
    chat_templates.check(template, "m")


def test_the_run_is_not_begun_and_says_what_to_do(llama: Path, tmp_path: Path) -> None:
    folder = with_template(llama, tmp_path / "m", "{{ raise_exception('Only for \x1b[31mchildren') }}")
    done = run(folder, "--out", str(tmp_path / "runs"))
    assert done.exit_code == 1
    assert "the chat template of m cannot be used: it says: Only for ␛[31mchildren" in done.stderr
    assert "Without the template: --chat never" in done.stderr
    assert not list((tmp_path / "runs").glob("*/samples.jsonl"))
    plain = run(folder, "--out", str(tmp_path / "runs"), "--chat", "never")
    assert plain.exit_code == 0, plain.output


def test_a_template_that_raises_at_some_turns_only_is_a_sentence_too(llama: Path, tmp_path: Path) -> None:
    """With examples there are several turns, which this one does not take."""
    template = "{% if messages|length > 1 %}{{ raise_exception('One turn only') }}{% endif %}" + tiny.TEMPLATE
    folder = with_template(llama, tmp_path / "m", template)
    assert run(folder, "--out", str(tmp_path / "one")).exit_code == 0
    done = run(folder, "--out", str(tmp_path / "two"), "--shots", "1")
    assert done.exit_code == 1
    assert "the model's chat template cannot be used: it says: One turn only" in done.stderr
    assert "Traceback" not in done.output


def test_of_several_templates_the_one_called_default_is_used(llama: Path, tmp_path: Path) -> None:
    several = [{"name": "tool_use", "template": "tools"}, {"name": "default", "template": tiny.TEMPLATE}]
    folder = with_template(llama, tmp_path / "m", several)
    assert chat_templates.of_folder(str(folder)) == tiny.TEMPLATE
    assert TransformersEngine(resolve(str(folder))).chat("generate") == "template"


def test_several_templates_without_a_default_are_refused_by_their_names(llama: Path, tmp_path: Path) -> None:
    folder = with_template(
        llama, tmp_path / "m", [{"name": "tool_use", "template": "x"}, {"name": "rag", "template": "y"}]
    )
    engine = TransformersEngine(resolve(str(folder)))
    assert engine.chat("choose") == "plain"
    with pytest.raises(MedbenchError, match="there are several, and none is called default: tool_use, rag"):
        engine.chat("generate")


@pytest.mark.parametrize("template", [None, 7, [], [7], {"a": 1}], ids=repr)
def test_what_is_no_template_is_none(llama: Path, tmp_path: Path, template: object) -> None:
    assert chat_templates.of_folder(str(with_template(llama, tmp_path / "m", template))) == ""


def some_items(condition: str, then: str) -> str:
    """The tiny model's template, but for the second of the questions in `asking`."""
    return "{% if '" + condition + "' in messages[-1]['content'] %}" + then + "{% endif %}" + tiny.TEMPLATE


ON_CONTENT = {
    "{{ raise_exception('Not this one') }}": "it says: Not this one",
    "{{ messages[0].nothing.more }}": "it says: 'dict object' has no attribute 'nothing'",
    LOOPS: "it ran for more than 0.5 seconds.",
    "{% for i in range(99999) %}{{ 'a' * 99 }}{% endfor %}": "it makes 9,899,",
}


@pytest.mark.parametrize(("then", "told"), ON_CONTENT.items(), ids=range(len(ON_CONTENT)))
@pytest.mark.parametrize("method", ["generate", "choose"])
def test_an_item_that_the_template_does_not_take_has_no_answer_and_the_others_have_theirs(
    llama: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, then: str, told: str, method: str
) -> None:
    monkeypatch.setattr(chat_templates, "ITEM_SECONDS", 0.5)
    folder = with_template(llama, tmp_path / "m", some_items("gout", then))
    engine = TransformersEngine(resolve(str(folder), chat="always"))
    engine.load()
    prompts = {"1": Prompt("What is a cold?"), "2": Prompt("What is gout?"), "3": Prompt("What is flu?")}
    if method == "generate":
        outputs = list(engine.generate([GenerateRequest(name, prompt, 2) for name, prompt in prompts.items()]))
    else:
        outputs = list(engine.choose([ChoiceRequest(name, prompt, ("A", "B")) for name, prompt in prompts.items()]))
    errors = {output.item_id: output.error for output in outputs}
    assert set(errors) == {"1", "2", "3"}
    assert (errors["1"], errors["3"]) == (None, None)
    assert errors["2"] and told in errors["2"] and errors["2"].endswith("Without the template: --chat never")
