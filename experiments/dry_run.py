"""Say what an experiment would do, as plain JSON data: nothing is loaded, fetched, trained or written.

None means unknown, and `unknown` says why.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from ..core import dry
from ..core.errors import MedbenchError, UsageError
from ..evaluation.engine_facts import engine_facts
from ..evaluation.plan import Plan, plan
from ..evaluation.progress import Progress
from ..evaluation.suite import MEASUREMENTS, TIMED_ITEMS, Outcome, load_items
from ..results.files import unwritable
from . import candidates, footprint, workload
from .candidates import Candidate, Tell
from .experiment import Experiment
from .judging import Judged, judged
from .run import Prepared, prepare

if TYPE_CHECKING:
    from ..core.types import Benchmark, ItemSet, Record
    from ..evaluation.retrieval.retriever import Retriever

NOT_TRAINED = "its adapter is trained first"
NEVER_RAN = "{}/ has no run of this model by this method on this machine"


def describe(experiment: Experiment, tell: Tell) -> dict[str, Any]:
    """Return what `run` would do. Raises UsageError for a request that it would refuse before loading anything."""
    with dry.run():
        prepared = prepare(experiment, tell, None)
        trainings = [_training(prepared, at, tell) for at in range(len(prepared.trainings))]
        found = [_candidate(prepared, at, tell) for at in range(len(experiment.models))]
        items = _Items(prepared, tell)
        runs: list[dict[str, Any]] = []
        models: list[dict[str, Any]] = []
        for candidate in filter(None, found):
            mine = [_run(prepared, candidate, benchmark, items) for benchmark in prepared.chosen]
            runs += mine
            models.append(_model(candidate, mine))
        graded = [one for run in runs for one in run.pop("judged")]
        if reason := unwritable(experiment.out):
            prepared.outcome.problems.append(f"{reason}.")
        return {
            "trainings": trainings,
            "models": models,
            "runs": [{name: value for name, value in run.items() if not name.startswith("_")} for run in runs],
            "judges": [dataclasses.asdict(each) for each in graded],
            "comparisons": [list(pairing.models) for pairing in experiment.compare],
            "report": str(experiment.report.out) if experiment.report else None,
            "out": str(experiment.out),
            "data_missing": items.missing,
            "total": _total(runs, models, trainings, graded),
            "problems": [*dict.fromkeys(prepared.outcome.problems)],
        }


def _training(prepared: Prepared, at: int, tell: Tell) -> dict[str, Any]:
    """Return `medbench train --dry-run` of an adapter, or that it is there."""
    from ..training.dry_run import describe as describe_training

    asked, request = prepared.trainings[at]
    done = candidates.is_trained(request)
    found: dict[str, Any] = {"model": asked.name, "done": done, "folder": str(request.folder)}
    if done:
        return found | {"seconds": 0.0, "steps": 0, "memory_bytes": None, "disk_bytes": 0, "unknown": []}
    stages = describe_training(request, tell)["stages"]
    return found | {
        "seconds": _sum(stages, "seconds"),
        "steps": _sum(stages, "steps"),
        "memory_bytes": max((stage["memory_bytes"] for stage in stages if stage["memory_bytes"]), default=None),
        "disk_bytes": _sum(stages, "disk_bytes"),
        "unknown": [f"stage {stage['name']}: {why}" for stage in stages for why in stage["unknown"]],
    }


def _candidate(prepared: Prepared, at: int, tell: Tell) -> Candidate | None:
    """Return a model; None if it cannot run, which is then a problem."""
    model = prepared.experiment.models[at]
    try:
        return candidates.find(model, prepared.trainings, tell)
    except UsageError:
        raise
    except MedbenchError as error:
        prepared.outcome.problems.append(f"{model.name}: {error}")
        return None


class _Items:
    """The items of the benchmarks, each read once, and the corpus that is searched."""

    def __init__(self, prepared: Prepared, tell: Tell) -> None:
        from ..evaluation.retrieval.retriever import opened

        self._prepared = prepared
        self._loaded: dict[str, ItemSet | None] = {}
        self.missing: dict[str, str] = {}  # why data are not here, by benchmark
        self.retriever: Retriever | None = None
        experiment = prepared.experiment
        try:
            self.retriever = opened(experiment.retrieve, experiment.passages, prepared.data, tell)
        except UsageError:
            raise
        except MedbenchError as error:
            self.missing[experiment.retrieve] = error.message

    def of(self, benchmark: Benchmark) -> ItemSet | None:
        if benchmark.name not in self._loaded:
            outcome = Outcome()
            self._loaded[benchmark.name] = load_items(benchmark, self._prepared.data, outcome, Progress(), notes=False)
            for problem in outcome.problems:
                if outcome.missing:
                    self.missing[benchmark.name] = problem.splitlines()[0]
                else:
                    self._prepared.outcome.problems.append(problem)
        return self._loaded[benchmark.name]


def _run(prepared: Prepared, candidate: Candidate, benchmark: Benchmark, items: _Items) -> dict[str, Any]:
    """Return what one run has, and what is left of it."""
    engine = candidate.engine
    found: dict[str, Any] = {
        "model": engine.spec.name,
        "benchmark": benchmark.name,
        "protocol": benchmark.protocol.name,
        "unknown": [],
        "judged": [],
        "_load": None,
    }
    empty = ("run", "method", "items", "answers", "stored", "reusable", "open", "requests", "prompt_tokens")
    found |= dict.fromkeys((*empty, "prompt_tokens_exact", "new_tokens", "timed_requests", "seconds", "disk_bytes"))
    item_set = items.of(benchmark)
    if item_set is None:
        why = "its data are not on this machine" if benchmark.name in items.missing else "its data cannot be read"
        return found | {"unknown": [f"items, tokens and time: {why}"]}
    try:
        planned = _planned(prepared, candidate, benchmark, item_set, items.retriever)
    except MedbenchError as error:
        prepared.outcome.problems.append(f"{engine.spec.name} on {benchmark.name}: {error}")
        return found | {"unknown": ["items, tokens and time: the run would fail"]}
    return found | _described(prepared, candidate, planned)


def _planned(
    prepared: Prepared, candidate: Candidate, benchmark: Benchmark, item_set: ItemSet, retriever: Retriever | None
) -> Plan:
    from ..core.asking import put

    engine, settings = candidate.engine, prepared.settings
    item_set = put(benchmark, item_set)
    metrics = (*(settings.metrics or benchmark.metrics), *(MEASUREMENTS if engine.measured else ()))
    remote = engine.limits is not None and not engine.local
    wanted = prepared.experiment.latency_items
    timed = wanted if wanted is not None else 0 if remote or not engine.measured else TIMED_ITEMS
    settings = dataclasses.replace(settings, metrics=metrics, latency_items=timed)
    retrieval = retriever.on(benchmark, item_set) if retriever else None
    return plan(benchmark, item_set, engine_facts(engine, benchmark, item_set, settings), settings, retrieval)


def _described(prepared: Prepared, candidate: Candidate, planned: Plan) -> dict[str, Any]:
    engine, root = candidate.engine, prepared.experiment.out
    unknown: list[str] = []
    stored, reusable = _answered(prepared, candidate, planned) if candidate.known else ([], [])
    done = {record.key for record in (*stored, *reusable)}
    left = planned.answers - len(done)
    writes = planned.method == "generate"
    asked = left if engine.measured else 0
    tokens = workload.tokens_of(planned, done, engine, candidate.folder) if asked else workload.Tokens(0, 0, True)
    new = asked * planned.max_new_tokens if writes else 0
    seconds: float | None = 0.0
    if asked:
        speed = workload.speed_of(planned, root) if candidate.known else None
        seconds = speed.seconds(tokens.prompt, asked, planned.max_new_tokens) if speed else None
        if seconds is None:
            unknown.append(f"time: {NOT_TRAINED if candidate.trained_first else NEVER_RAN.format(root)}")
    return {
        "run": _run_id(planned, candidate) if candidate.known else None,
        "method": planned.method,
        "items": len(planned.items),
        "answers": planned.answers,
        "stored": len(stored),
        "reusable": len(reusable),
        "open": left,
        "requests": asked,
        "prompt_tokens": tokens.prompt,
        "prompt_tokens_exact": tokens.exact,
        "new_tokens": new,
        "timed_requests": min(planned.settings.latency_items, len(planned.items)) if asked else 0,
        "seconds": seconds,
        "disk_bytes": workload.disk_bytes(planned, done, new),
        "unknown": unknown,
        "judged": _judged(prepared, candidate, planned, [*stored, *reusable]),
        "_load": footprint.Load(writes, asked, tokens.longest, planned.max_new_tokens) if asked else None,
    }


def _answered(prepared: Prepared, candidate: Candidate, planned: Plan) -> tuple[Sequence[Record], Sequence[Record]]:
    """Return the answers that the run has, and those that it would copy from other runs."""
    from ..evaluation.reuse import elsewhere
    from ..evaluation.run import manifest
    from ..results.store import StoredRun

    root = prepared.experiment.out
    described = manifest(planned, candidate.engine, [])
    folder = root / described.run_id
    stored: list[Record] = []
    if (folder / "manifest.json").is_file():
        try:
            run = StoredRun(folder)
            stored = [record for record in run.iter_records() if not record.output.error or record.output.final]
        except MedbenchError as error:
            prepared.outcome.problems.append(str(error))
    if stored or not root.is_dir():
        return stored, []
    return [], [record for _, found in elsewhere(planned, (), described, root) for record in found]


def _run_id(planned: Plan, candidate: Candidate) -> str:
    from ..results.identity import run_id

    return run_id(candidate.engine.spec.name, planned.benchmark.name, planned.identity)


def _judged(prepared: Prepared, candidate: Candidate, planned: Plan, stored: Sequence[Record]) -> list[Judged]:
    if prepared.judges is None or planned.method != "generate":
        return []
    folder = prepared.experiment.out / _run_id(planned, candidate) if candidate.known else None
    return judged(prepared.judges, planned, candidate.engine.spec.name, stored, folder)


def _model(candidate: Candidate, runs: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Return what a model takes, as much as the most demanding of its runs."""
    spec = candidate.engine.spec
    loads = [run["_load"] for run in runs if run["_load"]]
    undecided = any(run["open"] is None for run in runs)  # its data are not here
    weights = footprint.weights_bytes(candidate) if loads or undecided else 0
    here = candidate.engine.measured and candidate.engine.runs_here
    free = footprint.free_bytes(spec) if here else None
    caches = [footprint.cache_bytes(candidate, load) for load in loads] + [None] * (undecided and here)
    cache = None if None in caches else max((each for each in caches if each is not None), default=0)
    if cache is not None and weights is not None and free is not None:
        cache = min(cache, footprint.room(free - weights))
    return {
        "model": spec.name,
        "asked": candidate.asked.name,
        "engine": spec.engine,
        "device": spec.device if here else None,
        "dtype": spec.dtype if here else None,
        "quantize": spec.quantize,
        "server": spec.base_url or None,
        "weights_here": not candidate.missing,
        "trained_first": candidate.trained_first,
        "weights_bytes": weights,
        "cache_bytes": cache,
        "free_bytes": free,
        "download_bytes": footprint.download_bytes(candidate),
        "missing": candidate.missing,
    }


def _total(
    runs: Sequence[Mapping[str, Any]],
    models: Sequence[Mapping[str, Any]],
    trainings: Sequence[Mapping[str, Any]],
    graded: Sequence[Judged],
) -> dict[str, Any]:
    """Return the sums. One that lacks an unknown part is None, and `known_seconds` is the sum of the known ones."""
    parts = [*runs, *trainings]
    costs = [each.cost for each in graded]
    return {
        "answers": _sum(runs, "answers"),
        "open": _sum(runs, "open"),
        "prompt_tokens": _sum(runs, "prompt_tokens"),
        "prompt_tokens_exact": all(run["prompt_tokens_exact"] for run in runs),
        "new_tokens": _sum(runs, "new_tokens"),
        "seconds": _sum(parts, "seconds"),
        "known_seconds": sum(part["seconds"] or 0 for part in parts),
        "disk_bytes": _sum(parts, "disk_bytes"),
        "download_bytes": _sum({model["asked"]: model for model in models}.values(), "download_bytes"),
        "judge_calls": sum(each.calls for each in graded),
        "judge_cost": None if None in costs else sum(cost for cost in costs if cost is not None),
    }


def _sum(parts: Any, field: str) -> Any:
    values = [part[field] for part in parts]
    return None if None in values else sum(values)
