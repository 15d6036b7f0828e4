"""Request fields that a server rejects and that a request can omit; among them, the role of a system turn.

Servers phrase such an error in many ways. It is recognized by the field that it names: in `param`, in a validator's
`loc`, in quotes, or as a word.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

from ..prompting import without_system_turns
from .replies import HttpReply, refusal

LIMITS = {"max_tokens": "max_completion_tokens", "max_completion_tokens": "max_tokens"}  # the other name of each
DISPENSABLE = (*LIMITS, "stop", "min_tokens", "response_format", "temperature", "top_p", "seed")
SYSTEM_ROLE = "system role"  # of a message; without it, the system text opens the first user turn
STATUSES = (400, 422, 500, 501)  # llama-cpp-python rejects with 500
# Other names of a field in server errors, in lower case without "_".
ALIASES = {
    "stop": ("stopsequences", "stopstrings"),
    "max_tokens": ("maxnewtokens", "maxoutputtokens"),
    "max_completion_tokens": ("maxnewtokens", "maxoutputtokens"),
    "response_format": (
        "jsonschema",
        "jsonobject",
        "guidedjson",
        "responseschema",
        "responsemimetype",
        "guidedgrammar",
    ),
}
ECHOES = ("input", "ctx", "prompt", "messages", "body", "failed_generation", "url")  # repeat the request
NAMING = ("param", "parameter", "field", "loc", "path")

_WORD = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_QUOTED = re.compile(r"['\"`‘“]\s*([A-Za-z_]\w*)(?:[.\[][\w.\[\]]*)?\s*['\"`’”]")
_NO_SYSTEM_ROLE = re.compile(
    r"\b(?:system|developer)\b[^.;]{0,40}\b(?:not|un)\s?(?:be\s)?(?:support|allow|accept|enabl|recogni[sz])"
    r"|(?:not support|unsupported|unknown|invalid|unexpected)[^.;]{0,40}\bsystem\b|roles must alternate",
    re.IGNORECASE,
)
# An error about the value of the limit is not about the field: the other name would not fix it.
_OF_THE_VALUE = re.compile(
    r"too (?:large|long|big|high|small|many)|at (?:most|least)|maximum|exceed|(?:greater|less|larger|more) than|between"
    r"|range|context|[<>]=",
    re.IGNORECASE,
)
_OF_THE_FIELD = re.compile(
    r"unsupported|not support|unrecogni[sz]ed|unknown|unexpected|extra|not permitted|not allowed|instead", re.IGNORECASE
)


def rejected(reply: HttpReply, asked: Mapping[str, Any], fixed: frozenset[str] = frozenset()) -> frozenset[str]:
    """Return the fields of `asked` that `reply` rejects and that the request can omit.

    `fixed` fields are settings of the model and are never omitted. Servers may reject a schema without naming the
    field, so any rejection of a request with a schema may be about it.
    """
    if reply.status not in STATUSES or refusal(reply):
        return frozenset()
    sent = [name for name in DISPENSABLE if name in asked and name not in fixed]
    try:
        message = reply.text if reply.parsed is None else " ".join(_texts(reply.parsed))
        places = list(_naming(reply.parsed))
    except RecursionError:
        return frozenset()
    if _has_system_turn(asked) and _NO_SYSTEM_ROLE.search(message):
        return frozenset({SYSTEM_ROLE})
    named = _named(sent, message, places)
    if limits := named & LIMITS.keys():
        about_value = _OF_THE_VALUE.search(message) and not _OF_THE_FIELD.search(message)
        named -= limits if about_value else frozenset()
    if not named and "response_format" in sent and reply.status in (400, 422):
        return frozenset({"response_format"})
    return named


def names_logprobs(reply: HttpReply) -> bool:
    """Return whether an error is about log-probabilities."""
    try:
        message = reply.text if reply.parsed is None else " ".join([*_texts(reply.parsed), *_naming(reply.parsed)])
    except RecursionError:
        return False
    return "logprobs" in _plain(message)


def without(body: Mapping[str, Any], names: frozenset[str]) -> dict[str, Any]:
    """Return `body` without these fields. The token limit is sent under its other name unless that is rejected too."""
    found = {name: value for name, value in body.items() if name not in names}
    if SYSTEM_ROLE in names and _has_system_turn(body):
        found["messages"] = without_system_turns(body["messages"])
    for name, other in LIMITS.items():
        if name in names and name in body and other not in names:
            found[other] = body[name]
    return found


def _has_system_turn(body: Mapping[str, Any]) -> bool:
    return any(turn["role"] == "system" for turn in body.get("messages", ()))


def _named(sent: list[str], message: str, places: list[str]) -> frozenset[str]:
    """Return the fields of `sent` that an error names, by the strongest evidence in it."""
    levels = (places, _QUOTED.findall(message), _WORD.findall(message))
    for level, words in enumerate(levels):
        plain = {_plain(word) for word in words}
        found = [name for name in sent if plain & {_plain(name), *ALIASES.get(name, ())}]
        if found:
            return frozenset(found[:1] if level == 2 else found)
    return frozenset()


def _plain(name: str) -> str:
    return name.replace("_", "").replace("-", "").lower()


def _texts(value: Any) -> Iterator[str]:
    """Yield all texts of a body except those that repeat the request."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, list):
        for part in value:
            yield from _texts(part)
    elif isinstance(value, dict):
        for name, part in value.items():
            if name not in ECHOES:
                yield from _texts(part)


def _naming(value: Any) -> Iterator[str]:
    """Yield the names in those parts of a body that identify a field."""
    if isinstance(value, list):
        for part in value:
            yield from _naming(part)
    elif isinstance(value, dict):
        for name, part in value.items():
            if name in NAMING:
                parts = part if isinstance(part, list) else [part]
                yield from (word for each in parts if isinstance(each, str) for word in _WORD.findall(each))
            elif name not in ECHOES:
                yield from _naming(part)
