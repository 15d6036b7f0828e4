"""Activations that training keeps for the backward pass, counted on the real architecture with fake tensors."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from typing import Any

from ..zoo.recipe import Stage
from .architecture import build, lora
from .precision import resting_dtype


def kept(config: Any, stage: Stage, device: str, length: int) -> tuple[int, list[tuple[int, int]]]:
    """Return the bytes kept for the backward pass: outside the layers, and for each layer (inside it, its input).

    This leaves out the output layer of a decoder-only model: see `estimate.memory`.
    """
    import torch
    from peft import get_peft_model
    from torch._subclasses import FakeTensorMode
    from transformers.modeling_layers import GradientCheckpointingLayer

    resting = resting_dtype(stage, device)
    mixed = resting != "float32"
    outside, within = 0, [-1]  # within: the layers being computed, the innermost last
    layers: list[list[int]] = []
    seen: dict[int, Any] = {}

    def keep(tensor: Any) -> Any:
        nonlocal outside
        storage = tensor.untyped_storage()
        if storage._cdata not in seen:
            seen[storage._cdata] = storage  # keeps it alive, so that no later one gets its address
            if within[-1] < 0:
                outside += storage.nbytes()
            else:
                layers[within[-1]][0] += storage.nbytes()
        return tensor

    def enter(_: Any, given: tuple[Any, ...], named: Mapping[str, Any]) -> None:
        entering = given[0] if given else named["hidden_states"]
        layers.append([0, entering.nbytes])
        within.append(len(layers) - 1)

    def leave(*_: Any) -> None:
        within.pop()

    with torch.device("meta"), warnings.catch_warnings():
        warnings.simplefilter("ignore")  # PEFT warns about GPT-2; training will show it
        model = build(config, resting)
        if stage.lora is not None:
            get_peft_model(model, lora(stage, config))
    with FakeTensorMode():
        _off_meta(model)
        for module in model.modules():
            if isinstance(module, GradientCheckpointingLayer):
                module.register_forward_pre_hook(enter, with_kwargs=True)
                module.register_forward_hook(leave)
        model.train()
        for held in (*model.parameters(), *model.buffers()):
            seen[held.untyped_storage()._cdata] = held
        words = torch.zeros(stage.batch_size, length, dtype=torch.long)
        mask = torch.ones_like(words)  # as for padded batches
        autocast = torch.autocast("cpu", torch.bfloat16, enabled=mixed)
        with autocast, torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor):
            if config.is_encoder_decoder:
                model(input_ids=words, attention_mask=mask, decoder_input_ids=words, labels=words)
            else:
                model.base_model(input_ids=words, attention_mask=mask, use_cache=False)
    return outside, [(inside, entry) for inside, entry in layers]


def _off_meta(model: Any) -> None:
    """Replace every tensor on the meta device by an empty one on the CPU, which is fake under FakeTensorMode."""
    import torch

    twins: dict[int, Any] = {}  # by the id of the original, so that shared tensors stay shared
    for module in model.modules():
        for name, parameter in module._parameters.items():
            if parameter is not None and id(parameter) not in twins:
                empty = torch.empty(parameter.shape, dtype=parameter.dtype)
                twins[id(parameter)] = torch.nn.Parameter(empty, requires_grad=parameter.requires_grad)
            module._parameters[name] = twins.get(id(parameter))
        for name, buffer in module._buffers.items():
            module._buffers[name] = None if buffer is None else torch.empty(buffer.shape, dtype=buffer.dtype)
