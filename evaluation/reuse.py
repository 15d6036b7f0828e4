"""Answers that another run of the same model already has: a larger --limit, or the whole set, asks only the rest."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from pathlib import Path
from typing import Any

from ..core.errors import MedbenchError
from ..core.types import Record
from ..results.folders import alike
from ..results.identity import Identity
from ..results.store import StoredRun
from ..results.writer import RunWriter
from .plan import Plan, questions

# What may differ between two runs in which an item is the same question: which other items they ask. Hashes of the
# items and prompts of the other run are computed anew and compared.
OF_THE_SELECTION = ("items_hash", "prompt_hash", "seed")


def reuse(plan: Plan, writer: RunWriter, root: Path, tell: Callable[[str, int, int], None]) -> None:
    """Copy into a run the answers that other runs below `root` have to its open items, and note in its manifest which.

    The other run must have asked the same model in the same way, with the same words. `tell` gets each run that gave
    answers, how many, and how many this run wants in all. A run that cannot be read, or was changed after it was
    stored, gives none.
    """
    for folder in alike(root, writer.manifest):
        wanted = {item.id: item for item in plan.items if item.id not in writer.done}
        if not wanted:
            return
        try:
            stored = StoredRun(folder)
            ids = stored.manifest.item_ids
            if wanted.keys().isdisjoint(ids) or not _asks_the_same(plan, ids, stored.manifest.identity):
                continue
            # All of it is read before any is taken: seals are checked to the end.
            found = [record for record in stored.iter_records() if record.item.id in wanted and not record.output.error]
        except MedbenchError:
            continue
        if not found:
            continue
        writer.append(Record(wanted[record.item.id], record.output) for record in found)
        settings = writer.manifest.settings
        name = stored.manifest.run_id
        reused = {**settings.reused, name: settings.reused.get(name, 0) + len(found)}
        writer.update(settings=dataclasses.replace(settings, reused=reused))
        tell(name, len(found), len(plan.items))


def _asks_the_same(plan: Plan, ids: tuple[str, ...], identity: Identity) -> bool:
    """Return whether a run of these items and this identity asked them as `plan` does, or would."""
    if _rest(identity) != _rest(plan.identity):
        return False
    if plan.settings.shots and identity.seed != plan.settings.seed:
        return False  # other examples
    return questions(plan, ids) == (identity.items_hash, identity.prompt_hash)


def _rest(identity: Identity) -> dict[str, Any]:
    return {name: value for name, value in identity.as_json().items() if name not in OF_THE_SELECTION}
