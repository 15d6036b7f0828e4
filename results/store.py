"""The run store: one folder per run, which holds everything that a table is made from.

    RUN/manifest.json        what ran, on what, how fast; replaced as a whole
    RUN/samples.jsonl        one Record per line, append-only, on the disk batch by batch
    RUN/scores/METRIC.jsonl  {"metric", "version"}, then one Score per line with the hash of its record, append-only
    RUN/figures.json         figures computed from all of these, for the next table (figure_cache.py)
    RUN/judgements/…         per judge and mode: a header, then one Reply per line, append-only
    RUN/lock                 held while a process answers items
    *.damaged-1              what was changed or damaged, kept when medbench made it anew

Every line and the manifest are sealed (seals.py): a change made afterwards is noticed when they are read. Whatever a
killed process or a full disk leaves behind, what was stored before stays readable.
"""

from __future__ import annotations

import dataclasses
import glob
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any

from ..core.durable import make_folder, refuse_link, replace_file
from ..core.errors import DataMalformed, MedbenchError, UsageError
from ..core.hashing import fingerprint
from ..core.seals import Chain
from ..core.typed import check_fields
from ..core.types import Measured, Record, Score
from .files import LineFile, Lock, StoredLine, malformed, read_lines, remedy, sealed_lines, set_aside, stat_of, tell
from .identity import differing, safe
from .judgments import JudgeHeader, JudgeReply
from .manifest import Latency, Manifest, RunSettings, Session
from .manifest_file import ALLOW, ENDS_AS_ID, MANIFEST, RESTORE, Changed, read_changed, read_manifest, write_manifest
from .records import RECORD, Lines, stored
from .records import decode as decode
from .records import encode as encode
from .records import encode_score as encode_score
from .samples import NOTHING, SamplesReader, checkpoint
from .samples import SAMPLES as SAMPLES

SCORES = "scores"
JUDGEMENTS = "judgements"
LOCK = "lock"
MANIFEST_LOCK = "manifest.lock"  # held for a moment, while the manifest is replaced
REREAD = "+"  # in a record's hash, before that of an answer that is not the stored text

MADE_AGAIN = "The run's command, given again in another folder, makes it anew."
REPAIR = "Restore it, or give the run's command again: it answers these items anew."


def measured(manifest: Manifest) -> Measured:
    """Add up what a run measured over its sessions."""
    sessions = manifest.sessions
    rss = [session.peak_rss_bytes for session in sessions if session.peak_rss_bytes is not None]
    gpu = [session.peak_gpu_memory_bytes for session in sessions if session.peak_gpu_memory_bytes is not None]
    return Measured(
        items=sum(session.items or 0 for session in sessions),
        seconds=float(sum(session.seconds or 0 for session in sessions)),
        prompt_tokens=sum(session.prompt_tokens or 0 for session in sessions),
        completion_tokens=sum(session.completion_tokens or 0 for session in sessions),
        peak_rss_bytes=max(rss, default=None),
        peak_gpu_memory_bytes=max(gpu, default=None),
        latencies_s=manifest.latency.seconds,
        first_token_s=manifest.latency.first_token_s,
    )


def begun(root: Path, model: str, benchmark: str) -> bool:
    """Whether `root` holds any run of this model, by its name, on this benchmark."""
    return any(root.glob(f"{safe(model)}__{safe(benchmark)}__*/{MANIFEST}"))


def alike(root: Path, manifest: Manifest) -> list[Path]:
    """The folders of other runs below `root` of the same model, by its name, on the same benchmark; newest first."""
    stem = manifest.run_id.rpartition("__")[0]
    found = [path.parent for path in root.glob(f"{glob.escape(stem)}__*/{MANIFEST}")]
    others = [folder for folder in found if folder.name != manifest.run_id]
    return sorted(others, key=lambda folder: ((folder / MANIFEST).stat().st_mtime, folder.name), reverse=True)


class RunWriter:
    """Makes the folder `root`/run_id or opens it to resume, and holds its lock while the `with` block lasts.

    On resuming, the stored manifest stands (its sessions, latency, engine and environment are those of the answers
    that are stored); new metric names are added to its own. Entering raises MedbenchError where another process
    writes this run, the folder cannot be written, it holds a run of another identity, or its manifest was changed.

    Lines of samples that were changed or damaged afterwards are dropped, and their items are open again; the file as it
    was is kept beside.
    """

    def __init__(self, root: Path, manifest: Manifest) -> None:
        self.path = root / manifest.run_id
        self.manifest = manifest
        self.done: set[str] = set()  # ids of the items that are stored
        self._lock = Lock(self.path / LOCK, f"the run {self.path}")
        self._samples: LineFile | None = None
        self._appended = False  # since the manifest was written
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
        """Store a batch, or nothing of it. Items that are stored already are left out.

        It is on the disk when this returns or, without `sync`, with the system, which a killed process cannot undo.

        Raises MedbenchError where the disk refuses (what was stored before stays) and ValueError for a record that
        does not belong to this run.
        """
        assert self._samples is not None, "RunWriter is used in a with block"
        new: dict[str, Record] = {}
        for record in records:
            if record.item.id != record.output.item_id:
                raise ValueError(f"output of '{record.output.item_id}' under item '{record.item.id}'")
            if record.item.id not in self.done:
                new.setdefault(record.item.id, record)
        strangers = new.keys() - self._asked
        if strangers:
            raise ValueError(f"not items of this run: {sorted(strangers)[:3]}")
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
        latency: Latency | None = None,
        settings: RunSettings | None = None,
        engine: Mapping[str, Any] | None = None,
        environment: Mapping[str, Any] | None = None,
    ) -> None:
        """Replace fields of the manifest, on the disk at once. What identifies the run cannot change."""
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
        refuse_link(samples)  # nor is what it names copied into this folder
        if (self.path / MANIFEST).exists():
            stored = read_manifest(self.path)
            self._check(stored)
            self.manifest = stored.with_metrics(self.manifest.metrics)
            if self.manifest != stored:
                self._write(self.manifest)
        elif samples.exists():
            raise DataMalformed(f"{self.path} holds answers but no {MANIFEST}.", "Move or delete that folder.")
        else:
            self._write(dataclasses.replace(self.manifest, checkpoint=NOTHING))
        reading = SamplesReader(self.path, self.manifest)
        self.done = {record.item.id for record, line in reading.records() if not line.problem}
        if reading.changes:
            self._repair(reading)
        self._samples = LineFile(samples, reading.chain)
        self._unsealed = reading.unsealed

    def _repair(self, reading: SamplesReader) -> None:
        """Keep the lines that are as they were stored, under new seals, and the file as it is now beside them."""
        samples = self.path / SAMPLES
        again = SamplesReader(self.path, self.manifest)
        good = [line.body for _, line in again.records() if not line.problem]
        # Lines that all fit each other but not the manifest are another file's.
        good, self.done = ([], set()) if again.foreign else (good, self.done)
        kept = set_aside(samples, copy=True) if samples.exists() else None
        chain = Chain.of(self.manifest.run_id, SAMPLES)
        replace_file(samples, b"".join(map(chain.add, good)))
        # What judges said of a run from before has no seals, and need not have them now.
        reading.chain, reading.unsealed = chain, 0 if self.manifest.sealed else max(1, reading.unsealed)
        self._write(dataclasses.replace(self.manifest, checkpoint=checkpoint(chain, reading.unsealed)))
        for path in (self.path / SCORES).glob("*.jsonl"):
            path.unlink()  # scores of the answers that were there; new ones are computed when they are asked for
        lost = f" The file is kept as {kept.name}." if kept else ""
        tell(
            f"{reading.told()}. {len(good)} answers are as they were stored; the other items are answered again.{lost}"
        )

    def _check(self, stored: Manifest) -> None:
        asked = self.manifest
        differences = differing(stored.identity.as_json(), asked.identity.as_json())
        if stored.item_ids != asked.item_ids:
            differences.append(("items", f"{len(stored.item_ids)} items", f"{len(asked.item_ids)} others"))
        if differences:
            name, old, new = differences[0]
            raise MedbenchError(
                f"{self.path} holds another run: {name} is {old!r} there and {new!r} here.",
                "Move or delete that folder, or name another one to write to.",
            )

    def _write(self, manifest: Manifest) -> None:
        try:
            if self._samples is not None and self._samples.chain:
                self._samples.sync()  # what the manifest says is there has to be there
                manifest = dataclasses.replace(manifest, checkpoint=checkpoint(self._samples.chain, self._unsealed))
            with Lock(self.path / MANIFEST_LOCK, f"{self.path / MANIFEST}").held(wait=True):
                if (self.path / MANIFEST).exists():  # `medbench score` may have added metrics meanwhile
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
        safe = f" {len(self.done)} of {len(self.manifest.item_ids)} items are stored and safe." if self.done else ""
        return MedbenchError(
            f"{path} cannot be written: {error.strerror or error}.{safe}",
            f"{remedy(error)}, then give the same command again{': it resumes' if self.done else ''}.",
        )


class StoredRun:
    """A run on the disk, read-only; a process may be writing it meanwhile.

    Raises UsageError where `path` is no run folder, DataMalformed where its manifest is broken, and Changed where the
    manifest is not as medbench wrote it. With `allow_changed` a changed run is read as it is now, and `changes` says
    what was changed, a sentence each; records are checked when they are read.
    """

    def __init__(self, path: Path, allow_changed: bool = False) -> None:
        self.path = path
        self.allow_changed = allow_changed
        self.manifest_stat = stat_of(path / MANIFEST)  # before it is read
        self.manifest, changes = read_changed(path)
        if changes and not allow_changed:
            read_manifest(path)
        self.changes: dict[str, None] = dict.fromkeys(changes)
        self.notes: dict[str, None] = {}  # what was repaired or left out while the run was read, a sentence each
        self._hashes: dict[str, str] = {}  # of each record that was read, by item id
        self._answered: tuple[int, frozenset[str]] = (-1, frozenset())  # at so many bytes of samples, which only grow

    def iter_records(self) -> Iterator[Record]:
        """Records as they were stored; of two for one item, the first. Raises Changed, after the last one, where a line
        is not what medbench stored.
        """
        return (record for record, _ in self._read())

    def records(self) -> list[Record]:
        """All records, in the benchmark's order. Their long texts are read from the disk when they are asked for."""
        position = {item_id: index for index, item_id in enumerate(self.manifest.item_ids)}
        lines, shared = Lines(self.path / SAMPLES), dict[Any, Any]()
        light = [stored(record, lines, line.start, shared) for record, line in self._read()]
        return sorted(light, key=lambda record: position[record.item.id])

    def _read(self) -> Iterator[tuple[Record, StoredLine]]:
        reading, seen = SamplesReader(self.path, self.manifest), set[str]()
        for record, line in reading.records():
            if record.item.id not in seen:
                seen.add(record.item.id)
                self._hashes[record.item.id] = _hash(reading.chain.own, record, line)
                yield record, line
        if reading.changes and not self.allow_changed:
            raise Changed(f"{reading.told()}.", f"{REPAIR} {ALLOW}")
        self.changes.update(dict.fromkeys(reading.changes))

    def record_hash(self, item_id: str) -> str:
        """The hash of an item's record, as its scores hold it; "" where it has no answer."""
        if item_id not in self._hashes:
            self.answered()
        return self._hashes.get(item_id, "")

    def answered(self) -> frozenset[str]:
        """Ids of the items that are stored."""
        path = self.path / SAMPLES
        size = path.stat().st_size if path.exists() else 0
        if self._answered[0] != size:
            self._answered = size, frozenset(record.item.id for record, _ in self._read())
        return self._answered[1]

    @property
    def complete(self) -> bool:
        """Whether every item has an answer as it was stored."""
        try:
            return len(self.answered()) == len(self.manifest.item_ids)
        except Changed:
            return False

    def measured(self) -> Measured:
        """What was measured, over all sessions."""
        return measured(self.manifest)

    def score_file(self, metric: str) -> Path:
        """Where the scores of a metric lie; a name that no file can have is made safe and told apart by a hash."""
        return self.path / SCORES / f"{_file_name(metric)}.jsonl"

    def scores(self, metric: str) -> tuple[str | None, dict[str, Score]]:
        """(version, score by item id) that are stored for a metric; (None, {}) where none are. Raises Changed where the
        file is not as medbench wrote it: `score_run` computes it again.

        The score of an answer that was given again since (the first one was lost or damaged) is none of this run's.
        Scores from before they held the hash of their record are taken as they are, unless the answer is split from its
        reasoning otherwise than it was stored.
        """
        path = self.score_file(metric)
        version: str | None = None
        found: dict[str, Score] = {}
        for line in sealed_lines(path, self.score_chain(metric)):
            problem, score = line.problem, None
            try:
                if line.number == 1:
                    version = str(line.value["version"])
                else:
                    fields = dict(line.value)
                    of = fields.pop(RECORD, None)
                    check_fields(Score, fields)
                    score = Score(**fields)
            except (TypeError, ValueError, LookupError) as error:
                problem = problem if not line.json else f"not a score: {error}"
            if problem:
                item = f" (item '{score.item_id}')" if score else ""
                raise Changed(f"{path}, line {line.number}{item}: {problem}", "Move that file away: it is made again.")
            own = self.record_hash(score.item_id) if score else ""
            if score and (of == own or (of is None and REREAD not in own)):
                found.setdefault(score.item_id, score)
        return version, found

    def score_chain(self, metric: str) -> Chain:
        """The chain of the metric's score file before its first line."""
        return Chain.of(self.manifest.run_id, f"{SCORES}/{metric}", self.manifest.sealed)

    def judgement_chain(self, metric: str, against: str = "") -> Chain:
        return Chain.of(self.manifest.run_id, f"{JUDGEMENTS}/{metric}/{against}", self.manifest.sealed)

    def judgement_file(self, metric: str, against: str = "") -> Path:
        """Where the replies behind a judge's metric lie; `against`: id of the run that this one is compared with."""
        other = f"__against__{against}" if against else ""
        return self.path / JUDGEMENTS / f"{_file_name(metric)}{other}.jsonl"

    def judgements(self, metric: str, against: str = "") -> tuple[JudgeHeader | None, dict[str, JudgeReply]]:
        """Return the header and the replies by their output's item_id that are stored for a judge's metric; (None, {})
        if there are none.

        Of two replies under one id, the later counts: the earlier one judged an answer that was replaced. A reply that
        is not as it was stored is left out, and a note says so. Raises DataMalformed for such a header.
        """
        path = self.judgement_file(metric, against)
        header: JudgeHeader | None = None
        found: dict[str, JudgeReply] = {}
        for line in sealed_lines(path, self.judgement_chain(metric, against)):
            problem, reply = line.problem, None
            try:
                if line.number == 1:
                    header = JudgeHeader.from_json(dict(line.value))
                else:
                    reply = JudgeReply.from_json(line.value)
            except (TypeError, LookupError, ValueError) as error:
                what = "judge's header" if line.number == 1 else "judge's reply"
                problem = problem if not line.json else f"not a {what}: {error}"
            if problem and line.number == 1:
                raise malformed(path, 1, problem, "Restore that file, or move it away to judge again.")
            if problem:
                item = f" (item '{reply.output.item_id}')" if reply else ""
                again = "Left out; the same judge command asks for it again"
                self.notes[f"{path}, line {line.number}{item}: {problem}. {again}."] = None
            elif reply:
                found[reply.output.item_id] = reply
        return header, found

    def judged_against(self, other: str) -> list[str]:
        """The judges' metrics whose replies compare this run with the run of that id, in the alphabet's order."""
        return self._names(f"{JUDGEMENTS}/*__against__{other}.jsonl")

    def judged(self) -> list[str]:
        """The judges' metrics whose replies grade this run's own answers, sorted. They may grade none of them."""
        compared = set(self._names(f"{JUDGEMENTS}/*__against__*.jsonl"))
        return [name for name in self._names(f"{JUDGEMENTS}/*.jsonl") if name not in compared]

    def scored(self) -> list[str]:
        """Names of the metrics that have a score file, in the alphabet's order."""
        return self._names(f"{SCORES}/*.jsonl")

    def _names(self, files: str) -> list[str]:
        """The metrics that the first lines of these files name. A damaged one names none; reading it says so."""
        names = []
        for path in sorted(self.path.glob(files)):
            first = next(sealed_lines(path), None)
            if first and isinstance(first.value, dict) and "metric" in first.value:
                names.append(str(first.value["metric"]))
        return sorted(names)


def all_runs(
    *places: Path, empty: bool = False, allow_changed: bool = False
) -> tuple[list[StoredRun], list[MedbenchError]]:
    """The runs at `places` (each a run folder or a folder of runs), and an error for each that cannot be read.

    Folders that are no runs are passed over and, in a folder of runs, those that never had an answer unless `empty`.
    Raises UsageError for a path that does not exist.
    """
    folders: dict[Path, Path] = {}
    for path in places:
        if not path.is_dir():
            raise UsageError(f"there is no folder {path}.", "medbench run makes runs; --out says where.")
        named = there(path / MANIFEST) or _lost_manifest(path)
        for folder in [path] if named else run_folders(path):
            folders.setdefault(folder.resolve(), folder)
    given = {path.resolve() for path in places}
    runs, problems = list[StoredRun](), list[MedbenchError]()
    for resolved, folder in folders.items():
        try:
            if not there(folder / MANIFEST):
                raise DataMalformed(f"{folder} holds answers of a run but no {MANIFEST}.", f"{RESTORE} {MADE_AGAIN}")
            run = StoredRun(folder, allow_changed)
        except MedbenchError as error:
            if resolved in given or _of_a_run(folder):
                problems.append(error)
            continue  # another program's manifest.json
        if resolved in given or empty or run.manifest.had_answers or has_answers(folder):
            runs.append(run)
    return runs, problems


def run_folders(root: Path) -> list[Path]:
    """The folders in `root` that hold a run, or what is left of one."""
    return [path for path in sorted(root.iterdir()) if there(path / MANIFEST) or _lost_manifest(path)]


def there(path: Path) -> bool:
    """Whether something has this name, or may have it: a folder that we may not look into is read, and named then."""
    try:
        return path.exists()
    except OSError:
        return True


def _lost_manifest(folder: Path) -> bool:
    """Whether a folder holds answers or scores of a run, but not its manifest."""
    if there(folder / MANIFEST) or not any(there(folder / name) for name in (SAMPLES, SCORES, JUDGEMENTS)):
        return False
    return bool(ENDS_AS_ID.search(folder.name)) or _of_a_run(folder)


def _of_a_run(folder: Path) -> bool:
    """Whether a folder has a run's name or a run's answers, whatever its manifest says."""
    if ENDS_AS_ID.search(folder.name):
        return True
    try:
        first = next(sealed_lines(folder / SAMPLES), None)
    except DataMalformed:  # it cannot be read: it may be one
        return True
    return first is not None and isinstance(first.value, dict) and {"item", "output"} <= first.value.keys()


def minute(created: str) -> str:
    """When a run was made, as people read it: "2026-11-24 15:03", UTC."""
    return created[:16].replace("T", " ")


def _hash(stored: str, record: Record, line: StoredLine) -> str:
    """The hash of a record: that of its line, and of the answer where today's splitter reads another one in it."""
    text = line.value["output"].get("text")
    answer = record.output.text
    return stored if not isinstance(text, str) or text == answer else f"{stored}{REREAD}{fingerprint(answer)}"


def has_answers(run: Path) -> bool:
    """Whether it holds an answer, whole or broken; a start that failed leaves a folder without one."""
    try:
        return next(read_lines(run / SAMPLES), None) is not None
    except DataMalformed:
        return True


def _file_name(metric: str) -> str:
    """A name that no file can have is made safe and told apart by a hash."""
    name = safe(metric)
    return name if name == metric else f"{name}-{fingerprint(metric)[:6]}"


def add_metrics(run: Path, names: list[str]) -> None:
    """Have the run's tables show these metrics too, also while another process answers its items. Raises MedbenchError
    where the manifest was changed or cannot be written.
    """
    if all(name in read_changed(run)[0].metrics for name in names):
        return
    try:
        with Lock(run / MANIFEST_LOCK, f"{run / MANIFEST}").held(wait=True):
            write_manifest(run, read_manifest(run).with_metrics(names))
    except OSError as error:
        raise MedbenchError(
            f"{run / MANIFEST} cannot be written: {error.strerror or error}.",
            f"{remedy(error)}, then give the same command again.",
        ) from error
