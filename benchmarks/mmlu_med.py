"""MMLU's six medical subjects, prompted as in MMLU: an instruction line per subject, then question and options.

Read from the official files `SUBJECT_test.csv` and `SUBJECT_dev.csv` (loose or in MMLU's `data.tar`) or from the
authors' copy on the hub. A folder with some of the subjects gives a partial set with its own name; missing subjects are
not taken from the hub. An item's id is subject/row, with rows counted from 0.
"""

from __future__ import annotations

from collections.abc import Iterable

from ..core.types import Benchmark, Item, ItemSet
from .examples import FOUR_OPTIONS
from .letters import LETTERS, METRICS, listed
from .protocols import CHOICE
from .sources.files import Source, SourceFile
from .sources.rows import Row, csv_rows, hub_rows, partial, usable

HUB = "cais/mmlu"
LABELS = LETTERS[:4]
COLUMNS = ("question", *LABELS, "answer")
SUBJECTS = {  # test questions in each
    "anatomy": 135,
    "clinical_knowledge": 265,
    "college_biology": 144,
    "college_medicine": 173,
    "medical_genetics": 100,
    "professional_medicine": 272,
}


def load(source: Source) -> ItemSet:
    """Load the test items, subject by subject; few-shot examples are MMLU's own five per subject (dev).

    Raises DataMissing, DataMalformed.
    """
    files = {subject: file for subject in SUBJECTS if (file := source.file("mmlu-med", f"{subject}_test.csv"))}
    read = [_from_file(source, subject, file) for subject, file in files.items()]
    read = read or [_from_hub(source, subject) for subject in SUBJECTS]
    missing = [subject for subject in SUBJECTS if files and subject not in files]
    items = tuple(item for subject in read for item in subject.items)
    return ItemSet(
        items=items,
        origin=", ".join(dict.fromkeys(subject.origin for subject in read)),
        shots=tuple(item for subject in read for item in subject.shots),
        variant=_variant(items, missing),
        notes=(f"Subjects missing: {', '.join(missing)}.",) if missing else (),
    )


def _from_file(source: Source, subject: str, file: SourceFile) -> ItemSet:
    pool = source.file("mmlu-med", f"{subject}_dev.csv")
    examples = csv_rows(pool, COLUMNS) if pool else ()
    return _subject(
        subject, csv_rows(file, COLUMNS), examples, origin=str(file.disk if file.member else file.disk.parent)
    )


def _from_hub(source: Source, subject: str) -> ItemSet:
    found = source.hub(HUB, "test", subject, needed=f"MMLU's {subject}_test.csv")
    examples = hub_rows(source.hub(HUB, "dev", subject))
    return _subject(subject, hub_rows(found), examples, origin=found.origin.replace(f"/{subject}", ""))


def _subject(subject: str, rows: Iterable[Row], examples: Iterable[Row], origin: str) -> ItemSet:
    return ItemSet(
        items=tuple(_item(subject, str(number), row) for number, row in enumerate(rows)),
        origin=origin,
        shots=usable(lambda number, row: _item(subject, f"dev-{number}", row), examples),
    )


def _item(subject: str, number: str, row: Row) -> Item:
    if "choices" in row.values:  # the hub copy
        options, gold = row.texts("choices"), row.index("answer", 0, len(LABELS))
        if len(options) != len(LABELS):
            raise row.wrong("choices", f"{len(LABELS)} are expected, not {len(options)}")
    else:
        options, gold = tuple(row.text(label, blank=True) for label in LABELS), row.one_of("answer", LABELS)
    return Item(
        id=f"{subject}/{number}",
        question=row.text("question"),
        options=options,
        labels=LABELS,
        gold=gold,
        meta={"subject": subject},
    )


def _variant(items: tuple[Item, ...], missing: list[str]) -> str:
    present = {subject: size for subject, size in SUBJECTS.items() if subject not in missing}
    return ", ".join(
        filter(
            None,
            (partial(len(present), len(SUBJECTS), "subjects"), partial(len(items), sum(present.values()))),
        )
    )


def _instruction(item: Item) -> str:
    subject = item.meta["subject"].replace("_", " ")
    return f"The following are multiple choice questions (with answers) about {subject}."


MMLU_MED = Benchmark(
    name="mmlu-med",
    version="1",
    summary="MMLU's six medical subjects, four options (1,089 test items)",
    citation=(
        "Dan Hendrycks, Collin Burns, Steven Basart, Andy Zou, Mantas Mazeika, Dawn Song and Jacob Steinhardt. "
        "Measuring massive multitask language understanding. ICLR 2021. arXiv:2009.03300"
    ),
    licence="MIT",
    load=load,
    question=lambda item: f"{item.question.strip()}\n{listed(item)}\nAnswer:",
    instruction=_instruction,
    stop=("\n\n",),  # nothing else shows where a base model continues with the next question
    metrics=METRICS,
    protocols=CHOICE,
    example=FOUR_OPTIONS,
    hub=HUB,
)
