"""What a training has done so far, stage by stage: from the manifest for finished stages, else from the log."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from .adapter_manifest import AdapterManifest

LOG = "log.jsonl"


@dataclass(frozen=True)
class Trained:
    """One stage as it was trained. None means unknown: earlier versions did not record the value."""

    stage: str
    done: bool
    steps: int  # optimizer steps taken
    recipe_steps: int | None  # steps of the complete recipe
    examples: int | None  # distinct examples seen
    of_examples: int  # examples drawn
    epochs: float | None
    tokens: int  # processed, without padding

    @property
    def early(self) -> bool:
        """Whether it stopped before the recipe's last step."""
        return self.recipe_steps is not None and self.steps < self.recipe_steps

    def words(self) -> str:
        """Describe the stage in one line."""
        some = "" if self.examples is None or self.examples >= self.of_examples else f"{self.examples:,} of "
        parts = [
            f"{some}{self.of_examples:,} examples",
            f"{self.steps:,}{f' of {self.recipe_steps:,}' if self.early else ''} steps",
            f"{self.tokens:,} tokens",
        ]
        if self.epochs is not None:
            parts.append(f"{self.epochs:g} epochs")
        return ", ".join(parts) + (" (stopped early)" if self.early else "")


def trained(folder: Path, manifest: AdapterManifest) -> list[Trained]:
    """Return every stage that has begun."""
    measured = {stage.get("name"): stage for stage in manifest.stages}
    logged = _logged(folder / LOG)
    found = []
    named: list[dict[str, Any]] = [{"stage": name} for name in dict.fromkeys([*measured, *logged])]
    for facts in manifest.data or named:
        name = str(facts.get("stage", ""))
        stage = measured.get(name)
        steps, tokens = logged.get(name, (0, 0))
        if stage:
            steps, tokens = int(stage.get("steps") or 0), int(stage.get("tokens") or 0)
        if not stage and not steps:
            continue
        rows = int(facts.get("rows") or facts.get("examples") or 0)
        seen, epochs = _seen(facts, steps, rows)
        found.append(
            Trained(
                stage=name,
                done=stage is not None,
                steps=steps,
                recipe_steps=facts.get("recipe_steps"),
                examples=seen,
                of_examples=rows,
                epochs=stage.get("epochs") if stage else epochs,
                tokens=tokens,
            )
        )
    return found


def reached(folder: Path, manifest: AdapterManifest) -> dict[str, int]:
    """Return optimizer steps by stage: all steps of a finished stage, the logged steps of an unfinished one."""
    done = {str(stage.get("name")): int(stage.get("steps") or 0) for stage in manifest.stages}
    return done | {name: steps for name, (steps, _) in _logged(folder / LOG).items() if name not in done}


def _seen(facts: Mapping[str, Any], steps: int, rows: int) -> tuple[int | None, float | None]:
    """Return distinct examples seen and epochs after `steps`; (None, None) for packed rows."""
    per_epoch, per_step = facts.get("steps_per_epoch"), facts.get("examples_per_step")
    if not per_epoch or not per_step or not rows:
        return None, None
    return rows if steps >= per_epoch else min(steps * per_step, rows), round(steps / per_epoch, 3)


def _logged(path: Path) -> dict[str, tuple[int, int]]:
    """Return the last step and the tokens of each stage. Lines that a kill left incomplete are skipped."""
    found: dict[str, tuple[int, int]] = {}
    try:
        lines = path.read_bytes().splitlines()
    except OSError:
        return found
    for text in lines:
        try:
            line = json.loads(text)
            name, step, tokens = str(line["stage"]), int(line["step"]), int(line.get("tokens") or 0)
        except (ValueError, LookupError, TypeError, AttributeError, OverflowError, RecursionError):
            continue
        before = found.get(name, (0, 0))
        found[name] = max(before[0], step), before[1] + tokens
    return found
