"""One forward pass of any model: only the logits that are needed, and only the arguments that the model accepts."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Sequence
from typing import Any, Literal

from ...core.errors import MedbenchError
from .loading import Loaded


def padded(loaded: Loaded, rows: Sequence[Sequence[int]], side: Literal["left", "right"]) -> tuple[Any, Any]:
    """Return token ids and attention mask, both (rows, longest row), padded on `side`, on the model's device."""
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
    """Return the logits (rows, positions, vocabulary) in float32 at the positions in `keep`.

    `input_ids` is (rows, tokens). `keep` is a number of last positions, or a tensor (rows, positions) of positions
    counted from the left.
    """
    import torch

    accepted = _arguments(bare(loaded.model).forward.__func__)
    arguments: dict[str, Any] = {"input_ids": input_ids, "attention_mask": attention_mask}
    if position_ids is not None and "position_ids" in accepted:
        arguments["position_ids"] = position_ids  # models without it derive positions from the mask
    if cache is not None:
        arguments["past_key_values"] = cache
    with torch.inference_mode():
        if "logits_to_keep" in accepted:
            return loaded.model(**arguments, use_cache=cache is not None, logits_to_keep=keep).logits.float()
        logits = loaded.model(**arguments, use_cache=cache is not None).logits
        if isinstance(keep, int):
            return logits[:, -keep:].float()
        return torch.take_along_dim(logits, keep[..., None], dim=1).float()


def accepts(loaded: Loaded, argument: str) -> bool:
    """Whether the model's forward pass has an argument of this name."""
    return argument in _arguments(bare(loaded.model).forward.__func__)


def decoder_start_token(loaded: Loaded) -> int:
    """Return the token that a decoder begins with. Raise MedbenchError if the model's configuration has none."""
    model = bare(loaded.model)
    for name in ("decoder_start_token_id", "bos_token_id"):  # the order in which transformers' generate looks
        for settings in (model.config, model.generation_config):
            start = getattr(settings, name, None)
            if start is not None:
                return int(start[0] if isinstance(start, list) else start)
    raise MedbenchError(
        "the model's configuration has neither decoder_start_token_id nor bos_token_id, so its decoder cannot begin.",
        "Add the one it was trained with to its config.json; for T5 it is the padding token.",
    )


def bare(model: Any) -> Any:
    """Return the model without its PEFT adapter, if it has one."""
    return model.get_base_model() if hasattr(model, "get_base_model") else model


@functools.cache
def _arguments(forward: Callable[..., Any]) -> frozenset[str]:
    return frozenset(inspect.signature(forward).parameters)
