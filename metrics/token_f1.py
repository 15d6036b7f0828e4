"""Token F1 of SQuAD: how many words answer and reference share."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from ..core.types import Figure, MetricDefaults, Record, Score
from .figures import mean_figure
from .text import best_of_references, normalized


@dataclass(frozen=True)
class TokenF1(MetricDefaults):
    """Mean harmonic mean of precision and recall over words, as bags, after SQuAD's normalisation; 0..1. The best of
    several references counts.
    """

    name: str = "token_f1"
    version: str = "2"
    binary: bool = False
    mean: bool = True
    better: Literal["higher", "lower"] = "higher"
    dimension: str = "text quality"
    unit: str = "0..1"
    summary: str = (
        "Shared words, normalized. Harmonic mean of precision and recall over words, as bags, after SQuAD's "
        "normalisation; the best of several references counts."
    )

    def score(self, records: Sequence[Record]) -> list[Score]:
        return best_of_references(records, f1)

    def aggregate(self, records: Sequence[Record], scores: Sequence[Score]) -> list[Figure]:
        return [mean_figure(self.name, records, scores, binary=False, in_0_1=True)]


def f1(answer: str, reference: str) -> float:
    """F1 of two texts' words; where one has no words left after normalisation, 1 if neither has."""
    said, wanted = normalized(answer, reference), normalized(reference, reference)
    if not said or not wanted:
        return float(said == wanted)
    shared = (Counter(said) & Counter(wanted)).total()
    return 2 * shared / (len(said) + len(wanted))


TOKEN_F1 = TokenF1()
