"""Replies that claim one option in some sentence without calling it the answer, and then discuss other things."""

from __future__ import annotations

import pytest
from medbench.metrics.choice_extraction import read_choice

LABELS = ["A", "B", "C", "D"]
DRUGS = ["Aspirin", "Warfarin", "Heparin", "Ibuprofen"]
STEPS = ["Perform needle decompression", "Order chest CT", "Reduce the insulin dose", "Increase the insulin dose"]
DISEASES = ["Rheumatoid arthritis (RA)", "Gout", "Systemic lupus erythematosus (SLE)", "Sjögren's syndrome"]
REST = " Aspirin and ibuprofen act on platelets. Warfarin is too slow here."


@pytest.mark.parametrize(
    "claim",
    [
        "The drug that binds antithrombin is heparin (C).",
        "For a patient of 82 with a clot, **heparin** (unfractionated) is the safest initial agent.",
        "These findings point to an overdose of heparin.",
        "So the priority now is to give heparin.",
        "Which drug acts at once? Heparin.",
        "PTT 90 s, platelets falling → heparin (C).",
        "The anticoagulant at fault here would be heparin, as the platelets fell on day 6.",
    ],
)
def test_a_claim_decides_whatever_is_said_of_the_others(claim: str) -> None:
    reading = read_choice(claim + REST, DRUGS, LABELS)
    assert (reading.index, reading.kind) == (2, "claimed")


@pytest.mark.parametrize(
    "text",
    [
        "The treatment of choice for strokes is aspirin. The treatment of choice for emboli is heparin.",
        "If the platelets fall, the drug to blame is heparin. Aspirin is harmless.",
        "The best agent is heparin. The choice between heparin and warfarin depends on the kidneys, however.",
        "Another common cause is heparin. Aspirin inhibits platelets.",
        "So A and B are both appropriate here.",
        "The diagnosis is unclear. A low platelet count would suggest heparin, a high INR would suggest warfarin.",
        "Therefore the answer is C. Actually both fit, so I can't decide.",
        "Bleeding suggests warfarin, thrombosis suggests heparin.",
    ],
)
def test_claims_of_several_options_or_of_none_decide_nothing(text: str) -> None:
    assert read_choice(text, DRUGS, LABELS).index is None


def test_a_claim_overrules_what_a_note_seems_to_conclude() -> None:
    note = "\n\nClinical pearl: above 7 g/dL, so aspirin would do."
    assert read_choice("Bottom line: heparin." + note, DRUGS, LABELS).index == 2
    assert read_choice("The best drug is heparin." + note, DRUGS, LABELS).index != 0


@pytest.mark.parametrize(
    ("text", "options", "right"),
    [
        ("**Immediate needle decompression** is the next step.", STEPS, 0),
        ("The next step is reducing the insulin dose. A CT would only cost time.", STEPS, 2),
        ("Malar rash and anti-dsDNA → SLE.", DISEASES, 2),
        ("The picture points to systemic lupus erythematosus.", DISEASES, 2),
        ("Dry eyes and anti-Ro: the diagnosis is Sjogren syndrome.", DISEASES, 3),
        ("患者符合缺铁性贫血的诊断。", ["溶血性贫血", "缺铁性贫血", "贫血", "白血病"], 1),
    ],
)
def test_an_option_is_named_by_other_forms_of_its_words(text: str, options: list[str], right: int) -> None:
    assert read_choice(text, options, LABELS).index == right


def test_the_thing_that_an_option_begins_is_not_named_where_the_text_stops_it() -> None:
    options = ["Start metoprolol", "Order an ECG", "Give aspirin", "Start digoxin"]
    assert read_choice("Metoprolol should be discontinued.", options, LABELS).index is None
    assert read_choice("The next step is to stop metoprolol.", options, LABELS).index is None
    assert read_choice("The next step is metoprolol.", options, LABELS).index == 0


def test_the_exception_is_the_answer_where_all_others_fit() -> None:
    signs = ["Fever", "Bradycardia", "Weight loss", "Tremor"]
    assert read_choice("All of these are typical except bradycardia.", signs, LABELS).index == 1
    assert read_choice("Fever and tremor are typical. The one that isn't is bradycardia.", signs, LABELS).index == 1


def test_a_statement_before_another_question_is_whole_though_the_reply_was_cut_off() -> None:
    text = "Answer: C\n\nQuestion: A man of 40 presents with chest pain. What is the next step?\nA. As"
    assert read_choice(text, DRUGS, LABELS, cut=True).index == 2
