"""Adapters as training leaves them, made by PEFT on tiny models in a moment."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from medbench.zoo import adapter_manifest, adapters
from medbench.zoo.adapter_manifest import AdapterManifest
from medbench.zoo.resolve import resolve

MODULES = {"llama": ["q_proj", "v_proj"], "gpt2": ["c_attn"], "biogpt": ["q_proj"], "gemma2": ["q_proj"], "t5": ["q"]}


def lora(base: Path, folder: Path, family: str = "llama", seed: int = 1) -> Path:
    """A LoRA adapter whose product is large enough to change what the model says."""
    import torch
    from peft import LoraConfig, get_peft_model
    from transformers import AutoModelForCausalLM, AutoModelForSeq2SeqLM

    torch.manual_seed(seed)
    kind, task = (AutoModelForSeq2SeqLM, "SEQ_2_SEQ_LM") if family == "t5" else (AutoModelForCausalLM, "CAUSAL_LM")
    config = LoraConfig(r=2, lora_alpha=8, target_modules=MODULES[family], task_type=task)
    model = get_peft_model(kind.from_pretrained(base), config)
    for name, parameter in model.named_parameters():
        if "lora_B" in name:  # zero at first, so that an untrained adapter changes nothing
            torch.nn.init.normal_(parameter, std=0.5)
    model.save_pretrained(folder)
    return folder


def manifest(base: Path, folder: Path, **changes: Any) -> AdapterManifest:
    """A finished training of the model folder `base`; the hash is that of the weights in `folder`."""
    kind = changes.get("kind", "lora")
    done = changes.get("status", "done") == "done"
    facts = {
        "model": base.name,
        "tag": folder.name,
        "kind": kind,
        "status": "done",
        "identity": {"seed": 0},
        "base": {"name": str(base), "revision": resolve(str(base)).revision, "source": f"folder {base}"},
        "created": "2025-01-02T03:04:05+00:00",
        "command": ["medbench", "train", "--model", str(base), "--tag", folder.name],
        "hash": adapters.hash_of(folder, kind) if done else "",
    }
    return AdapterManifest(**facts | changes)


def trained(base: Path, tag: str = "first", root: Path | None = None, family: str = "llama", **changes: Any) -> Path:
    """The folder of a finished LoRA training of `base`, where `--model NAME@TAG` finds it."""
    folder = lora(base, adapters.folder(changes.get("model", base.name), tag, root), family)
    adapter_manifest.write(folder, manifest(base, folder, **changes))
    return folder
