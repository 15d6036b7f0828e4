"""People's grades of 2,311 candidate answers to the questions of `liveqa`.

The candidates are passages of MedQuAD that a retrieval system found for 103 of the questions; they were graded by hand
against the reference answers (Ben Abacha and Demner-Fushman 2019). No model wrote any of them. The release is two
files in one archive: lines `question grade answer-id`, and the texts by answer id.

There are 2,479 grades of 2,311 pairs of question and answer: 168 pairs have two, and all of these conflict. No line is
repeated in the file, so a pair that got the same grade twice looks like one that was graded once. So agreement among
people cannot be computed. Both grades of a pair are kept here; `measure.py` says how they are used.
"""

from __future__ import annotations

import dataclasses
import re
from dataclasses import dataclass, field

from ...benchmarks.liveqa import LIVEQA
from ...benchmarks.sources.files import FETCH_AGAIN, Source, SourceFile
from ...benchmarks.sources.official import downloadable
from ...benchmarks.sources.splits import one_spaced
from ...core.errors import DataMalformed, DataMissing
from ...core.official import Download
from ...core.tables import BadLine, csv_records
from ...core.types import Item, Output, Prompt, Record

NAME = "liveqa-grades"
VERSION = "1"  # raised whenever pairs, ids or texts change
ANSWERERS = "liveqa-candidates"
CITATION = (
    "Asma Ben Abacha and Dina Demner-Fushman. A question-entailment approach to question answering. BMC "
    "Bioinformatics 20, 2019."
)
LICENCE = "public release with MedQuAD, no licence of its own stated; cite the paper"
GRADES_FILE = "All-qrels_LiveQAMed2017-TestQuestions_2479_Judged-Answers.txt"
ANSWERS_FILE = "All-2479-Answers-retrieved-from-MedQuAD.csv"
ARCHIVE = "QA-TestSet-LiveQA-Med-Qrels-2479-Answers.zip"
RELEASE = Download(
    f"liveqa/{ARCHIVE}",
    f"https://raw.githubusercontent.com/abachaa/MedQuAD/f2bf4795dad34c037797ee6a956d90fd76fbb7ee/{ARCHIVE}",
    sha256="23d339357e5a10066542cc1e12f458f7002a8a86731369c8f4a8c4e337bf9ba1",
    size=959_640,
)
LEVELS = {"1-Incorrect": 1, "2-Related": 2, "3-Incomplete": 3, "4-Excellent": 4}
PAIRS = 2311

_ENTRY = re.compile(r"Question: [^\n]*\nURL: [^\n]*\nAnswer: ?(.*)", re.DOTALL)


@dataclass(frozen=True)
class RatedAnswers:
    """Answers that people have rated, each as the record of a run: its answer is the output's text.

    `item.meta["document"]` is the question, because ratings of one question's answers are not independent.
    """

    name: str
    version: str
    answerers: str  # who wrote the answers; takes the place of a model's name
    records: tuple[Record, ...]
    origin: str
    citation: str = ""
    licence: str = ""
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class GradedAnswers(RatedAnswers):
    """Answers that people have graded. `item.meta` has `grades`: all grades of the answer, such as "2" or "2,3"."""

    levels: tuple[int, ...] = field(kw_only=True)  # all possible grades, from worst to best


@downloadable(NAME, RELEASE)
def load(source: Source) -> GradedAnswers:
    """Return all pairs, in the order of `liveqa`'s questions and of the grades.

    Raises DataMissing if a file of the two releases is missing and cannot be downloaded, DataMalformed naming file and
    row.
    """
    questions = {item.id: item for item in LIVEQA.load(source).items}
    grades_file, answers_file = (source.file("liveqa", name) for name in (GRADES_FILE, ANSWERS_FILE))
    if grades_file is None or answers_file is None:
        raise _missing(source, GRADES_FILE if grades_file is None else ANSWERS_FILE)
    answers = _answers(answers_file)
    pairs: dict[tuple[str, str], list[int]] = {}
    for number, line in grades_file.lines():
        if line.strip():
            question, answer, grade = _grade(line, f"{grades_file.origin}, row {number}", questions, answers)
            pairs.setdefault((question, answer), []).append(grade)
    if not pairs:
        raise DataMalformed(f"{grades_file.origin} has no grades.", FETCH_AGAIN)
    order = {question: index for index, question in enumerate(questions)}
    records = tuple(
        _record(questions[question], answer, answers[answer], grades)
        for (question, answer), grades in sorted(pairs.items(), key=lambda pair: order[pair[0][0]])
    )
    return GradedAnswers(
        name=NAME,
        version=VERSION,
        answerers=ANSWERERS,
        records=records,
        levels=tuple(LEVELS.values()),
        origin=grades_file.origin,
        citation=CITATION,
        licence=LICENCE,
        notes=() if len(records) == PAIRS else (f"{len(records):,} of the {PAIRS:,} graded answers are there",),
    )


def _missing(source: Source, needed: str) -> DataMissing:
    where = f"it is not below {source.data}" if source.data else "no data folder was named (--data or MEDBENCH_DATA)"
    return DataMissing(
        f"{NAME} needs {needed}: {where}, and it has not been fetched.",
        f"Download {ARCHIVE}, which contains it, from https://github.com/abachaa/MedQuAD to a folder, and name that "
        "folder with --data or MEDBENCH_DATA.",
    )


def _answers(file: SourceFile) -> dict[str, str]:
    """Return the candidate answers by id. The file repeats an answer for every question that it was found for."""
    found: dict[str, str] = {}
    number = 0
    try:
        for line, cells in csv_records(file.lines()):
            number += 1
            where = f"{file.origin}, row {number} (line {line})"
            if len(cells) != 2:
                raise DataMalformed(
                    f"{where}: 2 columns are expected (AnswerID, Answer), not {len(cells)}.", FETCH_AGAIN
                )
            if number == 1 and cells == ["AnswerID", "Answer"]:
                continue
            answer = _answer_of(cells[1], where)
            if found.setdefault(cells[0], answer) != answer:
                raise DataMalformed(f"{where}: '{cells[0]}' has a different text in an earlier row.", FETCH_AGAIN)
    except BadLine as error:
        raise DataMalformed(f"{file.origin}, row {number + 1}: {error.problem}.", FETCH_AGAIN) from error
    return found


def _answer_of(entry: str, where: str) -> str:
    """Return an entry's answer, without the MedQuAD question and address at its beginning.

    Every entry of the release ends with an unmatched parenthesis, which is not part of the answer.
    """
    parts = _ENTRY.fullmatch(entry)
    answer = one_spaced(parts[1]).removesuffix(")").rstrip() if parts else ""
    if not answer:
        raise DataMalformed(f"{where}, field 'Answer': lines Question:, URL: and Answer: are expected.", FETCH_AGAIN)
    return answer


def _grade(line: str, where: str, questions: dict[str, Item], answers: dict[str, str]) -> tuple[str, str, int]:
    """Return the question id, answer id and grade of one line."""
    parts = line.split()
    if len(parts) != 3:
        raise DataMalformed(f"{where}: question, grade and answer id are expected, not {line.strip()!r}.", FETCH_AGAIN)
    number, grade, answer = parts
    question = f"TQ{number}"  # the questions' file calls the n-th one TQn
    if question not in questions:
        raise DataMalformed(f"{where}: liveqa has no question {question}.", FETCH_AGAIN)
    if grade not in LEVELS:
        raise DataMalformed(f"{where}: the grade {grade!r} is not one of {', '.join(LEVELS)}.", FETCH_AGAIN)
    if answer not in answers:
        raise DataMalformed(f"{where}: '{answer}' is not in {ANSWERS_FILE}.", FETCH_AGAIN)
    return question, answer, LEVELS[grade]


def _record(question: Item, answer: str, text: str, grades: list[int]) -> Record:
    name = f"{question.id}/{answer.removesuffix('.txt')}"
    told = {"document": question.id, "grades": ",".join(map(str, sorted(grades)))}
    item = dataclasses.replace(question, id=name, meta={**question.meta, **told})
    return Record(item, Output(name, prompt=Prompt(LIVEQA.question(question)).plain, text=text, finish="stop"))
