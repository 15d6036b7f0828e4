"""Writes a run: makes or resumes its folder, appends answers, replaces its manifest."""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any

from ..core.durable import make_folder, refuse_link, replace_file
from ..core.errors import DataMalformed, MedbenchError
from ..core.seals import Chain
from ..core.types import AnswerKey, Record, answer_name
from .files import LineFile, Lock, remedy, set_aside, tell
from .folders import SCORES
from .identity import differing
from .manifest import Manifest, RequestTimes, RunSettings, Session
from .manifest_file import MANIFEST, read_changed, read_manifest, write_manifest
from .records import encode
from .samples import NOTHING, SAMPLES, SamplesReader, checkpoint

LOCK = "lock"
MANIFEST_LOCK = "manifest.lock"  # locked for a moment while the manifest is replaced


class RunWriter:
    """Makes the folder `root`/run_id, or opens it to resume. Use it in a `with` block, which locks the run.

    A resumed run keeps its manifest, because its sessions, latency, engine and environment describe the stored
    answers; only new metrics are added. Entering the block raises MedbenchError if another process writes this run, if
    the folder cannot be written or has a run of another identity, and if its manifest was changed.

    Changed or damaged lines of the samples are dropped, so that their items are answered again. A copy of the file is
    kept beside it.
    """

    def __init__(self, root: Path, manifest: Manifest) -> None:
        self.path = root / manifest.run_id
        self.manifest = manifest
        self.done: set[AnswerKey] = set()  # keys of the answers that are stored
        self._lock = Lock(self.path / LOCK, f"the run {self.path}")
        self._samples: LineFile | None = None
        self._appended = False  # since the manifest was last written
        self._unsealed = 0
        self._asked = frozenset(manifest.item_ids)
        if len(self._asked) < len(manifest.item_ids):
            twice = next(i for i in manifest.item_ids if manifest.item_ids.count(i) > 1)
            raise MedbenchError(f"the benchmark {manifest.benchmark.name} has two items called '{twice}'.")

    def __enter__(self) -> RunWriter:
        try:
            refuse_link(self.path)
            make_folder(self.path)
            self._lock.acquire()
            try:
                self._open()
            except BaseException:
                self._close()
                raise
        except OSError as error:
            raise self._not_written(self.path, error) from error
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._close()

    def append(self, records: Iterable[Record], sync: bool = True) -> None:
        """Store all records of a batch, or none. Answers that are stored already are left out.

        When this returns, the records are on disk or, without `sync`, in the system's cache, which survives a killed
        process but not a power cut.

        Raises MedbenchError if the disk cannot be written (everything stored before is kept) and ValueError for a
        record that does not belong to this run.
        """
        assert self._samples is not None, "RunWriter is used in a with block"
        new: dict[AnswerKey, Record] = {}
        for record in records:
            if record.item.id != record.output.item_id:
                raise ValueError(f"output of '{record.output.item_id}' under item '{record.item.id}'")
            if record.key not in self.done:
                new.setdefault(record.key, record)
        samples = range(self.manifest.comparable.samples)
        strangers = sorted(key for key in new if key[0] not in self._asked or key[1] not in samples)
        if strangers:
            raise ValueError(f"not asked by this run: {', '.join(map(answer_name, strangers[:3]))}")
        if not new:
            return
        try:
            self._samples.append((encode(record) for record in new.values()), sync)
        except OSError as error:
            raise self._not_written(self.path / SAMPLES, error) from error
        self.done.update(new)
        self._appended = True

    def update(
        self,
        *,
        sessions: Sequence[Session] | None = None,
        latency: RequestTimes | None = None,
        settings: RunSettings | None = None,
        engine: Mapping[str, Any] | None = None,
        environment: Mapping[str, Any] | None = None,
    ) -> None:
        """Replace fields of the manifest on disk. What identifies the run cannot change."""
        now = self.manifest
        changed = dataclasses.replace(
            now,
            sessions=now.sessions if sessions is None else tuple(sessions),
            latency=now.latency if latency is None else latency,
            settings=now.settings if settings is None else settings,
            engine=now.engine if engine is None else engine,
            environment=now.environment if environment is None else environment,
        )
        self._write(changed)
        self._appended = False

    def _open(self) -> None:
        samples = self.path / SAMPLES
        refuse_link(samples)  # its target must not be copied into this folder either
        if (self.path / MANIFEST).exists():
            stored = read_manifest(self.path)
            self._check(stored)
            self.manifest = stored.with_metrics(self.manifest.metrics)
            if self.manifest != stored:
                self._write(self.manifest)
        elif samples.exists():
            raise DataMalformed(f"{self.path} has answers but no {MANIFEST}.", "Move or delete that folder.")
        else:
            self._write(dataclasses.replace(self.manifest, checkpoint=NOTHING))
        reading = SamplesReader(self.path, self.manifest)
        self.done = {record.key for record, line in reading.records() if not line.problem}
        if reading.changes:
            self._repair(reading)
        self._samples = LineFile(samples, reading.chain)
        self._unsealed = reading.unsealed

    def _repair(self, reading: SamplesReader) -> None:
        """Write the unchanged lines to a new file with new seals, and keep the file as it is now beside it."""
        samples = self.path / SAMPLES
        again = SamplesReader(self.path, self.manifest)
        good = [line.body for _, line in again.records() if not line.problem]
        # Lines whose seals fit each other but not the manifest come from another file.
        good, self.done = ([], set()) if again.foreign else (good, self.done)
        kept = set_aside(samples, copy=True) if samples.exists() else None
        chain = Chain.of(self.manifest.run_id, SAMPLES)
        replace_file(samples, b"".join(map(chain.add, good)))
        # Judges' replies to a run made before sealing have no seals, and still need none.
        reading.chain, reading.unsealed = chain, 0 if self.manifest.sealed else max(1, reading.unsealed)
        self._write(dataclasses.replace(self.manifest, checkpoint=checkpoint(chain, reading.unsealed)))
        for path in (self.path / SCORES).glob("*.jsonl"):
            path.unlink()  # scores of the old answers; new ones are computed on demand
        lost = f" The file is kept as {kept.name}." if kept else ""
        tell(f"{reading.told()}. {len(good)} answers are unchanged; the other items are answered again.{lost}")

    def _check(self, stored: Manifest) -> None:
        asked = self.manifest
        differences = differing(stored.identity.as_json(), asked.identity.as_json())
        if stored.item_ids != asked.item_ids:
            differences.append(("items", f"{len(stored.item_ids)} items", f"{len(asked.item_ids)} others"))
        if differences:
            name, old, new = differences[0]
            raise MedbenchError(
                f"{self.path} has another run: {name} is {old!r} there and {new!r} here.",
                "Move or delete that folder, or choose another one to write to.",
            )

    def _write(self, manifest: Manifest) -> None:
        try:
            if self._samples is not None and self._samples.chain:
                self._samples.sync()  # the manifest must not mention lines that are not on disk
                manifest = dataclasses.replace(manifest, checkpoint=checkpoint(self._samples.chain, self._unsealed))
            with Lock(self.path / MANIFEST_LOCK, f"{self.path / MANIFEST}").held(wait=True):
                if (self.path / MANIFEST).exists():  # `medbench score` may have added metrics in the meantime
                    manifest = manifest.with_metrics(read_manifest(self.path).metrics)
                write_manifest(self.path, manifest)
        except OSError as error:
            raise self._not_written(self.path / MANIFEST, error) from error
        self.manifest = manifest

    def _close(self) -> None:
        try:
            chain = self._samples.chain if self._samples else None
            if chain and self._appended:
                self._appended = False
                self._write(self.manifest)
        finally:
            if self._samples is not None:
                self._samples.close()
                self._samples = None
            self._lock.release()

    def _not_written(self, path: Path, error: OSError) -> MedbenchError:
        what = "items" if self.manifest.comparable.samples == 1 else "answers"
        here = next(folder for folder in (self.path, *self.path.parents) if os.access(folder, os.F_OK))
        safe = f" {len(self.done)} of {self.manifest.answers} {what} are stored and safe." if self.done else ""
        return MedbenchError(
            f"{path} cannot be written: {error.strerror or error}.{safe}",
            f"{remedy(error, here)}, then run the same command again{': it resumes' if self.done else ''}.",
        )


def add_metrics(run: Path, names: list[str]) -> None:
    """Add metrics to the run's tables, even while another process answers its items.

    Raises MedbenchError if the manifest was changed or cannot be written.
    """
    if all(name in read_changed(run)[0].metrics for name in names):
        return
    try:
        with Lock(run / MANIFEST_LOCK, f"{run / MANIFEST}").held(wait=True):
            write_manifest(run, read_manifest(run).with_metrics(names))
    except OSError as error:
        raise MedbenchError(
            f"{run / MANIFEST} cannot be written: {error.strerror or error}.",
            f"{remedy(error, run)}, then run the same command again.",
        ) from error
