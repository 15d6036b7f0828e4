"""What a training has really done, stage by stage: from its manifest if a stage is done, else from its log."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .adapters import AdapterManifest

LOG = "log.jsonl"


@dataclass(frozen=True)
class Trained:
    """One stage as it was trained. None: not known, as in trainings from before this was recorded."""

    stage: str
    done: bool
    steps: int  # optimizer steps taken
    recipe_steps: int | None  # steps of the whole recipe
    examples: int | None  # different examples seen
    of_examples: int  # examples drawn
    epochs: float | None
    tokens: int  # gone through, padding not counted

    @property
    def early(self) -> bool:
        """Whether it took fewer steps than the recipe has."""
        return self.recipe_steps is not None and self.steps < self.recipe_steps

    def words(self) -> str:
        """The stage in one line."""
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
    """Every stage that has begun."""
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
    """Optimizer steps by stage: of those that are done, and as far as the log goes of the one that is not."""
    done = {str(stage.get("name")): int(stage.get("steps") or 0) for stage in manifest.stages}
    return done | {name: steps for name, (steps, _) in _logged(folder / LOG).items() if name not in done}


def _seen(facts: Mapping[str, Any], steps: int, rows: int) -> tuple[int | None, float | None]:
    """(different examples, epochs) after `steps`; packed rows are not counted."""
    per_epoch, per_step = facts.get("steps_per_epoch"), facts.get("examples_per_step")
    if not per_epoch or not per_step or not rows:
        return None, None
    return rows if steps >= per_epoch else min(steps * per_step, rows), round(steps / per_epoch, 3)


def _logged(path: Path) -> dict[str, tuple[int, int]]:
    """(last step, tokens) by stage. Lines that a kill or damage left unreadable are left out."""
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
