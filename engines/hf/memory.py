"""How many tokens fit into free memory (core/resources.py), estimated from a model's configuration."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from ...core.resources import free_memory
from .loading import Loaded

SHARE = 0.7  # of free memory; the rest is for other programs and for what the estimate leaves out


@dataclass(frozen=True)
class TokenBytes:
    """The memory that one token takes, in bytes."""

    cached: int  # its keys and values in all layers
    activations: int  # in the widest layer, without attention weights
    logits: int  # of one position, in the model's dtype and in float32


def token_bytes(loaded: Loaded) -> TokenBytes:
    """Estimate the bytes per token of a loaded model. A batch that does not fit is halved."""
    return bytes_per_token(loaded.model.config, int(getattr(loaded.model.dtype, "itemsize", 4)))


def bytes_per_token(configuration: Any, size: int) -> TokenBytes:
    """Estimate the bytes per token from a model's configuration; a number of its dtype takes `size` bytes."""
    config = configuration.get_text_config(decoder=True)
    hidden = _most(config, "hidden_size")
    heads = _most(config, "num_attention_heads") or 1  # a state-space model keeps a state of about that size
    kept_heads = _most(config, "num_key_value_heads") or heads
    head_width = _most(config, "head_dim") or hidden // heads
    wide = max(_most(config, "intermediate_size"), _most(config, "n_inner"), _most(config, "d_ff"), 4 * hidden)
    return TokenBytes(
        cached=_most(config, "num_hidden_layers") * kept_heads * head_width * 2 * size,
        activations=(8 * hidden + 3 * wide) * size,
        logits=int(config.vocab_size) * (size + 4),
    )


def fitting(device: str, bytes_each: int, share: float = SHARE) -> int:
    """Return how many objects of `bytes_each` fit into `share` of the free memory of `device`; at least one."""
    return max(1, int(free_memory(device) * share) // bytes_each)


def cache_tokens(loaded: Loaded) -> int:
    """Return how many tokens' keys and values fit into free memory."""
    return fitting(loaded.device, token_bytes(loaded).cached)


def pass_tokens(loaded: Loaded) -> int:
    """Return how many tokens fit into one pass without logits, with their keys and values kept."""
    each = token_bytes(loaded)
    return fitting(loaded.device, each.cached + each.activations)


def _most(config: Any, name: str) -> int:
    """Return a number of the configuration, the highest if it lists one per layer; 0 if it has none."""
    value = getattr(config, name, None) or 0
    return int(max(value)) if isinstance(value, list | tuple) else int(value)


def reclaim() -> None:
    """Free unreferenced memory on every device. Call it after memory ran out."""
    import gc

    import torch

    gc.collect()
    if torch.cuda.is_available():
        torch.cuda.empty_cache()
