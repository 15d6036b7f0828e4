"""How far a judge agrees with physicians on statements: does an answer entail, contradict or not mention them?

Labels are not grades, so these are figures of classification, with the physicians' own beside them:

- against the majority of the three physicians, and against each physician: macro-F1 and Cohen's kappa;
- among the physicians: Fleiss' kappa, each pair, each against the majority (which holds their own vote, so it flatters
  them), and each against the other two where these two agree (which leaves out the disputed statements).

A judge and a physician are compared fairly by their mean over physicians: neither has a vote in the other's label. The
difference of the two means is given with its interval, over the statements on which the judge has a verdict.
macro-F1 is the mean F1 of the labels that either side gives. Intervals are 95% bootstraps that resample questions;
resamples in which a figure is undefined are left out. A statement without a verdict is left out of the judge's figures
and counted, never taken for a label.
"""

from __future__ import annotations

import itertools
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from ...core import nominal_agreement as nominal
from ...core.errors import UsageError
from ...core.stats import UNKNOWN, percentiles
from ...core.types import Record
from ..scoring import Load, OfRun, load_metric
from ..store import StoredRun
from .k_qa_labels import LABELS, PHYSICIANS, votes_of
from .measure import Estimate, title

MAJORITY = PHYSICIANS  # axis of the majority's label; the physicians' are 0, 1 and 2, the judge's comes after it
JUDGE = MAJORITY + 1
NAMES = (*(f"physician {number}" for number in range(1, PHYSICIANS + 1)), "majority", "judge")
AMONG = ("a physician", "another (mean)")
PAIRS = tuple(itertools.combinations(range(PHYSICIANS), 2))

Verdict = tuple[str, str] | str  # the verdict and its reason, or why there is none


@runtime_checkable
class GivesVerdicts(Protocol):
    """A judge's stored verdicts on the criteria of answers."""

    def each_verdict(self, record: Record) -> Sequence[Verdict]:
        """Return, for each criterion of the record's item, the verdict on it or why there is none."""
        ...


@dataclass(frozen=True)
class RaterPair:
    """How often one rater's labels are the same as another's, over `n` statements."""

    rater: str
    other: str
    n: int
    same: Estimate  # share of equal labels
    macro_f1: Estimate
    kappa: Estimate  # Cohen's


@dataclass(frozen=True)
class LabelAgreement:
    """One label: how often each rater gave it, and how far they agree on it."""

    label: str
    given: Mapping[str, int]  # by rater
    f1: Estimate  # physicians: the mean over their pairs
    precision: Estimate | None = None  # judges only
    recall: Estimate | None = None


@dataclass(frozen=True)
class RaterAgreement:
    """The physicians' agreement, or one judge's with them. Statements without a verdict are not counted in `n`."""

    name: str
    n: int
    total: int
    pairs: tuple[RaterPair, ...]
    labels: tuple[LabelAgreement, ...]
    fleiss_kappa: Estimate | None = None  # physicians only
    kappa_difference: Estimate | None = None  # judges only: mean with a physician minus that among the physicians
    missing: tuple[tuple[str, int], ...] = ()  # (reason, how many statements), most frequent first

    @property
    def coverage(self) -> float:
        return self.n / self.total if self.total else 0.0


@dataclass(frozen=True)
class StatementAgreement:
    title: str
    run: str  # folder of the stored answers and replies
    answers: int
    questions: int
    statements: int
    physicians: RaterAgreement
    judges: tuple[RaterAgreement, ...] = ()


def measure_statements(
    run: StoredRun, records: Sequence[Record], judges: Sequence[str] = (), load: Load = load_metric
) -> StatementAgreement:
    """Return the agreement of the physicians, and of each judge with them. `judges`: metrics with stored verdicts.

    Raises UsageError for a metric that gives no verdicts on criteria.
    """
    questions = [record.item.meta["document"] for record in records for _ in record.item.criteria]
    votes = [vote for record in records for vote in votes_of(record)]
    return StatementAgreement(
        title=title(run, len(records), "answers"),
        run=str(run.path),
        answers=len(records),
        questions=len(set(questions)),
        statements=len(votes),
        physicians=physicians(votes, questions),
        judges=tuple(judge(name, votes, _verdicts(run, records, name, load), questions) for name in judges),
    )


def physicians(votes: Sequence[Sequence[str]], questions: Sequence[str]) -> RaterAgreement:
    """Return the physicians' agreement. `votes`: per statement, their labels and the majority's."""
    tables = nominal.resampled_tables(_numbers(votes), len(LABELS), questions)
    each = nominal.of_raters(tables, *range(PHYSICIANS))
    between = _between(tables)
    pairs = [_pair(tables, one, MAJORITY) for one in range(PHYSICIANS)]
    pairs += [_against_the_others(each, one) for one in range(PHYSICIANS)]
    pairs += [_pair(tables, one, other) for one, other in PAIRS]
    pairs.append(_mean(*AMONG, between))
    f1 = _mean_of(nominal.label_f1, between)
    labels = [
        LabelAgreement(label, _given(each[0], tables[0], number), _estimate(f1[:, number], len(votes)))
        for number, label in enumerate(LABELS)
    ]
    fleiss = _estimate(nominal.fleiss_kappa(each), len(votes))
    return RaterAgreement("physicians", len(votes), len(votes), tuple(pairs), tuple(labels), fleiss)


def judge(
    name: str, votes: Sequence[Sequence[str]], verdicts: Sequence[Verdict], questions: Sequence[str]
) -> RaterAgreement:
    """Return a judge's agreement with the physicians, over the statements on which it has a verdict."""
    read = [
        ((*vote, verdict[0]), question)
        for vote, verdict, question in zip(votes, verdicts, questions, strict=True)
        if not isinstance(verdict, str)
    ]
    missing = tuple(Counter(verdict for verdict in verdicts if isinstance(verdict, str)).most_common())
    if not read:
        return RaterAgreement(name, 0, len(votes), (), (), missing=missing)
    tables = nominal.resampled_tables(_numbers([v for v, _ in read]), len(LABELS), [q for _, q in read])
    with_each = [nominal.of_raters(tables, one, JUDGE) for one in range(PHYSICIANS)]
    pairs = [_pair(tables, JUDGE, MAJORITY), *(_pair(tables, JUDGE, one) for one in range(PHYSICIANS))]
    pairs += [_mean(NAMES[JUDGE], "a physician (mean)", with_each), _mean(*AMONG, _between(tables))]
    difference = _mean_of(nominal.cohen_kappa, with_each) - _mean_of(nominal.cohen_kappa, _between(tables))
    truth = nominal.of_raters(tables, MAJORITY, JUDGE)
    precision, recall, f1 = nominal.label_precision(truth), nominal.label_recall(truth), nominal.label_f1(truth)
    labels = []
    for number, label in enumerate(LABELS):
        by_majority, by_judge = (int(truth[0].sum(axis=axis)[number]) for axis in (1, 0))
        labels.append(
            LabelAgreement(
                label,
                {NAMES[MAJORITY]: by_majority, NAMES[JUDGE]: by_judge},
                _estimate(f1[:, number], by_majority),
                _estimate(precision[:, number], by_judge),
                _estimate(recall[:, number], by_majority),
            )
        )
    return RaterAgreement(
        name,
        len(read),
        len(votes),
        tuple(pairs),
        tuple(labels),
        kappa_difference=_estimate(difference, len(read)),
        missing=missing,
    )


def _verdicts(run: StoredRun, records: Sequence[Record], name: str, load: Load) -> list[Verdict]:
    metric = load(name)
    found = metric.of_run(run) if isinstance(metric, OfRun) else metric
    if not isinstance(found, GivesVerdicts):
        raise UsageError(f"{name} gives no verdicts on statements.")
    return [verdict for record in records for verdict in found.each_verdict(record)]


def _numbers(votes: Sequence[Sequence[str]]) -> list[list[int]]:
    return [[LABELS.index(label) for label in vote] for vote in votes]


def _between(tables: nominal.Tables) -> list[nominal.Tables]:
    return [nominal.of_raters(tables, one, other) for one, other in PAIRS]


def _pair(tables: nominal.Tables, one: int, other: int) -> RaterPair:
    return _mean(NAMES[one], NAMES[other], [nominal.of_raters(tables, other, one)])


def _against_the_others(each: nominal.Tables, one: int) -> RaterPair:
    others = [rater for rater in range(PHYSICIANS) if rater != one]
    agreed = np.einsum("tjji->tji", nominal.of_raters(each, *others, one))
    return _mean(NAMES[one], "the other two where they agree", [agreed])


def _mean(rater: str, other: str, tables: Sequence[nominal.Tables]) -> RaterPair:
    """Return the mean over several tables of the same statements."""
    n = int(tables[0][0].sum())
    figures = (nominal.same_share, nominal.macro_f1, nominal.cohen_kappa)
    return RaterPair(rater, other, n, *(_estimate(_mean_of(figure, tables), n) for figure in figures))


def _mean_of(figure: Callable[[nominal.Tables], nominal.Values], tables: Sequence[nominal.Tables]) -> nominal.Values:
    mean: nominal.Values = np.mean([figure(table) for table in tables], axis=0)
    return mean


def _given(each: NDArray[np.int_], whole: NDArray[np.int_], label: int) -> dict[str, int]:
    """Return how often each physician, and the majority, gave a label."""
    found = {NAMES[one]: int(np.take(each, label, axis=one).sum()) for one in range(PHYSICIANS)}
    return {**found, NAMES[MAJORITY]: int(np.take(whole, label, axis=MAJORITY).sum())}


def _estimate(values: NDArray[np.float64], n: int) -> Estimate:
    """Return the first value, with the interval of the others; None if it is undefined."""
    value, resampled = values[0], values[1:]
    if np.isnan(value):
        return Estimate(None, n)
    ends = percentiles(resampled[~np.isnan(resampled)])
    return Estimate(float(value), n) if ends == UNKNOWN or ends[0] == ends[1] else Estimate(float(value), n, *ends)
