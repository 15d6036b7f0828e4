"""How one text's next token is chosen where that is not simply the likeliest, and its log-probabilities noted."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

NUCLEUS = 1024  # likeliest tokens that are sorted first; the whole vocabulary only where their sum is too small

Noted = tuple[int, float, list[tuple[int, float]]]  # token, its log-probability (nats), the likeliest with theirs


class Picker:
    """Chooses by temperature and nucleus (Holtzman et al. 2020, arXiv:1904.09751), each text with a seed of its own."""

    def __init__(
        self,
        *,
        temperature: float = 0.0,
        top_p: float = 1.0,
        seed: int | None = None,
        least: int = 0,
        ends: frozenset[int] = frozenset(),
        top: int | None = None,
    ) -> None:
        self.temperature, self.top_p, self.seed = temperature, top_p, seed
        self.least, self.ends = least, sorted(ends)  # no end token among the first `least`
        self.top = top
        self.noted: list[Noted] = []
        self._generator: Any = None

    def __call__(self, logits: Any, written: int) -> int:
        """The next token, from logits (vocabulary,) after `written` tokens."""
        allowed = logits
        if written < self.least and self.ends:
            allowed = logits.clone()
            allowed[self.ends] = float("-inf")
        token = self._drawn(allowed) if self.temperature > 0 else int(allowed.argmax())
        if self.top is not None:
            self.noted += noted(logits[None], [token], self.top)
        return token

    def _drawn(self, logits: Any) -> int:
        import torch

        if self._generator is None:
            self._generator = torch.Generator(logits.device)
            if self.seed is None:
                self._generator.seed()
            else:
                self._generator.manual_seed(self.seed)
        # The highest is taken off first: a temperature near 0 would make infinities of the others' quotients otherwise.
        shares = ((logits - logits.max()) / self.temperature).softmax(-1)
        if self.top_p >= 1:
            return int(torch.multinomial(shares, 1, generator=self._generator))
        for count in (min(NUCLEUS, shares.numel()), shares.numel()):
            highest, tokens = shares.topk(count)
            before = highest.cumsum(-1) - highest
            if before[-1] >= self.top_p or count == shares.numel():
                break
        kept = highest.where(before < self.top_p, torch.zeros_like(highest))
        return int(tokens[torch.multinomial(kept, 1, generator=self._generator)])


def noted(logits: Any, tokens: Sequence[int], top: int) -> list[Noted]:
    """Each token's log-probability and the `top` likeliest in its place, from logits (tokens, vocabulary)."""
    import torch

    shares = logits.log_softmax(-1)
    own = shares.gather(-1, torch.tensor(tokens, device=shares.device)[:, None])[:, 0].tolist()
    values, likeliest = shares.topk(min(top, shares.shape[-1]), dim=-1)
    rows = zip(tokens, own, likeliest.tolist(), values.tolist(), strict=True)
    return [(token, share, list(zip(ids, found))) for token, share, ids, found in rows]
