"""Replies of servers with OpenAI's API, parsed strictly: an incomplete reply is a failure, never a text."""

from __future__ import annotations

import dataclasses
import email.utils
import json
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cached_property
from math import inf
from typing import Any, Literal

from ...core.reasoning import split
from ...core.secrets import Mask
from ...core.text import whole
from .reasoning import MOST_TOKENS, counted_reasoning, shown_reasoning

CUT = ("length", "max_tokens", "max_output_tokens", "model_length")  # finish reasons that mean the token limit
ROUNDING = 1e-3  # nats; rounding may put a certain token this far above 0
MESSAGE_LENGTH = 300  # characters of a server's message that an error repeats
CHARACTERS_PER_TOKEN = 4  # in English texts, if the server does not count
# Finish reasons, and codes and types of errors, that mean an answer was withheld for its content.
WITHHELD = {
    *("content_filter", "content_filtered", "content_policy_violation", "responsibleaipolicyviolation", "safety"),
    *("data_inspection_failed", "guardrail_intervened", "sensitive", "refusal", "prohibited_content", "recitation"),
    *("blocklist", "spii", "content_blocked", "moderation_blocked"),
}

_SPAN = re.compile(r"(?:(\d+(?:\.\d+)?)h)?(?:(\d+(?:\.\d+)?)m(?!s))?(?:(\d+(?:\.\d+)?)s)?(?:(\d+(?:\.\d+)?)ms)?")
_SPACE_MARKS = "\u2581\u0120\u010a \n\t"  # a token's leading space: as tokenizers write it, and as is


class Failed(Exception):
    """One request has no answer; the message says why. `answered`: the server works, but not for this request."""

    def __init__(self, reason: str, answered: bool = False) -> None:
        super().__init__(reason)
        self.answered = answered


class Withheld(Failed):
    """The server or the model refuses this request. It would refuse again, so the refusal is stored."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason, answered=True)


@dataclass(frozen=True)
class HttpReply:
    """An HTTP reply. Names of `headers` are in lower case."""

    status: int
    headers: Mapping[str, str]
    text: str
    seconds: float = 0.0  # from sending the request to the last byte
    inside: bool = False  # `status` comes from an error inside a reply with status 200

    @property
    def fine(self) -> bool:
        return 200 <= self.status < 300

    @cached_property
    def parsed(self) -> Any:
        """Return the body as JSON; None if it is not JSON. A list of one object (Gemini's errors) is that object."""
        try:
            found = json.loads(self.text)
        except (ValueError, RecursionError):
            return None
        return found[0] if isinstance(found, list) and len(found) == 1 and isinstance(found[0], dict) else found

    def json(self) -> dict[str, Any] | None:
        """Return the body if it is a JSON object."""
        return self.parsed if isinstance(self.parsed, dict) else None


@dataclass(frozen=True)
class ServerError:
    """The error that a server reports. Missing fields are empty."""

    message: str
    code: str = ""
    kind: str = ""  # its `type`


def received(reply: HttpReply, mask: Mask) -> HttpReply:
    """Return a reply without keys, and with the status of an error inside a 200."""
    text = reply.text
    if mask.echoed(text):
        try:  # in JSON only strings are masked, so that numbers stay numbers
            whole = None if reply.parsed is None else _without_keys(reply.parsed, mask)
        except RecursionError:
            whole = None
        text = mask.answer(text) if whole is None else json.dumps(whole)
    headers = {name.lower(): mask(value) for name, value in reply.headers.items()}
    clean = dataclasses.replace(reply, headers=headers, text=text)
    body = clean.json() if clean.fine else None
    if body and not body.get("choices") and (body.get("error") or body.get("object") == "error"):
        error = body.get("error") or body
        return dataclasses.replace(clean, status=_status_inside(error), inside=True)
    return clean


def _without_keys(value: Any, mask: Mask) -> Any:
    if isinstance(value, str):
        return mask.answer(value)
    if isinstance(value, list):
        return [_without_keys(part, mask) for part in value]
    if isinstance(value, dict):
        return {mask.answer(name): _without_keys(part, mask) for name, part in value.items()}
    return value


def _status_inside(error: Any) -> int:
    """Return the HTTP status of an error: the one it names, or one that fits its words."""
    told = error if isinstance(error, Mapping) else {"message": error}
    for name in ("status", "status_code", "code"):
        number = _number(str(told.get(name)))
        if number is not None and 400 <= number < 600:
            return int(number)
    words = " ".join(str(told.get(name) or "") for name in ("code", "type", "status", "message")).lower()
    if re.search(r"rate.?limit|too.?many.?requests|quota|resource.?exhausted", words):
        return 429
    if re.search(r"overloaded|unavailable|internal|server.?error|time.?out|loading model|try again", words):
        return 503
    return 400


def server_error(reply: HttpReply) -> ServerError:
    """Read from {"error": {"message", "code", "type"}} or what other servers write in its place."""
    body = reply.json()
    if body is None:
        return ServerError(_shortened(re.sub(r"<[^>]*>", " ", reply.text)))
    error = body.get("error") or body
    if not isinstance(error, Mapping):
        return ServerError(_shortened(str(error)))
    message = error.get("message") or error.get("detail") or error.get("error") or error
    if not isinstance(message, str):
        message = json.dumps(message, ensure_ascii=False)
    return ServerError(_shortened(message), str(error.get("code") or ""), str(error.get("type") or ""))


def refusal(reply: HttpReply) -> str:
    """Return why the server rejected this request for its content; "" if it did not."""
    body = reply.json()
    error = body.get("error") if body and not reply.fine else None
    if not isinstance(error, Mapping):
        return ""
    inner = error.get("innererror")
    codes = [error.get("code"), error.get("type"), inner.get("code") if isinstance(inner, Mapping) else None]
    if not any(str(code).lower().replace("-", "_") in WITHHELD for code in codes):
        return ""
    return f"the server's content filter rejected the request: {server_error(reply).message}"


def _shortened(text: str) -> str:
    """Return one line of printable characters."""
    text = " ".join("".join(c if c.isprintable() else " " for c in text).split())
    return text if len(text) <= MESSAGE_LENGTH else text[:MESSAGE_LENGTH] + "…"


def usage(reply: HttpReply) -> tuple[int, int] | None:
    """Return the prompt tokens and new tokens, if the server reports both."""
    told = (reply.json() or {}).get("usage")
    if not isinstance(told, Mapping):
        return None
    counts = told.get("prompt_tokens"), told.get("completion_tokens", 0)
    if not all(isinstance(count, int) and 0 <= count < MOST_TOKENS for count in counts):
        return None
    return int(counts[0] or 0), int(counts[1] or 0)


def wait_asked(headers: Mapping[str, str], now: datetime) -> float | None:
    """Return how long the server asks to wait: Retry-After (seconds or a date), else x-ratelimit-reset….

    None if the reply asks for no wait, or in no form that can be read.
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
        # Of several limits, the one that is used up counts; if none says so, it may be any of them.
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
        return max(0.0, (then.replace(tzinfo=then.tzinfo or UTC) - now).total_seconds())
    except (ValueError, TypeError, OverflowError):
        return None


def _span(text: str, now: datetime) -> float | None:
    """Parse "7.66s", "2m59.56s", "120ms", "30", or a Unix time in seconds or milliseconds."""
    value = _number(text)
    if value is None:
        parts = _SPAN.fullmatch(text.strip())
        if parts is None or not any(parts.groups()):
            return None
        return sum(float(part or 0) * unit for part, unit in zip(parts.groups(), (3600, 60, 1, 0.001), strict=True))
    if value > 1e11:
        value /= 1000
    return max(0.0, value - now.timestamp()) if value > 1e9 else value


@dataclass(frozen=True)
class WrittenText:
    """What a model wrote: its text, how it ended, and its reasoning if the server returns that separately."""

    text: str
    finish: Literal["stop", "length"]
    reasoning: str = ""
    reasoning_tokens: int = 0  # if the server counts them; it may hide the reasoning itself

    @property
    def in_reasoning(self) -> bool:
        """Whether the text ends before the model began its answer."""
        found = split(self.text)
        reasoned = self.reasoning or self.reasoning_tokens or found.reasoning
        return not found.closed or bool(reasoned and not found.answer)


def text_of(reply: HttpReply, limit: int) -> WrittenText:
    """Return the answer. `limit` is how many new tokens were requested.

    Raises Withheld for a refusal, and Failed if there is no answer: "" is one only if the server says that the model
    ended it so, or shows or counts the reasoning before it.
    """
    choice = _choice(reply)
    finish = choice.get("finish_reason")
    message = choice.get("message")
    said = message if isinstance(message, Mapping) else {"content": choice.get("text")}
    if isinstance(finish, str) and finish.lower() in WITHHELD:
        raise Withheld("the server's content filter withheld the answer")
    if refused := said.get("refusal") or "".join(_parts(said.get("content"), "refusal")):
        raise Withheld(f"the model refused: {_shortened(str(refused))}")
    if choice.get("error") or finish == "error":
        told = choice.get("error")
        words = told.get("message") if isinstance(told, Mapping) else told
        raise Failed(f"the server reports an error in its answer: {_shortened(str(words or 'it does not say which'))}")
    content = said.get("content")
    text = content if isinstance(content, str) else "".join(_parts(content, "text")) or None
    reasoning, counted = shown_reasoning(said, choice), counted_reasoning((reply.json() or {}).get("usage"))
    if (isinstance(finish, str) and finish.lower() in CUT) or (finish is None and _full(reply, limit)):
        finish = "length"
    calls = said.get("tool_calls") or said.get("function_call")
    if text is None and (reasoning or (counted and finish == "length")) and not calls:
        text = ""
    if finish == "length" and not text and not (reasoning or counted):
        raise CutOff(limit)
    if text is None or (not text and not reasoning and finish not in ("stop", "length")):
        raise Failed(f"{_instead(said)} (finish_reason {finish})", answered=True)
    return WrittenText(whole(text), "length" if finish == "length" else "stop", whole(reasoning), counted)


def limited(written: WrittenText, reply: HttpReply, limit: int) -> WrittenText:
    """Return `written` truncated to `limit` new tokens, for a server that accepts no limit.

    Where the cut is follows from the server's own count of tokens; without one a token has four characters. Reasoning
    that the server counts and does not show comes first.
    """
    length = len(written.reasoning) + len(written.text)
    counted = usage(reply)
    new = counted[1] if counted and counted[1] else -(-length // CHARACTERS_PER_TOKEN)
    if new <= limit:
        return written
    hidden = 0 if written.reasoning else written.reasoning_tokens
    if hidden >= limit:
        return WrittenText("", "length", "", hidden)
    kept = max(1, length * (limit - hidden) // max(new - hidden, 1))
    in_text = max(0, kept - len(written.reasoning))
    return dataclasses.replace(
        written, text=whole(written.text[:in_text]), finish="length", reasoning=whole(written.reasoning[:kept])
    )


def _full(reply: HttpReply, limit: int) -> bool:
    """Return whether the model used up its new tokens, for servers that do not report how an answer ended."""
    counted = usage(reply)
    return counted is not None and counted[1] >= limit


class CutOff(Failed):
    """Return the error of a model that reached its token limit before it wrote any answer."""

    def __init__(self, limit: int) -> None:
        super().__init__(
            f"no answer within {limit} tokens: a reasoning model needs more (--max-new-tokens)", answered=True
        )


def _parts(content: Any, kind: str) -> list[str]:
    """Return the texts of one type in a list of parts: [{"type": "text", "text": …}, …]."""
    parts = content if isinstance(content, list) else [content] if isinstance(content, Mapping) else []
    found = []
    for part in parts:
        if isinstance(part, str) and kind == "text":
            found.append(part)
        elif isinstance(part, Mapping) and part.get("type", "text") in (kind, f"output_{kind}"):
            value = part.get(kind)
            value = value.get("value") if isinstance(value, Mapping) else value  # {"text": {"value": …}}
            found += [value] if isinstance(value, str) else []
    return found


def _instead(said: Mapping[str, Any]) -> str:
    """Describe a reply that has no text."""
    content = said.get("content")
    if said.get("tool_calls") or said.get("function_call"):
        return "the reply has a tool call but no text"
    if content is None or content == "":
        return "the reply has no text"
    if isinstance(content, list | Mapping):
        parts = content if isinstance(content, list) else [content]
        kinds = sorted({str(part.get("type")) if isinstance(part, Mapping) else type(part).__name__ for part in parts})
        return f"the reply has no text, only parts of type {', '.join(kinds) or 'none'}"
    return f"the reply has a {type(content).__name__} instead of a text"


def _choice(reply: HttpReply) -> Mapping[str, Any]:
    body = reply.json()
    if body is None:
        raise Failed(f"the reply is not a JSON object: {_shortened(reply.text)[:80]!r}")
    choices = body.get("choices")
    if not isinstance(choices, list) or not choices or not isinstance(choices[0], Mapping):
        raise Failed(f"the reply has no choices: {_shortened(reply.text)[:80]}")
    return choices[0]


def first_token(reply: HttpReply) -> list[tuple[str, float]]:
    """Return the most likely first tokens with log-probabilities (nats), from a chat or either format of completions.

    [] if the server gives none. Raises Failed if the reply is not a valid one.
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
    """Return each answer's log-probability: that of the most likely token equal to it, ignoring surrounding spaces.

    Minus infinity for an answer that is not in the server's list; None if no answer is in it. Letters keep their case,
    words only if `exact`.
    """

    def means(token: str, answer: str) -> bool:
        bare = token.strip(_SPACE_MARKS)
        return bare == answer or (not exact and len(answer) > 1 and bare.casefold() == answer.casefold())

    values = tuple(max((v for token, v in tokens if means(token, answer)), default=-inf) for answer in answers)
    return values if max(values) > -inf else None
