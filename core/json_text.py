"""Parse JSON from untrusted files, with limits on depth, digits and length, and only what JSON allows.

`json.loads` accepts NaN and turns 1e999 into infinity. A thousand nested lists end in a RecursionError, and half of a
surrogate pair in a string that cannot be printed. Here, each of these is repaired or raises ValueError with a sentence.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterator
from typing import Any, NoReturn, Protocol

MAX_DEPTH = 100  # nested objects and lists; ours and every known data set stay below 10
MAX_DIGITS = 300  # of an integer; a float can hold no more
MAX_LINE = 64 << 20  # bytes of one line: about 16 million tokens, more than any context window

_STRUCTURE = re.compile(r'"(?:[^"\\]|\\.)*"?|([\[{])|([\]}])', re.DOTALL)
_SURROGATE = re.compile("[\ud800-\udfff]")


class Readable(Protocol):
    """The part of a binary file's interface that reads lines."""

    def readline(self, limit: int, /) -> bytes: ...


def loads(text: bytes | str, constants: bool = False) -> Any:
    """Return the value of one JSON text (UTF-8, if bytes). Half of a surrogate pair becomes U+FFFD.

    With `constants`, NaN, Infinity and -Infinity are numbers, as Python's own writer puts them into users' files.
    Raises ValueError with a readable reason for anything else that is not valid JSON within the limits above.
    """
    if isinstance(text, bytes):
        text = text.decode("utf-8")  # UnicodeDecodeError is a ValueError
    if text.count("[") + text.count("{") > MAX_DEPTH:
        _check_depth(text)
    try:
        value = (_LENIENT if constants else _DECODER).decode(text)
        return _repaired(value) if "\\u" in text and ("\\ud" in text or "\\uD" in text) else value
    except RecursionError:  # the caller's stack was nearly full
        raise ValueError("nested too deep") from None


def bounded_lines(file: Readable) -> Iterator[bytes]:
    """Yield the lines of a file, line ends included. Raises ValueError for one longer than MAX_LINE."""
    while line := file.readline(MAX_LINE + 1):
        if len(line) > MAX_LINE:
            raise ValueError(f"longer than {MAX_LINE >> 20} MiB")
        yield line


def _check_depth(text: str) -> None:
    depth = 0
    for found in _STRUCTURE.finditer(text):
        depth += (found[1] is not None) - (found[2] is not None)
        if depth > MAX_DEPTH:
            raise ValueError(f"nested more than {MAX_DEPTH} deep")


def _integer(digits: str) -> int:
    if len(digits) > MAX_DIGITS:
        raise ValueError(f"an integer of {len(digits):,} digits")
    return int(digits)


def _float(digits: str) -> float:
    value = float(digits)
    if not math.isfinite(value):
        raise ValueError(f"the number {digits[:20]} is too large")
    return value


def _constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is not JSON")


_DECODER = json.JSONDecoder(parse_int=_integer, parse_float=_float, parse_constant=_constant)
_LENIENT = json.JSONDecoder(parse_int=_integer, parse_float=_float)


def _repaired(value: Any) -> Any:
    if isinstance(value, str):
        return _SURROGATE.sub("\ufffd", value)
    if isinstance(value, list):
        return [_repaired(each) for each in value]
    if isinstance(value, dict):
        return {_repaired(name): _repaired(each) for name, each in value.items()}
    return value
