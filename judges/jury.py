"""A jury: the mean of several judges' grades in one mode, and how well the judges agree."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from ..core.agreement import krippendorff_alpha
from ..core.stats import bootstrap, clusters_of
from ..core.types import Figure, MetricDefaults, Record, Score
from ..metrics.figures import Indices, ends, mean_figure, unscored
from ..results.store import StoredRun
from .criteria import CriteriaGrades
from .metric import JudgeGrades, Preferred, preferences
from .modes import Mode
from .safety import SafetyGrades

RESAMPLES = 500  # for alpha; each takes a millisecond for 500 answers, whenever a table is shown


@dataclass(frozen=True)
class _Jury(MetricDefaults):
    """The mean of the judges' values, over the answers that all of them gave one; Krippendorff's alpha of all values.

    Each judge's own figures are those of its own metric.
    """

    name: str
    mode: Mode
    members: tuple[JudgeGrades | CriteriaGrades | SafetyGrades | Preferred, ...]
    version: str = "1"
    binary: bool = False
    mean: bool = True
    better: Literal["higher", "lower"] = "higher"

    @property
    def dimension(self) -> str:  # type: ignore[override]
        return self.members[0].dimension

    @property
    def unit(self) -> str:  # type: ignore[override]
        return self.members[0].unit

    @property
    def remark(self) -> str:  # type: ignore[override]
        return ", ".join(member.remark for member in self.members if member.remark)

    def score(self, records: Sequence[Record]) -> list[Score]:
        columns = [member.score(records) for member in self.members]
        return [self._score(record, scores) for record, *scores in zip(records, *columns, strict=True)]

    def aggregate(self, records: Sequence[Record], scores: Sequence[Score]) -> list[Figure]:
        """The mean (of preferences, with wins, ties and losses by majority), then alpha."""
        own = (
            preferences(self.name, records, scores)
            if self.mode.both_orders
            else [mean_figure(self.name, records, scores, binary=False)]
        )
        return [own[0], self._alpha(records), *own[1:]]

    def _alpha(self, records: Sequence[Record]) -> Figure:
        columns = [member.score(records) for member in self.members]
        ratings = [[score.value for score in row] for row in zip(*columns, strict=True)]
        # An answer that only one judge graded says nothing about agreement.
        kept = [(record, row) for record, row in zip(records, ratings) if sum(v is not None for v in row) > 1]
        # Grades of one reply are ranks; the mean of several is a measure.
        level: Literal["ordinal", "interval"] = (
            "interval" if self.mode.over_criteria or len(self.mode.fields) > 1 else "ordinal"
        )

        def alpha(rows: Indices) -> float:
            found = krippendorff_alpha([kept[row][1] for row in rows], level)
            return math.nan if found is None else found

        name, total = f"{self.name}[alpha]", len(records)
        if not kept:
            return Figure(name, None, 0, total, better="")
        documents = clusters_of([record for record, _ in kept])
        low, high = ends(bootstrap(alpha, len(kept), documents, resamples=RESAMPLES))
        # It describes the judges, not the model, so no run is better by it.
        return Figure(name, alpha(np.arange(len(kept))), len(kept), total, low, high, better="")

    def _score(self, record: Record, scores: Sequence[Score]) -> Score:
        values = [score.value for score in scores if score.value is not None]
        if len(values) < len(scores):
            reasons = dict.fromkeys(
                f"{member.judge}: {score.reason}" for member, score in zip(self.members, scores) if score.value is None
            )
            return unscored(record, "; ".join(reasons))
        told = ", ".join(f"{member.judge} {score.value:g}" for member, score in zip(self.members, scores))
        return Score(record.item.id, math.fsum(values) / len(values), answer=told)


@dataclass(frozen=True)
class Jury(_Jury):
    """A jury that grades. When made by name, it has no replies: `of_run` reads them."""

    members: tuple[JudgeGrades | CriteriaGrades | SafetyGrades, ...]

    def of_run(self, run: StoredRun) -> Jury:
        return dataclasses.replace(self, members=tuple(member.of_run(run) for member in self.members))


@dataclass(frozen=True)
class PreferenceJury(_Jury):
    """A jury that prefers one of two runs; `between` reads its preferences."""

    members: tuple[Preferred, ...]

    def between(self, a: StoredRun, b: StoredRun) -> PreferenceJury:
        return dataclasses.replace(self, members=tuple(member.between(a, b) for member in self.members))
