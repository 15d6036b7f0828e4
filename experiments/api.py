"""`medbench.run_experiment`: an experiment file from Python."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any

from ..core import official
from ..core.errors import UsageError
from ..core.option_names import with_keywords
from ..evaluation.api import KEYWORDS
from ..evaluation.progress import Progress
from .experiment import Experiment
from .lines import Place
from .merge import merged
from .read import read
from .run import ExperimentRuns, prepare, run
from .values import checked


def _experiment(file: str | Path, overrides: dict[str, Any]) -> Experiment:
    """Return the experiment of a file with keywords in place of its keys. Raises UsageError."""

    def where(place: Place) -> str:
        return "run_experiment(): "

    plain = {name: list(value) if isinstance(value, tuple) else value for name, value in overrides.items()}
    plain = {name: str(value) if isinstance(value, Path) else value for name, value in plain.items()}
    return Experiment.of(merged(read(Path(file)), checked(plain, where))[0])


@with_keywords(KEYWORDS)
def run_experiment(file: str | Path, *, progress: Progress | None = None, **overrides: Any) -> ExperimentRuns:
    """Train, run, compare and report what an experiment file says, as `medbench run FILE` does, and return its runs.

    The same call again continues where it stopped, and does nothing when all is done. The result has the tables of
    `Runs`, and `adapters` that were trained, `comparisons`, and the `report`; `problems` says what failed.

    overrides: keys of the file with other values: limit=5, models=["smollm2-135m"], judges={"max_cost": 0.5}.
    progress: hears what happens; by default nobody does.

    Raises UsageError for a file or a request that is wrong as a whole.
    """
    from ..training.progress import TrainingProgress

    if not isinstance(progress, Progress | None):
        raise UsageError(f"progress must be a medbench.Progress, not {progress!r}")
    progress = progress or Progress()
    experiment = _experiment(file, overrides)
    prepared = prepare(experiment, progress.note, official.unattended(progress.note))
    given = "".join(f", {name}={value!r}" for name, value in overrides.items())
    command = [f"medbench.run_experiment({str(file)!r}{given})"]
    done = run(prepared, root=experiment.out.absolute(), command=command, progress=progress, training=TrainingProgress)
    for text in prepared.outcome.warnings:
        warnings.warn(text, stacklevel=2)
    return done
