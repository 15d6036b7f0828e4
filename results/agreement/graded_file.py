"""The user's own grades: a CSV file with a header, or JSON lines, with one grade per row.

    question    as it was asked
    answer      what was graded
    grade       a whole number; more is better
    reference   optional: a right answer; a question has all references in its rows
    item        optional: a name for the question, if several questions have the same text

Two rows with the same question and answer are two grades of one answer.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from ...benchmarks.sources.files import SourceFile, own_file
from ...benchmarks.sources.rows import Row, json_lines
from ...core.errors import DataMalformed, UsageError
from ...core.hashing import fingerprint
from ...core.tables import BadLine, csv_records, separator_hint
from ...core.types import Item, Output, Record
from .liveqa_grades import GradedAnswers

WITHOUT = "A CSV file or JSON lines: question, answer and grade are needed; reference and item are optional."


@own_file(WITHOUT)
def load(path: Path) -> GradedAnswers:
    """Read a file of grades. Raises UsageError if it is missing, DataMalformed naming row and field."""
    if not path.is_file():
        raise UsageError(f"--grades {path}: there is no such file.", WITHOUT)
    file = SourceFile(path.name, path)
    rows = list(json_lines(file) if path.suffix in {".jsonl", ".json"} else _csv(file))
    if not rows:
        raise DataMalformed(f"{path} has no grades.", WITHOUT)
    questions: dict[str, str] = {}
    references: dict[str, dict[str, None]] = {}
    grades: dict[tuple[str, str], list[int]] = {}
    for row in rows:
        question, answer, grade = row.text("question"), row.text("answer", blank=True), _grade(row)
        name = row.text("item", blank=True) if "item" in row.values else ""
        name = name or fingerprint(question)
        if questions.setdefault(name, question) != question:
            raise row.wrong("item", f"'{name}' is a different question in an earlier row")
        reference = row.text("reference", blank=True) if "reference" in row.values else ""
        references.setdefault(name, {}).update(dict.fromkeys([reference] if reference.strip() else []))
        grades.setdefault((name, answer), []).append(grade)
    records = tuple(
        _record(name, questions[name], tuple(references[name]), answer, given)
        for (name, answer), given in grades.items()
    )
    levels = tuple(sorted({grade for given in grades.values() for grade in given}))
    return GradedAnswers(path.stem, "1", "graded-answers", records, str(path), levels=levels)


def _csv(file: SourceFile) -> Iterator[Row]:
    heading: list[str] = []
    number = 0
    try:
        for line, cells in csv_records(file.lines()):
            if not heading:
                heading = cells
                if hint := separator_hint(heading):
                    raise DataMalformed(f"{file.origin}, line {line}: one column: {heading[0]}.", hint)
                continue
            number += 1
            where = f"{file.origin}, row {number} (line {line})"
            if len(cells) != len(heading):
                raise DataMalformed(f"{where}: the number of cells differs from the header.", WITHOUT)
            yield Row(dict(zip(heading, cells)), where)
    except BadLine as error:
        raise DataMalformed(f"{file.origin}, line {error.number}: {error.problem}.", WITHOUT) from error


def _grade(row: Row) -> int:
    value = row.value("grade")
    try:
        if isinstance(value, bool) or int(value) != float(value):
            raise ValueError
        return int(value)
    except (TypeError, ValueError, OverflowError):
        raise row.wrong("grade", f"a whole number is expected, not {value!r}") from None


def _record(name: str, question: str, references: tuple[str, ...], answer: str, grades: list[int]) -> Record:
    pair = f"{name}/{fingerprint(answer)}"
    told = {"document": name, "grades": ",".join(map(str, sorted(grades)))}
    item = Item(pair, question, references=references, meta=told)
    return Record(item, Output(pair, prompt=question, text=answer, finish="stop"))
