"""A model that chooses one option nearly always: the table that shows its accuracy says that this says little."""

from __future__ import annotations

import json
from pathlib import Path

import made
import pytest
from click.testing import CliRunner
from medbench.cli import cli
from medbench.core.types import Item, Output, Record
from medbench.metrics.accuracy import ACCURACY
from medbench.results.one_sided import one_sided
from medbench.results.writer import RunWriter


def records(golds: str, chosen: str) -> list[Record]:
    """An answer to each question with the options A and B."""
    return [
        Record(
            Item(f"{at:02}", "Which?", options=("first", "second"), labels=("A", "B"), gold="AB".index(gold)),
            Output(f"{at:02}", prompt="Which?", text=f"Answer: {letter}", finish="stop"),
        )
        for at, (gold, letter) in enumerate(zip(golds, chosen, strict=True))
    ]


@pytest.mark.parametrize(
    ("golds", "chosen", "said"),
    [
        ("AB" * 10, "A" * 20, "chooses A in 100% of its 20 answers read"),
        ("AB" * 10, "A" * 19 + "B", "chooses A in 95% of its 20 answers read"),
        ("AB" * 10, "A" * 18 + "BB", ""),  # 90%
        ("A" * 16 + "BBBB", "A" * 20, ""),  # A is right for 80%: a good model may choose it always
        ("AB" * 4, "A" * 8, ""),  # too few answers
        ("AB" * 10, "A" * 12 + "?" * 8, "chooses A in 100% of its 12 answers read"),
    ],
)
def test_one_sided(golds: str, chosen: str, said: str) -> None:
    answers = records(golds, chosen)
    assert one_sided(answers, ACCURACY.score(answers)) == said


def test_every_table_names_the_model_and_json_has_it_in_the_notes(tmp_path: Path) -> None:
    for model, benchmark, chosen in (("stuck", "exam", "A" * 20), ("fair", "exam", "AB" * 10), ("fair", "quiz", "AB")):
        answers = records("AB" * (len(chosen) // 2), chosen)
        ids = [record.item.id for record in answers]
        about = made.manifest(ids, model=model, benchmark=benchmark, metrics=("accuracy",))
        with RunWriter(tmp_path, about) as writer:
            writer.append(answers)
    said = (
        "stuck chooses A in 100% of its 20 answers read for exam · 20 items · generated · 0-shot: its accuracy says "
        "little."
    )

    def shown(*words: str) -> str:
        done = CliRunner().invoke(cli, ["leaderboard", str(tmp_path), *words], env={"COLUMNS": "200"})
        assert done.exit_code == 0, done.output
        return done.stdout

    # The summary, one board (as `run` shows it), and the exports. Reading twice shows that kept figures keep it.
    for words in ([], [], ["-b", "exam"], ["--markdown", "-"], ["--html", "-"]):
        assert said in shown(*words), words
    found = json.loads(shown("--json"))
    assert found["notes"] == [said] == found["summary"][0]["notes"][-1:]
