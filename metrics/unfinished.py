"""The share of answers that reasoning left no room for: the token limit was reached before any answer."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

from ..core.types import Figure, MetricDefaults, Record, Score
from .figures import failed, mean_figure, unscored


@dataclass(frozen=True)
class UnfinishedRate(MetricDefaults):
    """Share of generated answers whose reasoning used up the token limit. No figure if no answer has reasoning.

    Every run of generated answers has it, without being asked for it. Accuracy and the metrics that compare with a
    reference count such an answer as wrong; safety metrics and judges leave it unscored.
    """

    name: str = "unfinished_rate"
    version: str = "1"
    binary: bool = True
    mean: bool = False  # says something about the limit, not about which model is better: never tested
    better: Literal["higher", "lower"] = "lower"
    dimension: str = "accuracy"
    unit: str = "share"
    limit: int | None = None  # new tokens of an answer, in the run that `of_run` was given
    summary: str = (
        "Reasoning used up the token limit. Then there is no answer. Reported for every run with reasoning; "
        "raise --max-new-tokens if it is above 0."
    )

    def of_run(self, run: Any) -> UnfinishedRate:
        """Return the metric with the token limit of this run, for the remark. Its scores are not stored."""
        return dataclasses.replace(self, limit=run.manifest.settings.max_new_tokens)

    def score(self, records: Sequence[Record]) -> list[Score]:
        return [_score(record) for record in records]

    def aggregate(self, records: Sequence[Record], scores: Sequence[Score]) -> list[Figure]:
        seen = any(score.value for score in scores) or any(record.output.reasoned for record in records)
        if not seen:
            return [Figure(self.name, None, 0, len(records), better=self.better)]
        return [mean_figure(self.name, records, scores, binary=True, better=self.better)]

    def remark_on(self, scores: Sequence[Score]) -> str:
        """Return a remark for tables if any answer is unfinished."""
        count = sum(score.value == 1.0 for score in scores)
        if not count:
            return ""
        limit = f"{self.limit} new tokens" if self.limit else "the token limit"
        return f"{count} of {len(scores)} answers unfinished: reasoning used up {limit}; raise --max-new-tokens"


def _score(record: Record) -> Score:
    if why := failed(record) or ("no generated answer" if record.output.text is None else ""):
        return unscored(record, why)
    return Score(record.item.id, float(record.output.unfinished))


UNFINISHED_RATE = UnfinishedRate()
