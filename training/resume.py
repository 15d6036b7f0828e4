"""What a training that began before left on the disk, and how much of it can be trusted."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from ..core.errors import DataMalformed, MedbenchError, UsageError
from ..zoo import adapter_manifest, adapters
from ..zoo.adapter_manifest import AdapterManifest
from ..zoo.recipe import Stage
from . import checkpoints

Tell = Callable[[str], None]


def stored(folder: Path, tell: Tell) -> AdapterManifest | None:
    """The manifest of a training that began before; None if there is none, or a damaged one, which is set aside."""
    path = folder / adapter_manifest.MANIFEST
    if not path.exists():
        return None
    try:
        return adapters.read(folder)
    except DataMalformed as error:
        if not (folder / "work").is_dir():  # nothing here proves what the rest of the folder is
            raise
        kept = checkpoints.aside(path)
        tell(f"{error.message}; set aside as {kept.name} and written anew. Checkpoints of this training are used.")
        return None


def peek(folder: Path) -> AdapterManifest | None:
    """The manifest of a training that began before, whose damage is for `stored` to report."""
    try:
        return adapters.read(folder)
    except MedbenchError:
        return None


def pins(manifest: AdapterManifest) -> tuple[str, ...]:
    """The revisions of hub data sets that a training was asked to read, as --data-revision takes them."""
    return tuple(f"{name}@{read['asked']}" for name, read in manifest.data_revisions.items() if read.get("asked"))


def same_data(manifest: AdapterManifest, asked: Mapping[str, str]) -> dict[str, str]:
    """The revisions at which to read hub data sets again: the recorded commits, where no other one is asked for."""
    read = {
        name: each["commit"]
        for name, each in manifest.data_revisions.items()
        if each.get("commit") and each.get("asked", "") == asked.get(name, "")
    }
    return {**asked, **read}


def left_out(manifest: AdapterManifest) -> dict[str, list[str]] | None:
    """The examples that a training left out because they hold scored items; None where it did not look for them."""
    stages = [stage["left_out"] for stage in manifest.data if isinstance(stage.get("left_out"), dict)]
    return {name: held for stage in stages for name, held in stage.items()} if stages else None


def work_of(folder: Path, number: int, stage: Stage) -> Path:
    """Where the stage counted from 1 keeps its checkpoints, and its result until the training is done."""
    return folder / "work" / f"{number}-{stage.name}"


def trusted(folder: Path, stages: Sequence[Stage], manifest: AdapterManifest, tell: Tell) -> AdapterManifest:
    """The manifest without stages at the end whose result is missing or damaged: they are made again."""
    done = list(manifest.stages)
    while done:
        number, name = len(done), done[-1].get("name")
        if number > len(stages) or name != stages[number - 1].name:
            raise DataMalformed(
                f"{folder / adapter_manifest.MANIFEST} lists stages that this recipe does not have: '{name}'.",
                "Give this training another name with --tag, or move that folder away.",
            )
        result = work_of(folder, number, stages[number - 1]) / "result"
        why = _flaw(result, done[-1], stages[number - 1])
        if not why:
            break
        if result.exists():
            why += f"; it is set aside as {checkpoints.aside(result)}"
        tell(f"the result of stage '{name}' cannot be used: {why}. The stage is finished again.")
        done.pop()
    if len(done) == len(manifest.stages):
        return manifest
    manifest = dataclasses.replace(manifest, stages=done)
    adapter_manifest.write(folder, manifest)
    return manifest


def _flaw(result: Path, facts: Mapping[str, Any], stage: Stage) -> str:
    """Why a finished stage's result cannot be used; "" if it can. Before hashes, it only has to be there."""
    if not result.is_dir():
        return "it is missing"
    if facts.get("files"):
        return checkpoints.damage(result, facts["files"])
    try:
        adapters.deciding(result, "lora" if stage.lora else "full")
    except UsageError as error:
        return error.message
    return ""
