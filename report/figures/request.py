"""What a figure is drawn from."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property

from ...core.errors import UsageError
from ...results import leaderboard
from ...results.board import Board, Leaderboard
from ...results.store import StoredRun
from ...results.summary import Summary, summarize
from .style import WIDTHS

SAMPLES_LEFT_OUT = "Samples are left out, because there are real benchmarks."


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
        return (*(f"Not shown: {problem}" for problem in self.leaderboard.problems), *self.samples_left_out)

    @property
    def samples_left_out(self) -> tuple[str, ...]:
        """The sentence that says so, if they are."""
        return (SAMPLES_LEFT_OUT,) if self.samples else ()

    @property
    def shown(self) -> list[StoredRun]:
        """The runs of that summary's kind: of real benchmarks, or of samples."""
        real = [run for run in self.runs if not run.manifest.benchmark.sample]
        return real or list(self.runs)

    @property
    def samples(self) -> FigureRequest | None:
        """The same request for the samples that it leaves out; None if it leaves none out."""
        samples = [run for run in self.runs if run.manifest.benchmark.sample]
        return replace(self, runs=samples) if samples and len(samples) < len(self.runs) else None
