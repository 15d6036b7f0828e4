"""From a `ModelSpec` to a model and tokenizer in memory: device, dtype, quantisation, adapter."""

from __future__ import annotations

import dataclasses
import json
import warnings
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..core.errors import MedbenchError, UsageError
from ..core.types import ModelSpec

LENGTH_DEPENDENT_ROPE = ("longrope", "dynamic")
UNBOUNDED = 2**20  # tokenizers without a limit report an absurd one


@dataclass(frozen=True)
class Loaded:
    """A model ready to run. `window` is the most tokens one pass may hold (the encoder's, where there is one)."""

    model: Any
    tokenizer: Any
    device: str
    encoder_decoder: bool
    window: int
    alone: bool  # one sequence at a time: its positions depend on the longest of a batch


def settle(spec: ModelSpec) -> ModelSpec:
    """`spec` with "auto" dtype and device resolved for this machine.

    float32 on a CPU; on a GPU bfloat16, or float16 where the card has no bfloat16.
    """
    import torch

    device = spec.device
    if device == "auto":
        device = "cuda" if torch.cuda.is_available() else "cpu"
    if device.startswith("cuda") and not torch.cuda.is_available():
        raise UsageError(f"--device {device}: torch sees no CUDA GPU.", "See what it sees: medbench doctor")
    dtype = spec.dtype
    if dtype == "auto":
        real = device.startswith("cuda") and torch.cuda.is_bf16_supported(including_emulation=False)
        dtype = "float32" if is_cpu(device) else "bfloat16" if real else "float16"
    return dataclasses.replace(spec, device=device, dtype=dtype)


def is_cpu(device: str) -> bool:
    return device.split(":")[0] == "cpu"


def load(spec: ModelSpec) -> Loaded:
    """Load a settled spec. Raises MedbenchError in words for what a user can mend."""
    import torch
    from transformers import AutoConfig, AutoModelForCausalLM, AutoModelForSeq2SeqLM, AutoTokenizer

    _quiet_libraries()
    try:
        config = AutoConfig.from_pretrained(spec.location)
        tokenizer = AutoTokenizer.from_pretrained(spec.location)
    except (OSError, ValueError, ImportError, KeyError) as error:
        raise MedbenchError(f"{spec.location} does not load as a model: {_first_line(error)}") from error
    encoder_decoder = bool(config.is_encoder_decoder)
    family = AutoModelForSeq2SeqLM if encoder_decoder else AutoModelForCausalLM
    try:
        model, report = family.from_pretrained(
            spec.location,
            dtype=getattr(torch, spec.dtype),
            quantization_config=_quantization(spec),
            device_map={"": spec.device},
            output_loading_info=True,
        )
        if spec.adapter:
            from peft import PeftModel

            model = PeftModel.from_pretrained(model, spec.adapter)
    except torch.OutOfMemoryError as error:
        raise MedbenchError(
            f"the weights of {spec.name} do not fit on {spec.device}: {_first_line(error)}",
            "Try --quantize nf4, a smaller --dtype, or --device cpu.",
        ) from error
    except Exception as error:  # a damaged file raises whatever its reader has: pickle's, safetensors', zip's
        raise MedbenchError(f"the weights of {spec.name} do not load: {_first_line(error)}") from error
    if report["missing_keys"]:  # transformers would go on with random numbers in their place
        missing = sorted(report["missing_keys"])
        raise MedbenchError(
            f"{spec.location} lacks {len(missing)} of the weights of {spec.name}, the first: {missing[0]}.",
            "Fetch or copy the model again.",
        )
    model.eval()
    if tokenizer.pad_token_id is None:
        tokenizer.pad_token = tokenizer.eos_token  # masked out everywhere; any token would do
    rope = getattr(config, "rope_parameters", None) or getattr(config, "rope_scaling", None) or {}
    alone = str(rope.get("rope_type") or rope.get("type")) in LENGTH_DEPENDENT_ROPE
    return Loaded(model, tokenizer, spec.device, encoder_decoder, _window(config, tokenizer), alone)


def chat_template(location: str) -> str:
    """The chat template of the tokenizer in a folder, "" without one; read without loading the tokenizer."""
    folder = Path(location)
    if (folder / "chat_template.jinja").is_file():
        return (folder / "chat_template.jinja").read_text(encoding="utf-8")
    try:
        template = json.loads((folder / "tokenizer_config.json").read_text(encoding="utf-8")).get("chat_template")
    except (OSError, ValueError):
        return ""
    return template if isinstance(template, str) else ""


def _quantization(spec: ModelSpec) -> Any:
    if not spec.quantize:
        return None
    import torch
    from transformers import BitsAndBytesConfig

    if spec.quantize == "int8":
        return BitsAndBytesConfig(load_in_8bit=True)
    return BitsAndBytesConfig(
        load_in_4bit=True,
        bnb_4bit_quant_type="nf4",
        bnb_4bit_use_double_quant=True,
        bnb_4bit_compute_dtype=getattr(torch, spec.dtype),
    )


def _window(config: Any, tokenizer: Any) -> int:
    """The most positions a model takes, found as lm-evaluation-harness does: configuration, tokenizer, 2,048."""
    for name in ("n_positions", "max_position_embeddings", "n_ctx"):
        value = getattr(config, name, None)
        if value:
            return int(value)
    limit = tokenizer.model_max_length
    return int(limit) if limit and limit < UNBOUNDED else 2048


def _quiet_libraries() -> None:
    from transformers.utils import logging

    logging.set_verbosity_error()
    warnings.filterwarnings("ignore", message="MatMul8bitLt")  # says for every layer what int8 is: a cast to float16
    logging.disable_progress_bar()


def _first_line(error: Exception) -> str:
    return (str(error).strip() or type(error).__name__).splitlines()[0]
