"""A text as prose: what a pipeline reads instead of Markdown, HTML, lists, tables, odd characters and capitals.

Pipelines are trained on running text, and miss in a list or a table what they find in a sentence. So list items and
cells become phrases or sentences of a running text, without markup. Every character keeps its place in the original,
so that mentions can be shown there.
"""

from __future__ import annotations

import functools
import re
from bisect import bisect_right
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise

from .characters import Edit, edits, folded, in_capitals, lowered, without_capitals
from .markup import has_markup, markup, without_hidden
from .units import ENDED, WRAPPED, Unit, is_phrase, units
from .wrapping import begins_sentence, breaks


@dataclass(frozen=True, slots=True)
class Lead:
    """Words that introduce a list ("It does not cause:"), and the list, in characters of the prose."""

    start: int
    end: int
    list_end: int


@dataclass(frozen=True, slots=True)
class Prose:
    """A text as running text. `pieces` are (place here, start, end in the original), in order."""

    text: str
    pieces: tuple[tuple[int, int, int], ...]
    leads: tuple[Lead, ...]

    def original(self, start: int, end: int) -> tuple[int, int]:
        """Return the span of the original text that is read as the characters `start` to `end`."""
        return self._place(start)[0], self._place(end - 1)[1]

    def here(self, start: int, end: int) -> tuple[int, int] | None:
        """Return where the characters `start` to `end` of the original are read; None if they are not, or not whole."""
        index = bisect_right(self.pieces, start, key=lambda piece: piece[1]) - 1
        while index >= 0:
            place, low, high = self.pieces[index]
            if low < high:
                return (place + start - low, place + end - low) if end <= high else None
            index -= 1
        return None

    def _place(self, at: int) -> tuple[int, int]:
        index = bisect_right(self.pieces, at, key=lambda piece: piece[0]) - 1
        place, start, end = self.pieces[index]
        after = self.pieces[index + 1][0] if index + 1 < len(self.pieces) else len(self.text)
        return (start + at - place, start + at - place + 1) if after - place == end - start else (start, end)


@functools.lru_cache(maxsize=1 << 12)
def prose(text: str) -> Prose:
    """Return a text as running text."""
    plain = without_hidden(folded(text))
    read = units(plain)
    whole = len(read) == 1 and read[0].end - read[0].start == len(text) and "\n" not in plain
    if whole and not has_markup(plain) and not any(edits(plain)):
        return Prose(_cased(plain, read, 0), ((0, 0, len(text)),), ())
    return _written(plain, read)


def _written(text: str, units: Sequence[Unit]) -> Prose:
    parts: list[str] = []
    pieces: list[tuple[int, int, int]] = []
    places: list[tuple[int, int]] = []
    length = 0

    def put(said: str, start: int, end: int) -> None:
        nonlocal length
        if said:
            parts.append(said)
            pieces.append((length, start, end))
            length += len(said)

    changed = list(_merged([*edits(text), *(edit for unit in units for edit in _inside(text, unit))]))
    widths: dict[int, int] = {}
    for unit in units:
        widths[unit.paragraph] = max(widths.get(unit.paragraph, 0), unit.end - unit.start)
    next_ = 0
    for index, unit in enumerate(units):
        cased, first, first_part = _cased(text, units, index), length, len(parts)
        at = unit.start
        while next_ < len(changed) and changed[next_].start < unit.end:
            edit = changed[next_]
            next_ += 1
            if edit.end > at:  # it may begin in what is no part of the unit: "#######"
                low = max(edit.start, at)
                put(cased[at - unit.start : low - unit.start], at, low)
                put(edit.text, low, edit.end)
                at = edit.end
        put(cased[at - unit.start :], at, unit.end)
        places.append((first, length))
        said = "".join(parts[first_part:]).strip()
        if said and index + 1 < len(units):
            put(_between(text, said, unit, units[index + 1], widths[unit.paragraph]), unit.end, unit.end)
    return Prose("".join(parts), tuple(pieces), tuple(_leads(text, units, places)))


def _inside(text: str, unit: Unit) -> Iterator[Edit]:
    yield from breaks(text, unit.start, unit.end)
    yield from markup(text, unit.start, unit.end)


def _merged(changed: Iterable[Edit]) -> Iterator[Edit]:
    """Yield edits in order, without those inside another."""
    done = 0
    for edit in sorted(changed, key=lambda edit: (edit.start, -edit.end)):
        if edit.start >= done:
            yield edit
            done = edit.end


def _cased(text: str, units: Sequence[Unit], index: int) -> str:
    """Return the words of a unit with the case that prose would give them."""
    unit = units[index]
    said = text[unit.start : unit.end]
    if in_capitals(said) or (said.isupper() and unit.kind != "prose" and _among_capitals(text, units, index)):
        return lowered(said) if unit.kind != "prose" else _sentence_case(lowered(said))
    return without_capitals(said) if unit.kind in ("item", "cell") and is_phrase(said.split(":")[0]) else said


def _among_capitals(text: str, units: Sequence[Unit], index: int) -> bool:
    beside = units[max(0, index - 1) : index + 2]
    return any(in_capitals(text[unit.start : unit.end]) for unit in beside if unit is not units[index])


def _sentence_case(said: str) -> str:
    return re.sub(r"(?:^|[.!?]\s+)[a-z]", lambda match: match[0].upper(), said)


def _between(text: str, said: str, unit: Unit, after: Unit, width: int) -> str:
    """Return what is written between two units: a comma in a list of phrases, a period between sentences.

    `width` is that of the widest line in the paragraph.
    """
    if ENDED.search(said):
        return " "
    listed = after.kind in ("item", "cell")
    if said[-1:] in (",", ";", ":"):
        return " "
    if unit.kind == after.kind == "cell" and unit.depth != after.depth:
        return "; "
    if listed and unit.kind == after.kind and all(is_phrase(text[u.start : u.end]) for u in (unit, after)):
        return ", "
    if listed and unit.kind in ("heading", "prose"):
        return ": "
    wrapped = unit.kind == after.kind == "prose" and unit.paragraph == after.paragraph
    new = begins_sentence(text, unit.start, unit.end, after.start, width)
    return " " if wrapped and unit.end - unit.start >= WRAPPED and not new else ". "


def _leads(text: str, units: Sequence[Unit], places: Sequence[tuple[int, int]]) -> Iterator[Lead]:
    """Yield the lead of every list: a line that is no item, or an item above deeper ones."""
    for index, (unit, after) in enumerate(pairwise(units)):
        if after.kind != "item" or (unit.kind in ("item", "cell") and after.depth <= unit.depth):
            continue
        last = index + 1
        while last + 1 < len(units) and units[last + 1].kind == "item":
            if unit.kind == "item" and units[last + 1].depth <= unit.depth:
                break
            last += 1
        yield Lead(*places[index], places[last][1])
