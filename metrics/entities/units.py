"""The lines, list items, headings and cells of a text, whether in plain text, Markdown, HTML, LaTeX or CSV."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

from .markup import EMOJI
from .wrapping import Line, unwrapped

PHRASE = 9  # words in an item that is read as part of a list; longer ones are sentences
WRAPPED = 45  # characters in a line that may continue on the next one


@dataclass(frozen=True, slots=True)
class Unit:
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
_BULLETS = "•‣◦⁃∙·●○■□▪▫►▶➤➢✓✔✗✘☐☑☒★☆◆◇"
_BREAK = re.compile(rf"\n|</?({_BLOCKS})\b[^<>]*>|(?<![{EMOJI}])[{EMOJI}]+(?=\s)|(?<=\s)[{_BULLETS}](?=\s)", re.I)
_MARKER = re.compile(
    rf"(?:[-*+–—{_BULLETS}{EMOJI}]|\(?(?:\d{{1,3}}|[A-Za-z]|[ivx]{{1,4}})\)|(?:\d{{1,3}}|[A-Za-z]|[ivx]{{1,4}})\.)(?:\s+|$)"
    rf"|\\item\b(?:\[[^\]\n]*\])?\s*|\d\ufe0f?\u20e3\s*|[{EMOJI}{_BULLETS}]+\s*"
)
_CHECKBOX = re.compile(r"\[[ xX✓✔]?\](?:\s+|$)")
_QUOTED = re.compile(r"(?:>\s?)+")
_HEADING = re.compile(r"#{1,6}\s+|#{2,6}")
_RULE = re.compile(
    r"(?:[-*_=~]\s*){3,}$|(?:```|~~~).*$|\[[^\]\n]+\]:\s+\S.*$|\\(?:begin|end)\{[a-z]+\*?\}(?:\[[^\]\n]*\])?$"
)
_TABLE_RULE = re.compile(r"\|?\s*:?-{2,}:?\s*(?:\|\s*:?-{2,}:?\s*)*\|?$")
_INLINE_DASHES = re.compile(r"(?<=[:.;,])\s+[-*]\s+(?=\S)|(?<!\s)\s+[-*]\s+(?=[A-Z(])")
_FIELD = r'(?:"(?P<quoted>[^"\n]*(?:""[^"\n]*)*)"|(?P<bare>[^",\s][^",\n]{0,40}|))'
_CSV_FIELD = re.compile(rf"{_FIELD}(?:,|$)")
_CSV = re.compile(r'(?:[^",\s][^",\n]{0,40}|"[^"\n]*"|)(?:,(?:[^",\s][^",\n]{0,40}|"[^"\n]*"|))+$')
ENDED = re.compile(r"""[.!?]["')\]*_]*$""")


def units(text: str) -> list[Unit]:
    """Return the units of a text, in order."""
    return _short_lines(text, [unit for line in unwrapped(text, _lines(text)) for unit in _parts(text, line)])


def _lines(text: str) -> list[Line]:
    found: list[Line] = []
    paragraph, start, tag = 0, 0, ""
    below = False  # whether the line before ends at this one
    for stop in [*_BREAK.finditer(text), None]:
        end = stop.start() if stop else len(text)
        line = text[start:end].strip()
        if line.strip("> "):
            apart = _is_rule(line) or line.count("|") > 1 or line[0] in "|#"
            found.append(Line(start, end, tag, paragraph, below and not apart and tag == "\n", _is_marked(line)))
            below = not apart
        elif tag == "\n":
            paragraph += 1
            below = False
        if stop:
            start, broken = stop.end(), stop[0]
            tag = "\n" if broken == "\n" else "•" if broken[0] != "<" else (stop[1] or "").lower()
            below = below and broken == "\n"
            if (broken[0] == "<" and tag in ("p", "div", "ul", "ol", "table")) or tag[:1] == "h":
                paragraph += 1
    return found


def _is_rule(line: str) -> bool:
    return bool(_RULE.match(line) or (_TABLE_RULE.match(line) and "-" in line))


def _is_marked(line: str) -> bool:
    """Return whether a line begins with a list marker."""
    quote = _QUOTED.match(line)
    at = quote.end() if quote else 0
    match = _MARKER.match(line, at) or _CHECKBOX.match(line, at) or _HEADING.match(line, at)
    return match is not None and not _no_marker(line, match, len(line))


def _parts(text: str, whole: Line) -> Iterator[Unit]:
    """Yield the units of one line or HTML block."""
    start, end, tag, paragraph = whole.start, whole.end, whole.tag, whole.paragraph
    line = text[start:end]
    if _is_rule(line.strip()):
        return
    depth = len(line) - len(line.lstrip())
    at = start + depth
    end = start + len(line.rstrip().removesuffix("\\"))  # a line break of Markdown
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
    elif '"' in line and _CSV.match(text, at, end):
        for field in _CSV_FIELD.finditer(text, at, end):
            yield from _pieces(
                text, *field.span("quoted" if field["quoted"] is not None else "bare"), None, "cell", start, paragraph
            )
    elif len(_INLINE_DASHES.findall(text, at, end)) >= 2:
        yield from _pieces(text, at, end, _INLINE_DASHES, "item", depth, paragraph)
    else:
        yield from _pieces(text, at, end, None, kind, depth, paragraph)


_CELL = re.compile(r"(?<!\\)\|")
_NUMBER = re.compile(r"\W*(?:\d{1,3}\W*)?|No\.?")  # of a row
_INITIAL = re.compile(r"[A-Za-z]\.\s")


def _no_marker(text: str, match: re.Match[str], end: int) -> bool:
    """Return whether this begins a sentence: "5. " does not, but "E. coli" and "5 mg" do, and so does a lone number."""
    return bool(_INITIAL.match(match[0])) and text[match.end() : match.end() + 1].islower()


def _pieces(
    text: str, start: int, end: int, at: re.Pattern[str] | None, kind: str, depth: int, paragraph: int
) -> Iterator[Unit]:
    cuts = [match.span() for match in at.finditer(text, start, end)] if at else []
    lows, highs = [start, *(high for _, high in cuts)], [*(low for low, _ in cuts), end]
    for index, (low, high) in enumerate(zip(lows, highs)):
        piece = text[low:high]
        low += len(piece) - len(piece.lstrip())
        high -= len(piece) - len(piece.rstrip())
        first = at is _INLINE_DASHES and index == 0 and low == start and kind == "item"
        if low < high and not (kind == "cell" and _NUMBER.fullmatch(piece.strip())):
            yield Unit(low, high, "prose" if first else kind, depth, paragraph)


def _short_lines(text: str, units: list[Unit]) -> list[Unit]:
    """Return the units with lines that are phrases, one below the other, as list items."""
    found = list(units)
    for index, unit in enumerate(units):
        said = text[unit.start : unit.end]
        if unit.kind != "prose" or not is_phrase(said) or len(said) >= WRAPPED or said.endswith(":"):
            continue
        beside = [each for each in units[max(0, index - 1) : index + 2] if each is not unit and each.kind == "prose"]
        if any(is_phrase(text[each.start : each.end]) or text[each.start : each.end].endswith(":") for each in beside):
            found[index] = Unit(unit.start, unit.end, "item", unit.depth, unit.paragraph)
    return found


def is_phrase(said: str) -> bool:
    said = said.rstrip(",;")
    return not ENDED.search(said) and said.count(" ") < PHRASE and ". " not in said and ": " not in said
