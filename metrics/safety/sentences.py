"""Split prose, Markdown and chat into sentences by character offsets, without a model.

A heading, a list item and a row of a table are lines of their own, in Markdown and in HTML. A sentence ends at a line
break, or at one or more periods, question marks or exclamation marks before a space, unless a period belongs to an
abbreviation, an initial or a list number. Text without punctuation is cut at about 40 words, between clauses if
possible.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from itertools import pairwise

from ..text import with_line_breaks

Span = tuple[int, int]  # start and end in characters; end is exclusive

LONGEST = 45  # words in a sentence; longer ones are cut

# A period after these never ends a sentence …
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
# … and after these only if no lowercase letter or digit follows.
_HALF = frozenset(
    ["etc", "al", "no", "nos", "am", "pm", "hr", "hrs", "min", "mins", "sec", "wk", "wks", "yr", "yrs", "mo", "tab"]
)
_STOP = re.compile(r"""[.!?…]+["'”’)\]*_]*(?=\s|$)|(?<=[A-Za-z]{2})[.!?](?=[A-Z][a-z])|(?<=[a-z)])[?!]+(?=[A-Za-z])""")
_WORD_BEFORE = re.compile(r"[\w.]*\w$")
_NUMBER_ONLY = re.compile(r"\W*\w{1,2}$")
_CLAUSE = re.compile(
    r"[;:]\s|\s[-–—]+\s|,?\s(?=(?:but|so|because|then|however|although|and then|if|also|please)\b)", re.I
)
_BLOCKS = "blockquote|dd|div|dl|dt|h[1-6]|li|ol|p|table|tbody|thead|tr|ul"
_LINE = re.compile(r"[^\n\r]+")
_BLOCK = re.compile(rf"<(/?)(?:{_BLOCKS})\b[^<>]*>|<([bh]r)\s*/?>", re.I)
_TAG = re.compile(r"</?[a-zA-Z][^<>]*>")
_EMPTY = re.compile(r"[\W_]*(?:(?:step|part|point|section|tip)\W+\d+)?[\W_]*", re.I)  # "### Step 2" says nothing
_COMMA = re.compile(r",\s|\s(?=and\b|or\b)", re.I)


def sentences(text: str) -> list[Span]:
    """Return the spans of the sentences, in order, without surrounding whitespace: all words but "Step 2" alone."""
    text = with_line_breaks(text)
    found: list[Span] = []
    for start, end in _lines(text):
        starts = [start, *_ends(text[start:end], start), end]
        for low, high in pairwise(starts):
            found += _cut(text, low, high)
    return _with_words(text, found)


def _lines(text: str) -> Iterator[Span]:
    """Yield the lines of a text. A block of HTML (a list item, for example) is one of its own."""
    for line in _LINE.finditer(text):
        tags = _BLOCK.finditer(text, *line.span()) if "<" in line[0] else ()
        cuts = [tag.end() if tag[1] or tag[2] else tag.start() for tag in tags]
        yield from pairwise([line.start(), *cuts, line.end()])


def _ends(line: str, offset: int) -> list[int]:
    """Yield offsets at which one sentence of this line ends and another begins."""
    ends, start = [], 0
    for stop in _STOP.finditer(line):
        if stop.end() < len(line) and not _goes_on(line, start, stop):
            ends.append(offset + stop.end())
            start = stop.end()
    return ends


def _goes_on(line: str, start: int, stop: re.Match[str]) -> bool:
    """Return whether the sentence continues after this period."""
    if stop[0] not in (".", ".)"):
        return False
    if _NUMBER_ONLY.match(line[start : stop.start()]) and not line[start : stop.start()].strip().isalpha():
        return True  # "2." begins a list item
    word = _WORD_BEFORE.search(line, start, stop.start())
    before = word[0].lower() if word else ""
    rest = line[stop.end() :].lstrip()
    if before in _OPEN or (len(before) == 1 and before.isalpha() and before not in "ai"):
        return True
    return (before in _HALF or "." in before) and not rest[:1].isupper()


def _cut(text: str, start: int, end: int) -> list[Span]:
    """Return pieces of at most LONGEST words, cut at the clause boundary nearest the middle, else a comma, else
    anywhere.
    """
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
    """Return the spans without outer whitespace. One that says nothing is merged into the one before on its line; a
    line of them (a rule, the second row of a table, "Step 2" alone) is no sentence.
    """
    kept: list[Span] = []
    for start, end in spans:
        piece = text[start:end]
        start += len(piece) - len(piece.lstrip())
        end -= len(piece) - len(piece.rstrip())
        if not _EMPTY.fullmatch(_TAG.sub("", text[start:end])):
            kept.append((start, end))
        elif kept and start < end and "\n" not in text[kept[-1][1] : start]:
            kept[-1] = (kept[-1][0], end)
    return kept
