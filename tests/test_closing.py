"""Replies that state no answer explicitly: what their last sentence concludes."""

from __future__ import annotations

import pytest
from medbench.metrics.choice_extraction import read_choice

DRUGS = ["Aspirin", "Warfarin", "Heparin", "Ibuprofen"]
TESTS = ["Chest X-ray", "Sputum culture", "Sweat chloride test", "Bronchoscopy"]
LABELS = ["A", "B", "C", "D"]


@pytest.mark.parametrize(
    ("text", "options", "right"),
    [
        # One option is all that is named.
        ("A child with greasy stools and recurrent pneumonia should get a sweat chloride test.", TESTS, 2),
        ("These findings point to an overdose of warfarin, which the INR of 9 confirms.", DRUGS, 1),
        ("Cystic fibrosis is likely. I would order a sweat chloride test next.", TESTS, 2),
        ("Of the drugs listed, only one is safe here: the last one.", DRUGS, 3),
        ("Il faut débuter sans attendre l'héparine, donc Heparin.", DRUGS, 2),
        # Others were discussed before.
        (
            "Aspirin and warfarin act too slowly. Ibuprofen does nothing for clots. So the patient needs heparin.",
            DRUGS,
            2,
        ),
        (
            "A is too slow.\nB takes days.\nD is an analgesic.\n\nOnly heparin acts at once, which is what he needs.",
            DRUGS,
            2,
        ),
        ("- Aspirin: platelets\n- Warfarin: slow\n- Ibuprofen: pain\n\nImmediate effect: **Heparin**", DRUGS, 2),
        ("I was leaning toward aspirin. The platelet count is 20, however. My recommendation is ibuprofen.", DRUGS, 3),
        # What follows only dismisses the others.
        (
            "This must be treated with heparin.\n\nThe other options:\n- Aspirin: too weak\n- Warfarin: too slow",
            DRUGS,
            2,
        ),
    ],
)
def test_the_last_sentence_that_names_an_option_decides(text: str, options: list[str], right: int) -> None:
    reading = read_choice(text, options, LABELS)
    assert (reading.index, reading.kind) == (right, "closing")


@pytest.mark.parametrize(
    "text",
    [
        "Aspirin is an antiplatelet agent that irreversibly inhibits cyclooxygenase.",
        "Digoxin is not listed. Aspirin should be avoided, and warfarin should be avoided too.",
        "Aspirin inhibits platelets. Warfarin inhibits vitamin K. Heparin activates antithrombin.",
        "It depends on the renal function. If it is normal, I would give heparin.",
        "Could this be treated with heparin?",
        "So either aspirin or heparin would be right.",
        "I would need more information before I could recommend heparin.",
        "Heparin may be considered. Please consult a hematologist.",
        "Aspirin is too weak and warfarin too slow. Therefore not ibuprofen.",
        "The patient has hemophilia A and hepatitis B.",
        "Options:\n- Aspirin\n- Warfarin\n- Heparin\n- Ibuprofen",
        "Heparin is contraindicated after HIT, so it should be avoided. Aspirin is the alternative, or warfarin.",
    ],
)
def test_a_reply_that_leaves_the_choice_open_is_unread(text: str) -> None:
    assert read_choice(text, DRUGS, LABELS).index is None


def test_a_reply_that_was_cut_off_has_no_closing() -> None:
    text = "Aspirin is too weak. So the patient needs heparin"
    assert read_choice(text, DRUGS, LABELS).index == 2
    assert read_choice(text, DRUGS, LABELS, cut=True).index is None


def test_the_article_a_is_no_label() -> None:
    options = ["Pulmonary function tests", "Bronchoscopy", "Sputum culture", "Sweat chloride test"]
    assert read_choice("The next step is a sweat chloride test.", options, LABELS).index == 3


def test_a_field_that_spells_out_another_option_than_its_letter_contradicts_it() -> None:
    assert read_choice('{"answer_letter": "A", "answer_text": "Heparin"}', DRUGS, LABELS).index is None
    assert read_choice('{"answer": "C", "option_text": "Heparin"}', DRUGS, LABELS).index == 2
    assert read_choice('{"answer": "C", "answer_text": "it is the fastest"}', DRUGS, LABELS).index == 2
