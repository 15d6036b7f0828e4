"""Linear layers by oneDNN: the same numbers, and nothing else about the model changed."""

from __future__ import annotations

import pytest
import torch
from medbench.engines.linear import by_onednn

SHAPES = [(5,), (3, 5), (2, 3, 5), (0, 5), (2, 0, 5)]


@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize("shape", SHAPES)
def test_a_linear_layer_computes_what_it_did(shape: tuple[int, ...], bias: bool) -> None:
    layer = torch.nn.Sequential(torch.nn.Linear(5, 7, bias=bias))
    given = torch.randn(shape)
    expected = layer(given)
    by_onednn(layer)
    with torch.inference_mode():
        assert torch.allclose(layer(given), expected, atol=1e-6)
        layer[0].weight.mul_(2)  # weights are read anew at every call
        assert not given.numel() or not torch.allclose(layer(given), expected, atol=1e-3)


def test_gradients_still_flow() -> None:
    layer = torch.nn.Sequential(torch.nn.Linear(5, 7))
    by_onednn(layer)
    layer(torch.randn(3, 5)).sum().backward()
    assert layer[0].weight.grad is not None


@pytest.mark.skipif(not torch.backends.mkldnn.is_available(), reason="torch was built without oneDNN")
def test_other_layers_and_dtypes_are_left_alone() -> None:
    class Other(torch.nn.Linear):
        pass

    layers = torch.nn.Sequential(torch.nn.Linear(5, 5), Other(5, 5), torch.nn.Linear(5, 5, dtype=torch.bfloat16))
    by_onednn(layers)
    assert ["forward" in vars(layer) for layer in layers] == [True, False, False]
