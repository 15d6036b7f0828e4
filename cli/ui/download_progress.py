"""Progress of downloads: a bar on a terminal, plain lines elsewhere, nothing with --quiet."""

from __future__ import annotations

import contextlib
import sys
import time
from collections.abc import Iterator

from ...core import hub
from ...core.download import Progress
from ...core.official import DownloadProgress
from ...core.text import clock, size
from .messages import LINE_SECONDS, tell


class Shown(DownloadProgress):
    """Shows each file as a bar with size, rate and time left, or in occasional lines."""

    def tell(self, line: str) -> None:
        tell(line)

    @contextlib.contextmanager
    def file(self, name: str) -> Iterator[Progress]:
        if not sys.stderr.isatty():
            yield _DownloadLines(name)
            return
        from rich.progress import BarColumn, DownloadColumn, TextColumn, TimeRemainingColumn, TransferSpeedColumn
        from rich.progress import Progress as Bar

        from .screen import stderr

        columns = (TextColumn("{task.description}"), BarColumn(bar_width=24), DownloadColumn(), TransferSpeedColumn())
        with Bar(*columns, TimeRemainingColumn(compact=True), console=stderr()) as bar:
            task = bar.add_task(name, total=None)
            yield lambda done, total: bar.update(task, completed=done, total=total)


def automatic(quiet: bool) -> DownloadProgress | None:
    """Return the progress display of automatic downloads; None if there are none because the hub is off."""
    if hub.offline():
        return None
    return DownloadProgress() if quiet else Shown()


class _DownloadLines:
    def __init__(self, name: str) -> None:
        self.name, self.first = name, -1
        self.started = self.said = time.monotonic()

    def __call__(self, done: int, total: int | None) -> None:
        now = time.monotonic()
        if self.first < 0:
            self.first = done
        if now - self.said < LINE_SECONDS and done != total:
            return
        self.said = now
        if done == total:
            tell(f"{self.name}: {size(done)} fetched")
            return
        rate = (done - self.first) / max(now - self.started, 1e-9)
        left = f" of {size(total)}, {clock((total - done) / rate)} left" if total and rate else ""
        tell(f"{self.name}: {size(done)}{left}")
