"""Checkpoints that can be trusted: one counts only when it was written to its end."""

from __future__ import annotations

import json
import os
import re
import shutil
from pathlib import Path

WHOLE = "whole.json"  # names every file of a finished checkpoint with its size, and is written last
_FOLDER = re.compile(r"checkpoint-(\d+)")


def seal(folder: Path) -> None:
    """Declare a checkpoint finished: its files are on the disk, not with the system, before this says so."""
    sizes = {}
    for path in sorted(folder.rglob("*")):
        if path.is_file() and path.name != WHOLE:
            with path.open("rb") as stream:
                os.fsync(stream.fileno())
            sizes[str(path.relative_to(folder))] = path.stat().st_size
    part = folder / f"{WHOLE}.part"
    with part.open("w", encoding="utf-8") as out:
        json.dump(sizes, out)
        out.flush()
        os.fsync(out.fileno())
    part.replace(folder / WHOLE)


def step_of(folder: Path) -> int:
    """The optimiser step that a checkpoint's folder is named after."""
    found = _FOLDER.fullmatch(folder.name)
    return int(found[1]) if found else -1


def whole(folder: Path) -> bool:
    """Whether a checkpoint was finished and still holds what it held then."""
    try:
        sizes = json.loads((folder / WHOLE).read_text(encoding="utf-8"))
        return all((folder / name).stat().st_size == size for name, size in sizes.items())
    except (OSError, ValueError, AttributeError):
        return False


def latest(work: Path) -> Path | None:
    """The newest whole checkpoint below `work`. Half-written ones are left alone here; see `sweep_up`."""
    found = [path for path in work.glob("checkpoint-*") if step_of(path) >= 0 and whole(path)]
    return max(found, key=step_of, default=None)


def sweep_up(work: Path) -> None:
    """Delete what a kill left half-written, so that no count of checkpoints takes it for one."""
    for path in work.glob("checkpoint-*"):
        if not whole(path):
            shutil.rmtree(path, ignore_errors=True)
