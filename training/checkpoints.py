"""Checkpoints that can be trusted: one counts only if every byte of it is what this training wrote."""

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

SEAL = "whole.json"  # step, training and the hash of every file of a finished checkpoint; written last
LOG = "log.jsonl"  # the training log up to the checkpoint, or up to the end of a stage in its result
_FOLDER = re.compile(r"checkpoint-(\d+)")


@dataclass(frozen=True)
class Fault:
    """A checkpoint that cannot be used, and why."""

    folder: Path
    why: str
    unfinished: bool = False  # it was being written when its process ended


def hashes(folder: Path) -> dict[str, str]:
    """The SHA-256 of every file in and below `folder` by its relative path. Hidden files, which nothing reads, and the
    seal itself are left out."""
    return {
        path.relative_to(folder).as_posix(): sha256_of(path)
        for path in sorted(folder.rglob("*"))
        if path.is_file() and path.name != SEAL and not path.name.startswith(".")
    }


def damage(folder: Path, expected: Mapping[str, str], *, exactly: bool = True) -> str:
    """What is wrong with the files of a folder whose hashes were recorded; "" if nothing is.

    `exactly`: a file that was not recorded is a fault too, because a library might read it.
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
    """Declare a checkpoint finished: everything in it is on the disk before the seal says so.

    `training` is the fingerprint of what is being trained: another training's checkpoint is not resumed from.
    """
    keep_log(log, folder)
    durable.sync_tree(folder)
    durable.sync_folder(folder.parent)
    sealed = {"step": step_of(folder), "training": training, "files": hashes(folder)}
    durable.replace_file(folder / SEAL, json.dumps(sealed, indent=1).encode() + b"\n")


def keep_log(log: Path, folder: Path) -> None:
    """Copy the training log into a checkpoint or result, from which it can be restored."""
    (folder / LOG).write_bytes(log.read_bytes() if log.is_file() else b"")


def step_of(folder: Path) -> int:
    """The optimizer step that a checkpoint's folder is named after; -1 for any other folder."""
    found = _FOLDER.fullmatch(folder.name)
    return int(found[1]) if found else -1


def fault(folder: Path, training: str = "") -> Fault | None:
    """Why a checkpoint cannot be used, None if it can. Without `training`, any training's is accepted."""
    try:
        sealed = json.loads((folder / SEAL).read_text(encoding="utf-8"))
    except (FileNotFoundError, NotADirectoryError):
        return Fault(folder, "it was not written to its end", unfinished=folder.is_dir())
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
        return Fault(folder, "it is the checkpoint of another step")
    why = damage(folder, files)
    return Fault(folder, why) if why else None


def _old_fault(folder: Path, sizes: Mapping[str, Any]) -> Fault | None:
    """As `fault` for a checkpoint from before hashes: only the sizes of its files were recorded."""
    try:
        if sizes and all((folder / name).stat().st_size == size for name, size in sizes.items()):
            return None
    except OSError:
        pass
    return Fault(folder, "a file in it does not have the size that was written")


def latest(work: Path, training: str = "") -> tuple[Path | None, list[Fault]]:
    """The newest checkpoint in `work` that can be used, and the newer ones that cannot."""
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
    """Move unusable checkpoints out of the way and say so. Unfinished ones are deleted: there is nothing to save."""
    instead = f"training continues from step {step_of(used)}" if used else "this stage starts again"
    said = []
    for found in faults:
        if found.unfinished:
            shutil.rmtree(found.folder, ignore_errors=True)
            said.append(f"{found.folder.name} cannot be used: {found.why}; {instead}")
        else:
            kept = aside(found.folder)
            said.append(f"{found.folder.name} cannot be used: {found.why}; set aside as {kept}; {instead}")
    return said


def aside(path: Path) -> Path:
    """Rename a damaged file or folder so that nothing takes it for a good one. Returns the new path."""
    number = 1
    while (target := path.with_name(f"damaged-{number}-{path.name}")).exists():
        number += 1
    durable.rename(path, target)
    return target
