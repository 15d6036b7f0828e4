"""The run store: one folder per run, which holds everything that a table is made from.

    RUN/manifest.json        what ran, on what, how fast; replaced as a whole
    RUN/samples.jsonl        one Record per line, append-only, on the disk batch by batch
    RUN/scores/METRIC.jsonl  {"metric", "version"}, then one Score per line, append-only
    RUN/judgements/…         per judge and mode: a header, then one Reply per line, append-only
    RUN/lock                 held while a process writes

Whatever a killed process or a full disk leaves behind, what was stored before stays readable.
"""

from __future__ import annotations

import dataclasses
import json
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Any

from ..core.durable import replace_file
from ..core.errors import DataMalformed, MedbenchError, UsageError
from ..core.json_text import loads
from ..core.plan import fingerprint
from ..core.types import Measured, Output, Record, Score
from .files import LineFile, Lock, malformed, placed_lines, read_lines, remedy, to_json
from .records import Lines, compact, stored
from .records import decode as decode  # the lines of samples.jsonl belong to this module's surface
from .records import encode as encode
from .records import encode_score as encode_score

MANIFEST = "manifest.json"
SAMPLES = "samples.jsonl"
SCORES = "scores"
JUDGEMENTS = "judgements"
LOCK = "lock"


@dataclass(frozen=True)
class Manifest:
    """Everything about a run but its answers. All values are what JSON can hold."""

    run_id: str
    identity: dict[str, Any]  # everything that changes an answer; its hash ends the run_id
    comparable: dict[str, Any]  # what two runs must share to stand in one column
    model: dict[str, Any]  # ModelSpec
    benchmark: dict[str, Any]  # name, version, variant, sample, origin, notes, licence, citation, metrics, n_total
    method: str  # "logprob" or "generate"
    item_ids: tuple[str, ...]  # in the benchmark's order
    settings: dict[str, Any] = field(default_factory=dict)  # limit, seed, shots, chat, items_file, max_new_tokens, stop
    engine: dict[str, Any] = field(default_factory=dict)  # Engine.describe()
    environment: dict[str, Any] = field(default_factory=dict)  # package versions, python, platform, cpu, gpu, git
    command: list[str] = field(default_factory=list)
    created: str = ""  # ISO 8601, UTC
    metrics: list[str] = field(default_factory=list)  # names, in the order they are shown
    sittings: list[dict[str, Any]] = field(default_factory=list)  # one per process that answered items
    latency: dict[str, list[float]] = field(default_factory=dict)  # "seconds", "first_token_s": one per timed request


@dataclass(frozen=True, slots=True)
class Reply:
    """What a judge gave back, as its engine did, bound to what it was shown."""

    asked: str  # hash of the material; another answer than the one judged has another
    output: Output  # its item_id: the item's, and in which order two answers stood


def run_id(model: str, benchmark: str, identity: Mapping[str, Any]) -> str:
    """The run's name and folder: model, benchmark and ten digits of the identity's hash, safe for any file system."""
    return f"{_safe(model)}__{_safe(benchmark)}__{fingerprint(dict(identity))[:10]}"


def begun(root: Path, model: str, benchmark: str) -> bool:
    """Whether `root` holds any run of this model, by its name, on this benchmark."""
    return any(root.glob(f"{_safe(model)}__{_safe(benchmark)}__*/{MANIFEST}"))


def differing(a: Mapping[str, Any], b: Mapping[str, Any], prefix: str = "") -> list[tuple[str, Any, Any]]:
    """(field, value in a, value in b) wherever two JSON objects differ; nested fields are named `outer.inner`."""
    found: list[tuple[str, Any, Any]] = []
    for key in [*a, *(key for key in b if key not in a)]:
        one, other = a.get(key), b.get(key)
        if isinstance(one, Mapping) and isinstance(other, Mapping):
            found += differing(one, other, f"{prefix}{key}.")
        elif _plain(one) != _plain(other):
            found.append((prefix + key, one, other))
    return found


class RunWriter:
    """Makes the folder `root`/run_id or opens it to resume, and holds its lock while the `with` block lasts.

    On resuming, the stored manifest stands (its sittings, latency, engine and environment are those of the answers
    that are stored); new metric names are added to its own. Entering raises MedbenchError where another process
    writes this run, the folder cannot be written, or it holds a run of another identity.
    """

    def __init__(self, root: Path, manifest: Manifest) -> None:
        self.path = root / manifest.run_id
        self.manifest = manifest
        self.done: set[str] = set()  # ids of the items that are stored
        self._lock = Lock(self.path / LOCK, f"the run {self.path}")
        self._samples: LineFile | None = None
        self._asked = frozenset(manifest.item_ids)
        if len(self._asked) < len(manifest.item_ids):
            twice = next(i for i in manifest.item_ids if manifest.item_ids.count(i) > 1)
            raise MedbenchError(f"the benchmark {manifest.benchmark.get('name')} has two items called '{twice}'.")

    def __enter__(self) -> RunWriter:
        try:
            self.path.mkdir(parents=True, exist_ok=True)
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

    def update(self, **changes: Any) -> None:
        """Replace fields of the manifest, on the disk at once. What makes the run this run cannot change."""
        fixed = changes.keys() & {"run_id", "identity", "comparable", "item_ids", "method"}
        if fixed:
            raise ValueError(f"fixed when the run was made: {', '.join(sorted(fixed))}")
        self._write(dataclasses.replace(self.manifest, **changes))

    def _open(self) -> None:
        if (self.path / MANIFEST).exists():
            stored = read_manifest(self.path)
            self._check(stored)
            added = [name for name in self.manifest.metrics if name not in stored.metrics]
            self.manifest = dataclasses.replace(stored, metrics=[*stored.metrics, *added])
            if added:
                self._write(self.manifest)
        elif (self.path / SAMPLES).exists():
            raise DataMalformed(f"{self.path} holds answers but no {MANIFEST}.", "Move or delete that folder.")
        else:
            self._write(self.manifest)
        self.done = _answered(self.path, self.manifest)
        self._samples = LineFile(self.path / SAMPLES)

    def _check(self, stored: Manifest) -> None:
        asked = self.manifest
        differences = differing(stored.identity, asked.identity)
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
            replace_file(self.path / MANIFEST, to_json(dataclasses.asdict(manifest), indent=1))
        except OSError as error:
            raise self._not_written(self.path / MANIFEST, error) from error
        self.manifest = manifest

    def _close(self) -> None:
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
    """A run as it lies on the disk, read-only; a process may be writing it meanwhile.

    Raises UsageError where `path` is no run folder and DataMalformed where its manifest is broken.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.manifest = read_manifest(path)
        self._answered: tuple[int, frozenset[str]] = (-1, frozenset())  # at so many bytes of samples, which only grow

    def iter_records(self) -> Iterator[Record]:
        """Records as they were stored; of two for one item, the first. Raises DataMalformed for a broken line."""
        yield from _records(self.path, self.manifest)

    def records(self) -> list[Record]:
        """All records, in the benchmark's order. Their long texts are read from the disk when they are asked for."""
        position = {item_id: index for index, item_id in enumerate(self.manifest.item_ids)}
        lines, shared = Lines(self.path / SAMPLES), dict[Any, Any]()
        light = (stored(record, lines, start, shared) for record, start in _placed(self.path, self.manifest))
        return sorted(light, key=lambda record: position[record.item.id])

    def answered(self) -> frozenset[str]:
        """Ids of the items that are stored."""
        path = self.path / SAMPLES
        size = path.stat().st_size if path.exists() else 0
        if self._answered[0] != size:
            self._answered = size, frozenset(_answered(self.path, self.manifest))
        return self._answered[1]

    @property
    def complete(self) -> bool:
        return len(self.answered()) == len(self.manifest.item_ids)

    def measured(self) -> Measured:
        """What was measured, over all sittings."""
        sittings, latency = self.manifest.sittings, self.manifest.latency

        def total(name: str) -> Any:
            return sum(sitting.get(name) or 0 for sitting in sittings)

        def peak(name: str) -> int | None:
            return max((sitting[name] for sitting in sittings if sitting.get(name) is not None), default=None)

        return Measured(
            items=total("items"),
            seconds=float(total("seconds")),
            prompt_tokens=total("prompt_tokens"),
            completion_tokens=total("completion_tokens"),
            peak_rss_bytes=peak("peak_rss_bytes"),
            peak_gpu_memory_bytes=peak("peak_gpu_memory_bytes"),
            latencies_s=tuple(latency.get("seconds", ())),
            first_token_s=tuple(latency.get("first_token_s", ())),
        )

    def score_file(self, metric: str) -> Path:
        """Where the scores of a metric lie; a name that no file can have is made safe and told apart by a hash."""
        return self.path / SCORES / f"{_file_name(metric)}.jsonl"

    def scores(self, metric: str) -> tuple[str | None, dict[str, Score]]:
        """(version, score by item id) that are stored for a metric; (None, {}) where none are."""
        path = self.score_file(metric)
        version: str | None = None
        found: dict[str, Score] = {}
        for number, value in read_lines(path):
            try:
                if number == 1:
                    version = str(value["version"])
                else:
                    score = Score(**value)
                    found.setdefault(score.item_id, score)
            except (TypeError, LookupError) as error:
                raise malformed(path, number, f"not a score: {error}") from error
        return version, found

    def judgement_file(self, metric: str, against: str = "") -> Path:
        """Where the replies behind a judge's metric lie; `against`: id of the run that this one is compared with."""
        other = f"__against__{against}" if against else ""
        return self.path / JUDGEMENTS / f"{_file_name(metric)}{other}.jsonl"

    def judgements(self, metric: str, against: str = "") -> tuple[dict[str, Any], dict[str, Reply]]:
        """(header, reply by its output's item_id) that are stored for a judge's metric; ({}, {}) where none are.

        Of two replies under one id, the later: the earlier one judged an answer that was replaced.
        """
        path = self.judgement_file(metric, against)
        header: dict[str, Any] = {}
        found: dict[str, Reply] = {}
        for number, value in read_lines(path):
            try:
                if number == 1:
                    header = dict(value)
                else:
                    reply = Reply(str(value["asked"]), Output(**value["output"]))
                    found[reply.output.item_id] = reply
            except (TypeError, LookupError, ValueError) as error:
                raise malformed(path, number, f"not a judge's reply: {error}") from error
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
        """The metrics that the first lines of these files name."""
        names = []
        for path in sorted(self.path.glob(files)):
            for number, value in read_lines(path):
                try:
                    names.append(str(value["metric"]))
                except (TypeError, LookupError) as error:
                    raise malformed(path, number, "names no metric") from error
                break
        return sorted(names)


def read_manifest(run: Path) -> Manifest:
    """Raises UsageError where `run` is no run folder, DataMalformed where its manifest is broken."""
    path = run / MANIFEST
    try:
        value = loads(path.read_bytes())
    except (FileNotFoundError, NotADirectoryError):
        message = f"{run} is no run folder: it has no {MANIFEST}."
        raise UsageError(message, "The runs: medbench list runs") from None
    except (OSError, ValueError) as error:
        raise DataMalformed(f"{path} cannot be read: {error}", "Restore it, or move that run away.") from error
    known = {f.name: f for f in dataclasses.fields(Manifest)}
    if not isinstance(value, dict):
        raise DataMalformed(f"{path}: not a JSON object", "Restore it, or move that run away.")
    kinds: dict[str, type] = dict.fromkeys(known, dict) | dict.fromkeys(("run_id", "method", "created"), str)
    kinds |= dict.fromkeys(("item_ids", "command", "metrics", "sittings"), list)
    for name, f in known.items():
        required = f.default is dataclasses.MISSING and f.default_factory is dataclasses.MISSING
        if (required or name in value) and not isinstance(value.get(name), kinds[name]):
            problem = f"should be a {kinds[name].__name__}" if name in value else "is missing"
            raise DataMalformed(f"{path}: the field '{name}' {problem}", "Restore it, or move that run away.")
    # A later version may have added fields; what this one does not know it does not read.
    fields = {name: value[name] for name in known if name in value}
    fields["comparable"] = _with_budget(fields["comparable"], fields["method"], fields.get("settings", {}))
    return Manifest(**fields | {"item_ids": tuple(fields["item_ids"])})


def _with_budget(comparable: dict[str, Any], method: str, settings: Mapping[str, Any]) -> dict[str, Any]:
    """`comparable` with what ends a generated answer; earlier versions kept that in the settings only."""
    if method != "generate" or "max_new_tokens" in comparable or "max_new_tokens" not in settings:
        return comparable
    return comparable | {"max_new_tokens": settings["max_new_tokens"], "stop": settings.get("stop", [])}


def all_runs(*places: Path, empty: bool = False) -> tuple[list[StoredRun], list[MedbenchError]]:
    """The runs at `places` (each a run folder or a folder of runs), and an error for each that cannot be read.

    Folders that are no runs are passed over and, in a folder of runs, those without an answer unless `empty`. Raises
    UsageError for a path that does not exist.
    """
    folders: dict[Path, Path] = {}
    for path in places:
        if not path.is_dir():
            raise UsageError(f"there is no folder {path}.", "medbench run makes runs; --out says where.")
        named = (path / MANIFEST).exists()
        for folder in [path] if named else run_folders(path):
            if named or empty or has_answers(folder):
                folders.setdefault(folder.resolve(), folder)
    runs, problems = list[StoredRun](), list[MedbenchError]()
    for folder in folders.values():
        try:
            runs.append(StoredRun(folder))
        except MedbenchError as error:
            problems.append(error)
    return runs, problems


def minute(created: str) -> str:
    """When a run was made, as people read it: "2026-11-24 15:03", UTC."""
    return created[:16].replace("T", " ")


def encode_reply(reply: Reply) -> dict[str, Any]:
    """A judge's reply as JSON: fields of its output that hold their default are left out."""
    return {"asked": reply.asked, "output": compact(reply.output)}


def _records(run: Path, manifest: Manifest) -> Iterator[Record]:
    """Records as they were stored; of two for one item, the first."""
    return (record for record, _ in _placed(run, manifest))


def _placed(run: Path, manifest: Manifest) -> Iterator[tuple[Record, int]]:
    """Records as they were stored, and at which byte of the samples each line begins."""
    asked, seen = set(manifest.item_ids), set[str]()
    path = run / SAMPLES
    for number, start, value in placed_lines(path):
        try:
            record = decode(value)
        except ValueError as error:
            raise malformed(path, number, str(error)) from error
        if record.item.id not in asked:
            raise malformed(path, number, f"item.id '{record.item.id}' is no item of this run")
        if record.item.id not in seen:
            seen.add(record.item.id)
            yield record, start


def _answered(run: Path, manifest: Manifest) -> set[str]:
    return {record.item.id for record in _records(run, manifest)}


def run_folders(root: Path) -> list[Path]:
    return sorted(path.parent for path in root.glob(f"*/{MANIFEST}"))


def has_answers(run: Path) -> bool:
    """Whether it holds an answer, whole or broken; a start that failed leaves a folder without one."""
    try:
        return next(read_lines(run / SAMPLES), None) is not None
    except DataMalformed:
        return True


def _safe(name: str) -> str:
    return re.sub(r"[^A-Za-z0-9._@+-]+", "_", name).lstrip("._-")[:60] or "_"


def _file_name(metric: str) -> str:
    """A name that no file can have is made safe and told apart by a hash."""
    safe = _safe(metric)
    return safe if safe == metric else f"{safe}-{fingerprint(metric)[:6]}"


def _plain(value: Any) -> Any:
    """As JSON gives it back: tuples are lists there."""
    return json.loads(json.dumps(value))


def add_metrics(run: Path, names: list[str]) -> None:
    """Have the run's tables show these metrics too. Raises MedbenchError while another process writes the run."""
    stored = read_manifest(run)
    if any(name not in stored.metrics for name in names):
        # Opening a run to write joins the metrics asked for to its own.
        with RunWriter(run.parent, dataclasses.replace(stored, run_id=run.name, metrics=names)):
            pass
