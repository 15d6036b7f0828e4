"""Run a training, in this process or in several: one per GPU, or several on the CPU cores; accelerate joins them."""

from __future__ import annotations

import json
import os
import queue
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO

from ..core import errors
from ..core.errors import MedbenchError, UsageError
from ..zoo import adapters
from ..zoo.adapter_manifest import AdapterManifest
from . import worker
from .progress import TrainingProgress
from .ranks import WORKER, error_file
from .request import Request, Tell, base_of, check, to_json

POLL_SECONDS = 0.2
SETTLE_SECONDS = 1.0  # after a worker fails: the others may fail with it, and one of them knows the cause
STOP_SECONDS = 10.0  # for a worker to record that it was stopped, and to end
LOG_END = 2000  # characters of a failed worker's output that the message quotes

Worker = subprocess.Popen[bytes]


def run(request: Request, progress: TrainingProgress, tell: Tell) -> tuple[AdapterManifest, Path]:
    """Train as the request says. Returns the manifest and the adapter's folder.

    Workers are started from a file with the request, so any program may call this: a script without a `__main__`
    guard, or a notebook. Raises what `train` raises, UsageError if this machine has too few GPUs, MedbenchError if a
    worker fails, KeyboardInterrupt if the user stops it.
    """
    if request.processes == 1:
        from .train import train

        return train(request, progress, tell)
    check(request)
    on_cpu = _on_cpu(request, tell)
    with tempfile.TemporaryDirectory(prefix="medbench-train-") as scratch:
        shared = Path(scratch)
        (shared / worker.REQUEST).write_text(json.dumps(to_json(request)), encoding="utf-8")
        with _workers(request.processes, shared, on_cpu) as workers:
            try:
                failed = _wait(workers, progress, tell)
            except KeyboardInterrupt:
                _stop(workers[0])
                raise
            if failed is not None:
                raise _failure(request, workers[failed], failed, shared)
    return adapters.read(request.folder), request.folder


def _on_cpu(request: Request, tell: Tell) -> bool:
    """Fetch the base once, before several workers need it. Return whether it trains on the CPU."""
    import torch

    on_cpu = base_of(request, tell).device.split(":")[0] == "cpu"
    if not on_cpu and request.processes > torch.cuda.device_count():
        raise UsageError(
            f"{request.processes} processes need as many GPUs; this machine has {torch.cuda.device_count()}.",
            "Use fewer processes, or train on the CPU: --device cpu",
        )
    return on_cpu


@contextmanager
def _workers(count: int, shared: Path, on_cpu: bool) -> Iterator[list[Worker]]:
    """Start the workers, and end the ones that still run when the block ends."""
    common = os.environ | {
        WORKER: str(shared),
        "WORLD_SIZE": str(count),
        "LOCAL_WORLD_SIZE": str(count),
        "MASTER_ADDR": "127.0.0.1",
        "MASTER_PORT": str(_free_port()),
        "OMP_NUM_THREADS": os.environ.get("OMP_NUM_THREADS") or str(max(1, (os.cpu_count() or 1) // count)),
        # Workers import the same modules as this process. -P keeps the working folder out.
        "PYTHONPATH": os.pathsep.join(filter(None, sys.path)),
    }
    if on_cpu:
        common["ACCELERATE_USE_CPU"] = "true"
    started: list[Worker] = []
    try:
        for rank in range(count):
            with (shared / f"{rank}.log").open("wb") as log:
                started.append(
                    subprocess.Popen(
                        [sys.executable, "-P", "-m", worker.__name__],
                        env=common | {"RANK": str(rank), "LOCAL_RANK": str(rank)},
                        stdin=subprocess.PIPE,  # closed when this process ends, however it ends: then workers end too
                        stdout=subprocess.PIPE if rank == 0 else log,
                        stderr=log,
                        start_new_session=True,  # Ctrl-C reaches this process alone, which then stops the workers
                    )
                )
        yield started
    finally:
        _end(started)


def _wait(workers: list[Worker], progress: TrainingProgress, tell: Tell) -> int | None:
    """Report what worker 0 reports until all workers are done. Return the worker whose failure to tell, or None."""
    events: queue.SimpleQueue[tuple[str, list[object]]] = queue.SimpleQueue()
    assert workers[0].stdout is not None
    reader = threading.Thread(target=_read, args=(workers[0].stdout, events), daemon=True)
    reader.start()
    while True:
        with suppress(queue.Empty):
            event, values = events.get(timeout=POLL_SECONDS)
            tell(str(values[0])) if event == "tell" else getattr(progress, event)(*values)
            continue
        codes = [process.poll() for process in workers]
        if any(codes):
            time.sleep(SETTLE_SECONDS)
            return _cause(workers)
        if not any(code is None for code in codes) and not reader.is_alive() and events.empty():
            return None


def _read(stream: IO[bytes], events: queue.SimpleQueue[tuple[str, list[object]]]) -> None:
    for line in stream:
        with suppress(ValueError):  # a killed worker may leave half a line
            event, *values = json.loads(line)
            events.put((event, values))


def _cause(workers: list[Worker]) -> int:
    """Return the failed worker that explains the failure: one that was killed makes the others fail too."""
    failed = {rank: process.poll() for rank, process in enumerate(workers) if process.poll()}
    killed = [rank for rank, code in failed.items() if code is not None and code < 0]
    return killed[0] if killed else min(failed)


def _failure(request: Request, process: Worker, rank: int, shared: Path) -> BaseException:
    """Return the error of a worker that failed."""
    if process.returncode == worker.INTERRUPTED:
        return KeyboardInterrupt()
    with suppress(OSError, ValueError):
        error = json.loads(error_file(shared, rank).read_text(encoding="utf-8"))
        kind = getattr(errors, error["kind"], MedbenchError)
        made: BaseException = kind(error["message"], error["hint"])
        return made
    code = process.returncode
    how = f"was killed by {signal.Signals(-code).name}" if code < 0 else f"failed with exit code {code}"
    log = (shared / f"{rank}.log").read_text(encoding="utf-8", errors="replace").strip()
    return MedbenchError(
        f"training process {rank} of {request.processes} {how}{': ' if log else '.'}{log[-LOG_END:]}",
        f"The checkpoints in {request.folder} are kept: the same command continues from the last one.",
    )


def _stop(process: Worker) -> None:
    """Pass Ctrl-C on to worker 0, and let it record that the training was stopped."""
    with suppress(ProcessLookupError, subprocess.TimeoutExpired):
        process.send_signal(signal.SIGINT)
        process.wait(timeout=STOP_SECONDS)


def _end(workers: list[Worker]) -> None:
    """End every worker: one that waits for another that failed would wait forever."""
    for process in workers:
        if process.poll() is None:
            process.terminate()
    for process in workers:
        try:
            process.wait(timeout=STOP_SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        for stream in (process.stdin, process.stdout):
            if stream is not None:
                with suppress(OSError):
                    stream.close()


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port
