"""A text as prose: what a pipeline reads instead of Markdown, HTML, lists, tables, odd characters and capitals.

Pipelines are trained on running text, and miss in a list or a table what they find in a sentence. So list items and
cells become phrases or sentences of a running text, without markup. Every character keeps its place in the original,
so that mentions can be shown there.
"""

from __future__ import annotations

import functools
import re
from bisect import bisect_right
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise

from .characters import Edit, edits, folded, in_capitals, lowered, without_capitals

PHRASE = 9  # words in an item that is read as part of a list; longer ones are sentences
WRAPPED = 45  # characters in a line that may continue on the next one


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
    plain = folded(text)
    units = _units(plain)
    whole = len(units) == 1 and units[0].end - units[0].start == len(text)
    if whole and not _INLINE.search(plain) and not any(edits(plain)):
        return Prose(_cased(plain, units, 0), ((0, 0, len(text)),), ())
    return _written(plain, units)


# Units: lines, list items and cells


@dataclass(frozen=True, slots=True)
class _Unit:
    """A line, list item or cell: characters `start` to `end`. `kind` is prose, heading, item or cell.

    `depth` is the indentation, or of a cell its row.
    """

    start: int
    end: int
    kind: str
    depth: int = 0
    paragraph: int = 0  # units of one have no blank line between them


_BLOCKS = (
    "address|article|aside|blockquote|body|br|caption|center|dd|details|div|dl|dt|figure|footer|form|h[1-6]|head|header"
)
_BLOCKS += "|hr|html|li|main|nav|ol|p|pre|section|summary|table|tbody|td|tfoot|th|thead|title|tr|ul"
_EMOJI = "\u2600-\u27bf\u2b00-\u2bff\u25a0-\u25ff\u2460-\u24ff\U0001f000-\U0001faff"
_BULLETS = "•‣◦⁃∙·●○■□▪▫►▶➤➢✓✔✗✘☐☑☒★☆◆◇"
_BREAK = re.compile(rf"\n|</?({_BLOCKS})\b[^<>]*>|\s*(?:[{_EMOJI}]|(?<=\s)[{_BULLETS}](?=\s))+(?=\s)", re.I)
_MARKER = re.compile(
    rf"(?:[-*+–—{_BULLETS}{_EMOJI}]|\(?(?:\d{{1,3}}|[A-Za-z]|[ivx]{{1,4}})\)|(?:\d{{1,3}}|[A-Za-z]|[ivx]{{1,4}})\.)(?:\s+|$)"
    rf"|\d\ufe0f?\u20e3\s*|[{_EMOJI}{_BULLETS}]+\s*"
)
_CHECKBOX = re.compile(r"\[[ xX✓✔]?\](?:\s+|$)")
_QUOTED = re.compile(r"(?:>\s?)+")
_HEADING = re.compile(r"#{1,6}\s+|#{2,6}")
_RULE = re.compile(r"\s*(?:[-*_=~]\s*){3,}$|\s*(?:```|~~~).*$|\s*\[[^\]\n]+\]:\s+\S.*$")
_TABLE_RULE = re.compile(r"\s*\|?\s*:?-{2,}:?\s*(?:\|\s*:?-{2,}:?\s*)*\|?\s*$")
_INLINE_DASHES = re.compile(r"(?:(?<=:)|(?<=[.;,]))\s+[-*]\s+(?=\S)|\s+[-*]\s+(?=[A-Z(])")
_ENDED = re.compile(r"""[.!?]["')\]*_]*$""")


def _units(text: str) -> list[_Unit]:
    found: list[_Unit] = []
    paragraph, start, tag = 0, 0, ""
    for stop in [*_BREAK.finditer(text), None]:
        end = stop.start() if stop else len(text)
        if text[start:end].strip():
            found += _parts(text, start, end, tag, paragraph)
        elif tag == "\n":
            paragraph += 1
        if stop:
            start, broken = stop.end(), stop[0]
            tag = "\n" if broken == "\n" else "•" if broken[0] != "<" else (stop[1] or "").lower()
            if (broken[0] == "<" and tag in ("p", "div", "ul", "ol", "table")) or tag[:1] == "h":
                paragraph += 1
    return _short_lines(text, found)


def _parts(text: str, start: int, end: int, tag: str, paragraph: int) -> Iterator[_Unit]:
    """Yield the units of one line or HTML block."""
    line = text[start:end]
    if _RULE.match(line) or (_TABLE_RULE.match(line) and "-" in line):
        return
    depth = len(line) - len(line.lstrip())
    at = start + depth
    kind = {"li": "item", "•": "item", "dt": "item", "dd": "item", "td": "cell", "th": "cell"}.get(tag, "prose")
    if tag[:1] == "h" and tag[1:].isdigit():
        kind = "heading"
    for pattern, becomes in ((_QUOTED, kind), (_HEADING, "heading"), (_MARKER, "item"), (_CHECKBOX, "item")):
        if match := pattern.match(text, at, end):
            if pattern is _MARKER and (kind == "heading" or _no_marker(text, match, end)):
                kind = kind if kind == "heading" else "prose"
                at = match.end() if kind == "heading" else at
                continue
            at, kind = match.end(), becomes
    if text.count("|", at, end) >= 2 or text[at : at + 1] == "|":
        yield from _pieces(text, at, end, _CELL, "cell", start, paragraph)
    elif len(_INLINE_DASHES.findall(text, at, end)) >= 2:
        yield from _pieces(text, at, end, _INLINE_DASHES, "item", depth, paragraph)
    else:
        yield from _pieces(text, at, end, None, kind, depth, paragraph)


_CELL = re.compile(r"(?<!\\)\|")
_NUMBER = re.compile(r"\W*\d{0,3}\W*|No\.?")  # of a row
_INITIAL = re.compile(r"[A-Za-z]\.\s")


def _no_marker(text: str, match: re.Match[str], end: int) -> bool:
    """Return whether this begins a sentence: "5. " does not, but "E. coli" and "5 mg" do, and so does a lone number."""
    return bool(_INITIAL.match(match[0])) and text[match.end() : match.end() + 1].islower()


def _pieces(
    text: str, start: int, end: int, at: re.Pattern[str] | None, kind: str, depth: int, paragraph: int
) -> Iterator[_Unit]:
    cuts = [match.span() for match in at.finditer(text, start, end)] if at else []
    lows, highs = [start, *(high for _, high in cuts)], [*(low for low, _ in cuts), end]
    for index, (low, high) in enumerate(zip(lows, highs)):
        piece = text[low:high]
        low += len(piece) - len(piece.lstrip())
        high -= len(piece) - len(piece.rstrip())
        first = at is _INLINE_DASHES and index == 0 and low == start and kind == "item"
        if low < high and not (kind == "cell" and _NUMBER.fullmatch(piece.strip())):
            yield _Unit(low, high, "prose" if first else kind, depth, paragraph)


def _short_lines(text: str, units: list[_Unit]) -> list[_Unit]:
    """Return the units with lines that are phrases, one below the other, as list items."""
    found = list(units)
    for index, unit in enumerate(units):
        said = text[unit.start : unit.end]
        if unit.kind != "prose" or not _is_phrase(said) or len(said) >= WRAPPED or said.endswith(":"):
            continue
        beside = [each for each in units[max(0, index - 1) : index + 2] if each is not unit and each.kind == "prose"]
        if any(_is_phrase(text[each.start : each.end]) or text[each.start : each.end].endswith(":") for each in beside):
            found[index] = _Unit(unit.start, unit.end, "item", unit.depth, unit.paragraph)
    return found


def _is_phrase(said: str) -> bool:
    said = said.rstrip(",;")
    return not _ENDED.search(said) and said.count(" ") < PHRASE and ". " not in said and ": " not in said


# Writing


_TAGS = (
    "a|abbr|b|big|cite|code|em|font|i|img|ins|kbd|label|mark|q|samp|small|span|strong|sub|sup|tt|u|var|wbr|input|button"
)
_INLINE = re.compile(
    rf"""(?P<gone><!--.*?-->|~~[^~\n]+~~|<(?P<struck>del|s|strike)\b[^<>]*>.*?</(?P=struck)>|!\[[^\]\n]*\]\([^()\n]*\))
    |(?P<tag></?(?:{_TAGS})\b[^<>]*>)
    |(?P<note>\[\^?\d{{1,3}}(?:\s?[,-]\s?\d{{1,3}})*\])
    |\[(?P<link>[^\[\]\n]*)\]\((?P<to>[^()\s]*(?:\([^()]*\)[^()\s]*)*(?:\s+"[^"]*")?)\)
    |(?P<url>(?:https?://|www\.)[^\s<>()\]]+|<\S+@\S+>)
    |(?P<stars>\*+|_+|`+)
    |\\(?=[*_\[\]()#>|`~.-])
    |[{_EMOJI}]
    |\s{{2,}}""",
    re.I | re.X | re.S,
)


def _markup(text: str, start: int, end: int) -> Iterator[Edit]:
    """Yield the markup inside a unit, as what is read instead."""
    for match in _INLINE.finditer(text, start, end):
        if match["link"] is not None:
            low, high = match.span("link")
            yield Edit(match.start(), low, "")
            yield from _markup(text, low, high)
            yield Edit(high, match.end(), "")
        elif match["stars"]:
            if not _is_text(text, *match.span()):
                yield Edit(*match.span(), "")
        elif match[0].isspace():
            yield Edit(*match.span(), " ")
        else:
            yield Edit(*match.span(), "")


def _is_text(text: str, start: int, end: int) -> bool:
    """Return whether stars or underscores are no emphasis: "2 * 3", "5*3", "a_b"."""
    before, after = text[start - 1 : start] or " ", text[end : end + 1] or " "
    if text[start] == "_":
        return before.isalnum() and after.isalnum()
    return text[start] == "*" and ((before.isspace() and after.isspace()) or (before.isdigit() and after.isdigit()))


def _written(text: str, units: Sequence[_Unit]) -> Prose:
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

    changed = list(_merged([*edits(text), *(e for unit in units for e in _markup(text, unit.start, unit.end))]))
    next_ = 0
    for index, unit in enumerate(units):
        cased, first = _cased(text, units, index), length
        at = unit.start
        while next_ < len(changed) and changed[next_].start < unit.end:
            edit = changed[next_]
            next_ += 1
            if edit.start >= at:
                put(cased[at - unit.start : edit.start - unit.start], at, edit.start)
                put(edit.text, edit.start, edit.end)
                at = edit.end
        put(cased[at - unit.start :], at, unit.end)
        places.append((first, length))
        if index + 1 < len(units):
            put(_between(text, "".join(parts[-3:]), unit, units[index + 1]), unit.end, unit.end)
    return Prose("".join(parts), tuple(pieces), tuple(_leads(text, units, places)))


def _merged(changed: Sequence[Edit]) -> Iterator[Edit]:
    """Yield edits in order, without those inside another."""
    done = 0
    for edit in sorted(changed):
        if edit.start >= done:
            yield edit
            done = edit.end


def _cased(text: str, units: Sequence[_Unit], index: int) -> str:
    """Return the words of a unit with the case that prose would give them."""
    unit = units[index]
    said = text[unit.start : unit.end]
    if in_capitals(said) or (said.isupper() and unit.kind != "prose" and _among_capitals(text, units, index)):
        return lowered(said) if unit.kind != "prose" else _sentence_case(lowered(said))
    return without_capitals(said) if unit.kind in ("item", "cell") and _is_phrase(said.split(":")[0]) else said


def _among_capitals(text: str, units: Sequence[_Unit], index: int) -> bool:
    beside = units[max(0, index - 1) : index + 2]
    return any(in_capitals(text[unit.start : unit.end]) for unit in beside if unit is not units[index])


def _sentence_case(said: str) -> str:
    return re.sub(r"(?:^|[.!?]\s+)[a-z]", lambda match: match[0].upper(), said)


def _between(text: str, said: str, unit: _Unit, after: _Unit) -> str:
    """Return what is written between two units: a comma in a list of phrases, a period between sentences."""
    said = said.rstrip()
    if _ENDED.search(said):
        return " "
    listed = after.kind in ("item", "cell")
    if said[-1:] in (",", ";", ":"):
        return " "
    if unit.kind == after.kind == "cell" and unit.depth != after.depth:
        return "; "
    if listed and unit.kind == after.kind and all(_is_phrase(text[u.start : u.end]) for u in (unit, after)):
        return ", "
    if listed and unit.kind in ("heading", "prose"):
        return ": "
    wrapped = unit.kind == after.kind == "prose" and unit.paragraph == after.paragraph
    if wrapped and unit.end - unit.start >= WRAPPED:
        return " "
    return ". "


def _leads(text: str, units: Sequence[_Unit], places: Sequence[tuple[int, int]]) -> Iterator[Lead]:
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
