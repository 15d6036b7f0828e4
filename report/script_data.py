"""Data as JavaScript files, which a page can load from disk; JSON files it cannot.

Everything in them may have been written by a model, a data set or a stranger's manifest, so no text can end the string
or the script that it is in, and none can reorder or hide what is beside it on the page.
"""

from __future__ import annotations

import json
from typing import Any

from ..core.text import printable

# What could end a script element or a comment, if the file were ever put into a page.
_MARKUP = {"<": "\\u003c", ">": "\\u003e", "&": "\\u0026"}


def script(name: str, value: Any) -> str:
    """Return a JavaScript file that hands `value` to the page under `name`.

    The value is JSON inside a string, which the page parses. As a JavaScript object, a key `__proto__` would be taken
    for something else. The file is pure ASCII: U+2028 and U+2029 are escaped like all other characters.
    """
    return f"medbenchReport.receive({_literal(name)}, {_literal(_json(value))});\n"


def _json(value: Any) -> str:
    return json.dumps(_shown(value), separators=(",", ":"), allow_nan=False)


def _literal(text: str) -> str:
    """Return a text as a JavaScript string."""
    literal = json.dumps(text)
    for character, escape in _MARKUP.items():
        literal = literal.replace(character, escape)
    return literal


def _shown(value: Any) -> Any:
    """Return the value with every text in it as `printable` shows it."""
    if isinstance(value, str):
        return printable(value)
    if isinstance(value, dict):
        return {printable(str(name)): _shown(held) for name, held in value.items()}
    if isinstance(value, list | tuple):
        return [_shown(held) for held in value]
    return value
