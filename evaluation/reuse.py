"""Reuses answers of other runs of the same model, so that a larger --limit asks only the items that are new."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Collection, Iterator
from pathlib import Path
from typing import Any

from ..core.errors import MedbenchError
from ..core.types import AnswerKey, Record
from ..results.folders import alike
from ..results.identity import Identity
from ..results.manifest import Manifest
from ..results.store import StoredRun
from ..results.writer import RunWriter
from .plan import Plan, questions

# Fields that may differ between two runs that ask an item the same way, because they depend on which other items are
# asked, and on how often. Instead, hashes of the other run's items and prompts are computed again and compared.
OF_THE_SELECTION = ("items_hash", "prompt_hash", "seed", "samples")


def reuse(plan: Plan, writer: RunWriter, root: Path, tell: Callable[[str, int, int], None]) -> None:
    """Copy other runs' answers to a run's unanswered items into it, and record that in its manifest.

    `tell` gets each run that answers were copied from, how many, and how many this run needs in all.
    """
    for name, found in elsewhere(plan, writer.done, writer.manifest, root):
        writer.append(found)
        settings = writer.manifest.settings
        reused = {**settings.reused, name: settings.reused.get(name, 0) + len(found)}
        writer.update(settings=dataclasses.replace(settings, reused=reused))
        tell(name, len(found), plan.answers)


def elsewhere(
    plan: Plan, done: Collection[AnswerKey], manifest: Manifest, root: Path
) -> Iterator[tuple[str, list[Record]]]:
    """Yield other runs in `root`, by their ids, with their answers to items that nothing has answered yet.

    The other runs must have asked the same model the same prompts in the same way. Unreadable and changed runs are
    skipped. A run that asks its items in several versions copies nothing.
    """
    if plan.versions:
        return
    wanted = dict(plan.open_items(done))
    for folder in alike(root, manifest):
        if not wanted:
            return
        try:
            stored = StoredRun(folder)
            ids = stored.manifest.item_ids
            if {item_id for item_id, _ in wanted}.isdisjoint(ids) or not _asks_the_same(
                plan, ids, stored.manifest.identity
            ):
                continue
            # Read all of it before using any, because seals are checked to the end.
            found = [record for record in stored.iter_records() if record.key in wanted and not record.output.error]
        except MedbenchError:
            continue
        if found:
            yield stored.manifest.run_id, [Record(wanted.pop(record.key), record.output) for record in found]


def _asks_the_same(plan: Plan, ids: tuple[str, ...], identity: Identity) -> bool:
    """Return whether a run of these items and this identity asked them as `plan` does, or would."""
    if _rest(identity) != _rest(plan.identity):
        return False
    drawn = plan.settings.shots or plan.settings.temperature
    if drawn and identity.seed != plan.settings.seed:
        return False  # other examples, or other tokens
    return questions(plan, ids) == (identity.items_hash, identity.prompt_hash)


def _rest(identity: Identity) -> dict[str, Any]:
    return {name: value for name, value in identity.as_json().items() if name not in OF_THE_SELECTION}
