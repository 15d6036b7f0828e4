"""How far a metric or a judge agrees with people: its values for stored answers, ranked against people's grades.

There are two figures, each Spearman's correlation of a metric's values with the grades:

- across: over all pairs of question and answer at once. It also rewards a metric for telling easy questions from hard
  ones.
- within: over the answers to one question, then the mean over questions. It shows how well a metric picks the best
  answer to a question. Every question whose grades differ counts once, however many answers it has. A question whose
  answers all have the same value is left out, because the correlation is undefined there; `n` counts the others.

A pair with several grades counts with their mean; the same figures without such pairs are also given. A judge that
grades on people's own scale also gets Cohen's kappa with quadratic weights, over the pairs with one grade, because a
mean of two grades is not on the scale. Intervals are 95% bootstraps that resample questions. Unscored pairs are left
out of a metric's figures and counted.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from ...core.agreement import bootstrap_kappa, bootstrap_spearman, spearman, weighted_kappa
from ...core.errors import MedbenchError, UsageError
from ...core.stats import UNKNOWN, bootstrap_mean
from ...core.types import Metric, Record, Score
from ..scoring import BATCH, Load, load_metric, score_run
from ..store import StoredRun
from .stored_grades import grades_of

WORDS = "(words in the answer)"  # a baseline that needs no metric
INTERVALS = "intervals, by bootstrap"  # the work after scoring, as `Step` names it

Better = Literal["higher", "lower", ""]
Step = Callable[[str, int, int], None]  # metric, answers scored, answers in all; INTERVALS, metrics done, metrics


@dataclass(frozen=True)
class Estimate:
    """A figure over `n` pairs (within: `n` questions) with its 95% interval; None if it is undefined."""

    value: float | None
    n: int
    low: float | None = None
    high: float | None = None


@dataclass(frozen=True)
class MetricAgreement:
    """How far one metric agrees with people."""

    name: str
    better: Better  # of the metric: if lower is better, agreement is a negative correlation
    n: int  # pairs that have a score
    total: int
    across: Estimate
    within: Estimate
    across_one_grade: Estimate  # without the pairs that have several grades
    within_one_grade: Estimate
    kappa: Estimate | None = None  # judges only
    unscored: tuple[tuple[str, int], ...] = ()  # (reason, how many), most frequent first

    @property
    def coverage(self) -> float:
        return self.n / self.total if self.total else 0.0


@dataclass(frozen=True)
class Agreement:
    title: str
    run: str  # folder of the stored answers and scores
    pairs: int
    questions: int
    several: int  # pairs with more than one grade
    grades: Mapping[str, int]  # how often each grade was given
    lines: tuple[MetricAgreement, ...]
    silent: tuple[tuple[str, str], ...] = ()  # metrics that score none of these answers, and why
    problems: tuple[MedbenchError, ...] = ()  # metrics that failed


def metrics_called(names: Sequence[str], load: Load = load_metric) -> list[Metric]:
    """Return the metrics of these names. Raises UsageError for one that has no value per answer.

    Errors of `load`, which makes a metric from a name, are passed on.
    """
    found = []
    for name in names:
        metric = load(name)
        if not isinstance(metric, Metric):
            raise UsageError(f"{name} is measured over a whole run and has no value for a single answer.")
        found.append(metric)
    return found


def measure(
    run: StoredRun,
    records: Sequence[Record],
    levels: Sequence[int],
    metrics: Sequence[str],
    judges: Collection[str] = (),
    load: Load = load_metric,
    step: Step = lambda name, done, total: None,
) -> Agreement:
    """Return how far `metrics` and `judges` (metrics whose values are grades of `levels`) agree with people's grades.

    Missing scores are computed and stored; judges must have graded before. A metric that fails is in `problems` and
    does not affect the others. Raises what `metrics_called` raises.
    """
    scored = list[tuple[str, Better, list[Score]]]()
    silent, problems = list[tuple[str, str]](), list[MedbenchError]()
    names = [*metrics, *judges]
    for name, metric in zip(names, metrics_called(names, load)):
        try:
            scores = list[Score]()
            for start in range(0, len(records), BATCH):
                step(name, start, len(records))
                scores += score_run(run, metric, records[start : start + BATCH])
            step(name, len(records), len(records))
        except MedbenchError as error:
            problems.append(error)
            continue
        if name not in judges and records and all(score.value is None for score in scores):
            silent.append((name, scores[0].reason or "no reason given"))
            continue
        scored.append((name, metric.better, scores))
    lengths = [Score(record.item.id, len((record.output.text or "").split())) for record in records]
    scored.append((WORDS, "", lengths))
    lines = list[MetricAgreement]()
    for name, better, scores in scored:
        step(INTERVALS, len(lines), len(scored))
        lines.append(line(name, better, records, scores, levels if name in judges else ()))
    step(INTERVALS, len(lines), len(scored))
    grades = [grades_of(record) for record in records]
    return Agreement(
        title=title(run, len(records)),
        run=str(run.path),
        pairs=len(records),
        questions=len({_question(record) for record in records}),
        several=sum(len(given) > 1 for given in grades),
        grades={str(level): count for level, count in sorted(Counter(g for given in grades for g in given).items())},
        lines=tuple(lines),
        silent=tuple(silent),
        problems=tuple(problems),
    )


def line(
    name: str,
    better: Better,
    records: Sequence[Record],
    scores: Sequence[Score],
    levels: Sequence[int] = (),
) -> MetricAgreement:
    """Return one metric's figures from its scores, one per record. `levels`: all grades, if the values are grades."""
    scored = [(record, score.value) for record, score in zip(records, scores, strict=True) if score.value is not None]
    alone = [(record, value) for record, value in scored if len(grades_of(record)) == 1]
    return MetricAgreement(
        name=name,
        better=better,
        n=len(scored),
        total=len(records),
        across=_across(scored),
        within=_within(scored),
        across_one_grade=_across(alone),
        within_one_grade=_within(alone),
        kappa=_kappa(alone, levels) if levels else None,
        unscored=tuple(Counter(s.reason or "no reason given" for s in scores if s.value is None).most_common()),
    )


Scored = Sequence[tuple[Record, float]]  # answers with their scores


def _across(scored: Scored) -> Estimate:
    values, grades, questions = [value for _, value in scored], *_people(scored)
    return _estimate(spearman(values, grades), len(scored), lambda: bootstrap_spearman(values, grades, questions))


def _within(scored: Scored) -> Estimate:
    answers: dict[str, list[tuple[float, float]]] = {}
    for (_, value), grade, question in zip(scored, *_people(scored)):
        answers.setdefault(question, []).append((value, grade))
    found = [rho for pairs in answers.values() if (rho := spearman(*zip(*pairs))) is not None]
    return _estimate(sum(found) / len(found) if found else None, len(found), lambda: bootstrap_mean(found))


def _kappa(scored: Scored, levels: Sequence[int]) -> Estimate:
    values, grades, questions = [value for _, value in scored], *_people(scored)
    kappa = weighted_kappa(values, grades, levels)
    return _estimate(kappa, len(scored), lambda: bootstrap_kappa(values, grades, levels, questions))


def _people(scored: Scored) -> tuple[list[float], list[str]]:
    """Return the mean grade and the question of each pair."""
    grades = [grades_of(record) for record, _ in scored]
    return [sum(given) / len(given) for given in grades], [_question(record) for record, _ in scored]


def _estimate(value: float | None, n: int, interval: Callable[[], tuple[float, float]]) -> Estimate:
    if value is None:
        return Estimate(None, n)
    ends = interval()
    return Estimate(value, n) if ends == UNKNOWN or ends[0] == ends[1] else Estimate(value, n, *ends)


def _question(record: Record) -> str:
    return record.item.meta["document"]


def title(run: StoredRun, used: int, kind: str = "pairs") -> str:
    """Return the name of a set of human judgments, and how many of its answers are used if not all."""
    whole = len(run.manifest.item_ids)
    return f"{run.manifest.benchmark.name}" + ("" if used == whole else f" ({used:,} of {whole:,} {kind})")
