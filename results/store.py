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

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from ..core.errors import DataMalformed, MedbenchError, UsageError
from ..core.hashing import fingerprint
from ..core.seals import Chain
from ..core.typed import check_fields
from ..core.types import Record, Score
from .files import StoredLine, malformed, sealed_lines, stat_of
from .folders import JUDGEMENTS, SCORES, file_name, has_answers, has_manifest, holds_run, looks_like_run, run_folders
from .judgments import JudgeHeader, JudgeReply
from .manifest_file import ALLOW, MANIFEST, RESTORE, Changed, read_changed, read_manifest
from .records import RECORD, Lines, stored
from .samples import SAMPLES, SamplesReader

REREAD = "+"  # in a record's hash, before that of an answer that is not the stored text

MADE_AGAIN = "The run's command, given again in another folder, makes it anew."
REPAIR = "Restore it, or give the run's command again: it answers these items anew."


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

    def score_file(self, metric: str) -> Path:
        """Where the scores of a metric lie; a name that no file can have is made safe and told apart by a hash."""
        return self.path / SCORES / f"{file_name(metric)}.jsonl"

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
        return self.path / JUDGEMENTS / f"{file_name(metric)}{other}.jsonl"

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
        for folder in [path] if holds_run(path) else run_folders(path):
            folders.setdefault(folder.resolve(), folder)
    given = {path.resolve() for path in places}
    runs, problems = list[StoredRun](), list[MedbenchError]()
    for resolved, folder in folders.items():
        try:
            if not has_manifest(folder):
                raise DataMalformed(f"{folder} holds answers of a run but no {MANIFEST}.", f"{RESTORE} {MADE_AGAIN}")
            run = StoredRun(folder, allow_changed)
        except MedbenchError as error:
            if resolved in given or looks_like_run(folder):
                problems.append(error)
            continue  # another program's manifest.json
        if resolved in given or empty or run.manifest.had_answers or has_answers(folder):
            runs.append(run)
    return runs, problems


def _hash(stored: str, record: Record, line: StoredLine) -> str:
    """The hash of a record: that of its line, and of the answer where today's splitter reads another one in it."""
    text = line.value["output"].get("text")
    answer = record.output.text
    return stored if not isinstance(text, str) or text == answer else f"{stored}{REREAD}{fingerprint(answer)}"
