"""Tables of the report: the cells of the leaderboard's own exports, each with the number that it is sorted by."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ..results.board import Board, Cell
from ..results.cells import cell_text
from ..results.export import board_cells, board_headings
from ..results.summary import Heading, Summary
from ..results.summary_export import summary_cells, summary_headings
from .terms import meaning, terms


def summary_table(found: Summary) -> dict[str, Any]:
    """Return a summary in the form of the page's tables, in the order of its lines."""
    directions = ["", "", *(heading.better for heading in found.headings)]
    return _table(
        summary_headings(found),
        directions,
        ["", "", *(_metric(heading) for heading in found.headings)],
        [(summary_cells(line), (None, None, *line.cells)) for line in found.lines],
    )


def summary_terms(found: Summary) -> list[tuple[str, str]]:
    """Return what the columns of a summary mean."""
    return terms(zip((plain_heading(text) for text in summary_headings(found)[2:]), map(_metric, found.headings)))


def _metric(heading: Heading) -> str:
    """Return the metric of a column that is not of one benchmark, whose heading names that."""
    return "" if heading.kind == "benchmark" else heading.metric


def plain_heading(text: str) -> str:
    """Return a heading without its arrow."""
    return text.rstrip(" ↑↓")


def board_table(board: Board) -> dict[str, Any]:
    """Return a board's headline figures in the form of the page's tables."""
    shown = [(at, column) for at, column in enumerate(board.columns) if column.headline]
    directions = ["", "", *(column.better for _, column in shown)]
    return _table(
        board_headings(board),
        directions,
        ["", "", *(column.name for _, column in shown)],
        [(board_cells(row, board), (None, None, *(row.cells[at] for at, _ in shown))) for row in board.rows],
    )


def subject_table(board: Board) -> dict[str, Any] | None:
    """Return the accuracy by subject in the form of the page's tables, a row per subject; None if items name none."""
    shown = [
        (column.name.removeprefix("accuracy[").removesuffix("]"), [row.cells[at] for row in board.rows])
        for at, column in enumerate(board.columns)
        if column.name.startswith("accuracy[") and not column.clean
    ]
    if not shown:
        return None
    most = [max((cell.figure.total for cell in cells if cell.figure), default=0) for _, cells in shown]
    columns = [
        {"title": "subject", "better": "", "unit": "", "number": False, "about": ""},
        {"title": "n", "better": "higher", "unit": "", "number": True, "about": "answers"},
        *(
            {"title": row.label, "better": "higher", "unit": "", "number": True, "about": row.setup.text}
            for row in board.rows
        ),
    ]
    rows = [
        [
            {"text": subject, "value": None, "status": ""},
            {"text": f"{n:,}", "value": n, "status": ""},
            *(
                {"text": (text := cell_text(cell, n)).text, "value": text.amount, "status": cell.status}
                for cell in cells
            ),
        ]
        for (subject, cells), n in zip(shown, most, strict=True)
    ]
    return {"columns": columns, "rows": rows, "of": "subjects"}


def _table(
    headings: Sequence[str],
    directions: Sequence[str],
    metrics: Sequence[str],
    lines: Sequence[tuple[Sequence[str], Sequence[Cell | None]]],
) -> dict[str, Any]:
    """Return {"columns": [{title, better, unit, about}], "rows": [[{text, value, status}]], "of": what a row is}.

    A column without numbers has no `better`.
    """
    units = ["" for _ in headings]
    for _, cells in lines:
        for at, cell in enumerate(cells):
            if cell and cell.figure:
                units[at] = cell.figure.unit
    rows = [
        [
            {"text": text, "value": cell_text(cell).amount, "status": cell.status if cell else ""}
            for text, cell in zip(texts, cells, strict=True)
        ]
        for texts, cells in lines
    ]
    columns = [
        {
            "title": title,
            "better": better,
            "unit": "GB" if unit == "bytes" else unit,
            "number": at > 1,
            "about": meaning(metric),
        }
        for at, (title, better, unit, metric) in enumerate(zip(headings, directions, units, metrics, strict=True))
    ]
    return {"columns": columns, "rows": rows, "of": "models"}
