"""Experiment trackers: what `--report-to` logs of stored runs, once they are scored.

Each run is a run of the tracker, with its configuration, its figures and a table of its answers. Nothing is imported or
sent unless a tracker is named. Each tracker is set up by its own environment variables and login.
"""

from __future__ import annotations

import contextlib
import importlib.util
import os
import re
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ..core.errors import MedbenchError, UsageError
from ..core.suggest import did_you_mean
from ..core.text import printable
from .formats.runs import RunToExport, answer, gold, question, read, settings
from .store import StoredRun

PROJECT = "medbench"  # of runs whose tracker is not told another one by its environment
MLFLOW_TAG = "medbench.run_id"
MOST_ROWS = 10_000  # of a table
SHOWN = ("item", "sample", "question", "gold", "answer", "reasoning", "finish")  # its columns before the metrics
Row = list[Any]


@dataclass(frozen=True)
class Logged:
    """What a tracker gets of one run."""

    name: str  # the run's id, which is the same for the same run
    benchmark: str
    model: str
    config: Mapping[str, Any]
    figures: Mapping[str, float]  # each figure, and NAME_low, NAME_high and NAME_n
    columns: Sequence[str]
    rows: Sequence[Row]  # an answer each


def check(names: Sequence[str]) -> None:
    """Raise UsageError for an unknown tracker, or one whose package is not installed."""
    for name in names:
        if name not in TRACKERS:
            raise UsageError(
                f"--report-to {name}: there is no such tracker.{did_you_mean(name, TRACKERS)}",
                f"The trackers: {', '.join(TRACKERS)}",
            )
        found = importlib.util.find_spec(name)
        if found is None or found.origin is None:  # a folder of that name, such as wandb makes, is no package
            raise missing(name)


def missing(name: str) -> UsageError:
    """Return the error for a tracker whose package is not installed."""
    return UsageError(f"--report-to {name}: its package is not installed.", f"pip install {name}")


def report(runs: Sequence[StoredRun], names: Sequence[str], warn: Callable[[str], None]) -> None:
    """Log scored runs to trackers that passed `check`. What fails is a warning: the runs are stored all the same."""
    if not names or not runs:
        return
    try:
        found, _ = read([StoredRun(run.path, run.allow_changed) for run in runs])
    except MedbenchError as error:
        warn(f"Not reported to {', '.join(names)}: {error}")
        return
    for name in names:
        for one in found:
            try:
                # Trackers greet on stdout, which is for results.
                with contextlib.redirect_stdout(sys.stderr):
                    TRACKERS[name](_logged(one))
            except Exception as error:
                told = " ".join(printable(str(error)).split()) or type(error).__name__
                warn(f"Not reported to {name}: {one.run.path.name}: {told}")
                break  # as it would be for the others


def _logged(one: RunToExport) -> Logged:
    figures: dict[str, float] = {}
    for column, figure in one.figures:
        parts = {"": figure.value, "_low": figure.low, "_high": figure.high, "_n": figure.n}
        figures |= {f"{column.name}{part}": float(value) for part, value in parts.items() if value is not None}
    config = {"model": one.row.setup.model, "benchmark": one.board.benchmark, "title": one.board.title}
    return Logged(
        one.manifest.run_id,
        one.board.benchmark,
        one.row.setup.model,
        config | {"medbench": one.version} | settings(one),
        figures,
        [*SHOWN, *one.metrics],
        list(_rows(one)),
    )


def _rows(one: RunToExport) -> Iterator[Row]:
    for record in one.records[:MOST_ROWS]:
        scores = (one.scores[name].get(record.key) for name in one.metrics)
        yield [
            record.item.id,
            record.output.sample,
            question(record),
            " | ".join(gold(record)),
            answer(record),
            record.output.reasoning,
            record.output.finish,
            *(score.value if score else None for score in scores),
        ]


def _wandb(run: Logged) -> None:
    """Continue the run of that id, so that a command that is repeated makes no second one."""
    import wandb

    started = wandb.init(
        project=os.environ.get("WANDB_PROJECT", PROJECT),
        id=re.sub(r"[^\w.-]", "_", run.name),
        name=run.name,
        group=run.benchmark,
        job_type="evaluation",
        config=dict(run.config),
        resume="allow",
        reinit="create_new",  # a run that is active in this process goes on
    )
    try:
        started.log({"samples": wandb.Table(columns=list(run.columns), data=list(run.rows))})
        started.summary.update(dict(run.figures))
    finally:
        started.finish()


def _mlflow(run: Logged) -> None:
    """Add to the run with that id, if there is one. No run that is active in this process is touched."""
    os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")
    import mlflow
    from mlflow.entities import Metric, Param

    client = mlflow.MlflowClient()
    project = os.environ.get("MLFLOW_EXPERIMENT_NAME", PROJECT)
    known = client.get_experiment_by_name(project)
    experiment = known.experiment_id if known else client.create_experiment(project)
    same = client.search_runs([experiment], f"tags.`{MLFLOW_TAG}` = '{run.name}'", max_results=1)
    found = same[0] if same else client.create_run(experiment, tags={MLFLOW_TAG: run.name}, run_name=run.name)
    of_run, now = found.info.run_id, int(time.time() * 1000)
    client.log_batch(
        of_run,
        metrics=[Metric(_mlflow_name(name), value, now, 0) for name, value in run.figures.items()],
        params=[Param(name, str(value)[:500]) for name, value in run.config.items()],
    )
    client.log_dict(of_run, dict(run.config), "config.json")
    # As mlflow.log_table writes it, which needs more than the package mlflow-skinny.
    client.log_dict(of_run, {"columns": list(run.columns), "data": list(run.rows)}, "samples.json")
    client.set_terminated(of_run)


def _mlflow_name(figure: str) -> str:
    """Return the name of a figure without what MLflow does not allow: "f1.yes_low" for "f1[yes]_low"."""
    return re.sub(r"[^\w. -]", "_", re.sub(r"\[([^\]]*)\]", r".\1", figure))


def _trackio(run: Logged) -> None:
    import trackio

    trackio.init(
        project=os.environ.get("TRACKIO_PROJECT", PROJECT),
        name=run.name,
        group=run.benchmark,
        config=dict(run.config),
        resume="allow",
        embed=False,
        auto_log_gpu=False,
        auto_log_cpu=False,
    )
    try:
        trackio.log(dict(run.figures))
        trackio.log({"samples": trackio.Table(columns=list(run.columns), data=list(run.rows))})
    finally:
        trackio.finish()


def _weave(run: Logged) -> None:
    import weave

    weave.init(os.environ.get("WEAVE_PROJECT") or os.environ.get("WANDB_PROJECT", PROJECT))
    log = weave.EvaluationLogger(
        name=run.name,
        model={"name": run.model, **{name: str(value) for name, value in run.config.items()}},
        dataset=run.benchmark,
    )
    for row in run.rows:
        shown = dict(zip(run.columns, row, strict=True))
        asked = {name: shown[name] for name in ("item", "sample", "question", "gold")}
        predicted = log.log_prediction(inputs=asked, output=shown["answer"])
        for name in run.columns[len(SHOWN) :]:
            if shown[name] is not None:
                predicted.log_score(scorer=name, score=shown[name])
        predicted.finish()
    log.log_summary(dict(run.figures), auto_summarize=False)
    weave.finish()  # sends what it has not sent yet


TRACKERS: Mapping[str, Callable[[Logged], None]] = {
    "wandb": _wandb,
    "mlflow": _mlflow,
    "trackio": _trackio,
    "weave": _weave,
}
