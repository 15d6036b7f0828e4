"""Carry out an experiment: train, run, score and judge, compare, report. The same call continues where it stopped."""

from __future__ import annotations

import dataclasses
import gc
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from ..core import dry
from ..core.errors import MedbenchError, UsageError
from ..evaluation.judging import panel
from ..evaluation.suite import Outcome, chosen_benchmarks, evaluate_all
from ..results.runs import Runs
from .experiment import Experiment, Training

if TYPE_CHECKING:
    from pathlib import Path

    from ..benchmarks.sources.files import Source
    from ..core.official import DownloadProgress
    from ..core.types import Benchmark
    from ..evaluation.judging import Panel
    from ..evaluation.progress import Progress
    from ..evaluation.settings import Settings
    from ..report.site import Report
    from ..results.comparison import Comparison
    from ..results.store import StoredRun
    from ..training.progress import TrainingProgress
    from ..training.request import Request
    from ..zoo.adapters import Adapter

Tell = Callable[[str], None]


class ExperimentRuns(Runs):
    """The runs of an experiment, with the adapters that it trained, its comparisons and its report."""

    def __init__(
        self,
        runs: Iterable[StoredRun],
        problems: Iterable[str] = (),
        adapters: Sequence[Adapter] = (),
        comparisons: Sequence[Comparison] = (),
        report: Report | None = None,
    ) -> None:
        super().__init__(runs, problems)
        self.adapters = tuple(adapters)
        self.comparisons = tuple(comparisons)
        self.report = report


@dataclass
class Prepared:
    """An experiment whose names are checked and found. Nothing is loaded yet."""

    experiment: Experiment
    chosen: list[Benchmark]
    settings: Settings
    metrics: list[str]  # that the user named
    judges: Panel | None
    data: Source
    trainings: list[tuple[Training, Request]]
    outcome: Outcome = field(default_factory=Outcome)


def prepare(experiment: Experiment, note: Tell, downloads: DownloadProgress | None) -> Prepared:
    """Check the whole request before anything is loaded. Raises UsageError for one that is wrong as a whole."""
    from ..benchmarks.sources import hub as hub_sets
    from ..benchmarks.sources.files import Source
    from ..core import paths
    from ..results import trackers
    from ..results.metric_names import metric_names

    trackers.check(experiment.report_to)
    outcome = Outcome()
    chosen = chosen_benchmarks(
        experiment.benchmarks, experiment.suites, outcome, experiment.protocols, experiment.columns
    )
    wanted = metric_names(experiment.metrics, experiment.entity_model, note)
    if not wanted:
        metric_names((name for benchmark in chosen for name in benchmark.metrics), "", note)
    judges = _judges(experiment, outcome, note)
    pinned = hub_sets.revisions(
        list(experiment.data_revisions), [benchmark.hub for benchmark in chosen if benchmark.hub]
    )
    if experiment.report:
        from ..report.folder import ReportFolder

        ReportFolder(experiment.report.out)  # raises for a folder with other files, which would be found at the end
    return Prepared(
        experiment,
        chosen,
        dataclasses.replace(experiment.settings, metrics=tuple(wanted)),
        wanted,
        judges,
        Source(experiment.data or paths.data(), downloads, pinned, cached=dry.running()),
        [(training, _request(training, downloads)) for training in experiment.train],
        outcome,
    )


def _judges(experiment: Experiment, outcome: Outcome, note: Tell) -> Panel | None:
    try:
        return panel(experiment.judges, note)
    except UsageError:
        raise
    except MedbenchError as error:
        if not dry.running():
            raise
        outcome.problems.append(f"the judges: {error}")
        return None


def _request(training: Training, downloads: DownloadProgress | None) -> Request:
    from ..training.api import request_of
    from ..training.request import check

    request = request_of(
        training.model,
        training.tag,
        f"medbench train --model {training.model} --tag {training.tag}",
        training.options,
        downloads,
    )
    check(request)
    return request


def run(
    prepared: Prepared,
    *,
    root: Path,
    command: Sequence[str],
    progress: Progress,
    training: Callable[[], TrainingProgress],
) -> ExperimentRuns:
    """Do everything that is not done yet, and return all of it.

    `root`: the folder of runs. `training` makes what shows the progress of one training. What fails is a problem of
    the result, and everything else continues.
    """
    experiment, outcome = prepared.experiment, prepared.outcome
    adapters: list[Adapter] = []
    failed: set[str] = set()
    for asked, request in prepared.trainings:
        try:
            request = dataclasses.replace(request, command=tuple(command))
            adapters.append(_train(request, training(), progress.note))
            progress.note(f"{asked.name}: {adapters[-1].folder}")
        except MedbenchError as error:
            outcome.problems.append(f"{asked.name} is not trained: {error}")
            failed.add(asked.name)
    if prepared.trainings:
        gc.collect()  # trainers refer to themselves, and hold models
    evaluate_all(
        [model for model in experiment.models if model.name not in failed],
        prepared.chosen,
        prepared.settings,
        outcome,
        limits=experiment.limits,
        judges=prepared.judges,
        data=prepared.data,
        root=root,
        command=command,
        latency_items=experiment.latency_items,
        retrieve=experiment.retrieve,
        passages=experiment.passages,
        report_to=experiment.report_to,
        progress=progress,
    )
    comparisons = list(_compared(experiment, outcome))
    return ExperimentRuns(outcome.runs, outcome.problems, adapters, comparisons, _reported(experiment, outcome))


def _train(request: Request, progress: TrainingProgress, tell: Tell) -> Adapter:
    from ..training import launch
    from ..zoo.adapters import Adapter

    manifest, folder = launch.run(request, progress, tell)
    return Adapter(folder, manifest)


def _compared(experiment: Experiment, outcome: Outcome) -> Iterable[Comparison]:
    """Yield the comparisons. One that cannot be made, and figures that it lacks, are problems."""
    for pairing in experiment.compare:
        what = f"the comparison of {' and '.join(pairing.models)}"
        shown = [outcome.shown.get(name, name) for name in pairing.models]
        try:
            found = Runs(_with(outcome.runs, pairing.metrics)).compare(*shown, metrics=pairing.metrics)
        except MedbenchError as error:
            outcome.problems.append(f"{what}: {error}")
            continue
        outcome.problems += [f"{what}: {problem}" for problem in found.problems]
        yield found


def _with(runs: Sequence[StoredRun], metrics: Sequence[str]) -> Sequence[StoredRun]:
    """Return the runs that list one of these metrics; all of them without metrics, and if none does."""
    return [run for run in runs if set(metrics) & set(run.manifest.reported_metrics)] or runs


def _reported(experiment: Experiment, outcome: Outcome) -> Report | None:
    from ..report.site import write_report

    if not experiment.report:
        return None
    try:
        written = write_report(outcome.runs, experiment.report.out, experiment.report.title)
    except MedbenchError as error:
        outcome.problems.append(f"the report: {error}")
        return None
    outcome.problems += [f"the report: {problem}" for problem in written.problems]
    return written
