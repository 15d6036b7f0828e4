"""The scores of every answer of stored runs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from ..core.errors import MedbenchError
from ..core.types import AnswerKey, Metric, Record, Score
from ..results.item_values import item_means
from ..results.scoring import bound, load_stored
from ..results.store import StoredRun

NO_ANSWER = "-"  # in place of a value, where a model has no stored answer; None: unscored


@dataclass(frozen=True)
class ScoredRun:
    """One run with the scores of its answers."""

    run: StoredRun
    answers: dict[str, list[Record]]  # by item id, in the order of samples
    scores: dict[str, dict[AnswerKey, Score]]  # by metric

    def index(self, metric: str, item_ids: Sequence[str]) -> list[float | str | None]:
        """Return the mean of each item's scored answers."""
        means = item_means(self.scores.get(metric, {}).values())
        return [
            (None if item_id not in means else round(means[item_id], 6)) if item_id in self.answers else NO_ANSWER
            for item_id in item_ids
        ]


def read_scores(runs: Sequence[StoredRun]) -> tuple[list[ScoredRun], dict[str, Metric]]:
    """Return the runs with their scores, and the metrics that score answers, by name.

    A run or metric that cannot be read has no scores here; the leaderboard has named it.
    """
    metrics: dict[str, Metric] = {}
    return [_scored(run, metrics) for run in runs], metrics


def _scored(run: StoredRun, metrics: dict[str, Metric]) -> ScoredRun:
    """Return a run with its scores, and add its metrics to `metrics`."""
    try:
        records = run.records()
    except MedbenchError:
        return ScoredRun(run, {}, {})
    answers: dict[str, list[Record]] = {}
    for record in records:
        answers.setdefault(record.item.id, []).append(record)
    found: dict[str, dict[AnswerKey, Score]] = {}
    for name in run.manifest.reported_metrics:
        try:
            plugin = load_stored(name)
            if not isinstance(plugin, Metric):
                continue  # measured over the run
            plugin, scores = bound(run, plugin, records)
        except MedbenchError:
            continue
        metrics.setdefault(name, plugin)
        found[name] = {score.key: score for score in scores}
    return ScoredRun(run, answers, found)
