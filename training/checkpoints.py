"""Checkpoints that can be trusted: one is used only if every byte of it is what this training wrote."""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..core import durable
from ..zoo.weights.digests import sha256_of

SEAL = "whole.json"  # step, training, and the hash of every file of a complete checkpoint; written last
LOG = "log.jsonl"  # the training log up to the checkpoint; in a result, up to the end of the stage
_FOLDER = re.compile(r"checkpoint-(\d+)")


@dataclass(frozen=True)
class Fault:
    """A checkpoint that cannot be used, and why."""

    folder: Path
    why: str
    unfinished: bool = False  # the process ended while writing it


def hashes(folder: Path) -> dict[str, str]:
    """Return the SHA-256 of every file below `folder`, by relative path, without hidden files and the seal itself."""
    return {
        path.relative_to(folder).as_posix(): sha256_of(path)
        for path in sorted(folder.rglob("*"))
        if path.is_file() and path.name != SEAL and not path.name.startswith(".")
    }


def damage(folder: Path, expected: Mapping[str, str], *, exactly: bool = True) -> str:
    """Return what is wrong with the files of a folder whose hashes were recorded; "" if nothing is.

    `exactly`: an extra file is a fault too, because a library might read it.
    """
    found = hashes(folder) if exactly else {}
    for name, digest in expected.items():
        path = folder / name
        if not path.is_file():
            return f"{name} is missing"
        if (found.get(name) or sha256_of(path)) != digest:
            return f"{name} is not the file that was written" if path.stat().st_size else f"{name} is empty"
    extra = [name for name in found if name not in expected]
    return f"{extra[0]} does not belong there" if extra else ""


def seal(folder: Path, training: str, log: Path) -> None:
    """Mark a checkpoint as complete, after all of its files are on the disk.

    `training` is the fingerprint of the training: checkpoints of another training are not used.
    """
    keep_log(log, folder)
    durable.sync_tree(folder)
    durable.sync_folder(folder.parent)
    sealed = {"step": step_of(folder), "training": training, "files": hashes(folder)}
    durable.replace_file(folder / SEAL, json.dumps(sealed, indent=1).encode() + b"\n")


def keep_log(log: Path, folder: Path) -> None:
    """Copy the training log into a checkpoint or result, so that it can be restored."""
    (folder / LOG).write_bytes(log.read_bytes() if log.is_file() else b"")


def step_of(folder: Path) -> int:
    """Return the optimizer step in the name of a checkpoint's folder; -1 for any other folder."""
    found = _FOLDER.fullmatch(folder.name)
    return int(found[1]) if found else -1


def fault(folder: Path, training: str = "") -> Fault | None:
    """Return why a checkpoint cannot be used; None if it can. Without `training`, that of any training can."""
    try:
        sealed = json.loads((folder / SEAL).read_text(encoding="utf-8"))
    except (FileNotFoundError, NotADirectoryError):
        return Fault(folder, "it is incomplete", unfinished=folder.is_dir())
    except (OSError, ValueError):
        return Fault(folder, f"{SEAL} is damaged")
    if not isinstance(sealed, dict):
        return Fault(folder, f"{SEAL} is damaged")
    if "files" not in sealed:
        return _old_fault(folder, sealed)
    files = sealed["files"]
    if not isinstance(files, dict) or not all(isinstance(digest, str) for digest in files.values()):
        return Fault(folder, f"{SEAL} is damaged")
    if training and sealed.get("training") != training:
        return Fault(folder, "it belongs to another training")
    if sealed.get("step") != step_of(folder):
        return Fault(folder, "it is from another step")
    why = damage(folder, files)
    return Fault(folder, why) if why else None


def _old_fault(folder: Path, sizes: Mapping[str, Any]) -> Fault | None:
    """Like `fault`, for checkpoints of earlier versions, which recorded only the sizes of files."""
    try:
        if sizes and all((folder / name).stat().st_size == size for name, size in sizes.items()):
            return None
    except OSError:
        pass
    return Fault(folder, "a file in it does not have the size that was written")


def latest(work: Path, training: str = "") -> tuple[Path | None, list[Fault]]:
    """Return the newest usable checkpoint in `work`, and the newer ones that cannot be used."""
    faults: list[Fault] = []
    for folder in sorted(work.glob("checkpoint-*"), key=step_of, reverse=True):
        if step_of(folder) < 0:
            continue
        found = fault(folder, training)
        if not found:
            return folder, faults
        faults.append(found)
    return None, faults


def newest(work: Path) -> Path | None:
    """The newest usable checkpoint in `work`."""
    return latest(work)[0]


def put_away(faults: list[Fault], used: Path | None) -> list[str]:
    """Move unusable checkpoints aside, delete unfinished ones, and return what was done as sentences."""
    instead = f"training continues from step {step_of(used)}" if used else "this stage starts over"
    notes = []
    for found in faults:
        if found.unfinished:
            shutil.rmtree(found.folder, ignore_errors=True)
            notes.append(f"{found.folder.name} cannot be used: {found.why}; {instead}")
        else:
            kept = aside(found.folder)
            notes.append(f"{found.folder.name} cannot be used: {found.why}; set aside as {kept}; {instead}")
    return notes


def aside(path: Path) -> Path:
    """Rename a damaged file or folder so that it is not used. Returns the new path."""
    number = 1
    while (target := path.with_name(f"damaged-{number}-{path.name}")).exists():
        number += 1
    durable.rename(path, target)
    return target
