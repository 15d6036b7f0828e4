"""The line of a key in a TOML file. tomllib reports lines of syntax errors only."""

from __future__ import annotations

import contextlib
import tomllib
from collections.abc import Sequence
from typing import Any

Place = Sequence[str | int]  # keys and positions in lists, from the outside in: ("models", 1, "dtype")


def line_of(text: str, place: Place) -> int:
    """Return the line on which a value begins, from 1; 0 if the file has no such value.

    The file is parsed line by line: a value begins after the last line before which the file is whole without it.
    """
    lines = text.splitlines()
    began = 0
    for end in range(1, len(lines) + 1):
        with contextlib.suppress(tomllib.TOMLDecodeError):  # in the middle of a value
            if _has(tomllib.loads("\n".join(lines[:end])), place):
                return began + 1
            began = end
    return 0


def _has(value: Any, place: Place) -> bool:
    for step in place:
        try:
            value = value[step]
        except (LookupError, TypeError):
            return False
    return True
