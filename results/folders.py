"""The folders of runs: what they and the files in them are called, and which folders hold a run."""

from __future__ import annotations

import glob
from pathlib import Path

from ..core.errors import DataMalformed
from ..core.hashing import fingerprint
from .files import read_lines, sealed_lines
from .identity import safe
from .manifest import Manifest
from .manifest_file import ENDS_AS_ID, MANIFEST
from .samples import SAMPLES

SCORES = "scores"
JUDGEMENTS = "judgements"


def begun(root: Path, model: str, benchmark: str) -> bool:
    """Whether `root` has a run of a model of this name on this benchmark."""
    return any(root.glob(f"{safe(model)}__{safe(benchmark)}__*/{MANIFEST}"))


def alike(root: Path, manifest: Manifest) -> list[Path]:
    """Return the folders of other runs in `root` of a model of the same name on the same benchmark, newest first."""
    stem = manifest.run_id.rpartition("__")[0]
    found = [path.parent for path in root.glob(f"{glob.escape(stem)}__*/{MANIFEST}")]
    others = [folder for folder in found if folder.name != manifest.run_id]
    return sorted(others, key=lambda folder: ((folder / MANIFEST).stat().st_mtime, folder.name), reverse=True)


def run_folders(root: Path) -> list[Path]:
    """Return the folders in `root` that hold a run or what is left of one, sorted."""
    return [path for path in sorted(root.iterdir()) if holds_run(path)]


def holds_run(folder: Path) -> bool:
    """Whether a folder has a manifest, or answers or scores of a run whose manifest is lost."""
    if has_manifest(folder):
        return True
    return any(_exists(folder / name) for name in (SAMPLES, SCORES, JUDGEMENTS)) and looks_like_run(folder)


def has_manifest(folder: Path) -> bool:
    return _exists(folder / MANIFEST)


def looks_like_run(folder: Path) -> bool:
    """Whether a folder has a run's name or a run's answers, whatever its manifest says."""
    if ENDS_AS_ID.search(folder.name):
        return True
    try:
        first = next(sealed_lines(folder / SAMPLES), None)
    except DataMalformed:  # an unreadable file may be a run's
        return True
    return first is not None and isinstance(first.value, dict) and {"item", "output"} <= first.value.keys()


def has_answers(run: Path) -> bool:
    """Whether a run has any answer, intact or damaged. A start that failed leaves a folder without one."""
    try:
        return next(read_lines(run / SAMPLES), None) is not None
    except DataMalformed:
        return True


def file_name(metric: str) -> str:
    """Return a metric's name as the stem of a file. One that no file can have gets a hash to stay unique."""
    name = safe(metric)
    return name if name == metric else f"{name}-{fingerprint(metric)[:6]}"


def _exists(path: Path) -> bool:
    """Whether a path exists. True where we may not look, so that reading it later names the problem."""
    try:
        return path.exists()
    except OSError:
        return True
