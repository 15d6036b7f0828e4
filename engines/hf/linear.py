"""Matrix products of a float32 model on an x86 CPU by oneDNN, over weights laid out once as its kernels read them.

PyTorch gives such products to MKL, which lays the weights out anew in every pass; with few rows that is much of the
work. Measured on an AVX512 processor, 64 rows: 78 GFLOP/s become 95, in the output layer 51 become 96
(docs/measurements.md). The sums are the same to the rounding of float32.
"""

from __future__ import annotations

import functools
import platform
from typing import Any

from ...core.resources import free_memory, is_cpu
from .loading import Loaded

SHARE = 0.25  # of free memory that the second copy of the weights may take; oneDNN runs without one, a little slower
ROWS = 64  # for which the layout is chosen; any number of rows may come


def lay_out(loaded: Loaded) -> int:
    """Have every plain float32 linear layer run by oneDNN, over laid-out weights where memory allows; how many do.

    The weights stay where they were, so that whatever else looks at them finds them.
    """
    import torch

    if not is_cpu(loaded.device) or platform.machine().lower() not in ("x86_64", "amd64"):
        return 0
    layers = [
        module
        for module in loaded.model.modules()
        if type(module) is torch.nn.Linear and module.weight.dtype == torch.float32
    ]
    taken = sum(layer.weight.nbytes for layer in layers)
    if not layers or not _agrees(layers[0]):
        return 0
    roomy = taken <= SHARE * free_memory(loaded.device)
    for layer in layers:
        weight = _laid_out(layer.weight) if roomy else layer.weight
        layer.forward = functools.partial(_product, layer, weight, layer.weight, layer.weight._version)
    return len(layers)


def _laid_out(weight: Any) -> Any:
    import torch

    with torch.no_grad():
        return torch.ops.mkldnn._reorder_linear_weight(weight.detach(), ROWS)


def _product(layer: Any, laid_out: Any, weight: Any, version: int, rows: Any) -> Any:
    """What the layer's own `forward` gives; by that, where its weights have changed or gradients are wanted."""
    import torch

    if layer.weight is not weight or weight._version != version or torch.is_grad_enabled():
        return torch.nn.functional.linear(rows, layer.weight, layer.bias)
    return torch.ops.mkldnn._linear_pointwise(rows, laid_out, layer.bias, "none", [], "")


def _agrees(layer: Any) -> bool:
    """Whether this build of PyTorch has these operations and they give what the layer gives."""
    import torch

    if not torch.backends.mkldnn.is_available():
        return False
    rows = torch.linspace(-1, 1, 2 * layer.in_features).view(1, 2, -1)
    with torch.no_grad():
        expected = torch.nn.functional.linear(rows, layer.weight, layer.bias)
        try:
            found = _product(layer, _laid_out(layer.weight), layer.weight, layer.weight._version, rows)
        except (AttributeError, NotImplementedError, RuntimeError):  # no such operation; none for this processor
            return False
    return bool(torch.allclose(found, expected, rtol=1e-4, atol=1e-4 * float(expected.std()), equal_nan=True))
