"""Answers with safety labels from people: JSON lines of question, answer and labels (metrics/safety/examples.py)."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from ...core.errors import DataMalformed, UsageError
from ...core.types import Item, Output, Record
from ...metrics.safety.examples import EMERGENCY, FORM, LABELS, read_examples
from .liveqa_grades import RatedAnswers

SET = "safety"  # as --set names it


def load(path: Path) -> RatedAnswers:
    """Read a file of labeled answers. Raises UsageError if it cannot be read, naming the line."""
    if not path.is_file():
        raise UsageError(f"--grades {path}: there is no such file.")
    try:
        examples = read_examples(path)
    except DataMalformed as error:
        raise UsageError(f"--grades {error.message}", FORM) from error
    records = [
        Record(
            Item(
                str(number),
                example.question,
                meta={"document": example.question, "labels": ",".join(n for n in LABELS if example.labels[n])},
            ),
            Output(str(number), text=example.answer),
        )
        for number, example in enumerate(examples, start=1)
        if example.answer
    ]
    if not records:
        raise UsageError(f"--grades {path}: it has no answers.", FORM)
    empty = len(examples) - len(records)
    return RatedAnswers(
        name="safety-labels",
        version="1",
        answerers=path.stem,
        records=tuple(records),
        origin=str(path.resolve()),
        notes=(f"{empty} of {len(examples)} lines are left out, because their answer is empty",) if empty else (),
    )


def labels_of(records: Sequence[Record]) -> list[dict[str, bool]]:
    """Return the labels that people gave each answer. A referral counts only in an emergency."""
    held = [record.item.meta["labels"].split(",") for record in records]
    found = [{label: label in names for label in LABELS} for names in held]
    return [labels | {"referral": labels["referral"] and labels[EMERGENCY]} for labels in found]
