"""A zoo entry trains itself: data, tokens and leaks first, then stage after stage, then an adapter with its record."""

from __future__ import annotations

import dataclasses
import json
import os
import shutil
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from ..core import durable
from ..core.errors import MedbenchError, UsageError
from ..core.hashing import fingerprint
from ..core.types import ModelSpec
from ..zoo import adapter_manifest, adapters
from ..zoo.adapter_manifest import AdapterManifest
from ..zoo.adapters import Adapter
from ..zoo.recipe import Recipe, Stage, with_old_names
from ..zoo.weights.digests import sha256_of
from ..zoo.weights.sources import HUB_ID, recorded
from . import estimate, leak_check, resume
from .checkpoints import LOG
from .data import StageData
from .data import prepare as load_data
from .encode import Encodings, encode
from .log import Log, draw
from .trainer import Job, TrainWatch, compute_dtype

if TYPE_CHECKING:
    from ..benchmarks.sources.files import Source
    from ..zoo.entry import Entry

Tell = Callable[[str], None]

DONE: Final = "done"
STOPPED: Final = "stopped"
TRAINING: Final = "training"

WORKER = "MEDBENCH_WORKER"  # in each of several processes: a folder that they share and that goes with them
TENSORBOARD = "TENSORBOARD_LOGGING_DIR"
LOOK_SECONDS = 0.1  # between two looks whether the first process has begun


@dataclass(frozen=True)
class Request:
    """What is asked of one training run. Everything but where things lie and who is told decides what comes out."""

    model: str  # as the user names it: a zoo entry, or a .py file with one
    entry: Entry
    recipe: Recipe  # the entry's, with the settings applied
    source: Source
    root: Path  # the folder of adapters
    tag: str = "default"
    settings: tuple[str, ...] = ()  # as given, for the record
    seed: int = 0
    max_steps: int = 0  # per stage; 0: as the recipe says
    device: str = "auto"
    processes: int = 1
    report_to: tuple[str, ...] = ()
    allowed_leaks: frozenset[str] = frozenset()  # benchmarks whose own items may be trained on
    leave_out_leaks: bool = False  # examples that hold items of other benchmarks are not trained on
    command: tuple[str, ...] = ()
    trust_remote_code: bool = False  # Python code that comes with the model may run
    revision: str = ""  # branch, tag or commit of the model on the hub; "": as the entry says

    @property
    def name(self) -> str:
        return f"{self.entry.name}@{self.tag}"

    @property
    def folder(self) -> Path:
        return adapters.folder(self.entry.name, self.tag, self.root)


@dataclass(frozen=True)
class Prepared:
    """One stage with its data as tokens."""

    stage: Stage
    data: StageData
    train: Encodings
    held_out: Encodings
    left_out: leak_check.LeftOut | None = None  # examples that hold scored items; None where they are trained on

    def facts(self) -> dict[str, Any]:
        """The record of a stage's data for the manifest."""
        left_out = None if self.left_out is None else {name: list(items) for name, items in self.left_out.items()}
        return {
            "stage": self.stage.name,
            "parts": list(self.data.parts),
            "hash": self.data.hash,
            "examples": len(self.data.train),
            "held_out": len(self.held_out.rows),
            "rows": len(self.train.rows),
            "tokens": self.train.tokens,
            "learned_tokens": self.train.learned,
            "answers_cut": self.train.cut_answers,
            "dropped": len(self.train.dropped),
            "notes": list(self.data.notes),
            "set_notes": self.data.set_notes,
            **({} if left_out is None else {"left_out": left_out}),
        }


def rank() -> int:
    """Which of several processes this is; 0 writes."""
    return int(os.environ.get("RANK", "0")) if WORKER in os.environ else 0


def base_of(request: Request, tell: Tell) -> ModelSpec:
    """The weights to begin with, on this disk, with device and dtype settled."""
    from ..engines.hf.loading import settle
    from ..zoo.resolve import resolve

    device = request.device
    if device == "auto" and "LOCAL_RANK" in os.environ:
        import torch

        device = f"cuda:{os.environ['LOCAL_RANK']}" if torch.cuda.is_available() else "cpu"
    return settle(
        resolve(
            request.model,
            revision=revision_of(request),
            device=device,
            trust_remote_code=request.trust_remote_code,
            tell=tell,
        )
    )


def on_the_same_data(request: Request) -> Request:
    """The request with hub data sets at the commits that this training began with, if it began."""
    begun = resume.peek(request.folder)
    if not begun or not begun.data_revisions:
        return request
    source = request.source.at(resume.same_data(begun, request.source.revisions))
    return dataclasses.replace(request, source=source)


def revision_of(request: Request) -> str:
    """The revision of the base to train on: the commit that this training began with, if it began; else as asked.

    A branch moves, and a training that goes on would otherwise be another one.
    """
    begun = resume.peek(request.folder)
    if begun and begun.base.get("asked", "") == request.revision:
        return recorded(begun.base, request.entry.weights, request.entry) or request.revision
    return request.revision


def check(request: Request) -> None:
    """Everything that is wrong with a request before anything is loaded. Raises UsageError."""
    from ..engines.hf.loading import quiet_libraries

    quiet_libraries()
    check_reports(request.report_to)
    assert request.folder  # a tag that cannot be one is told here
    if request.revision and not HUB_ID.fullmatch(request.entry.weights):
        raise UsageError(
            f"--revision {request.revision}: the weights of {request.entry.name} are on this disk and have none.",
            "Leave --revision out.",
        )
    first, *later = request.recipe.stages
    for stage in request.recipe.stages:
        if stage.packing and request.entry.architecture == "encoder-decoder":
            raise UsageError(f"stage '{stage.name}': packing is for causal models.", f"--set {stage.name}.packing=off")
        if request.entry.config and not request.trust_remote_code:
            estimate.check_modules(request.entry.config, stage)
    for stage in later:
        if stage.lora != first.lora:
            raise UsageError(
                f"stage '{stage.name}' goes on with the adapter of stage '{first.name}', but their LoRA differs.",
                "Set it for both: --set lora.FIELD=VALUE, without the stage's name.",
            )


def check_reports(names: Sequence[str]) -> None:
    """Raises UsageError for a --report-to that transformers does not know, or whose package is not installed."""
    from transformers.integrations import get_available_reporting_integrations
    from transformers.integrations.integration_utils import INTEGRATION_TO_CALLBACK

    for name in names:
        if name not in INTEGRATION_TO_CALLBACK:
            raise UsageError(
                f"--report-to {name}: transformers knows {', '.join(sorted(INTEGRATION_TO_CALLBACK))}.",
                "The log as JSON lines and the loss curve are written in any case.",
            )
        if name not in get_available_reporting_integrations():
            raise UsageError(f"--report-to {name}: its package is not installed.", f"pip install {name}")


def check_quantization(stage: Stage, device: str) -> None:
    """Raises UsageError where 4-bit weights do not work on `device`: found by quantising a small matrix there."""
    if stage.quantize == "none":
        return
    try:
        import torch
        from bitsandbytes import functional

        packed, state = functional.quantize_4bit(torch.ones(64, 64, device=device), quant_type="nf4")
        functional.dequantize_4bit(packed, state)
    except Exception as error:  # bitsandbytes raises what its build lacks
        from ..engines.hf.loading import first_line

        raise UsageError(
            f"stage '{stage.name}' wants its weights in NF4, and bitsandbytes cannot do that on {device}: "
            f"{first_line(error)}.",
            "Train with unquantized weights, which need four times the memory: --quantize none",
        ) from error


def prepare(request: Request, base: ModelSpec, tell: Tell) -> tuple[Prepared, ...]:
    """The stages with their data as tokens. Raises DataMissing, and MedbenchError where nothing is left to learn."""
    loaded = [load_data(stage, request.source, request.seed) for stage in request.recipe.stages]
    left_out = left_out_of(request, loaded, tell)
    prepared = []
    for stage, whole in zip(request.recipe.stages, loaded, strict=True):
        data = leak_check.without(whole, left_out)
        if not data.train:
            raise MedbenchError(
                f"stage '{stage.name}': all of its {len(whole.train):,} examples hold scored items, and "
                "--leave-out-leaks leaves nothing to train on.",
                "Train on other data: --set data=NAME (medbench list training-sets)",
            )
        train, held_out = as_tokens(request, stage, data, base.location, base.trust_remote_code)
        if not train.rows:
            raise MedbenchError(
                f"stage '{stage.name}': none of its {len(data.train):,} examples leaves anything to learn within "
                f"{stage.max_length} tokens.",
                f"Try a larger --set {stage.name}.max_length={2 * stage.max_length}",
            )
        for note in data.notes:
            tell(f"{stage.name}: {note}")
        tell(f"{stage.name}: {counts(train, held_out)}")
        mine = {example.id: left_out[example.id] for example in whole.train if example.id in left_out}
        prepared.append(Prepared(stage, data, train, held_out, mine if request.leave_out_leaks else None))
    return tuple(prepared)


def left_out_of(request: Request, loaded: Sequence[StageData], tell: Tell) -> leak_check.LeftOut:
    """The examples not to train on: those that a training which began before left out, else those that leak."""
    if not request.leave_out_leaks:
        return {}
    begun = resume.peek(request.folder)
    if begun and resume.left_out(begun) is not None:
        return resume.left_out(begun) or {}
    tell("leak check: looking for examples that hold scored items, to leave them out")
    return leak_check.to_leave_out(loaded, request.source, request.allowed_leaks, tell)


def as_tokens(
    request: Request, stage: Stage, data: StageData, location: str, trusted: bool
) -> tuple[Encodings, Encodings]:
    """A stage's training and held-out examples as the model whose folder is `location` reads them."""
    from ..engines import chat_templates
    from ..engines.hf.loading import opened, window
    from ..engines.prompting import checked_kind, wrapping

    config, tokenizer = opened(location, trusted)
    wrap = wrapping("auto", "generate", chat_templates.of_folder(location), request.entry.prompt_format)
    checked_kind(wrap, request.entry.name)
    room, both = window(config, tokenizer), bool(config.is_encoder_decoder)
    return (
        encode(data.train, tokenizer, stage, wrap, both, room),
        encode(data.held_out, tokenizer, stage, wrap, both, room),
    )


def counts(train: Encodings, held_out: Encodings) -> str:
    """What there is to learn, in words."""
    cut = f", {train.cut_answers:,} answers cut" if train.cut_answers else ""
    dropped = f", {len(train.dropped):,} dropped (no room for an answer)" if train.dropped else ""
    return (
        f"{len(train.rows):,} examples, {train.tokens:,} tokens, {train.learned:,} of them learned{cut}{dropped}; "
        f"{len(held_out.rows):,} held out"
    )


def identity(request: Request, base: ModelSpec, stages: Sequence[Prepared]) -> dict[str, Any]:
    """Everything that decides what comes out, as plain JSON data."""
    plain = dataclasses.asdict(request.recipe)
    for stage in plain["stages"]:
        del stage["why"]
    decided = {
        "model": request.entry.name,
        "base": {"weights": request.entry.weights, "revision": base.revision} | _trust(base),
        "stages": {stage.pop("name"): stage for stage in plain["stages"]},
        "max_steps": request.max_steps,
        "seed": request.seed,
        "processes": request.processes,
        "compute_dtype": [compute_dtype(stage.stage, base.device) for stage in stages],
        "data": [stage.data.hash for stage in stages],
    }
    as_stored: dict[str, Any] = json.loads(json.dumps(decided))
    return as_stored


def train(request: Request, watch: TrainWatch, tell: Tell) -> tuple[AdapterManifest, Path]:
    """Train what is asked, or go on with it, or find it done. Returns the manifest and the adapter's folder.

    Raises UsageError where the tag holds another training run, Diverged where the loss is no number.
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
    if rank() != 0:
        while not _begun().exists():  # what started us ends us, should the first process fail
            time.sleep(LOOK_SECONDS)
        if adapters.read(folder).status != DONE:
            _stages(request, base, stages, folder, watch, None, lambda line: None)
        return adapters.read(folder), folder
    lock = Lock(folder / ".lock", request.name)
    try:
        durable.refuse_link(folder)
        durable.make_folder(folder)
        lock.acquire()
    except OSError as error:
        raise _not_written(folder, error) from error
    try:
        manifest = _begin(request, base, stages, asked, tell)
        if manifest.status != DONE:
            manifest = resume.trusted(folder, request.recipe.stages, manifest, tell)
        if WORKER in os.environ:
            _begun().touch()
        if manifest.status == DONE:
            Adapter(folder, manifest).intact(tell)
            tell(f"{request.name} is trained already: nothing to do")
            return manifest, folder
        try:
            _check_room(base, stages, folder, tell)
            with _written(folder):
                manifest = _stages(request, base, stages, folder, watch, manifest, tell)
        except (KeyboardInterrupt, MedbenchError) as error:
            why = error.message if isinstance(error, MedbenchError) else "stopped by the user"
            with suppress(MedbenchError):  # a full disk: the manifest says "training", which resumes all the same
                adapter_manifest.write(folder, dataclasses.replace(adapters.read(folder), status=STOPPED, stopped=why))
            raise
        return _finish(request, folder, manifest), folder
    finally:
        lock.release()
        if not (folder / adapter_manifest.MANIFEST).exists():
            shutil.rmtree(folder, ignore_errors=True)  # refused before anything was made


def _trust(base: ModelSpec) -> dict[str, bool]:
    """What the manifest says of a base that runs code of its own; nothing of any other."""
    return {"trust_remote_code": True} if base.trust_remote_code else {}


def _begun() -> Path:
    """What the first of several processes writes when the others may look at the manifest."""
    return Path(os.environ[WORKER]) / "begun"


def _begin(
    request: Request, base: ModelSpec, stages: Sequence[Prepared], asked: Mapping[str, str], tell: Tell
) -> AdapterManifest:
    """The manifest of this training run: the stored one where it was begun before, else a new one, written."""
    from ..evaluation import environment
    from ..results.identity import differing

    folder, wanted = request.folder, identity(request, base, stages)
    stored = resume.stored(folder, tell)
    if stored:
        differences = differing(stored.identity, wanted)
        if differences:
            name, old, new = differences[0]
            if name == "data":
                old, new = (_sizes(facts) for facts in (stored.data, [stage.facts() for stage in stages]))
                name = "the text of its data" if old == new else name
            raise UsageError(
                f"{request.name} was trained otherwise: {name} is {old} there and {new} here.",
                f"Give this one another name with --tag, or delete {folder}.",
            )
        if stored.status != DONE:
            tell(f"going on with {request.name}")
            stored = dataclasses.replace(stored, status=TRAINING, stopped="")
            adapter_manifest.write(folder, stored)
            _write_examples(folder, stages)
        return stored
    read = {
        name: {"commit": commit, **({"asked": asked[name]} if name in asked else {})}
        for name, commit in request.source.commits.items()
    }
    seen = leak_check.check([stage.data for stage in stages], request.source, request.allowed_leaks, tell)
    manifest = AdapterManifest(
        model=request.entry.name,
        tag=request.tag,
        kind="lora" if stages[-1].stage.lora else "full",
        status=TRAINING,
        identity=wanted,
        base={
            "name": str(Path(request.model).resolve()) if request.model.endswith(".py") else request.model,
            "weights": request.entry.weights,
            "revision": base.revision,
            "source": base.source,
            "location": base.location,
        }
        | ({"asked": request.revision} if request.revision else {})
        | _trust(base),
        recipe=dataclasses.asdict(request.recipe),
        settings=list(request.settings),
        stages=[],
        data=[stage.facts() | _plan(request, stage) for stage in stages],
        data_revisions=read,
        seed=request.seed,
        environment=environment.describe(),
        leaks={name: dataclasses.asdict(leak) for name, leak in seen.found.items()},
        unchecked=dict(seen.unchecked),
        created=datetime.now(UTC).isoformat(timespec="seconds"),
        command=list(request.command),
        hash="",
    )
    _write_examples(folder, stages)
    adapter_manifest.write(folder, manifest)
    return manifest


def _write_examples(folder: Path, stages: Sequence[Prepared]) -> None:
    """List the examples of every stage by id. They are those of the identity, so a damaged list is replaced."""
    lines = [
        json.dumps({"stage": stage.stage.name, "split": split, "id": example.id}, ensure_ascii=False)
        for stage in stages
        for split, examples in (("train", stage.data.train), ("held_out", stage.data.held_out))
        for example in examples
    ]
    content = "".join(f"{line}\n" for line in lines).encode("utf-8", "backslashreplace")
    durable.replace_file(folder / "examples.jsonl", content)


def _plan(request: Request, prepared: Prepared) -> dict[str, Any]:
    """How many steps a stage's recipe has, and what each takes: what was really trained is told by them."""
    stage, rows = prepared.stage, len(prepared.train.rows)
    if stage.packing:
        return {"recipe_steps": stage.steps or None}
    return {
        "recipe_steps": estimate.steps(stage, rows, request.processes),
        "steps_per_epoch": estimate.steps_per_epoch(stage, rows, request.processes),
        "examples_per_step": stage.batch_size * stage.gradient_accumulation_steps * request.processes,
    }


def _sizes(facts: Sequence[Mapping[str, Any]]) -> str:
    return ", ".join(f"{stage['examples']} examples in stage '{stage['stage']}'" for stage in facts)


def _check_room(base: ModelSpec, stages: Sequence[Prepared], folder: Path, tell: Tell) -> None:
    """Raises MedbenchError where disk or memory will not do, before hours are spent."""
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
            # Code of the model's own need not run without numbers, as the estimate has it.
            tell(f"warning: memory and disk could not be estimated for this model: {first_line(error)}")


def _stages(
    request: Request,
    base: ModelSpec,
    stages: Sequence[Prepared],
    folder: Path,
    watch: TrainWatch,
    manifest: AdapterManifest | None,
    tell: Tell,
) -> AdapterManifest:
    """Every stage that is not done yet. Without a manifest: one of several processes that leaves writing to another."""
    from .trainer import run

    log = Log(folder / "log.jsonl")
    location, adapter = base.location, ""
    stored = manifest or adapters.read(folder)
    done = {stage["name"]: stage.get("files", {}) for stage in stored.stages}
    files: Mapping[str, str] = {}  # of the stage before
    log_before: bytes | None = b""
    for number, prepared in enumerate(stages, start=1):
        stage = prepared.stage
        work = resume.work_of(folder, number, stage)
        out = work / "result"
        if stage.name in done:
            files = done[stage.name]
        else:
            durable.make_folder(work)
            job = Job(
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
                max_steps=planned(request, stage, len(prepared.train.rows)) if request.max_steps else 0,
                report_to=request.report_to,
                main=manifest is not None,
                trusted=base.trust_remote_code,
                training=fingerprint([_first_names(stored.identity), stage.name, _weights_of(files)]),
                log_before=log_before,
            )
            with _tensorboard_in(folder):
                measured = run(job, log, watch, tell)
            files = measured["files"]
            if manifest is not None:
                manifest = dataclasses.replace(manifest, stages=[*manifest.stages, measured])
                adapter_manifest.write(folder, manifest)
        location, adapter = (location, str(out)) if stage.lora else (str(out), "")
        kept = out / LOG
        log_before = kept.read_bytes() if kept.is_file() else None
    return manifest or adapters.read(folder)


def _first_names(identity: Mapping[str, Any]) -> dict[str, Any]:
    """The identity under the names that fields of a stage had first, so that older checkpoints are still used."""
    stages = {name: with_old_names(stage) for name, stage in identity.get("stages", {}).items()}
    return {**identity, "stages": stages}


def _weights_of(files: Mapping[str, str]) -> dict[str, str]:
    """Of a result's hashes, those of what the next stage begins with; the log has times in it."""
    return {name: digest for name, digest in files.items() if name != LOG}


def _not_written(folder: Path, error: OSError) -> MedbenchError:
    from ..results.files import remedy

    return MedbenchError(
        f"{folder} cannot be written: {error.strerror or error}.", f"{remedy(error)}, then give the same command again."
    )


@contextmanager
def _written(folder: Path) -> Iterator[None]:
    """Turn what a disk that refuses raises into a sentence. (What libraries raise of it, the trainer tells.)"""
    try:
        yield
    except OSError as error:
        raise _not_written(folder, error) from error


@contextmanager
def _tensorboard_in(folder: Path) -> Iterator[None]:
    """Where transformers' callback writes, unless the user has said where; it is told by this variable alone."""
    if TENSORBOARD in os.environ:
        yield
        return
    os.environ[TENSORBOARD] = str(folder / "tensorboard")
    try:
        yield
    finally:
        del os.environ[TENSORBOARD]


def planned(request: Request, stage: Stage, rows: int) -> int:
    """Optimizer steps of a stage over `rows` rows: what the recipe says, or --max-steps where that is fewer.

    Packed rows are counted by the trainer alone, so there --max-steps is taken as it is and 0 is as the recipe says.
    """
    if stage.packing:
        return request.max_steps or stage.steps
    whole = estimate.steps(stage, rows, request.processes)
    return min(whole, request.max_steps) if request.max_steps else whole


def _finish(request: Request, folder: Path, manifest: AdapterManifest) -> AdapterManifest:
    """Put the last stage's result where it is found, draw the curve, and call it done; the checkpoints go."""
    number = len(request.recipe.stages)
    last = resume.work_of(folder, number, request.recipe.stages[-1]) / "result"
    names = list(manifest.stages[-1].get("files", {})) or [path.name for path in last.iterdir()]
    for name in sorted(names):
        target = folder / name
        target.unlink(missing_ok=True)
        try:
            os.link(last / name, target)  # a model's weights need not be on the disk twice
        except OSError:
            shutil.copy2(last / name, target)
            durable.sync_file(target)
    durable.sync_folder(folder)
    draw(folder / "loss.png", request.name, Log(folder / LOG).lines())
    files = {name: sha256_of(folder / name) for name in adapters.deciding(folder, manifest.kind)}
    done = dataclasses.replace(manifest, status=DONE, hash=adapters.hash_of(folder, manifest.kind), files=files)
    adapter_manifest.write(folder, done)
    shutil.rmtree(folder / "work", ignore_errors=True)
    return done
