"""Which of several training processes this one is, and what they tell each other."""

from __future__ import annotations

import os
from pathlib import Path

WORKER = "MEDBENCH_WORKER"  # environment variable of a worker process: a temporary folder that all workers share


def is_worker() -> bool:
    """Whether this process is one of several that train together."""
    return WORKER in os.environ


def rank() -> int:
    """Return the number of this process among several; number 0 writes all files."""
    return int(os.environ.get("RANK", "0")) if is_worker() else 0


def manifest_written() -> Path:
    """Return the file by which process 0 tells the others that they may read the manifest."""
    return Path(os.environ[WORKER]) / "begun"


def error_file(folder: Path, number: int) -> Path:
    """Return the file in the shared folder to which a process writes why it failed."""
    return folder / f"{number}.error.json"
