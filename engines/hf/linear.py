"""Linear layers of float32 models on x86 CPUs, computed by oneDNN with weights reordered once for its kernels.

PyTorch uses MKL, which reorders the weights in every pass. With few rows, that is much of the work. Measured with 64
rows on an AVX512 processor: 95 instead of 78 GFLOP/s, and 96 instead of 51 in the output layer (docs/measurements.md).
Results are equal to the rounding of float32.
"""

from __future__ import annotations

import functools
import platform
from typing import Any

from ...core.resources import free_memory, is_cpu
from .loading import Loaded

SHARE = 0.25  # of free memory, for the reordered copy of the weights; without it oneDNN is a little slower
ROWS = 64  # for which the weight order is chosen; it works for any number of rows


def use_onednn(loaded: Loaded) -> int:
    """Make every plain float32 linear layer run by oneDNN. Return the number of layers.

    The weights are reordered if there is memory for a second copy. The layers keep their own weights as they are.
    """
    import torch

    if not is_cpu(loaded.device) or platform.machine().lower() not in ("x86_64", "amd64"):
        return 0
    layers = [
        module
        for module in loaded.model.modules()
        if type(module) is torch.nn.Linear and module.weight.dtype == torch.float32
    ]
    copy_bytes = sum(layer.weight.nbytes for layer in layers)
    if not layers or not _agrees(layers[0]):
        return 0
    reorder = copy_bytes <= SHARE * free_memory(loaded.device)
    for layer in layers:
        weight = _reordered(layer.weight) if reorder else layer.weight
        layer.forward = functools.partial(_product, layer, weight, layer.weight, layer.weight._version)
    return len(layers)


def _reordered(weight: Any) -> Any:
    import torch

    with torch.no_grad():
        return torch.ops.mkldnn._reorder_linear_weight(weight.detach(), ROWS)


def _product(layer: Any, reordered: Any, weight: Any, version: int, rows: Any) -> Any:
    """Return rows (..., in) times the layer's weights, (..., out), by oneDNN.

    PyTorch computes it if the weights changed or gradients are needed.
    """
    import torch

    if layer.weight is not weight or weight._version != version or torch.is_grad_enabled():
        return torch.nn.functional.linear(rows, layer.weight, layer.bias)
    return torch.ops.mkldnn._linear_pointwise(rows, reordered, layer.bias, "none", [], "")


def _agrees(layer: Any) -> bool:
    """Whether this build of PyTorch has these operations and they compute the same as the layer."""
    import torch

    if not torch.backends.mkldnn.is_available():
        return False
    rows = torch.linspace(-1, 1, 2 * layer.in_features).view(1, 2, -1)
    with torch.no_grad():
        expected = torch.nn.functional.linear(rows, layer.weight, layer.bias)
        try:
            found = _product(layer, _reordered(layer.weight), layer.weight, layer.weight._version, rows)
        except (AttributeError, NotImplementedError, RuntimeError):  # no such operation, or not for this processor
            return False
    return bool(torch.allclose(found, expected, rtol=1e-4, atol=1e-4 * float(expected.std()), equal_nan=True))
