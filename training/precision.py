"""The dtypes of a stage: for computing, and for weights in memory."""

from __future__ import annotations

from ..core.resources import is_cpu
from ..zoo.recipe import Stage


def compute_dtype(stage: Stage, device: str) -> str:
    """Return the dtype of the matrix products: the stage's, or the one that "auto" means on `device`."""
    import torch

    if stage.compute_dtype != "auto":
        return stage.compute_dtype
    if is_cpu(device):
        return "float32"
    return "bfloat16" if torch.cuda.is_bf16_supported(including_emulation=False) else "float16"


def resting_dtype(stage: Stage, device: str) -> str:
    """Return the dtype of the weights that are not quantized.

    This is float32 on a CPU and if all weights are trained. Otherwise it is bfloat16 if the GPU supports it, even with
    a compute dtype of float16: float16 activations would need a loss scaler, which quantized training does not use.
    """
    import torch

    if is_cpu(device) or stage.lora is None or stage.compute_dtype == "float32":
        return "float32"
    return "bfloat16" if torch.cuda.is_bf16_supported(including_emulation=False) else "float32"
