"""Train a zoo entry by its recipe: prepare the data, run stage after stage, and finish the adapter."""

from __future__ import annotations

import dataclasses
import os
import shutil
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

from ..core import durable
from ..core.errors import MedbenchError
from ..core.types import ModelSpec
from ..zoo import adapter_manifest, adapters
from ..zoo.adapter_manifest import AdapterManifest
from ..zoo.adapters import Adapter
from . import estimate, ranks, resume
from .checkpoints import LOG
from .job import StageJob
from .log import Log
from .prepare import Prepared, prepare
from .progress import TrainingProgress
from .record import DONE, STOPPED, begin, checkpoint_fingerprint, finish, planned
from .request import Request, Tell, base_of, check, check_quantization, on_the_same_data

TENSORBOARD = "TENSORBOARD_LOGGING_DIR"
POLL_SECONDS = 0.1  # between checks whether process 0 has written the manifest


def train(request: Request, progress: TrainingProgress, tell: Tell) -> tuple[AdapterManifest, Path]:
    """Train in this process: from the start, from the last checkpoint, or not at all if it is done.

    Returns the manifest and the adapter's folder. Raises UsageError if the tag holds another training, Diverged if the
    loss becomes NaN or infinite.
    """
    from ..results.files import Lock

    check(request)
    base = base_of(request, tell)
    asked = request.source.revisions
    request = on_the_same_data(request)
    for stage in request.recipe.stages:
        check_quantization(stage, base.device)
    stages = prepare(request, base, tell)
    folder = request.folder
    if ranks.rank() != 0:
        while not ranks.manifest_written().exists():  # if process 0 fails, our parent ends this one
            time.sleep(POLL_SECONDS)
        if adapters.read(folder).status != DONE:
            _stages(request, base, stages, folder, progress, None, lambda line: None)
        return adapters.read(folder), folder
    lock = Lock(folder / ".lock", request.name)
    try:
        durable.refuse_link(folder)
        durable.make_folder(folder)
        lock.acquire()
    except OSError as error:
        raise _not_written(folder, error) from error
    try:
        manifest = begin(request, base, stages, asked, tell)
        if manifest.status != DONE:
            manifest = resume.trusted(folder, request.recipe.stages, manifest, tell)
        if ranks.is_worker():
            ranks.manifest_written().touch()
        if manifest.status == DONE:
            Adapter(folder, manifest).intact(tell)
            tell(f"{request.name} is already trained: nothing to do")
            return manifest, folder
        try:
            _check_room(base, stages, folder, tell)
            with _written(folder):
                manifest = _stages(request, base, stages, folder, progress, manifest, tell)
        except (KeyboardInterrupt, MedbenchError) as error:
            why = error.message if isinstance(error, MedbenchError) else "stopped by the user"
            with suppress(MedbenchError):  # on a full disk the manifest keeps "training", which also resumes
                stopped = dataclasses.replace(adapters.read(folder), status=STOPPED, stopped=why)
                adapter_manifest.write(folder, stopped)
            raise
        return finish(request, folder, manifest), folder
    finally:
        lock.release()
        if not (folder / adapter_manifest.MANIFEST).exists():
            shutil.rmtree(folder, ignore_errors=True)  # refused before anything was made


def _check_room(base: ModelSpec, stages: Sequence[Prepared], folder: Path, tell: Tell) -> None:
    """Raise MedbenchError if disk or memory is too small, before hours are spent."""
    from ..engines.hf.loading import first_line, opened

    source = opened(base.location, True)[0] if base.trust_remote_code else base.location
    for stage in stages:
        longest = max(len(row["input_ids"]) for row in stage.train.rows)
        try:
            estimate.check(source, stage.stage, folder, base.device, longest)
        except MedbenchError:
            raise
        except Exception as error:
            if not base.trust_remote_code:
                raise
            # A model's own code may not run on fake tensors.
            tell(f"warning: memory and disk could not be estimated for this model: {first_line(error)}")


def _stages(
    request: Request,
    base: ModelSpec,
    stages: Sequence[Prepared],
    folder: Path,
    progress: TrainingProgress,
    manifest: AdapterManifest | None,
    tell: Tell,
) -> AdapterManifest:
    """Train every unfinished stage. A process that writes nothing, because process 0 does, passes no manifest."""
    from .trainer import run

    log = Log(folder / "log.jsonl")
    location, adapter = base.location, ""
    stored = manifest or adapters.read(folder)
    done = {stage["name"]: stage.get("files", {}) for stage in stored.stages}
    files: Mapping[str, str] = {}  # of the previous stage
    log_before: bytes | None = b""
    for number, prepared in enumerate(stages, start=1):
        stage = prepared.stage
        work = resume.work_of(folder, number, stage)
        out = work / "result"
        if stage.name in done:
            files = done[stage.name]
        else:
            durable.make_folder(work)
            steps = planned(request, stage, len(prepared.train.rows))
            job = StageJob(
                stage=stage,
                model=request.entry.name,
                base=request.entry.weights,
                location=location,
                adapter=adapter,
                train=prepared.train,
                held_out=prepared.held_out,
                work=work,
                out=out,
                device=base.device,
                seed=request.seed,
                max_steps=steps if request.max_steps else 0,
                single_step=steps == 1,
                report_to=request.report_to,
                main=manifest is not None,
                trusted=base.trust_remote_code,
                training=checkpoint_fingerprint(stored.identity, stage.name, files),
                log_before=log_before,
            )
            with _tensorboard_in(folder):
                measured = run(job, log, progress, tell)
            files = measured["files"]
            if manifest is not None:
                manifest = dataclasses.replace(manifest, stages=[*manifest.stages, measured])
                adapter_manifest.write(folder, manifest)
        location, adapter = (location, str(out)) if stage.lora else (str(out), "")
        kept = out / LOG
        log_before = kept.read_bytes() if kept.is_file() else None
    return manifest or adapters.read(folder)


def _not_written(folder: Path, error: OSError) -> MedbenchError:
    from ..results.files import remedy

    return MedbenchError(
        f"{folder} cannot be written: {error.strerror or error}.", f"{remedy(error)}, then run the same command again."
    )


@contextmanager
def _written(folder: Path) -> Iterator[None]:
    """Turn an OSError of the disk into a MedbenchError. (The trainer does so for the errors of other libraries.)"""
    try:
        yield
    except OSError as error:
        raise _not_written(folder, error) from error


@contextmanager
def _tensorboard_in(folder: Path) -> Iterator[None]:
    """Let transformers' TensorBoard callback write to `folder`, unless the user chose a place; it reads a variable."""
    if TENSORBOARD in os.environ:
        yield
        return
    os.environ[TENSORBOARD] = str(folder / "tensorboard")
    try:
        yield
    finally:
        del os.environ[TENSORBOARD]
