"""Symbols as the words and letters that the model knows.

A word with an unknown symbol in it is unknown as a whole: of "38°C" or "×4" the model would not even see the number.
"""

from __future__ import annotations

import re
import unicodedata

from .markup import CROSSES

_CROSSED = re.compile(rf"^[{CROSSES}\ufe0f\s]+(?=\S)")
_DENIES = re.compile(r"\W*(?:no|not|never|avoid|skip|stop|don['’]?t|do not|without|cannot|can['’]?t)\b", re.I)
_FRACTION = re.compile(r"(?<=\d)(?=[¼½¾⅐-⅞])")
_SAID = {
    "°": " degrees ",
    "≥": " at least ",
    "⩾": " at least ",
    "≤": " at most ",
    "⩽": " at most ",
    "≈": " about ",
    "×": " x ",
    "÷": " / ",
    "±": " +/- ",
    "→": " – ",
    "⇒": " – ",
    "➜": " – ",
    "—": "–",
    "―": "–",
    "μ": "µ",  # the Greek letter as the sign of "micro"
    "…": "...",
    "\u2044": "/",
    **dict.fromkeys("\u2010\u2011\u2012\u2212", "-"),
}
_TRANSLATED = str.maketrans(_SAID)


def spelled(line: str) -> str:
    """Return a line with each symbol as what it says, or without it if it says nothing (an emoji, for example).

    A cross before a line means "do not".
    """
    if line.isascii():
        return line
    if crossed := _CROSSED.match(line):
        rest = line[crossed.end() :]
        line = rest if _DENIES.match(rest) else f"Do not: {rest}"
    line = _FRACTION.sub(" ", line)
    # In this order: the compatibility form of "…" is known, that of "½" has a slash that is not.
    line = unicodedata.normalize("NFKC", line.replace("µ", "μ")).translate(_TRANSLATED)
    return re.sub(r"\s+", " ", "".join(map(_known, line))).strip()


def _known(char: str) -> str:
    category = unicodedata.category(char)
    if char.isascii() or category[0] in "LNPZ":
        return char
    return "" if category in ("Cf", "Mn", "Me") else " "
