"""How many tokens fit into the memory that is free: on a CPU under its container's limit, or on a GPU."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from ...core.resources import free_memory
from .loading import Loaded

SHARE = 0.7  # of what is free; the rest is for other programs, and for what a pass takes beyond our count


@dataclass(frozen=True)
class Costs:
    """What one token takes, in bytes."""

    cached: int  # its keys and values, kept in every layer
    passing: int  # its activations while a pass goes through the widest layer, attention weights not counted
    logits: int  # one position that is read: the vocabulary in the model's dtype and in float32


def costs(loaded: Loaded) -> Costs:
    """Read off the model's configuration. An estimate: what does not fit after all halves its batch."""
    config = loaded.model.config.get_text_config(decoder=True)
    size = int(getattr(loaded.model.dtype, "itemsize", 4))
    hidden = _most(config, "hidden_size")
    heads = _most(config, "num_attention_heads") or 1  # a state-space model has none, and about as much to keep
    kept_heads = _most(config, "num_key_value_heads") or heads
    head_width = _most(config, "head_dim") or hidden // heads
    wide = max(_most(config, "intermediate_size"), _most(config, "n_inner"), _most(config, "d_ff"), 4 * hidden)
    return Costs(
        cached=_most(config, "num_hidden_layers") * kept_heads * head_width * 2 * size,
        passing=(8 * hidden + 3 * wide) * size,
        logits=int(config.vocab_size) * (size + 4),
    )


def fitting(device: str, bytes_each: int, share: float = SHARE) -> int:
    """How many things of `bytes_each` fit into `share` of what is free on `device`; at least one."""
    return max(1, int(free_memory(device) * share) // bytes_each)


def cache_tokens(loaded: Loaded) -> int:
    """How many tokens' keys and values fit into the memory that is free."""
    return fitting(loaded.device, costs(loaded).cached)


def pass_tokens(loaded: Loaded) -> int:
    """How many tokens one pass without logits may hold, their keys and values kept."""
    cost = costs(loaded)
    return fitting(loaded.device, cost.cached + cost.passing)


def _most(config: Any, name: str) -> int:
    """A number of the configuration, the highest where layers have one each; 0 where it has none."""
    value = getattr(config, name, None) or 0
    return int(max(value)) if isinstance(value, list | tuple) else int(value)


def reclaim() -> None:
    """Take back what nothing holds any more, on every device; after memory ran out."""
    import gc

    import torch

    gc.collect()
    if torch.cuda.is_available():
        torch.cuda.empty_cache()
