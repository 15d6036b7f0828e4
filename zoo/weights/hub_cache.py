"""The hub's cache on this disk, read by its documented layout, whichever program filled it.

    models--OWNER--NAME/refs/BRANCH         the commit that a branch or tag was at the last download
    models--OWNER--NAME/snapshots/COMMIT/   the files of a commit that were downloaded
    models--OWNER--NAME/trees/COMMIT.json   the files that the commit has, if its list was downloaded

A snapshot can be used if it loads. The hub's client requires every file of the repository, so it rejects what
transformers or `hf download FILES` put there.
"""

from __future__ import annotations

import contextlib
import os
import re
from collections.abc import Callable, Iterable
from pathlib import Path

from ...core import hub
from ...core.durable import make_folder, replace_file
from ...core.json_text import loads

COMMIT = re.compile(r"[0-9a-f]{40}")
MAIN = "main"


def place(repository: str) -> Path:
    """Return the folder of a model repository in the hub's cache, which may not exist."""
    from huggingface_hub import constants

    return Path(constants.HF_HUB_CACHE).expanduser() / f"models--{repository.replace('/', '--')}"


def find(repository: str, revision: str, problem: Callable[[Path], str]) -> Path | None:
    """Return the complete snapshot of a revision; None if there is none.

    `problem` says why a folder cannot be used, "" if it can. A revision is a branch, a tag, or a commit in full or by
    its first digits. Without a revision it is the main branch. If the main branch's snapshot is incomplete because an
    update was interrupted, it is the newest complete snapshot that belongs to no other branch or tag.
    """
    folder = place(repository)
    branch = revision or MAIN
    if commit := _commit(folder, branch):
        snapshot = folder / "snapshots" / commit
        if _whole(snapshot, problem):
            return snapshot
    if branch != MAIN:
        return None
    elsewhere = {_read(ref) for ref in _below(folder / "refs") if ref != folder / "refs" / MAIN}
    older = [path for path in _snapshots(folder) if path.name not in elsewhere and _whole(path, problem)]
    return max(older, key=lambda path: path.stat().st_mtime_ns, default=None)


def expected(repository: str, revision: str) -> str:
    """Return the commit that a revision pointed to when last requested, downloaded or not; "" if unknown."""
    return _commit(place(repository), revision or MAIN)


def missing(repository: str, snapshot: Path, names: Iterable[str]) -> list[str]:
    """Return those of `names` that are in the repository but not in its snapshot, as far as the cache knows."""
    try:
        listed = loads((place(repository) / "trees" / f"{snapshot.name}.json").read_bytes())["files"]
    except (OSError, ValueError, KeyError, TypeError):
        return []
    return [name for name in names if name in listed and not (snapshot / name).is_file()]


def note(repository: str, revision: str, commit: str) -> None:
    """Record which commit a branch or tag is, for when the hub is unreachable."""
    if COMMIT.fullmatch(revision):
        return
    ref = place(repository) / "refs" / (revision or MAIN)
    if _read(ref) != commit:
        with contextlib.suppress(OSError):  # the snapshot is found without it, unless there are several
            make_folder(ref.parent)
            replace_file(ref, commit.encode())


def _commit(folder: Path, revision: str) -> str:
    """Return the commit of a revision; "" if the cache does not know it."""
    if COMMIT.fullmatch(revision):
        return revision
    if commit := _read(folder / "refs" / revision):
        return commit
    if not hub.PREFIX.fullmatch(revision):
        return ""
    meant = [path.name for path in _snapshots(folder) if path.name.startswith(revision)]
    return meant[0] if len(meant) == 1 else ""


def _whole(snapshot: Path, problem: Callable[[Path], str]) -> bool:
    try:
        return snapshot.is_dir() and not problem(snapshot)
    except OSError:
        return False


def _snapshots(folder: Path) -> list[Path]:
    return [path for path in _entries(folder / "snapshots") if COMMIT.fullmatch(path.name)]


def _below(folder: Path) -> list[Path]:
    """Return the files below a folder: a branch may be called "refs/pr/1"."""
    return [Path(parent) / name for parent, _, names in os.walk(folder) for name in names]


def _entries(folder: Path) -> list[Path]:
    try:
        return sorted(folder.iterdir())
    except OSError:
        return []


def _read(path: Path) -> str:
    """Return the commit in a ref's file; "" if there is none."""
    try:
        commit = path.read_text(encoding="utf-8").strip()
    except (OSError, ValueError):
        return ""
    return commit if COMMIT.fullmatch(commit) else ""
