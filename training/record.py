"""The record of a training: its identity, its manifest at the start, and its adapter at the end."""

from __future__ import annotations

import dataclasses
import json
import os
import shutil
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

from ..core import durable
from ..core.errors import UsageError
from ..core.hashing import fingerprint
from ..core.types import ModelSpec
from ..zoo import adapter_manifest, adapters
from ..zoo.adapter_manifest import AdapterManifest
from ..zoo.recipe import Stage, with_old_names
from ..zoo.weights.digests import sha256_of
from . import estimate, leak_check, resume
from .checkpoints import LOG
from .log import Log, draw
from .precision import compute_dtype
from .prepare import Prepared
from .request import Request, Tell

DONE: Final = "done"
STOPPED: Final = "stopped"
TRAINING: Final = "training"


def identity(request: Request, base: ModelSpec, stages: Sequence[Prepared]) -> dict[str, Any]:
    """Return everything that affects the result, as plain JSON data."""
    plain = dataclasses.asdict(request.recipe)
    for stage in plain["stages"]:
        del stage["why"]
    decided = {
        "model": request.entry.name,
        "base": {"weights": request.entry.weights, "revision": base.revision} | _trust(base),
        "stages": {stage.pop("name"): stage for stage in plain["stages"]},
        "max_steps": request.max_steps,
        "seed": request.seed,
        "processes": request.processes,
        "compute_dtype": [compute_dtype(stage.stage, base.device) for stage in stages],
        "data": [stage.data.hash for stage in stages],
    }
    as_stored: dict[str, Any] = json.loads(json.dumps(decided))
    return as_stored


def checkpoint_fingerprint(identity: Mapping[str, Any], stage: str, files: Mapping[str, str]) -> str:
    """Return what a checkpoint must have been sealed with: the fingerprint of its training and stage.

    `files`: hashes of the result of the stage before. Fields of a stage have their old names here, so that checkpoints
    written before the fields were renamed are still used.
    """
    stages = {name: with_old_names(fields) for name, fields in identity.get("stages", {}).items()}
    weights = {name: digest for name, digest in files.items() if name != LOG}  # the log has times in it
    return fingerprint([{**identity, "stages": stages}, stage, weights])


def begin(
    request: Request, base: ModelSpec, stages: Sequence[Prepared], asked: Mapping[str, str], tell: Tell
) -> AdapterManifest:
    """Return the manifest of this training: the stored one if it began before, else a new one, which is written.

    `asked`: revisions of hub data sets that the user asked for. Raises UsageError if the tag holds another training.
    """
    from ..evaluation import environment
    from ..results.identity import differing

    folder, wanted = request.folder, identity(request, base, stages)
    stored = resume.stored(folder, tell)
    if stored:
        differences = differing(stored.identity, wanted)
        if differences:
            name, old, new = differences[0]
            if name == "data":
                old, new = (_sizes(facts) for facts in (stored.data, [stage.facts() for stage in stages]))
                name = "the text of its data" if old == new else name
            raise UsageError(
                f"{request.name} already holds another training: {name} is {old} there and {new} here.",
                f"Choose another name with --tag, or delete {folder}.",
            )
        if stored.status != DONE:
            tell(f"continuing {request.name}")
            stored = dataclasses.replace(stored, status=TRAINING, stopped="")
            adapter_manifest.write(folder, stored)
            _write_examples(folder, stages)
        return stored
    read = {
        name: {"commit": commit, **({"asked": asked[name]} if name in asked else {})}
        for name, commit in request.source.commits.items()
    }
    seen = leak_check.check([stage.data for stage in stages], request.source, request.allowed_leaks, tell)
    manifest = AdapterManifest(
        model=request.entry.name,
        tag=request.tag,
        kind="lora" if stages[-1].stage.lora else "full",
        status=TRAINING,
        identity=wanted,
        base={
            "name": str(Path(request.model).resolve()) if request.model.endswith(".py") else request.model,
            "weights": request.entry.weights,
            "revision": base.revision,
            "source": base.source,
            "location": base.location,
        }
        | ({"asked": request.revision} if request.revision else {})
        | _trust(base),
        recipe=dataclasses.asdict(request.recipe),
        settings=list(request.settings),
        stages=[],
        data=[stage.facts() | _plan(request, stage) for stage in stages],
        data_revisions=read,
        seed=request.seed,
        environment=environment.describe(),
        leaks={name: dataclasses.asdict(leak) for name, leak in seen.found.items()},
        unchecked=dict(seen.unchecked),
        created=datetime.now(UTC).isoformat(timespec="seconds"),
        command=list(request.command),
        hash="",
    )
    _write_examples(folder, stages)
    adapter_manifest.write(folder, manifest)
    return manifest


def planned(request: Request, stage: Stage, rows: int) -> int:
    """Return the optimizer steps of a stage over `rows` rows: the recipe's, or --max-steps if that is fewer.

    With packing only the trainer knows the number of rows. Then this is --max-steps, or else the stage's own `steps`.
    """
    if stage.packing:
        return request.max_steps or stage.steps
    whole = estimate.steps(stage, rows, request.processes)
    return min(whole, request.max_steps) if request.max_steps else whole


def finish(request: Request, folder: Path, manifest: AdapterManifest) -> AdapterManifest:
    """Move the last stage's result to the adapter's folder, draw the loss curve, and delete the checkpoints."""
    number = len(request.recipe.stages)
    last = resume.work_of(folder, number, request.recipe.stages[-1]) / "result"
    names = list(manifest.stages[-1].get("files", {})) or [path.name for path in last.iterdir()]
    for name in sorted(names):
        target = folder / name
        target.unlink(missing_ok=True)
        try:
            os.link(last / name, target)  # saves the disk space of a second copy
        except OSError:
            shutil.copy2(last / name, target)
            durable.sync_file(target)
    durable.sync_folder(folder)
    draw(folder / "loss.png", request.name, Log(folder / LOG).lines())
    files = {name: sha256_of(folder / name) for name in adapters.deciding(folder, manifest.kind)}
    done = dataclasses.replace(manifest, status=DONE, hash=adapters.hash_of(folder, manifest.kind), files=files)
    adapter_manifest.write(folder, done)
    shutil.rmtree(folder / "work", ignore_errors=True)
    return done


def _trust(base: ModelSpec) -> dict[str, bool]:
    """Return the manifest's note on a base that runs its own code; nothing for any other base."""
    return {"trust_remote_code": True} if base.trust_remote_code else {}


def _write_examples(folder: Path, stages: Sequence[Prepared]) -> None:
    """List the ids of every stage's examples. The identity determines them, so a damaged list is simply replaced."""
    lines = [
        json.dumps({"stage": stage.stage.name, "split": split, "id": example.id}, ensure_ascii=False)
        for stage in stages
        for split, examples in (("train", stage.data.train), ("held_out", stage.data.held_out))
        for example in examples
    ]
    content = "".join(f"{line}\n" for line in lines).encode("utf-8", "backslashreplace")
    durable.replace_file(folder / "examples.jsonl", content)


def _plan(request: Request, prepared: Prepared) -> dict[str, Any]:
    """Return the steps of a stage's recipe and the examples of each step, from which progress is reported later."""
    stage, rows = prepared.stage, len(prepared.train.rows)
    if stage.packing:
        return {"recipe_steps": stage.steps or None}
    return {
        "recipe_steps": estimate.steps(stage, rows, request.processes),
        "steps_per_epoch": estimate.steps_per_epoch(stage, rows, request.processes),
        "examples_per_step": stage.batch_size * stage.gradient_accumulation_steps * request.processes,
    }


def _sizes(facts: Sequence[Mapping[str, Any]]) -> str:
    return ", ".join(f"{stage['examples']} examples in stage '{stage['stage']}'" for stage in facts)
