"""MEDIQA's human grades: a made-up file with the release's layout, and the real one."""

from __future__ import annotations

from pathlib import Path

import pytest
from medbench.benchmarks.sources.files import Source
from medbench.core.errors import DataMalformed, DataMissing
from medbench.results.agreement import mediqa_grades
from medbench.results.agreement.mediqa_grades import FILES


def release(folder: Path, *answers: tuple[str, str, str], question: str = "What is\n gout?") -> Source:
    """One question; answers as (id, score, text)."""
    listed = "".join(
        f'<Answer AID="{name}" SystemRank="1" ReferenceRank="1" ReferenceScore="{score}"><AnswerURL>https://a.example'
        f"</AnswerURL><AnswerText>{text}</AnswerText></Answer>"
        for name, score, text in answers
    )
    (folder / "mediqa2019").mkdir()
    (folder / "mediqa2019" / FILES[0]).write_text(
        f'<Set><Question QID="7"><QuestionText>{question}</QuestionText>'
        f"<AnswerList>{listed}</AnswerList></Question></Set>",
        encoding="utf-8",
    )
    return Source(folder)


def test_the_references_of_an_answer_are_the_others_that_experts_graded_4(tmp_path: Path) -> None:
    answers = [("7_A1", "4", "A joint disease."), ("7_A2", "1", "A  fish."), ("7_A3", "4", "Urate crystals.")]
    found = mediqa_grades.load(release(tmp_path, *answers))
    assert [(r.item.id, r.output.text, r.item.meta["grades"], r.item.references) for r in found.records] == [
        ("alexa/7_A1", "A joint disease.", "4", ("Urate crystals.",)),
        ("alexa/7_A2", "A fish.", "1", ("A joint disease.", "Urate crystals.")),
        ("alexa/7_A3", "Urate crystals.", "4", ("A joint disease.",)),
    ]
    assert {r.item.question for r in found.records} == {"What is gout?"}
    assert {r.item.meta["document"] for r in found.records} == {"alexa/7"}
    assert found.levels == (1, 2, 3, 4)
    assert found.notes[0] == "3 of the 1,096 graded answers are there"


def test_an_answer_without_a_better_neighbor_has_no_reference(tmp_path: Path) -> None:
    found = mediqa_grades.load(release(tmp_path, ("7_A1", "4", "A joint disease."), ("7_A2", "1", "A fish.")))
    assert [record.item.references for record in found.records] == [(), ("A joint disease.",)]
    assert found.notes[1].endswith("1 answer has none")


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        (("7_A1", "5", "x"), "answer 7_A1: the ReferenceScore '5' is not from 1 to 4"),
        (("7_A1", "4", " "), "Question 7: an answer has no AnswerText"),
        (("", "4", "x"), "Question 7: an answer has no AID"),
    ],
)
def test_what_cannot_be_used_is_named(tmp_path: Path, answer: tuple[str, str, str], said: str) -> None:
    with pytest.raises(DataMalformed, match=said):
        mediqa_grades.load(release(tmp_path, answer))


def test_without_the_release_the_message_names_its_files(tmp_path: Path) -> None:
    with pytest.raises(DataMissing, match=r"TrainingSet2-Alexa\.xml"):
        mediqa_grades.load(Source(tmp_path))


def test_the_real_release(real_data: Path) -> None:
    found = mediqa_grades.load(Source(real_data))
    assert len(found.records) == 1_096 and len({r.item.meta["document"] for r in found.records}) == 129
    assert len({record.item.id for record in found.records}) == 1_096
    assert len(found.notes) == 1
