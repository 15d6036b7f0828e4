"""Model folders that merging and training write: what they are here they are for other tools, transformers 4 too.

The slow tests ask another Python with transformers 4, named by MEDBENCH_TRANSFORMERS_4:

    python -m venv /tmp/t4 && /tmp/t4/bin/pip install 'transformers==4.57.*' torch sentencepiece protobuf
    MEDBENCH_TRANSFORMERS_4=/tmp/t4/bin/python python -m pytest -m slow tests/test_portable.py
"""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import entries
import older_transformers
import pytest
import tiny
import trained
from click.testing import CliRunner
from medbench.cli import cli
from medbench.training import portable
from medbench.training.merge import merge
from medbench.zoo import adapter_manifest

PROMPT = "Question: What helps against fever and cough in a child, and what does not help at all?\nAnswer:"


@pytest.fixture(autouse=True)
def _alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("MEDBENCH_CACHE", str(tmp_path / "cache"))
    for name in ("MEDBENCH_DATA", "MEDBENCH_HOME"):
        monkeypatch.delenv(name, raising=False)


SIZE = {"hidden_size": 32, "intermediate_size": 64, "num_hidden_layers": 2, "num_attention_heads": 4}
HEADS = {"num_key_value_heads": 2, "max_position_embeddings": 128}
LLAMA3 = {
    "rope_type": "llama3",
    "rope_theta": 500000.0,
    "factor": 8.0,
    "low_freq_factor": 1.0,
    "high_freq_factor": 4.0,
    "original_max_position_embeddings": 16,
}
LONG = {
    "rope_type": "longrope",
    "rope_theta": 70000.0,
    "short_factor": [1.0, 1.5, 2.0, 3.0],
    "long_factor": [2.0, 3.0, 4.0, 6.0],
}


def configs() -> dict[str, Callable[[dict[str, Any]], Any]]:
    """Configurations as the models of the zoo and others like them have them, by architecture."""
    import transformers as hf

    def plain(kind: Any, **settings: Any) -> Callable[[dict[str, Any]], Any]:
        return lambda ends: kind(**SIZE, **HEADS, **ends, **settings)

    gemma = {"head_dim": 8, "sliding_window": 16, "query_pre_attn_scalar": 8}
    layers = {
        "sliding_attention": {"rope_type": "default", "rope_theta": 3000.0},
        "full_attention": {"rope_type": "linear", "factor": 4.0, "rope_theta": 70000.0},
    }
    return {
        "llama": plain(hf.LlamaConfig, rope_parameters={"rope_type": "default", "rope_theta": 70000.0}),
        "llama 3": plain(hf.LlamaConfig, rope_parameters=LLAMA3, tie_word_embeddings=True),
        "mistral": plain(hf.MistralConfig, rope_parameters={"rope_type": "default", "rope_theta": 70000.0}),
        "qwen2": plain(hf.Qwen2Config, rope_parameters={"rope_type": "default", "rope_theta": 70000.0}),
        "gemma2": plain(hf.Gemma2Config, **gemma, rope_parameters={"rope_type": "default", "rope_theta": 70000.0}),
        "gemma3": plain(hf.Gemma3TextConfig, **gemma, rope_parameters=layers),
        "phi3": plain(hf.Phi3Config, rope_parameters=LONG, original_max_position_embeddings=16),
        "gpt_neox": lambda ends: hf.GPTNeoXConfig(
            **SIZE,
            **ends,
            max_position_embeddings=128,
            rope_parameters={"rope_type": "default", "rope_theta": 70000.0, "partial_rotary_factor": 0.5},
        ),
        "gpt2": lambda ends: hf.GPT2Config(n_embd=32, n_layer=2, n_head=4, n_positions=128, **ends),
        "biogpt": lambda ends: hf.BioGptConfig(**SIZE, max_position_embeddings=128, **ends),
        "t5": lambda ends: hf.T5Config(
            d_model=32, d_kv=8, d_ff=64, num_layers=2, num_heads=4, decoder_start_token_id=0, **ends
        ),
    }


MODULES = {"phi3": "qkv_proj", "gpt_neox": "query_key_value", "gpt2": "c_attn", "t5": "q"}
CASES = (*configs(), "flan-t5")


def base(name: str, folder: Path) -> Path:
    """A tiny model whose weights are large enough that wrong settings show."""
    import torch
    import transformers as hf

    torch.manual_seed(0)
    words = tiny.tokenizer()
    ends = {"bos_token_id": 1, "eos_token_id": 1, "pad_token_id": 0, "vocab_size": len(words)}
    kind = "t5" if name == "flan-t5" else name
    config = configs()[kind](ends)
    config.initializer_range = 0.3
    family = hf.AutoModelForSeq2SeqLM if kind == "t5" else hf.AutoModelForCausalLM
    family.from_config(config).save_pretrained(folder)
    words.save_pretrained(folder)
    if name == "flan-t5":
        untie(folder)
    return folder


def untie(folder: Path) -> None:
    """T5 1.1 and Flan-T5 as published: an output layer of its own, and a configuration that says so."""
    import torch
    from safetensors.torch import load_file, save_file

    file = folder / "model.safetensors"
    weights = load_file(file)
    weights["lm_head.weight"] = torch.randn_like(weights["shared.weight"])
    save_file(weights, file, metadata={"format": "pt"})
    config = json.loads((folder / "config.json").read_text())
    config.pop("scale_decoder_outputs", None)
    (folder / "config.json").write_text(json.dumps(config | {"tie_word_embeddings": False}))


def adapter(name: str, model: Path, folder: Path) -> Path:
    """A finished LoRA training of the model."""
    import torch
    from peft import LoraConfig, get_peft_model
    from transformers import AutoModelForCausalLM, AutoModelForSeq2SeqLM

    torch.manual_seed(1)
    kind = "t5" if name == "flan-t5" else name
    task, family = ("SEQ_2_SEQ_LM", AutoModelForSeq2SeqLM) if kind == "t5" else ("CAUSAL_LM", AutoModelForCausalLM)
    lora = LoraConfig(r=2, lora_alpha=8, target_modules=[MODULES.get(kind, "q_proj")], task_type=task)
    adapted = get_peft_model(family.from_pretrained(model), lora)
    for key, parameter in adapted.named_parameters():
        if "lora_B" in key:
            torch.nn.init.normal_(parameter, std=0.5)
    adapted.save_pretrained(folder)
    adapter_manifest.write(folder, trained.manifest(model, folder))
    return folder


def with_adapter(name: str, model: Path, folder: Path) -> Any:
    """The logits of base and adapter by PEFT, in this version."""
    import torch
    from peft import PeftModel
    from transformers import AutoModelForCausalLM, AutoModelForSeq2SeqLM, AutoTokenizer

    both = name in ("t5", "flan-t5")
    family = AutoModelForSeq2SeqLM if both else AutoModelForCausalLM
    adapted = PeftModel.from_pretrained(family.from_pretrained(model), folder).eval()
    tokens = AutoTokenizer.from_pretrained(model)(PROMPT, return_tensors="pt")["input_ids"]
    decoder = {"decoder_input_ids": torch.tensor([[0, 5, 6]])} if both else {}
    with torch.no_grad():
        return adapted(input_ids=tokens, **decoder).logits[0]


def here(folder: Path) -> Any:
    import torch

    return torch.tensor(older_transformers.logits(str(folder), PROMPT))


@pytest.fixture(scope="module")
def older() -> Callable[[list[Path]], list[Any]]:
    """The logits of model folders by transformers 4."""
    python = os.environ.get("MEDBENCH_TRANSFORMERS_4")
    if not python:
        pytest.skip("MEDBENCH_TRANSFORMERS_4 names no Python with transformers 4")

    def ask(folders: list[Path]) -> list[Any]:
        import torch

        words = [python, older_transformers.__file__]
        asked = json.dumps({"prompt": PROMPT, "folders": [str(folder) for folder in folders]})
        done = subprocess.run([*words, asked], capture_output=True, text=True, timeout=300)
        assert done.returncode == 0, done.stderr[-2000:]
        said = json.loads(done.stdout)
        assert said["version"].startswith("4.")
        return [torch.tensor(said["logits"][str(folder)]) for folder in folders]

    return ask


@pytest.mark.parametrize("name", CASES)
def test_a_merged_model_is_base_and_adapter(name: str, tmp_path: Path) -> None:
    import torch

    model = base(name, tmp_path / "model")
    folder = adapter(name, model, tmp_path / "adapter")
    torch.testing.assert_close(
        here(merge(folder, tmp_path / "merged")), with_adapter(name, model, folder), atol=1e-3, rtol=1e-3
    )


@pytest.mark.slow
def test_and_it_is_for_transformers_4(older: Callable[[list[Path]], list[Any]], tmp_path: Path) -> None:

    right, merged = {}, {}
    for name in CASES:
        model = base(name, tmp_path / f"{name}-model")
        folder = adapter(name, model, tmp_path / f"{name}-adapter")
        right[name] = with_adapter(name, model, folder)
        merged[name] = merge(folder, tmp_path / f"{name}-merged")
    wrong = {}
    for name, found in zip(merged, older(list(merged.values())), strict=True):
        off = (found - right[name]).abs().max().item()
        if off > 1e-3 * right[name].abs().max().item():
            wrong[name] = off
    assert not wrong


def trained_t5(tmp_path: Path) -> Path:
    """All weights of a model of Flan-T5's layout, trained by its recipe for two steps."""
    file = entries.entry(tmp_path, "flan-t5-base-medqa")
    untie(tmp_path / "weights-flan-t5-base-medqa")
    (tmp_path / "weights-flan-t5-base-medqa" / "spiece.model").write_bytes(b"the vocabulary's source")
    words = ["train", "--model", str(file), "--tag", "t", "--max-steps", "2", "--device", "cpu", "--set=batch_size=2"]
    done = CliRunner().invoke(cli, [*words, f"--set=data={entries.data(tmp_path)}", "--set=max_length=128"])
    assert done.exit_code == 0, done.output
    (folder,) = (tmp_path / "adapters").glob("*/t")
    return folder


def test_a_trained_t5_keeps_an_output_layer_of_its_own(tmp_path: Path) -> None:
    from safetensors.torch import load_file

    folder = trained_t5(tmp_path)
    assert json.loads((folder / "config.json").read_text())["tie_word_embeddings"] is False
    weights = load_file(folder / "model.safetensors")
    assert not weights["lm_head.weight"].equal(weights["shared.weight"])
    assert (folder / "spiece.model").read_bytes() == b"the vocabulary's source"


@pytest.mark.slow
def test_a_trained_t5_is_the_same_for_transformers_4(older: Callable[[list[Path]], list[Any]], tmp_path: Path) -> None:
    import torch

    folder = trained_t5(tmp_path)
    (folder / "spiece.model").unlink()  # not a real one
    (found,) = older([folder])
    torch.testing.assert_close(found, here(folder), atol=1e-3, rtol=1e-3)


def test_the_tokenizers_files_are_those_of_the_base(tmp_path: Path) -> None:
    model = base("llama", tmp_path / "model")
    (model / "tokenizer.model").write_bytes(b"the vocabulary's source")
    (model / "special_tokens_map.json").write_text('{"eos_token": "<eos>"}')
    (model / "thesis.txt").write_text("not of the model")
    out = merge(adapter("llama", model, tmp_path / "adapter"), tmp_path / "merged")
    for name in ("tokenizer.json", "tokenizer.model", "special_tokens_map.json", "chat_template.jinja"):
        assert (out / name).read_bytes() == (model / name).read_bytes()
    assert not (out / "thesis.txt").exists()
    assert json.loads((out / "tokenizer_config.json").read_text())["tokenizer_class"] == "PreTrainedTokenizerFast"


# --- the names that older versions read


@pytest.mark.parametrize(
    ("config", "added"),
    [
        ({}, {}),
        ({"rope_parameters": {"rope_type": "default", "rope_theta": 5e5}}, {"rope_theta": 5e5}),
        (
            {"rope_parameters": LLAMA3},
            {"rope_theta": 5e5, "rope_scaling": {k: v for k, v in LLAMA3.items() if k != "rope_theta"}},
        ),
        (
            {"rope_parameters": {"rope_theta": 1e4, "partial_rotary_factor": 0.5}},
            {"rope_theta": 1e4, "partial_rotary_factor": 0.5},
        ),
        (
            {"model_type": "gpt_neox", "rope_parameters": {"rope_theta": 1e4, "partial_rotary_factor": 0.5}},
            {"rotary_emb_base": 1e4, "rotary_pct": 0.5},
        ),
        (
            {"rope_parameters": {"full_attention": {"rope_theta": 1e6}, "sliding_attention": {"rope_theta": 1e4}}},
            {"rope_theta": 1e6, "rope_local_base_freq": 1e4},
        ),
    ],
)
def test_rope_settings_in_older_words(config: dict[str, Any], added: dict[str, Any]) -> None:
    assert portable.older_config(config) == config | added
    assert portable.older_config({"text_config": config}) == {"text_config": config | added}


def test_special_tokens_in_older_words() -> None:
    written = {"tokenizer_class": "TokenizersBackend", "extra_special_tokens": ["<a>"], "pad_token": "<p>"}
    assert portable.older_tokenizer(written) == {
        "tokenizer_class": "PreTrainedTokenizerFast",
        "additional_special_tokens": ["<a>"],
        "pad_token": "<p>",
    }
    kept = {"tokenizer_class": "GemmaTokenizer", "extra_special_tokens": {"image_token": "<image>"}}
    assert portable.older_tokenizer(kept) == kept
