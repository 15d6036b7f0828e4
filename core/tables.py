"""Lines of text and rows of CSV from files that anyone may have written, within bounds and in words when wrong."""

from __future__ import annotations

import csv
from collections.abc import Iterator

from .json_text import MAX_LINE, Readable, bounded_lines

_BOM = b"\xef\xbb\xbf"
_WIDE = (b"\xff\xfe", b"\xfe\xff")
UTF16 = "UTF-16, not UTF-8"


class BadLine(ValueError):
    """A line that cannot be read; `number` counts from 1, as an editor does."""

    def __init__(self, number: int, problem: str) -> None:
        super().__init__(problem)
        self.number = number
        self.problem = problem


def text_lines(file: Readable) -> Iterator[tuple[int, str]]:
    """Lines with their numbers, line end included, a byte order mark at the start left out; never the whole file.

    Split at line feeds only: JSON text may hold other characters that Python takes for line ends. Raises BadLine for
    a line that is not UTF-8 or longer than MAX_LINE.
    """
    number = 0
    try:
        for number, line in enumerate(bounded_lines(file), start=1):
            if number == 1 and line.startswith(_WIDE):
                raise BadLine(1, UTF16)
            text = (line.removeprefix(_BOM) if number == 1 else line).decode("utf-8")
            yield number, text
    except UnicodeDecodeError as error:
        raise BadLine(number, f"not UTF-8: byte {error.start}") from error
    except BadLine:
        raise
    except ValueError as error:  # too long
        raise BadLine(number + 1, str(error)) from error


def csv_records(lines: Iterator[tuple[int, str]]) -> Iterator[tuple[int, list[str]]]:
    """Records of a CSV file (RFC 4180 quoting), each with the number of its last line; blank lines are left out.

    A cell may be as long as a line may be; Python's own limit of 131,072 characters is for its reader alone. Raises
    BadLine for what is not CSV.
    """
    number = 0

    def texts() -> Iterator[str]:
        nonlocal number
        for number, line in lines:
            if "\0" in line:
                raise BadLine(number, "it holds a NUL character, as UTF-16 read as UTF-8 does")
            yield line

    csv.field_size_limit(MAX_LINE)
    try:
        for cells in csv.reader(texts(), strict=True):
            if cells:
                yield number, cells
    except csv.Error as error:
        raise BadLine(number, f"not CSV: {error}") from error


def separator_hint(heading: list[str]) -> str:
    """What to do about a header that is one cell because commas do not separate this file's cells; "" if they do."""
    if len(heading) != 1:
        return ""
    for character, name in ((";", "semicolons"), ("\t", "tabs"), ("|", "bars")):
        if character in heading[0]:
            return f"Its cells seem to be separated by {name}; commas are expected. Save it as CSV with commas."
    return ""
