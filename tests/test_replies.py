"""The choice reader on labeled replies in the styles of current models, and how tables report truncated ones."""

from __future__ import annotations

import sys
from collections import Counter
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from medbench.metrics.choice_extraction import ChoiceReading, read_choice

sys.path.insert(0, str(Path(__file__).parent / "replies"))
import measure

DRUGS = ("Aspirin", "Warfarin", "Heparin", "Ibuprofen")
LETTERS = ("A", "B", "C", "D")
FOUND = measure.outcomes()


def test_the_set_is_large_and_has_replies_without_an_answer() -> None:
    assert len(FOUND) >= 400
    assert len({one.row["id"] for one in FOUND}) == len(FOUND)
    assert len({(one.row["text"], tuple(one.row["options"]), one.row["finish"]) for one in FOUND}) >= 0.99 * len(FOUND)
    assert sum(one.row["answer"] is None for one in FOUND) >= 60


def test_wrong_labels_and_unread_answers_stay_rare() -> None:
    wrong = [one.row["id"] for one in FOUND if one.wrong]
    unread = [one.row["id"] for one in FOUND if one.unread]
    stated = sum(one.row["answer"] is not None for one in FOUND)
    assert len(wrong) <= 0.003 * len(FOUND), wrong
    assert len(unread) <= 0.02 * stated, unread


@pytest.mark.parametrize(
    ("name", "unread_share"),
    [
        ("typical", 0.03),
        ("unusual", 0.10),
        ("blind_a", 0.02),
        ("blind_b", 0.02),
        ("blind_c", 0.02),
        ("blind_d", 0.02),
        ("critic", 0.2),
    ],
)
def test_replies_that_were_written_without_knowing_the_reader(name: str, unread_share: float) -> None:
    found = measure.outcomes([measure.REPLIES.with_name(f"{name}.jsonl")])
    stated = sum(one.row["answer"] is not None for one in found)
    assert [one.row["id"] for one in found if one.wrong] == []
    assert sum(one.unread for one in found) <= unread_share * stated


def test_every_kind_of_evidence_that_decides_is_precise() -> None:
    decided = Counter(one.reading.kind for one in FOUND if one.read is not None)
    wrong = Counter(one.reading.kind for one in FOUND if one.wrong)
    assert decided.keys() >= {"fields", "final", "stated", "lone", "judged", "verdicts", "concluded", "opening"}
    assert {kind: wrong[kind] / n for kind, n in decided.items() if wrong[kind] / n > 0.03} == {}


def drug(text: str, cut: bool = False) -> str:
    reading = read_choice(text, DRUGS, LETTERS, cut)
    return reading.reason if reading.index is None else LETTERS[reading.index]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Let's evaluate each option:\nA. Aspirin: no.\nThe most appropriate drug is D. Ibuprofen.", "D"),
        ("Let's evaluate each option:\nA. Aspirin: no.\nAnswer: D", "D"),
        ("Option A: no.\nOption B: no.\nThe correct answer is D.", "D"),
        ("Option A, aspirin, is wrong. Ibuprofen fits best.", "D"),
        ("Aspirin and warfarin are not analgesics. Ibuprofen", "D"),
        ("C. Ibuprofen is the best answer.", "two answers stated: C, D"),
        ("### Answer\nA. Aspirin\n### Explanation\nB is incorrect because it is an anticoagulant.", "A"),
    ],
)
def test_a_list_of_options_is_no_statement(text: str, expected: str) -> None:
    assert drug(text) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Answer: D\nExplanation: ibuprofen is", "D"),
        ("Final answer: D.", "D"),
        ('{"answer": "D", "reason": "it is', "D"),
        ("\\boxed{D} because", "D"),
        ("The answer is", "cut off"),
        ("Answer: B", "cut off"),  # may be the start of "Beta-blockers"
        ("D. Ibuprofen", "cut off"),
        ("Let's evaluate each option:\nA. Aspirin: this", "cut off"),
        ("Therefore, ibuprofen, which", "cut off"),
        ("The answer is D. However, let me check the renal", "cut off"),
        ("<think>The answer is D.", "cut off"),
        ("", "empty answer"),
    ],
)
def test_a_reply_that_was_cut_off_is_read_by_whole_statements_only(text: str, expected: str) -> None:
    assert drug(text, cut=True) == expected


def test_options_that_combine_others() -> None:
    signs = ("Fever", "Cough", "Rash", "Both A and B")
    assert read_choice("Both A and B", signs, LETTERS).index == 3
    assert read_choice("The answer is A and B.", signs, LETTERS).index == 3
    assert read_choice("A and C", signs, LETTERS).reason == "two answers stated: A, C"
    every = ("Fever", "Cough", "Rash", "All of the above")
    assert read_choice("A, B and C", every, LETTERS).index == 3


def test_letters_for_answers_that_are_words() -> None:
    words = ("yes", "no", "maybe")
    assert read_choice("(A) yes", words) == ChoiceReading(0)
    assert read_choice("A) yes\nB) no\nC) maybe\n\nAnswer: B", words) == ChoiceReading(1)
    assert read_choice("B", words).reason == "no option named", "no list says what B is"


def test_a_reading_says_which_kind_of_evidence_decided() -> None:
    kinds = {
        "fields": r"\boxed{D}",
        "final": "Final answer: D",
        "stated": "The answer is D.",
        "lone": "D",
        "judged": "D is correct.",
        "concluded": "Therefore, ibuprofen.",
        "opening": "D. It is a weak acid.",
        "mentioned": "Give her (D) please",
    }
    assert {kind: read_choice(text, DRUGS, LETTERS).kind for kind, text in kinds.items()} == {k: k for k in kinds}


PARTS = [
    "A.",
    "Answer:",
    "答案是",
    "option 2",
    "~~A~~",
    "\\boxed{",
    "{",
    "}",
    '"answer": "',
    "| B |",
    "<s>",
    "</s>",
    "**",
    "\n",
]
parts = [
    *PARTS,
    "### B",
    "❌",
    "wait",
    "Question: what is it then, my friend?",
    "not",
    "B is correct.",
    "<b>",
    "Aspirin",
    "(",
    "yes or no answer",
]


@settings(deadline=None)
@given(st.text() | st.lists(st.sampled_from(parts)).map(" ".join), st.booleans(), st.booleans())
def test_any_text_gives_an_option_or_a_reason(text: str, labeled: bool, cut: bool) -> None:
    reading = read_choice(text, DRUGS, LETTERS if labeled else (), cut)
    assert (reading.index is None) == bool(reading.reason)


@pytest.mark.parametrize(
    "part", ["A. ", "the answer is ", "答案是", "(((", "<answer>", "\\boxed{", '"answer": "\\', "B is "]
)
def test_texts_of_100_kb_are_read(part: str) -> None:
    """A pattern that takes quadratic time would hang here."""
    reading = read_choice(part * (100_000 // len(part)), DRUGS, LETTERS)
    assert reading.index in (None, 0)
