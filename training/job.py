"""One stage of a recipe, ready to run."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from ..core.errors import MedbenchError
from ..zoo.recipe import Stage
from .encode import Encodings


@dataclass(frozen=True)
class StageJob:
    """One stage, ready to run."""

    stage: Stage
    model: str  # the model's name, for messages
    base: str  # hub id or folder that the adapter will name as its base
    location: str  # folder of the weights that the stage starts from
    adapter: str  # folder of the adapter that the stage continues with; "" for a new one
    train: Encodings
    held_out: Encodings
    work: Path  # checkpoints
    out: Path  # the result: the folder of an adapter, or of a model
    device: str
    seed: int
    max_steps: int = 0  # 0: as the stage says
    single_step: bool = False  # the stage has one optimizer step, so there is no time to warm up
    report_to: tuple[str, ...] = ()
    main: bool = True  # whether this process, of several, writes the files
    training: str = ""  # fingerprint of all that affects the result; a checkpoint with another one is not used
    trusted: bool = False  # Python code that comes with the model may run
    log_before: bytes | None = None  # the log up to this stage; None if unknown


class Diverged(MedbenchError):
    """The loss became NaN or infinite."""
