"""Errors that a Python caller sees name the keyword beside the option of the command line."""

from __future__ import annotations

from pathlib import Path

import medbench
import pytest
from medbench.core.errors import UsageError
from medbench.core.option_names import keywords_beside_options


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("--limit must be positive.", "limit (--limit) must be positive."),
        ("give one with --limit, or none", "give one with limit (--limit), or none"),
        ("Make one: medbench run --limit 5", "Make one: medbench run --limit 5"),
        ("Name one: --limit N", "Name one: --limit N"),
        ("--limits and x--limit are other words", "--limits and x--limit are other words"),
    ],
)
def test_options_in_a_sentence_get_their_keyword(text: str, shown: str) -> None:
    assert keywords_beside_options(text, {"limit": "limit"}) == shown


def test_evaluate_names_its_keywords(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"^dtype \(--dtype\) float12: "):
        medbench.evaluate(dtype="float12", out=tmp_path)
    with pytest.raises(UsageError, match=r'^limits\["concurrency"\] \(--concurrency\): '):
        medbench.evaluate(limits={"concurrency": 3}, out=tmp_path)
    with pytest.raises(UsageError, match=r"^Asked\.max_calls \(--max-judge-calls\) needs judges \(--judge\)\."):
        medbench.evaluate(judges=medbench.Asked(max_calls=3), out=tmp_path)
