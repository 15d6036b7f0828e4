"""Two metrics: how long an answer is, and whether a choice was clear."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from medbench.core.stats import bootstrap_mean, clusters_of, wilson
from medbench.core.types import Figure, Record, Score

CLEAR = 0.1  # nats between the best and the second-best option


@dataclass(frozen=True)
class Length:
    """Words in the answer. A choice has no words, so it is unscored."""

    name: str = "toy_length"
    version: str = "1"
    binary: bool = False
    mean: bool = True
    better: Literal["higher", "lower"] = "lower"

    def score(self, records: Sequence[Record]) -> list[Score]:
        return [
            Score(r.item.id, None, "no text was generated")
            if r.output.text is None
            else Score(r.item.id, len(r.output.text.split()))
            for r in records
        ]

    def aggregate(self, records: Sequence[Record], scores: Sequence[Score]) -> list[Figure]:
        scored = [(r, s.value) for r, s in zip(records, scores, strict=True) if s.value is not None]
        values = [value for _, value in scored]
        if not values:
            return [Figure(self.name, None, 0, len(records), better=self.better)]
        low, high = bootstrap_mean(values, clusters_of([r for r, _ in scored]))
        mean = sum(values) / len(values)
        return [Figure(self.name, mean, len(values), len(records), low, high, better=self.better)]


@dataclass(frozen=True)
class Decided:
    """Whether the best option is ahead of the second by more than CLEAR nats. Generated text is unscored."""

    name: str = "toy_decided"
    version: str = "1"
    binary: bool = True
    mean: bool = True
    better: Literal["higher", "lower"] = "higher"

    def score(self, records: Sequence[Record]) -> list[Score]:
        return [self._score(record) for record in records]

    def aggregate(self, records: Sequence[Record], scores: Sequence[Score]) -> list[Figure]:
        values = [score.value for score in scores if score.value is not None]
        if not values:
            return [Figure(self.name, None, 0, len(records))]
        clear = round(sum(values))
        return [Figure(self.name, clear / len(values), len(values), len(records), *wilson(clear, len(values)))]

    def _score(self, record: Record) -> Score:
        if record.output.logprobs is None:
            return Score(record.item.id, None, "no log-probabilities")
        best, second, *_ = sorted(record.output.logprobs, reverse=True)
        return Score(record.item.id, float(best - second > CLEAR))


LENGTH = Length()
DECIDED = Decided()
