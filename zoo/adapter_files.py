"""Check the files of an adapter from any source: that they are intact, and that medbench runs its method."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from ..core.errors import ModelMissing, UsageError
from ..core.json_text import loads

CONFIG = "adapter_config.json"
SAFETENSORS = "adapter_model.safetensors"
BIN = "adapter_model.bin"
ADAPTER_WEIGHTS = (SAFETENSORS, BIN)  # the first one that exists is used
HEADER_LIMIT = 100_000_000  # bytes; the limit of safetensors itself
ZIP, PICKLE = b"PK", b"\x80"  # first bytes of torch's files

# PEFT methods that put trained vectors before the prompt. Batching and shared prefixes do not support them.
BEFORE_THE_PROMPT = (
    *("PROMPT_TUNING", "MULTITASK_PROMPT_TUNING", "P_TUNING", "PREFIX_TUNING", "ADAPTION_PROMPT", "CPT", "CARTRIDGE"),
)
# Methods whose effect depends on the prompt or on a chosen task.
BY_PROMPT = ("XLORA", "POLY", "SHADOW")


def check(folder: Path) -> dict[str, Any]:
    """Return the configuration of the adapter in `folder`.

    Raises ModelMissing if a file is damaged, UsageError if medbench does not run the adapter's method.
    """
    config = _config(folder / CONFIG)
    kind = str(config["peft_type"]).upper()
    activated = bool(config.get("alora_invocation_tokens"))
    if kind in BEFORE_THE_PROMPT + BY_PROMPT or activated:
        method = "activated LoRA" if activated else kind.lower().replace("_", " ")
        raise UsageError(
            f"the adapter {folder} was trained by {method}, which medbench does not run.",
            "It runs methods that change weights, such as LoRA, DoRA, IA3 and AdaLoRA.",
        )
    weights = folder / SAFETENSORS
    wrong = safetensors_flaw(weights) if weights.is_file() else _bin_flaw(folder / BIN)
    if wrong:
        name = weights.name if weights.is_file() else BIN
        raise ModelMissing(
            f"the adapter {folder} is damaged: {name} {wrong}.", f"Copy it again from its source{_on(config)}."
        )
    return config


def safetensors_flaw(path: Path) -> str:
    """Return what is wrong with a safetensors file, as the end of a sentence; "" if nothing. Reads only the header."""
    size = path.stat().st_size
    if size == 0:
        return "is empty"
    with path.open("rb") as file:
        length = int.from_bytes(file.read(8), "little")
        if size < 8 or length > min(HEADER_LIMIT, size - 8):
            return f"is not a safetensors file, or is truncated ({size:,} bytes)"
        try:
            header = loads(file.read(length))
            end = max((about["data_offsets"][1] for name, about in header.items() if name != "__metadata__"), default=0)
        except (ValueError, LookupError, TypeError, AttributeError):
            return "has a damaged header"
    if size != 8 + length + end:
        return f"has {size:,} bytes instead of {8 + length + end:,}"
    return ""


def _bin_flaw(path: Path) -> str:
    with path.open("rb") as file:
        start = file.read(2)
    if not start:
        return "is empty"
    return "" if start.startswith((ZIP, PICKLE)) else "is not a file written by torch"


def _config(path: Path) -> dict[str, Any]:
    try:
        config = loads(path.read_bytes())
    except (OSError, ValueError, RecursionError) as error:
        raise ModelMissing(
            f"the adapter {path.parent} is damaged: {path.name} cannot be read ({error}).",
            "Copy it again from its source.",
        ) from error
    if not isinstance(config, dict) or not isinstance(config.get("peft_type"), str):
        raise ModelMissing(
            f"the adapter {path.parent} is damaged: {path.name} does not name the method (peft_type).",
            "An adapter is a folder written by PEFT's save_pretrained(). Copy it again from its source.",
        )
    return config


def _on(config: dict[str, Any]) -> str:
    base = config.get("base_model_name_or_path")
    return f" (it was trained on {base})" if base else ""
