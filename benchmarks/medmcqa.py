"""MedMCQA: questions from Indian medical entrance exams, with four options, over 21 subjects.

Scored on the 4,183 questions of the official `dev.json`, which the hub calls `validation`; the test split has no
labels. `cop`, the correct option, counts from 1 in the official files and from 0 on the hub. An item's id is the
release's own.
"""

from __future__ import annotations

from collections.abc import Iterable

from ..core.types import Benchmark, Item, ItemSet
from .examples import FOUR_OPTIONS
from .letters import EXAMPLES, LETTERS, METRICS, listed
from .protocols import CHOICE
from .sources.files import Source, SourceFile, only
from .sources.rows import Row, distinct, hub_rows, json_lines, partial, usable

HUB = "openlifescienceai/medmcqa"
LABELS = LETTERS[:4]
OPTIONS = ("opa", "opb", "opc", "opd")
OFFICIAL = 4_183


def load(source: Source) -> ItemSet:
    """Load the official development items; few-shot examples come from the training split.

    Raises DataMissing, and DataMalformed for rows without a label (`cop` -1) or with labels that are counted
    differently.
    """
    file = _file(source, "dev.json")
    shots: Iterable[Row] = ()
    if file:
        origin, rows, first = file.origin, json_lines(file), 1
        pool = _file(source, "train.json")
        if pool:
            shots = json_lines(pool, limit=EXAMPLES)
    else:
        found = source.hub(HUB, "validation", needed="MedMCQA's dev.json")
        origin, rows, first = found.origin, hub_rows(found), 0
        shots = hub_rows(source.hub(HUB, f"train[:{EXAMPLES}]"))
    items = distinct(lambda row: _item(row, first), rows)
    return ItemSet(
        items=items,
        origin=origin,
        shots=usable(lambda number, row: _item(row, first), shots),
        variant=partial(len(items), OFFICIAL),
    )


def _file(source: Source, name: str) -> SourceFile | None:
    """Return the release's file of that name. Many releases have a `dev.json`, so elsewhere its content is checked."""

    def fits(file: SourceFile) -> bool:
        folders = f"{source.data.name if source.data else ''}/{file.path}"
        return "medmcqa" in folders.lower() or '"cop"' in next(file.lines(), (1, ""))[1]

    return only([file for file in source.files("medmcqa", name) if fits(file)])


def _item(row: Row, first: int) -> Item:
    if row.value("cop") == -1:
        raise row.wrong("cop", "-1 marks a row without a label: this is the test split; only dev.json can be scored")
    counted = "1 in the official release" if first else "0 on the hub"
    gold = row.index("cop", first, len(OPTIONS), why=f": options count from {counted}")
    about = {"subject": "subject_name", "topic": "topic_name", "question_type": "choice_type"}
    return Item(
        id=row.text("id"),
        question=row.text("question"),
        options=tuple(row.text(option, blank=True) for option in OPTIONS),
        labels=LABELS,
        gold=gold,
        meta={name: row.values[field] for name, field in about.items() if isinstance(row.values.get(field), str)},
    )


MEDMCQA = Benchmark(
    name="medmcqa",
    version="1",
    summary="Questions from Indian medical entrance exams with four options (4,183 development items)",
    citation=(
        "Ankit Pal, Logesh Kumar Umapathi and Malaikannan Sankarasubbu. MedMCQA: A large-scale multi-subject "
        "multi-choice dataset for medical domain question answering. CHIL 2022, PMLR 174, pp. 248-260. arXiv:2203.14371"
    ),
    licence="MIT (official release), Apache-2.0 (hub copy)",
    load=load,
    question=lambda item: f"Question: {item.question}\nChoices:\n{listed(item)}\nAnswer:",
    metrics=METRICS,
    protocols=CHOICE,
    example=FOUR_OPTIONS,
    hub=HUB,
)
