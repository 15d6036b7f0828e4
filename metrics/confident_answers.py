"""Answers with a confidence: whether it tells right answers from wrong ones, as a metric and as a curve."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from ..core.types import Figure, MetricDefaults, Record, Score
from .calibration import ECE
from .confidence import aurc, auroc
from .figures import Indices, scored, statistic_figure


@dataclass(frozen=True)
class ConfidentAnswers:
    """One answer per item, in order, each with a confidence in 0..1 and whether it is right."""

    records: tuple[Record, ...] = ()
    confidence: tuple[float, ...] = ()
    right: tuple[bool, ...] = ()


def confidence_figures(answers: ConfidentAnswers, total: int) -> list[Figure]:
    """Return `auroc` and `aurc`, with bootstrap intervals. Without a right or without a wrong answer, no AUROC."""

    def of_rows(statistic: object, rows: Indices) -> float:
        chosen = rows.tolist()
        assert callable(statistic)
        found = statistic([answers.confidence[at] for at in chosen], [answers.right[at] for at in chosen])
        return math.nan if found is None else float(found)

    warns = statistic_figure("auroc", lambda rows: of_rows(auroc, rows), answers.records, total)
    risk = statistic_figure("aurc", lambda rows: of_rows(aurc, rows), answers.records, total, better="lower")
    defined = warns.value is not None and not math.isnan(warns.value)
    return [warns if defined else Figure("auroc", None, len(answers.records), total), risk]


def by_option_probability(records: Sequence[Record], scores: Sequence[Score]) -> ConfidentAnswers:
    """Return the likeliest options, with their probabilities as confidence. `scores` are those of `Auroc`."""
    used, kept = scored(records, scores)
    return ConfidentAnswers(
        records=tuple(used),
        confidence=tuple(score.value or 0.0 for score in kept),
        right=tuple(s.answer == r.item.answers[r.item.gold or 0] for r, s in zip(used, kept)),
    )


@dataclass(frozen=True)
class Auroc(MetricDefaults):
    """Chance that a right answer has a more probable option than a wrong one (area under the ROC curve).

    An item's value is the probability of the chosen option, as for `ece`. Also reports `aurc`, the mean share of wrong
    answers over all shares of answers that one could keep, the most confident first (Geifman et al. 2019). Generated
    answers have no option probabilities; of several samples per item, `accuracy` reports both by agreement.
    """

    name: str = "auroc"
    version: str = "1"
    binary: bool = False
    mean: bool = False
    better: Literal["higher", "lower"] = "higher"
    dimension: str = "accuracy"
    unit: str = "0..1"
    summary: str = (
        "Confidence is higher if right. Chance that a right answer has a more probable option than a wrong one: 1 is "
        "best, 0.5 says nothing. Also reports aurc, the area under the risk-coverage curve."
    )
    figure_names: tuple[str, ...] = ("aurc",)

    def score(self, records: Sequence[Record]) -> list[Score]:
        return ECE.score(records)

    def aggregate(self, records: Sequence[Record], scores: Sequence[Score]) -> list[Figure]:
        return confidence_figures(by_option_probability(records, scores), len(records))


AUROC = Auroc()
