"""Background scoring: a low-priority process scores stored answers while the model works on others.

It only fills score files, under their locks and with the same code as usual. Scores that it did not get to are computed
when they are read. So nothing depends on it: it is killed when the model is done, it may crash, and a metric that fails
in it fails again, with its message, when the scores are read.
"""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys
import threading
import time
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType

from ..core.errors import MedbenchError
from ..core.types import Metric
from ..results.scoring import OfRun, load_metric, score_some
from ..results.store import StoredRun

NICE = 19  # the lowest priority, so that the model's threads go first
TURN_SECONDS = 5.0  # how long a score file stays locked before another process may have it
PAUSE_SECONDS = 0.2

# Paths as this process has them, then requests; both by lines of JSON, until the pipe ends.
_CODE = (
    f"import json, sys; sys.path[:] = json.loads(sys.stdin.buffer.readline()); from {__name__} import serve; serve()"
)


class BackgroundScorer:
    """Has runs scored by another process, which starts once there is something to score and a model is at work.

    A single short run never starts it, because the run would end before the process has begun.
    """

    def __init__(self) -> None:
        self.process: subprocess.Popen[bytes] | None = None
        self._pending: dict[Path, Sequence[str]] = {}

    def __enter__(self) -> BackgroundScorer:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def stored(self, run: Path, metrics: Sequence[str]) -> None:
        """Score newly stored answers of a run the next time the model works."""
        self._pending[run.resolve()] = metrics

    def working(self) -> None:
        """The model begins or continues to work."""
        if not self._pending:
            return
        asked = [[str(run), *metrics] for run, metrics in self._pending.items()]
        self._pending.clear()
        with contextlib.suppress(OSError):  # it cannot be started, or has ended
            if self.process is None:
                self.process = _start()
                asked.insert(0, sys.path)
            assert self.process.stdin is not None
            self.process.stdin.write(b"".join(json.dumps(line).encode() + b"\n" for line in asked))
            self.process.stdin.flush()

    def close(self) -> None:
        """End the other process, whatever it is doing. Everything it has scored is stored."""
        self._pending.clear()
        if self.process is not None:
            self.process.kill()
            with contextlib.suppress(OSError):
                self.process.communicate()


def _start() -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        [sys.executable, "-P", "-c", _CODE],  # -P: nothing is imported from the working folder
        stdin=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,  # Ctrl-C is for the parent process
    )


def serve() -> None:
    """Score what the lines of stdin name until they end, which means that the parent process has ended."""
    if hasattr(os, "nice"):
        os.nice(NICE)
    asked: dict[str, list[str]] = {}  # a run that is requested again before its turn is scored once
    news = threading.Condition()

    def listen() -> None:
        for line in sys.stdin.buffer:
            run, *metrics = json.loads(line)
            with news:
                asked[run] = metrics
                news.notify()
        os._exit(0)

    threading.Thread(target=listen, daemon=True).start()
    while True:
        with news:
            news.wait_for(lambda: asked)
            run = next(iter(asked))
            metrics = asked.pop(run)
        score(Path(run), metrics)


def score(path: Path, names: Sequence[str]) -> None:
    """Score the stored answers of a run by those of its metrics that may run in the background. Ignore failures."""
    try:
        run = StoredRun(path)
        records = run.records()
    except MedbenchError:
        return
    for name in names:
        # Also SystemExit and the like: a third-party metric may raise anything, and the next one must run.
        with contextlib.suppress(BaseException):
            metric = load_metric(name)
            if not isinstance(metric, Metric) or isinstance(metric, OfRun) or not metric.in_background:
                continue
            while not score_some(run, metric, records, TURN_SECONDS):
                time.sleep(PAUSE_SECONDS)
