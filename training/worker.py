"""One of several training processes: reads its request from a file and reports events as JSON lines on stdout."""

from __future__ import annotations

import json
import os
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

from ..core.errors import MedbenchError
from .progress import TrainingProgress
from .ranks import WORKER, error_file, rank

REQUEST = "request.json"  # in the folder that the workers share
INTERRUPTED = 130  # exit code after Ctrl-C

Send = Callable[..., None]


class SentProgress(TrainingProgress):
    """Sends every event to the process that started the workers."""

    def __init__(self, send: Send) -> None:
        self.send = send

    def loading(self, model: str) -> None:
        self.send("loading", model)

    def begin(self, stage: str, step: int, steps: int) -> None:
        self.send("begin", stage, step, steps)

    def step(self, step: int, loss: float, learning_rate: float, tokens_per_s: float) -> None:
        self.send("step", step, loss, learning_rate, tokens_per_s)

    def evaluated(self, step: int, eval_loss: float) -> None:
        self.send("evaluated", step, eval_loss)

    def end(self) -> None:
        self.send("end")


def main() -> int:
    """Train, and return the exit code. A MedbenchError is written to a file for the starting process to raise."""
    threading.Thread(target=_end_with_parent, daemon=True).start()
    events = os.fdopen(os.dup(1), "w", encoding="utf-8", buffering=1)
    os.dup2(2, 1)  # what libraries print goes to the log

    def send(event: str, *values: Any) -> None:
        if rank() == 0:
            events.write(json.dumps([event, *values]) + "\n")

    def tell(line: str) -> None:
        send("tell", line)

    shared = Path(os.environ[WORKER])
    try:
        from .request import from_json
        from .train import train

        request = from_json(json.loads((shared / REQUEST).read_text(encoding="utf-8")), tell)
        train(request, SentProgress(send), tell)
    except KeyboardInterrupt:
        return INTERRUPTED
    except MedbenchError as error:
        content = {"kind": type(error).__name__, "message": error.message, "hint": error.hint}
        error_file(shared, rank()).write_text(json.dumps(content), encoding="utf-8")
        return 1
    return 0


def _end_with_parent() -> None:
    """End this process when the one that started it is gone: its end of the pipe closes."""
    while os.read(0, 1024):
        pass
    os._exit(1)


if __name__ == "__main__":
    sys.exit(main())
