"""What happens at every step: the log, progress, checkpoints, Ctrl-C, and a loss that is NaN."""

from __future__ import annotations

import math
import os
import signal
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from . import checkpoints
from .job import Diverged, StageJob
from .log import Log
from .progress import TrainingProgress

if TYPE_CHECKING:
    from transformers import TrainingArguments


def recorder(job: StageJob, log: Log, progress: TrainingProgress, stop: Stop) -> Any:
    """Return a transformers callback that logs, reports progress, seals checkpoints, and stops on NaN."""
    from transformers import TrainerCallback

    class Recorder(TrainerCallback):  # type: ignore[misc]
        def __init__(self) -> None:
            self.started = time.monotonic()
            self.seconds = 0.0
            self.tokens = 0

        def on_train_begin(self, args: TrainingArguments, state: Any, control: Any, **_: Any) -> None:
            progress.begin(job.stage.name, state.global_step, state.max_steps)
            self.tokens = state.num_input_tokens_seen
            self.started = time.monotonic()

        def on_step_begin(self, args: TrainingArguments, state: Any, control: Any, **_: Any) -> None:
            self.started = time.monotonic()

        def on_step_end(self, args: TrainingArguments, state: Any, control: Any, **_: Any) -> None:
            self.seconds = time.monotonic() - self.started
            if job.held_out.rows and state.global_step >= state.max_steps:
                control.should_evaluate = True  # also after the last step
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
                progress.step(state.global_step, loss, line["learning_rate"], tokens / max(self.seconds, 1e-9))
            elif "eval_loss" in logs:
                line["eval_loss"] = float(logs["eval_loss"])
                progress.evaluated(state.global_step, line["eval_loss"])
            else:
                return
            if job.main:
                log.append(line)

        def on_save(self, args: TrainingArguments, state: Any, control: Any, **_: Any) -> None:
            import torch

            if torch.distributed.is_available() and torch.distributed.is_initialized():
                torch.distributed.barrier()  # every process writes part of the checkpoint
            if job.main:
                checkpoints.seal(job.work / f"checkpoint-{state.global_step}", job.training, log.path)

    return Recorder()


class Stop:
    """Handles Ctrl-C while a stage trains: the first stops after the step with a checkpoint, the second at once."""

    def __init__(self, progress: TrainingProgress) -> None:
        self.asked = False
        self.progress = progress

    @contextmanager
    def listening(self) -> Iterator[None]:
        alone = int(os.environ.get("WORLD_SIZE", "1")) == 1  # several processes cannot agree on a step
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
        self.progress.stopping()


def _diverged(job: StageJob, step: int, loss: float, norm: float) -> Diverged:
    what = f"the loss is {loss}" if not math.isfinite(loss) else f"the gradient norm is {norm}"
    good = checkpoints.newest(job.work)
    kept = (
        f"The checkpoint of step {checkpoints.step_of(good)} is kept: {good}."
        if good
        else "No checkpoint had been written yet."
    )
    return Diverged(
        f"{what} at step {step} of stage '{job.stage.name}', so training stopped. {kept}",
        f"Try a smaller learning rate with another tag: --tag NEW --set learning_rate={job.stage.learning_rate / 4:g}",
    )
