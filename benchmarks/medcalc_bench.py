"""MedCalc-Bench: a patient note and a question whose answer is calculated from it.

Read from the authors' CSV (`test_data.csv`, with `one_shot_data.csv` for few-shot examples) or from the hub copy of the
verified version. If only `one_shot_data.csv` is there, its 55 rows are the items, and the column's name says so. An
item's id is its calculator's id and its row number. Right is what lies within the row's limits.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Literal

from ..core.types import Benchmark, Item, ItemSet, Target
from .examples import CALCULATION
from .protocols import COT
from .sources.files import Source
from .sources.rows import Row, distinct, headed_rows, hub_rows, partial, usable

HUB = "nsk7153/MedCalc-Bench-Verified"
OFFICIAL = 1_100
_DATE = re.compile(r"\d{1,2}/\d{1,2}/\d{4}")
_NUMBER = re.compile(r"-?\d+(\.\d+)?(e-?\d+)?", re.I)
_DURATION = re.compile(r"\W*(\d+)\s*weeks?\W+(\d+)\s*days?\W*")  # ('34 weeks', '3 days')


def load(source: Source) -> ItemSet:
    """Load the test items; few-shot examples are the one-shot rows, one per calculator. Raises DataMissing,
    DataMalformed.
    """
    file = source.file("medcalc-bench", "test_data*.csv", "medcalc*test*.csv")
    pool = source.file("medcalc-bench", "one_shot_data*.csv")
    if file:
        items = distinct(_item, headed_rows(file))
        shots = usable(lambda number, row: _item(row), headed_rows(pool)) if pool else ()
        return ItemSet(items, file.origin, shots, partial(len(items), OFFICIAL))
    if pool:
        items = distinct(_item, headed_rows(pool))
        return ItemSet(items, pool.origin, variant=f"{len(items)} one-shot rows, not the test set")
    found = source.hub(HUB, "test", needed="MedCalc-Bench's test_data.csv")
    items = distinct(_item, hub_rows(found))
    shots = usable(lambda number, row: _item(row), hub_rows(source.hub(HUB, "one_shot")))
    return ItemSet(items, found.origin, shots, partial(len(items), OFFICIAL))


def _item(row: Row) -> Item:
    target = _target(row)
    return Item(
        id=f"{row.words('Calculator ID')}/{row.words('Row Number')}",
        question=row.text("Question").strip(),
        context=row.text("Patient Note").strip(),
        references=(target.value,),
        target=target,
        meta={"subject": row.text("Category"), "calculator": row.text("Calculator Name")},
    )


def _target(row: Row) -> Target:
    written = row.words("Ground Truth Answer")
    for kind, pattern, read in _KINDS:
        if pattern.fullmatch(written):
            low, high = (row.words(field) for field in ("Lower Limit", "Upper Limit"))
            for field, limit in (("Lower Limit", low), ("Upper Limit", high)):
                if not pattern.fullmatch(limit):
                    raise row.wrong(field, f"'{limit}' is not a {kind}, as the answer '{written}' is")
            return Target(read(written), kind, read(low), read(high))
    raise row.wrong("Ground Truth Answer", f"'{written}' is not a number, a date, or weeks and days")


def _weeks(written: str) -> str:
    found = _DURATION.fullmatch(written)
    assert found
    return f"{found[1]} weeks {found[2]} days"


_KINDS: tuple[tuple[Literal["number", "date", "duration"], re.Pattern[str], Callable[[str], str]], ...] = (
    ("number", _NUMBER, str),
    ("date", _DATE, str),
    ("duration", _DURATION, _weeks),
)
_FORMS = {
    "number": "the number only, without a unit",
    "date": "the date only, as MM/DD/YYYY",
    "duration": "the weeks and days only, such as 20 weeks 4 days",
}


def asked(item: Item) -> str:
    """Return the note and the question, without a request for an answer."""
    return f"Patient note: {item.context}\n\nQuestion: {item.question}"


def form(item: Item) -> str:
    """Return how the answer should be written, to complete "Answer with …"."""
    return _FORMS[item.target.kind if item.target else "number"]


MEDCALC_BENCH = Benchmark(
    name="medcalc-bench",
    version="1",
    summary="Calculations from patient notes: scores, doses, laboratory values, dates (official 1,100 test items)",
    citation=(
        "Nikhil Khandekar, Qiao Jin, Guangzhi Xiong, et al. MedCalc-Bench: Evaluating large language models for "
        "medical calculations. NeurIPS 2024 (datasets and benchmarks). arXiv:2406.12036"
    ),
    licence="CC BY-SA 4.0",
    load=load,
    question=lambda item: f"{asked(item)}\n\nAnswer with {form(item)}.\nAnswer:",
    metrics=("numeric_accuracy",),
    protocols=(COT,),
    example=CALCULATION,
    max_new_tokens=64,
    stop=("\n\n", "\nQuestion:"),
    hub=HUB,
)
