"""Medbullets: recent questions in the style of USMLE Steps 2 and 3, with four options or with five.

Both sets ask the same 308 questions. `medbullets-5` adds a wrong option to each and reorders the options. They are
read from the authors' `medbullets_op4.json` and `medbullets_op5.json`, which hold an object per column, or from the hub
copy. An item's id is the end of its link, so it is the same in both sets and in every copy.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial as bound

from ..core.types import Benchmark, Item, ItemSet
from .examples import FIVE_OPTIONS, FOUR_OPTIONS
from .letters import LETTERS, METRICS, listed
from .protocols import CHOICE
from .sources.files import Source, SourceFile
from .sources.rows import Row, distinct, hub_rows, json_object, partial

HUB = "mkieffer/Medbullets"
OFFICIAL = 308


def load(options: int, source: Source) -> ItemSet:
    """Load the 308 questions with that many options; few-shot examples are held out of them.

    Raises DataMissing, DataMalformed.
    """
    name = f"medbullets_op{options}.json"
    file = source.file("medbullets", name)
    if file:
        origin, rows = file.origin, _rows_of_columns(file)
    else:
        found = source.hub(HUB, f"op{options}_test", needed=f"Medbullets' {name}")
        origin, rows = found.origin, hub_rows(found)
    items = distinct(bound(_item, options), rows)
    return ItemSet(items=items, origin=origin, variant=partial(len(items), OFFICIAL))


def _rows_of_columns(file: SourceFile) -> Iterator[Row]:
    """Rows of a file that holds one object per column: {"question": {"0": …, "1": …}, …}."""
    columns = json_object(file)
    top = Row(columns, file.origin)
    questions = top.value("question")
    if not isinstance(questions, dict):
        raise top.wrong("question", "an object of rows is expected")
    for key in questions:
        cells = {name: column[key] for name, column in columns.items() if isinstance(column, dict) and key in column}
        yield Row(cells, f"{file.origin}, row {key}")


def _item(count: int, row: Row) -> Item:
    labels = LETTERS[:count]
    options = _options(row, labels)
    gold = row.one_of("answer_idx" if "answer_idx" in row.values else "answer", labels)
    answer = row.values.get("answer")
    if "answer_idx" in row.values and isinstance(answer, str) and answer.strip() != options[gold].strip():
        raise row.wrong("answer", f"it is not the text of option {labels[gold]}, which field 'answer_idx' names")
    return Item(
        id=row.text("link").rstrip("/").rpartition("/")[2].rpartition("qid=")[2],
        question=row.text("question"),
        options=options,
        labels=labels,
        gold=gold,
    )


def _options(row: Row, labels: tuple[str, ...]) -> tuple[str, ...]:
    listing = row.values.get("options")
    if isinstance(listing, dict):  # the hub copy; it may hold an empty E for questions with four options
        lettered = Row(listing, f"{row.where}, options")
        return tuple(lettered.text(label) for label in labels)
    return tuple(row.text(f"op{label.lower()}") for label in labels)


CITATION = (
    "Hanjie Chen, Zhouxiang Fang, Yash Singla and Mark Dredze. Benchmarking large language models on answering and "
    "explaining challenging medical questions. NAACL 2025. arXiv:2402.18060"
)


def _benchmark(options: int, summary: str) -> Benchmark:
    return Benchmark(
        name=f"medbullets-{options}",
        version="1",
        summary=summary,
        citation=CITATION,
        licence="for research; see the authors' repository",
        load=bound(load, options),
        question=lambda item: f"Question: {item.question}\n{listed(item)}\nAnswer:",
        metrics=METRICS,
        protocols=CHOICE,
        example=FOUR_OPTIONS if options == 4 else FIVE_OPTIONS,
        hub=HUB,
    )


MEDBULLETS_4 = _benchmark(4, "USMLE Step 2 and 3 questions of Medbullets with four options (308 items)")
MEDBULLETS_5 = _benchmark(5, "USMLE Step 2 and 3 questions of Medbullets with five options (308 items)")
