"""Rows of points with their intervals, a name at the left and the numbers at the right."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from matplotlib.axes import Axes

from .style import COLORS, LINE, SOFT, fitted

ROW = 0.17  # inches for each row, and for each further line of its name
HEAD = 0.58  # inches for a title of one line, the axis with its label, and the space to the next panel
TITLE_LINE = 0.13  # inches for each further line of the title


@dataclass(frozen=True)
class Row:
    """One row: a value with its interval, if it has one. A hollow mark is a weaker one; the caption says how."""

    name: str
    text: str
    value: float | None
    low: float | None = None
    high: float | None = None
    hollow: bool = False


def height(rows: Sequence[Row], title: str) -> float:
    """Return how high a panel with these rows is, in inches. Less, and the texts of its rows overlap."""
    head = HEAD + TITLE_LINE * (len(_on_lines(title).splitlines()) - 1)
    return head + ROW * sum(len(fitted(row.name).splitlines()) * 0.8 + 0.2 for row in rows)


def panel(axes: Axes, rows: Sequence[Row], title: str, label: str, share: bool) -> None:
    """Draw rows from top to bottom. A `share` is never shown below 0 or above 1."""
    for place, row in enumerate(rows):
        if row.value is not None:
            if row.low is not None and row.high is not None:
                axes.plot([row.low, row.high], [place, place], color=COLORS[0], linewidth=1.1, solid_capstyle="butt")
            face = "white" if row.hollow else COLORS[0]
            axes.plot(
                [row.value], [place], "o", color=COLORS[0], markerfacecolor=face, markeredgewidth=1.0, clip_on=False
            )
        axes.text(1.04, place, row.text, transform=axes.get_yaxis_transform(), va="center_baseline", fontsize=6.5)
    axes.set_yticks(range(len(rows)), [fitted(row.name) for row in rows], linespacing=0.95)
    axes.set_ylim(len(rows) - 0.4, -0.6)
    axes.tick_params(axis="y", length=0)
    axes.grid(axis="x")
    axes.set_axisbelow(True)
    axes.spines["left"].set_color(LINE)
    axes.set_title(_on_lines(title), loc="left", fontweight="bold")
    axes.set_xlabel(label, color=SOFT, fontsize=6.5, labelpad=2)
    if share:
        low, high = axes.get_xlim()
        axes.set_xlim(max(low, -0.01), min(high, 1.01))


def _on_lines(title: str) -> str:
    return fitted(title, 30)
