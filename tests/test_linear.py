"""Linear layers in oneDNN: the same numbers, and nothing else about the model changes."""

from __future__ import annotations

import pytest
import torch
from medbench.engines.hf import linear
from medbench.engines.hf.linear import use_onednn
from medbench.engines.hf.loading import Loaded

SHAPES = [(5,), (3, 5), (2, 3, 5), (0, 5), (2, 0, 5)]


def loaded(*layers: torch.nn.Module) -> Loaded:
    return Loaded(torch.nn.Sequential(*layers), None, "cpu", False, 128, False)


@pytest.fixture(autouse=True, params=["laid out", "in place"])
def room(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """With memory for a second copy of the weights, and without."""
    monkeypatch.setattr(linear, "free_memory", lambda device: 2**30 if request.param == "laid out" else 0)


@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize("shape", SHAPES)
def test_a_linear_layer_computes_what_it_did(shape: tuple[int, ...], bias: bool) -> None:
    one = loaded(torch.nn.Linear(5, 7, bias=bias))
    given = torch.randn(shape)
    expected = one.model(given)
    use_onednn(one)
    with torch.inference_mode():
        assert torch.allclose(one.model(given), expected, atol=1e-6)


@torch.no_grad()
def test_changed_weights_are_seen() -> None:
    one = loaded(torch.nn.Linear(5, 7, bias=False))
    given = torch.randn(3, 5)
    expected = one.model(given)
    use_onednn(one)
    one.model[0].weight.mul_(2)
    assert torch.allclose(one.model(given), 2 * expected, atol=1e-6)


def test_gradients_still_flow() -> None:
    one = loaded(torch.nn.Linear(5, 7))
    use_onednn(one)
    one.model(torch.randn(3, 5)).sum().backward()
    assert one.model[0].weight.grad is not None


def test_other_layers_and_dtypes_are_left_alone() -> None:
    class Other(torch.nn.Linear):
        pass

    one = loaded(Other(5, 5), torch.nn.Linear(5, 5, dtype=torch.bfloat16))
    assert use_onednn(one) == 0
    assert not any("forward" in vars(layer) for layer in one.model)
