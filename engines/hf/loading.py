"""From a `ModelSpec` to a model and tokenizer in memory: device, dtype, quantization, adapter."""

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
from .adapter import put_on

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
    one_at_a_time: bool  # one sequence at a time: its positions depend on the longest of a batch
    vocabulary: int = 0  # rows of the embeddings: every token fed to the model is below
    pad: int = 0  # what rows are filled up with, masked out everywhere


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


def load(spec: ModelSpec) -> Loaded:
    """Load a settled spec. Raises MedbenchError in words for what a user can fix."""
    trusted = spec.trust_remote_code
    config, tokenizer = opened(spec.location, trusted, spec.adapter)
    quantization = _quantization(spec)
    model = weights(spec.name, spec.location, config, spec.dtype, spec.device, quantization, spec.adapter, trusted)
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
    each = [rope, *(value for value in rope.values() if isinstance(value, dict))]  # some have one per type of layer
    return any(str(one.get("rope_type") or one.get("type")) in LENGTH_DEPENDENT_ROPE for one in each)


def embedding_rows(model: Any) -> int:
    """How many tokens the model has embeddings for."""
    weight = getattr(model.get_input_embeddings(), "weight", None)
    return int(weight.shape[0] if weight is not None else model.config.get_text_config(decoder=True).vocab_size)


def padding(tokenizer: Any, rows: int) -> int:
    """The token that rows of a batch are filled up with: the tokenizer's own if the model has it, else another."""
    candidates = [tokenizer.pad_token_id, tokenizer.eos_token_id, 0]
    return int(next(token for token in candidates if token is not None and 0 <= token < rows))


def opened(location: str, trusted: bool = False, adapter: str = "") -> tuple[Any, Any]:
    """Configuration and tokenizer of a model folder, as transformers reads them. Raises MedbenchError.

    An adapter (a folder) that was saved with a tokenizer brings it. Code from the model's folder runs only if
    `trusted`; transformers would ask on the terminal otherwise. Code of an adapter never runs.
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
    except Exception as error:  # a damaged file raises whatever its reader has: json's, tokenizers', code of its own
        if "trust_remote_code" in str(error):
            if source == adapter:
                raise MedbenchError(
                    f"the adapter {adapter} has a tokenizer with Python code of its own, which medbench does not run.",
                    "To use the model's tokenizer, take tokenizer.json and tokenizer_config.json out of that folder.",
                ) from error
            raise remote_code.refusal(source, Path(source)) from error
        what = "a model" if source == location else "the tokenizer of an adapter"
        raise MedbenchError(f"{source} does not load as {what}: {first_line(error)}") from error


def sound(config: Any) -> Any:
    """The configuration without a padding token that the embeddings do not have, with which no model can be made."""
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
    quantization: Any = None,
    adapter: str = "",
    trusted: bool = False,
) -> Any:
    """The model of a folder in memory, `adapter` (a folder, "" for none) on it.

    Raises MedbenchError where they do not fit or do not load, or where some of them are missing.
    """
    import torch

    family = _family(config)
    try:
        model, report = family.from_pretrained(
            location,
            config=config,
            dtype=getattr(torch, dtype),
            quantization_config=quantization,
            device_map={"": device},
            output_loading_info=True,
            trust_remote_code=trusted,
        )
    except torch.OutOfMemoryError as error:
        raise MedbenchError(
            f"the weights of {name} do not fit on {device}: {first_line(error)}",
            "Try --quantize nf4, a smaller --dtype, or --device cpu.",
        ) from error
    except Exception as error:  # a damaged file raises whatever its reader has: pickle's, safetensors', zip's
        raise MedbenchError(f"the weights of {name} do not load: {first_line(error)}") from error
    if report["missing_keys"]:  # transformers would go on with random numbers in their place
        missing = sorted(report["missing_keys"])
        raise MedbenchError(
            f"{location} lacks {len(missing)} of the weights of {name}, the first: {missing[0]}.",
            "Fetch or copy the model again.",
        )
    if adapter:
        model = put_on(name, model, Path(adapter), device)
    _mend_4bit(name, model)
    return model


def _family(config: Any) -> Any:
    """The class of transformers that loads a model. Some that read images as well load as such only; text is enough."""
    import transformers as hf

    if config.is_encoder_decoder:
        return hf.AutoModelForSeq2SeqLM
    kind = type(config)
    sees = kind not in hf.MODEL_FOR_CAUSAL_LM_MAPPING and kind in hf.MODEL_FOR_IMAGE_TEXT_TO_TEXT_MAPPING
    return hf.AutoModelForImageTextToText if sees else hf.AutoModelForCausalLM


def _mend_4bit(name: str, model: Any) -> None:
    """What bitsandbytes 0.50 gets wrong on CPUs with AVX512. Raises UsageError where that cannot be fixed.

    - With AVX512-BF16 it repacks 4-bit weights for a kernel that rounds to bfloat16 and has no backward pass: training
      would go on with gradients that stop there. Answers are to be those of any other processor, so that is off.
    - It unpacks a matrix wrongly whose rows are no whole number of 64-weight blocks, without a word.
    """
    narrow: set[int] = set()
    for module in model.modules():
        if getattr(module, "support_avx512bf16_for_cpu", False):
            module.support_avx512bf16_for_cpu = False
        state = getattr(getattr(module, "weight", None), "quant_state", None)
        if state is not None and module.weight.device.type == "cpu" and state.shape[-1] % state.blocksize:
            narrow.add(state.shape[-1])
    for width in sorted(narrow):
        if not _unpacks(width):
            raise UsageError(
                f"{name} has 4-bit weights in rows of {width}, which bitsandbytes unpacks wrongly on this processor.",
                "Use unquantized weights: leave --quantize nf4 out, or, to train, --quantize none.",
            )


def _unpacks(width: int) -> bool:
    """Whether NF4 on this CPU gives back, within its rounding, a matrix with rows of `width`."""
    import torch
    from bitsandbytes import functional

    # Block by block ever smaller, so that a scale taken from the wrong block shows.
    matrix = (0.5 ** (torch.arange(64 * width) // 64 % 8).float()).reshape(64, width)
    back = functional.dequantize_4bit(*functional.quantize_4bit(matrix, quant_type="nf4", compress_statistics=False))
    return bool(torch.allclose(back, matrix, rtol=1e-3))


def brought_by(spec: ModelSpec) -> dict[str, str]:
    """For the manifest: whether tokenizer and chat template are the model's or come with its adapter."""
    if not spec.adapter:
        return {}
    folder = Path(spec.adapter)
    own = {
        "tokenizer": tokenizer_files.has_tokenizer(folder),
        "chat_template": bool(chat_templates.of_folder(spec.adapter)),
    }
    return {part: "adapter" if brought else "model" for part, brought in own.items()}


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


def window(config: Any, tokenizer: Any) -> int:
    """The most positions a model takes, found as lm-evaluation-harness does: configuration, tokenizer, 2,048.

    Models that read more than text have a configuration for text inside theirs; of an encoder-decoder model the
    encoder's counts.
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
    """Keep the libraries' own bars and remarks off the screen."""
    from transformers.utils import logging

    logging.set_verbosity_error()
    getLogger("bitsandbytes").setLevel(ERROR)  # says that an optional kernel is not installed
    warnings.filterwarnings("ignore", message="MatMul8bitLt")  # says for every layer what int8 is: a cast to float16
    warnings.filterwarnings("ignore", message="fan_in_fan_out is set to")  # PEFT sets it right itself, for GPT-2
    warnings.filterwarnings("ignore", message="Found missing adapter keys")  # refused in our own words
    warnings.filterwarnings("ignore", category=FutureWarning, module=r"transformers\.")
    logging.disable_progress_bar()


def first_line(error: BaseException) -> str:
    """What an exception says, in one line: its first, and the next one if the first only introduces it."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()] or [type(error).__name__]
    return " ".join(lines[: 2 if lines[0].endswith(":") else 1])
