"""Graded and labeled answers as a stored run, and which of them are used."""

from __future__ import annotations

import random
from collections.abc import Sequence
from pathlib import Path

from ...core.errors import UsageError
from ...core.hashing import fingerprint
from ...core.types import Record
from ..identity import Comparable, Identity, run_id
from ..manifest import BenchmarkRecord, Manifest, ModelRecord
from ..manifest_file import MANIFEST
from ..records import encode
from ..store import StoredRun
from ..writer import RunWriter
from .liveqa_grades import RatedAnswers

FOLDER = "agreement"  # in the folder of runs, so that a leaderboard of that folder does not list these
ENGINE = "replay"  # no model ran


def store_grades(graded: RatedAnswers, root: Path) -> StoredRun:
    """Store answers that people have rated as a run in `root`. The same answers are always the same run.

    Raises MedbenchError if it cannot be written.
    """
    content = fingerprint([encode(record) for record in graded.records])
    # No model made this run, so the fields that describe one are empty.
    model = {
        "name": graded.answerers,
        "revision": content,
        "engine": ENGINE,
        "dtype": "",
        "quantize": "",
        "adapter": "",
    }
    comparable = Comparable(
        benchmark=graded.name,
        version=graded.version,
        variant="",
        items_hash=content,
        prompt_hash=fingerprint([[record.item.id, record.output.prompt] for record in graded.records]),
        shots=0,
        method="generate",
    )
    identity = Identity.from_json({"model": model, **comparable.as_json(), "chat": "plain"})
    manifest = Manifest(
        run_id=run_id(graded.answerers, graded.name, identity),
        identity=identity,
        comparable=comparable,
        model=ModelRecord.from_json(model),
        benchmark=BenchmarkRecord(
            name=graded.name,
            version=graded.version,
            sample=False,
            origin=graded.origin,
            notes=tuple(graded.notes),
            licence=graded.licence,
            citation=graded.citation,
            n_total=len(graded.records),
        ),
        method="generate",
        item_ids=tuple(record.item.id for record in graded.records),
    )
    path = root / manifest.run_id
    if not (path / MANIFEST).exists() or not StoredRun(path).complete:
        with RunWriter(root, manifest) as writer:
            writer.append(graded.records)
    return StoredRun(path)


def graded_at_least(records: Sequence[Record], lowest: int | None) -> list[Record]:
    """Return the records that nobody graded below `lowest`; all if it is None. Raises UsageError if there are none."""
    kept = [record for record in records if lowest is None or min(grades_of(record)) >= lowest]
    if not kept:
        raise UsageError(f"--from-grade {lowest}: every answer has a grade below it.")
    return kept


def draw(records: Sequence[Record], limit: int | None, seed: int) -> list[Record]:
    """Return `limit` of the records, drawn by `seed`, in their order; all without a limit."""
    if limit is None or limit >= len(records):
        return list(records)
    drawn = set(random.Random(f"pairs {seed}").sample(sorted(record.item.id for record in records), limit))
    return [record for record in records if record.item.id in drawn]


class RunSubset(StoredRun):
    """A run that shows only some of its records, for a judge to grade. The judge's replies are stored in the run."""

    def __init__(self, run: StoredRun, records: Sequence[Record]) -> None:
        super().__init__(run.path)
        self._seen = list(records)

    def records(self) -> list[Record]:
        return list(self._seen)


def grades_of(record: Record) -> list[int]:
    """Return all grades that people gave this answer."""
    return [int(grade) for grade in record.item.meta["grades"].split(",")]
