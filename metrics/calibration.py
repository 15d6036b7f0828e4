"""Calibration of option probabilities: expected calibration error and Brier score.

Probabilities are the softmax of the option log-probabilities. Generated answers have none and are unscored.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from ..core.stats import TAILS, UNKNOWN, Z, clusters_of
from ..core.types import Figure, MetricDefaults, Record, Score
from .figures import argmax, ends, failed, flaw_in_choice, flaw_in_logprobs, mean_figure, scored, unscored

BINS = 10


@dataclass(frozen=True)
class ExpectedCalibrationError(MetricDefaults):
    """Mean distance of confidence and accuracy over ten equal bins (b/10, (b+1)/10] of confidence; 0..1.

    Each bin is weighted by its items (Naeini et al. 2015; Guo et al. 2017). An item's value is the confidence in the
    chosen option. The figure is not the mean of these, so two models cannot be compared on it item by item. It is
    biased upward if bins hold few items: a perfectly calibrated model has about 0.09 on 100 items and 0.03 on 1,000,
    with confidences over the whole range. The interval covers the true error and accounts for this bias: see
    `calibration_interval`.
    """

    name: str = "ece"
    version: str = "1"
    binary: bool = False
    mean: bool = False
    better: Literal["higher", "lower"] = "lower"
    dimension: str = "accuracy"
    unit: str = "0..1"
    summary: str = (
        "Gap between confidence and accuracy. Mean over ten equal bins of confidence, each "
        "weighted by its items (Guo et al. 2017)."
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
        if not kept:
            return [Figure(self.name, None, 0, len(records), better="lower")]
        confidence = np.array([score.value for score in kept], dtype=np.float64)
        right = np.array([s.answer == r.item.answers[r.item.gold or 0] for r, s in zip(used, kept)], dtype=np.float64)
        error, low, high = calibration_interval(confidence, right, clusters_of(used))
        return [Figure(self.name, error, len(kept), len(records), *ends((low, high)), better="lower")]


@dataclass(frozen=True)
class Brier(MetricDefaults):
    """Mean squared distance between option probabilities and the correct answer, summed over all options (Brier 1950).

    0 is best, 2 is worst, and equal probabilities of k options give (k - 1)/k.
    """

    name: str = "brier"
    version: str = "1"
    binary: bool = False
    mean: bool = True
    better: Literal["higher", "lower"] = "lower"
    dimension: str = "accuracy"
    unit: str = "0..2"
    summary: str = (
        "Squared error of option probabilities. Summed over all options (Brier 1950): 0 is best, 2 is worst, (k - 1)/k "
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


def calibration_interval(
    confidence: NDArray[np.float64], right: NDArray[np.float64], clusters: Sequence[str] | None = None
) -> tuple[float, float, float]:
    """Return the expected calibration error and a 95% interval of its limit over infinitely many items, in the same
    bins.

    The error is a sum of absolute values, so noise only increases it in a well-calibrated bin. A bootstrap repeats that
    bias and never reaches 0. Both ends here hold whatever the true gaps of the bins are:

    - low: the error differs from the true one by at most the sum of the gaps' absolute noise (triangle inequality). The
      97.5% quantile of that sum, with normal noise, is subtracted.
    - high: the error is at least the sum of the gaps with the true signs, which is unbiased. 1.96 of its standard
      errors are
      added.

    The noise of a bin is at least that of a calibrated model (Agresti & Coull 1998 for its share), because a bin
    without a wrong answer shows no noise. Coverage is 95 to 100% (docs/metrics.md). Below two units the ends are
    UNKNOWN.
    """
    n = len(confidence)
    bins = np.digitize(confidence, np.linspace(0, 1, BINS + 1)[1:-1], right=True)
    _, unit = np.unique(np.arange(n) if clusters is None else np.array(clusters), return_inverse=True)
    units = int(unit.max()) + 1
    sums = np.zeros((units, BINS))  # of right - confidence
    np.add.at(sums, (unit, bins), right - confidence)
    gaps = sums.sum(axis=0) / n
    error = float(np.abs(gaps).sum())
    if units < 2:
        return error, *UNKNOWN
    sizes = np.bincount(unit)[:, None]
    items = np.bincount(bins, minlength=BINS)
    size = n / units  # each document counts once, a conservative choice
    share = (np.bincount(bins, weights=confidence, minlength=BINS) + 2 * size) / (items + 4 * size)
    least = items * size * share * (1 - share)
    noise = np.sqrt(np.maximum(((sums - sizes * gaps) ** 2).sum(axis=0), least)) / n
    signed = (sums * np.sign(gaps)).sum(axis=1) - sizes[:, 0] * error
    spread = math.sqrt(max(float((signed**2).sum()), float(least.sum()))) / n
    low = error - float(np.quantile(_noise() @ noise, TAILS[1] / 100))
    return error, max(0.0, low), min(1.0, error + Z * spread)


@functools.cache
def _noise() -> NDArray[np.float64]:
    """Return absolute values of standard normal draws. Draws × bins."""
    draws: NDArray[np.float64] = np.abs(np.random.default_rng(0).normal(size=(20_000, BINS)))
    return draws


def probabilities(record: Record) -> list[float]:
    """Return the softmax of the option log-probabilities."""
    logprobs = record.output.logprobs or ()
    weights = [math.exp(logprob - max(logprobs)) for logprob in logprobs]
    return [weight / math.fsum(weights) for weight in weights]


def _flaw(record: Record) -> str:
    return failed(record) or flaw_in_choice(record.item) or flaw_in_logprobs(record.item, record.output)


ECE = ExpectedCalibrationError()
BRIER = Brier()
