"""Split texts of any script into words. The published word splitters of ROUGE and SQuAD know only Latin letters."""

from __future__ import annotations

import functools
import itertools
import unicodedata
from collections.abc import Iterator

# Scripts without spaces between words, where each character counts as a word: first and last code point.
_SPACELESS = (
    (0x0E00, 0x0EFF),  # Thai, Lao
    (0x1000, 0x109F),  # Myanmar
    (0x1780, 0x17FF),  # Khmer
    (0x3040, 0x30FF),  # Hiragana, Katakana
    (0x31F0, 0x31FF),
    (0x3400, 0x4DBF),  # Han
    (0x4E00, 0x9FFF),
    (0xF900, 0xFAFF),
    (0x20000, 0x3FFFF),
)


@functools.lru_cache(maxsize=256)
def other_script(text: str) -> bool:
    """Return whether at least half of the words of `text` are in a script other than Latin.

    A single Greek letter is a symbol: "β blocker" is English.
    """
    if text.isascii():
        return False
    found = [word for word in words(text) if not (len(word) == 1 and "GREEK" in unicodedata.name(word, ""))]
    others = sum(not any("LATIN" in _name(c) for c in word) and not word[0].isdecimal() for word in found)
    return others > 0 and 2 * others >= len(found)


def words(text: str) -> list[str]:
    """Return words of letters, digits and their marks, in lowercase; single characters in scripts without spaces."""
    return list(_words(unicodedata.normalize("NFKC", text).casefold()))


def _words(text: str) -> Iterator[str]:
    for kind, run in itertools.groupby(text, _kind):
        if kind == "word":
            yield "".join(run)
        elif kind == "character":
            character = ""
            for c in run:
                if character and not unicodedata.category(c).startswith("M"):
                    yield character
                    character = ""
                character += c
            yield character


def _kind(c: str) -> str:
    code = ord(c)
    if code >= _SPACELESS[0][0] and any(first <= code <= last for first, last in _SPACELESS):
        return "character" if c.isalnum() or unicodedata.category(c).startswith("M") else ""
    return "word" if c.isalnum() or unicodedata.category(c).startswith("M") else ""


@functools.lru_cache(maxsize=4096)
def _name(c: str) -> str:
    return unicodedata.name(c, "")
