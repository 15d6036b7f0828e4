"""MEDIQA 2019, task 3: 1,096 answers to 129 questions, graded by experts on LiveQA's scale.

The answers are passages that the retrieval system CHiQA found. Read from the training set "Alexa" and the validation
set; the other training set is LiveQA's questions again and is not read, even if it is there. The release has no
reference answers, so the references of an answer are the other answers to its question that the experts graded 4. An
answer without such a neighbor has none, and metrics that need one leave it unscored.
"""

from __future__ import annotations

import xml.etree.ElementTree as ET
from collections.abc import Iterator

from ...benchmarks.sources.files import FETCH_AGAIN, Source, SourceFile
from ...benchmarks.sources.splits import one_spaced
from ...core.errors import DataMalformed
from ...core.types import Item, Output, Prompt, Record
from .liveqa_grades import LEVELS, GradedAnswers

NAME = "mediqa-qa"
PAIRS = 1_096
BEST = 4
FILES = ("MEDIQA2019-Task3-QA-TrainingSet2-Alexa.xml", "MEDIQA2019-Task3-QA-ValidationSet.xml")


def load(source: Source) -> GradedAnswers:
    """All graded answers, by question. Raises DataMissing, and DataMalformed naming file and answer."""
    files = [file for name in FILES if (file := source.file("mediqa2019", name))]
    if not files:
        raise source.not_on_hub("mediqa2019", " and ".join(FILES), "MEDIQA 2019, task 3")
    records = tuple(record for file in files for record in _records(file))
    many = f"{len(records):,} of the {PAIRS:,} graded answers are there"
    alone = sum(not record.item.references for record in records)
    notes = [many] if len(records) != PAIRS else []
    notes.append(
        "the release has no reference answers: an answer is compared with the others to its question that experts "
        f"graded {BEST}; {alone:,} answer{'s have' if alone != 1 else ' has'} none"
    )
    return GradedAnswers(
        name=NAME,
        version="1",
        answerers="chiqa",
        records=records,
        levels=tuple(LEVELS.values()),
        origin=", ".join(file.origin for file in files),
        citation=(
            "Asma Ben Abacha, Chaitanya Shivade and Dina Demner-Fushman. Overview of the MEDIQA 2019 shared task on "
            "textual inference, question entailment and question answering. BioNLP 2019."
        ),
        licence="public release of the shared task, no license stated; cite the paper",
        notes=tuple(notes),
    )


def _records(file: SourceFile) -> Iterator[Record]:
    try:
        root = ET.fromstring(file.bytes())
    except ET.ParseError as error:
        raise DataMalformed(f"{file.origin} is not well-formed XML: {error}.", FETCH_AGAIN) from error
    part = "alexa" if "Alexa" in file.origin else "validation"
    for number, question in enumerate(root.iterfind("Question"), start=1):
        where = f"{file.origin}, Question {question.get('QID') or number}"
        asked = one_spaced(question.findtext("QuestionText") or "")
        if not asked:
            raise DataMalformed(f"{where}: QuestionText is missing or empty.", FETCH_AGAIN)
        answers = [_answer(answer, where) for answer in question.iterfind("AnswerList/Answer")]
        for name, text, grade in answers:
            references = [other for other_name, other, of in answers if of == BEST and other_name != name]
            item = Item(
                id=f"{part}/{name}",
                question=asked,
                references=tuple(dict.fromkeys(references)),
                meta={"document": f"{part}/{question.get('QID') or number}", "grades": str(grade)},
            )
            prompt = Prompt(f"Question: {asked}\nAnswer:").plain
            yield Record(item, Output(item.id, prompt=prompt, text=text, finish="stop"))


def _answer(answer: ET.Element, where: str) -> tuple[str, str, int]:
    """Return the id, text and grade of one answer."""
    name, grade = answer.get("AID") or "", answer.get("ReferenceScore") or ""
    text = one_spaced(answer.findtext("AnswerText") or "")
    if not name or not text:
        raise DataMalformed(f"{where}: an answer has no {'AnswerText' if name else 'AID'}.", FETCH_AGAIN)
    if grade not in {str(level) for level in LEVELS.values()}:
        raise DataMalformed(f"{where}, answer {name}: the ReferenceScore {grade!r} is not from 1 to 4.", FETCH_AGAIN)
    return name, text, int(grade)
