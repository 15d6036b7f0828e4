"""Answers that were saved before, scored as any model's: how a system is measured that medbench cannot run.

One JSON object a line, or a CSV file with a header: an item's id and one or more of

    text        what the system wrote
    prediction  for multiple choice: a label, an option's words, or a sentence that names one
    logprobs    log-probabilities (nats) of the options, a list in their order or an object by label or option; null is
                minus infinity

An empty text is an answer, in a CSV too; where there is none, the row is left out. `--map id=COLUMN,text=COLUMN` names
other columns; "a.b.0" goes into nested objects and lists. The `samples.jsonl` of a medbench run is read as it is.
"""

from __future__ import annotations

import csv
import dataclasses
import hashlib
import io
import json
import math
import reprlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from ..core import registry
from ..core.errors import UsageError
from ..core.types import Benchmark, ChoiceRequest, GenerateRequest, Item, ItemSet, ModelSpec, Output

FIELDS = ("id", "text", "prediction", "logprobs", "prompt")
ANSWERS = ("text", "prediction", "logprobs")
# Where the samples.jsonl of a run has them.
STORED = {
    "id": "output.item_id",
    "text": "output.text",
    "logprobs": "output.logprobs",
    "prompt": "output.prompt",
}
SUFFIXES = (".jsonl", ".csv")
SAMPLES = "samples.jsonl"
ROUNDING = 1e-6  # nats above 0 that arithmetic in float32 leaves
SHOWN = 16  # hexadecimal digits of a hash
NAMED = 3  # ids that a sentence names
NO_ANSWER = "no answer saved for this item"


@dataclass(frozen=True)
class Saved:
    """One row: what a system answered to one item. `where` says in words which row it is."""

    where: str
    text: str | None = None
    prediction: str | None = None
    logprobs: tuple[float, ...] | Mapping[str, float] | None = None
    prompt: str = ""


class ReplayEngine:
    """Gives back answers that were saved before: --model replay:FILE, or a folder with a file for each benchmark.

    `spec.location` is the path, `spec.options["map"]` what --map said. Nothing is computed, so nothing is timed.
    """

    measured = False
    remedy = "Add what is missing to the saved answers; the same command then makes a run of its own of them."

    def __init__(self, spec: ModelSpec) -> None:
        self.spec = spec
        self.path = Path(spec.location)
        self.columns = columns(str(spec.options.get("map", "")))
        self.notes: tuple[str, ...] = ()
        self.files = _files(self.path)
        self._saved: dict[str, Saved] | None = None
        self._choice = False  # whether the benchmark is multiple choice
        self._facts: dict[str, Any] = {}

    def about(self, benchmark: Benchmark, item_set: ItemSet) -> None:
        """Read what was saved for this benchmark; the revision is the hash of that. Raises UsageError."""
        self._read(benchmark.name)
        assert self._saved is not None
        self._choice = bool(item_set.items[0].options)
        items = {item.id: item for item in item_set.items}
        others = [item_id for item_id in self._saved if item_id not in items]
        named = ", ".join(others[:NAMED]) + (", …" if len(others) > NAMED else "")
        if len(others) == len(self._saved):
            raise UsageError(
                f"none of the {len(others)} answers in {self.path} belongs to an item of {benchmark.name}: {named}",
                f"Its ids look like {item_set.items[0].id}. Another column: --map id=COLUMN,text=COLUMN",
            )
        told = f"{len(others)} of {len(self._saved)} saved answers belong to no item of {benchmark.name}: {named}"
        self.notes = (told,) if others else ()
        self._facts = {"saved_answers": len(self._saved), "of_no_item": len(others)}
        mine = {item_id: saved for item_id, saved in self._saved.items() if item_id in items}
        if self._choice:
            mine = {item_id: _in_order(saved, items[item_id]) for item_id, saved in mine.items()}
        self._saved = mine

    def load(self) -> None:
        if self._saved is None:
            self._read("")

    def choose(self, requests: Sequence[ChoiceRequest]) -> Iterator[Output]:
        for request in requests:
            saved = self._of(request.item_id)
            if saved is None or not isinstance(saved.logprobs, tuple):
                yield _missing(request.item_id, saved, "log-probabilities")
                continue
            yield Output(request.item_id, prompt=saved.prompt, logprobs=saved.logprobs)

    def generate(self, requests: Sequence[GenerateRequest]) -> Iterator[Output]:
        for request in requests:
            saved = self._of(request.item_id)
            text = None if saved is None else self._text(saved)
            if saved is None or text is None:
                yield _missing(request.item_id, saved, "text")
                continue
            yield Output(request.item_id, prompt=saved.prompt, text=text, finish="stop")

    def cannot_choose(self, answers: Iterable[tuple[str, ...]]) -> str:
        """Multiple choice is by log-probability where each answer has them, or none has a text."""
        self.load()
        assert self._saved is not None
        lacking = [saved for saved in self._saved.values() if saved.logprobs is None]
        written = [saved for saved in self._saved.values() if self._text(saved) is not None]
        if not lacking or (len(lacking) < len(self._saved) and not written):
            return ""
        return f"{len(lacking)} of {len(self._saved)} saved answers have no log-probabilities"

    def chat(self, method: Literal["choose", "generate"]) -> str:
        return "as saved"  # how the system was asked is not known

    def describe(self) -> dict[str, Any]:
        return {"files": [str(file) for file in self.files], "map": self.spec.options.get("map", "")} | self._facts

    def peak_gpu_memory_bytes(self) -> int | None:
        return None

    def _of(self, item_id: str) -> Saved | None:
        self.load()
        assert self._saved is not None
        return self._saved.get(item_id)

    def _text(self, saved: Saved) -> str | None:
        return saved.prediction if self._choice and saved.prediction is not None else saved.text

    def _read(self, benchmark: str) -> None:
        """Read the files for a benchmark. Their content, the map, and in a folder their names make the revision."""
        self.files = _for_benchmark(_files(self.path), benchmark) if self.path.is_dir() else [self.path]
        total = hashlib.sha256(json.dumps(sorted(self.columns.items())).encode())
        found: dict[str, Saved] = {}
        for file in self.files:
            content = _content(file)
            name = file.name if len(self.files) > 1 else ""
            total.update(f"{name}\0{hashlib.sha256(content).hexdigest()}\n".encode())
            for item_id, saved in _rows(file, content, self.columns):
                if item_id in found:
                    raise UsageError(
                        f"two answers are saved for the item '{item_id}': {found[item_id].where} and {saved.where}.",
                        "Keep the one that counts.",
                    )
                found[item_id] = saved
        if not found:
            raise UsageError(f"{self.path} holds no answers.", _FORM)
        self._saved = found
        self.spec = dataclasses.replace(self.spec, revision=total.hexdigest()[:SHOWN])


_FORM = 'One JSON object a line: {"id": "…", "text": "…"}, or with "prediction" or "logprobs"; or a CSV with a header.'


def columns(text: str) -> dict[str, str]:
    """What --map says, by field: "id=qid,text=answer". Raises UsageError."""
    found: dict[str, str] = {}
    for part in filter(None, (part.strip() for part in text.split(","))):
        field, equals, column = (word.strip() for word in part.partition("="))
        if not equals or not column or field not in FIELDS:
            raise UsageError(
                f"--map {part}: {FIELDS[0]}=COLUMN is wanted, or another of {', '.join(FIELDS[1:])}.",
                "For example: --map id=question_id,text=response",
            )
        if field in found:
            raise UsageError(f"--map names the column of {field} twice: {found[field]} and {column}.")
        found[field] = column
    if found and not found.keys() & set(ANSWERS):
        raise UsageError(
            f"--map {text} does not say where the answers are.", f"Add one of {', '.join(ANSWERS)}: text=COLUMN"
        )
    return found


def _files(path: Path) -> list[Path]:
    """The file, or the files of a folder; of a run, its samples. Raises UsageError where there are none."""
    if path.is_file():
        if path.suffix.lower() not in SUFFIXES:
            raise UsageError(f"{path}: saved answers are in a file that ends in {' or '.join(SUFFIXES)}.", _FORM)
        return [path]
    if not path.is_dir():
        raise UsageError(f"there is no file or folder {path} of saved answers.", _FORM)
    if (path / SAMPLES).is_file():
        return [path / SAMPLES]
    found = sorted(file for file in path.iterdir() if file.suffix.lower() in SUFFIXES and file.is_file())
    if not found:
        raise UsageError(f"the folder {path} has no file that ends in {' or '.join(SUFFIXES)}.", _FORM)
    return found


def _for_benchmark(files: list[Path], benchmark: str) -> list[Path]:
    """The files named as the benchmark; where there are none, those that are named as no benchmark."""
    named = [file for file in files if file.stem == benchmark]
    known = set(registry.names("benchmarks")) if benchmark else set()
    found = named or [file for file in files if file.stem not in known]
    if not found:
        raise UsageError(
            f"{files[0].parent} has no answers to {benchmark}.", f"Save them there as {benchmark}{SUFFIXES[0]}."
        )
    return found


def _content(file: Path) -> bytes:
    try:
        return file.read_bytes()
    except OSError as error:
        raise UsageError(f"{file} cannot be read: {error.strerror or error}") from error


def _rows(file: Path, content: bytes, chosen: Mapping[str, str]) -> Iterator[tuple[str, Saved]]:
    """(item id, answer) of each row of a file. Raises UsageError naming the line of one that cannot be used."""
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        torn = content.count(b"\n", 0, error.start) + 1
        raise UsageError(f"{file}, line {torn}: not UTF-8.", "Save the file as UTF-8.") from error
    if file.suffix.lower() == ".csv":
        for number, row in _csv(file, text):
            where = f"{file.name}, line {number}"
            yield _row(row, f"{file}, line {number}", where, chosen)
        return
    # Split at line feeds only: JSON texts may hold other characters that Python takes for line ends.
    for number, line in enumerate(text.split("\n"), start=1):
        if not line.strip():
            continue
        try:
            values = json.loads(line)
        except (ValueError, RecursionError) as error:
            hint = _FORM
            if number == 1 and line.lstrip()[:1] in ("[", "{"):
                hint += f"\nA list in one JSON text becomes lines with: jq -c '.[]' {file}"
            raise UsageError(f"{file}, line {number}: not JSON: {error}", hint) from error
        if not isinstance(values, dict):
            raise UsageError(f"{file}, line {number}: an object is wanted, not {reprlib.repr(values)}.", _FORM)
        yield _row(values, f"{file}, line {number}", f"{file.name}, line {number}", chosen)


def _csv(file: Path, text: str) -> Iterator[tuple[int, dict[str, str]]]:
    reader = csv.reader(io.StringIO(text, newline=""), strict=True)
    heading: list[str] = []
    try:
        for cells in reader:
            if not heading:
                heading = cells
                continue
            if not cells:
                continue  # a blank line
            if len(cells) != len(heading):
                raise UsageError(
                    f"{file}, line {reader.line_num}: {len(cells)} cells under {len(heading)} headings "
                    f"({', '.join(heading)}).",
                    "A cell that holds a comma or a line's end stands in double quotes.",
                )
            yield reader.line_num, dict(zip(heading, cells, strict=True))
    except csv.Error as error:
        raise UsageError(f"{file}, line {reader.line_num}: not CSV: {error}") from error


def _row(values: Mapping[str, Any], place: str, where: str, chosen: Mapping[str, str]) -> tuple[str, Saved]:
    """One row's item id and answer; `place` names it in errors."""
    stored = not chosen and isinstance(values.get("item"), dict) and isinstance(values.get("output"), dict)
    if stored:
        known: Mapping[str, str] = STORED
    elif chosen:  # what is not named is not read: a column called logprobs may hold anything
        known = {"id": "id"} | dict(chosen)
    else:
        known = {field: field for field in FIELDS}
    found = {field: _at(values, column) for field, column in known.items()}
    needed = chosen.keys() | {"id"}
    absent = [known[field] for field in known if field in needed and found[field] is _ABSENT]
    if absent or all(found.get(field, _ABSENT) is _ABSENT for field in ANSWERS):
        lacks = f"no '{absent[0]}'" if absent else f"none of {', '.join(known[f] for f in ANSWERS if f in known)}"
        there = ", ".join(str(name) for name in list(values)[:12]) or "nothing"
        raise UsageError(
            f"{place}: it has {lacks}. It has: {there}.", "Say which columns to read: --map id=COLUMN,text=COLUMN"
        )
    # An empty text is an answer that says nothing, unless another column has the answer.
    filled = any(found.get(field, _ABSENT) not in (_ABSENT, None, "") for field in ANSWERS)
    for field in ANSWERS:
        if found.get(field) == "" and (filled or field == "logprobs"):
            found[field] = None
    item_id = found["id"]
    if isinstance(item_id, bool) or not isinstance(item_id, str | int) or item_id == "":
        raise UsageError(f"{place}: the id of an item is wanted, not {reprlib.repr(item_id)}.")

    def text(field: str) -> str | None:
        value = found.get(field, _ABSENT)
        if value is _ABSENT or value is None or isinstance(value, str):
            return value if isinstance(value, str) else None
        hint = f"One of its parts: --map id={known['id']},{field}={known[field]}.0" if isinstance(value, list) else ""
        if field == "prediction" and isinstance(value, int):
            hint = "An option is named by its label (A, B, …) or its words, not by its number."
        raise UsageError(f"{place}: '{known[field]}' should be a text, not {reprlib.repr(value)}.", hint)

    logprobs = _logprobs(found.get("logprobs", _ABSENT), f"{place}: '{known.get('logprobs')}'")
    saved = Saved(where, text("text"), text("prediction"), logprobs, text("prompt") or "")
    return str(item_id), saved


class _Absent:
    """What stands for a column that a row does not have; null is another thing."""


_ABSENT = _Absent()


def _at(values: Any, column: str) -> Any:
    """The value under a column's name or, where none is called so, at the end of its dotted path."""
    if isinstance(values, Mapping) and column in values:
        return values[column]
    name, dot, rest = column.partition(".")
    if isinstance(values, list) and name.isdecimal() and name.isascii() and len(name) < 6 and int(name) < len(values):
        return _at(values[int(name)], rest) if dot else values[int(name)]
    if dot and isinstance(values, Mapping) and name in values:
        return _at(values[name], rest)
    return _ABSENT


def _logprobs(value: Any, place: str) -> tuple[float, ...] | dict[str, float] | None:
    if value is _ABSENT or value is None:
        return None
    if isinstance(value, str):  # a cell of a CSV file
        try:
            value = json.loads(value)
        except (ValueError, RecursionError):
            raise UsageError(f"{place} should be a JSON list of numbers, not {reprlib.repr(value)}.") from None
    if isinstance(value, list) and value:
        return tuple(_logprob(each, place) for each in value)
    if isinstance(value, dict) and value:
        return {str(name): _logprob(each, place) for name, each in value.items()}
    raise UsageError(f"{place} should be one number for each option, as a list or by label, not {reprlib.repr(value)}.")


def _logprob(value: Any, place: str) -> float:
    if value is None:
        return -math.inf
    try:
        number = math.nan if isinstance(value, bool) or not isinstance(value, int | float) else float(value)
    except OverflowError:
        number = math.nan
    if math.isnan(number):
        raise UsageError(f"{place} holds {reprlib.repr(value)}, which is no log-probability.")
    if number > ROUNDING:
        raise UsageError(
            f"{place} holds {reprlib.repr(value)}: a log-probability is at most 0.",
            "Of a probability it is the natural logarithm; of logits, the log-softmax.",
        )
    return number


def _in_order(saved: Saved, item: Item) -> Saved:
    """With log-probabilities in the order of the item's options. Raises UsageError where there is not one for each."""
    values = saved.logprobs
    if isinstance(values, Mapping):
        for names in (item.answers, item.options):
            if set(names) == set(values):
                return dataclasses.replace(saved, logprobs=tuple(values[name] for name in names))
        raise UsageError(
            f"{saved.where}: log-probabilities of {', '.join(list(values)[:9])}; "
            f"the item {item.id} has {', '.join(item.answers)}.",
            "Name each of them once, by label or by its words.",
        )
    if values is not None and len(values) != len(item.options):
        raise UsageError(
            f"{saved.where}: {len(values)} log-probabilities for the {len(item.options)} options of the item "
            f"{item.id}.",
            "One for each option, in their order.",
        )
    return saved


def _missing(item_id: str, saved: Saved | None, what: str) -> Output:
    why = NO_ANSWER if saved is None else f"{NO_ANSWER}: {saved.where} has no {what}"
    return Output(item_id, finish="error", error=why)
