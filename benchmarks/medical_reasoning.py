"""medical-reasoning: exam vignettes with four or five options, answered with an analysis and an option.

The data set has one published split. A tenth of it, chosen by the hash of each question, is scored. The rest may be
used for training and provides the few-shot examples. A question that occurs twice is on one side only. The data derives
from MedQA, so it overlaps other suites. An item's id is a hash of its question and options, the same from every source.
"""

from __future__ import annotations

import ast
import hashlib
import re
import warnings
from collections.abc import Iterable
from typing import Any

from ..core.errors import DataMalformed
from ..core.types import Benchmark, Item, ItemSet
from .examples import FIVE_OPTIONS
from .letters import LETTERS, METRICS, listed
from .protocols import CHOICE
from .sources.files import FETCH_AGAIN, Source
from .sources.rows import Row, hub_rows, json_lines, json_rows, parquet_rows, words

HUB = "mamachang/medical-reasoning"
EXPORT = "an export of medical-reasoning (a folder of that name with .parquet, .jsonl or .json)"
NAMED = 50  # maximum number of skipped rows that a note lists

_OPTIONS = re.compile(r"\{\s*['\"]A['\"]\s*:")
_ANSWER = re.compile(r"<answer>(.*?)</answer>", re.DOTALL)
_LETTER = re.compile(r"\s*\(?([A-Z])(?:\s*[):.]+\s*(.*?))?\s*", re.DOTALL)
_ANALYSIS = re.compile(r"<analysis>\s*(.*?)\s*</analysis>", re.DOTALL)


class Ragged(ValueError):
    """A row whose question, options or answer cannot be read; says which."""


def load(source: Source) -> ItemSet:
    """Load a tenth to score; the rest is for examples and training. Skipped and repeated rows are listed in the notes.

    Raises DataMissing, and DataMalformed for a file without rows of `input` and `output`.
    """
    rows, origin = _read(source)
    items: dict[str, Item] = {}
    first: dict[str, int] = {}  # the row of each item
    ragged: list[str] = []
    repeated: list[str] = []
    total = 0
    for total, row in enumerate(rows, start=1):
        try:
            item = read(row.value("input"), row.value("output"))
        except Ragged as problem:
            ragged.append(f"{total} ({problem})")
            continue
        if item.id not in items:
            items[item.id], first[item.id] = item, total
        elif item.gold == items[item.id].gold:
            repeated.append(f"{total} (as {first[item.id]})")
        else:
            ragged.append(f"{total} (another answer than row {first[item.id]} to the same question)")
    if not items:
        raise DataMalformed(f"{origin}: none of its {total:,} rows can be read.", FETCH_AGAIN)
    return ItemSet(
        items=tuple(item for item in items.values() if scored(item.question)),
        origin=origin,
        shots=tuple(item for item in items.values() if not scored(item.question)),
        notes=(*_note(ragged, total, "cannot be used"), *_note(repeated, total, "repeat another and are taken once")),
    )


def scored(question: str) -> bool:
    """Return whether a question is in the tenth that is scored, so that it must not be trained on."""
    return int(hashlib.sha256(words(question).encode()).hexdigest(), 16) % 10 == 0


def read(text: Any, output: Any) -> Item:
    """Return the item of a row's `input` and `output`. Raises Ragged."""
    if not isinstance(text, str) or not isinstance(output, str):
        raise Ragged("input or output is no text")
    question, options = _split(text)
    labels = LETTERS[: len(options)]
    key = "\n".join((words(question), *options))
    analysis = _ANALYSIS.search(output)
    return Item(
        id=hashlib.sha256(key.encode()).hexdigest()[:12],
        question=question,
        options=options,
        labels=labels,
        gold=_gold(output, options),
        references=(analysis[1],) if analysis and analysis[1] else (),
    )


def _split(text: str) -> tuple[str, tuple[str, ...]]:
    """Return the vignette and its options. The options are a Python dict, parsed as a literal and never evaluated."""
    end = text.rfind("}") + 1
    for opening in reversed([match.start() for match in _OPTIONS.finditer(text)]):
        options = _literal(text[opening:end])
        if options is None:
            continue
        question = text[:opening].strip().removeprefix("Q:").strip()
        if not question:
            raise Ragged("no question")
        return question, options
    raise Ragged("options cannot be read")


def _literal(text: str) -> tuple[str, ...] | None:
    """Return the texts of a dict literal with a text under each of A to D or A to E; None for anything else."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # about backslashes in a vignette
            options = ast.literal_eval(text)
    except (ValueError, SyntaxError, TypeError, MemoryError, RecursionError):
        return None
    if not isinstance(options, dict) or tuple(options) not in (LETTERS[:4], LETTERS[:5]):
        return None
    texts = tuple(options.values())
    return texts if all(isinstance(option, str) and option.strip() for option in texts) else None


def _gold(output: str, options: tuple[str, ...]) -> int:
    answers = _ANSWER.findall(output)
    if len(answers) != 1:
        raise Ragged(f"{len(answers) or 'no'} answers")
    answer = _LETTER.fullmatch(answers[0])
    if answer is None or answer[1] not in LETTERS[: len(options)]:
        raise Ragged("the answer is no option's letter")
    gold = LETTERS.index(answer[1])
    if answer[2] and words(answer[2]) != words(options[gold]):
        raise Ragged(f"the answer's text is not that of option {answer[1]}")
    return gold


def _note(rows: list[str], total: int, what: str) -> tuple[str, ...]:
    if not rows:
        return ()
    more = f" and {len(rows) - NAMED:,} more" if len(rows) > NAMED else ""
    return (f"{len(rows):,} of {total:,} rows {what}: {', '.join(rows[:NAMED])}{more}.",)


def _read(source: Source) -> tuple[Iterable[Row], str]:
    """Return the rows of an export of the data set (Parquet, JSON lines or JSON, shards combined), or of the hub's."""
    for kind, rows_of in {"parquet": parquet_rows, "jsonl": json_lines, "json": json_rows}.items():
        files = source.files("medical-reasoning", f"medical-reasoning/*.{kind}")
        files = [file for file in files if not file.path.endswith(("dataset_info.json", "dataset_infos.json"))]
        if files:
            return (row for file in files for row in rows_of(file)), ", ".join(file.origin for file in files)
    found = source.hub(HUB, "train", needed=EXPORT)
    return hub_rows(found), found.origin


MEDICAL_REASONING = Benchmark(
    name="medical-reasoning",
    version="1",
    summary="Exam vignettes with four or five options; a tenth of the one published split is scored",
    citation=(
        "mamachang/medical-reasoning (no paper). Its questions derive from MedQA: Di Jin et al. What disease does this "
        "patient have? Applied Sciences 11(14), 6421 (2021). doi:10.3390/app11146421"
    ),
    licence="not declared by its publisher; MedQA is MIT",
    load=load,
    question=lambda item: f"Question: {item.question}\n{listed(item)}\nAnswer:",
    metrics=METRICS,
    protocols=CHOICE,
    example=FIVE_OPTIONS,
    max_new_tokens=512,  # models trained on it write their analysis before the answer
    stop=("\nQuestion:",),
    hub=HUB,
)
