"""The parity script's own judgement: it must tell a difference when there is one. lm-eval itself is not needed here."""

from __future__ import annotations

import json

import lm_eval_parity as parity
import pytest
from medbench.core.types import Item, Output, Record


def record(item_id: str = "7", prompt: str = "Q\nAnswer:", logprobs: tuple[float, ...] = (-1.0, -2.0), cut: int = 0):
    item = Item(item_id, "Q", options=("yes", "no"), gold=0)
    return Record(item, Output(item_id, prompt=prompt, logprobs=logprobs, truncated_tokens=cut))


def logged(item_id: str = "7", prompt: str = "Q\nAnswer:", logprobs: tuple[float, ...] = (-1.0, -2.0)) -> str:
    """One line as lm-eval's --log_samples writes it, less the fields nobody reads."""
    sample = {
        "doc": {"item_id": item_id},
        "arguments": {f"gen_args_{n}": {"arg_0": prompt, "arg_1": " yes"} for n in range(len(logprobs))},
        "filtered_resps": [[str(logprob), "False"] for logprob in logprobs],
    }
    return json.dumps(sample) + "\n"


def compared(ours: Record, theirs: str, accuracy: float = 1.0, peer_accuracy: float = 1.0) -> parity.Comparison:
    matched = parity.pairs([ours], parity.peer_samples(theirs))
    return parity.Comparison("pubmedqa", matched, accuracy, peer_accuracy)


def test_rounding_is_no_difference():
    comparison = compared(record(logprobs=(-1.0, -2.0)), logged(logprobs=(-1.00001, -2.0)))

    assert parity.faults([comparison]) == []
    assert comparison.pairs[0].difference == pytest.approx(1e-5)
    assert comparison.pairs[0].margin == pytest.approx(0.99999)
    assert "| pubmedqa | 1 | 1.0000 | 1.0000 | 1/0 | 0 | 0 | 0 | 1.0e-05 | 1.0e+00 |" in parity.table([comparison])


def test_another_choice_is_told_with_both_sides():
    (fault,) = parity.faults([compared(record(logprobs=(-1.0, -2.0)), logged(logprobs=(-1.0, -0.5)))])

    assert fault == "pubmedqa 7: choice 0 (-1.00000, -2.00000), lm-eval's 1 (-1.00000, -0.50000)"


def test_another_prompt_is_told_with_the_place():
    (fault,) = parity.faults([compared(record(prompt="Q \nAnswer:"), logged(prompt="Q\nAnswer:"))])

    assert fault == r"pubmedqa 7: prompt parts at character 1: ' \nAnswer:', lm-eval's '\nAnswer:'"


def test_a_prompt_that_medbench_cut_is_counted_and_not_held_against_it():
    comparison = compared(record(prompt="\nAnswer:", cut=1), logged(prompt="Q\nAnswer:"))

    assert parity.faults([comparison]) == []
    assert "| 0 | 0 | 1 |" in parity.table([comparison])  # choices, prompts, truncated


def test_another_accuracy_is_told_though_every_choice_is_the_same():
    """Both choose alike and one of them scores it wrong: the gold answers differ."""
    comparison = compared(record(), logged(), accuracy=1.0, peer_accuracy=0.0)

    assert parity.faults([comparison]) == ["pubmedqa: accuracy 1.0, lm-eval's 0.0"]
    assert "**They differ:**" in parity.page([comparison], {}, "")


def test_a_tie_goes_to_the_first_option():
    assert parity.best((-2.0, -1.0, -1.0)) == 1


def test_a_line_separator_inside_a_prompt_ends_no_line():
    """lm-eval logs U+2028 unescaped."""
    line = logged(prompt="Q\u2028\nAnswer:").replace("\\u2028", "\u2028")

    assert parity.peer_samples(line)["7"].prompt == "Q\u2028\nAnswer:"


def test_items_that_only_one_side_has_end_the_program():
    with pytest.raises(SystemExit, match=r"\['7', '8'\]"):
        compared(record("7"), logged("8"))


def test_medqa_rows_take_the_field_names_of_lm_evals_task():
    row = {"question": "Which?", "options": {"A": "w", "B": "x", "C": "y", "D": "z"}, "answer": "y", "answer_idx": "C"}

    assert parity.medqa_documents(json.dumps(row) + "\n")["0"] == {
        "sent1": "Which?",
        "ending0": "w",
        "ending1": "x",
        "ending2": "y",
        "ending3": "z",
        "label": 2,
    }
