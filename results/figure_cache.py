"""Figures of a run, kept in its folder so that a table of 500 runs does not read 500 runs again.

    RUN/figures.json    one line: the key, the figures, a seal

The file is used only while everything that it was computed from is unchanged: size, times and inode of the run's
samples, manifest and judgments; the content of its score files (the first table writes them itself, so their times
mean nothing yet); the metrics' versions; medbench's own source. The times include `ctime`, which no ordinary program
can set, so an edit that keeps size and modification time is noticed too. A missing, damaged or outdated file is
computed again; deleting it loses nothing. Read-only folders work without it.
"""

from __future__ import annotations

import contextlib
import functools
import hashlib
import os
import time
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from .. import __version__
from ..core.durable import create
from ..core.hashing import fingerprint
from ..core.seals import Chain
from .files import sealed_lines, stat_of, to_json
from .folders import JUDGEMENTS
from .samples import SAMPLES
from .store import StoredRun

FIGURES = "figures.json"
SETTLED_S = 2.0  # files changed later than this are not trusted: a second change may fall into the same clock tick
SOURCES = ("core", "judges", "metrics", "results")  # rooms of medbench that figures depend on


def key(run: StoredRun, versions: Mapping[str, str], leaked: Iterable[str]) -> dict[str, Any] | None:
    """Return everything that figures of these metrics (version by name) depend on; None while the files are too new."""
    files = [run.path / SAMPLES, *sorted((run.path / JUDGEMENTS).glob("*.jsonl"))]
    stats = {"manifest.json": run.manifest_stat} | {path.name: stat_of(path) for path in files}
    if any(max(times) > time.time_ns() - SETTLED_S * 1e9 for _, *times, _ in filter(None, stats.values())):
        return None
    return {
        "medbench": [__version__, _sources()],
        "files": stats,
        "scores": {path.name: _content(path) for path in map(run.score_file, versions)},
        "metrics": [list(pair) for pair in versions.items()],
        "leaked": fingerprint(sorted(leaked)),
    }


def read(run: StoredRun, wanted: Mapping[str, Any]) -> Any:
    """Return the value that was kept under this key, or None."""
    with contextlib.suppress(Exception):  # whatever is wrong with it, it is computed again
        for line in sealed_lines(run.path / FIGURES, _chain(run)):
            if not line.problem and line.value["key"] == wanted:
                return line.value["value"]
    return None


def write(run: StoredRun, wanted: Mapping[str, Any], value: Any) -> None:
    """Keep a value. It need not survive a power cut, because its seal shows whether it is complete."""
    temporary = run.path / f".{FIGURES}.{os.getpid()}"
    with contextlib.suppress(OSError):
        try:
            with create(temporary) as file:
                file.write(_chain(run).add(to_json({"key": wanted, "value": value})))
            temporary.replace(run.path / FIGURES)
        finally:
            temporary.unlink(missing_ok=True)


def _chain(run: StoredRun) -> Chain:
    return Chain.of(run.manifest.run_id, FIGURES, sealed=True)


def _content(path: Path) -> str | None:
    """Return the hash of a file's content; None if it is missing."""
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError:
        return None


@functools.cache
def _sources() -> str:
    """Return a hash of all source files that figures depend on, because they change during development and the version
    does not.
    """
    root = Path(__file__).parent.parent
    found = sorted(path for room in SOURCES for path in (root / room).rglob("*.py"))
    return fingerprint([[str(path.relative_to(root)), *(stat_of(path) or ())[:2]] for path in found])
