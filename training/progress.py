"""Progress reports of a training: override the events you want."""

from __future__ import annotations


class TrainingProgress:
    """Receives what happens while a stage trains. This base class ignores everything."""

    def loading(self, model: str) -> None:
        """The weights of `model` are being loaded."""

    def begin(self, stage: str, step: int, steps: int) -> None:
        """A stage begins, or continues after optimizer step `step`."""

    def step(self, step: int, loss: float, learning_rate: float, tokens_per_s: float) -> None:
        """An optimizer step is done."""

    def evaluated(self, step: int, eval_loss: float) -> None:
        """The held-out loss was measured."""

    def stopping(self) -> None:
        """The user pressed Ctrl-C: training stops after this step."""

    def end(self) -> None:
        """A stage ended, or failed."""
