"""Read lines of text and rows of CSV from untrusted files, with limits and readable errors."""

from __future__ import annotations

import csv
from collections.abc import Iterator

from .json_text import MAX_LINE, Readable, bounded_lines

_BOM = b"\xef\xbb\xbf"
_WIDE = (b"\xff\xfe", b"\xfe\xff")
UTF16 = "UTF-16, not UTF-8"


class BadLine(ValueError):
    """A line that cannot be read. `number` counts from 1, as in an editor."""

    def __init__(self, number: int, problem: str) -> None:
        super().__init__(problem)
        self.number = number
        self.problem = problem


def text_lines(file: Readable) -> Iterator[tuple[int, str]]:
    """Yield lines with their numbers, line end included, without a byte order mark; never reads the whole file.

    Lines are split at line feeds only: JSON text may contain other characters that Python treats as line ends. Raises
    BadLine for a line that is not UTF-8 or longer than MAX_LINE.
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
    """Yield records of a CSV file (RFC 4180 quoting), each with the number of its last line, without blank lines.

    A cell may be as long as a line. Python's own limit of 131,072 characters applies to its reader alone. Raises
    BadLine for invalid CSV.
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
    """Return what to do if a header is a single cell because this file is not separated by commas, or ""."""
    if len(heading) != 1:
        return ""
    for character, name in ((";", "semicolons"), ("\t", "tabs"), ("|", "bars")):
        if character in heading[0]:
            return f"Its cells seem to be separated by {name}; commas are expected. Save it as CSV with commas."
    return ""
