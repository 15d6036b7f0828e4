"""Progress of judges: a bar on a terminal, plain lines elsewhere, with calls and cost so far."""

from __future__ import annotations

import sys
import time
from typing import TYPE_CHECKING

from ...core.text import clock
from ...evaluation.judging import spent
from ...evaluation.workload import FEW
from ...judges.progress import JudgeProgress
from .messages import LINE_SECONDS, tell

if TYPE_CHECKING:
    from rich.progress import Progress, TaskID

    from ...core.budget import Usage
    from ...core.types import Output
    from ...judges.judge import Judge


class JudgeLines(JudgeProgress):
    """Prints a line when something begins or ends, and occasionally in between."""

    def __init__(self) -> None:
        self.judge: Judge | None = None
        self.loaded: set[str] = set()
        self.total = self.done = self.before = 0
        self.told = -1
        self.started = self.said = 0.0

    def loading(self, judge: Judge) -> None:
        if not judge.served and judge.label not in self.loaded:
            self.loaded.add(judge.label)
            tell(f"loading the judge {judge.label}")

    def begin(self, judge: Judge, what: str, total: int, done: int) -> None:
        stored = f", {done} of {total} replies are stored" if done else ""
        tell(f"{judge.label} judges {what}{stored}")
        self.judge, self.total, self.done, self.before, self.told = judge, total, done, done, done
        self.started = self.said = time.monotonic()

    def replied(self, output: Output) -> None:
        self.done += not output.error
        now = time.monotonic()
        if now - self.said >= LINE_SECONDS:
            self.said = now
            self._line()

    def end(self) -> None:
        self._line()

    def _line(self) -> None:
        if self.judge is None or self.done == self.told:
            return
        self.told = self.done
        here = self.done - self.before
        rate = here / max(time.monotonic() - self.started, 1e-9)
        known = here >= FEW and self.done < self.total
        left = f", {clock((self.total - self.done) / rate)} left" if known else ""
        tell(f"{self.judge.label}: {self.done}/{self.total}, {speed(rate)}{left}, {used(self.judge.usage)}")


class JudgeBar(JudgeLines):
    """One bar per judge and run: replies, calls, cost, time left."""

    progress: Progress | None = None
    task: TaskID | None = None

    def begin(self, judge: Judge, what: str, total: int, done: int) -> None:
        from rich.progress import (
            BarColumn,
            MofNCompleteColumn,
            Progress,
            SpinnerColumn,
            TextColumn,
            TimeRemainingColumn,
        )

        from .screen import stderr

        self.judge, self.done = judge, done
        tell(f"{judge.label} judges {what}")
        self.progress = Progress(
            SpinnerColumn(),
            BarColumn(bar_width=24),
            MofNCompleteColumn(),
            TextColumn("{task.fields[used]}"),
            TimeRemainingColumn(compact=True),
            console=stderr(),
            speed_estimate_period=120,
        )
        self.progress.start()
        self.task = self.progress.add_task("", total=total, completed=done, used=used(judge.usage))

    def replied(self, output: Output) -> None:
        assert self.progress is not None and self.task is not None and self.judge is not None
        self.progress.update(self.task, advance=not output.error, used=used(self.judge.usage))

    def end(self) -> None:
        if self.progress is not None:
            self.progress.stop()
            self.progress = None


def used(usage: Usage) -> str:
    """ "14 calls, $0.0031": usage of this process."""
    return spent(usage.calls, usage.cost)


def speed(per_second: float) -> str:
    """ "2.5 replies/s", or "31 s/reply" below one per second."""
    if per_second >= 100:
        return f"{per_second:.0f} replies/s"
    replies = "reply/s" if f"{per_second:.3g}" == "1" else "replies/s"
    return f"{per_second:.3g} {replies}" if per_second >= 1 else f"{1 / max(per_second, 1e-9):.3g} s/reply"


def judge_progress() -> JudgeLines:
    """Return a bar on a terminal, plain lines elsewhere."""
    return JudgeBar() if sys.stderr.isatty() else JudgeLines()
