"""Names in narrow columns: their lines break at spaces, and otherwise only after a sign, as in smollm2-135m@tiny."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator

from rich.cells import cell_len
from rich.console import Console, ConsoleOptions, RenderResult
from rich.measure import Measurement

_WORD = re.compile(r"\S+\s*")
_PIECE = re.compile(r"[^@_/:+-]*[@_/:+-]+|[^@_/:+-]+")
LONGEST = 24  # columns of a piece of a name that is kept whole


class Names:
    """A cell of a table, with rich's markup. A piece that is wider than the column is folded."""

    def __init__(self, markup: str) -> None:
        self.markup = markup

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        for line in console.render_str(self.markup).split("\n", allow_blank=True):
            for part in line.divide(_breaks(line.plain, options.max_width)):
                part.rstrip()
                yield part

    def __rich_measure__(self, console: Console, options: ConsoleOptions) -> Measurement:
        plain = console.render_str(self.markup).plain
        widest = max(map(cell_len, plain.split("\n")))
        return Measurement(longest_piece([plain]), widest).with_maximum(options.max_width)


def longest_piece(names: Iterable[str]) -> int:
    """Return the columns that the longest piece of these names needs, LONGEST at most."""
    pieces = (piece for name in names for word in name.split() for piece in _PIECE.findall(word))
    return min(LONGEST, max(map(cell_len, pieces), default=0))


def _breaks(line: str, width: int) -> Iterator[int]:
    """Yield where new lines begin: before a word that would not fit, else before a piece of one that never would."""
    start = 0
    for word in _WORD.finditer(line):
        if cell_len(line[start : word.end()].rstrip()) <= width:
            continue
        if word.start() > start:
            start = word.start()
            yield start
        for piece in _PIECE.finditer(line, word.start(), word.end()):
            if piece.start() > start and cell_len(line[start : piece.end()].rstrip()) > width:
                start = piece.start()
                yield start
