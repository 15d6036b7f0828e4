"""Scores and figures of a stored run, without the model: stored scores are read, missing ones computed and kept."""

from __future__ import annotations

import contextlib
import dataclasses
import errno
import math
import shlex
import time
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol, cast, runtime_checkable

from ..core import registry
from ..core.durable import make_folder, refuse_link, replace_file, sync_file
from ..core.errors import MedbenchError, UsageError
from ..core.stats import clusters_of
from ..core.types import Figure, Measurement, Metric, Record, Score
from . import figure_cache
from .files import NO_LOCKS, READ_ONLY, LineFile, Lock, chain_at_end, remedy, set_aside, to_json
from .manifest_file import Changed
from .records import encode_score
from .samples import SAMPLES
from .store import StoredRun

CLEAN = "_clean"  # ends the name of a figure over the items that no model's training data hold
BATCH = 256  # items scored between two writes: what a kill loses at most
SMALL_BATCH = 16  # where time is short, until one was scored in less than QUICK_SECONDS
QUICK_SECONDS = 0.2

PACKAGE = __name__.partition(".")[0]
JUDGING = ("judge", "jury")  # begin the names of what judges said

Load = Callable[[str], Metric | Measurement]  # by name; raises MedbenchError


@runtime_checkable
class OfRun(Protocol):
    """A metric that reads more of a run than its records: what a judge said of them. Its scores are not kept again."""

    def of_run(self, run: StoredRun) -> Metric:
        """The metric as it is for this run; its `remark`, if it has one, goes with its figures."""
        ...


@dataclass(frozen=True)
class Result:
    """One metric over one run. `values` holds the scored items only, in the benchmark's order."""

    figures: tuple[Figure, ...]
    values: Mapping[str, float] = field(default_factory=dict)
    binary: bool = False
    paired: bool = False  # the first figure is the plain mean of `values`: two runs can be tested item by item
    measured: bool = False  # read off the run as a whole
    clean: Figure | None = None  # the first figure without leaked items, where there are any
    remark: str = ""  # what a reader has to know of it: that a judge judged itself


@dataclass(frozen=True)
class RunScores:
    """Everything a table needs of one run."""

    run: StoredRun
    answered: int
    truncated: int  # answered items whose prompt was cut to fit the model's window
    results: dict[str, Result]  # by metric name, in the order asked for; without those in `problems`
    clusters: dict[str, str] | None  # document by item id, where items share one
    problems: tuple[MedbenchError, ...] = ()


def load_metric(name: str) -> Metric | Measurement:
    """The metric or measurement registered as `name`. Raises UsageError or MedbenchError."""
    if ":" not in name and name.startswith(JUDGING) and name not in registry.names("metrics"):
        raise UsageError(
            f"no metric is called '{name}'.", "A judge is asked by --judge: --judge groq --judge-mode rubric"
        )
    plugin = registry.get("metrics", name)
    if not isinstance(plugin, Metric | Measurement):
        raise MedbenchError(f"'{name}' is no metric: it has neither score and aggregate nor read.")
    return plugin


def load_stored(name: str) -> Metric | Measurement:
    """As `load_metric`, for a name that was read from a run's files, which anyone may have written.

    Only installed code runs. A metric that would run other code, or read a folder, that this command does not name
    gives the scores that are stored and computes none; one that is a .py file cannot be had at all.
    """
    if not registry.uninstalled("metrics", name):
        metric = load_metric(name)
        if metric.canonical_name in ("", name) or ":" not in name:
            return metric
    if registry.is_file("metrics", name):
        raise _unnamed(name)
    return cast(Metric, StoredScores(registry.look_up("metrics", name), name))


class StoredScores:
    """A metric that computes no scores, because that would run code which only a stored file names."""

    def __init__(self, metric: Metric, name: str) -> None:
        self._metric, self._name = metric, name

    def __getattr__(self, part: str) -> Any:
        return getattr(self._metric, part)

    def score(self, records: Sequence[Record]) -> list[Score]:
        """Raise MedbenchError: what could be shown is stored already."""
        raise _unnamed(self._name)


def _unnamed(name: str) -> MedbenchError:
    return MedbenchError(
        f"the metric '{name}' is named by a stored run only, and it is not installed: medbench does not run it.",
        f"If you trust it, name it in this command: --metrics {shlex.quote(name)}",
    )


def bound(run: StoredRun, metric: Metric, records: Sequence[Record]) -> tuple[Metric, list[Score]]:
    """The metric as it is for this run, and its scores, as `score_run` has them."""
    if isinstance(metric, OfRun):
        metric = registry.with_defaults("metrics", metric.of_run(run))
        return metric, _score(metric, records)
    return metric, score_run(run, metric, records)


def score_run(run: StoredRun, metric: Metric, records: Sequence[Record] | None = None) -> list[Score]:
    """One score per stored record, in order. Only what has none under this version is computed, and appended.

    `records`: those of the run, where the caller has read them. Where the run's folder may only be read, scores are
    computed and not kept. Another process that scores with this metric is waited for. A score file that was changed or
    damaged is set aside and its scores are computed again; a note of the run says so. Raises MedbenchError where the
    metric fails or the disk is full.
    """
    records = run.records() if records is None else records
    if isinstance(metric, OfRun):
        return bound(run, metric, records)[1]
    if run.changes:  # what is stored was computed from other answers
        return _score(metric, records)
    version, scores = _stored(run, metric)
    if version != metric.version or any(record.item.id not in scores for record in records):
        scores = _complete(run, metric, records)
    return [scores[record.item.id] for record in records]


def score_some(run: StoredRun, metric: Metric, records: Sequence[Record], seconds: float) -> bool:
    """As `score_run`, for about so many seconds. Whether all are scored then."""
    version, scores = _stored(run, metric)
    if version != metric.version or any(record.item.id not in scores for record in records):
        scores = _complete(run, metric, records, seconds)
    return all(record.item.id in scores for record in records)


def aggregate(metric: Metric, records: Sequence[Record], scores: Sequence[Score], unanswered: int = 0) -> list[Figure]:
    """The metric's figures. `unanswered` items of an unfinished run count into `total`, so that coverage shows them."""
    with _blaming(metric):
        found = metric.aggregate(records, scores)
    # A figure over some of the items only (one subject) cannot know how many of the unanswered are its own.
    whole = len(records)
    return [_finite(dataclasses.replace(f, total=whole + unanswered) if f.total == whole else f) for f in found]


def figures(run: StoredRun, metrics: Sequence[Metric | Measurement]) -> list[Figure]:
    """The figures of a run over the items it has answered. Raises MedbenchError where a metric fails."""
    records = run.records()
    return [figure for metric in metrics for figure in evaluate(run, metric, records).figures]


def evaluate(
    run: StoredRun, metric: Metric | Measurement, records: Sequence[Record], leaked: Collection[str] = ()
) -> Result:
    """One metric over one run, and once more without the `leaked` items. Raises MedbenchError where it fails."""
    if isinstance(metric, Metric):
        metric, scores = bound(run, metric, records)
        values = {score.item_id: score.value for score in scores if score.value is not None}
        found = aggregate(metric, records, scores, len(run.manifest.item_ids) - len(records))
        clean = _clean(run, metric, records, scores, leaked) if leaked and found else None
        remark = str(metric.remark_on(scores) or metric.remark)
        return Result(tuple(found), values, metric.binary, metric.mean, clean=clean, remark=remark)
    with _blaming(metric):
        return Result((_finite(metric.read(run.manifest.measured())),), measured=True)


def _clean(
    run: StoredRun, metric: Metric, records: Sequence[Record], scores: Sequence[Score], leaked: Collection[str]
) -> Figure:
    """The metric's first figure over what is not leaked; without a value where all is."""
    kept = [(r, s) for r, s in zip(records, scores, strict=True) if r.item.id not in leaked]
    asked = sum(item_id not in leaked for item_id in run.manifest.item_ids)
    if not asked:
        return Figure(metric.name + CLEAN, None, 0, 0, better=metric.better)
    first = aggregate(metric, [r for r, _ in kept], [s for _, s in kept], asked - len(kept))[0]
    return dataclasses.replace(first, name=first.name + CLEAN)


def run_scores(
    run: StoredRun, names: Sequence[str], load: Load = load_metric, leaked: Collection[str] = frozenset()
) -> RunScores:
    """All figures of a run under the metrics called `names`, the first of each once more without the `leaked` items.

    A metric that cannot be had leaves the others alone.

    Raises DataMalformed where the run's records are broken.
    """
    results: dict[str, Result] = {}
    problems = []
    metrics: dict[str, Metric | Measurement] = {}
    for name in names:
        try:
            metrics[name] = load(name)
        except MedbenchError as error:
            problems.append(error)
    # What others' metrics depend on cannot be known.
    ours = not problems and all(type(m).__module__.startswith(f"{PACKAGE}.") for m in metrics.values())
    versions = {name: str(metric.version) for name, metric in metrics.items()}
    key = figure_cache.key(run, versions, leaked) if ours and not run.changes else None
    if key and (cached := figure_cache.read(run, key)) is not None:
        return _restored(run, cached)
    records = run.records()
    for name, metric in metrics.items():
        try:
            results[name] = evaluate(run, metric, records, leaked)
        except MedbenchError as error:
            where = "" if str(run.path) in error.message else f"{run.path}: "
            problems.append(MedbenchError(where + error.message, error.hint))
    documents = clusters_of(records)
    clusters = None if documents is None else {r.item.id: name for r, name in zip(records, documents, strict=True)}
    truncated = sum(record.output.truncated_tokens > 0 for record in records)
    made = RunScores(run, len(records), truncated, results, clusters, tuple(problems))
    if key and not (problems or run.changes or run.notes):
        after = figure_cache.key(run, versions, leaked)  # with the score files that were written meanwhile
        if after and after["files"] == key["files"]:
            figure_cache.write(run, after, _kept(made))
    return made


def _kept(made: RunScores) -> dict[str, Any]:
    """A sheet as JSON: what is told by item is a list in the order of the run's items."""
    ids = made.run.manifest.item_ids
    results = {
        name: dataclasses.asdict(dataclasses.replace(result, values={}))
        | {"values": [result.values.get(i) for i in ids] if result.values else []}
        for name, result in made.results.items()
    }
    clusters = None if made.clusters is None else [made.clusters.get(i) for i in ids]
    return {"answered": made.answered, "truncated": made.truncated, "results": results, "clusters": clusters}


def _restored(run: StoredRun, kept: Mapping[str, Any]) -> RunScores:
    ids = run.manifest.item_ids

    def by_item(listed: Sequence[Any]) -> dict[str, Any]:
        return {item_id: value for item_id, value in zip(ids, listed) if value is not None}

    results = {}
    for name, fields in kept["results"].items():
        figures = tuple(Figure(**figure) for figure in fields["figures"])
        clean = fields["clean"] and Figure(**fields["clean"])
        results[name] = Result(**fields | {"figures": figures, "clean": clean, "values": by_item(fields["values"])})
    clusters = None if kept["clusters"] is None else by_item(kept["clusters"])
    return RunScores(run, kept["answered"], kept["truncated"], results, clusters)


def _complete(run: StoredRun, metric: Metric, records: Sequence[Record], seconds: float = math.inf) -> dict[str, Score]:
    """All scores of a run, after scoring and appending the missing ones, or as many of these as `seconds` allow."""
    if isinstance(metric, StoredScores):
        raise _unnamed(metric.name)  # before what is stored under another version is replaced
    path = run.score_file(metric.name)
    lock = Lock(path.with_suffix(".lock"), f"'{metric.name}' of the run {run.path}")
    scores: dict[str, Score] = {}
    try:
        refuse_link(path.parent)
        make_folder(path.parent)
        lock.acquire(wait=True)
        try:
            # Read again: another process may have scored while this one waited.
            try:
                version, scores = run.scores(metric.name)
            except Changed as error:
                version, kept = None, set_aside(path)
                run.notes[f"{error.message}. All its scores were computed again; it is kept as {kept.name}."] = None
            scores = scores if version == metric.version else {}
            missing = [record for record in records if record.item.id not in scores]
            if missing:
                sync_file(run.path / SAMPLES)  # no score outlives its answer in a power cut
            batches = _in_batches(metric, missing, seconds)

            def line(score: Score) -> dict[str, Any]:
                return encode_score(score, run.record_hash(score.item_id))

            if version != metric.version:
                first = next(batches, [])
                lines = [{"metric": metric.name, "version": metric.version}, *map(line, first)]
                replace_file(path, b"".join(map(run.score_chain(metric.name).add, map(to_json, lines))))
                scores.update((score.item_id, score) for score in first)
            if any(record.item.id not in scores for record in missing):
                file = LineFile(path, chain_at_end(path, run.score_chain(metric.name)))
                try:
                    for batch in batches:
                        file.append(map(line, batch))
                        scores.update((score.item_id, score) for score in batch)
                finally:
                    file.close()
        finally:
            lock.release()
    except OSError as error:
        if error.errno not in (*READ_ONLY, *NO_LOCKS, errno.ELOOP):
            raise MedbenchError(
                f"{path} cannot be written: {error.strerror or error}. {len(scores)} of {len(records)} scores are "
                "stored and safe.",
                f"{remedy(error)}, then give the same command again.",
            ) from error
        with contextlib.suppress(Changed):
            version, found = run.scores(metric.name)
            scores = found | scores if version == metric.version else scores
        missing = [record for record in records if record.item.id not in scores]
        scores |= {score.item_id: score for score in _score(metric, missing)}
    return scores


def _in_batches(metric: Metric, records: Sequence[Record], seconds: float) -> Iterator[list[Score]]:
    """Scores of the records, batch by batch: of all, or of at least one batch and as many as `seconds` allow."""
    until, size, done = time.monotonic() + seconds, BATCH if seconds == math.inf else SMALL_BATCH, 0
    while done < len(records) and (not done or time.monotonic() < until):
        started = time.monotonic()
        yield _score(metric, records[done : done + size])
        done += size
        size = BATCH if time.monotonic() - started < QUICK_SECONDS else size


def _stored(run: StoredRun, metric: Metric) -> tuple[str | None, dict[str, Score]]:
    """The metric's stored scores; none where their file was changed, which `_complete` then sets aside."""
    try:
        return run.scores(metric.name)
    except Changed:
        return None, {}


def _score(metric: Metric, records: Sequence[Record]) -> list[Score]:
    """Scores of a batch, checked: one per record in order, and every value a number or unscored."""
    with _blaming(metric):
        scores = metric.score(records)
    if [score.item_id for score in scores] != [record.item.id for record in records]:
        raise MedbenchError(f"the metric '{metric.name}' does not give one score per record, in order.")
    return [_checked(metric, score) for score in scores]


def _checked(metric: Metric, score: Score) -> Score:
    if score.value is None:
        return score
    value = float(score.value)
    if not math.isfinite(value):
        return dataclasses.replace(score, value=None, reason=f"the metric gave {value}")
    if metric.binary and value not in (0.0, 1.0):
        raise MedbenchError(f"the metric '{metric.name}' says it is binary but scores '{score.item_id}' with {value}.")
    return dataclasses.replace(score, value=value)


def _finite(figure: Figure) -> Figure:
    """Without a number that is none: an interval that the data leave open is not shown."""

    def number(value: float | None) -> float | None:
        return None if value is None or not math.isfinite(value) else float(value)

    return dataclasses.replace(figure, value=number(figure.value), low=number(figure.low), high=number(figure.high))


@contextlib.contextmanager
def _blaming(metric: Metric | Measurement) -> Iterator[None]:
    """A stranger's metric may raise anything; it breaks only its own column."""
    try:
        yield
    except MedbenchError:
        raise
    except Exception as error:
        raise MedbenchError(f"the metric '{metric.name}' failed: {registry.told(error)}") from error
