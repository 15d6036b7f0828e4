"""MMLU-Pro, category health: questions with up to ten options.

Read from the hub copy, which is the authors' own, or from its Parquet files in a data folder. An item's id is the
release's question number.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from ..core.types import Benchmark, Item, ItemSet
from .examples import TEN_OPTIONS
from .letters import LETTERS, METRICS, listed
from .protocols import CHOICE
from .sources.files import Source, SourceFile
from .sources.rows import Row, distinct, hub_rows, parquet_rows, partial, usable

HUB = "TIGER-Lab/MMLU-Pro"
CATEGORY = "health"
OFFICIAL = 818


def load(source: Source) -> ItemSet:
    """Load the test items of the category; few-shot examples come from its validation items.

    Raises DataMissing, DataMalformed.
    """
    files = source.files("mmlu-pro", "test-*.parquet", "test.parquet")
    shots: Iterable[Row]
    if files:
        origin, rows = ", ".join(file.origin for file in files), _in_files(files)
        shots = _in_files(source.files("mmlu-pro", "validation-*.parquet", "validation.parquet"))
    else:
        found = source.hub(HUB, "test", needed="MMLU-Pro's test split")
        origin, rows = found.origin, hub_rows(found)
        shots = hub_rows(source.hub(HUB, "validation"))
    items = distinct(_item, filter(_of_category, rows))
    return ItemSet(
        items=items,
        origin=origin,
        shots=usable(lambda number, row: _item(row), filter(_of_category, shots)),
        variant=partial(len(items), OFFICIAL),
    )


def _in_files(files: list[SourceFile]) -> Iterator[Row]:
    return (row for file in files for row in parquet_rows(file))


def _of_category(row: Row) -> bool:
    return row.values.get("category") == CATEGORY


def _item(row: Row) -> Item:
    options = row.texts("options")
    labels = LETTERS[: len(options)]
    gold = row.one_of("answer", labels)
    if row.index("answer_index", 0, len(options)) != gold:
        raise row.wrong("answer_index", f"it is not the position of {labels[gold]}, which field 'answer' names")
    source = row.values.get("src")
    return Item(
        id=str(row.value("question_id")),
        question=row.text("question").strip(),
        options=options,
        labels=labels,
        gold=gold,
        meta={"source": source} if isinstance(source, str) else {},
    )


MMLU_PRO_HEALTH = Benchmark(
    name="mmlu-pro-health",
    version="1",
    summary="MMLU-Pro's category health, up to ten options (818 test items)",
    citation=(
        "Yubo Wang, Xueguang Ma, Ge Zhang, Yuansheng Ni, et al. MMLU-Pro: A more robust and challenging multi-task "
        "language understanding benchmark. NeurIPS 2024 Datasets and Benchmarks. arXiv:2406.01574"
    ),
    licence="MIT",
    load=load,
    question=lambda item: f"Question: {item.question}\n{listed(item)}\nAnswer:",
    instruction=lambda item: f"The following are multiple choice questions (with answers) about {CATEGORY}.",
    stop=("\n\n", "\nQuestion:"),
    metrics=METRICS,
    protocols=CHOICE,
    example=TEN_OPTIONS,
    hub=HUB,
)
