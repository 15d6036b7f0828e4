"""Log-probabilities of whole answers, from a server that gives those of a prompt's own tokens (`echo`).

`medbench serve` says in its replies that it does (`system_fingerprint`). Other servers are asked for the likeliest
first tokens instead, which does not depend on how a server treats `echo`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from .replies import Failed, HttpReply

FINGERPRINT = "medbench"  # prefix of the system_fingerprint of servers whose echo is reliable


def is_exact(reply: HttpReply) -> bool:
    """Return whether the server that sent this reply scores whole prompts."""
    return str((reply.json() or {}).get("system_fingerprint")).startswith(FINGERPRINT)


def fields(text: str, answers: Sequence[str]) -> dict[str, Any]:
    """Return the request: the prompt alone, then with each answer, after a space unless there is whitespace."""
    prompts = [text.rstrip(), *(f"{text} {answer}" for answer in answers)]
    return {"prompt": prompts, "echo": True, "logprobs": 0}


def of_answers(reply: HttpReply, count: int) -> tuple[float, ...]:
    """Return the log-probability of each answer (nats) from the reply to `fields`.

    An answer begins after the last token that the prompt alone shares with the prompt before every answer, as it does
    when medbench scores without a server (`Prompter.for_choice`). Raises Failed where the reply does not hold that.
    """
    choices = (reply.json() or {}).get("choices")
    if not isinstance(choices, list) or len(choices) != count + 1:
        raise Failed(f"the reply does not hold {count + 1} texts")
    own, *wholes = map(_scored, choices)
    border = min(_shared(own[0], tokens) for tokens, _ in wholes)
    ends = [values[border:] for _, values in wholes]
    if not all(ends) or any(value is None for end in ends for value in end):
        raise Failed("the reply lacks log-probabilities of the answers' tokens")
    return tuple(sum(value for value in end if value is not None) for end in ends)


def _scored(choice: Any) -> tuple[list[Any], list[float | None]]:
    given = choice.get("logprobs") if isinstance(choice, Mapping) else None
    tokens, values = (given.get(name) if isinstance(given, Mapping) else None for name in ("tokens", "token_logprobs"))
    if not isinstance(tokens, list) or not isinstance(values, list) or len(tokens) != len(values):
        raise Failed("the reply lacks log-probabilities of the prompt")
    return tokens, [float(value) if isinstance(value, int | float) else None for value in values]


def _shared(one: Sequence[Any], other: Sequence[Any]) -> int:
    return next((at for at, (a, b) in enumerate(zip(one, other)) if a != b), min(len(one), len(other)))
