"""Progress of training: a live line on a terminal, plain lines elsewhere, nothing with --quiet."""

from __future__ import annotations

import sys
import time
from typing import TYPE_CHECKING

from ...core.text import clock
from ...training.progress import TrainingProgress
from .messages import LINE_SECONDS, tell

if TYPE_CHECKING:
    from rich.progress import Progress, TaskID

AFTER_STEP = "stopping after this step, with a checkpoint (Ctrl-C again: at once)"


class QuietTraining(TrainingProgress):
    """Silent, except to confirm Ctrl-C."""

    def stopping(self) -> None:
        tell(AFTER_STEP)


class PlainTraining(QuietTraining):
    """Prints a line when something begins or is evaluated, and occasionally in between."""

    def __init__(self) -> None:
        self.stage = ""
        self.first = self.steps = 0
        self.started = self.said = 0.0

    def loading(self, model: str) -> None:
        tell(f"loading {model}")

    def begin(self, stage: str, step: int, steps: int) -> None:
        self.stage, self.first, self.steps = stage, step, steps
        self.started = self.said = time.monotonic()
        tell(f"{stage}: {steps} step{'s' * (steps != 1)}" + (f", continuing after step {step}" if step else ""))

    def step(self, step: int, loss: float, learning_rate: float, tokens_per_s: float) -> None:
        now = time.monotonic()
        if now - self.said < LINE_SECONDS and step < self.steps:
            return
        self.said = now
        left = (now - self.started) / max(step - self.first, 1) * (self.steps - step)
        tell(
            f"{self.stage}: step {step}/{self.steps}, loss {loss:.3f}, learning rate {learning_rate:.2e}, "
            f"{tokens_per_s:.0f} tokens/s" + (f", {clock(left)} left" if step < self.steps else "")
        )

    def evaluated(self, step: int, eval_loss: float) -> None:
        tell(f"{self.stage}: held-out loss {eval_loss:.3f} at step {step}")


class BarTraining(QuietTraining):
    """One bar per stage: steps, loss, held-out loss, learning rate, tokens/s, time left; fits 80 columns."""

    def __init__(self) -> None:
        self.progress: Progress | None = None
        self.task: TaskID | None = None

    def loading(self, model: str) -> None:
        tell(f"loading {model}")

    def begin(self, stage: str, step: int, steps: int) -> None:
        from rich.progress import (
            BarColumn,
            MofNCompleteColumn,
            Progress,
            SpinnerColumn,
            TextColumn,
            TimeRemainingColumn,
        )

        from .screen import stderr

        self.progress = Progress(
            SpinnerColumn(),
            TextColumn("{task.description}"),
            BarColumn(bar_width=8),
            MofNCompleteColumn(),
            TextColumn("{task.fields[told]}"),
            TimeRemainingColumn(compact=True),
            console=stderr(),
            speed_estimate_period=300,
        )
        self.progress.start()
        self.task = self.progress.add_task(stage, total=steps, completed=step, told="")
        self.held_out = ""

    def step(self, step: int, loss: float, learning_rate: float, tokens_per_s: float) -> None:
        assert self.progress is not None and self.task is not None
        told = f"loss {loss:.2f}{self.held_out} lr {learning_rate:.0e} {tokens_per_s:.0f} tok/s"
        self.progress.update(self.task, completed=step, told=told)

    def evaluated(self, step: int, eval_loss: float) -> None:
        self.held_out = f" held-out {eval_loss:.2f}"

    def end(self) -> None:
        if self.progress is not None:
            self.progress.stop()
            self.progress = None


def training_progress(quiet: bool) -> QuietTraining:
    """Return the progress display: none if quiet, a bar on a terminal, lines elsewhere."""
    if quiet:
        return QuietTraining()
    return BarTraining() if sys.stderr.isatty() else PlainTraining()
