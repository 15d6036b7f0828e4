"""What a server that speaks OpenAI's API answers, read strictly: what is not whole is a failure, never a text."""

from __future__ import annotations

import email.utils
import json
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from math import inf
from typing import Any, Literal

ROUNDING = 1e-3  # nats; a certain token may come out as far above 0
MESSAGE_LENGTH = 300  # characters of a server's own words that an error repeats

_SPAN = re.compile(r"(?:(\d+(?:\.\d+)?)h)?(?:(\d+(?:\.\d+)?)m(?!s))?(?:(\d+(?:\.\d+)?)s)?(?:(\d+(?:\.\d+)?)ms)?")
_SPACE_MARKS = "\u2581\u0120\u010a \n\t"  # a token's leading space as tokenizers write it, and as it is


class Failed(Exception):
    """One request has no answer; the text says why. `answered`: the server works, but not for this one."""

    def __init__(self, reason: str, answered: bool = False) -> None:
        super().__init__(reason)
        self.answered = answered


@dataclass(frozen=True)
class Reply:
    """An HTTP reply. Names of `headers` are in lower case."""

    status: int
    headers: Mapping[str, str]
    text: str
    seconds: float = 0.0  # from sending the request to the last byte

    @property
    def fine(self) -> bool:
        return 200 <= self.status < 300

    def json(self) -> dict[str, Any] | None:
        """The body, where it is a JSON object."""
        try:
            found = json.loads(self.text)
        except ValueError:
            return None
        return found if isinstance(found, dict) else None


@dataclass(frozen=True)
class Complaint:
    """What a server says is wrong. Fields that it does not give are empty."""

    message: str
    code: str = ""
    param: str = ""


def complaint(reply: Reply) -> Complaint:
    """Read from {"error": {"message", "code", "param"}} or what other servers write in its place."""
    body = reply.json()
    if body is None:
        return Complaint(_shortened(re.sub(r"<[^>]*>", " ", reply.text)))
    error = body.get("error", body)
    if not isinstance(error, Mapping):
        return Complaint(_shortened(str(error)))
    message = error.get("message") or error.get("detail") or error.get("error") or json.dumps(error)
    return Complaint(_shortened(str(message)), str(error.get("code") or ""), str(error.get("param") or ""))


def _shortened(text: str) -> str:
    text = " ".join(text.split())
    return text if len(text) <= MESSAGE_LENGTH else text[:MESSAGE_LENGTH] + "…"


def usage(reply: Reply) -> tuple[int, int] | None:
    """Prompt and new tokens, where the server tells both."""
    told = (reply.json() or {}).get("usage")
    if not isinstance(told, Mapping):
        return None
    counts = told.get("prompt_tokens"), told.get("completion_tokens", 0)
    if not all(isinstance(count, int) and count >= 0 for count in counts):
        return None
    return int(counts[0] or 0), int(counts[1] or 0)


def wait_asked(headers: Mapping[str, str], now: datetime) -> float | None:
    """Seconds that the server asks to be left alone: Retry-After (seconds or a date), else x-ratelimit-reset….

    None where it asks for nothing that can be read.
    """
    if (text := headers.get("retry-after-ms", "")) and (milliseconds := _number(text)) is not None:
        return milliseconds / 1000
    if text := headers.get("retry-after", ""):
        seconds = _number(text)
        return seconds if seconds is not None else _until(text, now)
    waits = []
    for name, value in headers.items():
        if not name.startswith("x-ratelimit-reset"):
            continue
        # Of several limits the one that is used up counts; where none says so, any may be.
        remaining = headers.get(name.replace("reset", "remaining"))
        if remaining is None or _number(remaining) == 0:
            waits.append(_span(value, now))
    known = [wait for wait in waits if wait is not None]
    return max(known) if known else None


def _number(text: str) -> float | None:
    try:
        value = float(text)
    except ValueError:
        return None
    return value if 0 <= value < inf else None


def _until(text: str, now: datetime) -> float | None:
    try:
        then = email.utils.parsedate_to_datetime(text)
    except ValueError:
        return None
    return max(0.0, (then.replace(tzinfo=then.tzinfo or UTC) - now).total_seconds())


def _span(text: str, now: datetime) -> float | None:
    """Seconds of "7.66s", "2m59.56s", "120ms", "30", or of a time since 1970 in seconds or milliseconds."""
    value = _number(text)
    if value is None:
        parts = _SPAN.fullmatch(text.strip())
        if parts is None or not any(parts.groups()):
            return None
        return sum(float(part or 0) * unit for part, unit in zip(parts.groups(), (3600, 60, 1, 0.001), strict=True))
    if value > 1e11:
        value /= 1000
    return max(0.0, value - now.timestamp()) if value > 1e9 else value


def text_of(reply: Reply, limit: int) -> tuple[str, Literal["stop", "length"]]:
    """The answer and how it ended. `limit` is how many new tokens were asked for.

    Raises Failed where there is none: "" is an answer only where the server says that the model ended it so.
    """
    choice = _choice(reply)
    finish = choice.get("finish_reason")
    message = choice.get("message")
    text = message.get("content") if isinstance(message, Mapping) else choice.get("text")
    if finish == "content_filter":
        raise Failed("the server's content filter held the answer back", answered=True)
    if isinstance(message, Mapping) and message.get("refusal"):
        raise Failed(f"the model refused: {_shortened(str(message['refusal']))}", answered=True)
    if finish == "length" and not text:
        raise Failed(
            f"no answer within {limit} tokens: a model that reasons first needs more (--max-new-tokens)", answered=True
        )
    if not isinstance(text, str) or (not text and finish != "stop"):
        raise Failed(f"the reply holds no text (finish_reason {finish})", answered=True)
    return text, "length" if finish == "length" else "stop"


def _choice(reply: Reply) -> Mapping[str, Any]:
    body = reply.json()
    if body is None:
        raise Failed(f"the reply is not a JSON object: {_shortened(reply.text)[:80]!r}")
    choices = body.get("choices")
    if not isinstance(choices, list) or not choices or not isinstance(choices[0], Mapping):
        raise Failed("the reply holds no choices")
    return choices[0]


def first_token(reply: Reply) -> list[tuple[str, float]]:
    """The likeliest first tokens and their log-probabilities (nats): of chat, or of completions in either format.

    [] where the server gives none. Raises Failed where the reply is none.
    """
    given = _choice(reply).get("logprobs")
    if not isinstance(given, Mapping):
        return []
    content, top = given.get("content"), given.get("top_logprobs")
    found: Iterable[tuple[Any, Any]] = ()
    if isinstance(content, list) and content and isinstance(content[0], Mapping):
        listed = content[0].get("top_logprobs")
        rows = [row for row in (listed if isinstance(listed, list) else []) if isinstance(row, Mapping)]
        found = [(row.get("token"), row.get("logprob")) for row in rows]
    elif isinstance(top, list) and top and isinstance(top[0], Mapping):
        found = top[0].items()
    return [
        (token, min(float(value), 0.0))
        for token, value in found
        if isinstance(token, str) and isinstance(value, int | float) and -inf < value < ROUNDING
    ]


def of_answers(tokens: Sequence[tuple[str, float]], answers: Sequence[str], exact: bool) -> tuple[float, ...] | None:
    """The log-probability of each answer: that of the likeliest token that is the answer, spaces around it aside.

    Minus infinity for an answer below the server's list; None where none is in it. Letters keep their case; words do
    where `exact`.
    """

    def means(token: str, answer: str) -> bool:
        bare = token.strip(_SPACE_MARKS)
        return bare == answer or (not exact and len(answer) > 1 and bare.casefold() == answer.casefold())

    values = tuple(max((v for token, v in tokens if means(token, answer)), default=-inf) for answer in answers)
    return values if max(values) > -inf else None


def cut(text: str, stop: Sequence[str]) -> tuple[str, bool]:
    """`text` before its first stop string, and whether there was one."""
    found = [at for s in stop if s and (at := text.find(s)) >= 0]
    return (text[: min(found)], True) if found else (text, False)
