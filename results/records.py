"""Records as lines of JSON, and records whose long texts stay on disk until they are used.

A table of 100,000 answers needs the id, gold answer and choice of each, not the prompts, abstracts and answers
themselves, which would fill the memory. What `stored` returns can be used like any record: long texts are read from
its line when they are used.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ..core.errors import DataMalformed
from ..core.json_text import loads
from ..core.typed import check_fields
from ..core.types import Criterion, Item, Output, Record, Score, Target, Turn

ITEM_PARTS: Mapping[str, type] = {"turns": Turn, "target": Target, "criteria": Criterion}  # fields that hold objects
RECORD = "record"  # in a line of scores: the hash of the record that was scored
KEPT = 80  # longest text, in characters, that stays in memory, because dropping it would save nothing


def encode(record: Record) -> dict[str, Any]:
    """Return a record as JSON, without fields that have their default value.

    In `logprobs`, null means minus infinity (an option with probability 0), which JSON cannot express. An output with a
    log-probability of NaN or plus infinity is stored as a failure of the engine.
    """
    output = _sound(record.output)
    answer = compact(output)
    if output.logprobs is not None:
        answer["logprobs"] = [None if value == -math.inf else float(value) for value in output.logprobs]
    return {"item": compact(record.item), "output": answer}


def decode(value: Any) -> Record:
    """Return the record in one JSON line. Raises ValueError naming the field if it is not a record."""
    try:
        item, output = dict(value["item"]), value["output"]
        check_fields(Item, item, "item.")
        for name in ("options", "labels", "references"):
            if name in item:
                item[name] = tuple(item[name])
        for name, kind in ITEM_PARTS.items():
            if name in item:
                item[name] = _parts(item[name], kind, f"item.{name}")
        record = Record(Item(**item), decode_output(output))
    except KeyError as error:
        raise ValueError(f"the field {error} is missing") from error
    except TypeError as error:
        raise ValueError(f"not a record: {error}") from error
    if record.item.id != record.output.item_id:
        raise ValueError(f"item.id is {record.item.id!r} but output.item_id is {record.output.item_id!r}")
    return record


def plain(value: Any) -> Any:
    """Return turns, criteria or a target as JSON values, without fields that have their default value."""
    if isinstance(value, tuple):
        return [plain(each) for each in value]
    fields = dataclasses.fields(value)
    return {f.name: getattr(value, f.name) for f in fields if getattr(value, f.name) != f.default}


def _parts(value: Any, kind: Any, where: str) -> Any:
    """The reverse of `plain`. Raises ValueError or TypeError for anything else."""
    if isinstance(value, list):
        return tuple(_parts(each, kind, f"{where}[{at}]") for at, each in enumerate(value))
    if value is None:
        return None
    check_fields(kind, value, f"{where}.")
    return kind(**{name: tuple(held) if isinstance(held, list) else held for name, held in value.items()})


def contradiction(record: Record) -> str:
    """Return how a record contradicts itself, which no run stores; "" if it does not."""
    item, logprobs = record.item, record.output.logprobs
    if item.gold is not None and not 0 <= item.gold < len(item.options):
        return f"item.gold is {item.gold}, of {len(item.options)} options"
    if item.labels and len(item.labels) != len(item.options):
        return f"there are {len(item.labels)} labels for {len(item.options)} options"
    if logprobs is not None and len(logprobs) != len(item.answers):
        return f"there are {len(logprobs)} log-probabilities for {len(item.answers)} options"
    return ""


def decode_output(value: Any) -> Output:
    """Return the output in one JSON object. Raises ValueError or TypeError if it is not an output."""
    fields = dict(value)
    if isinstance(logprobs := fields.get("logprobs"), list):
        fields["logprobs"] = tuple(-math.inf if each is None else each for each in logprobs)
    check_fields(Output, fields, "output.")
    return Output(**fields)


def _sound(output: Output) -> Output:
    for index, value in enumerate(output.logprobs or ()):
        if math.isnan(value) or value == math.inf:
            error = f"the log-probability of option {index + 1} is {value}"
            return dataclasses.replace(output, logprobs=None, finish="error", error=error)
    return output


_DEFAULTS: dict[type, list[tuple[str, Any]]] = {
    kind: [
        (f.name, f.default if f.default_factory is dataclasses.MISSING else f.default_factory())
        for f in dataclasses.fields(kind)
    ]
    for kind in (Item, Output, Score)
}


def compact(value: Item | Output | Score) -> dict[str, Any]:
    """Return the fields that differ from their default value, as JSON values."""
    kind = next(kind for kind in (Item, Output, Score) if isinstance(value, kind))
    fields = {name: getattr(value, name) for name, default in _DEFAULTS[kind] if getattr(value, name) != default}
    if "meta" in fields:
        fields["meta"] = dict(fields["meta"])
    for name in ITEM_PARTS:
        if name in fields:
            fields[name] = plain(fields[name])
    return fields


def encode_score(score: Score, record_hash: str) -> dict[str, Any]:
    """Return a score as JSON, with the hash of the scored record, without fields that have their default."""
    return compact(score) | {RECORD: record_hash}


class Lines:
    """The lines of a run's samples, read one at a time by their position in bytes. The last one is remembered."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._last: tuple[int, Record] | None = None  # replaced as a whole, because several threads may read

    def record(self, start: int) -> Record:
        """Return the record at a position. Raises DataMalformed if the file changed since its records were read."""
        last = self._last
        if last is not None and last[0] == start:
            return last[1]
        try:
            with self.path.open("rb") as file:
                file.seek(start)
                found = decode(loads(file.readline()))
        except (OSError, ValueError) as error:
            raise DataMalformed(
                f"{self.path} was changed while it was read: {error}", "Run the same command again."
            ) from error
        self._last = start, found
        return found


class StoredItem(Item):
    """An item without its long texts, which are read from its line when they are used."""

    __slots__ = ("_lines", "_start")
    _lines: Lines
    _start: int

    def __getattr__(self, name: str) -> Any:
        if name not in _ITEM:
            raise AttributeError(f"'Item' object has no attribute '{name}'")
        return getattr(self._lines.record(self._start).item, name)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Item) and all(getattr(self, name) == getattr(other, name) for name in _ITEM)

    __hash__ = Item.__hash__


class StoredOutput(Output):
    """An output without its long texts, which are read from its line when they are used."""

    __slots__ = ("_lines", "_start")
    _lines: Lines
    _start: int

    def __getattr__(self, name: str) -> Any:
        if name not in _OUTPUT:
            raise AttributeError(f"'Output' object has no attribute '{name}'")
        return getattr(self._lines.record(self._start).output, name)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Output) and all(getattr(self, name) == getattr(other, name) for name in _OUTPUT)

    __hash__ = Output.__hash__


_ITEM = tuple(f.name for f in dataclasses.fields(Item))
_OUTPUT = tuple(f.name for f in dataclasses.fields(Output))


def stored(record: Record, lines: Lines, start: int, shared: dict[Any, Any]) -> Record:
    """Return `record`, which begins at byte `start` of `lines`, without its long texts. It equals `record`.

    `shared` keeps one copy of values that several records of a run have in common, such as options or a subject.
    """
    item = _light(StoredItem, record.item, _ITEM, lines, start, shared)
    output = _light(StoredOutput, record.output, _OUTPUT, lines, start, shared)
    object.__setattr__(output, "item_id", item.id)
    return Record(item, output)


def _light(kind: Any, whole: Item | Output, names: tuple[str, ...], lines: Lines, start: int, shared: Any) -> Any:
    made = object.__new__(kind)
    put = object.__setattr__  # the classes are frozen
    put(made, "_lines", lines)
    put(made, "_start", start)
    for name in names:
        value = getattr(whole, name)
        if isinstance(value, str):
            if len(value) > KEPT:
                continue
        elif name in ("options", "labels", "references"):
            if sum(map(len, value)) > KEPT and name == "references":
                continue
            value = shared.setdefault(value, value)
        elif name in ("turns", "criteria") and value:
            continue
        elif name == "meta":
            value = shared.setdefault(("meta", *value.items()), value)
        put(made, name, value)
    return made
