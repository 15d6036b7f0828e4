"""Packed rows: TRL's packing and collation compared with every row alone, on the attentions that a CPU has."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import tiny
import torch
from medbench.training.packing import packing_fault

LENGTHS = (40, 25, 31, 7, 22, 3)  # longer and shorter than Gemma 2's sliding window of 16


def model(folder: Path, family: str, attention: str) -> Any:
    import transformers

    tiny.save(folder, family)
    return transformers.AutoModelForCausalLM.from_pretrained(folder, attn_implementation=attention)


@torch.inference_mode()
def furthest(model: Any) -> float:
    """The largest difference that packing makes to a logit."""
    from datasets import Dataset
    from trl.data_utils import pack_dataset
    from trl.trainer.sft_trainer import DataCollatorForLanguageModeling

    model.eval()
    torch.manual_seed(0)
    rows = [torch.randint(4, 300, (length,)).tolist() for length in LENGTHS]
    packed = pack_dataset(Dataset.from_dict({"input_ids": rows, "labels": rows}), 64, "bfd")
    assert len(packed) < len(rows)
    batch = DataCollatorForLanguageModeling(pad_token_id=0, padding_free=True)(list(packed))
    del batch["labels"]
    logits = model(**batch, use_cache=False).logits[0]
    starts = (batch["position_ids"][0] == 0).nonzero().flatten().tolist()
    pieces = zip(starts, [*starts[1:], sum(LENGTHS)], strict=True)
    tokens = batch["input_ids"]
    return max(float((model(tokens[:, at:end]).logits[0] - logits[at:end]).abs().max()) for at, end in pieces)


@pytest.mark.parametrize(
    ("family", "attention"),
    [("llama", "eager"), ("llama", "sdpa"), ("gpt2", "eager"), ("gpt2", "sdpa"), ("gemma2", "eager")],
)
def test_packed_rows_are_as_if_alone(tmp_path: Path, family: str, attention: str) -> None:
    made = model(tmp_path, family, attention)
    assert packing_fault(made) == ""
    assert furthest(made) < 1e-4


@pytest.mark.parametrize("attention", ["eager", "sdpa"])
def test_biogpt_reads_across_packed_rows_and_is_refused(tmp_path: Path, attention: str) -> None:
    made = model(tmp_path, "biogpt", attention)
    assert "biogpt" in packing_fault(made)
    assert furthest(made) > 1, "transformers keeps BioGPT's packed rows apart now: nothing refuses it any more"


def test_a_model_with_an_adapter_and_dropout_is_asked_without_a_trace(tmp_path: Path) -> None:
    import peft

    lora = peft.LoraConfig(r=2, lora_dropout=0.5, target_modules="all-linear", init_lora_weights=False)
    made = peft.get_peft_model(model(tmp_path, "llama", "sdpa"), lora)
    made.train()
    assert packing_fault(made) == ""
    assert made.training
    assert all(parameter.grad is None for parameter in made.parameters())
