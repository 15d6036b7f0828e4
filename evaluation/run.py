"""The run loop: sends a plan's unanswered items through an engine, stores the answers, and measures."""

from __future__ import annotations

import dataclasses
import importlib
import os
import shutil
import time
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Protocol

from ..core.errors import MedbenchError
from ..core.heap import return_freed
from ..core.resources import PeakMemorySampler
from ..core.secrets import masked
from ..core.types import Engine, Item, ModelSpec, Output, Record, answer_name
from ..results.folders import has_manifest
from ..results.identity import run_id
from ..results.manifest import BenchmarkRecord, Manifest, ModelRecord, RunSettings, Session
from ..results.store import StoredRun
from ..results.writer import RunWriter
from . import environment, startup, timing
from .plan import Plan
from .progress import Progress
from .reuse import reuse

SYNC_SECONDS = 0.25  # every answer is written at once, and flushed to disk at most this often
SCORE_SECONDS = 30.0  # background scoring is told of new answers at most this often
SAVE_SECONDS = 10.0  # the manifest's measurements are at most this old if the process is killed


class Scorer(Protocol):
    """Scores answers while the model works on others (evaluation/background.py)."""

    def stored(self, run: Path, metrics: Sequence[str]) -> None:
        """Called when more answers of this run are stored."""
        ...

    def working(self) -> None:
        """Called when the model begins or continues to work."""
        ...


def manifest(plan: Plan, engine: Engine, command: list[str]) -> Manifest:
    """Return the manifest of a new run. What only a loaded model knows is added after loading."""
    benchmark = plan.benchmark
    return Manifest(
        run_id=run_id(engine.spec.name, benchmark.name, plan.identity),
        identity=plan.identity,
        comparable=plan.comparable,
        model=_model(plan, engine.spec),
        benchmark=BenchmarkRecord(
            name=benchmark.name,
            version=benchmark.version,
            variant=plan.variant,
            sample=benchmark.sample,
            origin=plan.item_set.origin,
            notes=(*plan.item_set.notes, *plan.notes),
            licence=benchmark.licence,
            citation=benchmark.citation,
            metrics=tuple(benchmark.metrics),
            n_total=len(plan.item_set.items),
        ),
        method=plan.method,
        item_ids=tuple(item.id for item in plan.items),
        settings=_settings(plan),
        command=tuple(map(masked, command)),
        created=_now(),
        metrics=tuple(plan.settings.metrics or benchmark.metrics),
    )


def _settings(plan: Plan) -> RunSettings:
    resolved = {"chat": plan.identity.chat, "max_new_tokens": plan.max_new_tokens, "stop": plan.stop}
    return RunSettings.from_json(dataclasses.asdict(plan.settings) | resolved)


def _model(plan: Plan, spec: ModelSpec) -> ModelRecord:
    """Return the record of the model. Of the items in its training data, it has those of this run."""
    plain = dataclasses.replace(spec, leaked=None, generation=dict(spec.generation), options=dict(spec.options))
    fields = dataclasses.asdict(plain)
    del fields["leaked"]
    if not spec.trust_remote_code:
        del fields["trust_remote_code"]
    for name, default in (("think", "auto"), ("reasoning_effort", "")):
        if fields[name] == default:
            del fields[name]
    if spec.leaked is None:
        return ModelRecord.from_json(fields)  # medbench has not trained it
    if plan.benchmark.name not in spec.leaked:
        return ModelRecord.from_json(fields | {"leaked": None})  # not checked
    held = set(spec.leaked[plan.benchmark.name])
    return ModelRecord.from_json(fields | {"leaked": [item.id for item in plan.items if item.id in held]})


def execute(
    plan: Plan, engine: Engine, root: Path, watch: Progress, command: list[str], scorer: Scorer | None = None
) -> StoredRun:
    """Answer every item that has no answer yet, then time single requests. Complete runs load no model.

    `scorer` is told of generated answers as they come. Scoring choices is so fast that it can wait.

    A new run copies the answers to the same questions from other runs of the same model in `root`.

    If it is interrupted, everything answered so far is stored, and the same call continues from there. Items on which
    the engine failed stay open, with their reasons in the last session's `failures`.
    """
    described = manifest(plan, engine, command)
    new = not (root / described.run_id).exists()
    if finished := _complete_and_read_only(root / described.run_id, described):
        watch.complete(plan)
        return finished
    with RunWriter(root, described) as writer:
        complete = not plan.open_items(writer.done)
        if not writer.done:
            reuse(plan, writer, root, watch.reused)
        open_items = plan.open_items(writer.done)
        wanted = min(plan.settings.latency_items, len(plan.items))
        # A run that copies all its answers measures nothing and needs no model.
        own = bool(open_items or writer.manifest.sessions)
        untimed = own and timing.due(writer.manifest, wanted, plan.settings.latency_share, open_items=bool(open_items))
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
                if new:  # so that a model that does not load leaves no empty run
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
                    session = Session(
                        started=_now(),
                        load_seconds=load_seconds,
                        import_seconds=startup.taken("import"),
                        data_seconds=startup.taken("data"),
                        packages=environment.packages(),
                    )
                    session = _answer(plan, engine, writer, watch, session, scorer)
                    works = bool(session.items)  # a model without answers is not timed
                if untimed and works:
                    lengths = _answer_lengths(writer.path) if plan.method == "generate" else {}
                    latency = timing.measure(plan, engine, writer.manifest, wanted, writer.done, lengths, watch)
                    writer.update(latency=latency)
            finally:
                watch.end()
        elif complete:
            watch.complete(plan)
        return StoredRun(writer.path)


def _complete_and_read_only(path: Path, asked: Manifest) -> StoredRun | None:
    """Return the run that was asked for, if it is complete in a folder that cannot be written; else None."""
    if os.access(path, os.W_OK) or not has_manifest(path):
        return None
    found = StoredRun(path)
    stored = found.manifest
    same = stored.identity == asked.identity and stored.item_ids == asked.item_ids
    return found if same and stored.with_metrics(asked.metrics) == stored and found.complete else None


def _answer(
    plan: Plan, engine: Engine, writer: RunWriter, watch: Progress, session: Session, scorer: Scorer | None
) -> Session:
    """Answer the unanswered items and return the session with what it measured, as it is stored."""
    unanswered = plan.open_items(writer.done)
    if plan.method == "logprob":
        outputs = engine.choose(plan.choice_requests(writer.done))
    else:
        outputs = engine.generate(plan.generate_requests(writer.done))
    earlier = writer.manifest.sessions
    scorer = scorer if plan.method == "generate" else None
    # The metrics of this command, not of a stored manifest, which may name any file.
    names = plan.settings.metrics or plan.benchmark.metrics
    synced = saved = told = time.monotonic()

    def save() -> None:
        nonlocal session
        rss = memory.peak_bytes if engine.measured and engine.runs_here else None
        gpu = engine.peak_gpu_memory_bytes()
        if gpu is not None:
            session = dataclasses.replace(session, peak_gpu_memory_bytes=max(gpu, session.peak_gpu_memory_bytes or 0))
        session = dataclasses.replace(session, peak_rss_bytes=rss)
        writer.update(sessions=(*earlier, session))

    engine.peak_gpu_memory_bytes()  # resets it: the peak of loading does not count
    if engine.measured and engine.runs_here:
        return_freed()  # what loading, earlier benchmarks and other models left does not count either
    with PeakMemorySampler() as memory:
        try:
            for output, seconds in _timed(outputs):
                seconds = seconds if engine.measured else 0.0
                key = plan.key_of(output)
                output = dataclasses.replace(output, item_id=key[0], sample=key[1])
                item = unanswered.pop(key, None)
                flaw = _flaw(output, item, plan.method)
                if item is None or flaw:
                    raise MedbenchError(
                        f"the engine '{engine.spec.engine}' gave an invalid answer to '{answer_name(key)}': {flaw}.",
                        "Answers before that one are stored. Fix the engine, then run the same command again.",
                    )
                watch.answered(output)
                known = frozenset(writer.manifest.engine.get("rejected_fields", ()))
                # Only now: how a model can be run shows when it runs, and what a server rejects when it is asked.
                if not writer.manifest.engine or not engine.rejected_fields <= known:
                    writer.update(engine=engine.describe())
                if output.error and not output.final:
                    session = session.with_failures({answer_name(key): output.error}, seconds)
                    continue
                session = session.with_answer(output, seconds)
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
            session = session.with_failures(dict.fromkeys(map(answer_name, unanswered), "the engine gave no answer"))
            if scorer:
                scorer.stored(writer.path, names)
        finally:
            save()
    return session


def _flaw(output: Output, item: Item | None, method: str) -> str:
    """Return what is wrong with an engine's answer; "" if it can be stored, also as a failure with its reason."""
    if item is None:
        return "it was not asked this, or only once"
    if output.error:
        return ""
    if method == "logprob" and len(output.logprobs or ()) != len(item.answers):
        return f"{len(output.logprobs or ())} log-probabilities for {len(item.answers)} options"
    return "no text" if method == "generate" and output.text is None else ""


def _answer_lengths(run: Path) -> dict[str, int]:
    """Return the new tokens of each item's first answer, reasoning included."""
    first = (record for record in StoredRun(run).records() if record.output.sample == 0)
    return {record.item.id: record.output.completion_tokens for record in first}


def _timed(outputs: Iterator[Output]) -> Iterator[tuple[Output, float]]:
    """Yield each output with the seconds that the engine took for it, without the time spent between two outputs."""
    while True:
        started = time.perf_counter()
        output = next(outputs, None)
        if output is None:
            return
        yield output, time.perf_counter() - started


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")
