"""MedQA: questions in the style of the United States Medical Licensing Examination, with four options.

Read from the official `phrases_no_exclude_test.jsonl` or the hub copy. An item's id is its row in that file, from 0.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable

from ..core.types import Benchmark, Item, ItemSet
from .examples import FOUR_OPTIONS
from .letters import EXAMPLES, LETTERS, METRICS, listed
from .protocols import CHOICE
from .sources.files import Source
from .sources.rows import Row, hub_rows, json_lines, partial, usable, words

HUB = "GBaker/MedQA-USMLE-4-options"
LABELS = LETTERS[:4]
OFFICIAL = 1_273
# SHA-256 of the official test questions with their answers, in order. The hub copy is from a third party. If its rows
# are different or in a different order, ids refer to other questions, so the column's name must say so.
OFFICIAL_TEST = "ec689509838e10798767ff3877f2ecb327b6238a29050c8e43de8d3de69483bb"


def load(source: Source) -> ItemSet:
    """Load the official test items; few-shot examples come from the training split. Raises DataMissing,
    DataMalformed.
    """
    file = source.file("medqa", "phrases_no_exclude_test.jsonl")
    if file:
        origin, rows = file.origin, json_lines(file)
        # Only the training split is also on the hub; the official development split is the fallback.
        pool = source.file("medqa", "phrases_no_exclude_train.jsonl") or source.file(
            "medqa", "phrases_no_exclude_dev.jsonl"
        )
        shots = json_lines(pool, limit=EXAMPLES) if pool else iter(())
    else:
        found = source.hub(HUB, "test", needed="MedQA's phrases_no_exclude_test.jsonl")
        origin, rows = found.origin, hub_rows(found)
        shots = hub_rows(source.hub(HUB, f"train[:{EXAMPLES}]"))
    items = tuple(_item(str(number), row) for number, row in enumerate(rows))
    return ItemSet(
        items=items,
        origin=origin,
        shots=usable(lambda number, row: _item(f"train-{number}", row), shots),
        variant=_variant(items),
    )


def _item(item_id: str, row: Row) -> Item:
    options = row.value("options")
    if not isinstance(options, dict) or sorted(options) != list(LABELS):
        raise row.wrong("options", "texts for A, B, C and D are expected")
    lettered = Row(options, f"{row.where}, options")
    texts = tuple(lettered.text(label, blank=True) for label in LABELS)
    gold = row.one_of("answer_idx", LABELS)
    if row.text("answer", blank=True).strip() != texts[gold].strip():
        raise row.wrong("answer", f"it is not the text of option {LABELS[gold]}, which field 'answer_idx' names")
    step = row.values.get("meta_info")
    return Item(
        id=item_id,
        question=row.text("question"),
        options=texts,
        labels=LABELS,
        gold=gold,
        meta={"step": step} if isinstance(step, str) else {},
    )


def digest(items: Iterable[Item]) -> str:
    """Return a hash of the questions and answers in order; whitespace, case and punctuation are ignored."""
    lines = (f"{item.id}\t{words(item.question)}\t{item.gold}\n" for item in items)
    return hashlib.sha256("".join(lines).encode()).hexdigest()


def _variant(items: tuple[Item, ...]) -> str:
    if len(items) == OFFICIAL and digest(items) != OFFICIAL_TEST:
        return f"not the official rows: {digest(items)[:8]}"
    return partial(len(items), OFFICIAL)


MEDQA = Benchmark(
    name="medqa",
    version="1",
    summary="USMLE-style questions with four options (official 1,273 test items)",
    citation=(
        "Di Jin, Eileen Pan, Nassim Oufattole, Wei-Hung Weng, Hanyi Fang and Peter Szolovits. What disease does this "
        "patient have? A large-scale open domain question answering dataset from medical exams. "
        "Applied Sciences 11(14), 6421 (2021). doi:10.3390/app11146421"
    ),
    licence="MIT",
    load=load,
    question=lambda item: f"Question: {item.question}\n{listed(item)}\nAnswer:",
    metrics=METRICS,
    protocols=CHOICE,
    example=FOUR_OPTIONS,
    hub=HUB,
)
