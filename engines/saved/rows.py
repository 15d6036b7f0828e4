"""Reads saved answers: from a path and --map to the answer to each item.

A file has one JSON object per line, or is a CSV with a header. Each row has an item's id and one or more of

    text        what the system wrote
    prediction  for multiple choice: a label, an option's words, or a sentence that names one
    logprobs    log-probabilities (nats) of the options, as a list in their order or an object by label or option; null
                is minus infinity

and, if known, how the text ended (`finish`: "stop", or "length" at the limit of new tokens), what the model wrote
before it (`reasoning`), and which of several answers to the item it is (`sample`, from 0; else in the file's order).

An empty text is an answer, also in a CSV. For an item without an answer, leave the row out or write null. `--map
id=COLUMN,text=COLUMN` names other columns; "a.b.0" is a path into nested objects and lists, and a null on the path
means no answer. The `samples.jsonl` of a medbench run needs no --map, and its seals are checked.
"""

from __future__ import annotations

import dataclasses
import hashlib
import math
import reprlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

from ...core.errors import UsageError
from ...core.json_text import loads
from ...core.tables import BadLine, csv_records, separator_hint, text_lines
from ..server.replies import CUT
from . import inspect_log, lm_eval
from .answers import ABOUT, ANSWERS, FIELDS, FORM, Saved, twice
from .files import LOGS
from .peers import PeerAnswer
from .seals import SampleSeals

# The paths of the columns in the samples.jsonl of a run.
STORED = {
    "id": "output.item_id",
    "text": "output.text",
    "logprobs": "output.logprobs",
    "prompt": "output.prompt",
    "finish": "output.finish",
    "reasoning": "output.reasoning",
    "sample": "output.sample",
}
ROUNDING = 1e-6  # nats; rounding in float32 can put a log-probability this far above 0
COLUMNS_NAMED = 12
MOST_SAMPLES = 10_000  # of an item
AS_THEY_ARE = "To score these lines as they are, marked as changed: --map id=output.item_id,text=output.text"


@dataclass(frozen=True)
class SavedFile:
    """What a file has: answers by item id and sample, or another tool's answers, whose items are not known yet."""

    answers: dict[str, dict[int, Saved]]
    digest: str  # SHA-256 of its content
    changed: str = ""  # what was changed in the samples of a run, in words
    peers: tuple[PeerAnswer, ...] = ()
    about: Mapping[str, Any] = dataclasses.field(
        default_factory=dict
    )  # which tool wrote it, and what it asked of which model


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


def read(file: Path, chosen: Mapping[str, str]) -> SavedFile:
    """Return the content of a file. `chosen`: the columns that --map names.

    Changed samples of a run are read only if --map names their columns. Raises UsageError naming file and line.
    """
    if file.suffix.lower() in LOGS:
        if chosen:
            raise UsageError(f"--map has no effect on {file}: where a log of Inspect has its answers is known.")
        peers, digest, about = inspect_log.read(file)
        return SavedFile({}, digest, peers=peers, about=about)
    seals = SampleSeals(file)
    found: dict[str, dict[int, Saved]] = {}
    early: list[Saved] = []
    rows = 0
    harness = lm_eval.Samples(file)
    try:
        with file.open("rb") as opened:
            digest_of = Digest(opened)
            for item_id, saved in _rows(file, digest_of, chosen, seals, harness):
                samples = found.setdefault(item_id, {})
                sample = len(samples) if saved.sample is None else saved.sample
                if sample in samples:
                    raise twice(item_id, samples[sample], saved)
                samples[sample] = saved
                rows += 1
                early += [saved] if saved.lacks else []
    except BadLine as error:
        hint = "Save the file as UTF-8." if "UTF-" in error.problem else FORM
        raise UsageError(f"{file}, line {error.number}: {error.problem}.", hint) from error
    except OSError as error:
        raise UsageError(f"{file} cannot be read: {error.strerror or error}") from error
    seals.end()
    if seals.changes and not chosen:
        raise UsageError(f"{seals.told()}.", f"Restore that file. {AS_THEY_ARE}")
    if not found and not harness.answers:
        raise UsageError(f"{file} has no answers.", FORM)
    if early and len(early) == rows:  # not failed requests, but a wrong path
        raise UsageError(
            f"{file.parent / early[0].where}: it has no '{early[0].lacks}', and neither has any other row.",
            "Say which columns to read: --map id=COLUMN,text=COLUMN",
        )
    changed = seals.told() if seals.changes else ""
    about = harness.about if harness.answers else {}
    return SavedFile(found, digest_of.hexdigest(), changed, tuple(harness.answers), about)


def _rows(
    file: Path, content: Digest, chosen: Mapping[str, str], seals: SampleSeals, harness: lm_eval.Samples
) -> Iterator[tuple[str, Saved]]:
    """Yield the item id and the answer of each row. Samples of lm-evaluation-harness go to `harness` instead."""
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
        hint = f"{FORM}\nTo write a JSON list as lines: jq -c '.[]' {file}" if listed else FORM
        try:
            values = loads(line, constants=True)
        except ValueError as error:
            pretty = number == 1 and line.strip() == "{"
            hint = f"{FORM}\nTo put each object on one line: jq -c . {file}" if pretty else hint
            raise UsageError(f"{at}: not JSON: {error}.", hint) from error
        if not isinstance(values, dict):
            what = "a JSON list of all rows" if isinstance(values, list) else reprlib.repr(values)
            raise UsageError(f"{at}: each line must be an object, not {what}.", hint)
        if not chosen and lm_eval.is_sample(values):
            harness.add(values, f"{file.name}, line {number}")
            continue
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
                raise UsageError(f"{file}, line {number}: only one column: {heading[0]}.", hint)
            if twice := [name for name in dict.fromkeys(heading) if heading.count(name) > 1]:
                raise UsageError(f"{file}, line {number}: two columns are called '{twice[0]}'.", "Rename one of them.")
            continue
        if len(cells) != len(heading):
            raise UsageError(
                f"{file}, line {number}: {len(cells)} cells under {len(heading)} headings ({', '.join(heading)}).",
                "A cell that contains a comma or a line break needs double quotes.",
            )
        yield number, dict(zip(heading, cells, strict=True))


def _row(values: Mapping[str, Any], place: str, where: str, chosen: Mapping[str, str]) -> tuple[str, Saved]:
    """Return a row's item id and answer. `place` names the row in errors, `where` in its answer."""
    stored = not chosen and isinstance(values.get("item"), dict) and isinstance(values.get("output"), dict)
    if stored:
        known: Mapping[str, str] = STORED
    elif chosen:  # other columns are not read: one called logprobs may contain anything
        known = {"id": "id"} | dict(chosen)
    else:
        known = {field: field for field in FIELDS}
    found = {field: _at(values, column) for field, column in known.items()}
    needed = chosen.keys() | {"id"}
    absent = [field for field in known if field in needed and found[field] is _ABSENT]
    # A failed reply has no text at the end of the path: `choices` is empty, or an error is in its place.
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
    # An empty text is an answer, unless another column has the answer.
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
        _sample(found.get("sample", _ABSENT), place, "sample" in chosen or stored),
    )
    return str(item_id), saved


def _sample(value: Any, place: str, certain: bool) -> int | None:
    """Which sample a row is. A column of that name that --map does not name may mean something else."""
    if isinstance(value, str) and value.isdecimal() and value.isascii():
        value = int(value)
    if isinstance(value, int) and not isinstance(value, bool) and 0 <= value < MOST_SAMPLES:
        return value
    if certain and value is not _ABSENT and value is not None:
        raise UsageError(f"{place}: a sample is numbered from 0, not {reprlib.repr(value)}.")
    return None


class _Absent:
    """A column that a row does not have, unlike one that is null."""


_ABSENT = _Absent()


def _at(values: Any, column: str) -> Any:
    """Return the value of a column or, if none has this name, at the end of this dotted path. A null ends a path."""
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
        raise UsageError(f"{place} is {reprlib.repr(value)}, which is not a log-probability.")
    if number > ROUNDING:
        raise UsageError(
            f"{place} is {reprlib.repr(value)}; a log-probability is at most 0.",
            "Take the natural logarithm of probabilities, or the log-softmax of logits.",
        )
    return number
