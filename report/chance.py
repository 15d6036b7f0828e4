"""Which accuracies of multiple choice are not above what guessing gives."""

from __future__ import annotations

from collections.abc import Sequence
from statistics import fmean

from ..results.board import Board
from .scored import ScoredRun

CHOICE = "accuracy"


def not_above_chance(scored: Sequence[ScoredRun], board: Board) -> dict[int, float]:
    """Return the share that guessing gets right, for each row of a board whose interval does not begin above it."""
    found = {}
    for at, (run, row) in enumerate(zip(scored, board.rows, strict=True)):
        chances = [1 / len(own[0].item.options) for own in run.answers.values() if own and len(own[0].item.options) > 1]
        for column, cell in zip(board.columns, row.cells, strict=True):
            low = cell.figure.low if cell.figure else None
            if column.name == CHOICE and not column.clean and chances and low is not None and low <= fmean(chances):
                found[at] = fmean(chances)
    return found
