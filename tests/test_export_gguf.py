"""Models exported to GGUF for real: llama.cpp's converter and quantizer on all eight zoo entries in small.

Needs llama-cpp-python, and llama.cpp's converter in medbench's cache, where the first `medbench export` puts it.
"""

from __future__ import annotations

import importlib.util
from pathlib import Path

import numpy as np
import pytest
import tiny_entries
import trained
from medbench import export
from medbench.core import registry
from medbench.core.errors import UsageError
from medbench.core.types import ChoiceRequest, GenerateRequest, Prompt
from medbench.serving.export import converter, to_gguf
from medbench.serving.export.traits import traits
from medbench.zoo.resolve import resolve
from medbench.zoo.weights.gguf_header import read_header

CONVERTER = converter.place()  # before a test names a cache of its own
pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(importlib.util.find_spec("llama_cpp") is None, reason="needs llama-cpp-python"),
    pytest.mark.skipif(not CONVERTER.is_dir(), reason="needs llama.cpp's converter: medbench export fetches it"),
]
CONVERTIBLE = (
    "smollm2-135m",
    "biomedlm",
    "dialogpt-small",
    "med-llama-3.2-1b",
    "hera-gemma-2-2b",
    "medgpt-gemma-2-2b",
)
# llama.cpp keeps keys and values in 16 bits, and the models are random with logits in the tens: 0.02 measured in f32.
NATS = {"f32": 0.1, "f16": 0.2, "q8_0": 2.0}
PROMPTS = [
    "What are the symptoms of fever and cough in a child of 12 months?",
    "The trial enrolled 120 patients. Mortality was 12% versus 18%. Is that real?\n\nA long question of many tokens.",
    "  aspirin 500 mg, don't   stop ",
]


@pytest.fixture(autouse=True)
def _alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    monkeypatch.setenv("MEDBENCH_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(converter, "place", lambda: CONVERTER)


def logprobs(name: str) -> np.ndarray:
    """Log-probability of each option of each prompt."""
    spec = resolve(name)
    engine = registry.get("engines", spec.engine)(spec)
    requests = [ChoiceRequest(str(n), Prompt(text), ("A", "B", " yes", " no")) for n, text in enumerate(PROMPTS)]
    found = {output.item_id: output for output in engine.choose(requests)}
    return np.array([found[str(n)].logprobs for n in range(len(PROMPTS))])


def texts(name: str) -> list[str]:
    """What is written under the chat template, and how it ended."""
    spec = resolve(name)
    engine = registry.get("engines", spec.engine)(spec)
    requests = [GenerateRequest(str(n), Prompt(text), 16) for n, text in enumerate(PROMPTS)]
    found = {output.item_id: output for output in engine.generate(requests)}
    return [f"{found[str(n)].prompt} -> {found[str(n)].text} ({found[str(n)].finish})" for n in range(len(PROMPTS))]


@pytest.mark.parametrize("entry", CONVERTIBLE)
def test_an_adapter_answers_alike_merged_and_as_gguf(entry: str, tmp_path: Path) -> None:
    base = tiny_entries.save(tmp_path / f"tiny-{entry}", entry)
    family = registry.get("zoo", entry).config["model_type"]
    trained.trained(base, family=family)
    made = export(tmp_path / "adapters" / f"tiny-{entry}" / "first", "gguf", type="f32", out=tmp_path / "f32")
    assert not [note for note in made.notes if "differ" in note or "other tokens" in note or "not the" in note], (
        made.notes
    )
    before = logprobs(str(tmp_path / "adapters" / f"tiny-{entry}" / "first"))
    assert np.abs(before - logprobs(str(base))).max() > 0.1, "the adapter does something"
    assert np.abs(before - logprobs(f"gguf:{made.file}")).max() < NATS["f32"]
    assert texts(f"gguf:{made.file}") == texts(str(tmp_path / "adapters" / f"tiny-{entry}" / "first"))
    for kind in ("f16", "q8_0"):
        other = export(tmp_path / "adapters" / f"tiny-{entry}" / "first", "gguf", type=kind, out=tmp_path / kind)
        assert np.abs(before - logprobs(f"gguf:{other.file}")).max() < NATS[kind], kind


@pytest.mark.parametrize("entry", CONVERTIBLE)
def test_the_file_has_the_template_and_the_tokens_that_end_an_answer(entry: str, tmp_path: Path) -> None:
    base = tiny_entries.save(tmp_path / f"tiny-{entry}", entry)
    found, _, _ = traits(resolve(str(base)))
    made = export(base, "gguf", type="q4_k_m")
    assert made.file is not None
    header = read_header(made.file)
    assert header.chat_template == found.template
    assert header.eos_token_id in found.ends
    assert header.format == "Q4_K_M"
    assert [note for note in made.notes if "does not end" in note] == []
    if family_has_turns := bool(found.template):
        assert found.end_texts[-1] in ("<|im_end|>", "<|eot_id|>", "<end_of_turn>")
    assert family_has_turns == (entry not in ("biomedlm", "dialogpt-small"))


def test_biogpt_is_refused_by_name_before_its_weights_are_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    base = tiny_entries.save(tmp_path / "tiny-biogpt", "biogpt-large")
    monkeypatch.setattr(to_gguf, "write_whole", lambda *_: pytest.fail("its weights were read"))
    with pytest.raises(UsageError, match=r"tiny-biogpt cannot become GGUF: llama\.cpp has no BioGptForCausalLM"):
        export(base, "gguf")


def test_t5_becomes_gguf_and_neither_ollama_nor_the_check_takes_it(tmp_path: Path) -> None:
    base = tiny_entries.save(tmp_path / "tiny-t5", "flan-t5-base-medqa")
    for settings in ({"to": "ollama"}, {"to": "gguf", "check": "medqa-sample"}):
        with pytest.raises(UsageError, match=r"tiny-t5 has an encoder, and .* runs only models without one"):
            export(base, **settings)  # type: ignore[arg-type]
    made = export(base, "gguf", type="q8_0")
    assert made.file is not None
    assert read_header(made.file).architecture == "t5"


def test_a_tokenizer_whose_file_is_missing_is_named(tmp_path: Path) -> None:
    base = tiny_entries.save(tmp_path / "tiny-gemma", "hera-gemma-2-2b")
    (base / "tokenizer.model").unlink()
    with pytest.raises(UsageError, match=r"reads its tokenizer from tokenizer\.model, which is missing"):
        export(base, "gguf")


def test_the_check_puts_all_three_in_one_table(tmp_path: Path) -> None:
    base = tiny_entries.save(tmp_path / "tiny-smollm2", "smollm2-135m")
    folder = trained.trained(base)
    made = export(folder, "gguf", type="q8_0", check="medqa-sample", limit=4, runs=tmp_path / "runs")
    assert made.check is not None
    assert made.check.problems == ()
    assert [row.role for row in made.check.rows] == ["original", "merged", "exported"]
    assert [row.n for row in made.check.rows] == [4, 4, 4]
    assert made.check.rows[1].changed == 0
    assert (made.path / "check.json").is_file()
    assert list(tmp_path.glob("exports/.*")) == [], "nothing is left over"
    again = export(folder, "gguf", type="q8_0")
    assert (again.new, again.file) == (False, made.file)
