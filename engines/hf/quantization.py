"""Quantized weights: the settings of NF4 and int8, and checks of what bitsandbytes computes with them."""

from __future__ import annotations

from typing import Any, Literal

from ...core.errors import UsageError


def nf4(compute_dtype: str, double_quant: bool = True) -> Any:
    """Return transformers' configuration for NF4 weights (QLoRA, Dettmers et al. 2023, arXiv:2305.14314).

    Matrix products run in `compute_dtype`. `double_quant` quantizes the scales of the 64-weight blocks too.
    """
    import torch
    from transformers import BitsAndBytesConfig

    return BitsAndBytesConfig(
        load_in_4bit=True,
        bnb_4bit_quant_type="nf4",
        bnb_4bit_use_double_quant=double_quant,
        bnb_4bit_compute_dtype=getattr(torch, compute_dtype),
    )


def quantization(quantize: Literal["", "nf4", "int8"], compute_dtype: str) -> Any:
    """Return the configuration that --quantize names; None for ""."""
    if quantize == "nf4":
        return nf4(compute_dtype)
    if quantize == "int8":
        from transformers import BitsAndBytesConfig

        return BitsAndBytesConfig(load_in_8bit=True)
    return None


def check_4bit_on_cpu(name: str, model: Any) -> None:
    """Work around two faults of bitsandbytes 0.50 on CPUs with AVX512. Raise UsageError for what has no workaround.

    - With AVX512-BF16 it repacks 4-bit weights for a kernel that rounds to bfloat16 and has no backward pass, so that
      gradients end there without an error. The kernel is turned off: answers should be those of any other processor.
    - It unpacks a matrix incorrectly, without an error, if its rows are not a whole number of 64-weight blocks.
    """
    widths: set[int] = set()
    for module in model.modules():
        if getattr(module, "support_avx512bf16_for_cpu", False):
            module.support_avx512bf16_for_cpu = False
        state = getattr(getattr(module, "weight", None), "quant_state", None)
        if state is not None and module.weight.device.type == "cpu" and state.shape[-1] % state.blocksize:
            widths.add(state.shape[-1])
    for width in sorted(widths):
        if not unpacks_correctly(width):
            raise UsageError(
                f"{name} has 4-bit weights in rows of {width}, which bitsandbytes unpacks incorrectly on this "
                "processor.",
                "Use unquantized weights: leave out --quantize nf4 or, for training, give --quantize none.",
            )


def unpacks_correctly(width: int) -> bool:
    """Whether NF4 on this CPU returns a matrix with rows of `width` to within its rounding error."""
    import torch
    from bitsandbytes import functional

    # Each block is half as large as the one before, so that a scale taken from the wrong block shows.
    matrix = (0.5 ** (torch.arange(64 * width) // 64 % 8).float()).reshape(64, width)
    back = functional.dequantize_4bit(*functional.quantize_4bit(matrix, quant_type="nf4", compress_statistics=False))
    return bool(torch.allclose(back, matrix, rtol=1e-3))
