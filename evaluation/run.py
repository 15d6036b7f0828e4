"""The run loop: a plan's open items through an engine into the run store, measured as it goes."""

from __future__ import annotations

import dataclasses
import importlib
import shutil
import time
from collections.abc import Collection, Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Protocol

from ..core.errors import MedbenchError
from ..core.resources import PeakMemorySampler
from ..core.secrets import masked
from ..core.types import Engine, Item, ModelSpec, Output, Record
from ..results.store import Manifest, RunWriter, StoredRun, run_id
from . import environment, startup
from .plan import Plan
from .progress import Progress
from .reuse import reuse

SYNC_SECONDS = 0.25  # every answer is written at once; the disk is made to take it at most this often
SCORE_SECONDS = 30.0  # what is generated is scored beside the run at most this often
SAVE_SECONDS = 10.0  # measurements in the manifest are at most this old if the process is killed
WARM_UP_TOKENS = 8  # new tokens of the untimed request before the timed ones


class Scorer(Protocol):
    """Who scores answers while the model works on others (evaluation/background.py)."""

    def stored(self, run: Path, metrics: Sequence[str]) -> None:
        """More answers of this run are stored."""
        ...

    def working(self) -> None:
        """The model begins or continues to work."""
        ...


@dataclasses.dataclass
class Sitting:
    """What one process measured while it answered items of one run; a line of the manifest's `sittings`."""

    started: str
    load_seconds: float  # of the weights, and of libraries that the engine does not name; of the first run of a process
    import_seconds: float = 0.0  # of the engine's libraries, likewise
    data_seconds: float = 0.0  # reading the benchmark and writing its prompts
    seconds: float = 0.0  # inside the engine
    items: int = 0
    prompt_tokens: int = 0
    completion_tokens: int = 0
    peak_rss_bytes: int | None = None
    peak_gpu_memory_bytes: int | None = None
    failures: dict[str, str] = dataclasses.field(default_factory=dict)  # item id -> why it has no answer
    packages: dict[str, str] = dataclasses.field(default_factory=environment.packages)


def manifest(plan: Plan, engine: Engine, command: list[str]) -> Manifest:
    """The manifest of a new run. Facts that only a loaded model knows are added when it is loaded."""
    benchmark = plan.benchmark
    return Manifest(
        run_id=run_id(engine.spec.name, benchmark.name, plan.identity),
        identity=plan.identity,
        comparable=plan.comparable,
        model=_model(plan, engine.spec),
        benchmark={
            "name": benchmark.name,
            "version": benchmark.version,
            "variant": plan.variant,
            "sample": benchmark.sample,
            "origin": plan.item_set.origin,
            "notes": [*plan.item_set.notes, *plan.notes],
            "licence": benchmark.licence,
            "citation": benchmark.citation,
            "metrics": list(benchmark.metrics),
            "n_total": len(plan.item_set.items),
        },
        method=plan.method,
        item_ids=tuple(item.id for item in plan.items),
        settings=dataclasses.asdict(plan.settings)
        | {
            "chat": plan.identity["chat"],
            "max_new_tokens": plan.max_new_tokens,
            "stop": list(plan.stop),
        },
        command=[masked(word) for word in command],
        created=_now(),
        metrics=list(plan.settings.metrics or benchmark.metrics),
    )


def _model(plan: Plan, spec: ModelSpec) -> dict[str, Any]:
    """The spec as JSON has it. Of what its training data leak, the items of this run; None: not checked for them."""
    plain = dataclasses.replace(spec, leaked=None, generation=dict(spec.generation), options=dict(spec.options))
    fields = dataclasses.asdict(plain)
    del fields["leaked"]
    if not spec.trust_remote_code:
        del fields["trust_remote_code"]
    if spec.leaked is None:
        return fields  # medbench has not trained it
    if plan.benchmark.name not in spec.leaked:
        return fields | {"leaked": None}
    held = set(spec.leaked[plan.benchmark.name])
    return fields | {"leaked": [item.id for item in plan.items if item.id in held]}


def execute(
    plan: Plan, engine: Engine, root: Path, watch: Progress, command: list[str], scorer: Scorer | None = None
) -> StoredRun:
    """Answer every item that the store lacks, then time single requests. Complete runs load no model.

    What is generated is given to `scorer` as it comes; scores of choices cost next to nothing and can wait.

    A new run takes the answers to the same questions from other runs of the same model below `root`.

    Interrupted at any moment, what was answered is stored; the same call continues from there. Items on which the
    engine failed stay open, their reasons in the last sitting's `failures`.
    """
    described = manifest(plan, engine, command)
    new = not (root / described.run_id).exists()
    with RunWriter(root, described) as writer:
        if not writer.done:
            reuse(plan, writer, root, watch.reused)
        open_items = [item for item in plan.items if item.id not in writer.done]
        wanted = min(plan.settings.latency_items, len(plan.items))
        # A run whose answers are all another's measures nothing, and needs no model.
        own = bool(open_items or writer.manifest.sittings)
        untimed = own and _untimed(writer.manifest, wanted, plan.settings.latency_share)
        if open_items or untimed:
            if scorer:
                scorer.working()
            watch.loading(engine.spec.name)
            began = time.perf_counter()
            with startup.counted("import"):
                for library in engine.imports:
                    importlib.import_module(library)
            started = time.perf_counter()
            try:
                engine.load()
            except MedbenchError:
                if new:  # a model that does not load leaves no empty run
                    shutil.rmtree(writer.path, ignore_errors=True)
                raise
            load_seconds = time.perf_counter() - started
            watch.loaded(engine.spec.name, time.perf_counter() - began)
            watch.begin(plan, frozenset(writer.done))
            try:
                if not writer.manifest.environment:
                    writer.update(environment=environment.describe())
                works = bool(writer.done)
                if open_items:
                    sitting = Sitting(_now(), load_seconds, startup.taken("import"), startup.taken("data"))
                    _answer(plan, engine, writer, watch, sitting, scorer)
                    works = sitting.items > 0  # a model that answers nothing is not timed
                if untimed and works:
                    within_s = _seconds_for_timing(plan, writer)
                    writer.update(latency=_latency(plan, engine, wanted, watch, writer.done, within_s))
            finally:
                watch.end()
        return StoredRun(writer.path)


def _answer(
    plan: Plan, engine: Engine, writer: RunWriter, watch: Progress, sitting: Sitting, scorer: Scorer | None
) -> None:
    unanswered = {item.id: item for item in plan.items if item.id not in writer.done}
    if plan.method == "logprob":
        outputs = engine.choose(plan.choice_requests(writer.done))
    else:
        outputs = engine.generate(plan.generate_requests(writer.done))
    earlier = writer.manifest.sittings
    scorer = scorer if plan.method == "generate" else None
    # Of this command, not of a stored manifest, which may name any file.
    names = plan.settings.metrics or plan.benchmark.metrics
    synced = saved = told = time.monotonic()

    def save() -> None:
        sitting.peak_rss_bytes = memory.peak_bytes if engine.measured and engine.runs_here else None
        gpu = engine.peak_gpu_memory_bytes()
        if gpu is not None:
            sitting.peak_gpu_memory_bytes = max(gpu, sitting.peak_gpu_memory_bytes or 0)
        writer.update(sittings=[*earlier, dataclasses.asdict(sitting)])

    engine.peak_gpu_memory_bytes()  # what loading took is not the run's
    with PeakMemorySampler() as memory:
        try:
            for output, seconds in _timed(outputs):
                sitting.seconds += seconds if engine.measured else 0.0
                item = unanswered.pop(output.item_id, None)
                flaw = _flaw(output, item, plan.method)
                if item is None or flaw:
                    raise MedbenchError(
                        f"the engine '{engine.spec.engine}' gave no fit answer to '{output.item_id}': {flaw}.",
                        "Answers before that one are stored. Fix the engine, then give the same command again.",
                    )
                watch.answered(output)
                if not writer.manifest.engine:  # only now: how a model can be run shows when it runs
                    writer.update(engine=engine.describe())
                if output.error and not output.final:
                    sitting.failures[output.item_id] = output.error
                    continue
                sitting.items += 1
                sitting.prompt_tokens += output.prompt_tokens
                sitting.completion_tokens += output.completion_tokens
                now = time.monotonic()
                due = now - synced >= SYNC_SECONDS
                writer.append([Record(item, output)], sync=due)
                synced = now if due else synced
                if now - saved >= SAVE_SECONDS:
                    save()
                    saved = now
                if scorer and now - told >= SCORE_SECONDS:
                    scorer.stored(writer.path, names)
                    scorer.working()
                    told = now
            sitting.failures |= dict.fromkeys(unanswered, "the engine gave no answer")
            if scorer:
                scorer.stored(writer.path, names)
        finally:
            save()


def _flaw(output: Output, item: Item | None, method: str) -> str:
    """What is wrong with an engine's answer; "" for one that can be stored, and for one that says why it failed."""
    if item is None:
        return "it was not asked that, or not twice"
    if output.error:
        return ""
    if method == "logprob" and len(output.logprobs or ()) != len(item.answers):
        return f"{len(output.logprobs or ())} log-probabilities for {len(item.answers)} options"
    return "no text" if method == "generate" and output.text is None else ""


def _untimed(manifest: Manifest, wanted: int, share: float | None) -> bool:
    """Whether single requests are still to be timed. A run whose timing was cut short by `share` is timed."""
    timed = len(manifest.latency.get("seconds", []))
    return timed < (wanted if share is None else min(wanted, 1))


def _seconds_for_timing(plan: Plan, writer: RunWriter) -> float | None:
    """Seconds that timing single requests may take: a share of what the answers took. None: as long as it takes."""
    share = plan.settings.latency_share
    answering = sum(float(sitting.get("seconds") or 0) for sitting in writer.manifest.sittings)
    return None if share is None else share * answering


def _latency(
    plan: Plan, engine: Engine, wanted: int, watch: Progress, answered: Collection[str], within_s: float | None = None
) -> dict[str, list[float]]:
    """Seconds per request, one at a time, on the run's first `wanted` items that were answered, after one short warm-up
    request. The first request that fails ends it.

    No request is made that would end more than `within_s` seconds after the first began, judging by the one before,
    except that one is timed in any case.
    """
    seconds: list[float] = []
    first: list[float] = []
    timed = [item_id for item_id in plan.prompts if item_id in answered][:wanted]
    chosen = plan.prompts.keys() - set(timed)
    requests: list[Any]
    if plan.method == "logprob":
        requests = list(plan.choice_requests(chosen))
        ask: Any = engine.choose
    else:
        requests = list(plan.generate_requests(chosen))
        ask = engine.generate
    warm_up = requests[0]
    if plan.method == "generate":
        warm_up = dataclasses.replace(warm_up, max_new_tokens=min(WARM_UP_TOKENS, warm_up.max_new_tokens))
    began = time.perf_counter()
    elapsed = 0.0
    for number, request in enumerate([warm_up, *requests]):
        spent = time.perf_counter() - began
        if seconds and within_s is not None and spent + elapsed > within_s:
            break
        watch.timing(number, wanted)
        started = time.perf_counter()
        outputs = list(ask([request]))
        elapsed = time.perf_counter() - started
        if any(output.error and not output.final for output in outputs):
            break
        if number == 0 or any(output.error for output in outputs):
            continue
        seconds.append(elapsed)
        first += [output.first_token_s for output in outputs if output.first_token_s is not None]
    return {"seconds": seconds, "first_token_s": first}


def _timed(outputs: Iterator[Output]) -> Iterator[tuple[Output, float]]:
    """Each output with the seconds the engine took to bring it; what is done between two is not counted."""
    while True:
        started = time.perf_counter()
        output = next(outputs, None)
        if output is None:
            return
        yield output, time.perf_counter() - started


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")
