"""The events of an evaluation. The base class ignores them; the command line draws bars and lines."""

from __future__ import annotations

from collections.abc import Collection
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ..core.types import AnswerKey, Output
    from ..judges.progress import JudgeProgress
    from .plan import Plan


class Progress:
    """Receives the events of an evaluation. Override what you want to show; everything else stays silent."""

    def note(self, text: str) -> None:
        """Receive a sentence worth reading that is not a failure."""

    def turn(self, number: int, turns: int) -> None:
        """Run `number` of `turns` comes next, counted from 1."""

    def reused(self, run: str, items: int, total: int) -> None:
        """Of `total` answers, `items` were taken from another run."""

    def complete(self, plan: Plan) -> None:
        """All answers of this run were stored earlier, so no model is loaded."""

    def loading(self, model: str) -> None:
        """The model's libraries and weights are being loaded."""

    def loaded(self, model: str, seconds: float) -> None:
        """The model's libraries and weights are in memory after this many seconds."""

    def begin(self, plan: Plan, done: Collection[AnswerKey]) -> None:
        """Answering begins. `done` holds the keys of the answers that are stored already."""

    def answered(self, output: Output) -> None:
        """One item was answered, or failed with `output.error`."""

    def timing(self, item: int, items: int) -> None:
        """Latency is being measured: request `item` of at most `items`, after the warm-up, which is 0."""

    def end(self) -> None:
        """Answering and timing of this run ended."""

    def judging(self) -> JudgeProgress:
        """Return what receives the judges' progress."""
        from ..judges.progress import JudgeProgress

        return JudgeProgress()
