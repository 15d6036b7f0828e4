"""K-QA: patients' questions, each with the statements that physicians say an answer must or may contain.

Read from the authors' `questions_w_answers.jsonl`. The release has no ids, so an item's id is its row, from 1. An
item's criteria are its statements, tagged `must_have` or `nice_to_have`; a judge says for each whether the answer
entails it, contradicts it or neither (`--judge NAME`). Its reference is the physicians' whole answer.
"""

from __future__ import annotations

from ..core.item import MUST_HAVE
from ..core.types import Benchmark, Criterion, Item, ItemSet
from .examples import CONSUMER
from .protocols import OPEN
from .sources.files import Source
from .sources.rows import Row, json_lines, partial

FILE = "questions_w_answers.jsonl"
OFFICIAL = 201
NICE_TO_HAVE = "nice_to_have"


def load(source: Source) -> ItemSet:
    """Load all questions; the release has no split for few-shot examples. Raises DataMissing, DataMalformed."""
    file = source.file("k-qa", FILE)
    if file is None:
        raise source.not_on_hub("k-qa", FILE, "K-QA (github.com/Itaymanes/K-QA)")
    items = tuple(_item(row, str(number)) for number, row in enumerate(json_lines(file), start=1))
    return ItemSet(items, file.origin, variant=partial(len(items), OFFICIAL, "questions"))


def _item(row: Row, item_id: str) -> Item:
    must = [Criterion(text.strip(), 1.0, (MUST_HAVE,)) for text in row.texts("Must_have")]
    nice = row.values.get("Nice_to_have") and row.texts("Nice_to_have")
    return Item(
        id=item_id,
        question=row.text("Question").strip(),
        references=(row.text("Free_form_answer").strip(),),
        criteria=(*must, *(Criterion(text.strip(), 0.0, (NICE_TO_HAVE,)) for text in nice or ())),
    )


K_QA = Benchmark(
    name="k-qa",
    version="1",
    summary="Patients' questions with physicians' must-have and nice-to-have statements (201 questions)",
    citation=(
        "Itay Manes, Naama Ronn, David Cohen, Ran Ilan Ber, Zehavi Horowitz-Kugler and Gabriel Stanovsky. K-QA: A "
        "real-world medical Q&A benchmark. BioNLP 2024. arXiv:2401.14493"
    ),
    licence="MIT",
    load=load,
    question=lambda item: f"Question: {item.question}\nAnswer:",
    metrics=("rouge1", "rougeL", "token_f1"),
    protocols=OPEN,
    example=CONSUMER,
    max_new_tokens=512,
)
