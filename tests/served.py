"""`medbench serve` and `medbench ui` as processes, for tests: started on a free port, their log kept."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass

import httpx

MINE = {name: value for name, value in os.environ.items() if name not in ("MEDBENCH_HOME", "MEDBENCH_DATA")}
MINE |= {"HF_HUB_OFFLINE": "1", "OMP_NUM_THREADS": "1"}
READY = re.compile(r"(?:is served at|: open) (http://\S+?)(?:\. |  )")


@dataclass
class Served:
    process: subprocess.Popen[str]
    url: str
    lines: list[str]  # of its stderr

    def client(self) -> httpx.Client:
        return httpx.Client(base_url=self.url, timeout=120, trust_env=False)


def medbench(*words: str, env: Mapping[str, str] = MINE) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, "-m", "medbench", *words], capture_output=True, text=True, env=dict(env))


@contextmanager
def served(*words: str, env: Mapping[str, str] = MINE, command: str = "serve") -> Iterator[Served]:
    """A running server on a free port, killed at the end if it still runs."""
    process = subprocess.Popen(
        [sys.executable, "-m", "medbench", command, *words, "--port", "0"],
        stderr=subprocess.PIPE,
        text=True,
        env=dict(env),
    )
    lines: list[str] = []
    begun = threading.Event()

    def read() -> None:
        assert process.stderr is not None
        for line in process.stderr:
            lines.append(line.rstrip("\n"))
            if READY.search(line):
                begun.set()
        begun.set()

    threading.Thread(target=read, daemon=True).start()
    try:
        assert begun.wait(120), lines
        address = READY.search("\n".join(lines))
        assert address, lines
        yield Served(process, address[1], lines)
    finally:
        process.kill()
        process.wait()
