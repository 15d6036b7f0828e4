"""How well option probabilities are meant: expected calibration error and Brier score.

Probabilities are the softmax of the option log-probabilities. Generated answers have none and are unscored.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from ..core.types import Figure, Record, Score
from .figures import (
    Indices,
    argmax,
    failed,
    flaw_in_choice,
    flaw_in_logprobs,
    mean_figure,
    scored,
    statistic_figure,
    unscored,
)

BINS = 10


@dataclass(frozen=True)
class ExpectedCalibrationError:
    """Mean distance of confidence and accuracy over ten equal bins (b/10, (b+1)/10] of confidence, each weighed by its
    items (Naeini et al. 2015; Guo et al. 2017); 0..1.

    An item's value is the confidence in the chosen option. The figure is not the mean of these, so two models cannot
    be compared on it item by item. It grows by chance where bins hold few items, in resamples too: its interval lies
    high for a small n.
    """

    name: str = "ece"
    version: str = "1"
    binary: bool = False
    mean: bool = False
    better: Literal["higher", "lower"] = "lower"
    dimension: str = "accuracy"
    unit: str = "0..1"
    summary: str = (
        "Confidence against accuracy, in bins. Mean distance of the two over ten equal bins of confidence, each "
        "weighed by its items (Guo et al. 2017)."
    )

    def score(self, records: Sequence[Record]) -> list[Score]:
        scores = []
        for record in records:
            if reason := _flaw(record):
                scores.append(unscored(record, reason))
                continue
            chosen = argmax(record.output.logprobs or ())
            scores.append(Score(record.item.id, probabilities(record)[chosen], answer=record.item.answers[chosen]))
        return scores

    def aggregate(self, records: Sequence[Record], scores: Sequence[Score]) -> list[Figure]:
        used, kept = scored(records, scores)
        confidence = np.array([score.value for score in kept], dtype=np.float64)
        right = np.array([s.answer == r.item.answers[r.item.gold or 0] for r, s in zip(used, kept)], dtype=np.float64)
        surplus = right - confidence
        bins = np.digitize(confidence, np.linspace(0, 1, BINS + 1)[1:-1], right=True)

        def error(items: Indices) -> float:
            return float(np.abs(np.bincount(bins[items], weights=surplus[items])).sum() / len(items))

        return [statistic_figure(self.name, error, used, len(records), better="lower")]


@dataclass(frozen=True)
class Brier:
    """Mean over items of the squared distance between option probabilities and the right answer, summed over all
    options (Brier 1950): 0 at best, 2 at worst, (k - 1)/k for equal probabilities of k options.
    """

    name: str = "brier"
    version: str = "1"
    binary: bool = False
    mean: bool = True
    better: Literal["higher", "lower"] = "lower"
    dimension: str = "accuracy"
    unit: str = "0..2"
    summary: str = (
        "Squared error of option probabilities. Summed over all options (Brier 1950): 0 at best, 2 at worst, (k - 1)/k "
        "for equal probabilities of k options."
    )

    def score(self, records: Sequence[Record]) -> list[Score]:
        scores = []
        for record in records:
            if reason := _flaw(record):
                scores.append(unscored(record, reason))
                continue
            distance = math.fsum((p - (i == record.item.gold)) ** 2 for i, p in enumerate(probabilities(record)))
            scores.append(Score(record.item.id, distance))
        return scores

    def aggregate(self, records: Sequence[Record], scores: Sequence[Score]) -> list[Figure]:
        return [mean_figure(self.name, records, scores, binary=False, better="lower")]


def probabilities(record: Record) -> list[float]:
    """Softmax of the option log-probabilities."""
    logprobs = record.output.logprobs or ()
    weights = [math.exp(logprob - max(logprobs)) for logprob in logprobs]
    return [weight / math.fsum(weights) for weight in weights]


def _flaw(record: Record) -> str:
    return failed(record) or flaw_in_choice(record.item) or flaw_in_logprobs(record.item, record.output)


ECE = ExpectedCalibrationError()
BRIER = Brier()
