"""K-QA's labeled statements: 399 statements about 50 model answers, each labeled by three physicians.

A label says whether the answer entails the statement, contradicts it or neither. Read from the authors'
`NLI_medical_annotator.csv`, a row per statement. A record is one answer, with its statements as the item's criteria.
"""

from __future__ import annotations

from collections.abc import Sequence

from ...benchmarks.k_qa import K_QA, NICE_TO_HAVE
from ...benchmarks.sources.files import FETCH_AGAIN, Source
from ...benchmarks.sources.rows import Row, headed_rows
from ...core.errors import DataMalformed
from ...core.item import MUST_HAVE
from ...core.types import Criterion, Item, Output, Prompt, Record
from .liveqa_grades import RatedAnswers

SET = "k-qa"  # as --set names it
FILE = "NLI_medical_annotator.csv"
STATEMENTS = 399
LABELS = ("entailment", "neutral", "contradiction")
PHYSICIANS = 3
MAJORITY = "majority_label"
_WRITTEN = tuple(label.capitalize() for label in LABELS)
_TAGS = {"Must_have": (1.0, MUST_HAVE), "Nice_to_have": (0.0, NICE_TO_HAVE)}


def load(source: Source) -> RatedAnswers:
    """Return all labeled answers, in the file's order. Raises DataMissing, and DataMalformed naming row and field."""
    file = source.file("k-qa", FILE)
    if file is None:
        raise source.not_on_hub("k-qa", FILE, "K-QA (github.com/Itaymanes/K-QA)")
    answers: dict[tuple[str, str], list[Row]] = {}
    for row in headed_rows(file):
        answers.setdefault((row.text("Question").strip(), row.text("llm_x").strip()), []).append(row)
    if not answers:
        raise DataMalformed(f"{file.origin} has no statements.", FETCH_AGAIN)
    numbers = {question: str(number) for number, question in enumerate(dict.fromkeys(q for q, _ in answers), start=1)}
    records = tuple(_record(numbers[question], question, llm, rows) for (question, llm), rows in answers.items())
    count = sum(map(len, answers.values()))
    return RatedAnswers(
        name="k-qa-labels",
        version="1",
        answerers="k-qa-models",
        records=records,
        origin=file.origin,
        citation=K_QA.citation,
        licence=K_QA.licence,
        notes=() if count == STATEMENTS else (f"{count:,} of the {STATEMENTS} labeled statements are there",),
    )


def votes_of(record: Record) -> list[tuple[str, ...]]:
    """Return, for each statement of a record, the labels of the three physicians and then the majority's."""
    return list(zip(*(record.item.meta[name].split(",") for name in (*_physicians(), MAJORITY)), strict=True))


def _physicians() -> list[str]:
    return [f"label_{number}" for number in range(PHYSICIANS)]


def _record(number: str, question: str, llm: str, rows: Sequence[Row]) -> Record:
    answer = rows[0].text("answer").strip()
    criteria, votes = list[Criterion](), list[tuple[str, ...]]()
    for row in rows:
        if row.text("answer").strip() != answer:
            raise row.wrong("answer", f"{llm} has another answer to this question in an earlier row")
        points, tag = _TAGS[list(_TAGS)[row.one_of("category_x", list(_TAGS))]]
        criteria.append(Criterion(row.text("claim").strip(), points, (tag,)))
        votes.append(_votes(row))
    labels = {name: ",".join(given) for name, given in zip((*_physicians(), MAJORITY), zip(*votes))}
    item = Item(
        f"{number}/{llm}", question, criteria=tuple(criteria), meta={"document": number, "source": llm, **labels}
    )
    return Record(item, Output(item.id, prompt=Prompt(K_QA.question(item)).plain, text=answer, finish="stop"))


def _votes(row: Row) -> tuple[str, ...]:
    """Return the three labels and the majority's, which is the file's own where all three differ."""
    *each, majority = (LABELS[row.one_of(name, _WRITTEN)] for name in (*_physicians(), MAJORITY))
    most = max(LABELS, key=each.count)
    if each.count(most) > 1 and majority != most:
        raise row.wrong(MAJORITY, f"it is {majority}, but most physicians say {most}")
    return (*each, majority)
