"""Reads `samples.jsonl`, checking each line against its seal and the file against the manifest."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from pathlib import Path

from ..core.seals import Chain
from ..core.types import AnswerKey, Record
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
        self.foreign = False  # the lines fit each other, but not the manifest
        self.unsealed = 0  # lines at the beginning that have no seal

    def records(self) -> Iterator[tuple[Record, StoredLine]]:
        """Yield every readable record with its line. A changed line has a `problem`.

        Of two records for one answer, only the first is yielded, unless it was changed.
        """
        asked, seen = set(self.manifest.item_ids), set[AnswerKey]()
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
                problem, record = f"item.id '{record.item.id}' is not an item of this run", None
            if record and record.output.sample not in range(self.manifest.comparable.samples):
                problem, record = f"output.sample {record.output.sample} is not a sample of this run", None
            if problem:
                item = f" (item '{record.item.id}')" if record else ""
                self.changes.append(f"{self.path}, line {line.number}{item}: {problem}")
            if line.number == stored.lines and self.chain.seal.decode() != stored.seal:
                self.foreign = not self.changes
                told = f"{self.path}, line {line.number}: its seal is not the one in {MANIFEST}"
                self.changes += [told] if self.foreign else []
            if record and record.key not in seen:
                if not problem:
                    seen.add(record.key)
                yield record, dataclasses.replace(line, problem=problem) if problem != line.problem else line
        if not self.manifest.checkpoint and not self.chain.lines and self.manifest.had_answers:
            self.changes.append(f"{self.path} is {'empty' if self.path.exists() else 'missing'}, but it had answers")
        if self.chain.lines < stored.lines:
            had = stored.lines
            cut = f"{self.path} ends after line {self.chain.lines}, but {had} lines were stored"
            self.changes.append(cut if self.path.exists() else f"{self.path} is missing; it had {had} lines")

    def told(self) -> str:
        """Return the first change, and how many more there are."""
        more = len(self.changes) - 1
        return self.changes[0] + (f" (and {more} more like it)" if more > 0 else "")


NOTHING = Checkpoint(unsealed=0)  # of a run without answers


def checkpoint(chain: Chain, unsealed: int) -> Checkpoint:
    """Return the checkpoint of samples that end as `chain` does."""
    return Checkpoint(lines=chain.lines, seal=chain.seal.decode(), unsealed=unsealed)
