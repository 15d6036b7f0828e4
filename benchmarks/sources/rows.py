"""Rows of a release, each knowing where it stands: what is wrong with one is told with file, row and field."""

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
from .files import MEND, HubRows, SourceFile

LISTED = "A list of rows becomes lines with: jq -c '.[]' FILE\n"
PEEK = 1 << 12  # bytes, at the beginning of a file, that say which kind of JSON it holds
_WORD = re.compile(r"\w+")


@dataclass(frozen=True, slots=True)
class Row:
    values: Mapping[str, Any]
    where: str  # "…/dev.json, row 3"; rows count from 1, as an editor counts lines

    def wrong(self, field: str, problem: str) -> DataMalformed:
        return DataMalformed(f"{self.where}, field '{field}': {problem}.", MEND)

    def value(self, field: str) -> Any:
        if field not in self.values:
            raise self.wrong(field, "it is missing")
        return self.values[field]

    def text(self, field: str, blank: bool = False) -> str:
        """A text; with `blank`, an empty one too."""
        value = self.value(field)
        if not isinstance(value, str) or not (blank or value.strip()):
            raise self.wrong(field, f"a text is expected, not {reprlib.repr(value)}")
        return value

    def texts(self, field: str) -> tuple[str, ...]:
        """A list of texts, at least one."""
        value = self.value(field)
        if not isinstance(value, list) or not value:
            raise self.wrong(field, f"a list of texts is expected, not {reprlib.repr(value)}")
        for number, text in enumerate(value, start=1):
            if not isinstance(text, str):
                raise self.wrong(field, f"a list of texts is expected, but its entry {number} is {reprlib.repr(text)}")
        return tuple(value)

    def one_of(self, field: str, allowed: Sequence[str]) -> int:
        """The position of the field's value among those allowed."""
        value = self.value(field)
        if not isinstance(value, str) or value not in allowed:
            raise self.wrong(field, f"{reprlib.repr(value)} is none of {', '.join(allowed)}")
        return allowed.index(value)

    def index(self, field: str, first: int, count: int, why: str = "") -> int:
        """A whole number from `first` to `first + count - 1`, as a position from 0; `why` helps where it is none."""
        value = self.value(field)
        if isinstance(value, bool) or not isinstance(value, int) or not first <= value < first + count:
            raise self.wrong(field, f"{reprlib.repr(value)} is not from {first} to {first + count - 1}{why}")
        return value - first


def json_lines(file: SourceFile, limit: int | None = None) -> Iterator[Row]:
    """The objects of a JSON lines file, blank lines left out; only as much of it is read as is asked for."""
    rows = (_parsed(line, f"{file.origin}, row {number}") for number, line in file.lines() if line.strip())
    return itertools.islice(rows, limit)


def _parsed(line: str, where: str) -> Row:
    try:
        values = loads(line, constants=True)
    except json.JSONDecodeError as error:
        program = {"[": LISTED, "{": "Objects over several lines become one a line with: jq -c . FILE\n"}
        over_lines = error.pos >= len(line.rstrip())  # the line is fine as far as it goes
        hint = program.get(line.lstrip()[:1], "") if over_lines else ""
        raise DataMalformed(
            f"{where}: not JSON, from character {error.pos + 1} on: {error.msg}.", f"{hint}{MEND}"
        ) from error
    except ValueError as error:
        raise DataMalformed(f"{where}: not JSON: {error}.", MEND) from error
    return _object(values, where)


def _object(values: Any, where: str) -> Row:
    if isinstance(values, list):
        raise DataMalformed(f"{where}: an object is expected, not a list of {len(values):,}.", f"{LISTED}{MEND}")
    if not isinstance(values, dict):
        raise DataMalformed(f"{where}: an object is expected, not {reprlib.repr(values)}.", MEND)
    return Row(values, where)


def json_object(file: SourceFile) -> dict[str, Any]:
    """The one object that a JSON file holds."""
    values = json_value(file)
    if not isinstance(values, dict):
        raise DataMalformed(f"{file.origin}: an object is expected, not {reprlib.repr(values)}.", MEND)
    return values


def json_value(file: SourceFile) -> Any:
    try:
        return loads(file.text(), constants=True)
    except json.JSONDecodeError as error:
        raise DataMalformed(f"{file.origin}, line {error.lineno}: not JSON: {error.msg}.", MEND) from error
    except ValueError as error:
        raise DataMalformed(f"{file.origin}: not JSON: {error}.", MEND) from error


def csv_rows(file: SourceFile, fields: Sequence[str]) -> Iterator[Row]:
    """The records of a CSV file without a header (RFC 4180 quoting), their cells under the names in `fields`."""
    number = 0
    try:
        for line, cells in csv_records(file.lines()):
            number += 1
            if len(cells) != len(fields):
                columns = f"{len(fields)} columns are expected ({', '.join(fields)}), not {len(cells)}"
                hint = separator_hint(cells) or MEND
                raise DataMalformed(f"{file.origin}, row {number} (line {line}): {columns}.", hint)
            yield Row(dict(zip(fields, cells)), f"{file.origin}, row {number}")
    except BadLine as error:
        raise DataMalformed(f"{file.origin}, row {number + 1}: {error.problem}.", MEND) from error


def hub_rows(found: HubRows) -> Iterator[Row]:
    return (Row(values, f"{found.origin}, row {number}") for number, values in enumerate(found.rows, start=1))


def distinct(read: Callable[[Row], Item], rows: Iterable[Row]) -> tuple[Item, ...]:
    """The items of rows under ids of the release's own; raises DataMalformed where two share one."""
    items: dict[str, Item] = {}
    for row in rows:
        item = read(row)
        if item.id in items:
            raise row.wrong("id", f"'{item.id}' is in an earlier row too")
        items[item.id] = item
    return tuple(items.values())


def usable(read: Callable[[int, Row], Item], rows: Iterable[Row]) -> tuple[Item, ...]:
    """Examples for few-shot prompts: a row that is malformed is passed over, as nothing is scored on it."""
    items = []
    for number, row in enumerate(rows):
        try:
            items.append(read(number, row))
        except DataMalformed:
            continue
    return tuple(items)


def words(text: str) -> str:
    """A text's words in lower case, one space apart; what hashes are taken of, so it must never change."""
    return " ".join(_WORD.findall(text.casefold()))


def partial(found: int, official: int, noun: str = "items") -> str:
    """What a column's name says of a set that is not whole; empty for the whole set."""
    return "" if found == official else f"{found:,} of {official:,} {noun}"


def parquet_rows(file: SourceFile) -> Iterator[Row]:
    """Raises DataMalformed where it is no Parquet file."""
    import pyarrow

    buffer = pyarrow.BufferReader(file.bytes())
    try:
        import pyarrow.parquet

        rows = pyarrow.parquet.read_table(buffer).to_pylist()
    except pyarrow.ArrowException as error:
        raise DataMalformed(f"{file.origin} cannot be read: {error}", MEND) from error
    return (Row(values, f"{file.origin}, row {number}") for number, values in enumerate(rows, start=1))


def json_rows(file: SourceFile) -> Iterator[Row]:
    """A list of objects, or JSON lines under the name of JSON, as `datasets` writes them."""
    opening = next((piece.lstrip() for piece in file.pieces(PEEK) if piece.strip()), "")
    if not opening.startswith("["):
        return json_lines(file)
    rows = json_value(file)
    return (_object(values, f"{file.origin}, row {number}") for number, values in enumerate(rows, start=1))
