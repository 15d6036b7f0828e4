"""The input and the result of one generation."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

from ...sampling import Sampling
from ...stopping import StopStrings, decoded
from ..loading import Loaded


@dataclass(frozen=True)
class DecodeRequest:
    """One text to generate."""

    tokens: list[int]  # of the prompt
    max_new_tokens: int
    stop: StopStrings
    end_tokens: frozenset[int]  # any of them ends the text
    sampling: Sampling | None = None  # how tokens are drawn; None: the likeliest
    pick: Callable[[Any, int], int] | None = None  # next token from logits (vocabulary,) and new tokens so far


@dataclass(frozen=True)
class Completion:
    """The text generated for one prompt, without its end token, and why it ended.

    Seconds count from when the request left the queue, so they include passes shared with other requests.
    """

    text: str  # as generated, including white space at its ends
    tokens: int  # generated, including the one that ended the text
    finish: Literal["stop", "length", "error"]  # end token or stop string; the limit; NaN logits
    first_token_s: float
    seconds: float


def end_tokens(loaded: Loaded) -> frozenset[int]:
    """Return the ids of the tokens that end a text, from the model's generation configuration and its tokenizer."""
    configured = getattr(loaded.model.generation_config, "eos_token_id", None)
    ids = configured if isinstance(configured, list) else [configured]
    return frozenset(i for i in [*ids, loaded.tokenizer.eos_token_id] if i is not None)


def completed(
    loaded: Loaded,
    tokens: list[int],
    count: int,
    ended: bool,
    stop: StopStrings,
    first_token_s: float,
    seconds: float,
) -> Completion:
    """Return the completion of these new tokens, cut at the first stop string.

    `count` is how many tokens were generated. `ended` says that an end token, not among `tokens`, ended the text.
    """
    text, stopped = stop.cut(decoded(loaded.tokenizer, tokens))
    return Completion(text, count, "stop" if ended or stopped else "length", first_token_s, seconds)
