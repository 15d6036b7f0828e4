"""Token F1 of SQuAD: the word overlap of answer and reference."""

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
    """Mean token F1, 0..1: the harmonic mean of precision and recall over bags of words, normalized as in SQuAD.

    The best of several references counts.
    """

    name: str = "token_f1"
    version: str = "2"
    binary: bool = False
    mean: bool = True
    better: Literal["higher", "lower"] = "higher"
    dimension: str = "text quality"
    unit: str = "0..1"
    summary: str = (
        "Word overlap with the reference. Harmonic mean of precision and recall over bags of words, normalized as "
        "in SQuAD; the best of several references counts."
    )

    def score(self, records: Sequence[Record]) -> list[Score]:
        return best_of_references(records, f1)

    def aggregate(self, records: Sequence[Record], scores: Sequence[Score]) -> list[Figure]:
        return [mean_figure(self.name, records, scores, binary=False, in_0_1=True)]


def f1(answer: str, reference: str) -> float:
    """Return the F1 of two texts' words. If one has no words after normalization, 1 if neither has."""
    said, wanted = normalized(answer, reference), normalized(reference, reference)
    if not said or not wanted:
        return float(said == wanted)
    shared = (Counter(said) & Counter(wanted)).total()
    return 2 * shared / (len(said) + len(wanted))


TOKEN_F1 = TokenF1()
