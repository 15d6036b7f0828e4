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
LEFT, RIGHT, GAP = 0.46, 0.08, 0.16  # inches left of the panels for their label, right of them, and between two
LARGEST = 2.4  # inches: the side of a panel
TITLE, TICKS, LINE_OF_TEXT = 0.08, 0.2, 0.13  # inches above a title, for tick labels, and for a line of text
CHARACTER = 0.07  # inches of a bold character in a title
KEY = 0.15  # inches for a line of the key


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
    drawn = _layout(request.inches(), panels, models)
    left_out = every[len(COLORS) :]
    notes = [f"The figure shows {len(models)} of {len(every)} models: choose with --model."] if left_out else []
    caption = (
        "How often answers are right, by the probability that the model gives to the option it chose (the bins of the "
        "metric ece), with 95% Wilson intervals. On the dotted line, confidence equals the share of right answers; "
        "below it, the model is too confident."
    )
    return drawn.describe(caption, (*request.notes, *notes))


def _layout(width: float, panels: Sequence[tuple[str, list[Bin]]], models: Sequence[str]) -> PaperFigure:
    """Draw panels of one size, with room for their titles and labels in inches, and the key below them.

    matplotlib's own layouts do not leave room for texts beside axes whose height follows from their width.
    """
    wide = width > 5
    across = min(len(panels), 3 if wide else 2)
    down = math.ceil(len(panels) / across)
    side = min((width - LEFT - RIGHT - GAP * (across - 1)) / across, LARGEST)
    titles = [fitted(name, int(side / CHARACTER)) for name, _ in panels]
    labels = [place for place in range(len(panels)) if place + across >= len(panels)]  # no panel is below these
    label = "confidence in the chosen option" if side > 1.6 else "confidence in the\nchosen option"
    rows = [range(row * across, min((row + 1) * across, len(panels))) for row in range(down)]
    tops = [TITLE + LINE_OF_TEXT * max(titles[place].count("\n") + 1 for place in row) for row in rows]
    bottoms = [TICKS + LINE_OF_TEXT * (label.count("\n") + 1) if set(row) & set(labels) else GAP for row in rows]
    names = [fitted(model, 40, 1) for model in models]
    columns = (3 if max(map(len, names)) <= 28 else 2) if wide else 1
    key = KEY * math.ceil(len(models) / columns) + 0.1
    height = sum(tops) + side * down + sum(bottoms) + key
    drawn = blank(width, height, layout=None)
    left = LEFT + (width - LEFT - RIGHT - side * across - GAP * (across - 1)) / 2
    for at, row in enumerate(rows):
        low = height - sum(tops[: at + 1]) - side * (at + 1) - sum(bottoms[:at])
        for place in row:
            x = left + (place - row[0]) * (side + GAP)
            axes = drawn.add_axes((x / width, low / height, side / width, side / height))
            _panel(axes, [each for each in panels[place][1] if _name(each) in models], models)
            axes.set_title(titles[place], loc="left", fontweight="bold")
            axes.tick_params(labelbottom=place in labels, labelleft=place == row[0])
            if place in labels:
                axes.set_xlabel(label)
            if place == row[0]:
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
            label=name,
        )
        for at, name in enumerate(names)
    ]
    drawn.legend(handles=marks, loc="lower center", ncols=columns, handlelength=3.2, borderaxespad=0.2)
    return drawn


def _name(each: Bin) -> str:
    """Return the model without its number on the board."""
    return each.model.partition(". ")[2]


def _face(at: int) -> str:
    """Return the color inside a model's marks: every second model has hollow ones."""
    return COLORS[at] if at % 2 == 0 else "white"


def _panel(axes: Axes, bins: Sequence[Bin], models: Sequence[str]) -> None:
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
    axes.set(xlim=(-0.03, 1.03), ylim=(-0.03, 1.03))
    axes.set_xticks([0, 0.25, 0.5, 0.75, 1], ["0", "", "0.5", "", "1"])
    axes.set_yticks([0, 0.25, 0.5, 0.75, 1], ["0", "", "0.5", "", "1"])
    axes.grid(True)
    axes.set_axisbelow(True)
