"""Choose next tokens that are not simply the likeliest, and record their log-probabilities."""

from __future__ import annotations

import secrets
from collections.abc import Sequence
from typing import Any

from ...sampling import Sampling

NUCLEUS = 1024  # likeliest tokens that are sorted first; the whole vocabulary only where their sum is too small
ROWS = 32  # drawn at once: each takes a few copies of its vocabulary

Noted = tuple[int, float, list[tuple[int, float]]]  # token, its log-probability (nats), the likeliest with theirs


class Picker:
    """Chooses one text's tokens for a server: none of the end tokens too early, and log-probabilities kept."""

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
        seed = secrets.randbits(63) if seed is None else seed
        self.sampling = Sampling(temperature, top_p, seed) if temperature > 0 else None
        self.least, self.ends = least, sorted(ends)  # no end token among the first `least`
        self.top = top
        self.noted: list[Noted] = []

    def __call__(self, logits: Any, written: int) -> int:
        """The next token, from logits (vocabulary,) after `written` tokens."""
        allowed = logits
        if written < self.least and self.ends:
            allowed = logits.clone()
            allowed[self.ends] = float("-inf")
        token = draw(allowed[None], [(self.sampling, written)])[0] if self.sampling else int(allowed.argmax())
        if self.top is not None:
            self.noted += noted(logits[None], [token], self.top)
        return token


def draw(logits: Any, rows: Sequence[tuple[Sampling, int]]) -> list[int]:
    """Return a token for each row of logits (rows, vocabulary), given how it is drawn and how many tokens came before.

    As `engines.sampling.draw`, for many rows at once. A row's token does not depend on the other rows.
    """
    import torch

    found = []
    for first in range(0, len(rows), ROWS):
        part = rows[first : first + ROWS]
        wide = logits[first : first + ROWS]
        wide = wide.cpu() if wide.device.type == "mps" else wide  # which has no float64

        def column(values: list[float], wide: Any = wide) -> Any:
            return torch.tensor(values, dtype=torch.float64, device=wide.device)[:, None]

        # The highest is taken off first: a temperature near 0 would make infinities of the others' quotients otherwise.
        wide = wide.double()
        above = wide - wide.max(-1, keepdim=True).values
        shares = (above / column([sampling.temperature for sampling, _ in part])).softmax(-1)
        if any(sampling.top_p < 1 for sampling, _ in part):
            shares = _nucleus(shares, column([sampling.top_p for sampling, _ in part]))
        ends = shares.cumsum(-1)
        uniforms = column([sampling.uniform(written) for sampling, written in part])
        found.append(torch.searchsorted(ends, uniforms * ends[:, -1:], right=True)[:, 0])
    tokens: list[int] = torch.cat(found).tolist()
    return tokens


def _nucleus(shares: Any, top_p: Any) -> Any:
    """Return the shares (rows, vocabulary) of each row's likeliest tokens that make up `top_p`, 0 for the others."""
    import torch

    for count in (min(NUCLEUS, shares.shape[-1]), shares.shape[-1]):
        highest = shares.topk(count).values
        before = highest.cumsum(-1) - highest
        if bool(((before[:, -1:] >= top_p) | (top_p >= 1)).all()):
            break
    last = (before < top_p).sum(-1, keepdim=True) - 1
    least = torch.where(top_p >= 1, 0.0, highest.gather(-1, last))
    return shares.where(shares >= least, 0.0)


def noted(logits: Any, tokens: Sequence[int], top: int) -> list[Noted]:
    """Each token's log-probability and the `top` likeliest in its place, from logits (tokens, vocabulary)."""
    import torch

    shares = logits.log_softmax(-1)
    own = shares.gather(-1, torch.tensor(tokens, device=shares.device)[:, None])[:, 0].tolist()
    values, likeliest = shares.topk(min(top, shares.shape[-1]), dim=-1)
    rows = zip(tokens, own, likeliest.tolist(), values.tolist(), strict=True)
    return [(token, share, list(zip(ids, found))) for token, share, ids, found in rows]
