"""One forward pass of any decoder: logits only where they are read, and only the arguments that the model knows."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Sequence
from typing import Any, Literal

from .loading import Loaded


def padded(loaded: Loaded, rows: Sequence[Sequence[int]], side: Literal["left", "right"]) -> tuple[Any, Any]:
    """Token ids and attention mask, both (rows, longest), on the model's device."""
    import torch

    width = max(map(len, rows))

    def fill(row: Sequence[int], padding: int) -> list[int]:
        gap = [padding] * (width - len(row))
        return [*gap, *row] if side == "left" else [*row, *gap]

    tokens = torch.tensor([fill(row, loaded.pad) for row in rows])
    mask = torch.tensor([fill([1] * len(row), 0) for row in rows])
    return tokens.to(loaded.device), mask.to(loaded.device)


def last_logits(
    loaded: Loaded, keep: Any, input_ids: Any, attention_mask: Any, position_ids: Any = None, cache: Any = None
) -> Any:
    """Logits (rows, positions, vocabulary) in float32 at the positions in `keep`.

    `keep` is a count of last positions, or a tensor (rows, positions) of positions counted from the left.
    """
    import torch

    known = _arguments(bare(loaded.model).forward.__func__)
    asked: dict[str, Any] = {"input_ids": input_ids, "attention_mask": attention_mask}
    if position_ids is not None and "position_ids" in known:
        asked["position_ids"] = position_ids  # models without it read positions off the mask
    if cache is not None:
        asked["past_key_values"] = cache
    with torch.inference_mode():
        if "logits_to_keep" in known:
            return loaded.model(**asked, use_cache=cache is not None, logits_to_keep=keep).logits.float()
        logits = loaded.model(**asked, use_cache=cache is not None).logits
        if isinstance(keep, int):
            return logits[:, -keep:].float()
        return torch.take_along_dim(logits, keep[..., None], dim=1).float()


def keeps_a_cache(loaded: Loaded) -> bool:
    """Whether the model takes the key/value cache that our own decoding hands it; state-space models have another."""
    return takes(loaded, "past_key_values")


def takes(loaded: Loaded, argument: str) -> bool:
    """Whether the model's forward pass has an argument of this name."""
    return argument in _arguments(bare(loaded.model).forward.__func__)


def bare(model: Any) -> Any:
    """The model itself, out of its adapter."""
    return model.get_base_model() if hasattr(model, "get_base_model") else model


@functools.cache
def _arguments(forward: Callable[..., Any]) -> frozenset[str]:
    return frozenset(inspect.signature(forward).parameters)
