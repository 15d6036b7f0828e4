"""Progress of a run: a bar on a terminal, plain lines elsewhere, nothing with --quiet."""

from __future__ import annotations

import os
import sys
import threading
import time
from typing import TYPE_CHECKING

from ...core.text import clock
from ...evaluation.progress import Progress
from .messages import LINE_SECONDS, tell

if TYPE_CHECKING:
    from collections.abc import Collection

    from rich.progress import Progress as Bars
    from rich.progress import TaskID

    from ...core.types import AnswerKey, Output
    from ...evaluation.plan import Plan
    from ...evaluation.workload import Workload
    from ...judges.progress import JudgeProgress

SHORT = 0.1  # seconds; shorter loading is not reported
STILL_SECONDS = 30.0  # the longest time between two progress lines
LONGEST = 24  # characters of the name beside a bar


class _RunProgress(Progress):
    """What the bar and the plain lines share: the run's name and turn, and the time left."""

    def __init__(self) -> None:
        self.model = ""
        self.which = ""  # "2 of 4"
        self.name = ""
        self.total = self.done = self.tokens = 0  # of answers
        self.several = False  # answers to an item
        self.started = 0.0
        self.work: Workload | None = None

    def note(self, text: str) -> None:
        tell(text)

    def reused(self, run: str, items: int, total: int) -> None:
        tell(f"{items} of {total} answers reused from {run}")

    def complete(self, plan: Plan) -> None:
        what = "answers" if plan.settings.samples > 1 else "items"
        tell(f"{plan.benchmark.name}{self.which}: already complete, {plan.answers} {what}")

    def judging(self) -> JudgeProgress:
        from . import judge_progress

        return judge_progress.judge_progress()

    def turn(self, number: int, turns: int) -> None:
        self.which = f" ({number} of {turns})" if turns > 1 else ""

    def loading(self, model: str) -> None:
        if model != self.model:
            tell(f"loading {model}")
            self.model = model

    def loaded(self, model: str, seconds: float) -> None:
        if seconds >= SHORT:  # once per model: loading it again takes no time
            tell(f"{model} loaded in {seconds:.1f} s")

    def begin(self, plan: Plan, done: Collection[AnswerKey]) -> None:
        from ...evaluation.workload import Workload

        self.name, self.total, self.done, self.tokens = plan.benchmark.name, plan.answers, len(done), 0
        self.work = Workload(plan, done)
        self.several = plan.settings.samples > 1
        self.started = time.monotonic()

    def answered(self, output: Output) -> None:
        assert self.work is not None
        self.done += not output.error
        self.tokens += output.prompt_tokens + output.completion_tokens  # as metrics/measurements.py counts them
        self.work.answered(output)

    @property
    def elapsed(self) -> float:
        return max(time.monotonic() - self.started, 1e-9)

    @property
    def rate(self) -> str:
        """Return items and tokens per second, in words; "" if too little is done for a rate.

        Without items while the time left is known: that is by tokens, because engines take long prompts first, and the
        items so far would contradict it.
        """
        from ...evaluation.workload import FEW

        assert self.work is not None
        if self.work.answered_items < FEW and self.done < self.total:
            return ""
        what, speed = "answer" if self.several else "item", plain_number(self.work.answered_items / self.elapsed)
        items = "" if self.left else f"{speed} {what}{'' if speed == '1' else 's'}/s"
        tokens = f"{self.tokens / self.elapsed:.0f} tokens/s" if self.tokens else ""
        return ", ".join(filter(None, [items, tokens]))

    @property
    def left(self) -> str:
        """Return the time left, in words; "" if it is not known yet."""
        assert self.work is not None
        seconds = self.work.seconds_left(self.elapsed)
        return f"{clock(seconds)} left" if seconds else ""


def plain_number(value: float) -> str:
    """Return two digits at least, without an exponent: "0.14", "1.4", "140"."""
    return f"{value:.0f}" if value >= 10 else f"{value:.2g}" if value >= 1e-3 else f"{value:.5f}"


class RunLines(_RunProgress):
    """Prints a line when something begins or ends, every few seconds in between, and while nothing is finished."""

    def __init__(self) -> None:
        super().__init__()
        self.shown = 0  # items done when the last line was written
        self.said = 0.0
        self.now = ""  # what is being done besides answering
        self.ended = threading.Event()

    def begin(self, plan: Plan, done: Collection[AnswerKey]) -> None:
        super().begin(plan, done)
        self.shown, self.said, self.now = self.done, self.started, ""
        resumed = f", {self.done} already answered" if done else ""
        count, samples = len(plan.items), plan.settings.samples
        each = f", {samples} answers each" if samples > 1 else ""
        tell(f"{self.name}{self.which}: {count} item{'s' * (count != 1)}{each}{resumed}")
        self.ended = threading.Event()
        threading.Thread(target=self._say_what_is_done, args=(self.ended,), daemon=True).start()

    def answered(self, output: Output) -> None:
        super().answered(output)
        if time.monotonic() - self.said >= LINE_SECONDS:
            self._line()

    def timing(self, item: int, items: int) -> None:
        if item == 0:
            self._line()
        if item == 1:
            tell(f"{self.name}: timing up to {items} single requests")
        self.now = f"timing request {max(item, 1)} of up to {items}"

    def end(self) -> None:
        self.ended.set()
        self._line()

    def _line(self) -> None:
        """Print how far the run is, unless the last line did."""
        if self.done == self.shown:
            return
        self.shown, self.said = self.done, time.monotonic()
        tell(", ".join(filter(None, [f"{self.name}: {self.done}/{self.total}", self.rate, self.left])))

    def _say_what_is_done(self, ended: threading.Event) -> None:
        """Print a line whenever there was none for STILL_SECONDS, because a batch of few items ends all at once."""
        while not ended.wait(max(0.0, self.said + STILL_SECONDS - time.monotonic())):
            if time.monotonic() - self.said >= STILL_SECONDS:
                self.said = time.monotonic()
                done = self.now or f"{self.done}/{self.total}"
                tell(f"{self.name}: {done}, {clock(self.elapsed)} so far")


class RunBar(_RunProgress):
    """One bar per benchmark: items, rates, time left."""

    def __init__(self) -> None:
        super().__init__()
        self.progress: Bars | None = None
        self.task: TaskID | None = None

    def begin(self, plan: Plan, done: Collection[AnswerKey]) -> None:
        from rich.progress import BarColumn, MofNCompleteColumn, SpinnerColumn, TextColumn, TimeElapsedColumn
        from rich.progress import Progress as Bars
        from rich.table import Column

        from .screen import stderr

        super().begin(plan, done)
        fixed = Column(no_wrap=True)
        self.progress = Bars(
            SpinnerColumn(table_column=fixed),  # because the bar does not move during a batch
            TextColumn("{task.description:<18}"),
            BarColumn(bar_width=None, table_column=Column(max_width=20)),  # in a narrow window, only it gets shorter
            MofNCompleteColumn(table_column=fixed),
            TextColumn("{task.fields[rate]}"),
            TimeElapsedColumn(table_column=fixed),
            TextColumn("{task.fields[left]}"),
            console=stderr(),
        )
        self.progress.start()
        room = LONGEST - len(self.which)
        described = (self.name if len(self.name) <= room else f"{self.name[: room - 1]}…") + self.which
        self.task = self.progress.add_task(described, total=self.total, completed=self.done, rate="", left="")

    def answered(self, output: Output) -> None:
        super().answered(output)
        assert self.progress is not None
        assert self.task is not None
        self.progress.update(self.task, completed=self.done, rate=self.rate, left=self.left)

    def timing(self, item: int, items: int) -> None:
        assert self.progress is not None
        assert self.task is not None
        self.progress.update(self.task, rate=f"timing {item} of up to {items} requests", left="")

    def end(self) -> None:
        if self.progress is not None:
            self.progress.stop()
            self.progress = None


def watch(quiet: bool) -> Progress:
    """Return the progress display: none if quiet, a bar on a terminal, lines elsewhere."""
    if quiet:
        # The libraries read these when they are imported, which happens later.
        os.environ.setdefault("HF_HUB_DISABLE_PROGRESS_BARS", "1")
        os.environ.setdefault("HF_DATASETS_DISABLE_PROGRESS_BARS", "1")
        return Progress()
    return RunBar() if sys.stderr.isatty() else RunLines()
