"""Text on lines that fit a width, measured in the fonts of the figures."""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import lru_cache

import matplotlib
from matplotlib.font_manager import FontProperties, findfont, get_font
from matplotlib.ft2font import FT2Font

from ...core.text import printable

MISSING = 0.6  # the width of the box that is drawn for a character that no font has


def wrapped(text: str, width: float, size: float, *, bold: bool = False) -> list[str]:
    """Return a text on lines no wider than `width` points in a font of `size` points. Longer words are broken."""
    lines = []
    for paragraph in printable(text).replace("\t", "    ").split("\n"):
        line = ""
        for word in _words(paragraph, width, size, bold):
            joined = line + word
            if line.strip() and _wide(joined.rstrip(), size, bold) > width:
                lines.append(line.rstrip())
                joined = word.lstrip()
            line = joined
        lines.append(line.rstrip())
    return lines


def unknown(text: str) -> set[str]:
    """Return the characters that no installed font of the figures has."""
    maps = [font.get_charmap() for font in _fonts(bold=False)]
    return {each for each in set(text) if each.isprintable() and not any(ord(each) in its for its in maps)}


def _words(text: str, width: float, size: float, bold: bool) -> Iterator[str]:
    """Yield words with the spaces before them. Words that are wider than a line come in parts."""
    for word in re.findall(r"\s*\S+|\s+$", text):
        part = ""
        for character in word if _wide(word.strip(), size, bold) > width else ():
            if part.strip() and _wide((part + character).strip(), size, bold) > width:
                yield part
                part = ""
            part += character
        yield part or word


def _wide(text: str, size: float, bold: bool) -> float:
    return sum(_advance(each, bold) for each in text) * size


@lru_cache(maxsize=8192)
def _advance(character: str, bold: bool) -> float:
    """Return the width of a character in a font of one point."""
    font = next((each for each in _fonts(bold=bold) if ord(character) in each.get_charmap()), None)
    if font is None:
        return MISSING
    font.set_size(100, 72)
    return float(font.load_char(ord(character)).linearHoriAdvance) / (65536 * 100)


def _fonts(*, bold: bool) -> list[FT2Font]:
    weight = "bold" if bold else "normal"
    names = matplotlib.rcParams["font.family"]
    return [get_font(findfont(FontProperties(family=name, weight=weight))) for name in names]
