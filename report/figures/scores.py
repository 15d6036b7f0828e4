"""Scores of every model with their intervals, a panel per column of the summary."""

from __future__ import annotations

import math

from ...core.errors import UsageError
from ...results.summary import LEAKED, SHARES, Summary
from ...results.summary_export import NAMES, summary_cells
from . import forest
from .request import FigureRequest
from .style import PaperFigure, blank

KINDS = ("benchmark", "mean", "safety")


def draw(request: FigureRequest) -> PaperFigure:
    """Draw the figure."""
    found = request.summary
    shown = [at for at, heading in enumerate(found.headings) if heading.kind in KINDS]
    panels = [(at, _rows(found, at)) for at in shown]
    panels = [(at, rows) for at, rows in panels if any(row.value is not None for row in rows)]
    if not panels:
        raise UsageError("these runs have no score to draw.", "What they have: medbench leaderboard --details")
    width = request.inches()
    across = 1 if width < 5 or len(panels) == 1 else 2
    down = math.ceil(len(panels) / across)
    titles = {at: NAMES.get(found.headings[at].name, found.headings[at].name) for at in shown}
    tall = max(forest.height(rows, titles[at]) for at, rows in panels)
    drawn = blank(width, tall * down)
    grid = drawn.subplots(down, across, squeeze=False)
    shares = {column.name for board in request.boards for column in board.columns if column.scale in SHARES}
    of_shares = []
    for place, axes in enumerate(grid.flat):
        if place >= len(panels):
            axes.set_axis_off()
            continue
        at, rows = panels[place]
        heading = found.headings[at]
        name = heading.metric or "mean of the benchmarks"
        share = heading.kind != "benchmark" or heading.metric in shares
        forest.panel(axes, rows, titles[at], _label(name, heading.better), share)
        of_shares += [axes] if share else []
    if of_shares:  # on one axis, so that panels can be compared by eye
        ends = [end for axes in of_shares for end in axes.get_xlim()]
        for axes in of_shares:
            axes.set_xlim(min(ends), max(ends))
    cut = any(axes.axison and axes.get_xlim()[0] > 0 for axes in drawn.axes)
    return drawn.describe(_caption(found, len(of_shares), cut), request.notes)


def _rows(found: Summary, at: int) -> list[forest.Row]:
    """Return a row per model, with the text of the summary's cell."""
    rows = []
    for line in found.lines:
        cell = line.cells[at]
        figure = cell.figure if cell else None
        rows.append(
            forest.Row(
                line.label + (f" ({line.setup})" if _alike(found, line.label) else ""),
                summary_cells(line)[at + 2],
                figure.value if figure else None,
                figure.low if figure else None,
                figure.high if figure else None,
                hollow=bool(cell and cell.status == "worse"),
            )
        )
    return rows


def _alike(found: Summary, label: str) -> bool:
    return sum(line.label == label for line in found.lines) > 1


def _label(name: str, better: str) -> str:
    return name if better != "lower" else f"{name} (lower is better)"


def _caption(found: Summary, same_axis: int, cut: bool) -> str:
    """Return the caption. `same_axis`: how many panels have one axis; `cut`: whether an axis does not start at 0."""
    cells = [cell for line in found.lines for cell in line.cells if cell]
    statuses = {cell.status for cell in cells}
    parts = ["Scores with 95% intervals."]
    if cut:
        parts.append("Axes do not start at 0.")
    if same_axis > 1:
        parts.append("Panels of shares have the same axis.")
    if "worse" in statuses:
        parts.append("Hollow marks (▼): another model is significantly better (paired tests, 5%, Holm-corrected).")
    if "tied" in statuses:
        parts.append("≈: no other model is shown to be better.")
    if "best" in statuses:
        parts.append("★: the best value of a benchmark on which the models differ.")
    if any(any(line.leaked) for line in found.lines):
        parts.append(f"{LEAKED}: includes items from the model's own training data.")
    return " ".join([*parts, *(note for note in found.notes if "latency" not in note)])
