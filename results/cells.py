"""What a table shows of a figure: one function for terminal, report, HTML, LaTeX and Markdown.

A table lays out the parts in its own way, side by side or below each other; it formats no number itself. CSV, JSON and
DataFrames have the same figures unrounded (`export.rows`).
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from ..core.types import Figure
from .board import Cell

NONE = "–"  # no run, or no value
MARKS = {"best": "★", "tied": "≈", "worse": "▼", "": ""}
GB = 1e9  # bytes
SHORT = {  # headings of measured figures, whose cells say the unit
    "throughput_tokens_per_s": "tokens/s",
    "latency_p50_s": "latency p50",
    "latency_p95_s": "latency p95",
    "peak_rss_bytes": "peak RSS",
    "peak_gpu_memory_bytes": "peak GPU",
}
FEW_REQUESTS = 3  # requests from which on a latency needs no remark


@dataclass(frozen=True, slots=True)
class CellText:
    """The parts of a cell, each "" if there is nothing to say."""

    value: str  # with its unit: "0.612", "1.25 GB"
    bare: str  # in the unit of a column's heading, without it: "1.25"
    low: str = ""  # ends of the 95% interval
    high: str = ""
    n: str = ""  # "n 37 of 50" or, of another number of items than the table's, "n 37"
    partial: bool = False  # not every item is scored
    mark: str = ""  # of the test within the column
    sign: str = ""  # of a footnote
    amount: float | None = None  # the value in the unit of a column's heading, to sort and plot by

    @property
    def figure(self) -> str:
        """Value, interval and n in one line: "0.612 [0.570, 0.653] (n 37 of 50)"."""
        interval = f" [{self.low}, {self.high}]" if self.low else ""
        return self.value + interval + (f" ({self.n})" if self.n else "")

    @property
    def text(self) -> str:
        """All parts in one line."""
        return " ".join(filter(None, [self.figure, self.sign, self.mark]))


def cell_text(cell: Cell | None, asked: int | None = None, sign: str = "", places: int = 3) -> CellText:
    """Return what a table shows of a cell.

    `asked`: how many answers the table is of; `places`: decimals of the interval.
    """
    if cell is None or cell.figure is None:
        return CellText(NONE, NONE, sign=sign)
    figure = cell.figure
    value = number(figure.value, figure.unit)
    n = f"n {figure.n} of {figure.total}" if figure.n < figure.total else ""
    if not n and asked not in (None, figure.n):
        n = f"n {figure.n}"
    if figure.value is None:
        return CellText(value, NONE, n=n, partial=figure.n < figure.total, sign=sign)
    amount = figure.value / GB if figure.unit == "bytes" else figure.value
    bare = value if not figure.unit else f"{amount:.2f}" if figure.unit == "bytes" else f"{amount:.3g}"
    ends = (figure.low, figure.high) if figure.low is not None and figure.high is not None else ()
    low, high = (number(end, figure.unit, places) for end in ends) if ends else ("", "")
    partial = figure.n < figure.total
    return CellText(value, bare, low, high, n, partial, MARKS[cell.status], sign, amount)


def number(value: float | None, unit: str, places: int = 3) -> str:
    """Return a value as in tables: shares and scores to three decimals, bytes as GB or MB, the rest to three digits."""
    if value is None:
        return NONE
    if unit == "":
        return f"{value:.{places}f}"
    if unit == "bytes":
        return f"{value / GB:.2f} GB" if value >= GB else f"{value / 1e6:.0f} MB"
    return f"{value:.3g} {unit}" if abs(value) < 1000 else f"{value:.0f} {unit}"


def figure_text(figure: Figure, asked: int | None = None) -> str:
    """Return a figure in one line: "0.612 [0.570, 0.653] (n 37 of 50)".

    If it is of another number of items than `asked`, that number is shown too.
    """
    return cell_text(Cell(figure), asked).figure


def few_requests(latencies: Iterable[Cell | None]) -> str:
    """Return a note on the latencies of a table that were measured on one or two requests; "" if there are none."""
    counts = [cell.figure.n for cell in latencies if cell and cell.figure and cell.figure.value is not None]
    few = [n for n in counts if n < FEW_REQUESTS]
    if not few:
        return ""
    verb = "was" if len(few) == 1 else "were"
    which = "Latency was" if len(few) == len(counts) else f"{len(few)} of {len(counts)} latencies {verb}"
    least, most = min(few), max(few)
    requests = "a single request" if most == 1 else "two requests" if least == 2 else "one or two requests"
    return f"{which} measured on {requests}; to time more, run again with --latency-items 5."
