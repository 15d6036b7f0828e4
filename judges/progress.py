"""The events of judging. The base class ignores them; the command line draws bars and lines."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ..core.types import Output
    from .judge import Judge


class JudgeProgress:
    """Receives the events of judging. Override what you want to show; everything else stays silent."""

    def loading(self, judge: Judge) -> None:
        """The judge's weights are being loaded."""

    def begin(self, judge: Judge, what: str, total: int, done: int) -> None:
        """Judging of `what` begins: `total` replies are needed, of which `done` are stored already."""

    def replied(self, output: Output) -> None:
        """The judge replied, or failed with `output.error`."""

    def end(self) -> None:
        """Judging of one run ended."""
