"""Calibration curves, a panel per benchmark whose options were chosen by log-probability."""

from __future__ import annotations

import math
from collections.abc import Sequence

from matplotlib.axes import Axes
from matplotlib.lines import Line2D

from ...core.errors import UsageError
from ..calibration import Bin, calibration
from ..scored import read_scores
from .request import FigureRequest
from .style import COLORS, DASHES, MARKERS, SOFT, PaperFigure, blank, fitted

NONE = "Only choices by log-probability have confidences, scored by the metric ece: medbench score RUN --metrics ece"


def draw(request: FigureRequest) -> PaperFigure:
    """Draw the figure. Models keep their mark from panel to panel; beyond six, models are left out."""
    by_path = {str(run.path): run for run in request.runs}
    panels: list[tuple[str, list[Bin]]] = []
    for board in request.boards:
        scored, _ = read_scores([by_path[row.path] for row in board.rows])
        bins = calibration(scored, [row.label for row in board.rows])
        if bins:
            panels.append((board.benchmark, bins))
    if not panels:
        raise UsageError("no run here has a confidence to draw.", NONE)
    every = list(dict.fromkeys(_name(each) for _, bins in panels for each in bins))
    models = every[: len(COLORS)]
    width = request.inches()
    across = min(len(panels), 3 if width > 5 else 2 if len(panels) > 1 else 1)
    down = math.ceil(len(panels) / across)
    side = min(width / across, 3.0)
    drawn = blank(width, side * down + 0.16 * (1 + len(models) // (3 if width > 5 else 1)))
    grid = drawn.subplots(down, across, squeeze=False, sharex=True, sharey=True)
    for place, axes in enumerate(grid.flat):
        if place >= len(panels):
            axes.set_axis_off()
            continue
        name, bins = panels[place]
        _panel(axes, name, [each for each in bins if _name(each) in models], models)
        if place + across >= len(panels):
            axes.set_xlabel("confidence in the chosen option")
            axes.tick_params(labelbottom=True)
        if place % across == 0:
            axes.set_ylabel("share of right answers")
    marks = [
        Line2D(
            [],
            [],
            color=COLORS[at],
            marker=MARKERS[at],
            linestyle=DASHES[at],
            markerfacecolor=_face(at),
            markersize=4,
            label=fitted(model, 40, 1),
        )
        for at, model in enumerate(models)
    ]
    drawn.legend(handles=marks, loc="outside lower center", ncols=3 if width > 5 else 1, handlelength=3.2)
    left_out = every[len(COLORS) :]
    notes = [f"The figure shows {len(models)} of {len(every)} models: choose with --model."] if left_out else []
    caption = (
        "How often answers are right, by the probability that the model gives to the option it chose (the bins of the "
        "metric ece), with 95 % Wilson intervals. On the dotted line, confidence equals the share of right answers; "
        "below it, the model is too confident."
    )
    return drawn.describe(caption, (*request.notes, *notes))


def _name(each: Bin) -> str:
    """Return the model without its number on the board."""
    return each.model.partition(". ")[2]


def _face(at: int) -> str:
    """Return the color inside a model's marks: every second model has hollow ones."""
    return COLORS[at] if at % 2 == 0 else "white"


def _panel(axes: Axes, title: str, bins: Sequence[Bin], models: Sequence[str]) -> None:
    axes.plot([0, 1], [0, 1], color=SOFT, linewidth=0.7, linestyle=(0, (1, 2)))
    for at, model in enumerate(models):
        own = [each for each in bins if _name(each) == model]
        if not own:
            continue
        x, y = [each.confidence for each in own], [each.right for each in own]
        shift = (at - (len(models) - 1) / 2) * 0.006  # intervals of several models stay apart
        for each in own:
            place = each.confidence + shift
            axes.plot([place, place], [each.low, each.high], color=COLORS[at], linewidth=0.7, alpha=0.7)
        axes.plot(
            [each + shift for each in x],
            y,
            color=COLORS[at],
            marker=MARKERS[at],
            linestyle=DASHES[at],
            markerfacecolor=_face(at),
            markersize=4,
        )
    axes.set(xlim=(-0.03, 1.03), ylim=(-0.03, 1.03), aspect="equal")
    axes.set_xticks([0, 0.25, 0.5, 0.75, 1], ["0", "", "0.5", "", "1"])
    axes.set_yticks([0, 0.25, 0.5, 0.75, 1], ["0", "", "0.5", "", "1"])
    axes.grid(True)
    axes.set_axisbelow(True)
    axes.set_title(fitted(title, 30), loc="left", fontweight="bold")
