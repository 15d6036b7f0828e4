"""Run one stage with TRL's SFTTrainer or transformers' Seq2SeqTrainer."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from ..core.errors import MedbenchError, UsageError
from ..core.heap import keep_freed
from ..core.resources import PeakMemorySampler, is_cpu
from ..engines.hf.loading import first_line
from . import checkpoints, result, stage_model
from .encode import Encodings
from .job import StageJob
from .log import Log
from .packing import packing_fault
from .precision import compute_dtype, resting_dtype
from .progress import TrainingProgress
from .recorder import Stop, recorder

KEPT = 2  # checkpoints: the previous one stays until the next one is complete


def run(
    job: StageJob, log: Log, progress: TrainingProgress, tell: Callable[[str], None] = lambda line: None
) -> dict[str, Any]:
    """Train one stage, from its last good checkpoint if there is one, and leave the result in `job.out`.

    Returns the measurements: steps, losses, seconds, tokens, memory, dtypes, and the hashes of the result's files.
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
    progress.loading(job.model)
    model, tokenizer = stage_model.load(job)
    if job.stage.packing and (fault := packing_fault(model)):
        raise UsageError(f"stage '{job.stage.name}': {fault}", f"Turn it off: --set {job.stage.name}.packing=off")
    stop = Stop(progress)
    with PeakMemorySampler() as memory:
        trainer = _trainer(job, model, tokenizer, recorder(job, log, progress, stop), fresh=checkpoint is None)
        if not is_cpu(job.device):
            torch.cuda.reset_peak_memory_stats()
        try:
            with result.disk_errors_told(job), stop.listening():
                if not (checkpoint and _at_its_end(trainer, checkpoint)):
                    trainer.train(resume_from_checkpoint=str(checkpoint) if checkpoint else None)
        except torch.OutOfMemoryError as error:
            raise MedbenchError(
                f"{job.device} ran out of memory while training {job.model}: {first_line(error)}",
                "Try --set batch_size=1 with more gradient_accumulation_steps, --set gradient_checkpointing=on, a "
                "smaller max_length, or --set quantize=nf4.",
            ) from error
        finally:
            progress.end()
    state = trainer.state
    if stop.asked and state.global_step < state.max_steps:
        raise KeyboardInterrupt
    if job.main:
        with result.disk_errors_told(job):
            result.save(job, trainer.accelerator.unwrap_model(trainer.model), log)
    trainer.accelerator.wait_for_everyone()
    measured = result.measured(job, log.stage(job.stage.name), trainer, memory.peak_bytes)
    return measured | {"files": checkpoints.hashes(job.out)}


def _restore_log(job: StageJob, log: Log, checkpoint: Path | None, tell: Callable[[str], None]) -> None:
    """Reset the log to its content at `checkpoint`, or before the first step of the stage."""
    before = job.log_before
    if checkpoint:
        kept = checkpoint / checkpoints.LOG
        before = kept.read_bytes() if kept.is_file() else None
    if before is None:  # an older version did not keep it
        log.cut(job.stage.name, checkpoints.step_of(checkpoint) if checkpoint else -1)
    elif not log.restore(before):
        tell(f"{job.stage.name}: {log.path.name} was damaged or incomplete and is restored")


def _at_its_end(trainer: Any, checkpoint: Path) -> bool:
    """Load a checkpoint if it is of the last step, and return whether it is. Trainer would train one step more."""
    from transformers import TrainerState

    state = TrainerState.load_from_json(str(checkpoint / "trainer_state.json"))
    if state.global_step < state.max_steps:
        return False
    trainer.state = state
    trainer._load_from_checkpoint(str(checkpoint))
    return True


def _trainer(job: StageJob, model: Any, tokenizer: Any, recorder: Any, fresh: bool) -> Any:
    import datasets
    from transformers import DataCollatorForSeq2Seq, PrinterCallback, Seq2SeqTrainer, Seq2SeqTrainingArguments
    from trl import SFTConfig, SFTTrainer

    class Trainer(SFTTrainer):  # type: ignore[misc]
        def create_model_card(self, *_: Any, **__: Any) -> None:
            """Write no model card: TRL would put one into every checkpoint."""

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
        # T5 accepts the token count of a whole step, which the mean over accumulated batches needs, but ignores it.
        trainer.model_accepts_loss_kwargs = False
    else:
        # The rows are tokenized, labeled and within the limit already, so TRL silently cuts or drops nothing.
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
        # TRL casts adapters on quantized weights to bfloat16, whose rounding swallows Adam's small steps.
        if parameter.requires_grad and job.stage.lora is not None:
            parameter.data = parameter.data.float()
    return trainer


def _arguments(job: StageJob, evaluate: bool, fresh: bool) -> dict[str, Any]:
    """Return the settings of both trainers, as TrainingArguments takes them. `fresh`: there is no checkpoint."""
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
        # transformers starts a warmup at a rate of 0: a single step would learn nothing.
        "warmup_steps": 0 if job.single_step else stage.warmup_ratio,
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
        "eval_strategy": "steps" if evaluate else "no",
        "eval_steps": stage.eval_steps if evaluate else None,
        "eval_on_start": evaluate and fresh,
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
