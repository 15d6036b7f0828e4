"""Scores and figures of a stored run, without its model. Stored scores are read; missing ones are computed and kept."""

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
from ..core.types import AnswerKey, Figure, Measurement, Metric, Record, Score
from ..metrics.versions import spread_figures
from . import figure_cache
from .files import NO_LOCKS, READ_ONLY, LineFile, Lock, chain_at_end, remedy, set_aside, to_json
from .item_values import item_documents, item_means
from .manifest_file import Changed
from .one_sided import CHOICE, one_sided
from .records import encode_score
from .samples import SAMPLES
from .store import StoredRun

CLEAN = "_clean"  # suffix of a figure over the items that are in no model's training data
BATCH = 256  # items scored between two writes, so a killed process loses at most these
SMALL_BATCH = 16  # if time is short, until one batch takes less than QUICK_SECONDS
QUICK_SECONDS = 0.2

PACKAGE = __name__.partition(".")[0]
JUDGING = ("judge", "jury")  # prefixes of judges' metrics

Load = Callable[[str], Metric | Measurement]  # by name; raises MedbenchError


@runtime_checkable
class OfRun(Protocol):
    """A metric that reads more of a run than its records, such as a judge's replies. Its scores are not stored."""

    def of_run(self, run: StoredRun) -> Metric:
        """Return the metric for this run. Its `remark`, if any, is shown with its figures."""
        ...


@dataclass(frozen=True)
class Result:
    """One metric over one run. `values` has only the scored items, in the benchmark's order."""

    figures: tuple[Figure, ...]
    values: Mapping[str, float] = field(default_factory=dict)
    binary: bool = False
    paired: bool = False  # the first figure is the plain mean of `values`: two runs can be tested item by item
    measured: bool = False  # over the whole run, not per item
    clean: Figure | None = None  # the first figure without leaked items, if there are any
    remark: str = ""  # what readers must know: that a judge graded itself
    one_sided: str = ""  # "chooses A in 100% of its 40 answers read" (one_sided.py)


@dataclass(frozen=True)
class RunScores:
    """Everything that a table needs from one run."""

    run: StoredRun
    answered: int
    truncated: int  # answered items whose prompt was cut to fit the model's context window
    results: dict[str, Result]  # by metric name, in the requested order; without those in `problems`
    clusters: dict[str, str] | None  # document by item id, if items share documents
    problems: tuple[MedbenchError, ...] = ()


def load_metric(name: str) -> Metric | Measurement:
    """Return the metric or measurement registered as `name`. Raises UsageError or MedbenchError."""
    if ":" not in name and name.startswith(JUDGING) and name not in registry.names("metrics"):
        raise UsageError(f"no metric is called '{name}'.", "To ask a judge: --judge groq --judge-mode rubric")
    plugin = registry.get("metrics", name)
    if not isinstance(plugin, Metric | Measurement):
        raise MedbenchError(f"'{name}' is not a metric: it has neither score and aggregate nor read.")
    return plugin


def load_stored(name: str) -> Metric | Measurement:
    """Load a metric as `load_metric` does, but by a name from a run's files, which anyone may have written.

    Only installed code runs. A metric that would run other code, or read a folder, that the command does not name gives
    its stored scores and computes none. A metric in a .py file is an error.
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
        """Raise MedbenchError: all scores that can be shown are stored already."""
        raise _unnamed(self._name)


def _unnamed(name: str) -> MedbenchError:
    return MedbenchError(
        f"the metric '{name}' is named only by a stored run and is not installed, so medbench does not run it.",
        f"If you trust it, name it in this command: --metrics {shlex.quote(name)}",
    )


def bound(run: StoredRun, metric: Metric, records: Sequence[Record]) -> tuple[Metric, list[Score]]:
    """Return the metric for this run, and its scores as `score_run` does."""
    if isinstance(metric, OfRun):
        metric = registry.with_defaults("metrics", metric.of_run(run))
        return metric, _score(metric, records)
    return metric, score_run(run, metric, records)


def score_run(run: StoredRun, metric: Metric, records: Sequence[Record] | None = None) -> list[Score]:
    """Return one score per record, in order. Scores that are missing under this version are computed and appended.

    `records`: all or some of the run's; by default, all are read. If the folder is read-only, new scores are not kept.
    If another process scores with this metric, this one waits. A changed or damaged score file is set aside and its
    scores are computed again; a note of the run says so. Raises MedbenchError if the metric fails or the disk is full.
    """
    records = run.records() if records is None else records
    if isinstance(metric, OfRun):
        return bound(run, metric, records)[1]
    if run.changes:  # the stored scores are of other answers
        return _score(metric, records)
    version, scores = _stored(run, metric)
    if version != metric.version or any(record.key not in scores for record in records):
        scores = _complete(run, metric, records)
    return [scores[record.key] for record in records]


def score_some(run: StoredRun, metric: Metric, records: Sequence[Record], seconds: float) -> bool:
    """Score as `score_run` does, for about this many seconds. Return whether all records are scored."""
    version, scores = _stored(run, metric)
    if version != metric.version or any(record.key not in scores for record in records):
        scores = _complete(run, metric, records, seconds)
    return all(record.key in scores for record in records)


def aggregate(
    metric: Metric, records: Sequence[Record], scores: Sequence[Score], asked: Collection[str] = (), samples: int = 1
) -> list[Figure]:
    """Return the metric's figures. `total` includes what an unfinished run has not answered: `asked` are the ids of all
    its items, with `samples` answers each. Without them, `total` is of `records`.
    """
    with _blaming(metric):
        found = metric.aggregate(records, scores)
    # A figure over some items (one subject) cannot know how many of its items are unanswered.
    answers, items = len(records), len({record.item.id for record in records})
    totals = {items: len(asked), answers: len(asked) * samples} if asked else {}
    return [_finite(dataclasses.replace(f, total=totals.get(f.total, f.total))) for f in found]


def figures(run: StoredRun, metrics: Sequence[Metric | Measurement]) -> list[Figure]:
    """Return the figures of a run over its answered items. Raises MedbenchError if a metric fails."""
    records = run.records()
    return [figure for metric in metrics for figure in evaluate(run, metric, records).figures]


def evaluate(
    run: StoredRun, metric: Metric | Measurement, records: Sequence[Record], leaked: Collection[str] = ()
) -> Result:
    """Return one metric's result over one run, also without the `leaked` items. Raises MedbenchError if it fails."""
    if isinstance(metric, Metric):
        metric, scores = bound(run, metric, records)
        samples = run.manifest.comparable.samples
        found = aggregate(metric, records, scores, run.manifest.item_ids, samples)
        if run.manifest.comparable.variation and metric.mean:
            found += spread_figures(metric.name, records, scores, binary=metric.binary)
        clean = _clean(run, metric, records, scores, leaked) if leaked and found else None
        remark = str(metric.remark_on(scores) or metric.remark)
        binary = metric.binary and samples == 1  # the mean of several samples is neither right nor wrong
        one = one_sided(records, scores) if metric.name == CHOICE else ""
        values = item_means(scores)
        return Result(tuple(found), values, binary, metric.mean, clean=clean, remark=remark, one_sided=one)
    with _blaming(metric):
        return Result((_finite(metric.read(run.manifest.measured())),), measured=True)


def _clean(
    run: StoredRun, metric: Metric, records: Sequence[Record], scores: Sequence[Score], leaked: Collection[str]
) -> Figure:
    """Return the metric's first figure over the items that are not leaked; without a value if all are."""
    kept = [(r, s) for r, s in zip(records, scores, strict=True) if r.item.id not in leaked]
    asked = [item_id for item_id in run.manifest.item_ids if item_id not in leaked]
    if not asked:
        return Figure(metric.name + CLEAN, None, 0, 0, better=metric.better)
    first = aggregate(metric, [r for r, _ in kept], [s for _, s in kept], asked, run.manifest.comparable.samples)[0]
    return dataclasses.replace(first, name=first.name + CLEAN)


def run_scores(
    run: StoredRun, names: Sequence[str], load: Load = load_metric, leaked: Collection[str] = frozenset()
) -> RunScores:
    """Return all figures of a run by these metrics, and the first of each also without the `leaked` items.

    A metric that fails is in `problems` and does not affect the others. Raises DataMalformed if the run's records are
    broken.
    """
    results: dict[str, Result] = {}
    problems = []
    metrics: dict[str, Metric | Measurement] = {}
    for name in names:
        try:
            metrics[name] = load(name)
        except MedbenchError as error:
            problems.append(error)
    # Nobody knows what third-party metrics depend on.
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
    truncated = sum(record.output.truncated_tokens > 0 for record in records)
    made = RunScores(run, len(records), truncated, results, item_documents(records), tuple(problems))
    if key and not (problems or run.changes or run.notes):
        after = figure_cache.key(run, versions, leaked)  # now with the score files that were just written
        if after and after["files"] == key["files"]:
            figure_cache.write(run, after, _kept(made))
    return made


def _kept(made: RunScores) -> dict[str, Any]:
    """Return the scores of a run as JSON. Values by item are lists in the order of the run's items."""
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


def _complete(
    run: StoredRun, metric: Metric, records: Sequence[Record], seconds: float = math.inf
) -> dict[AnswerKey, Score]:
    """Score and append missing records, as many as `seconds` allow. Return all of the run's scores."""
    if isinstance(metric, StoredScores):
        raise _unnamed(metric.name)  # before scores of another version are replaced
    path = run.score_file(metric.name)
    lock = Lock(path.with_suffix(".lock"), f"'{metric.name}' of the run {run.path}")
    scores: dict[AnswerKey, Score] = {}
    try:
        refuse_link(path.parent)
        make_folder(path.parent)
        lock.acquire(wait=True)
        try:
            # Read them again: another process may have scored while this one waited.
            try:
                version, scores = run.scores(metric.name)
            except Changed as error:
                version, kept = None, set_aside(path)
                run.notes[f"{error.message}. All its scores were computed again; the file is kept as {kept.name}."] = (
                    None
                )
            scores = scores if version == metric.version else {}
            missing = [record for record in records if record.key not in scores]
            if missing:
                sync_file(run.path / SAMPLES)  # no score outlives its answer in a power cut
            batches = _in_batches(metric, missing, seconds)

            def line(score: Score) -> dict[str, Any]:
                return encode_score(score, run.record_hash(score.key))

            if version != metric.version:
                first = next(batches, [])
                lines = [{"metric": metric.name, "version": metric.version}, *map(line, first)]
                replace_file(path, b"".join(map(run.score_chain(metric.name).add, map(to_json, lines))))
                scores.update((score.key, score) for score in first)
            if any(record.key not in scores for record in missing):
                file = LineFile(path, chain_at_end(path, run.score_chain(metric.name)))
                try:
                    for batch in batches:
                        file.append(map(line, batch))
                        scores.update((score.key, score) for score in batch)
                finally:
                    file.close()
        finally:
            lock.release()
    except OSError as error:
        if error.errno not in (*READ_ONLY, *NO_LOCKS, errno.ELOOP):
            raise MedbenchError(
                f"{path} cannot be written: {error.strerror or error}. {len(scores)} of {len(records)} scores are "
                "stored and safe.",
                f"{remedy(error)}, then run the same command again.",
            ) from error
        with contextlib.suppress(Changed):
            version, found = run.scores(metric.name)
            scores = found | scores if version == metric.version else scores
        missing = [record for record in records if record.key not in scores]
        scores |= {score.key: score for score in _score(metric, missing)}
    return scores


def _in_batches(metric: Metric, records: Sequence[Record], seconds: float) -> Iterator[list[Score]]:
    """Yield scores of the records batch by batch: at least one batch, and as many as `seconds` allow."""
    until, size, done = time.monotonic() + seconds, BATCH if seconds == math.inf else SMALL_BATCH, 0
    while done < len(records) and (not done or time.monotonic() < until):
        started = time.monotonic()
        yield _score(metric, records[done : done + size])
        done += size
        size = BATCH if time.monotonic() - started < QUICK_SECONDS else size


def _stored(run: StoredRun, metric: Metric) -> tuple[str | None, dict[AnswerKey, Score]]:
    """Return the metric's stored scores; none if their file was changed, which `_complete` then sets aside."""
    try:
        return run.scores(metric.name)
    except Changed:
        return None, {}


def _score(metric: Metric, records: Sequence[Record]) -> list[Score]:
    """Return the scores of a batch after checking them: one per record, in order, each a finite number or unscored."""
    with _blaming(metric):
        scores = metric.score(records)
    if [score.item_id for score in scores] != [record.item.id for record in records]:
        raise MedbenchError(f"the metric '{metric.name}' did not return one score per record, in order.")
    numbered = zip(records, scores, strict=True)
    return [_checked(metric, dataclasses.replace(score, sample=record.output.sample)) for record, score in numbered]


def _checked(metric: Metric, score: Score) -> Score:
    if score.value is None:
        return score
    value = float(score.value)
    if not math.isfinite(value):
        return dataclasses.replace(score, value=None, reason=f"the metric returned {value}")
    if metric.binary and value not in (0.0, 1.0):
        raise MedbenchError(f"the metric '{metric.name}' says it is binary but scores '{score.item_id}' with {value}.")
    return dataclasses.replace(score, value=value)


def _finite(figure: Figure) -> Figure:
    """Return the figure with None for every value and interval end that is not finite."""

    def number(value: float | None) -> float | None:
        return None if value is None or not math.isfinite(value) else float(value)

    return dataclasses.replace(figure, value=number(figure.value), low=number(figure.low), high=number(figure.high))


@contextlib.contextmanager
def _blaming(metric: Metric | Measurement) -> Iterator[None]:
    """Turn anything that a third-party metric raises into an error of its own column."""
    try:
        yield
    except MedbenchError:
        raise
    except Exception as error:
        raise MedbenchError(f"the metric '{metric.name}' failed: {registry.told(error)}") from error
