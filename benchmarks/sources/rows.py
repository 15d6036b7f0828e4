"""Rows of a release. Each knows its location, so that errors name file, row and field."""

from __future__ import annotations

import itertools
import json
import re
import reprlib
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ...core.errors import DataMalformed
from ...core.json_text import loads
from ...core.tables import BadLine, csv_records, separator_hint
from ...core.types import Item
from .files import FETCH_AGAIN, HubRows, SourceFile

LISTED = "To turn a list of rows into lines: jq -c '.[]' FILE\n"
PEEK = 1 << 12  # bytes at the start of a file that show which kind of JSON it is
_WORD = re.compile(r"\w+")


@dataclass(frozen=True, slots=True)
class Row:
    values: Mapping[str, Any]
    where: str  # "…/dev.json, row 3"; rows count from 1, as an editor counts lines

    def wrong(self, field: str, problem: str) -> DataMalformed:
        return DataMalformed(f"{self.where}, field '{field}': {problem}.", FETCH_AGAIN)

    def value(self, field: str) -> Any:
        if field not in self.values:
            raise self.wrong(field, "it is missing")
        return self.values[field]

    def text(self, field: str, blank: bool = False) -> str:
        """Return a string; with `blank`, it may be empty."""
        value = self.value(field)
        if not isinstance(value, str) or not (blank or value.strip()):
            raise self.wrong(field, f"a text is expected, not {reprlib.repr(value)}")
        return value

    def words(self, field: str) -> str:
        """Return a text or a number as text: tables keep numbers as either."""
        value = self.value(field)
        if isinstance(value, bool) or not isinstance(value, str | int | float) or not str(value).strip():
            raise self.wrong(field, f"a text or a number is expected, not {reprlib.repr(value)}")
        return str(value).strip()

    def texts(self, field: str) -> tuple[str, ...]:
        """Return a list of strings, at least one."""
        value = self.value(field)
        if not isinstance(value, list) or not value:
            raise self.wrong(field, f"a list of texts is expected, not {reprlib.repr(value)}")
        for number, text in enumerate(value, start=1):
            if not isinstance(text, str):
                raise self.wrong(field, f"a list of texts is expected, but its entry {number} is {reprlib.repr(text)}")
        return tuple(value)

    def one_of(self, field: str, allowed: Sequence[str]) -> int:
        """Return the index of the field's value among `allowed`."""
        value = self.value(field)
        if not isinstance(value, str) or value not in allowed:
            raise self.wrong(field, f"{reprlib.repr(value)} is not one of {', '.join(allowed)}")
        return allowed.index(value)

    def index(self, field: str, first: int, count: int, why: str = "") -> int:
        """Return a whole number from `first` to `first + count - 1` as an index from 0. `why` is added to the error."""
        value = self.value(field)
        if isinstance(value, bool) or not isinstance(value, int) or not first <= value < first + count:
            raise self.wrong(field, f"{reprlib.repr(value)} is not from {first} to {first + count - 1}{why}")
        return value - first


def json_lines(file: SourceFile, limit: int | None = None) -> Iterator[Row]:
    """Yield the objects of a JSON lines file, without blank lines. Stops reading after `limit` rows."""
    rows = (_parsed(line, f"{file.origin}, row {number}") for number, line in file.lines() if line.strip())
    return itertools.islice(rows, limit)


def _parsed(line: str, where: str) -> Row:
    try:
        values = loads(line, constants=True)
    except json.JSONDecodeError as error:
        program = {"[": LISTED, "{": "To put each object on one line: jq -c . FILE\n"}
        over_lines = error.pos >= len(line.rstrip())  # the line is valid JSON that continues
        hint = program.get(line.lstrip()[:1], "") if over_lines else ""
        raise DataMalformed(
            f"{where}: not JSON, from character {error.pos + 1} on: {error.msg}.", f"{hint}{FETCH_AGAIN}"
        ) from error
    except ValueError as error:
        raise DataMalformed(f"{where}: not JSON: {error}.", FETCH_AGAIN) from error
    return _object(values, where)


def _object(values: Any, where: str) -> Row:
    if isinstance(values, list):
        raise DataMalformed(f"{where}: an object is expected, not a list of {len(values):,}.", f"{LISTED}{FETCH_AGAIN}")
    if not isinstance(values, dict):
        raise DataMalformed(f"{where}: an object is expected, not {reprlib.repr(values)}.", FETCH_AGAIN)
    return Row(values, where)


def json_object(file: SourceFile) -> dict[str, Any]:
    """Return the single object in a JSON file."""
    values = json_value(file)
    if not isinstance(values, dict):
        raise DataMalformed(f"{file.origin}: an object is expected, not {reprlib.repr(values)}.", FETCH_AGAIN)
    return values


def json_value(file: SourceFile) -> Any:
    try:
        return loads(file.text(), constants=True)
    except json.JSONDecodeError as error:
        raise DataMalformed(f"{file.origin}, line {error.lineno}: not JSON: {error.msg}.", FETCH_AGAIN) from error
    except ValueError as error:
        raise DataMalformed(f"{file.origin}: not JSON: {error}.", FETCH_AGAIN) from error


def csv_rows(file: SourceFile, fields: Sequence[str]) -> Iterator[Row]:
    """Yield the records of a CSV file without a header (RFC 4180 quoting), with `fields` as the cell names."""
    number = 0
    try:
        for line, cells in csv_records(file.lines()):
            number += 1
            if len(cells) != len(fields):
                columns = f"{len(fields)} columns are expected ({', '.join(fields)}), not {len(cells)}"
                hint = separator_hint(cells) or FETCH_AGAIN
                raise DataMalformed(f"{file.origin}, row {number} (line {line}): {columns}.", hint)
            yield Row(dict(zip(fields, cells)), f"{file.origin}, row {number}")
    except BadLine as error:
        raise DataMalformed(f"{file.origin}, row {number + 1}: {error.problem}.", FETCH_AGAIN) from error


def headed_rows(file: SourceFile) -> Iterator[Row]:
    """Yield the records of a CSV file whose first record names the columns. A short record lacks its last fields."""
    number = 0
    names: list[str] | None = None
    try:
        for line, cells in csv_records(file.lines()):
            if names is None:
                names = [cell.strip() for cell in cells]
                if len(names) == 1 and (hint := separator_hint(names)):
                    raise DataMalformed(f"{file.origin} has one column.", hint)
                if twice := [name for name in filter(None, names) if names.count(name) > 1]:
                    raise DataMalformed(f"{file.origin} has two columns called '{twice[0]}'.", FETCH_AGAIN)
                continue
            number += 1
            if len(cells) > len(names):
                columns = f"{len(cells)} cells under {len(names)} column names"
                raise DataMalformed(f"{file.origin}, row {number} (line {line}): {columns}.", FETCH_AGAIN)
            yield Row(dict(zip(names, cells)), f"{file.origin}, row {number}")
    except BadLine as error:
        raise DataMalformed(f"{file.origin}, row {number + 1}: {error.problem}.", FETCH_AGAIN) from error


def sheet_rows(file: SourceFile) -> Iterator[Row]:
    """Yield the rows of an Excel workbook's first sheet, whose first row names the columns. Empty cells are missing."""
    import io

    import openpyxl

    try:
        book = openpyxl.load_workbook(io.BytesIO(file.bytes()), read_only=True, data_only=True)
        rows = list(book.worksheets[0].iter_rows(values_only=True))
    except DataMalformed:
        raise
    except Exception as error:  # a damaged workbook raises what its zip, XML or styles raise
        raise DataMalformed(f"{file.origin} cannot be read as an Excel file: {error}", FETCH_AGAIN) from error
    names = [str(cell).strip() if cell is not None else "" for cell in (rows[0] if rows else ())]
    for number, cells in enumerate(rows[1:], start=2):
        found = {name: cell for name, cell in zip(names, cells) if name and cell is not None}
        if found:
            yield Row(found, f"{file.origin}, row {number}")


def hub_rows(found: HubRows) -> Iterator[Row]:
    return (Row(values, f"{found.origin}, row {number}") for number, values in enumerate(found.rows, start=1))


def distinct(read: Callable[[Row], Item], rows: Iterable[Row]) -> tuple[Item, ...]:
    """Return the items of rows, whose ids are the release's own. Raises DataMalformed for a repeated id."""
    items: dict[str, Item] = {}
    for row in rows:
        item = read(row)
        if item.id in items:
            raise row.wrong("id", f"'{item.id}' is in an earlier row too")
        items[item.id] = item
    return tuple(items.values())


def usable(read: Callable[[int, Row], Item], rows: Iterable[Row]) -> tuple[Item, ...]:
    """Return examples for few-shot prompts. Malformed rows are skipped, because nothing is scored on them."""
    items = []
    for number, row in enumerate(rows):
        try:
            items.append(read(number, row))
        except DataMalformed:
            continue
    return tuple(items)


def words(text: str) -> str:
    """Return a text's words in lowercase, separated by one space. Hashes are computed from it, so it must never
    change.
    """
    return " ".join(_WORD.findall(text.casefold()))


def partial(found: int, official: int, noun: str = "items") -> str:
    """Return the variant name of a set that is not complete; "" if it is."""
    return "" if found == official else f"{found:,} of {official:,} {noun}"


def parquet_rows(file: SourceFile) -> Iterator[Row]:
    """Return the rows of a Parquet file. Raises DataMalformed if it is not one."""
    import pyarrow

    buffer = pyarrow.BufferReader(file.bytes())
    try:
        import pyarrow.parquet

        rows = pyarrow.parquet.read_table(buffer).to_pylist()
    except pyarrow.ArrowException as error:
        raise DataMalformed(f"{file.origin} cannot be read: {error}", FETCH_AGAIN) from error
    return (Row(values, f"{file.origin}, row {number}") for number, values in enumerate(rows, start=1))


def json_rows(file: SourceFile) -> Iterator[Row]:
    """Return the rows of a JSON file: a list of objects, or JSON lines in a .json file, as `datasets` writes them."""
    opening = next((piece.lstrip() for piece in file.pieces(PEEK) if piece.strip()), "")
    if not opening.startswith("["):
        return json_lines(file)
    rows = json_value(file)
    return (_object(values, f"{file.origin}, row {number}") for number, values in enumerate(rows, start=1))
