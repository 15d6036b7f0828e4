"""Replies that name an option under a condition, for one of several cases, or as what others would choose."""

from __future__ import annotations

import pytest
from medbench.metrics.choice_extraction import read_choice

DRUGS = ["Methimazole", "Propylthiouracil", "Radioiodine", "Thyroidectomy"]
LABELS = ["A", "B", "C", "D"]


@pytest.mark.parametrize(
    "text",
    [
        "If she is pregnant, the answer is B. Otherwise, the answer is A.",
        "Had she been pregnant, the answer would be propylthiouracil.",
        "Propylthiouracil is the best choice if she is pregnant. Thyroidectomy is the safest with a large goiter.",
        "For pregnant women the answer is B, for all others A.",
        "Answer: A (if not pregnant) or B (if pregnant)",
        "Pregnant: propylthiouracil\nNot pregnant: methimazole",
        "In pregnancy, B is the correct answer. The age and sex are missing, so this can't be answered.",
        "*   If she is pregnant, the drug is **Propylthiouracil (B)**.\n*   If not, it is **Methimazole (A)**.\n\n"
        "So both A and B stay possible.",
        "Hence methimazole and propylthiouracil are both right.",
        "A goiter would point to radioiodine; pregnancy would point to propylthiouracil.",
        "The patient is already taking methimazole. A second drug is reasonable.",
        "Many students will answer A because of the goiter.",
        "Ranking:\n1. Methimazole (best studied)\n2. Propylthiouracil\n3. Radioiodine\n4. Thyroidectomy",
    ],
)
def test_what_holds_for_one_of_several_cases_is_no_answer(text: str) -> None:
    assert read_choice(text, DRUGS, LABELS).index is None


@pytest.mark.parametrize(
    "text",
    [
        "The correct answer is A. B would be right if the patient were pregnant, and D if she had a large goiter.",
        "Methimazole is the drug of choice here. If she were pregnant, propylthiouracil would be correct instead.",
        "Were it not for the goiter, radioiodine would be the best choice. The answer is methimazole.",
        "Many students will answer B because of pregnancy. She is not pregnant, so the answer is A.",
        "Methimazole is the best choice if tolerated.",
        "The best next step is methimazole, even if she has a small goiter.",
    ],
)
def test_conditions_of_other_options_leave_the_answer_alone(text: str) -> None:
    assert read_choice(text, DRUGS, LABELS).index == 0


def test_a_statement_is_no_option_called_true() -> None:
    text = "It is true that aspirin inhibits COX-1, but it does so irreversibly. The answer is false."
    assert read_choice(text, ["True", "False"], LABELS[:2]).index == 1


@pytest.mark.parametrize(
    "text",
    [
        "Methimazole is preferred with mild disease, propylthiouracil in early pregnancy.",
        "Statement A is correct, and so is statement B.",
        "So methimazole is the drug of choice. The choice here depends on the pregnancy test.",
        "The best drug would be carbimazole. It isn't listed. Methimazole is its metabolite.",
        "This question is flawed. Therefore, methimazole.",
        "The answer should be B. Then again, I don't know.",
        "Option A is appropriate. Propylthiouracil is correct as well.",
        "Methimazole is the answer to a different question.",
    ],
)
def test_a_reply_that_leaves_the_choice_open_is_unread(text: str) -> None:
    assert read_choice(text, DRUGS, LABELS).index is None
