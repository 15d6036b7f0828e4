"""Dry runs: while one is in progress, nothing is downloaded, converted or written."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from contextvars import ContextVar

REASON = "a dry run does not ask the hub"

_running: ContextVar[bool] = ContextVar("dry_run", default=False)


def running() -> bool:
    """Return whether a dry run is in progress. Code that fetches, converts or writes asks first."""
    return _running.get()


@contextlib.contextmanager
def run() -> Iterator[None]:
    """Make the `with` block a dry run."""
    before = _running.set(True)
    try:
        yield
    finally:
        _running.reset(before)
