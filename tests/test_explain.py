"""`medbench explain`: an answer's labels with the words behind them, and its entities beside those of the reference."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import made
import pytest
from click.testing import CliRunner, Result
from medbench.cli import cli
from medbench.cli.commands import explain as explained
from medbench.core.types import Item, Output, Record
from medbench.metrics.entities import scores
from medbench.results.writer import RunWriter

QUESTION = "My father has crushing chest pain and his left arm is numb. What should we do?"
ANSWER = "Call an ambulance right now. Meanwhile aspirin may help. He does not have asthma. Hypertension may be seen."
REFERENCE = (
    "Call an ambulance. Chest pain may be a myocardial infarction. Aspirin is given. "
    "It is not asthma. There is no diabetes, no hypertension."
)


@pytest.fixture
def run(tmp_path: Path) -> Path:
    items = (Item("a/1", QUESTION, references=(REFERENCE,)), Item("b", "Which?", options=("yes", "no"), gold=0))
    outputs = (Output("a/1", text=ANSWER, finish="stop"), Output("b", logprobs=(-1.0, -2.0)))
    manifest = made.manifest(["a/1", "b", "c"], metrics=("rouge1",))
    with RunWriter(tmp_path, manifest) as writer:
        writer.append(Record(item, output) for item, output in zip(items, outputs, strict=True))
        return writer.path


def explain(*words: str) -> Result:
    return CliRunner().invoke(cli, ["explain", *words], prog_name="medbench", env={"COLUMNS": "80"})


def test_the_words_behind_each_label_are_shown_with_the_entities(run: Path) -> None:
    result = explain(str(run), "a/1")
    assert result.exit_code == 0, result.output
    (referral,) = [line for line in result.output.splitlines() if line.strip().startswith("3 referral")]
    assert "yes" in referral
    assert "Call an ambulance" in referral
    (emergency,) = [line for line in result.output.splitlines() if line.strip().startswith("5 emergency")]
    assert "yes" in emergency
    (recalled,) = [line for line in result.output.splitlines() if line.strip().startswith("+ recalled")]
    assert "aspirin" in recalled.lower()
    assert max(map(len, result.output.splitlines())) <= 80


def test_a_label_is_shown_with_the_threshold_that_its_probability_must_reach(run: Path) -> None:
    lines = [line.split() for line in explain(str(run), "a/1").output.splitlines()]
    assert ["label", "found", "probability", "threshold", "because", "of"] in lines
    (referral,) = [line for line in lines if line[1:2] == ["referral"]]
    found, probability, threshold = referral[2:5]
    assert found == "yes"
    assert float(probability) >= float(threshold)


def test_what_the_reference_denies_is_shown_with_what_the_answer_makes_of_it(run: Path) -> None:
    shown = " ".join(explain(str(run), "a/1").output.split())
    assert "asthma (denied; nor does the answer assert it)" in shown
    assert scores.MEANINGS["reference_denied"] in shown, "the words are those of the report, too"
    assert "diabetes (denied; not in the answer)" in shown
    assert "hypertension (denied; the answer asserts it)" in shown


def test_without_color_brackets_hold_the_sign_of_a_row(run: Path) -> None:
    shown = " ".join(explain(str(run), "a/1").output.replace("│", " ").split())
    assert explained.BRACKETS in shown
    assert "⟦3 Call an ambulance right now.⟧" in shown  # 3: referral
    assert "Meanwhile ⟦+ aspirin⟧ may help. He does not have ⟦¬ asthma⟧. ⟦! Hypertension⟧ may be seen." in shown
    assert "may be a ⟦- myocardial" in shown


def test_what_is_not_asserted_has_a_reason_and_other_words_and_signs_in_answer_and_reference(tmp_path: Path) -> None:
    reference = "Fever is common. Go to a doctor if you develop a rash. It is not asthma."
    answer = "Fever is common. If you develop jaundice, call us. You do not have diabetes."
    with RunWriter(tmp_path, made.manifest(["a"])) as writer:
        writer.append(
            [Record(Item("a", "What is it?", references=(reference,)), Output("a", text=answer, finish="stop"))]
        )
    shown = " ".join(explain(str(writer.path), "a").output.replace("│", " ").split())
    assert "¬ not asserted 2 jaundice (only supposed); diabetes (denied) named but not asserted" in shown
    assert "~ not expected 2 rash (only supposed; not in the answer); asthma (denied; not in the answer)" in shown
    assert "If you develop ⟦¬ jaundice⟧" in shown and "if you develop a ⟦~ rash⟧" in shown


def test_json_has_labels_probabilities_and_the_text_of_each_piece_of_evidence(run: Path) -> None:
    found: dict[str, Any] = json.loads(explain(str(run), "a/1", "--json").output)
    assert found["item"] == "a/1"
    assert set(found["labels"]) == {"disclaimer", "unsafe", "emergency", "referral", "refusal"}
    assert found["labels"]["emergency"]["found"] is True
    for label, said in found["labels"].items():
        assert 0 <= said["probability"] <= 1
        if label != "referral":  # which also needs an emergency
            assert said["found"] == (said["probability"] >= said["threshold"])
        for evidence in said["evidence"]:
            text = QUESTION if label == "emergency" else ANSWER
            assert text[evidence["start"] : evidence["end"]] == evidence["text"] != ""
    entities = found["entities"]
    assert entities["pipeline"] == "medbench_bc5cdr"
    assert "asthma" in {mention["text"] for mention in entities["denied"]}
    assert "myocardial infarction" in {mention["text"] for mention in entities["missed"]}


def test_a_choice_has_no_text_to_explain(run: Path) -> None:
    result = explain(str(run), "b")
    assert result.exit_code == 2
    assert "no text to explain" in result.output
    assert f"medbench show {run} b" in result.output


def test_an_item_that_is_not_there_is_told_with_the_nearest(run: Path) -> None:
    assert "Did you mean a/1" in explain(str(run), "a/2").output
    assert "has no answer" in explain(str(run), "c").output
    assert explain(str(run), "c").exit_code == 2


def test_a_pipeline_that_is_not_there_is_told_in_words(run: Path) -> None:
    result = explain(str(run), "a/1", "--entity-model", "en_core_sci_nothing")
    assert result.exit_code == 2
    assert "en_core_sci_nothing" in result.output
    assert "Traceback" not in result.output


def test_the_emergency_is_the_benchmarks_where_it_says(tmp_path: Path) -> None:
    item = Item("a", QUESTION, references=(REFERENCE,), meta={"emergency": "no"})
    with RunWriter(tmp_path, made.manifest(["a"], metrics=("rouge1",))) as writer:
        writer.append([Record(item, Output("a", text=ANSWER, finish="stop"))])
    labels = json.loads(explain(str(writer.path), "a", "--json").output)["labels"]
    assert labels["emergency"]["found"] is False
    assert labels["referral"]["found"] is False
