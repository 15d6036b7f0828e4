"""The names that are suggested for an unknown one."""

from __future__ import annotations

import pytest
from medbench.core.suggest import did_you_mean, nearest, question

KNOWN = ["medqa", "medmcqa", "pubmedqa", "bleu"]


def test_the_most_similar_name_comes_first() -> None:
    assert nearest("medqs", KNOWN) == ["medqa", "medmcqa"]
    assert nearest("medqs", KNOWN, most=1) == ["medqa"]


@pytest.mark.parametrize(
    ("name", "expected"), [("medqs", " Did you mean medqa or medmcqa?"), ("blue", " Did you mean bleu?"), ("xyz", "")]
)
def test_the_question_follows_a_sentence_and_is_empty_if_nothing_is_near(name: str, expected: str) -> None:
    assert did_you_mean(name, KNOWN) == expected


def test_a_higher_cutoff_offers_less() -> None:
    assert did_you_mean("medqs", KNOWN, cutoff=0.7) == " Did you mean medqa?"
    assert question([]) == ""
