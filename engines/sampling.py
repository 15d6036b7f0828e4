"""Random choices of tokens that depend on a seed and a position alone, not on what else is in a batch."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..core.types import GenerateRequest

BITS = 32  # of a random number; few enough that its product with a sum stays below the sum


@dataclass(frozen=True)
class Sampling:
    """How the tokens of one text are drawn: temperature and nucleus (Holtzman et al. 2020, arXiv:1904.09751)."""

    temperature: float  # above 0
    top_p: float  # share of probability of the nucleus; 1: all tokens
    seed: int

    @classmethod
    def of(cls, request: GenerateRequest) -> Sampling | None:
        """Return how a request's text is drawn; None if each token is the likeliest."""
        return cls(request.temperature, request.top_p, request.seed or 0) if request.temperature > 0 else None

    def uniform(self, written: int) -> float:
        """Return a random number in [0, 1) for the token after `written` tokens, the same each time."""
        digest = hashlib.sha256(f"{self.seed} {written}".encode()).digest()
        return int.from_bytes(digest[: BITS // 8]) / (1 << BITS)

    def settings(self) -> dict[str, Any]:
        """Return the fields of a request to a server or to vLLM."""
        nucleus = {"top_p": self.top_p} if self.top_p < 1 else {}
        return {"temperature": self.temperature, **nucleus, "seed": self.seed}


def draw(logits: NDArray[Any], sampling: Sampling, written: int) -> int:
    """Return the token after `written` tokens, from logits (vocabulary,). A logit of minus infinity is never drawn.

    The token is where the random number falls in the cumulative distribution, in the order of the vocabulary: an error
    of rounding moves the result only if the number is that close to a boundary.
    """
    shares = np.exp((logits.astype(np.float64) - logits.max()) / sampling.temperature)
    if sampling.top_p < 1:
        highest = np.sort(shares)[::-1]
        before = np.cumsum(highest) - highest
        shares[shares < highest[int((before < sampling.top_p * shares.sum()).sum()) - 1]] = 0
    ends = np.cumsum(shares)
    return int(np.searchsorted(ends, sampling.uniform(written) * ends[-1], side="right"))
