"""Agreement as JSON, CSV and Markdown, and the sentences below its tables."""

from __future__ import annotations

import csv
import dataclasses
import io
from typing import Any

from ...core.stats import FEW
from ..export import cell, escaped, markdown_row
from .measure import Agreement, Estimate, MetricAgreement


def to_json(found: Agreement) -> dict[str, Any]:
    return dataclasses.asdict(found) | {"problems": [str(problem) for problem in found.problems]}


ESTIMATES = ("across", "within", "kappa", "across_one_grade", "within_one_grade")


def to_csv(found: Agreement) -> str:
    """Return a line per metric. Undefined figures are empty."""
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
    """Return the table as Markdown, with the sentences that explain it."""
    judged = any(each.kappa for each in found.lines)
    heads = ["metric", "pairs", "ρ across pairs", "questions", "ρ within questions", *(["κ"] if judged else [])]
    if found.several:
        heads += ["ρ across, pairs of one grade", "ρ within, pairs of one grade"]
    rows = [heads, ["---", *["---:"] * (len(heads) - 1)]]
    for each in found.lines:
        cells = [escaped(heading(each)), f"{each.n:,}", estimate_text(each.across)]
        cells += [f"{each.within.n:,}", estimate_text(each.within)]
        cells += [estimate_text(each.kappa)] if judged else []
        cells += [estimate_text(each.across_one_grade), estimate_text(each.within_one_grade)] if found.several else []
        rows.append(cells)
    table = "\n".join(markdown_row(row) for row in rows)
    return f"### {found.title}\n\n{table}\n\n{' '.join(legend(found, alone=True))}\n"


def heading(each: MetricAgreement) -> str:
    """Return a metric's name with an arrow that says which values are better."""
    return each.name + {"higher": " ↑", "lower": " ↓", "": ""}[each.better]


def estimate_text(estimate: Estimate | None) -> str:
    """Return "0.31 [0.27, 0.35]", or a dash if the figure is undefined."""
    if estimate is None or estimate.value is None:
        return "–"
    ends = "" if estimate.low is None else f" [{estimate.low:.2f}, {estimate.high:.2f}]"
    return f"{estimate.value:.2f}{ends}"


def legend(found: Agreement, alone: bool = False) -> list[str]:
    """Return what the table shows and how it was made, a sentence each.

    `alone`: the table also has the figures over pairs with one grade.
    """
    told = [
        f"ρ: Spearman's correlation with people's grades of {found.pairs:,} answers to {found.questions} questions, "
        "across all of them at once and within each question (the mean over questions where both the grades and the "
        "values differ).",
        "In brackets: 95% intervals, by bootstrap over questions.",
    ]
    if any(each.better == "lower" for each in found.lines):
        told.append("↓: lower is better, so agreement is a negative ρ.")
    if found.several:
        told.append(f"For ρ, pairs with more than one grade ({found.several}) count with their mean.")
    judged = any(each.kappa for each in found.lines)
    if judged:
        told.append("κ: Cohen's kappa with quadratic weights, over the pairs with one grade.")
    shown = [e for each in found.lines for e in (each.across, each.within)]
    if alone and found.several:
        shown += [e for each in found.lines for e in (each.across_one_grade, each.within_one_grade)]
    if judged or any(estimate.value is None for estimate in shown):
        of_kappa = "; κ also if the values are not grades" if judged else ""
        told.append(f"–: undefined, because all values or all grades are the same{of_kappa}.")
    sparse = [f"{each.name} ({each.within.n})" for each in found.lines if 0 < each.within.n < FEW]
    if found.questions < FEW:
        few = "1 question is" if found.questions == 1 else f"{found.questions} questions are"
        told.append(f"{few} too few for a reliable interval.")
    elif sparse:
        told.append(f"Defined within too few questions for a reliable interval: {', '.join(sparse)}.")
    return told
