"""Where sentences begin and end, in prose, lists and chat: character offsets, pure and without a model.

A boundary is a line break, or a full stop, question or exclamation mark (or several) before a space, unless the stop
belongs to an abbreviation, an initial or a list's number. Text without punctuation is cut at about 40 words, where a
clause begins if one does.
"""

from __future__ import annotations

import re
from itertools import pairwise

Span = tuple[int, int]  # start and end in characters, the end not included

LONGEST = 45  # words in a sentence; a longer one is cut

# Before a full stop these go on, whatever follows …
_OPEN = frozenset(
    [
        "dr",
        "mr",
        "mrs",
        "ms",
        "prof",
        "st",
        "vs",
        "e.g",
        "eg",
        "i.e",
        "ie",
        "cf",
        "approx",
        "fig",
        "figs",
        "incl",
        "esp",
    ]
)
# … and these only where a lower-case letter or a digit follows.
_HALF = frozenset(
    ["etc", "al", "no", "nos", "am", "pm", "hr", "hrs", "min", "mins", "sec", "wk", "wks", "yr", "yrs", "mo", "tab"]
)
_STOP = re.compile(r"""[.!?…]+["'”’)\]*_]*(?=\s|$)|(?<=[A-Za-z]{2})[.!?](?=[A-Z][a-z])|(?<=[a-z)])[?!]+(?=[A-Za-z])""")
_WORD_BEFORE = re.compile(r"[\w.]*\w$")
_NUMBER_ONLY = re.compile(r"\W*\w{1,2}$")
_CLAUSE = re.compile(
    r"[;:]\s|\s[-–—]+\s|,?\s(?=(?:but|so|because|then|however|although|and then|if|also|please)\b)", re.I
)
_COMMA = re.compile(r",\s|\s(?=and\b|or\b)", re.I)


def sentences(text: str) -> list[Span]:
    """The sentences of a text, in order, without the space around them. Every word is in one. Empty for no words."""
    found: list[Span] = []
    for line in re.finditer(r"[^\n\r]+", text):
        starts = [line.start(), *(end for end in _ends(line[0], line.start())), line.end()]
        for start, end in pairwise(starts):
            found += _cut(text, start, end)
    return _with_words(text, found)


def _ends(line: str, offset: int) -> list[int]:
    """Offsets at which a sentence of this line ends before another begins."""
    ends, start = [], 0
    for stop in _STOP.finditer(line):
        if stop.end() < len(line) and not _goes_on(line, start, stop):
            ends.append(offset + stop.end())
            start = stop.end()
    return ends


def _goes_on(line: str, start: int, stop: re.Match[str]) -> bool:
    """Is this full stop within a sentence?"""
    if stop[0] not in (".", ".)"):
        return False
    if _NUMBER_ONLY.match(line[start : stop.start()]) and not line[start : stop.start()].strip().isalpha():
        return True  # "2." opens a list's item
    word = _WORD_BEFORE.search(line, start, stop.start())
    before = word[0].lower() if word else ""
    rest = line[stop.end() :].lstrip()
    if before in _OPEN or (len(before) == 1 and before.isalpha() and before not in "ai"):
        return True
    return (before in _HALF or "." in before) and not rest[:1].isupper()


def _cut(text: str, start: int, end: int) -> list[Span]:
    """Pieces of at most LONGEST words, cut where a clause begins nearest the middle, else at a comma, else anywhere."""
    words = [word.start() + start for word in re.finditer(r"\S+", text[start:end])]
    if len(words) <= LONGEST:
        return [(start, end)]
    low, high = words[len(words) // 4], words[3 * len(words) // 4]
    middle = words[len(words) // 2]
    for pattern in (_CLAUSE, _COMMA):
        places = [match.end() for match in pattern.finditer(text, low, high)]
        if places:
            middle = min(places, key=lambda place: abs(place - middle))
            break
    return [*_cut(text, start, middle), *_cut(text, middle, end)]


def _with_words(text: str, spans: list[Span]) -> list[Span]:
    """The spans without outer space; one that holds no letter or digit joins the one before it."""
    kept: list[Span] = []
    for start, end in spans:
        piece = text[start:end]
        start += len(piece) - len(piece.lstrip())
        end -= len(piece) - len(piece.rstrip())
        if any(map(str.isalnum, text[start:end])):
            kept.append((start, end))
        elif kept and start < end:
            kept[-1] = (kept[-1][0], end)
    return kept
