"""What an interrupted training left on the disk, and how much of it can be used."""

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
    """Return the manifest of a training that has begun. A damaged one is set aside. None if there is none."""
    path = folder / adapter_manifest.MANIFEST
    if not path.exists():
        return None
    try:
        return adapters.read(folder)
    except DataMalformed as error:
        if not (folder / "work").is_dir():  # no checkpoints that would prove what was trained
            raise
        kept = checkpoints.aside(path)
        tell(f"{error.message}; it is set aside as {kept.name} and rewritten. Checkpoints of this training are used.")
        return None


def peek(folder: Path) -> AdapterManifest | None:
    """Return the manifest of a training that has begun; None if there is none or it is damaged."""
    try:
        return adapters.read(folder)
    except MedbenchError:
        return None


def pins(manifest: AdapterManifest) -> tuple[str, ...]:
    """Return the hub data set revisions that a training was asked for, in the form of --data-revision."""
    return tuple(f"{name}@{read['asked']}" for name, read in manifest.data_revisions.items() if read.get("asked"))


def same_data(manifest: AdapterManifest, asked: Mapping[str, str]) -> dict[str, str]:
    """Return the revisions of hub data sets to read: the recorded commits, unless others are asked for."""
    read = {
        name: each["commit"]
        for name, each in manifest.data_revisions.items()
        if each.get("commit") and each.get("asked", "") == asked.get(name, "")
    }
    return {**asked, **read}


def left_out(manifest: AdapterManifest) -> dict[str, list[str]] | None:
    """Return the examples left out because they contain scored items; None if the training did not search for them."""
    stages = [stage["left_out"] for stage in manifest.data if isinstance(stage.get("left_out"), dict)]
    return {name: held for stage in stages for name, held in stage.items()} if stages else None


def work_of(folder: Path, number: int, stage: Stage) -> Path:
    """Return the folder for checkpoints and result of a stage. `number` counts from 1."""
    return folder / "work" / f"{number}-{stage.name}"


def trusted(folder: Path, stages: Sequence[Stage], manifest: AdapterManifest, tell: Tell) -> AdapterManifest:
    """Return the manifest without final stages whose result is missing or damaged; these are trained again."""
    done = list(manifest.stages)
    while done:
        number, name = len(done), done[-1].get("name")
        if number > len(stages) or name != stages[number - 1].name:
            raise DataMalformed(
                f"{folder / adapter_manifest.MANIFEST} lists a stage that this recipe does not have: '{name}'.",
                "Choose another name with --tag, or move that folder away.",
            )
        result = work_of(folder, number, stages[number - 1]) / "result"
        why = _flaw(result, done[-1], stages[number - 1])
        if not why:
            break
        if result.exists():
            why += f"; it is set aside as {checkpoints.aside(result)}"
        tell(f"the result of stage '{name}' cannot be used: {why}. The stage is trained again.")
        done.pop()
    if len(done) == len(manifest.stages):
        return manifest
    manifest = dataclasses.replace(manifest, stages=done)
    adapter_manifest.write(folder, manifest)
    return manifest


def _flaw(result: Path, facts: Mapping[str, Any], stage: Stage) -> str:
    """Return why a finished stage's result cannot be used; "" if it can. Earlier versions stored no hashes to check."""
    if not result.is_dir():
        return "it is missing"
    if facts.get("files"):
        return checkpoints.damage(result, facts["files"])
    try:
        adapters.deciding(result, "lora" if stage.lora else "full")
    except UsageError as error:
        return error.message
    return ""
