"""The same training run in several processes of this machine, one per GPU or on CPU cores; accelerate joins them."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from ..core.errors import MedbenchError, UsageError
from ..zoo import adapters
from ..zoo.adapter_manifest import AdapterManifest
from .train import WORKER, Request, base_of

LOOK_SECONDS = 0.2


def launch(request: Request, tell: Callable[[str], None]) -> tuple[AdapterManifest, Path]:
    """Run this very command in `request.processes` processes and wait for them.

    The first process shows progress
    and says what goes wrong; what another one says is told here. Raises UsageError where the machine has fewer GPUs,
    MedbenchError where a process fails, KeyboardInterrupt where the user stops it.
    """
    import torch

    base = base_of(request, tell)  # fetched and converted once, before several processes ask for it
    on_cpu = base.device.split(":")[0] == "cpu"
    if not on_cpu and request.processes > torch.cuda.device_count():
        raise UsageError(
            f"--num-processes {request.processes}: this machine has {torch.cuda.device_count()} GPUs.",
            "One process needs one GPU; on the CPU: --device cpu",
        )
    common = os.environ | {
        "WORLD_SIZE": str(request.processes),
        "LOCAL_WORLD_SIZE": str(request.processes),
        "MASTER_ADDR": "127.0.0.1",
        "MASTER_PORT": str(_free_port()),
        "OMP_NUM_THREADS": os.environ.get("OMP_NUM_THREADS") or str(max(1, (os.cpu_count() or 1) // request.processes)),
    }
    # Modules come from where this process has them, and not from the working folder besides.
    common["PYTHONPATH"] = os.pathsep.join(filter(None, sys.path))
    if on_cpu:
        common["ACCELERATE_USE_CPU"] = "true"
    started: list[subprocess.Popen[bytes]] = []
    with tempfile.TemporaryDirectory() as scratch:
        try:
            for rank in range(request.processes):
                with (Path(scratch) / str(rank)).open("wb") as said:
                    words = [sys.executable, "-P", "-m", "medbench", *sys.argv[1:]]
                    mine = common | {WORKER: scratch, "RANK": str(rank), "LOCAL_RANK": str(rank)}
                    out = None if rank == 0 else said
                    started.append(subprocess.Popen(words, env=mine, stdout=said, stderr=out))
            failed = _wait(started)
        finally:
            _end(started)
        if failed > 0:
            why = (Path(scratch) / str(failed)).read_text(encoding="utf-8", errors="replace").strip()
            raise MedbenchError(
                f"training process {failed} of {request.processes} failed: {why[-2000:]}",
                f"What was stored is in {request.folder}; the same command continues from the last checkpoint.",
            )
        if failed == 0:
            raise SystemExit(started[0].returncode)  # it has said why
    return adapters.read(request.folder), request.folder


def _wait(processes: list[subprocess.Popen[bytes]]) -> int:
    """The rank of the first process that fails, -1 if none does."""
    while True:
        codes = [process.poll() for process in processes]
        for rank, code in enumerate(codes):
            if code:
                return rank
        if all(code == 0 for code in codes):
            return -1
        time.sleep(LOOK_SECONDS)


def _end(processes: list[subprocess.Popen[bytes]]) -> None:
    """No process outlives its command: one that waits for another that failed would wait for ever."""
    for process in processes:
        if process.poll() is None:
            process.send_signal(signal.SIGTERM)
    for process in processes:
        try:
            process.wait(timeout=10)
        except subprocess.TimeoutExpired:
            process.kill()


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port
