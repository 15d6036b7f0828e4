"""One stage of a recipe, run by TRL's SFTTrainer or transformers' Seq2SeqTrainer: rows in, an adapter out."""

from __future__ import annotations

import errno
import json
import math
import os
import re
import shutil
import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from ..core import durable
from ..core.errors import MedbenchError, UsageError
from ..core.heap import keep_freed
from ..core.resources import PeakMemorySampler, is_cpu
from ..engines.hf.loading import embedding_rows, first_line, opened, padding, weights
from ..zoo.recipe import Stage
from . import checkpoints, portable
from .encode import Encodings
from .log import Log
from .packing import packing_fault

if TYPE_CHECKING:
    from transformers import TrainingArguments

KEPT = 2  # checkpoints: the one before stays until the next is whole
SMALL = ("adapter_config.json", "adapter_model.safetensors")


class TrainWatch(Protocol):
    """Who looks on while a stage trains."""

    def loading(self, model: str) -> None: ...

    def begin(self, stage: str, step: int, steps: int) -> None: ...

    def step(self, step: int, loss: float, learning_rate: float, tokens_per_s: float) -> None: ...

    def looked(self, step: int, eval_loss: float) -> None: ...

    def stopping(self) -> None: ...

    def end(self) -> None: ...


class Unwatched:
    """A TrainWatch that nobody looks at."""

    def loading(self, model: str) -> None:
        pass

    def begin(self, stage: str, step: int, steps: int) -> None:
        pass

    def step(self, step: int, loss: float, learning_rate: float, tokens_per_s: float) -> None:
        pass

    def looked(self, step: int, eval_loss: float) -> None:
        pass

    def stopping(self) -> None:
        pass

    def end(self) -> None:
        pass


@dataclass(frozen=True)
class Job:
    """One stage, ready to run."""

    stage: Stage
    model: str  # the model's name, for messages
    base: str  # what the adapter is to name as its base: hub id or folder
    location: str  # folder of the weights that the stage begins with
    adapter: str  # folder of the adapter that the stage goes on with; "" for a new one
    train: Encodings
    held_out: Encodings
    work: Path  # checkpoints
    out: Path  # what comes out: an adapter's folder, or a model's
    device: str
    seed: int
    max_steps: int = 0  # 0: as the stage says
    report_to: tuple[str, ...] = ()
    main: bool = True  # of several processes, the one that writes
    training: str = ""  # fingerprint of all that decides the result; a checkpoint of another one is not resumed from
    trusted: bool = False  # code that comes with the model may run
    log_before: bytes | None = None  # the log up to this stage, None where that is not known


class Diverged(MedbenchError):
    """The loss is no number any more."""


def compute_dtype(stage: Stage, device: str) -> str:
    """The dtype of the matrix products: the stage's, or what "auto" is on `device`."""
    import torch

    if stage.compute_dtype != "auto":
        return stage.compute_dtype
    if is_cpu(device):
        return "float32"
    return "bfloat16" if torch.cuda.is_bf16_supported(including_emulation=False) else "float16"


def resting_dtype(stage: Stage, device: str) -> str:
    """The dtype of the weights that are not quantized.

    float32 on a CPU and where everything is trained. Otherwise bfloat16, where the card has it, also under a float16
    compute dtype: activations in float16 would need a loss scaler, which quantized training goes without.
    """
    import torch

    if is_cpu(device) or stage.lora is None or stage.compute_dtype == "float32":
        return "float32"
    return "bfloat16" if torch.cuda.is_bf16_supported(including_emulation=False) else "float32"


def run(job: Job, log: Log, watch: TrainWatch, tell: Callable[[str], None] = lambda line: None) -> dict[str, Any]:
    """Train one stage, from its last good checkpoint if there is one; the result is in `job.out` at the end.

    Returns what was measured: steps, losses, seconds, tokens, memory, dtypes, and the hashes of the result's files.
    Raises Diverged if the loss is NaN or infinite (the last good checkpoint stays), KeyboardInterrupt if the user
    stopped it (a checkpoint is written first), MedbenchError if memory or disk run out.
    """
    import torch
    from transformers import set_seed

    checkpoint, faults = checkpoints.latest(job.work, job.training)
    if job.main:
        for line in checkpoints.put_away(faults, checkpoint):
            tell(f"{job.stage.name}: {line}")
        _restore_log(job, log, checkpoint, tell)
    set_seed(job.seed)
    if is_cpu(job.device):
        keep_freed()
    watch.loading(job.model)
    model, tokenizer = _model(job)
    if job.stage.packing and (fault := packing_fault(model)):
        raise UsageError(f"stage '{job.stage.name}': {fault}", f"--set {job.stage.name}.packing=off")
    stop = _Stop(watch)
    with PeakMemorySampler() as memory:
        trainer = _trainer(job, model, tokenizer, _recorder(job, log, watch, stop), fresh=checkpoint is None)
        if not is_cpu(job.device):
            torch.cuda.reset_peak_memory_stats()
        try:
            with stop.listening():
                if not (checkpoint and _at_its_end(trainer, checkpoint)):
                    trainer.train(resume_from_checkpoint=str(checkpoint) if checkpoint else None)
        except torch.OutOfMemoryError as error:
            raise MedbenchError(
                f"{job.device} ran out of memory while training {job.model}: {first_line(error)}",
                "Try --set batch_size=1 with a larger accumulation, --set gradient_checkpointing=on, a smaller "
                "max_length, or --set quantize=nf4.",
            ) from error
        except Exception as error:  # safetensors and torch have errors of their own for a full disk
            if not _disk_full(error):
                raise
            raise _no_room(job, error) from error
        finally:
            watch.end()
    state = trainer.state
    if stop.asked and state.global_step < state.max_steps:
        raise KeyboardInterrupt
    if job.main:
        try:
            _save(job, trainer.accelerator.unwrap_model(trainer.model), log)
        except Exception as error:  # safetensors and torch have errors of their own for a full disk
            if not _disk_full(error):
                raise
            raise _no_room(job, error) from error
    trainer.accelerator.wait_for_everyone()
    measured = _measured(job, log.stage(job.stage.name), trainer, memory.peak_bytes)
    return measured | {"files": checkpoints.hashes(job.out)}


def _restore_log(job: Job, log: Log, checkpoint: Path | None, tell: Callable[[str], None]) -> None:
    """Make the log what it was when the stage was at `checkpoint`, or before its first step."""
    before = job.log_before
    if checkpoint:
        kept = checkpoint / checkpoints.LOG
        before = kept.read_bytes() if kept.is_file() else None
    if before is None:  # a training begun before logs were kept
        log.cut(job.stage.name, checkpoints.step_of(checkpoint) if checkpoint else -1)
    elif not log.restore(before):
        tell(f"{job.stage.name}: {log.path.name} was damaged or incomplete and is restored")


def _at_its_end(trainer: Any, checkpoint: Path) -> bool:
    """Whether a checkpoint is of the last step; if so it is loaded. Asked to resume there, Trainer adds a step."""
    from transformers import TrainerState

    state = TrainerState.load_from_json(str(checkpoint / "trainer_state.json"))
    if state.global_step < state.max_steps:
        return False
    trainer.state = state
    trainer._load_from_checkpoint(str(checkpoint))
    return True


def _model(job: Job) -> tuple[Any, Any]:
    """The weights in memory, with the adapter to train on them, and the tokenizer."""
    import torch
    from peft import LoraConfig, PeftModel, get_peft_model
    from transformers import BitsAndBytesConfig

    stage = job.stage
    config, tokenizer = opened(job.location, job.trusted)
    dtype = compute_dtype(stage, job.device)
    quantization = None
    if stage.quantize == "nf4":
        quantization = BitsAndBytesConfig(
            load_in_4bit=True,
            bnb_4bit_quant_type="nf4",
            bnb_4bit_use_double_quant=stage.double_quant,
            bnb_4bit_compute_dtype=getattr(torch, dtype),
        )
    resting = resting_dtype(stage, job.device)
    model = weights(job.model, job.location, config, resting, job.device, quantization, trusted=job.trusted)
    model.config.use_cache = False
    _fit_tokens(job, model, tokenizer)
    if quantization and is_cpu(job.device):
        _unmap(model)
    if stage.lora is None:
        return model, tokenizer
    if job.adapter:
        model = PeftModel.from_pretrained(model, job.adapter, is_trainable=True)
    else:
        lora = LoraConfig(
            r=stage.lora.rank,
            lora_alpha=stage.lora.alpha,
            lora_dropout=stage.lora.dropout,
            target_modules=list(stage.lora.target_modules),
            use_rslora=stage.lora.rslora,
            bias="none",
            task_type="SEQ_2_SEQ_LM" if config.is_encoder_decoder else "CAUSAL_LM",
        )
        model = get_peft_model(model, lora)
    if stage.gradient_checkpointing:
        model.enable_input_require_grads()  # without it nothing before the first adapter asks for a gradient
    return model, tokenizer


def _fit_tokens(job: Job, model: Any, tokenizer: Any) -> None:
    """Give the tokenizer a padding token that the model has. Raises MedbenchError for rows with tokens it lacks."""
    rows = embedding_rows(model)
    highest = max((max(row["input_ids"]) for row in [*job.train.rows, *job.held_out.rows]), default=0)
    if highest >= rows:
        raise MedbenchError(
            f"the tokenizer of {job.model} gives the token {tokenizer.convert_ids_to_tokens(highest)!r} "
            f"(id {highest}), for which the model has no embedding: it has {rows:,} of them.",
            "Save the model with embeddings for all of its tokenizer's tokens (resize_token_embeddings).",
        )
    if tokenizer.pad_token_id is None or not 0 <= tokenizer.pad_token_id < rows:
        # Masked out everywhere. The tokenizer that is saved is the base's, as it was.
        tokenizer.pad_token = tokenizer.convert_ids_to_tokens(padding(tokenizer, rows))


def _unmap(model: Any) -> None:
    """Give weights that are not quantized memory of their own. As views of the mapped file they would keep all of it in
    memory, the float32 weights that were quantized too."""
    for tensor in (*model.parameters(), *model.buffers()):
        if tensor.is_floating_point():
            tensor.data = tensor.data.clone()


def _trainer(job: Job, model: Any, tokenizer: Any, recorder: Any, fresh: bool) -> Any:
    import datasets
    from transformers import DataCollatorForSeq2Seq, PrinterCallback, Seq2SeqTrainer, Seq2SeqTrainingArguments
    from trl import SFTConfig, SFTTrainer

    class Trainer(SFTTrainer):  # type: ignore[misc]
        def create_model_card(self, *_: Any, **__: Any) -> None:
            """The manifest says what came out; TRL would write a page of its own into every checkpoint."""

    def rows(encodings: Encodings) -> Any:
        return datasets.Dataset.from_dict(
            {
                "input_ids": [row["input_ids"] for row in encodings.rows],
                "labels": [row["labels"] for row in encodings.rows],
            }
        )

    held_out = rows(job.held_out) if job.held_out.rows else None
    shared = _arguments(job, bool(held_out), fresh)
    datasets.disable_progress_bars()
    if model.config.is_encoder_decoder:
        trainer = Seq2SeqTrainer(
            model=model,
            args=Seq2SeqTrainingArguments(**shared),
            train_dataset=rows(job.train),
            eval_dataset=held_out,
            processing_class=tokenizer,
            data_collator=DataCollatorForSeq2Seq(tokenizer, model=model, label_pad_token_id=-100),
            callbacks=[recorder],
        )
        # T5 takes the count of a whole step's tokens, which the mean over accumulated batches needs, and ignores it.
        trainer.model_accepts_loss_kwargs = False
    else:
        # The rows are tokens with labels and within the limit already, so that TRL cuts and drops nothing in silence.
        limits = {"max_length": job.stage.max_length, "packing": True} if job.stage.packing else {"max_length": None}
        trainer = Trainer(
            model=model,
            args=SFTConfig(**shared, **limits, eval_packing=False),
            train_dataset=rows(job.train),
            eval_dataset=held_out,
            processing_class=tokenizer,
            callbacks=[recorder],
        )
    trainer.remove_callback(PrinterCallback)
    for parameter in model.parameters():
        # TRL rounds adapters over quantized weights to bfloat16, where Adam's small steps are lost in the rounding.
        if parameter.requires_grad and job.stage.lora is not None:
            parameter.data = parameter.data.float()
    return trainer


def _arguments(job: Job, looks: bool, fresh: bool) -> dict[str, Any]:
    """The settings of both trainers, as TrainingArguments takes them. `fresh`: no checkpoint is resumed from."""
    stage = job.stage
    dtype = compute_dtype(stage, job.device)
    mixed = not is_cpu(job.device) and resting_dtype(stage, job.device) != "float32"
    steps = job.max_steps or stage.steps
    return {
        "output_dir": str(job.work),
        "per_device_train_batch_size": stage.batch_size,
        "per_device_eval_batch_size": stage.batch_size,
        "gradient_accumulation_steps": stage.gradient_accumulation_steps,
        "learning_rate": stage.learning_rate,
        "lr_scheduler_type": stage.lr_scheduler,
        "warmup_steps": stage.warmup_ratio,
        "weight_decay": stage.weight_decay,
        "max_grad_norm": stage.max_grad_norm,
        "optim": stage.optimizer,
        "num_train_epochs": stage.epochs,
        "max_steps": steps or -1,
        "neftune_noise_alpha": stage.neftune_alpha or None,
        "gradient_checkpointing": stage.gradient_checkpointing,
        "bf16": mixed and dtype == "bfloat16",
        "fp16": False,
        "use_cpu": is_cpu(job.device),
        "eval_strategy": "steps" if looks else "no",
        "eval_steps": stage.eval_steps if looks else None,
        "eval_on_start": looks and fresh,
        "save_strategy": "steps",
        "save_steps": stage.save_steps,
        "save_total_limit": KEPT,
        "logging_steps": 1,
        "logging_nan_inf_filter": False,
        "include_num_input_tokens_seen": "non_padding",
        "report_to": list(job.report_to) or "none",
        "seed": job.seed,
        "data_seed": job.seed,
        "disable_tqdm": True,
        "remove_unused_columns": False,
        "dataloader_pin_memory": not is_cpu(job.device),
        "label_names": ["labels"],
        "ddp_find_unused_parameters": False,
    }


def _recorder(job: Job, log: Log, watch: TrainWatch, stop: _Stop) -> Any:
    from transformers import TrainerCallback

    class Recorder(TrainerCallback):  # type: ignore[misc]
        """Writes the log, shows progress, seals checkpoints, and stops where the loss is no number."""

        def __init__(self) -> None:
            self.started = time.monotonic()
            self.seconds = 0.0
            self.tokens = 0

        def on_train_begin(self, args: TrainingArguments, state: Any, control: Any, **_: Any) -> None:
            watch.begin(job.stage.name, state.global_step, state.max_steps)
            self.tokens = state.num_input_tokens_seen
            self.started = time.monotonic()

        def on_step_begin(self, args: TrainingArguments, state: Any, control: Any, **_: Any) -> None:
            self.started = time.monotonic()

        def on_step_end(self, args: TrainingArguments, state: Any, control: Any, **_: Any) -> None:
            self.seconds = time.monotonic() - self.started
            if job.held_out.rows and state.global_step >= state.max_steps:
                control.should_evaluate = True  # the end is looked at, wherever the last look fell
            if stop.asked and state.global_step < state.max_steps:
                control.should_save = control.should_training_stop = True

        def on_log(self, args: TrainingArguments, state: Any, control: Any, logs: Any = None, **_: Any) -> None:
            logs = logs or {}
            line: dict[str, Any] = {"stage": job.stage.name, "step": state.global_step}
            if "loss" in logs:
                loss, norm = float(logs["loss"]), float(logs.get("grad_norm") or 0.0)
                tokens = int(state.num_input_tokens_seen) - self.tokens
                self.tokens = int(state.num_input_tokens_seen)
                line |= {
                    "loss": loss,
                    "learning_rate": float(logs.get("learning_rate", 0.0)),
                    "grad_norm": norm,
                    "tokens": tokens,
                    "seconds": round(self.seconds, 4),
                }
                if not math.isfinite(loss) or not math.isfinite(norm):
                    raise _diverged(job, state.global_step, loss, norm)
                watch.step(state.global_step, loss, line["learning_rate"], tokens / max(self.seconds, 1e-9))
            elif "eval_loss" in logs:
                line["eval_loss"] = float(logs["eval_loss"])
                watch.looked(state.global_step, line["eval_loss"])
            else:
                return
            if job.main:
                log.append(line)

        def on_save(self, args: TrainingArguments, state: Any, control: Any, **_: Any) -> None:
            import torch

            if torch.distributed.is_available() and torch.distributed.is_initialized():
                torch.distributed.barrier()  # every process writes a part of it
            if job.main:
                checkpoints.seal(job.work / f"checkpoint-{state.global_step}", job.training, log.path)

    return Recorder()


class _Stop:
    """Ctrl-C while a stage trains: the first ends it after the step with a checkpoint, the second at once."""

    def __init__(self, watch: TrainWatch) -> None:
        self.asked = False
        self.watch = watch

    @contextmanager
    def listening(self) -> Iterator[None]:
        alone = int(os.environ.get("WORLD_SIZE", "1")) == 1  # several processes could not agree on the step to stop at
        if not alone or threading.current_thread() is not threading.main_thread():
            yield
            return
        before = signal.signal(signal.SIGINT, self._heard)
        try:
            yield
        finally:
            signal.signal(signal.SIGINT, before)

    def _heard(self, *_: Any) -> None:
        if self.asked:
            raise KeyboardInterrupt
        self.asked = True
        self.watch.stopping()


def _diverged(job: Job, step: int, loss: float, norm: float) -> Diverged:
    what = f"the loss is {loss}" if not math.isfinite(loss) else f"the gradient's norm is {norm}"
    good = checkpoints.newest(job.work)
    kept = (
        f"The checkpoint of step {checkpoints.step_of(good)} is from before and is kept: {good}."
        if good
        else "No checkpoint had been written yet."
    )
    return Diverged(
        f"{what} at step {step} of stage '{job.stage.name}'; training is stopped. {kept}",
        f"Try a smaller learning rate under another tag: --tag NEW --set learning_rate={job.stage.learning_rate / 4:g}",
    )


def _disk_full(error: BaseException) -> bool:
    if isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG):
        return True
    # As safetensors and torch have it: full, over the quota, larger than a file may be.
    return bool(re.search(r"No space left|os error (28|122|27)\b|PytorchStreamWriter failed writing", str(error)))


def _no_room(job: Job, error: BaseException) -> MedbenchError:
    good = checkpoints.newest(job.work)
    kept = f"The checkpoint of step {checkpoints.step_of(good)} is whole." if good else "No checkpoint was whole yet."
    return MedbenchError(
        f"{job.work.parent} cannot be written: {first_line(error)}. {kept}",
        "Make room, then give the same command again: it continues from there.",
    )


def _save(job: Job, model: Any, log: Log) -> None:
    """Write what the stage made, with the log so far, to `job.out`, which is there whole or not at all."""
    part = job.out.with_name(job.out.name + ".part")
    shutil.rmtree(part, ignore_errors=True)
    part.mkdir(parents=True)
    if job.stage.lora is None:
        model.config.use_cache = True
        portable.save(model, Path(job.location), part)
    else:
        model.peft_config["default"].base_model_name_or_path = job.base
        model.save_pretrained(part, save_embedding_layers=False)  # PEFT would look for them on the hub
        for path in part.iterdir():
            if path.name not in SMALL:
                path.unlink()  # PEFT's page of advice
        config = part / SMALL[0]
        told = json.loads(config.read_text(encoding="utf-8"))
        told["target_modules"] = sorted(told["target_modules"])  # a set, in an order of each process's own
        config.write_text(json.dumps(told, indent=2, sort_keys=True), encoding="utf-8")
    checkpoints.keep_log(log.path, part)
    durable.sync_tree(part)
    if job.out.exists():
        shutil.rmtree(job.out)
    durable.rename(part, job.out)


def _measured(job: Job, lines: list[dict[str, Any]], trainer: Any, peak_rss: int) -> dict[str, Any]:
    """What the manifest keeps of a finished stage.

    Losses are in nats per token, `first` and `last` the means of the first and last tenth of the steps, ten at most.
    """
    import torch

    losses = [line["loss"] for line in lines if "loss" in line]
    few = min(10, math.ceil(len(losses) / 10))
    looks = [line for line in lines if "eval_loss" in line]
    seconds = sum(line.get("seconds", 0.0) for line in lines)
    tokens = sum(line.get("tokens", 0) for line in lines)
    parameters = list(trainer.model.parameters())
    return {
        "name": job.stage.name,
        "steps": trainer.state.global_step,
        "epochs": round(float(trainer.state.epoch or 0.0), 3),
        "trainable": sum(p.numel() for p in parameters if p.requires_grad),
        "loss_first": _mean(losses[:few]),
        "loss_last": _mean(losses[-few:]),
        "loss_final": losses[-1] if losses else None,
        "eval_loss_before": looks[0]["eval_loss"] if looks and looks[0]["step"] == 0 else None,
        "eval_loss_after": looks[-1]["eval_loss"] if looks else None,
        "seconds": round(seconds, 3),
        "tokens": tokens,
        "tokens_per_s": round(tokens / seconds, 2) if seconds else None,
        "peak_rss_bytes": peak_rss,
        "peak_gpu_memory_bytes": None if is_cpu(job.device) else torch.cuda.max_memory_allocated(),
        "device": job.device,
        "quantize": job.stage.quantize,
        "compute_dtype": compute_dtype(job.stage, job.device),
        "weights_dtype": resting_dtype(job.stage, job.device),
        "adapter_dtype": None if job.stage.lora is None else "float32",
    }


def _mean(values: list[float]) -> float | None:
    return sum(values) / len(values) if values else None
