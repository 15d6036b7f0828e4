"""CareQA in English: questions of recent Spanish exams for specialized healthcare training, with four options.

Read from the hub copy, which is the authors' own, or from its JSON or Parquet file in a data folder. An item's id is
the release's own, or a number from 0 where a copy has none.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from ..core.types import Benchmark, Item, ItemSet
from .examples import FOUR_OPTIONS
from .letters import LETTERS, METRICS, listed
from .protocols import CHOICE
from .sources.files import Source, SourceFile
from .sources.rows import Row, hub_rows, json_rows, parquet_rows, partial

HUB = "HPAI-BSC/CareQA"
CONFIG = "CareQA_en"
LABELS = LETTERS[:4]
OFFICIAL = 5_621


def load(source: Source) -> ItemSet:
    """Load the test items; few-shot examples are held out of them. Raises DataMissing, DataMalformed."""
    file = source.file("careqa", f"{CONFIG}.json", f"{CONFIG}.jsonl", f"{CONFIG}*.parquet", f"{CONFIG}/test-*.parquet")
    if file:
        origin, rows = file.origin, _in_file(file)
    else:
        found = source.hub(HUB, "test", CONFIG, needed=f"CareQA's {CONFIG}.json")
        origin, rows = found.origin, hub_rows(found)
    items = _identified([_item(row) for row in rows])
    return ItemSet(items=items, origin=origin, variant=partial(len(items), OFFICIAL))


def _in_file(file: SourceFile) -> Iterable[Row]:
    return parquet_rows(file) if file.path.endswith(".parquet") else json_rows(file)


def _item(row: Row) -> Item:
    about = {"subject": "category", "year": "year"}
    return Item(
        id=str(row.values.get("unique_id") or row.values.get("id") or ""),
        question=row.text("question").strip(),
        options=tuple(row.text(f"op{number}", blank=True) for number in range(1, 5)),
        labels=LABELS,
        gold=row.index("cop", 1, len(LABELS), why=": options count from 1"),
        meta={name: str(row.values[field]) for name, field in about.items() if row.values.get(field)},
    )


def _identified(items: list[Item]) -> tuple[Item, ...]:
    """Return the items under the release's ids if each has its own, otherwise numbered from 0."""
    if len({item.id for item in items} - {""}) == len(items):
        return tuple(items)
    return tuple(replace(item, id=str(number)) for number, item in enumerate(items))


CAREQA_EN = Benchmark(
    name="careqa-en",
    version="1",
    summary="Spanish exams for specialized healthcare training in English, four options (5,621 items)",
    citation=(
        "Anna Arias-Duart, Pablo Agustin Martin-Torres, Daniel Hinjos, et al. Automatic evaluation of healthcare LLMs "
        "beyond question-answering. NAACL 2025. arXiv:2502.06666"
    ),
    licence="Apache-2.0",
    load=load,
    question=lambda item: f"Question: {item.question}\n{listed(item)}\nAnswer:",
    metrics=METRICS,
    protocols=CHOICE,
    example=FOUR_OPTIONS,
    hub=HUB,
)
