"""The risk-coverage curve of a stored run: how wrong its answers are if only the most confident ones are kept."""

from __future__ import annotations

from collections.abc import Sequence

from ..core.types import Metric, Record
from ..metrics.accuracy import ACCURACY
from ..metrics.confidence import risk_coverage
from ..metrics.confident_answers import AUROC, ConfidentAnswers, by_option_probability
from ..metrics.sampled_choices import by_agreement, sampled_items
from .scoring import load_metric, score_run
from .store import StoredRun

Point = tuple[float, float, float]  # confidence, coverage, risk


def curve(run: StoredRun, records: Sequence[Record] | None = None) -> list[Point]:
    """Return the points of a run's curve, the most confident answers first; none if its answers have no confidence.

    `records`: those of the run, if the caller has read them. Missing scores are computed and stored.
    """
    found = _confident(run, run.records() if records is None else records)
    levels = sorted(set(found.confidence), reverse=True)
    points = risk_coverage(found.confidence, found.right)
    return [(level, *point) for level, point in zip(levels, points, strict=True)]


def _confident(run: StoredRun, records: Sequence[Record]) -> ConfidentAnswers:
    if run.manifest.method == "logprob":
        return by_option_probability(records, AUROC.score(records))
    if run.manifest.comparable.samples > 1:
        metric: Metric = load_metric(ACCURACY.name)  # type: ignore[assignment]
        return by_agreement(sampled_items(records, score_run(run, metric, records)))
    return ConfidentAnswers()
