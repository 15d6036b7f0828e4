"""What marks deny: a cross or an empty box before a line, and the cells of a table ("Rash | No")."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from html.parser import HTMLParser

Cell = tuple[int, int]  # start and end in characters

_CROSSED = re.compile(r"^[ \t>*+\d.)-]*[❌✗✘✖🚫]\ufe0f?\s*(?P<what>\S.*)$", re.M)
_BOX = re.compile(r"^[ \t>]*[-*+] \[(?P<tick>[ xX✓✔])\] (?P<what>\S.*)$", re.M)
_RULE = re.compile(r"[\s|:-]*-[\s|:-]*")
_BAR = re.compile(r"(?<!\\)\|")
# Headings of columns whose cells are denied …
_DENYING = re.compile(
    r"(?:myths?|misconceptions?|absent|negatives?|excluded|ruled out|(?:is |are |does |do )?not (?:\w+ ?){1,3}|"
    r"(?:does|do)(?:n't| not) cause|unrelated|never)",
    re.I,
)
# … and of those that tell whether the first cell of the row is so.
_TELLING = re.compile(
    r"\b(?:present|seen|found|occurs|typical|associated|linked|included|true|reported|observed|results?|status|"
    r"yes ?/ ?no)\b"
    r"|\b(?:caus\w+|symptoms?|signs?|side effects?|evidence|leads? to|has it|does it|occur)\b.*\?",
    re.I,
)
_NO = re.compile(r"\W*(?:no|none|never|absent|false|not (?:seen|found|present|typical|true)|myth|[✗✘❌✖-])\W*", re.I)
_MARKS = re.compile(r"[*_`\s:]+")


def denied(text: str) -> Iterator[Cell]:
    """Yield the characters of the original text that a mark says are not so."""
    for match in _CROSSED.finditer(text):
        yield match.span("what")
    boxes = list(_BOX.finditer(text))
    if any(match["tick"] != " " for match in boxes):
        yield from (match.span("what") for match in boxes if match["tick"] == " ")
    for heading, *rows in (*_tables(text), *_html_tables(text)):
        yield from _in_table(text, heading, rows)


def _in_table(text: str, heading: Sequence[Cell], rows: Sequence[Sequence[Cell]]) -> Iterator[Cell]:
    names = [_MARKS.sub(" ", text[start:end]).strip() for start, end in heading]
    for row in rows:
        for at, ((start, end), name) in enumerate(zip(row, names)):
            if _DENYING.fullmatch(name.rstrip("? ")):
                yield start, end
            elif at and _TELLING.search(name) and _NO.fullmatch(text[start:end]):
                yield row[0]


def _tables(text: str) -> Iterator[list[list[Cell]]]:
    """Yield the rows of each table in Markdown, its heading first."""
    if text.count("|") < 4:
        return
    rows: list[list[Cell]] = []
    headed, start = False, 0
    for line in [*text.splitlines(keepends=True), ""]:
        if "|" not in line:
            if headed:
                yield rows
            rows, headed = [], False
        elif _RULE.fullmatch(line):
            rows, headed = rows[-1:], bool(rows)
        else:
            rows.append(_cells(line, start))
        start += len(line)


def _cells(line: str, offset: int) -> list[Cell]:
    bars = [match.start() for match in _BAR.finditer(line)]
    lows, highs = [0, *(bar + 1 for bar in bars)], [*bars, len(line)]
    spans = [(low, high) for low, high in zip(lows, highs)]
    if line.lstrip().startswith("|"):
        spans = spans[1:]
    if line.rstrip().endswith("|"):
        spans = spans[:-1]
    return [(offset + low, offset + high) for low, high in spans]


class _Rows(HTMLParser):
    """Collects the cells of tables by where they are in the text."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self._lines = [0, *(match.end() for match in re.finditer("\n", text))]
        self.tables: list[list[list[Cell]]] = []
        self._open = -1
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: object) -> None:
        if tag == "table":
            self.tables.append([])
        elif tag == "tr" and self.tables:
            self.tables[-1].append([])
        elif tag in ("td", "th"):
            self._open = self._place() + len(self.get_starttag_text() or "")

    def handle_endtag(self, tag: str) -> None:
        if tag in ("td", "th") and self._open >= 0 and self.tables and self.tables[-1]:
            self.tables[-1][-1].append((self._open, self._place()))
            self._open = -1

    def _place(self) -> int:
        line, column = self.getpos()
        return self._lines[line - 1] + column


def _html_tables(text: str) -> Iterator[list[list[Cell]]]:
    if "<table" in text.lower():
        yield from (table for table in _Rows(text).tables if table)
