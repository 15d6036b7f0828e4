"""Answers that were saved before, as they are in files: from a path and --map to rows.

One JSON object a line, or a CSV file with a header: an item's id and one or more of

    text        what the system wrote
    prediction  for multiple choice: a label, an option's words, or a sentence that names one
    logprobs    log-probabilities (nats) of the options, a list in their order or an object by label or option; null is
                minus infinity

and, if known, how the text ended (`finish`: "stop", or "length" at the limit of new tokens) and what the model wrote
before it (`reasoning`).

An empty text is an answer, in a CSV too; without an answer, leave the row out or write null. `--map
id=COLUMN,text=COLUMN` names other columns; "a.b.0" goes into nested objects and lists, and a null on the way is no
answer. The `samples.jsonl` of a medbench run is read as it is, and its seals are checked.
"""

from __future__ import annotations

import contextlib
import hashlib
import math
import reprlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO, Literal

from ..core.errors import UsageError
from ..core.json_text import MAX_LINE, loads
from ..core.seals import Chain, flaw
from ..core.tables import BadLine, csv_records, separator_hint, text_lines
from .server.replies import CUT

ABOUT = ("finish", "reasoning")  # of the text
FIELDS = ("id", "text", "prediction", "logprobs", "prompt", *ABOUT)
ANSWERS = ("text", "prediction", "logprobs")
# Where the samples.jsonl of a run has them.
STORED = {
    "id": "output.item_id",
    "text": "output.text",
    "logprobs": "output.logprobs",
    "prompt": "output.prompt",
    "finish": "output.finish",
    "reasoning": "output.reasoning",
}
SUFFIXES = (".jsonl", ".csv")
SAMPLES = "samples.jsonl"
MANIFEST = "manifest.json"
ROUNDING = 1e-6  # nats above 0 that arithmetic in float32 leaves
COLUMNS_NAMED = 12
FILES_NAMED = 6
AS_THEY_ARE = "To score these lines as they are, marked as changed: --map id=output.item_id,text=output.text"
_FORM = 'One JSON object a line: {"id": "…", "text": "…"}, or with "prediction" or "logprobs"; or a CSV with a header.'


@dataclass(frozen=True)
class Saved:
    """One row: what a system answered to one item. `where` says in words which row it is."""

    where: str
    text: str | None = None
    prediction: str | None = None
    logprobs: tuple[float, ...] | Mapping[str, float] | None = None
    prompt: str = ""
    finish: Literal["stop", "length"] = "stop"
    reasoning: str = ""
    question: str | None = None  # of the item, in the samples of a run
    lacks: str = ""  # the column on whose path this row ends early
    split: bool = False  # its text was already split from its reasoning
    reasoning_tokens: int = 0


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


def answer_files(path: Path) -> list[Path]:
    """The file itself, or the files of a folder; of a run, its samples. Raises UsageError if there are none."""
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


def file_for(path: Path, benchmark: str) -> Path:
    """The file with the answers to a benchmark: the path itself or, in a folder, the one named as the benchmark.

    No other file of a folder is taken for it: its ids may fit, and its answers would be to other questions. Raises
    UsageError naming the file that is wanted and those that are there.
    """
    files = answer_files(path)
    if path.is_file() or files[0].name == SAMPLES:
        return files[0]
    named = [file for file in files if file.stem == benchmark]
    if len(named) == 1:
        return named[0]
    if named:
        raise UsageError(
            f"the folder {path} has two files of answers to {benchmark}: {' and '.join(file.name for file in named)}.",
            "Keep one of them, or name the file: --model replay:FILE",
        )
    there = ", ".join(file.name for file in files[:FILES_NAMED]) + (", …" if len(files) > FILES_NAMED else "")
    raise UsageError(
        f"the folder {path} has no answers to {benchmark}: {benchmark}{SUFFIXES[0]} is wanted; there are {there}.",
        f"Save them as {benchmark}{SUFFIXES[0]}. If they are in one of the files that are there, name that file: "
        f"--model replay:{files[0]}",
    )


class Seals:
    """The seals of a run's samples, checked line by line. `changes` holds a sentence for each change.

    In the run's own folder the lines must be all that the run stored, in order. A copy elsewhere may be a selection of
    them, so each line is checked by itself.
    """

    def __init__(self, file: Path) -> None:
        self.file = file
        self.changes: list[str] = []
        self.lines = 0
        self._chain: Chain | None = None
        self._stored: dict[str, Any] = {}  # what the manifest knows of the samples
        if file.name == SAMPLES:
            # Without a manifest that can be read, each line is checked by itself.
            with (
                contextlib.suppress(OSError, ValueError, LookupError, TypeError, AttributeError),
                (file.parent / MANIFEST).open("rb") as opened,
            ):
                manifest = loads(opened.read(MAX_LINE))
                self._stored = dict(manifest.get("checkpoint", {}))
                self._chain = Chain.of(str(manifest["run_id"]), SAMPLES, self._stored.get("unsealed") == 0)

    def check(self, number: int, text: str, item_id: str) -> None:
        line = text.encode()
        self.lines += 1
        problem = self._chain.read(line)[1] if self._chain else flaw(line)
        if not problem and self._chain and self.lines == self._stored.get("lines"):
            differs = self._chain.seal.decode() != self._stored.get("seal")
            problem = f"its seal is not the one in {MANIFEST}" if differs and not self.changes else ""
        if problem:
            self.changes.append(f"{self.file}, line {number} (item '{item_id}'): {problem}")

    def end(self) -> None:
        stored = self._stored.get("lines")
        if isinstance(stored, int) and self.lines < stored:
            self.changes.append(f"{self.file} ends after line {self.lines}, but {stored} lines were stored")

    def told(self) -> str:
        """The first change, and how many more there are."""
        more = len(self.changes) - 1
        return self.changes[0] + (f" (and {more} more like it)" if more > 0 else "")


class Digest:
    """A file read once for its lines and its SHA-256."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self._hash = hashlib.sha256()

    def readline(self, limit: int) -> bytes:
        line = self._file.readline(limit)
        self._hash.update(line)
        return line

    def hexdigest(self) -> str:
        return self._hash.hexdigest()


def read(file: Path, chosen: Mapping[str, str]) -> tuple[dict[str, Saved], str, str]:
    """Return the answers of a file by item id, the SHA-256 of its content, and what was changed in it.

    Samples of a run that were changed are read only where --map names their columns. Raises UsageError naming file and
    line.
    """
    seals = Seals(file)
    found: dict[str, Saved] = {}
    early: list[Saved] = []
    try:
        with file.open("rb") as opened:
            digest = Digest(opened)
            for item_id, saved in _rows(file, digest, chosen, seals):
                if item_id in found:
                    raise UsageError(
                        f"two answers are saved for the item '{item_id}': {found[item_id].where} and {saved.where}.",
                        "Keep the one that counts.",
                    )
                found[item_id] = saved
                early += [saved] if saved.lacks else []
    except BadLine as error:
        hint = "Save the file as UTF-8." if "UTF-" in error.problem else _FORM
        raise UsageError(f"{file}, line {error.number}: {error.problem}.", hint) from error
    except OSError as error:
        raise UsageError(f"{file} cannot be read: {error.strerror or error}") from error
    seals.end()
    if seals.changes and not chosen:
        raise UsageError(f"{seals.told()}.", f"Restore that file. {AS_THEY_ARE}")
    if not found:
        raise UsageError(f"{file} holds no answers.", _FORM)
    if len(early) == len(found):  # then it is no failed request, but a wrong path
        raise UsageError(
            f"{file.parent / early[0].where}: it has no '{early[0].lacks}', and neither has any other row.",
            "Say which columns to read: --map id=COLUMN,text=COLUMN",
        )
    return found, digest.hexdigest(), seals.told() if seals.changes else ""


def _rows(file: Path, content: Digest, chosen: Mapping[str, str], seals: Seals) -> Iterator[tuple[str, Saved]]:
    lines = text_lines(content)
    if file.suffix.lower() == ".csv":
        for number, values in _csv(file, csv_records(lines)):
            yield _row(values, f"{file}, line {number}", f"{file.name}, line {number}", chosen)
        return
    for number, line in lines:
        if not line.strip():
            continue
        at = f"{file}, line {number}"
        listed = number == 1 and line.lstrip()[:1] == "["
        hint = f"{_FORM}\nA list in one JSON text becomes lines with: jq -c '.[]' {file}" if listed else _FORM
        try:
            values = loads(line, constants=True)
        except ValueError as error:
            pretty = number == 1 and line.strip() == "{"
            hint = f"{_FORM}\nTo put each object on one line: jq -c . {file}" if pretty else hint
            raise UsageError(f"{at}: not JSON: {error}.", hint) from error
        if not isinstance(values, dict):
            what = "a JSON list of all rows" if isinstance(values, list) else reprlib.repr(values)
            raise UsageError(f"{at}: an object is wanted on each line, not {what}.", hint)
        item_id, saved = _row(values, at, f"{file.name}, line {number}", chosen)
        if isinstance(values.get("item"), dict) and isinstance(values.get("output"), dict):
            seals.check(number, line, item_id)
        yield item_id, saved


def _csv(file: Path, records: Iterator[tuple[int, list[str]]]) -> Iterator[tuple[int, dict[str, str]]]:
    heading: list[str] = []
    for number, cells in records:
        if not heading:
            heading = cells
            if hint := separator_hint(heading):
                raise UsageError(f"{file}, line {number}: one column under one heading: {heading[0]}.", hint)
            if twice := [name for name in dict.fromkeys(heading) if heading.count(name) > 1]:
                raise UsageError(f"{file}, line {number}: two columns are called '{twice[0]}'.", "Rename one of them.")
            continue
        if len(cells) != len(heading):
            raise UsageError(
                f"{file}, line {number}: {len(cells)} cells under {len(heading)} headings ({', '.join(heading)}).",
                "A cell that holds a comma or a line's end needs double quotes.",
            )
        yield number, dict(zip(heading, cells, strict=True))


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
    absent = [field for field in known if field in needed and found[field] is _ABSENT]
    # A reply that failed has no text where the others have it: `choices` is empty, or an error is in its place.
    early = [field for field in absent if field in ANSWERS and known[field].partition(".")[0] in values]
    if absent == early and early:
        found |= dict.fromkeys(early)
        absent = []
    if absent or all(found.get(field, _ABSENT) is _ABSENT for field in ANSWERS):
        lacks = (
            f"no '{known[absent[0]]}'" if absent else f"none of {', '.join(known[f] for f in ANSWERS if f in known)}"
        )
        there = ", ".join(str(name) for name in list(values)[:COLUMNS_NAMED]) or "nothing"
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
        raise UsageError(f"{place}: '{known['id']}' should be the id of an item, not {reprlib.repr(item_id)}.")

    def text(field: str) -> str | None:
        value = found.get(field, _ABSENT)
        if field in ABOUT and field not in chosen and not isinstance(value, str):
            return None  # a column of that name that means something else
        if value is _ABSENT or value is None or isinstance(value, str):
            return value if isinstance(value, str) else None
        hint = f"One of its parts: --map id={known['id']},{field}={known[field]}.0" if isinstance(value, list) else ""
        if field == "prediction" and isinstance(value, int):
            hint = "An option is named by its label (A, B, …) or its words, not by its number."
        raise UsageError(f"{place}: '{known[field]}' should be a text, not {reprlib.repr(value)}.", hint)

    logprobs = _logprobs(found.get("logprobs", _ABSENT), f"{place}: '{known.get('logprobs')}'")
    asked = values["item"].get("question") if stored else None
    of_run: Mapping[str, Any] = values["output"] if stored else {}
    counted = of_run.get("reasoning_tokens")
    saved = Saved(
        where,
        text("text"),
        text("prediction"),
        logprobs,
        text("prompt") or "",
        "length" if (text("finish") or "").lower() in CUT else "stop",
        text("reasoning") or "",
        asked if isinstance(asked, str) else None,
        known[early[0]] if early else "",
        isinstance(found.get("reasoning"), str) or of_run.get("opened") is True,
        counted if isinstance(counted, int) else 0,
    )
    return str(item_id), saved


class _Absent:
    """A column that a row does not have; null is another thing."""


_ABSENT = _Absent()


def _at(values: Any, column: str) -> Any:
    """The value under a column's name or, if none has that name, at the end of its dotted path. A null ends a path."""
    if isinstance(values, Mapping) and column in values:
        return values[column]
    name, dot, rest = column.partition(".")
    if isinstance(values, list) and name.isdecimal() and name.isascii() and len(name) < 6 and int(name) < len(values):
        return _at(values[int(name)], rest) if dot else values[int(name)]
    if dot and isinstance(values, Mapping) and name in values:
        return None if values[name] is None else _at(values[name], rest)
    return _ABSENT


def _logprobs(value: Any, place: str) -> tuple[float, ...] | dict[str, float] | None:
    if value is _ABSENT or value is None:
        return None
    if isinstance(value, str):  # a cell of a CSV file
        try:
            value = loads(value, constants=True)
        except ValueError:
            raise UsageError(f"{place} should be a JSON list of numbers, not {reprlib.repr(value)}.") from None
    if isinstance(value, list) and value:
        return tuple(_logprob(each, place) for each in value)
    if isinstance(value, dict) and value:
        return {str(name): _logprob(each, place) for name, each in value.items()}
    raise UsageError(f"{place} should be one number for each option, as a list or by label, not {reprlib.repr(value)}.")


def _logprob(value: Any, place: str) -> float:
    if value is None:
        return -math.inf
    number = math.nan if isinstance(value, bool) or not isinstance(value, int | float) else float(value)
    if math.isnan(number):
        raise UsageError(f"{place} holds {reprlib.repr(value)}, which is no log-probability.")
    if number > ROUNDING:
        raise UsageError(
            f"{place} holds {reprlib.repr(value)}: a log-probability is at most 0.",
            "Of a probability it is the natural logarithm; of logits, the log-softmax.",
        )
    return number
