"""MedXpertQA, text subset: expert-level questions with ten options.

Read from the authors' JSON lines (`medxpertqa_sampled_text_input.jsonl`, their evaluation sample, or the whole text
subset in the same format) or from the hub copy, which is the authors' own. The question text of a release ends with its
options; they are removed, because the prompt lists them. An item's id is the release's own.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from ..core.types import Benchmark, Item, ItemSet
from .examples import TEN_OPTIONS
from .letters import LETTERS, METRICS, listed
from .protocols import CHOICE
from .sources.files import Source
from .sources.rows import Row, distinct, hub_rows, json_lines, partial, usable

HUB = "TsinghuaC3I/MedXpertQA"
OFFICIAL = 2_450
LISTING = "Answer Choices:"


def load(source: Source) -> ItemSet:
    """Load the test items; few-shot examples are the five of the development split, where it is available.

    Raises DataMissing, DataMalformed.
    """
    file = source.file("medxpertqa", "medxpertqa_*text*.jsonl", "text/test.jsonl", "Text/test.jsonl")
    shots: Iterable[Row] = ()
    if file:
        origin, rows = file.origin, json_lines(file)
        pool = source.file("medxpertqa", "text/dev.jsonl", "Text/dev.jsonl")
        shots = json_lines(pool) if pool else ()
    else:
        found = source.hub(HUB, "test", "Text", needed="MedXpertQA's text subset")
        origin, rows = found.origin, hub_rows(found)
        shots = hub_rows(source.hub(HUB, "dev", "Text"))
    items = distinct(_item, rows)
    return ItemSet(
        items=items,
        origin=origin,
        shots=usable(lambda number, row: _item(row), shots),
        variant=partial(len(items), OFFICIAL),
    )


def _item(row: Row) -> Item:
    options = _options(row)
    labels = LETTERS[: len(options)]
    label = row.value("label")
    if isinstance(label, list) and len(label) == 1:
        label = label[0]
    if label not in labels:
        raise row.wrong("label", f"one letter from {labels[0]} to {labels[-1]} is expected, not {label!r}")
    question, found, _ = row.text("question").rpartition(LISTING)
    about = {"subject": "medical_task", "body_system": "body_system", "question_type": "question_type"}
    return Item(
        id=row.text("id"),
        question=question.rstrip() if found else row.text("question"),
        options=tuple(options),
        labels=labels,
        gold=labels.index(label),
        meta={name: value for name, field in about.items() if isinstance(value := row.values.get(field), str)},
    )


def _options(row: Row) -> list[str]:
    """The option texts from A on: a list of letters with contents in the release, an object by letter on the hub."""
    listing = row.value("options")
    if isinstance(listing, list) and all(isinstance(option, Mapping) for option in listing):
        listing = {option.get("letter"): option.get("content") for option in listing}
    if not isinstance(listing, dict) or not 2 <= len(listing) <= len(LETTERS):
        raise row.wrong("options", "texts by letter are expected")
    lettered = Row(listing, f"{row.where}, options")
    return [lettered.text(letter) for letter in LETTERS[: len(listing)]]


MEDXPERTQA = Benchmark(
    name="medxpertqa",
    version="1",
    summary="Expert-level questions with ten options (text subset, 2,450 test items)",
    citation=(
        "Yuxin Zuo, Shang Qu, Yifei Li, Zhangren Chen, Xuekai Zhu, Ermo Hua, Kaiyan Zhang, Ning Ding and Bowen Zhou. "
        "MedXpertQA: Benchmarking expert-level medical reasoning and understanding. ICML 2025. arXiv:2501.18362"
    ),
    licence="MIT",
    load=load,
    question=lambda item: f"Question: {item.question}\n{listed(item)}\nAnswer:",
    metrics=METRICS,
    protocols=CHOICE,
    example=TEN_OPTIONS,
    hub=HUB,
)
