"""Which options models choose, by letter, beside how often each letter is right."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from ..core.stats import wilson
from ..core.types import Figure
from ..results.board import Board
from ..results.export import figure_text, number
from ..results.one_sided import CHOICE
from .distributions import COLORS
from .scored import ScoredRun

BIAS, BIAS_P = "position_bias", "position_bias_p"  # figures of runs with `--permute-options`
RIGHT = "right answers"
GRAY = "#8c959f"


@dataclass(frozen=True)
class Positions:
    """The share of each letter, and of answers from which none could be read."""

    letters: tuple[str, ...]
    gold: tuple[float, ...]  # by letter
    shares: tuple[tuple[Figure, ...], ...]  # by model, by letter
    unread: tuple[int, ...]  # by model
    bias: tuple[str, ...]  # by model: the statistic in words; "" without `--permute-options`

    @property
    def rows(self) -> list[tuple[str, list[str]]]:
        """The lines of a table: a letter, the share of right answers, then that of each model's choices."""
        return [
            (letter, [f"{self.gold[at]:.3f}", *(figure_text(own[at]) if own else "–" for own in self.shares)])
            for at, letter in enumerate(self.letters)
        ]


def positions(scored: Sequence[ScoredRun], board: Board) -> Positions | None:
    """Return what the models of a board choose; None if none of their answers is a choice."""
    golds: Counter[str] = Counter()
    chosen: list[Counter[str]] = []
    letters: dict[str, None] = {}
    asked: list[int] = []
    for run in scored:
        own: Counter[str] = Counter()
        count = 0
        for records in run.answers.values():
            for record in records:
                score = run.scores.get(CHOICE, {}).get(record.key)
                answers = record.item.answers
                if score is None or record.item.gold is None or not answers:
                    continue
                letters |= dict.fromkeys(answers)
                golds[answers[record.item.gold]] += 1
                count += 1
                if score.answer in answers:
                    own[str(score.answer)] += 1
        chosen.append(own)
        asked.append(count)
    if not any(chosen) or len(letters) > 26:
        return None
    return Positions(
        tuple(letters),
        tuple(golds[letter] / golds.total() for letter in letters),
        tuple(tuple(_share(letter, own) for letter in letters) if own else () for own in chosen),
        tuple(count - own.total() for count, own in zip(asked, chosen, strict=True)),
        tuple(_bias(board, row) for row in range(len(board.rows))),
    )


def _share(letter: str, own: Counter[str]) -> Figure:
    n = own.total()
    low, high = wilson(own[letter], n)
    return Figure(letter, own[letter] / n, n, n, low, high)


def _bias(board: Board, row: int) -> str:
    """Return the statistic of a run whose options were permuted: "0.130 [0.040, 0.220], p 0.012"."""
    figures = {
        column.name: cell.figure
        for column, cell in zip(board.columns, board.rows[row].cells, strict=True)
        if cell.figure is not None and cell.figure.value is not None
    }
    if BIAS not in figures:
        return ""
    p = figures.get(BIAS_P)
    if p is None or p.value is None:
        return figure_text(figures[BIAS])
    return f"{figure_text(figures[BIAS])}, p {'< 0.001' if p.value < 0.001 else number(p.value, '')}"


def chart(found: Positions, models: Sequence[str]) -> dict[str, Any]:
    """Return grouped bars as a Vega-Lite specification: right answers in gray, then the first models of the board.

    Options and models are in the order of the data: Vega puts an order that is given into expressions, and names from
    outside must not be in those.
    """
    drawn = [(f"{at + 1}. {model}", own) for at, (model, own) in enumerate(zip(models, found.shares)) if own]
    drawn = drawn[: len(COLORS)]
    rows = [
        {"option": letter, "model": RIGHT, "share": share, "text": f"{RIGHT}, {letter}: {share:.3f}"}
        for letter, share in zip(found.letters, found.gold)
    ]
    rows += [
        {
            "option": letter,
            "model": model,
            "share": figure.value,
            "low": figure.low,
            "high": figure.high,
            "text": f"{model}, {letter}: {figure_text(figure)}",
        }
        for model, own in drawn
        for letter, figure in zip(found.letters, own)
    ]
    x: dict[str, Any] = {
        "x": {
            "field": "option",
            "type": "nominal",
            "sort": None,
            "axis": {"title": "option", "labelAngle": 0},
        },
        "xOffset": {"field": "model", "sort": None},
    }
    y = {"type": "quantitative", "stack": None, "axis": {"title": "share"}, "scale": {"zero": True}}
    color = {
        "field": "model",
        "type": "nominal",
        "sort": None,
        "scale": {"range": [GRAY, *COLORS[: len(drawn)]]},
        "legend": {"title": None, "orient": "bottom", "columns": 1, "labelLimit": 300},
    }
    return {
        "data": {"values": rows},
        "height": 220,
        "layer": [
            {
                "mark": {"type": "bar"},
                "encoding": {
                    **x,
                    "y": {**y, "field": "share"},
                    "color": color,
                    "tooltip": {"field": "text"},
                    "description": {"field": "text"},
                },
            },
            {
                "transform": [{"filter": {"field": "low", "valid": True}}],
                "mark": {"type": "rule", "aria": False, "opacity": 0.6},
                "encoding": {**x, "y": {**y, "field": "low"}, "y2": {"field": "high"}},
            },
        ],
    }
