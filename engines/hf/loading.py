"""Loading a `ModelSpec`: device, dtype, configuration, tokenizer, weights, and adapter."""

from __future__ import annotations

import dataclasses
import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from logging import ERROR, getLogger
from pathlib import Path
from typing import Any

from ...core.errors import MedbenchError, UsageError
from ...core.resources import is_cpu
from ...core.types import ModelSpec
from ...zoo.weights import remote_code, tokenizer_files
from .. import chat_templates
from .adapter import load_adapter
from .quantization import check_4bit_on_cpu, quantization

LENGTH_DEPENDENT_ROPE = ("longrope", "dynamic")
UNBOUNDED = 2**20  # tokens; tokenizers without a limit report a huge one


@dataclass(frozen=True)
class Loaded:
    """A model ready to run. `window` is the most tokens that one pass can take (the encoder's, if there is one)."""

    model: Any
    tokenizer: Any
    device: str
    encoder_decoder: bool
    window: int
    one_at_a_time: bool  # no batches: positions depend on the longest sequence of a batch
    vocabulary: int = 0  # rows of the embeddings; every input token is below
    pad: int = 0  # the padding token, masked out everywhere


def settle(spec: ModelSpec) -> ModelSpec:
    """Return `spec` with the dtype and device "auto" resolved for this machine.

    The dtype is float32 on a CPU and bfloat16 on a GPU, or float16 if the GPU has no bfloat16.
    """
    import torch

    device = spec.device
    if device == "auto":
        device = "cuda" if torch.cuda.is_available() else "cpu"
    if device.startswith("cuda") and not torch.cuda.is_available():
        raise UsageError(f"--device {device}: torch sees no CUDA GPU.", "To see what torch finds: medbench doctor")
    dtype = spec.dtype
    if dtype == "auto":
        real = device.startswith("cuda") and torch.cuda.is_bf16_supported(including_emulation=False)
        dtype = "float32" if is_cpu(device) else "bfloat16" if real else "float16"
    return dataclasses.replace(spec, device=device, dtype=dtype)


def load(spec: ModelSpec) -> Loaded:
    """Load a settled spec. Raise MedbenchError for problems that a user can fix."""
    trusted = spec.trust_remote_code
    config, tokenizer = opened(spec.location, trusted, spec.adapter)
    quantized = quantization(spec.quantize, spec.dtype)
    model = weights(spec.name, spec.location, config, spec.dtype, spec.device, quantized, spec.adapter, trusted)
    model.eval()
    rows = embedding_rows(model)
    return Loaded(
        model=model,
        tokenizer=tokenizer,
        device=spec.device,
        encoder_decoder=bool(config.is_encoder_decoder),
        window=window(config, tokenizer),
        one_at_a_time=_length_dependent(config),
        vocabulary=rows,
        pad=padding(tokenizer, rows),
    )


def without_embedding(loaded: Loaded, rows: Sequence[Sequence[int]]) -> str:
    """Return why the model cannot read these tokens; "" if it can."""
    token = max((token for row in rows for token in row), default=0)
    if token < loaded.vocabulary:
        return ""
    word = loaded.tokenizer.convert_ids_to_tokens(token)
    return (
        f"the tokenizer gives the token {word!r} (id {token}), for which the model has no embedding: it has "
        f"{loaded.vocabulary:,} of them. Was the model or adapter saved without its resized embeddings?"
    )


def _length_dependent(config: Any) -> bool:
    """Whether positions depend on the longest sequence of a batch."""
    text = config.get_text_config(decoder=True)
    rope = getattr(text, "rope_parameters", None) or getattr(text, "rope_scaling", None) or {}
    each = [rope, *(value for value in rope.values() if isinstance(value, dict))]  # some models have one per layer type
    return any(str(one.get("rope_type") or one.get("type")) in LENGTH_DEPENDENT_ROPE for one in each)


def embedding_rows(model: Any) -> int:
    """Return the number of tokens that the model has embeddings for."""
    weight = getattr(model.get_input_embeddings(), "weight", None)
    return int(weight.shape[0] if weight is not None else model.config.get_text_config(decoder=True).vocab_size)


def padding(tokenizer: Any, rows: int) -> int:
    """Return the padding token for batches: the tokenizer's own if the model has it, else another."""
    candidates = [tokenizer.pad_token_id, tokenizer.eos_token_id, 0]
    return int(next(token for token in candidates if token is not None and 0 <= token < rows))


def opened(location: str, trusted: bool = False, adapter: str = "") -> tuple[Any, Any]:
    """Return the configuration and tokenizer of a model folder. Raise MedbenchError if they do not load.

    If the `adapter` (a folder) was saved with a tokenizer, that one is returned. Code from the model's folder runs only
    if it is `trusted`; otherwise transformers would ask on the terminal. Code from an adapter never runs.
    """
    from transformers import AutoConfig, AutoTokenizer

    quiet_libraries()
    source = location
    try:
        config = sound(AutoConfig.from_pretrained(location, trust_remote_code=trusted))
        if adapter and tokenizer_files.has_tokenizer(Path(adapter)):
            source = adapter
            return config, AutoTokenizer.from_pretrained(adapter, config=config, trust_remote_code=False)
        return config, AutoTokenizer.from_pretrained(location, trust_remote_code=trusted)
    except Exception as error:  # a damaged file raises whatever its reader raises: json, tokenizers, the model's code
        if "trust_remote_code" in str(error):
            if source == adapter:
                raise MedbenchError(
                    f"the adapter {adapter} has a tokenizer with its own Python code, which medbench does not run.",
                    "To use the model's tokenizer, remove tokenizer.json and tokenizer_config.json from that folder.",
                ) from error
            raise remote_code.refusal(source, Path(source)) from error
        what = "a model" if source == location else "the tokenizer of an adapter"
        raise MedbenchError(f"{source} does not load as {what}: {first_line(error)}") from error


def sound(config: Any) -> Any:
    """Return the configuration without a padding token that has no embedding: no model could be built with it."""
    for part in (config, config.get_text_config(decoder=True)):
        pad, size = getattr(part, "pad_token_id", None), getattr(part, "vocab_size", None)
        if isinstance(pad, int) and isinstance(size, int) and not 0 <= pad < size:
            part.pad_token_id = None
    return config


def weights(
    name: str,
    location: str,
    config: Any,
    dtype: str,
    device: str,
    quantized: Any = None,
    adapter: str = "",
    trusted: bool = False,
) -> Any:
    """Load the model of a folder, with the `adapter` (a folder; "" for none).

    Raise MedbenchError if the weights do not fit, do not load, or some are missing.
    """
    import torch

    family = model_class(config)
    try:
        model, report = family.from_pretrained(
            location,
            config=config,
            dtype=getattr(torch, dtype),
            quantization_config=quantized,
            device_map={"": device},
            output_loading_info=True,
            trust_remote_code=trusted,
        )
    except torch.OutOfMemoryError as error:
        raise MedbenchError(
            f"the weights of {name} do not fit on {device}: {first_line(error)}",
            "Try --quantize nf4, a smaller --dtype, or --device cpu.",
        ) from error
    except Exception as error:  # a damaged file raises whatever its reader raises: pickle, safetensors, zip
        raise MedbenchError(f"the weights of {name} do not load: {first_line(error)}") from error
    if report["missing_keys"]:  # transformers would continue with random numbers in their place
        missing = sorted(report["missing_keys"])
        raise MedbenchError(
            f"{location} is missing {len(missing)} of the weights of {name}, such as {missing[0]}.",
            "Download or copy the model again.",
        )
    if adapter:
        model = load_adapter(name, model, Path(adapter), device)
    check_4bit_on_cpu(name, model)
    return model


def model_class(config: Any) -> Any:
    """Return the transformers class that loads a model. Some models that read images have no text-only one."""
    import transformers as hf

    if config.is_encoder_decoder:
        return hf.AutoModelForSeq2SeqLM
    kind = type(config)
    sees = kind not in hf.MODEL_FOR_CAUSAL_LM_MAPPING and kind in hf.MODEL_FOR_IMAGE_TEXT_TO_TEXT_MAPPING
    return hf.AutoModelForImageTextToText if sees else hf.AutoModelForCausalLM


def brought_by(spec: ModelSpec) -> dict[str, str]:
    """Return, for the manifest, whether the tokenizer and chat template come from the model or from its adapter."""
    if not spec.adapter:
        return {}
    folder = Path(spec.adapter)
    own = {
        "tokenizer": tokenizer_files.has_tokenizer(folder),
        "chat_template": bool(chat_templates.of_folder(spec.adapter)),
    }
    return {part: "adapter" if brought else "model" for part, brought in own.items()}


def window(config: Any, tokenizer: Any) -> int:
    """Return the most tokens that a model takes, from its configuration, else its tokenizer, else 2,048.

    lm-evaluation-harness looks in the same order. Models that also read images have a nested configuration for text.
    For encoder-decoder models the encoder's limit counts.
    """
    both = bool(config.is_encoder_decoder)
    inside = [config.get_text_config(encoder=both, decoder=not both), getattr(config, "encoder", None)]
    for part in (config, *inside):
        for name in ("n_positions", "max_position_embeddings", "n_ctx"):
            value = getattr(part, name, None)
            if isinstance(value, int) and value > 0:
                return value
    limit = tokenizer.model_max_length
    return int(limit) if limit and limit < UNBOUNDED else 2048


def quiet_libraries() -> None:
    """Turn off the progress bars and warnings of transformers, PEFT, and bitsandbytes."""
    from transformers.utils import logging

    logging.set_verbosity_error()
    getLogger("bitsandbytes").setLevel(ERROR)  # reports that an optional kernel is not installed
    warnings.filterwarnings("ignore", message="MatMul8bitLt")  # warns for every layer that int8 casts to float16
    warnings.filterwarnings("ignore", message="fan_in_fan_out is set to")  # PEFT corrects it itself, for GPT-2
    warnings.filterwarnings("ignore", message="Found missing adapter keys")  # adapter.py raises an error for it
    warnings.filterwarnings("ignore", category=FutureWarning, module=r"transformers\.")
    logging.disable_progress_bar()


def first_line(error: BaseException) -> str:
    """Return an exception's message as one line: its first line, and the second if the first ends with a colon."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()] or [type(error).__name__]
    return " ".join(lines[: 2 if lines[0].endswith(":") else 1])
