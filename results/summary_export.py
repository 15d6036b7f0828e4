"""The summary of a leaderboard as JSON, Markdown, HTML and LaTeX: a row per model, a column per benchmark."""

from __future__ import annotations

import html
from collections.abc import Iterable
from typing import Any

from ..core.text import printable
from .cells import SHORT, CellText, cell_text
from .export import ARROWS, escaped, latex_row, markdown_row, marked, tex
from .summary import LEAKED, ModelRow, Summary

NAMES = SHORT | {"safety_rate": "safety"}  # columns that are of no single benchmark
LEGEND = "In brackets the 95% interval. –: no run, or no figure."


def summary_json(found: Summary) -> dict[str, Any]:
    """Return a summary as JSON has it: a line per model with its figures by column."""
    return {
        "sample": found.sample,
        "models": [
            {
                "model": line.label,
                "setup": line.setup,
                "changed": line.changed,
                "unfinished": list(line.unfinished),
                "leaks_unchecked": list(line.unchecked),
                "figures": {
                    heading.name: None
                    if cell is None or cell.figure is None
                    else {
                        "metric": heading.metric or "mean",
                        "value": cell.figure.value,
                        "low": cell.figure.low,
                        "high": cell.figure.high,
                        "n": cell.figure.n,
                        "total": cell.figure.total,
                        "status": cell.status,
                        "leaked": leaked,
                    }
                    for heading, cell, leaked in zip(found.headings, line.cells, line.leaked, strict=True)
                },
            }
            for line in found.lines
        ],
        "notes": [*found.notes, *found.doubts],
    }


def summary_markdown(found: Summary) -> str:
    """Return the summary as a table that GitHub renders, the best values in bold, with its notes."""
    headings = [escaped(heading) for heading in summary_headings(found)]
    lines = [f"### {_title(found)}", "", markdown_row(headings), markdown_row(["---", "---", *_right(found)])]
    for line in found.lines:
        cells = map(marked, summary_texts(line))
        lines.append(markdown_row([escaped(line.label), escaped(_setup(line)), *cells]))
    return "\n".join([*lines, "", escaped(_notes(found, "Bold"))])


def summary_html(found: Summary) -> str:
    """Return the summary as an HTML table with its notes."""

    def row(tag: str, cells: Iterable[str]) -> str:
        return "<tr>" + "".join(f"<{tag}>{html.escape(printable(cell))}</{tag}>" for cell in cells) + "</tr>"

    lines = [row("td", summary_cells(line)) for line in found.lines]
    table = [f"<table><caption>{_title(found)}</caption>", row("th", summary_headings(found)), *lines, "</table>"]
    return "\n".join([*table, f"<p>{html.escape(printable(_notes(found, '★')))}</p>"])


def summary_latex(found: Summary) -> str:
    """Return the summary as a LaTeX table (booktabs), its notes in the caption."""
    return "\n".join(
        [
            r"\begin{table}",
            rf"\caption{{{_title(found)}. {tex(_notes(found, '★'))}}}",
            rf"\begin{{tabular}}{{ll{'r' * len(found.headings)}}}",
            r"\toprule",
            latex_row(summary_headings(found)),
            r"\midrule",
            *(latex_row(summary_cells(line)) for line in found.lines),
            r"\bottomrule",
            r"\end{tabular}",
            r"\end{table}",
        ]
    )


def _title(found: Summary) -> str:
    return "Summary of the samples" if found.sample else "Summary"


def summary_headings(found: Summary) -> list[str]:
    """Return the headings of the summary's columns, the model and its setup first."""
    return ["model", "setup", *(NAMES.get(each.name, each.name) + ARROWS[each.better] for each in found.headings)]


def _right(found: Summary) -> list[str]:
    return ["---:"] * len(found.headings)


def _setup(line: ModelRow) -> str:
    remarks = ("changed after the run" if line.changed else "", "unfinished" if line.unfinished else "")
    unchecked = "leaks not checked" if line.unchecked else ""
    return ", ".join(filter(None, [line.setup, *remarks, unchecked]))


def summary_texts(line: ModelRow, places: int = 3) -> list[CellText]:
    """Return what the summary shows of each cell of a line."""
    cells = zip(line.cells, line.leaked, strict=True)
    return [cell_text(cell, sign=LEAKED * bool(leaked), places=places) for cell, leaked in cells]


def summary_cells(line: ModelRow) -> list[str]:
    """Return a line without markup, a text per heading. The best value of a column gets a star, as in the terminal."""
    return [line.label, _setup(line), *(shown.text for shown in summary_texts(line))]


def _notes(found: Summary, best: str) -> str:
    parts = [LEGEND]
    if len(found.lines) + found.hidden > 1:
        parts.append(
            f"Within a benchmark: ▼ another model is significantly better, ≈ none is shown to be, {best}: the best "
            "value of a column whose models differ. Means are not tested."
        )
    return " ".join([*parts, *found.notes, *found.doubts])
