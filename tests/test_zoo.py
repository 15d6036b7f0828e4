"""The zoo's entries: what each says about its model, without heavy imports."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import tiny
from medbench.core import registry
from medbench.zoo import Entry

PUBLISHED = [
    "biogpt-large",
    "biomedlm",
    "dialogpt-small",
    "flan-t5-base-medqa",
    "hera-gemma-2-2b",
    "med-llama-3.2-1b",
    "medgpt-gemma-2-2b",
    "smollm2-135m",
]


def test_the_zoo_holds_the_published_systems_and_the_embedded_default() -> None:
    assert set(PUBLISHED) <= set(registry.names("zoo"))


@pytest.mark.parametrize("name", PUBLISHED)
def test_every_entry_is_found_by_its_own_name_and_says_what_it_is(name: str) -> None:
    entry = registry.get("zoo", name)
    assert isinstance(entry, Entry)
    assert entry.name == name
    assert entry.licence and entry.source and entry.summary
    assert "temperature" not in entry.generation, "nothing samples here, so temperature would do nothing"


def _built(name: str) -> int:
    """Parameters of the architecture with the shape in the weights' published config.json, none of them allocated."""
    import torch
    import transformers as hf

    def gpt2(**shape: int) -> Any:
        return hf.GPT2LMHeadModel(hf.GPT2Config(**shape, bos_token_id=0, eos_token_id=0))

    def llama(**shape: int) -> Any:
        return hf.LlamaForCausalLM(hf.LlamaConfig(**shape, tie_word_embeddings=True))

    def gemma() -> Any:
        return hf.Gemma2ForCausalLM(
            hf.Gemma2Config(
                vocab_size=256_000,
                hidden_size=2304,
                intermediate_size=9216,
                num_hidden_layers=26,
                num_attention_heads=8,
                num_key_value_heads=4,
                head_dim=256,
            )
        )

    def biogpt() -> Any:
        return hf.BioGptForCausalLM(
            hf.BioGptConfig(
                vocab_size=57_717,
                hidden_size=1600,
                num_hidden_layers=48,
                num_attention_heads=25,
                intermediate_size=6400,
                max_position_embeddings=2048,
            )
        )

    def t5() -> Any:
        shape = {"d_model": 768, "d_kv": 64, "d_ff": 2048, "num_layers": 12, "num_heads": 12, "vocab_size": 32_128}
        return hf.T5ForConditionalGeneration(hf.T5Config(**shape, feed_forward_proj="gated-gelu"))

    smollm2 = {
        "vocab_size": 49_152,
        "hidden_size": 576,
        "intermediate_size": 1536,
        "num_hidden_layers": 30,
        "num_attention_heads": 9,
        "num_key_value_heads": 3,
    }
    llama_1b = {
        "vocab_size": 128_256,
        "hidden_size": 2048,
        "intermediate_size": 8192,
        "num_hidden_layers": 16,
        "num_attention_heads": 32,
        "num_key_value_heads": 8,
    }
    build = {
        "biogpt-large": biogpt,
        "biomedlm": lambda: gpt2(vocab_size=28_896, n_embd=2560, n_layer=32, n_head=20, n_positions=1024),
        "dialogpt-small": lambda: gpt2(),
        "flan-t5-base-medqa": t5,
        "hera-gemma-2-2b": gemma,
        "med-llama-3.2-1b": lambda: llama(**llama_1b),
        "medgpt-gemma-2-2b": gemma,
        "smollm2-135m": lambda: llama(**smollm2),
    }
    with torch.device("meta"):
        model = build[name]()
    model.tie_weights()
    return sum(parameter.numel() for parameter in model.parameters())


@pytest.mark.parametrize("name", PUBLISHED)
def test_the_parameter_counts_are_those_of_the_architectures(name: str) -> None:
    # Flan-T5 does not tie its output to its input embeddings, which transformers only sees in the checkpoint.
    untied = 32_128 * 768 if name == "flan-t5-base-medqa" else 0
    assert registry.get("zoo", name).parameters == _built(name) + untied


def test_biogpt_large_is_not_the_347m_model_that_mesa_takes_it_for() -> None:
    assert registry.get("zoo", "biogpt-large").size == "1.57B"
    assert registry.get("zoo", "smollm2-135m").size == "135M"


def test_flan_t5_is_asked_as_published() -> None:
    entry = registry.get("zoo", "flan-t5-base-medqa")
    assert entry.architecture == "encoder-decoder"
    assert entry.prompt_format.format(prompt="What is asthma?") == "Medical question: What is asthma?"
    assert entry.generation["num_beams"] == 4


def test_only_gemma_wants_its_terms_accepted() -> None:
    gated = [name for name in PUBLISHED if registry.get("zoo", name).gated]
    assert gated == ["hera-gemma-2-2b", "medgpt-gemma-2-2b"]


def test_gemma_2_gets_eager_attention_without_being_asked(tmp_path: Path) -> None:
    """So the entries need not say so: transformers refuses SDPA for Gemma 2 and falls back by itself."""
    from transformers import AutoModelForCausalLM

    folder = tiny.save(tmp_path / "gemma", "gemma2")
    assert AutoModelForCausalLM.from_pretrained(folder).config._attn_implementation == "eager"


def test_a_prompt_format_without_a_place_for_the_prompt_is_refused() -> None:
    with pytest.raises(ValueError, match=r"zoo entry 'x': prompt_format has no \{prompt\}: 'Question: '"):
        Entry("x", "owner/x", "MIT", "causal", 1, "", "", prompt_format="Question: ")


def test_reading_all_entries_loads_nothing_heavy() -> None:
    code = (
        "import sys\n"
        "from medbench.core import registry\n"
        "import medbench.zoo.resolve\n"
        "[registry.get('zoo', name) for name in registry.names('zoo')]\n"
        "heavy = {'torch', 'transformers', 'huggingface_hub', 'numpy', 'gguf', 'tokenizers'}\n"
        "print(sorted(heavy & set(sys.modules)))"
    )
    said = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert said.stdout.strip() == "[]"
