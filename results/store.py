"""The run store: one folder per run, with everything that tables are computed from.

    RUN/manifest.json        what ran, on what, how fast; replaced as a whole
    RUN/samples.jsonl        one Record per line, append-only, flushed to disk after every batch
    RUN/scores/METRIC.jsonl  {"metric", "version"}, then one Score per line with the hash of its record, append-only
    RUN/figures.json         figures computed from all of these, for the next table (figure_cache.py)
    RUN/judgements/…         per judge and mode: a header, then one Reply per line, append-only
    RUN/lock                 locked while a process answers items
    *.damaged-1              a changed or damaged file, kept when medbench writes a new one

Every line and the manifest are sealed (seals.py), so that later changes are noticed when they are read. Whatever a
killed process or a full disk leaves behind, everything that was stored before stays readable.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from ..core.errors import DataMalformed, MedbenchError, UsageError
from ..core.hashing import fingerprint
from ..core.seals import Chain
from ..core.typed import check_fields
from ..core.types import AnswerKey, Record, Score
from .files import StoredLine, malformed, sealed_lines, stat_of
from .folders import JUDGEMENTS, SCORES, file_name, has_answers, has_manifest, holds_run, looks_like_run, run_folders
from .judgments import JudgeHeader, JudgeReply
from .manifest_file import ALLOW, MANIFEST, RESTORE, Changed, read_changed, read_manifest
from .records import RECORD, Lines, stored
from .samples import SAMPLES, SamplesReader

REREAD = "+"  # in a record's hash, before the hash of an answer that differs from the stored text

MADE_AGAIN = "To repeat the run, give its command again with another folder."
REPAIR = "Restore it, or give the run's command again to answer these items again."


class StoredRun:
    """A stored run, read-only. Another process may be writing it.

    Raises UsageError if `path` is not a run's folder, DataMalformed if its manifest is broken, and Changed if the
    manifest was changed after medbench wrote it. With `allow_changed`, a changed run is read as it is now, and
    `changes` has a sentence for each change. Records are checked when they are read.
    """

    def __init__(self, path: Path, allow_changed: bool = False) -> None:
        self.path = path
        self.allow_changed = allow_changed
        self.manifest_stat = stat_of(path / MANIFEST)  # before it is read
        self.manifest, changes = read_changed(path)
        if changes and not allow_changed:
            read_manifest(path)
        self.changes: dict[str, None] = dict.fromkeys(changes)
        self.notes: dict[str, None] = {}  # what was repaired or left out during reading, a sentence each
        self._hashes: dict[AnswerKey, str] = {}  # of each record that was read
        self._answered: tuple[int, frozenset[AnswerKey]] = (-1, frozenset())  # size of the samples in bytes, their keys

    def iter_records(self) -> Iterator[Record]:
        """Yield the records as they were stored; of two for one answer, the first.

        Raises Changed after the last record if a line is not what medbench stored.
        """
        return (record for record, _ in self._read())

    def records(self) -> list[Record]:
        """Return all records in the order of the benchmark's items and of their samples.

        Their long texts are read from disk when they are used.
        """
        position = {item_id: index for index, item_id in enumerate(self.manifest.item_ids)}
        lines, shared = Lines(self.path / SAMPLES), dict[Any, Any]()
        light = [stored(record, lines, line.start, shared) for record, line in self._read()]
        return sorted(light, key=lambda record: (position[record.item.id], record.output.sample))

    def _read(self) -> Iterator[tuple[Record, StoredLine]]:
        reading, seen = SamplesReader(self.path, self.manifest), set[AnswerKey]()
        for record, line in reading.records():
            if record.key not in seen:
                seen.add(record.key)
                self._hashes[record.key] = _hash(reading.chain.own, record, line)
                yield record, line
        if reading.changes and not self.allow_changed:
            raise Changed(f"{reading.told()}.", f"{REPAIR} {ALLOW}")
        self.changes.update(dict.fromkeys(reading.changes))

    def record_hash(self, key: AnswerKey) -> str:
        """Return the hash of a record, as it is in its scores; "" if there is no such answer."""
        if key not in self._hashes:
            self.answered()
        return self._hashes.get(key, "")

    def answered(self) -> frozenset[AnswerKey]:
        """Return the keys of the answers that are stored."""
        path = self.path / SAMPLES
        size = path.stat().st_size if path.exists() else 0
        if self._answered[0] != size:
            self._answered = size, frozenset(record.key for record, _ in self._read())
        return self._answered[1]

    @property
    def complete(self) -> bool:
        """Whether every item has all its answers, and no answer was changed."""
        try:
            return len(self.answered()) == self.manifest.answers
        except Changed:
            return False

    @property
    def begun(self) -> bool:
        """Whether it ever had an answer."""
        return self.manifest.had_answers or has_answers(self.path)

    def score_file(self, metric: str) -> Path:
        """Return the path of a metric's score file."""
        return self.path / SCORES / f"{file_name(metric)}.jsonl"

    def scores(self, metric: str) -> tuple[str | None, dict[AnswerKey, Score]]:
        """Return a metric's stored version and its scores by item and sample; (None, {}) if there are none.

        Raises Changed if the file is not as medbench wrote it; `score_run` then computes it again. The score of an
        answer that was lost or damaged and then replaced is left out. Old scores without the hash of their record
        count, unless the answer is now split from its reasoning differently than when it was stored.
        """
        path = self.score_file(metric)
        version: str | None = None
        found: dict[AnswerKey, Score] = {}
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
                raise Changed(
                    f"{path}, line {line.number}{item}: {problem}",
                    "Move that file away; the scores are then computed again.",
                )
            own = self.record_hash(score.key) if score else ""
            if score and (of == own or (of is None and REREAD not in own)):
                found.setdefault(score.key, score)
        return version, found

    def score_chain(self, metric: str) -> Chain:
        """Return the chain of seals of a metric's score file, before its first line."""
        return Chain.of(self.manifest.run_id, f"{SCORES}/{metric}", self.manifest.sealed)

    def judgement_chain(self, metric: str, against: str = "") -> Chain:
        return Chain.of(self.manifest.run_id, f"{JUDGEMENTS}/{metric}/{against}", self.manifest.sealed)

    def judgement_file(self, metric: str, against: str = "") -> Path:
        """Return the path of a judge's replies; `against`: id of the run compared with this one."""
        other = f"__against__{against}" if against else ""
        return self.path / JUDGEMENTS / f"{file_name(metric)}{other}.jsonl"

    def judgements(self, metric: str, against: str = "") -> tuple[JudgeHeader | None, dict[str, JudgeReply]]:
        """Return the stored header and replies of a judge's metric, the replies by their output's item_id; (None, {})
        if there are none.

        Of two replies with one id, the later counts: the earlier one judged an answer that was replaced. A changed
        reply is left out, and a note says so. Raises DataMalformed for a changed header.
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
                again = "It is left out; the same judge command requests it again"
                self.notes[f"{path}, line {line.number}{item}: {problem}. {again}."] = None
            elif reply:
                found[reply.output.item_id] = reply
        return header, found

    def judged_against(self, other: str) -> list[str]:
        """Return the judges' metrics whose replies compare this run with the run of that id, sorted."""
        return self._names(f"{JUDGEMENTS}/*__against__{other}.jsonl")

    def judged(self) -> list[str]:
        """Return the judges' metrics with replies about this run's own answers, sorted. Replies may be invalid."""
        compared = set(self._names(f"{JUDGEMENTS}/*__against__*.jsonl"))
        return [name for name in self._names(f"{JUDGEMENTS}/*.jsonl") if name not in compared]

    def scored(self) -> list[str]:
        """Return the names of the metrics that have a score file, sorted."""
        return self._names(f"{SCORES}/*.jsonl")

    def _names(self, files: str) -> list[str]:
        """Return the metrics named in the first lines of these files, without damaged ones."""
        names = []
        for path in sorted(self.path.glob(files)):
            first = next(sealed_lines(path), None)
            if first and isinstance(first.value, dict) and "metric" in first.value:
                names.append(str(first.value["metric"]))
        return sorted(names)


def all_runs(
    *places: Path, empty: bool = False, allow_changed: bool = False
) -> tuple[list[StoredRun], list[MedbenchError]]:
    """Return the runs at `places` (each a run's folder or a folder of runs), and an error for each unreadable run.

    Other folders are skipped. So are runs in a folder of runs that never had an answer, unless `empty` is set. Raises
    UsageError for a path that does not exist.
    """
    folders: dict[Path, Path] = {}
    for path in places:
        if not path.is_dir():
            raise UsageError(f"there is no folder {path}.", "medbench run makes runs; --out chooses the folder.")
        for folder in [path] if holds_run(path) else run_folders(path):
            folders.setdefault(folder.resolve(), folder)
    given = {path.resolve() for path in places}
    runs, problems = list[StoredRun](), list[MedbenchError]()
    for resolved, folder in folders.items():
        try:
            if not has_manifest(folder):
                raise DataMalformed(f"{folder} has answers of a run but no {MANIFEST}.", f"{RESTORE} {MADE_AGAIN}")
            run = StoredRun(folder, allow_changed)
        except MedbenchError as error:
            if resolved in given or looks_like_run(folder):
                problems.append(error)
            continue  # another program's manifest.json
        if resolved in given or empty or run.begun:
            runs.append(run)
    return runs, problems


def _hash(stored: str, record: Record, line: StoredLine) -> str:
    """Return the hash of a record's line, plus that of its answer if the answer is now split from it differently."""
    text = line.value["output"].get("text")
    answer = record.output.text
    return stored if not isinstance(text, str) or text == answer else f"{stored}{REREAD}{fingerprint(answer)}"
