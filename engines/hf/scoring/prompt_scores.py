"""The log-probability of every token of a prompt, a piece at a time: logits of a whole long prompt fill the memory."""

from __future__ import annotations

from ..generation.picking import Noted, noted
from ..loading import Loaded

PIECE = 128  # tokens


def prompt_scores(loaded: Loaded, tokens: list[int], top: int) -> list[Noted]:
    """Of every token but the first, in order, by a model that `kv_cache.supports_kv_cache`."""
    import torch

    from ..generation.kv_cache import KVCache, chunks, masks_for

    masks = masks_for(loaded)
    assert masks is not None, "supports_kv_cache checked this"
    cache = KVCache()
    cache.reserve(1, len(tokens))
    found: list[Noted] = []
    with torch.inference_mode():
        for start, logits in chunks(loaded, cache, masks, tokens[:-1], 0, PIECE, every=True):
            following = tokens[start + 1 : start + 1 + logits.shape[1]]
            found += noted(logits[0], following, top)
    return found
