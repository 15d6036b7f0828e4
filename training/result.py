"""What a stage leaves behind: its weights, its measurements, and a clear error if the disk is full."""

from __future__ import annotations

import errno
import json
import math
import re
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from ..core import durable
from ..core.errors import MedbenchError
from ..core.resources import is_cpu
from ..engines.hf.loading import first_line
from . import checkpoints, portable
from .job import StageJob
from .log import Log
from .precision import compute_dtype, resting_dtype

SMALL = ("adapter_config.json", "adapter_model.safetensors")  # the files of an adapter


@contextmanager
def disk_errors_told(job: StageJob) -> Iterator[None]:
    """Raise MedbenchError instead of the errors that libraries raise when the disk is full."""
    try:
        yield
    except Exception as error:  # safetensors and torch have their own errors for a full disk
        if not _disk_full(error):
            raise
        raise _not_written(job, error) from error


def _disk_full(error: BaseException) -> bool:
    """Whether an error of any library means that the disk is full, over its quota, or the file is too large."""
    if isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG):
        return True
    # The same in the words of safetensors and torch.
    return bool(re.search(r"No space left|os error (28|122|27)\b|PytorchStreamWriter failed writing", str(error)))


def _not_written(job: StageJob, error: BaseException) -> MedbenchError:
    good = checkpoints.newest(job.work)
    kept = f"The checkpoint of step {checkpoints.step_of(good)} is complete." if good else "There is no checkpoint yet."
    return MedbenchError(
        f"{job.work.parent} cannot be written: {first_line(error)}. {kept}",
        "Free some space, then run the same command again: it continues from there.",
    )


def save(job: StageJob, model: Any, log: Log) -> None:
    """Write the result of a stage and the log so far to `job.out`, which exists complete or not at all."""
    part = job.out.with_name(job.out.name + ".part")
    shutil.rmtree(part, ignore_errors=True)
    part.mkdir(parents=True)
    if job.stage.lora is None:
        model.config.use_cache = True
        portable.save(model, Path(job.location), part)
    else:
        model.peft_config["default"].base_model_name_or_path = job.base
        model.save_pretrained(part, save_embedding_layers=False)  # or PEFT would look for them on the hub
        for path in part.iterdir():
            if path.name not in SMALL:
                path.unlink()  # PEFT's model card
        config = part / SMALL[0]
        settings = json.loads(config.read_text(encoding="utf-8"))
        settings["target_modules"] = sorted(settings["target_modules"])  # a set, in random order
        config.write_text(json.dumps(settings, indent=2, sort_keys=True), encoding="utf-8")
    checkpoints.keep_log(log.path, part)
    durable.sync_tree(part)
    if job.out.exists():
        shutil.rmtree(job.out)
    durable.rename(part, job.out)


def measured(job: StageJob, lines: list[dict[str, Any]], trainer: Any, peak_rss: int) -> dict[str, Any]:
    """Return the manifest's record of a finished stage.

    Losses are in nats per token. `first` and `last` are means of the first and last tenth of the steps, at most ten.
    """
    import torch

    losses = [line["loss"] for line in lines if "loss" in line]
    few = min(10, math.ceil(len(losses) / 10))
    evaluations = [line for line in lines if "eval_loss" in line]
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
        "eval_loss_before": evaluations[0]["eval_loss"] if evaluations and evaluations[0]["step"] == 0 else None,
        "eval_loss_after": evaluations[-1]["eval_loss"] if evaluations else None,
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
