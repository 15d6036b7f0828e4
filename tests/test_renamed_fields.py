"""Trainings that began before three fields of a stage were renamed: they load, resume, and keep their identity."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path

from medbench.core import registry
from medbench.training import overrides
from medbench.training.record import checkpoint_fingerprint
from medbench.zoo import adapter_manifest, adapters

# The manifest of a training of smollm2-135m that was killed after its first step. It was written by the version before
# the renaming, with `--set accumulation=2 --set schedule=linear --set warmup=0.1`; paths are shortened.
BEFORE = Path(__file__).parent / "stored_before_renames"
SEALED_WITH = "96cf1445bd055cda"  # in the seal of that training's checkpoint


def test_the_stored_manifest_has_the_former_names() -> None:
    stage = json.loads((BEFORE / "manifest.json").read_text(encoding="utf-8"))["identity"]["stages"]["sft"]
    assert (stage["accumulation"], stage["schedule"], stage["warmup"]) == (2, "linear", 0.1)
    assert "gradient_accumulation_steps" not in stage


def test_it_loads_with_the_current_names() -> None:
    manifest = adapters.read(BEFORE)
    for stage in (manifest.identity["stages"]["sft"], manifest.recipe["stages"][0]):
        assert (stage["gradient_accumulation_steps"], stage["lr_scheduler"], stage["warmup_ratio"]) == (
            2,
            "linear",
            0.1,
        )
        assert not {"accumulation", "schedule", "warmup"} & stage.keys()
    assert manifest.recipe["stages"][0]["why"]["warmup_ratio"] == "set by the user"


def test_the_same_settings_make_the_same_identity() -> None:
    manifest = adapters.read(BEFORE)
    recipe = overrides.apply(registry.get("zoo", "smollm2-135m").recipe, manifest.settings)
    stage = dataclasses.asdict(recipe.stages[0])
    del stage["why"], stage["name"]
    assert json.loads(json.dumps(stage)) == manifest.identity["stages"]["sft"]


def test_its_checkpoints_are_still_used(tmp_path: Path) -> None:
    manifest = adapters.read(BEFORE)
    assert checkpoint_fingerprint(manifest.identity, "sft", {}) == SEALED_WITH
    adapter_manifest.write(tmp_path, manifest)  # as resuming does
    assert checkpoint_fingerprint(adapters.read(tmp_path).identity, "sft", {}) == SEALED_WITH
