"""Exact match: the whole answer, normalised, is the gold one."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from ..core.types import Figure, Record, Score
from .figures import argmax, failed, flaw_in_choice, flaw_in_logprobs, mean_figure, unscored
from .text import best_of_references, normalised


@dataclass(frozen=True)
class ExactMatch:
    """Share of answers that equal a reference after SQuAD's normalisation, or, for multiple choice, the
    gold option's label, its text, or both, after the same normalisation but with articles kept ("A" is a label).

    Stricter than accuracy: "The answer is B" is no exact match. Chosen by log-probability, the option is the answer,
    and the two are the same.
    """

    name: str = "exact_match"
    version: str = "1"
    binary: bool = True
    mean: bool = True
    better: Literal["higher", "lower"] = "higher"
    dimension: str = "accuracy"
    unit: str = "share"
    summary: str = (
        "Equal to a reference, normalised. As SQuAD normalises; of multiple choice, equal to the gold option's label, "
        'its text, or both, with articles kept ("A" is a label).'
    )

    def score(self, records: Sequence[Record]) -> list[Score]:
        return [
            _choice(record) if record.item.options else best_of_references([record], _equal)[0] for record in records
        ]

    def aggregate(self, records: Sequence[Record], scores: Sequence[Score]) -> list[Figure]:
        return [mean_figure(self.name, records, scores, binary=True)]


def _equal(answer: str, reference: str) -> float:
    return float(normalised(answer) == normalised(reference))


def _choice(record: Record) -> Score:
    item, output = record.item, record.output
    reason = failed(record) or flaw_in_choice(item)
    if not reason and output.text is None:
        reason = flaw_in_logprobs(item, output)
    if reason:
        return unscored(record, reason)
    assert item.gold is not None
    if output.text is None:
        assert output.logprobs is not None
        return Score(item.id, float(argmax(output.logprobs) == item.gold))
    label, text = item.answers[item.gold], item.options[item.gold]
    wanted = {normalised(form, articles=True) for form in (label, text, f"{label} {text}")}
    return Score(item.id, float(normalised(output.text, articles=True) in wanted))


EXACT_MATCH = ExactMatch()
