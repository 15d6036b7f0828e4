"""Exact match: the whole answer, normalized, is a reference."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from ..core.types import Figure, MetricDefaults, Record, Score
from .figures import failed, mean_figure, unscored
from .text import best_of_references, normalized


@dataclass(frozen=True)
class ExactMatch(MetricDefaults):
    """Share of answers that equal a reference after SQuAD's normalization.

    Multiple choice is unscored, because accuracy already reads the chosen option. By log-probability the two would be
    the same number, and for generated answers exact match would only distinguish "B" from "The answer is B".
    """

    name: str = "exact_match"
    version: str = "3"
    binary: bool = True
    mean: bool = True
    better: Literal["higher", "lower"] = "higher"
    dimension: str = "accuracy"
    unit: str = "share"
    summary: str = "Equal to a normalized reference. As in SQuAD; open answers only, accuracy scores multiple choice."

    def score(self, records: Sequence[Record]) -> list[Score]:
        return [
            unscored(record, failed(record) or "multiple choice: accuracy scores it")
            if record.item.options
            else best_of_references([record], _equal)[0]
            for record in records
        ]

    def aggregate(self, records: Sequence[Record], scores: Sequence[Score]) -> list[Figure]:
        return [mean_figure(self.name, records, scores, binary=True)]


def _equal(answer: str, reference: str) -> float:
    return float(normalized(answer, reference) == normalized(reference, reference))


EXACT_MATCH = ExactMatch()
