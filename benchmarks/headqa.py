"""HEAD-QA in English: questions of Spanish exams for positions in healthcare, with four or five options.

Read from the authors' `test_HEAD_EN.json` or from the hub copy. Questions that come with an image are left out, since
they cannot be answered from their text. An item's id is exam/number.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import replace

from ..core.types import Benchmark, Item, ItemSet
from .examples import FOUR_OPTIONS
from .letters import LETTERS, METRICS, listed
from .protocols import CHOICE
from .sources.files import Source, SourceFile
from .sources.rows import Row, hub_rows, json_object, partial, usable

HUB = "dvilares/head_qa"
OFFICIAL = 2_742  # test questions, those with an image included


def load(source: Source) -> ItemSet:
    """Load the test items; few-shot examples come from the training split. Raises DataMissing, DataMalformed."""
    file = source.file("headqa", "test_HEAD_EN.json")
    shots: Iterable[Row] = ()
    if file:
        origin, rows = file.origin, list(_rows_of_exams(file))
        pool = source.file("headqa", "train_HEAD_EN.json")
        shots = _rows_of_exams(pool) if pool else ()
    else:
        found = source.hub(HUB, "test", "en", needed="HEAD-QA's test_HEAD_EN.json")
        origin, rows = found.origin, list(hub_rows(found))
        shots = hub_rows(source.hub(HUB, "train", "en"))
    answerable = [row for row in rows if not _has_image(row)]
    pictured = len(rows) - len(answerable)
    return ItemSet(
        items=_numbered([_item(row) for row in answerable]),
        origin=origin,
        shots=usable(lambda number, row: _item(row), (row for row in shots if not _has_image(row))),
        variant=partial(len(rows), OFFICIAL),
        notes=(f"{pictured:,} questions that need an image are left out.",) if pictured else (),
    )


def _rows_of_exams(file: SourceFile) -> Iterator[Row]:
    exams = Row(json_object(file), file.origin).value("exams")
    for exam, content in exams.items() if isinstance(exams, dict) else ():
        for number, values in enumerate(content.get("data", ()) if isinstance(content, dict) else (), start=1):
            about = {"name": exam, "category": content.get("category")}
            yield Row(about | values if isinstance(values, dict) else {}, f"{file.origin}, exam {exam}, row {number}")


def _has_image(row: Row) -> bool:
    """Whether a question comes with an image: a file's name in the release, a picture or null on the hub."""
    return bool(row.values.get("image"))


def _item(row: Row) -> Item:
    answers = row.value("answers")
    if not isinstance(answers, list) or not 2 <= len(answers) <= len(LETTERS):
        raise row.wrong("answers", "a list of options is expected")
    listing = [Row(option if isinstance(option, dict) else {}, f"{row.where}, answers") for option in answers]
    numbers = [str(option.value("aid")) for option in listing]
    right = str(row.value("ra"))
    if right not in numbers:
        raise row.wrong("ra", f"{right} is none of the options' numbers, {', '.join(numbers)}")
    category = row.values.get("category")
    return Item(
        id=f"{row.values.get('name') or category or 'exam'}/{row.value('qid')}",
        question=row.text("qtext").strip(),
        options=tuple(option.text("atext").strip() for option in listing),
        labels=LETTERS[: len(listing)],
        gold=numbers.index(right),
        meta={"subject": category} if isinstance(category, str) else {},
    )


def _numbered(items: list[Item]) -> tuple[Item, ...]:
    """The items with ids of their own: an exam of the release has a few numbers twice."""
    seen: dict[str, int] = {}
    named = []
    for item in items:
        seen[item.id] = seen.get(item.id, 0) + 1
        named.append(item if seen[item.id] == 1 else replace(item, id=f"{item.id}#{seen[item.id]}"))
    return tuple(named)


HEADQA_EN = Benchmark(
    name="headqa-en",
    version="1",
    summary="Spanish healthcare exams in English, four or five options (2,742 test items)",
    citation=(
        "David Vilares and Carlos Gómez-Rodríguez. HEAD-QA: A healthcare dataset for complex reasoning. ACL 2019, "
        "pp. 960-966. doi:10.18653/v1/P19-1092"
    ),
    licence="MIT",
    load=load,
    question=lambda item: f"Question: {item.question}\n{listed(item)}\nAnswer:",
    metrics=METRICS,
    protocols=CHOICE,
    example=FOUR_OPTIONS,
    hub=HUB,
)
