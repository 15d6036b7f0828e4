"""What a figure is drawn from."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

from ...core.errors import UsageError
from ...results import leaderboard
from ...results.board import Board, Leaderboard
from ...results.store import StoredRun
from ...results.summary import Summary, summarize
from .style import WIDTHS


@dataclass(frozen=True)
class FigureRequest:
    """The runs of one figure, and how it was asked for; "" for what was left to the figure."""

    runs: Sequence[StoredRun]
    width: str = ""
    quality: str = ""
    cost: str = ""
    item: str = ""

    def inches(self, default: str = "column") -> float:
        """Return the width of the figure."""
        return WIDTHS[self.width or default]

    @cached_property
    def leaderboard(self) -> Leaderboard:
        """The leaderboard of the runs. Missing scores are computed and stored."""
        return leaderboard.build(self.runs)

    @cached_property
    def summary(self) -> Summary:
        """The summary of the real benchmarks, or of the samples if there are no others."""
        found = summarize(self.leaderboard)
        if not found:
            raise UsageError("no run could be read.", "; ".join(map(str, self.leaderboard.problems)) or "medbench run")
        return found[0]

    @property
    def boards(self) -> list[Board]:
        """The boards of that summary."""
        return [board for board in self.leaderboard.boards if board.sample == self.summary.sample]

    @property
    def notes(self) -> tuple[str, ...]:
        """What the figure leaves out, a sentence each."""
        problems = [f"Not shown: {problem}" for problem in self.leaderboard.problems]
        samples = sum(board.sample for board in self.leaderboard.boards)
        if samples and not self.summary.sample:
            problems.append("Samples are left out, because there are real benchmarks.")
        return tuple(problems)
