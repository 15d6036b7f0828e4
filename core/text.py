"""Make text from outside safe to print: item texts, ids, model answers, judge replies, file names, server messages."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, TypeVar

# Control characters except tab and line feed, marks that reorder text (Unicode's Bidi_Control), and halves of
# surrogate pairs.
_UNSAFE = re.compile(r"\r\n|[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069\ud800-\udfff]")
_DELETE = 0x7F
_ERROR_NUMBER = re.compile(r"^\[(?:Errno|WinError) -?\d+\] ")
_UNKNOWN_HOST = re.compile(  # as Linux, macOS and Windows say it
    "Name or service not known|Temporary failure in name resolution|nodename nor servname|getaddrinfo failed"
)
Value = TypeVar("Value")
REPLACEMENT = "\ufffd"


def printable(text: str) -> str:
    """Return the text without anything that a terminal would interpret.

    Control characters become visible symbols (ESC is ␛), or U+FFFD if there is no symbol. A carriage return before a
    line feed is dropped. A text without any of these is returned unchanged.
    """
    return _UNSAFE.sub(_visible, text) if _UNSAFE.search(text) else text


def size(count: float) -> str:
    """Return a number of bytes in decimal units: "1.2 GB", "0.3 MB", "11.4 kB", "17 B"."""
    for least, scale, unit in ((1e9, 1e9, "GB"), (1e5, 1e6, "MB"), (1e3, 1e3, "kB")):
        if count >= least:
            return f"{count / scale:.1f} {unit}"
    return f"{count:.0f} B"


def clock(seconds: float) -> str:
    """Return seconds as m:ss or h:mm:ss."""
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02d}:{rest:02d}" if hours else f"{minutes}:{rest:02d}"


def plain_reason(said: str) -> str:
    """Return the reason of a failed connection without the system's error number, and an unknown host in words."""
    said = _ERROR_NUMBER.sub("", said)
    return "host name not found, or no network" if _UNKNOWN_HOST.search(said) else said


def printable_json(value: Any) -> str:
    """Return indented JSON that is safe to print and, when read back, is the same value."""
    text = json.dumps(value, indent=1, ensure_ascii=False)
    return _UNSAFE.sub(lambda match: f"\\u{ord(match[0]):04x}", text)


def printable_json_parts(fields: Mapping[str, Any]) -> Iterator[str]:
    """Yield the output of `printable_json` for an object in parts.

    A value that is an iterator is written as a list, one element at a time, so that they need not be in memory
    together.
    """
    opened = "{"
    for name, value in fields.items():
        yield f"{opened}\n {printable_json(name)}: "
        opened = ","
        if isinstance(value, Iterator):
            number = -1
            for number, element in enumerate(value):
                yield ("," if number else "[") + "\n  " + printable_json(element).replace("\n", "\n  ")
            yield "\n ]" if number >= 0 else "[]"
        else:
            yield printable_json(value).replace("\n", "\n ")
    yield "\n}" if fields else "{}"


def whole(value: Value) -> Value:
    """Return a text with U+FFFD for half of a surrogate pair, which no file can store; other values unchanged."""
    if not isinstance(value, str) or value.isascii():
        return value
    try:
        value.encode()
    except UnicodeEncodeError:
        return value.encode("utf-16", "surrogatepass").decode("utf-16", "replace")  # type: ignore[return-value]
    return value


def _visible(match: re.Match[str]) -> str:
    if match[0] == "\r\n":
        return "\n"
    code = ord(match[0])
    if code < 0x20:
        return chr(0x2400 + code)
    return "\u2421" if code == _DELETE else REPLACEMENT


def names(value: str | os.PathLike[str] | Iterable[str | os.PathLike[str]], what: str = "names") -> list[str]:
    """Return the names in a comma-separated string, a path, or a collection of these, each once, in order.

    Raises TypeError for anything else; `what` is the name of the argument.
    """
    parts = value.split(",") if isinstance(value, str) else [value] if isinstance(value, os.PathLike) else value
    if not isinstance(parts, Iterable):
        raise TypeError(f"{what} must be a name, a path, or a list of them, not {value!r}")
    found = []
    for part in parts:
        if not isinstance(part, str | os.PathLike):
            raise TypeError(f"{what} must be a name, a path, or a list of them; {part!r} is neither")
        found.append(str(part).strip())
    return list(dict.fromkeys(filter(None, found)))
