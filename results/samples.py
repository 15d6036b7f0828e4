"""Reading `samples.jsonl`: each line against its seal, and all of them against what the manifest knows of them."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from pathlib import Path

from ..core.seals import Chain
from ..core.types import Record
from .files import StoredLine, sealed_lines
from .manifest import Checkpoint, Manifest
from .manifest_file import MANIFEST
from .records import contradiction, decode

SAMPLES = "samples.jsonl"


class SamplesReader:
    """One checked pass over a run's samples. After it, `changes` holds a sentence for each line that was changed."""

    def __init__(self, run: Path, manifest: Manifest) -> None:
        self.path = run / SAMPLES
        self.manifest = manifest
        self.chain = Chain.of(manifest.run_id, SAMPLES, manifest.sealed)
        self.changes: list[str] = []
        self.foreign = False  # every line fits the one before it, but they are not those that the manifest knows
        self.unsealed = 0  # lines at the beginning that have no seal

    def records(self) -> Iterator[tuple[Record, StoredLine]]:
        """Every record that can be read, `Line.problem` set for a changed one.

        Of two for one item, the first counts; one that was not changed is given even so where the first one was.
        """
        asked, seen = set(self.manifest.item_ids), set[str]()
        stored = self.manifest.checkpoint or NOTHING
        for line in sealed_lines(self.path, self.chain):
            record, problem = None, line.problem
            self.unsealed += not self.chain.sealed
            try:
                record = decode(line.value) if line.json else None
            except ValueError as error:
                problem = str(error)
            if record and (told := contradiction(record)):
                problem, record = told, None
            if record and record.item.id not in asked:
                problem, record = f"item.id '{record.item.id}' is no item of this run", None
            if problem:
                item = f" (item '{record.item.id}')" if record else ""
                self.changes.append(f"{self.path}, line {line.number}{item}: {problem}")
            if line.number == stored.lines and self.chain.seal.decode() != stored.seal:
                self.foreign = not self.changes
                told = f"{self.path}, line {line.number}: its seal is not the one in {MANIFEST}"
                self.changes += [told] if self.foreign else []
            if record and record.item.id not in seen:
                if not problem:
                    seen.add(record.item.id)
                yield record, dataclasses.replace(line, problem=problem) if problem != line.problem else line
        if not self.manifest.checkpoint and not self.chain.lines and self.manifest.had_answers:
            self.changes.append(f"{self.path} is {'empty' if self.path.exists() else 'missing'}, but it had answers")
        if self.chain.lines < stored.lines:
            had = stored.lines
            cut = f"{self.path} ends after line {self.chain.lines}, but {had} lines were stored"
            self.changes.append(cut if self.path.exists() else f"{self.path} is missing; it had {had} lines")

    def told(self) -> str:
        """The first change, and how many more there are."""
        more = len(self.changes) - 1
        return self.changes[0] + (f" (and {more} more like it)" if more > 0 else "")


NOTHING = Checkpoint(unsealed=0)  # of a run without answers


def checkpoint(chain: Chain, unsealed: int) -> Checkpoint:
    """Return the checkpoint of samples that end as `chain` does."""
    return Checkpoint(lines=chain.lines, seal=chain.seal.decode(), unsealed=unsealed)
