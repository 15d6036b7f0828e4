"""From the command to the first question: where the time goes, and reading weights from disk ahead of their use.

Libraries, data and weights cannot be loaded by threads side by side: all three are Python's work, which one thread at a
time does (measured: slower, docs/measurements.md). Only reading from the disk can run beside them.
"""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Literal

from ..core.resources import free_memory

Part = Literal["import", "data"]

WEIGHTS = (".safetensors", ".bin", ".gguf", ".pt")
ROOM = 0.5  # share of free memory that weights read ahead may fill

_spent: dict[Part, float] = {}


@contextlib.contextmanager
def counted(part: Part) -> Iterator[None]:
    """Counts the seconds of the `with` block to a part of the start-up: importing libraries, or reading the items."""
    started = time.perf_counter()
    try:
        yield
    finally:
        _spent[part] = _spent.get(part, 0.0) + time.perf_counter() - started


def taken(part: Part) -> float:
    """Return the seconds counted since the last call."""
    return _spent.pop(part, 0.0)


def read_ahead(location: str) -> int:
    """Have the system read the weights at `location` (a file or folder) into its cache, and return at once.

    Returns the bytes asked for: 0 where there is nothing to read, no room for it, or no such system call.
    """
    if not location or not hasattr(os, "posix_fadvise"):
        return 0
    place = Path(location)
    with contextlib.suppress(OSError):
        files = [place] if place.is_file() else [file for file in place.glob("*") if file.suffix in WEIGHTS]
        size = sum(file.stat().st_size for file in files)
        if size > free_memory() * ROOM:
            return 0
        for file in files:
            descriptor = os.open(file, os.O_RDONLY)
            try:
                os.posix_fadvise(descriptor, 0, 0, os.POSIX_FADV_WILLNEED)
            finally:
                os.close(descriptor)
        return size
    return 0
