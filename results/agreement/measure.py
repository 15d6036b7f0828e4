"""How far a metric or a judge agrees with people: stored answers that people graded, ranked by both.

Two questions, two figures, each Spearman's correlation of a metric's values with the grades:

- across: over all pairs of question and answer at once. It also rewards a metric for telling easy questions from hard.
- within: over the answers to one question, then the mean over questions. It is what picks the best answer to a
  question. Every question whose grades differ counts once, however many answers it has. A question to whose answers
  a metric gives one value is left out, because no correlation is defined there; `n` counts the others.

A pair with several grades counts with their mean; the same figures without such pairs are given beside them. A judge
that grades on people's own scale also gets Cohen's kappa with quadratic weights, over the pairs with one grade: a mean
of two is not on the scale. Intervals are 95 % bootstraps that resample questions. Unscored pairs are left out of a
metric's figures and counted.
"""

from __future__ import annotations

import csv
import dataclasses
import io
import random
from collections import Counter
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from ...core.agreement import bootstrap_kappa, bootstrap_spearman, spearman, weighted_kappa
from ...core.errors import MedbenchError, UsageError
from ...core.hashing import fingerprint
from ...core.stats import FEW, UNKNOWN, bootstrap_mean
from ...core.types import Metric, Record, Score
from ..export import cell
from ..identity import Comparable, Identity, run_id
from ..manifest import BenchmarkRecord, Manifest, ModelRecord
from ..manifest_file import MANIFEST
from ..records import encode
from ..scoring import BATCH, Load, load_metric, score_run
from ..store import StoredRun
from ..writer import RunWriter
from .liveqa_grades import GradedAnswers

FOLDER = "agreement"  # below the folder of runs, so that a leaderboard of that folder does not list these
ENGINE = "replay"  # nothing was run: the answers were there
WORDS = "(words in the answer)"  # the line of what needs no metric at all

Step = Callable[[str, int, int], None]  # metric, answers scored, of how many


@dataclass(frozen=True)
class Estimate:
    """A figure over `n` pairs (within: `n` questions) and its 95 % interval; None where it is undefined."""

    value: float | None
    n: int
    low: float | None = None
    high: float | None = None


@dataclass(frozen=True)
class MetricAgreement:
    """One metric against people."""

    name: str
    better: Literal["higher", "lower", ""]  # of the metric: where lower is better, agreement is a negative correlation
    n: int  # pairs that it scores
    total: int
    across: Estimate
    within: Estimate
    across_one_grade: Estimate  # without the pairs that have several grades
    within_one_grade: Estimate
    kappa: Estimate | None = None  # judges only
    unscored: tuple[tuple[str, int], ...] = ()  # reason, how many, the most frequent first

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
    grades: Mapping[str, int]  # how often each was given
    lines: tuple[MetricAgreement, ...]
    silent: tuple[tuple[str, str], ...] = ()  # metrics that score none of these answers, and why
    problems: tuple[MedbenchError, ...] = ()  # metrics that failed


def keep(graded: GradedAnswers, root: Path) -> StoredRun:
    """The graded answers as a stored run below `root`; the same answers are always the same run.

    Raises MedbenchError where it cannot be written.
    """
    content = fingerprint([encode(record) for record in graded.records])
    # The fields of a run that a model made; those of a model that there is not are empty.
    model = {
        "name": graded.answerers,
        "revision": content,
        "engine": ENGINE,
        "dtype": "",
        "quantize": "",
        "adapter": "",
    }
    comparable = Comparable(
        benchmark=graded.name,
        version=graded.version,
        variant="",
        items_hash=content,
        prompt_hash=fingerprint([[record.item.id, record.output.prompt] for record in graded.records]),
        shots=0,
        method="generate",
    )
    identity = Identity.from_json({"model": model, **comparable.as_json(), "chat": "plain"})
    manifest = Manifest(
        run_id=run_id(graded.answerers, graded.name, identity),
        identity=identity,
        comparable=comparable,
        model=ModelRecord.from_json(model),
        benchmark=BenchmarkRecord(
            name=graded.name,
            version=graded.version,
            sample=False,
            origin=graded.origin,
            notes=tuple(graded.notes),
            licence=graded.licence,
            citation=graded.citation,
            n_total=len(graded.records),
        ),
        method="generate",
        item_ids=tuple(record.item.id for record in graded.records),
    )
    path = root / manifest.run_id
    if not (path / MANIFEST).exists() or not StoredRun(path).complete:
        with RunWriter(root, manifest) as writer:
            writer.append(graded.records)
    return StoredRun(path)


def graded_from(records: Sequence[Record], lowest: int | None) -> list[Record]:
    """Those that nobody graded below `lowest`; all where it is None. Raises UsageError where there are none."""
    kept = [record for record in records if lowest is None or min(_grades(record)) >= lowest]
    if not kept:
        raise UsageError(f"--from-grade {lowest}: every answer has a grade below it.")
    return kept


def draw(records: Sequence[Record], limit: int | None, seed: int) -> list[Record]:
    """`limit` of the records, drawn by `seed`, in their order; all without a limit."""
    if limit is None or limit >= len(records):
        return list(records)
    drawn = set(random.Random(f"pairs {seed}").sample(sorted(record.item.id for record in records), limit))
    return [record for record in records if record.item.id in drawn]


class RunSubset(StoredRun):
    """A run of which some records alone are seen: a judge is asked of these, and its replies lie in the run."""

    def __init__(self, run: StoredRun, records: Sequence[Record]) -> None:
        super().__init__(run.path)
        self._seen = list(records)

    def records(self) -> list[Record]:
        return list(self._seen)


def metrics_called(names: Sequence[str], load: Load = load_metric) -> list[Metric]:
    """Raises UsageError for a measurement, which says nothing of one answer, and what `load` raises."""
    found = []
    for name in names:
        metric = load(name)
        if not isinstance(metric, Metric):
            raise UsageError(f"{name} is read off a run as a whole: it says nothing of one answer.")
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
    """What `metrics` and `judges` (metrics whose values are grades of `levels`) say of the records, against people.

    What is not scored yet is scored and kept; judges have been asked before. A metric that fails leaves the others
    alone. Raises as `metrics_called`.
    """
    lines, silent, problems = list[MetricAgreement](), list[tuple[str, str]](), list[MedbenchError]()
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
        lines.append(line(name, metric.better, records, scores, levels if name in judges else ()))
    lengths = [Score(record.item.id, len((record.output.text or "").split())) for record in records]
    lines.append(line(WORDS, "", records, lengths))
    grades = [_grades(record) for record in records]
    return Agreement(
        title=_title(run, len(records)),
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
    better: Literal["higher", "lower", ""],
    records: Sequence[Record],
    scores: Sequence[Score],
    levels: Sequence[int] = (),
) -> MetricAgreement:
    """One metric's figures from its scores, one per record. `levels`: all grades, where the values are grades too."""
    scored = [(record, score.value) for record, score in zip(records, scores, strict=True) if score.value is not None]
    alone = [(record, value) for record, value in scored if len(_grades(record)) == 1]
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


Scored = Sequence[tuple[Record, float]]


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
    """The mean grade and the question of each pair."""
    grades = [_grades(record) for record, _ in scored]
    return [sum(given) / len(given) for given in grades], [_question(record) for record, _ in scored]


def _estimate(value: float | None, n: int, interval: Callable[[], tuple[float, float]]) -> Estimate:
    if value is None:
        return Estimate(None, n)
    ends = interval()
    return Estimate(value, n) if ends == UNKNOWN or ends[0] == ends[1] else Estimate(value, n, *ends)


def _grades(record: Record) -> list[int]:
    return [int(grade) for grade in record.item.meta["grades"].split(",")]


def _question(record: Record) -> str:
    return record.item.meta["document"]


def _title(run: StoredRun, pairs: int) -> str:
    whole = len(run.manifest.item_ids)
    return f"{run.manifest.benchmark.name}" + ("" if pairs == whole else f" ({pairs:,} of {whole:,} pairs)")


def to_json(found: Agreement) -> dict[str, Any]:
    return dataclasses.asdict(found) | {"problems": [str(problem) for problem in found.problems]}


ESTIMATES = ("across", "within", "kappa", "across_one_grade", "within_one_grade")


def to_csv(found: Agreement) -> str:
    """One line per metric. What is undefined is empty."""
    parts = [(name, part) for name in ESTIMATES for part in ("value", "low", "high", "n")]
    fields = ["metric", "better", "n", "total", "coverage"]
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow([*fields, *(name if part == "value" else f"{name}_{part}" for name, part in parts)])
    for each in found.lines:
        figures = [getattr(getattr(each, name), part, None) for name, part in parts]
        writer.writerow([cell(each.name), each.better, each.n, each.total, each.coverage, *figures])
    return out.getvalue()


def to_markdown(found: Agreement) -> str:
    """The table as GitHub renders it, and how it was made."""
    judged = any(each.kappa for each in found.lines)
    heads = ["metric", "pairs", "ρ across pairs", "questions", "ρ within questions", *(["κ"] if judged else [])]
    if found.several:
        heads += ["ρ across, pairs of one grade", "ρ within, pairs of one grade"]
    rows = [heads, ["---", *["---:"] * (len(heads) - 1)]]
    for each in found.lines:
        cells = [heading(each), f"{each.n:,}", estimate_text(each.across)]
        cells += [f"{each.within.n:,}", estimate_text(each.within)]
        cells += [estimate_text(each.kappa)] if judged else []
        cells += [estimate_text(each.across_one_grade), estimate_text(each.within_one_grade)] if found.several else []
        rows.append(cells)
    table = "\n".join(f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in row)} |" for row in rows)
    return f"### {found.title}\n\n{table}\n\n{' '.join(legend(found, alone=True))}\n"


def heading(each: MetricAgreement) -> str:
    return each.name + {"higher": " ↑", "lower": " ↓", "": ""}[each.better]


def estimate_text(estimate: Estimate | None) -> str:
    """ "0.31 [0.27, 0.35]"; a dash where it is undefined."""
    if estimate is None or estimate.value is None:
        return "–"
    ends = "" if estimate.low is None else f" [{estimate.low:.2f}, {estimate.high:.2f}]"
    return f"{estimate.value:.2f}{ends}"


def legend(found: Agreement, alone: bool = False) -> list[str]:
    """What the table shows and how it was made, a sentence each. `alone`: it has the figures over one grade, too."""
    told = [
        f"ρ: Spearman's correlation with people's grades of {found.pairs:,} answers to {found.questions} questions, "
        "across all of them at once and within each question (the mean over those where it is defined: both the grades "
        "and the values differ).",
        "In brackets 95 %, by bootstrap over questions.",
    ]
    if any(each.better == "lower" for each in found.lines):
        told.append("↓: less is better, so agreement is below 0.")
    if found.several:
        told.append(f"Of pairs with more than one grade ({found.several}) the mean counts for ρ.")
    judged = any(each.kappa for each in found.lines)
    if judged:
        told.append("κ: Cohen's kappa with quadratic weights, over the pairs with one grade.")
    shown = [e for each in found.lines for e in (each.across, each.within)]
    if alone and found.several:
        shown += [e for each in found.lines for e in (each.across_one_grade, each.within_one_grade)]
    if judged or any(estimate.value is None for estimate in shown):
        of_kappa = "; κ, where the values are no grades" if judged else ""
        told.append(f"–: undefined, where all values or all grades are alike{of_kappa}.")
    sparse = [f"{each.name} ({each.within.n})" for each in found.lines if 0 < each.within.n < FEW]
    if found.questions < FEW:
        few = "1 question is" if found.questions == 1 else f"{found.questions} questions are"
        told.append(f"{few} too few for an interval that can be trusted.")
    elif sparse:
        told.append(f"Defined within too few questions for an interval that can be trusted: {', '.join(sparse)}.")
    return told
