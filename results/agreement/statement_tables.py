"""Agreement on statements as tables, JSON, CSV and Markdown, and the sentences below the tables."""

from __future__ import annotations

import csv
import dataclasses
import io
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from ...core.stats import FEW
from ..export import cell, escaped, markdown_row
from .measure import Estimate
from .statement_agreement import LabelAgreement, RaterAgreement, StatementAgreement
from .tables import estimate_text

HEADS = {"precision": "precision", "recall": "recall", "f1": "F1"}  # of the figures of a label
FIELDS = ("name", "rater", "other", "label", "figure", "value", "low", "high", "n")


@dataclass(frozen=True)
class Grid:
    """A table as text. The first row has the headings; the first `texts` columns hold words, the others figures."""

    rows: tuple[tuple[str, ...], ...]
    texts: int


@dataclass(frozen=True)
class Section:
    """Tables of one judge or of the physicians, and the sentences below them."""

    name: str
    tables: tuple[Grid, ...]
    notes: tuple[str, ...]


def sections(found: StatementAgreement) -> list[Section]:
    """Return what is shown of each judge, then of the physicians."""
    return [_section(each) for each in (*found.judges, found.physicians)]


def _section(found: RaterAgreement) -> Section:
    pairs = [("labels of", "against", "n", "macro-F1", "κ")]
    pairs += [
        (each.rater, each.other, f"{each.n:,}", estimate_text(each.macro_f1), estimate_text(each.kappa))
        for each in found.pairs
    ]
    if not found.pairs:
        return Section(found.name, (), tuple(_notes(found)))
    figures = list(_of_label(found.labels[0]))
    labels = [("label", *found.labels[0].given, *(HEADS[figure] for figure, _ in figures))]
    labels += [
        (of.label, *(f"{n:,}" for n in of.given.values()), *(estimate_text(each) for _, each in _of_label(of)))
        for of in found.labels
    ]
    return Section(found.name, (Grid(tuple(pairs), 2), Grid(tuple(labels), 1)), tuple(_notes(found)))


def _notes(found: RaterAgreement) -> Iterator[str]:
    if found.fleiss_kappa:
        yield f"Fleiss' kappa of all three: {estimate_text(found.fleiss_kappa)}."
    if found.kappa_difference:
        yield f"κ of the judge minus that of the physicians, by the two means: {estimate_text(found.kappa_difference)}."
    if found.missing:
        reason, count = found.missing[0]
        without = found.total - found.n
        yield (
            f"Left out: {without:,} of {found.total:,} statements, without a verdict. Most often ({count:,}): {reason}"
        )


def legend(found: StatementAgreement) -> list[str]:
    """Return what the tables show and how it was made, a sentence each."""
    told = [
        f"{found.statements:,} statements about {found.answers} answers to {found.questions} questions, each labeled "
        "by three physicians.",
        "macro-F1: mean F1 of the labels that either side gives; κ: Cohen's kappa.",
        "In brackets: 95% intervals, by bootstrap over questions.",
        "The majority includes the physician's own vote; the rows against the other two leave out the statements on "
        "which these disagree.",
        "(mean): over the three physicians, or their three pairs, as is the physicians' F1 of a label.",
    ]
    if found.judges:
        told.append(
            "Compare the two means with each other: there, neither side has a vote in the other's label. A judge's "
            "table has both over the statements on which it has a verdict."
        )
    if any(estimate.value is None for _, estimate in _estimates(found)):
        told.append("–: undefined, because no label or only one occurs.")
    if found.questions < FEW:
        few = "1 question is" if found.questions == 1 else f"{found.questions} questions are"
        told.append(f"{few} too few for a reliable interval.")
    return told


def to_json(found: StatementAgreement) -> dict[str, Any]:
    return dataclasses.asdict(found)


def to_csv(found: StatementAgreement) -> str:
    """Return a line per figure. Undefined figures are empty."""
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(FIELDS)
    for (name, rater, other, label, figure), each in _estimates(found):
        writer.writerow([cell(name), rater, other, label, figure, each.value, each.low, each.high, each.n])
    for rated in (*found.judges, found.physicians):
        writer.writerow([cell(rated.name), "", "", "", "coverage", rated.coverage, None, None, rated.total])
    return out.getvalue()


def to_markdown(found: StatementAgreement) -> str:
    """Return all tables as Markdown, with the sentences that explain them."""
    return markdown(found.title, sections(found), " ".join(legend(found)))


def markdown(title: str, parts_of: Sequence[Section], legend: str) -> str:
    """Return sections as Markdown, with the text that explains them."""
    parts = [f"### {title}"]
    for section in parts_of:
        parts.append(f"#### {escaped(section.name)}")
        for table in section.tables:
            heads, *rows = table.rows
            rule = ["---" if column < table.texts else "---:" for column in range(len(heads))]
            parts.append("\n".join(markdown_row(list(row)) for row in (heads, rule, *rows)))
        parts += map(escaped, section.notes)
    return "\n\n".join([*parts, legend]) + "\n"


def _estimates(found: StatementAgreement) -> Iterator[tuple[tuple[str, str, str, str, str], Estimate]]:
    """Yield each figure with whose it is: section, rater, other rater, label, figure."""
    for rated in (*found.judges, found.physicians):
        for pair in rated.pairs:
            for figure in ("same", "macro_f1", "kappa"):
                yield (rated.name, pair.rater, pair.other, "", figure), getattr(pair, figure)
        for each in rated.labels:
            for figure, estimate in _of_label(each):
                yield (rated.name, "", "", each.label, figure), estimate
        for figure in ("fleiss_kappa", "kappa_difference"):
            if estimate := getattr(rated, figure):
                yield (rated.name, "", "", "", figure), estimate


def _of_label(each: LabelAgreement) -> Iterator[tuple[str, Estimate]]:
    for figure in HEADS:
        estimate = getattr(each, figure)
        if estimate is not None:
            yield figure, estimate
