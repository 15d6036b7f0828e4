"""What a person sees while a run runs: a bar on a terminal, plain lines elsewhere, nothing when quiet."""

from __future__ import annotations

import sys
import time
from typing import TYPE_CHECKING

import click

from ..core.plan import Plan
from ..core.types import Output

if TYPE_CHECKING:
    from rich.progress import Progress, TaskID

LINE_SECONDS = 10.0  # at most one plain line in this time
SHORT = 0.1  # seconds of loading that are not told
FEW = 5  # answers from which the time left is told


def tell(text: str) -> None:
    """A line for people, on stderr: stdout is for results."""
    click.echo(text, err=True)


class QuietWatch:
    """Shows nothing."""

    def loading(self, model: str) -> None:
        pass

    def loaded(self, model: str, seconds: float) -> None:
        pass

    def begin(self, plan: Plan, done: int) -> None:
        pass

    def answered(self, output: Output) -> None:
        pass

    def timing(self, item: int, items: int) -> None:
        pass

    def end(self) -> None:
        pass


class PlainWatch(QuietWatch):
    """A line when something begins and ends, and now and then between."""

    def __init__(self) -> None:
        self.name = ""
        self.total = self.done = self.before = self.told = 0
        self.started = self.said = 0.0
        self.current = ""

    def loading(self, model: str) -> None:
        if model != self.current:
            tell(f"loading {model}")
            self.current = model

    def loaded(self, model: str, seconds: float) -> None:
        _tell_loaded(model, seconds)

    def begin(self, plan: Plan, done: int) -> None:
        self.name, self.total, self.done, self.before = plan.benchmark.name, len(plan.items), done, done
        self.told = done
        self.started = self.said = time.monotonic()
        resumed = f", {done} of them answered before" if done else ""
        tell(f"{self.name}: {self.total} items{resumed}")

    def answered(self, output: Output) -> None:
        self.done += not output.error
        now = time.monotonic()
        if now - self.said >= LINE_SECONDS:
            self.said = now
            self._line()

    def timing(self, item: int, items: int) -> None:
        if item == 0:
            self._line()
            tell(f"{self.name}: timing {items} single requests")

    def end(self) -> None:
        self._line()

    def _line(self) -> None:
        """How far it is, unless that was said; the time left once there is something to tell it from."""
        if self.done == self.told or (self.done - self.before < FEW and self.done < self.total):
            return
        self.told = self.done
        here = self.done - self.before
        rate = here / max(time.monotonic() - self.started, 1e-9)
        known = here >= FEW and self.done < self.total
        left = f", {clock((self.total - self.done) / rate)} left" if known else ""
        tell(f"{self.name}: {self.done}/{self.total}, {rate:.2g} items/s{left}")


class BarWatch(QuietWatch):
    """One bar per benchmark: items, items/s, new tokens/s, time left."""

    def __init__(self) -> None:
        self.progress: Progress | None = None
        self.task: TaskID | None = None
        self.tokens = 0
        self.started = 0.0
        self.current = ""

    def loading(self, model: str) -> None:
        if model != self.current:
            tell(f"loading {model}")
            self.current = model

    def loaded(self, model: str, seconds: float) -> None:
        _tell_loaded(model, seconds)

    def begin(self, plan: Plan, done: int) -> None:
        from rich.console import Console
        from rich.progress import (
            BarColumn,
            MofNCompleteColumn,
            Progress,
            SpinnerColumn,
            TextColumn,
            TimeElapsedColumn,
            TimeRemainingColumn,
        )

        self.progress = Progress(
            SpinnerColumn(),  # a batch takes its time, and the bar then stands still
            TextColumn("{task.description:<18}"),
            BarColumn(bar_width=24),
            MofNCompleteColumn(),
            TextColumn("{task.fields[rate]}"),
            TimeElapsedColumn(),
            TimeRemainingColumn(compact=True),
            console=Console(stderr=True),
            speed_estimate_period=120,
        )
        self.progress.start()
        self.task = self.progress.add_task(plan.benchmark.name, total=len(plan.items), completed=done, rate="")
        self.tokens = 0
        self.answers = 0
        self.started = time.monotonic()

    def answered(self, output: Output) -> None:
        assert self.progress is not None
        assert self.task is not None
        self.tokens += output.completion_tokens
        self.answers += 1
        elapsed = max(time.monotonic() - self.started, 1e-9)
        rate = f"{self.answers / elapsed:.2g} items/s"
        if self.tokens:
            rate += f" {self.tokens / elapsed:.0f} tok/s"
        self.progress.update(self.task, advance=not output.error, rate=rate)

    def timing(self, item: int, items: int) -> None:
        assert self.progress is not None
        assert self.task is not None
        self.progress.update(self.task, rate=f"timing single requests {item}/{items}")

    def end(self) -> None:
        if self.progress is not None:
            self.progress.stop()
            self.progress = None


def _tell_loaded(model: str, seconds: float) -> None:
    """Once per model: what is loaded already takes no time worth telling."""
    if seconds >= SHORT:
        tell(f"{model} loaded in {seconds:.1f} s")


def watch(quiet: bool) -> QuietWatch:
    """The watch that fits: nothing when quiet, a bar on a terminal, lines elsewhere."""
    if quiet:
        return QuietWatch()
    return BarWatch() if sys.stderr.isatty() else PlainWatch()


def clock(seconds: float) -> str:
    """Seconds as m:ss or h:mm:ss."""
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02d}:{rest:02d}" if hours else f"{minutes}:{rest:02d}"
