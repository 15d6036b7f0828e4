"""The log-probability of every token of a prompt, a piece at a time: all logits at once would fill the memory."""

from __future__ import annotations

from typing import Any

from ..generation.picking import Noted, noted
from ..loading import Loaded

PIECE = 128  # tokens


class PromptScorer:
    """Scores prompts one after another by a model that `kv_cache.supports_kv_cache`.

    What a prompt shares with the one before it is not computed again: the options of a question differ in their ends.
    """

    def __init__(self, loaded: Loaded) -> None:
        self.loaded = loaded
        self._tokens: list[int] = []
        self._notes: list[Noted] = []
        self._cache: Any = None

    def scores(self, tokens: list[int], top: int) -> list[Noted]:
        """Return the log-probability of every token but the first, with the `top` likeliest tokens in its place."""
        import torch

        from ..generation.kv_cache import KVCache, chunks, masks_for

        masks = masks_for(self.loaded)
        assert masks is not None, "supports_kv_cache checked this"
        if self._cache is None:
            self._cache = KVCache()
        pairs = enumerate(zip(self._tokens, tokens))
        shared = next((at for at, (a, b) in pairs if a != b), min(len(self._tokens), len(tokens)))
        # A note is read one position before its token, so the last shared position is run again.
        first = max(0, shared - 1) if all(len(likeliest) == top for _, _, likeliest in self._notes[:1]) else 0
        notes = self._notes[:first]
        self._tokens, self._notes = [], []  # should this fail, nothing is shared with the next
        with torch.inference_mode():
            self._cache.reserve(1, len(tokens))
            parts = chunks(self.loaded, self._cache, masks, tokens[:-1], 0, PIECE, first=first, every=True)
            for start, logits in parts:
                following = tokens[start + 1 : start + 1 + logits.shape[1]]
                notes += noted(logits[0], following, top)
        self._tokens, self._notes = tokens, notes
        return notes
