"""LiveQA's human grades, and anyone's own, on hand-made files with the real ones' traps, then on the real release."""

from __future__ import annotations

import csv
import io
import json
import re
import zipfile
from collections import Counter
from pathlib import Path

import pytest
from medbench.benchmarks.liveqa import FILE, LIVEQA
from medbench.benchmarks.sources.files import Source
from medbench.core.errors import DataMalformed, DataMissing, UsageError
from medbench.metrics.token_f1 import TOKEN_F1
from medbench.results.agreement import graded_file, liveqa_grades
from medbench.results.agreement.liveqa_grades import ANSWERS_FILE, ARCHIVE, GRADES_FILE

QUESTIONS = "".join(
    f'<NLM-QUESTION qid="TQ{number}"><Original-Question><SUBJECT>{subject}</SUBJECT><MESSAGE>{message}</MESSAGE>'
    f"</Original-Question><ReferenceAnswers><ReferenceAnswer><ANSWER>{reference}</ANSWER></ReferenceAnswer>"
    "</ReferenceAnswers></NLM-QUESTION>"
    for number, subject, message, reference in [
        (1, "gout", "Is it bad?", "It hurts."),
        (2, "", "May I eat?", "You may."),
        (10, "rest", "How long?", "A week."),
    ]
)
# Every entry of the release ends with ")", a space and a line's end.
GOUT = "Question: What is gout ?\nURL: http://a/b\nAnswer: Gout  hurts (a lot).\n It comes and goes.) \n"
DIET = "Question: Diet ?\nURL: http://a/c\nAnswer: Eat well.) \n"
ROWS = [("G_1.txt", GOUT), ("D_1.txt", DIET), ("G_1.txt", GOUT)]  # one for each question that it was found for
GRADES = "10 1-Incorrect G_1.txt\n1 1-Incorrect D_1.txt\n1 2-Related D_1.txt\n1 4-Excellent G_1.txt\n"


def answers(rows: list[tuple[str, str]]) -> str:
    out = io.StringIO()
    csv.writer(out).writerows([("AnswerID", "Answer"), *rows])
    return out.getvalue()


def release(folder: Path, grades: str | None = GRADES, rows: list[tuple[str, str]] | None = None) -> Source:
    """The two releases as they are published: an XML file, and an archive of two files in a folder of its name."""
    (folder / "liveqa").mkdir()
    (folder / "liveqa" / FILE).write_text(f"<Set>{QUESTIONS}</Set>", encoding="utf-8")
    if grades is not None:
        with zipfile.ZipFile(folder / "liveqa" / ARCHIVE, "w") as archive:
            archive.writestr(f"QA/{GRADES_FILE}", grades)
            archive.writestr(f"QA/{ANSWERS_FILE}", answers(ROWS if rows is None else rows))
    return Source(folder)


class TestLiveqaGrades:
    def test_a_pair_is_a_record_of_the_question_as_liveqa_asks_it(self, tmp_path: Path) -> None:
        found = liveqa_grades.load(release(tmp_path))
        first, second, third = found.records  # by question in the order of liveqa, where 10 comes after 1
        assert [record.item.id for record in found.records] == ["TQ1/D_1", "TQ1/G_1", "TQ10/G_1"]
        asked = LIVEQA.load(Source(tmp_path)).items[0]
        assert (second.item.question, second.item.references) == (asked.question, asked.references)
        assert second.output.prompt == "Question: gout\nIs it bad?\nAnswer:" == LIVEQA.question(asked)
        assert second.output.item_id == second.item.id
        assert second.output.text == "Gout hurts (a lot). It comes and goes."
        assert (first.item.meta["document"], first.item.meta["grades"]) == ("TQ1", "1,2")  # in conflict: both are kept
        assert (third.item.meta["document"], third.item.meta["grades"]) == ("TQ10", "1")
        assert found.levels == (1, 2, 3, 4)
        assert found.notes == ("3 of the 2,311 graded answers are there",)
        assert found.origin.endswith(f"{ARCHIVE}:QA/{GRADES_FILE}")

    def test_metrics_read_these_records_as_any_other(self, tmp_path: Path) -> None:
        # "gout hurts lot it comes and goes" shares "it" and "hurts" with "it hurts": 2·2/(7 + 2).
        scores = {score.item_id: score.value for score in TOKEN_F1.score(liveqa_grades.load(release(tmp_path)).records)}
        assert scores["TQ1/G_1"] == pytest.approx(4 / 9)

    @pytest.mark.parametrize(
        ("grades", "rows", "said"),
        [
            ("1 4-Excellent\n", ROWS, ["row 1", "question, grade and answer id"]),
            (GRADES + "3 1-Incorrect G_1.txt\n", ROWS, ["row 5", "no question TQ3"]),
            ("1 4 G_1.txt\n", ROWS, ["row 1", "'4' is not one of 1-Incorrect"]),
            ("1 2-Related X.txt\n", ROWS, ["row 1", "'X.txt' is not in", ANSWERS_FILE]),
            ("\n", ROWS, ["has no grades"]),
            (GRADES, [*ROWS, ("G_1.txt", DIET)], ["row 5", "'G_1.txt' has a different text"]),
            (GRADES, [*ROWS, ("N_1.txt", "Just text")], ["row 5", "field 'Answer'"]),
            (GRADES, [*ROWS, ("N_1.txt", "Question: a\nURL: b\nAnswer: ) \n")], ["row 5", "field 'Answer'"]),
            (GRADES, [*ROWS, ("N_1.txt", DIET, "more")], ["row 5", "2 columns are expected", "not 3"]),
        ],
    )
    def test_malformed_is_told_with_file_and_row(
        self, tmp_path: Path, grades: str, rows: list[tuple[str, str]], said: list[str]
    ) -> None:
        with pytest.raises(DataMalformed) as caught:
            liveqa_grades.load(release(tmp_path, grades, rows))
        assert all(part in str(caught.value) for part in [str(tmp_path / "liveqa"), *said])

    def test_missing_says_what_was_needed_where_it_was_looked_for_and_where_it_is_found(self, tmp_path: Path) -> None:
        with pytest.raises(DataMissing) as caught:
            liveqa_grades.load(release(tmp_path, grades=None))
        assert all(part in str(caught.value) for part in [GRADES_FILE, str(tmp_path), ARCHIVE, "abachaa/MedQuAD"])
        with pytest.raises(DataMissing, match="no data folder was named"):
            liveqa_grades.load(Source())


def test_the_real_release(real_data: Path) -> None:
    found = liveqa_grades.load(Source(real_data))
    assert found.notes == ()
    assert len({record.item.id for record in found.records}) == len(found.records) == 2311
    assert len({record.item.meta["document"] for record in found.records}) == 103
    given = [record.item.meta["grades"].split(",") for record in found.records]
    assert Counter(grade for grades in given for grade in grades) == {"1": 1436, "2": 678, "3": 223, "4": 142}
    several = [grades for grades in given if len(grades) > 1]
    assert len(several) == 168
    assert all(len(set(grades)) == len(grades) == 2 for grades in several)  # every one a conflict
    texts = [record.output.text or "" for record in found.records]
    assert not any(re.search(r"URL: http|\n", text) for text in texts)
    assert sum(text.count(")") > text.count("(") for text in texts) < 0.02 * len(texts)


def test_the_real_grades_belong_to_the_questions_of_their_number(real_data: Path) -> None:
    """`1` in the file of grades is TQ1 in the file of questions: answers share more with references one to one than
    when every question is paired with the answers of the next.
    """
    records = liveqa_grades.load(Source(real_data)).records[::5]
    items = {item.id: item for item in LIVEQA.load(Source(real_data)).items}

    def mean(shift: int) -> float:
        pairs = [(items[f"TQ{(int(r.item.meta['document'][2:]) - 1 + shift) % 104 + 1}"], r.output) for r in records]
        moved = [type(r)(item, output) for r, (item, output) in zip(records, pairs)]
        return sum(score.value or 0.0 for score in TOKEN_F1.score(moved)) / len(moved)

    assert mean(0) > max(mean(1), mean(-1)) + 0.02


OWN = "question,answer,grade,reference\nBad?,Yes.,3,Yes\nBad?,No.,1,\nBad?,Yes.,2,Very\nSo?,,0,\n"


class TestOwnGrades:
    def test_rows_of_one_answer_are_its_grades_and_of_one_question_its_references(self, tmp_path: Path) -> None:
        file = tmp_path / "mine.csv"
        file.write_text(OWN, encoding="utf-8")
        found = graded_file.load(file)
        assert [(r.output.text, r.item.meta["grades"]) for r in found.records] == [
            ("Yes.", "2,3"),
            ("No.", "1"),
            ("", "0"),
        ]
        assert [r.item.references for r in found.records] == [("Yes", "Very"), ("Yes", "Very"), ()]
        assert len({r.item.meta["document"] for r in found.records}) == 2
        assert (found.name, found.levels) == ("mine", (0, 1, 2, 3))

    def test_json_lines_say_the_same(self, tmp_path: Path) -> None:
        table, lines = tmp_path / "mine.csv", tmp_path / "mine.jsonl"
        table.write_text(OWN, encoding="utf-8")
        rows = [row | {"grade": int(row["grade"])} for row in csv.DictReader(io.StringIO(OWN))]
        lines.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
        assert graded_file.load(lines).records == graded_file.load(table).records

    def test_an_item_column_tells_equal_questions_apart(self, tmp_path: Path) -> None:
        file = tmp_path / "mine.csv"
        file.write_text("item,question,answer,grade\na,Why?,So.,1\nb,Why?,So.,2\n", encoding="utf-8")
        assert [r.item.meta["document"] for r in graded_file.load(file).records] == ["a", "b"]

    @pytest.mark.parametrize(
        ("text", "said"),
        [
            ("question,answer\na,b\n", ["row 1", "field 'grade'", "missing"]),
            ("question,answer,grade\na,b,2.5\n", ["row 1", "'2.5'", "whole number"]),
            ("question,answer,grade\na,b,\n", ["row 1", "''", "whole number"]),
            ("question,answer,grade\na,b,1\n,b,1\n", ["row 2", "field 'question'"]),
            ("question,answer,grade\na,b\n", ["row 1", "number of cells differs"]),
            ("item,question,answer,grade\nx,a,b,1\nx,c,b,1\n", ["row 2", "field 'item'", "a different question"]),
            ("question,answer,grade\n", ["has no grades", "question, answer and grade are needed"]),
        ],
    )
    def test_malformed_is_told_with_row_and_field(self, tmp_path: Path, text: str, said: list[str]) -> None:
        file = tmp_path / "mine.csv"
        file.write_text(text, encoding="utf-8")
        with pytest.raises(DataMalformed) as caught:
            graded_file.load(file)
        assert all(part in str(caught.value) for part in [str(file), *said])

    def test_no_such_file(self, tmp_path: Path) -> None:
        with pytest.raises(UsageError, match="there is no such file"):
            graded_file.load(tmp_path / "none.csv")
