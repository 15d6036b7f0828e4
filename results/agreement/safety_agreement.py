"""How far the safety classifier and judges agree with people's safety labels, and judges with the classifier.

Per label: precision, recall, F1 and Cohen's kappa, with 95% bootstraps that resample questions. Answers that a rater
gives no labels are left out of its figures and counted.
"""

from __future__ import annotations

import csv
import dataclasses
import io
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol, runtime_checkable

import numpy as np

from ...core import nominal_agreement as nominal
from ...core.errors import UsageError
from ...core.stats import UNKNOWN, percentiles
from ...core.types import Record
from ...metrics.safety.examples import LABELS
from ..export import cell
from ..scoring import Load, OfRun, load_metric
from ..store import StoredRun
from .measure import Estimate, title
from .safety_labels import labels_of
from .statement_tables import Grid, Section, markdown
from .tables import estimate_text

PEOPLE, CLASSIFIER = "people", "classifier"
FIGURES = ("precision", "recall", "f1", "kappa")
FIELDS = ("rater", "against", "label", "figure", "value", "low", "high", "n", "positives")

Labels = Mapping[str, bool] | str  # of one answer, or why there are none


@runtime_checkable
class GivesLabels(Protocol):
    """A judge's stored safety labels."""

    def labels(self, record: Record) -> Labels:
        """Return whether each label holds, or why that is not known."""
        ...


@dataclass(frozen=True)
class RatedLabel:
    """One rater's agreement with another on one label. The other gave it to `positives` of the `n` answers."""

    label: str
    n: int
    positives: int
    precision: Estimate
    recall: Estimate
    f1: Estimate
    kappa: Estimate


@dataclass(frozen=True)
class RatedLabels:
    """One rater against another. `missing`: (reason, how many answers) for those without labels."""

    rater: str
    against: str
    labels: tuple[RatedLabel, ...]
    missing: tuple[tuple[str, int], ...] = ()


@dataclass(frozen=True)
class SafetyAgreement:
    title: str
    run: str  # folder of the stored answers and replies
    answers: int
    pairs: tuple[RatedLabels, ...]


def measure_safety(
    run: StoredRun,
    records: Sequence[Record],
    classifier: Sequence[Labels],
    judges: Sequence[str] = (),
    load: Load = load_metric,
) -> SafetyAgreement:
    """Return the agreement of the classifier and of judges with people, and of each judge with the classifier.

    `classifier`: its labels of each answer. `judges`: metrics with stored labels. Raises UsageError for another metric.
    """
    people: list[Labels] = list(labels_of(records))
    questions = [record.item.meta["document"] for record in records]
    pairs = [rated(CLASSIFIER, PEOPLE, classifier, people, questions)]
    for name in judges:
        metric = load(name)
        found = metric.of_run(run) if isinstance(metric, OfRun) else metric
        if not isinstance(found, GivesLabels):
            raise UsageError(f"{name} gives no safety labels.")
        labels = [found.labels(record) for record in records]
        pairs += [rated(name, against, labels, of, questions) for against, of in _others(people, classifier)]
    return SafetyAgreement(title(run, len(records), "answers"), str(run.path), len(records), tuple(pairs))


def _others(people: Sequence[Labels], classifier: Sequence[Labels]) -> list[tuple[str, Sequence[Labels]]]:
    return [(PEOPLE, people), (CLASSIFIER, classifier)]


def rated(
    rater: str, against: str, labels: Sequence[Labels], truth: Sequence[Labels], questions: Sequence[str]
) -> RatedLabels:
    """Return one rater's agreement with another on every label that both read."""
    both = [
        (said, true, question)
        for said, true, question in zip(labels, truth, questions, strict=True)
        if not isinstance(said, str) and not isinstance(true, str)
    ]
    missing = Counter(said for said in labels if isinstance(said, str))
    found = tuple(_label(label, both) for label in LABELS) if both else ()
    return RatedLabels(rater, against, found, tuple(missing.most_common()))


def _label(label: str, both: Sequence[tuple[Mapping[str, bool], Mapping[str, bool], str]]) -> RatedLabel:
    ratings = [(int(true[label]), int(said[label])) for said, true, _ in both]
    tables = nominal.resampled_tables(ratings, 2, [question for _, _, question in both])
    n, positives = len(ratings), sum(true for true, _ in ratings)
    return RatedLabel(
        label,
        n,
        positives,
        _estimate(nominal.label_precision(tables)[:, 1], n),
        _estimate(nominal.label_recall(tables)[:, 1], n),
        _estimate(nominal.label_f1(tables)[:, 1], n),
        _estimate(nominal.cohen_kappa(tables), n),
    )


def _estimate(values: Any, n: int) -> Estimate:
    if np.isnan(values[0]):
        return Estimate(None, n)
    ends = percentiles(values[1:][~np.isnan(values[1:])])
    return Estimate(float(values[0]), n, *(() if ends == UNKNOWN else ends))


# --- tables ---------------------------------------------------------------------------------------------------------


def sections(found: SafetyAgreement) -> list[Section]:
    """Return a table for each pair of raters, with the note on what was left out."""
    return [_section(pair, found.answers) for pair in found.pairs]


def _section(pair: RatedLabels, answers: int) -> Section:
    shares = [("label", "n", "positive", "precision", "recall")]
    shares += [
        (each.label, f"{each.n:,}", f"{each.positives:,}", estimate_text(each.precision), estimate_text(each.recall))
        for each in pair.labels
    ]
    both = [
        ("label", "F1", "κ"),
        *((each.label, estimate_text(each.f1), estimate_text(each.kappa)) for each in pair.labels),
    ]
    left = sum(count for _, count in pair.missing)
    notes = [f"Left out: {left:,} of {answers:,} answers. Most often: {pair.missing[0][0]}"] if left else []
    tables = (Grid(tuple(shares), 1), Grid(tuple(both), 1)) if pair.labels else ()
    return Section(f"{pair.rater} against {pair.against}", tables, tuple(notes))


LEGEND = (
    "positive: answers that the other side gave the label; precision, recall and F1 take that side for the truth; "
    "κ: Cohen's kappa. In brackets: 95% intervals, by bootstrap over questions. An emergency is a label of the "
    "question; a referral counts only in an emergency, as each side sees it."
)


def to_markdown(found: SafetyAgreement) -> str:
    return markdown(found.title, sections(found), LEGEND)


def to_json(found: SafetyAgreement) -> dict[str, Any]:
    return dataclasses.asdict(found)


def to_csv(found: SafetyAgreement) -> str:
    """Return a line per figure. Undefined figures are empty."""
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(FIELDS)
    for pair, label, figure, each in _figures(found):
        names = [cell(pair.rater), cell(pair.against), label.label, figure]
        writer.writerow([*names, each.value, each.low, each.high, each.n, label.positives])
    return out.getvalue()


def _figures(found: SafetyAgreement) -> Iterator[tuple[RatedLabels, RatedLabel, str, Estimate]]:
    for pair in found.pairs:
        for label in pair.labels:
            for figure in FIGURES:
                yield pair, label, figure, getattr(label, figure)
