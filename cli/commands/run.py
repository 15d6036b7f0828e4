"""`medbench run`: models on benchmarks, stored as they go, then the leaderboard."""

from __future__ import annotations

import shlex
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
import cloup

from ...core import dry, hub
from ...core.errors import UsageError
from .. import completion
from ..options import Command
from ..run_options import run_options
from ..ui import output
from ..ui.messages import tell
from ..ui.progress import watch

if TYPE_CHECKING:
    from ...experiments.experiment import Experiment
    from ...experiments.run import ExperimentRuns, Prepared
    from ...experiments.values import Values


@cloup.command(
    cls=Command,
    epilog="""\b
Examples:
  medbench run                       the default model on the sample sets
  medbench run --model biogpt-large --suite all
  medbench run -m smollm2-135m -b pubmedqa,medqa --limit 50 --data releases/
  medbench run -m my/hub-model -b medqa --shots 5 --chat always
  medbench run -m my/hub-model -b medqa,pubmedqa --protocol direct,cot
  medbench run -m models/mine.gguf -b my_benchmark.py --json
  medbench run -m gemma -b ward.xlsx --columns question=Case,answer=Key
  medbench run -m openai:llama3.2 --base-url http://localhost:11434/v1
  medbench run -m gguf:models/mine.Q4_K_M.gguf -b medqa
  medbench run -m replay:answers.jsonl -b medquad --map id=qid,text=response
  medbench run -b medqa --retrieve medquad
  medbench run -b medquad --limit 50 --judge groq --max-judge-cost 0.50
  medbench run -m biogpt-large --suite all --dry-run
  medbench run experiment.toml       all of it as a file: docs/experiments.md
""",
)
@click.argument("experiment", nargs=-1, metavar="[EXPERIMENT.toml]", shell_complete=completion.experiments)
@run_options
def command(
    experiment: tuple[str, ...], dry_run: bool, save: Path | None, quiet: bool, as_json: bool, **options: Any
) -> None:
    """Run models on benchmarks and show the leaderboard.

    Every answer is stored as it arrives. You can stop at any time: the same command continues where it stopped, and
    does nothing if the run is complete. EXPERIMENT.toml is a file that says what to run, and what to train before and
    compare afterwards; options replace what it says.
    """
    from ...experiments import write
    from ...experiments.experiment import Experiment
    from ...experiments.run import prepare, run
    from ..ui.download_progress import automatic
    from ..ui.train_progress import training_progress

    values = _values(experiment, quiet)
    asked = Experiment.of(values)
    if save:
        write.require_ours(save)
    if dry_run and not save:
        _dry_run(asked, quiet, as_json)
        return
    progress = watch(quiet)
    if not dry_run:  # check the whole request before loading anything
        prepared = prepare(asked, progress.note, automatic(quiet))
    if save:
        for key in write.save(values, save):
            tell(f"Not in {save}, because it contains a key or password: {key}")
        tell(f"written: {save}. To run it: medbench run {shlex.quote(str(save))}")
    if not dry_run:
        command = ["medbench", *sys.argv[1:]]
        done = run(
            prepared, root=asked.out, command=command, progress=progress, training=lambda: training_progress(quiet)
        )
        _report(done, prepared, quiet, as_json)


def _values(files: Sequence[str], quiet: bool) -> Values:
    """Return what the file and the options say together."""
    from ...experiments.merge import merged
    from ...experiments.read import SUFFIX, read
    from ..experiment_options import given

    context = click.get_current_context()
    if strange := [file for file in files if not file.lower().endswith(SUFFIX)]:
        many = "s" if len(strange) > 1 else ""
        raise click.UsageError(f"Got unexpected extra argument{many} ({' '.join(strange)})")
    if len(files) > 1:
        raise UsageError(f"two experiments are named: {' and '.join(files)}.", "Run them one after another.")
    options = given(context)
    if not files:
        return options
    values, replaced = merged(read(Path(files[0])), options)
    for line in () if quiet else replaced:
        tell(f"{files[0]}: {line}")
    return values


def _dry_run(asked: Experiment, quiet: bool, as_json: bool) -> None:
    """Show what would run. Exit code 1 if anything could not."""
    from ...experiments.dry_run import describe
    from ..ui import render_dry_run

    hub.go_offline(dry.REASON)  # what is in its cache is used, and nothing is fetched
    found = describe(asked, (lambda line: None) if quiet else tell)
    if as_json:
        output.show_json(found)
    elif not quiet:
        output.show(render_dry_run.dry_run(found))
    for problem in found["problems"]:
        tell(f"\nCannot be done: {problem}")
    if found["problems"]:
        raise SystemExit(1)


def _report(done: ExperimentRuns, prepared: Prepared, quiet: bool, as_json: bool) -> None:
    """Show the leaderboard of this command's runs, the comparisons, then what failed. Exit code 1 if anything did."""
    from ...results import leaderboard
    from ..ui import render

    root, named = prepared.experiment.out, prepared.experiment.metrics
    found = leaderboard.build(done)
    if as_json or (len(done) and not quiet):
        output.present(found, as_json=as_json, more=_besides(done, prepared.experiment))
    for comparison in () if as_json or quiet else done.comparisons:
        output.show(render.comparison(comparison))
    scored = {column.metric for board in found.boards for column in board.columns}
    unused = [name for name in prepared.metrics if name not in scored and "all" not in named]
    if not len(done) or found.problems:
        unused = []  # because of a problem that is reported anyway
    if len(done) and not quiet:
        folder = "" if output.usual(root) else f"{shlex.quote(str(root))} "
        tell(
            f"Answers and scores are in {root}/. One item: medbench show {folder and f'--out {folder}'}RUN ITEM. "
            f"A CSV: medbench leaderboard {folder}--csv FILE"
        )
        if done.report:
            tell(f"report: {done.report.index}")
    for warning in prepared.outcome.warnings:
        tell(warning)
    for problem in done.problems:
        tell(f"\nNot done: {problem}")
    for name in unused:
        tell(f"\nNot done: {name} had nothing to score in these runs. What it scores: medbench list metrics {name}")
    if done.problems or found.problems or unused:
        if prepared.outcome.missing and not len(done) and _default_is_here():
            tell("\nThis needs no data and no download: medbench run")
        raise SystemExit(1)


def _default_is_here() -> bool:
    from ...experiments.experiment import DEFAULT_MODEL
    from ...zoo.resolve import needs_no_download

    return needs_no_download(DEFAULT_MODEL)


def _besides(done: ExperimentRuns, asked: Experiment) -> dict[str, Any]:
    """Return what an experiment did besides its runs, for JSON."""
    from ...results.comparison import comparison_json

    found: dict[str, Any] = {}
    if asked.train:
        found["trained"] = [{"adapter": each.manifest.name, "folder": str(each.folder)} for each in done.adapters]
    if asked.compare:
        found["comparisons"] = [comparison_json(each) for each in done.comparisons]
    if asked.report:
        found["report"] = str(done.report.index) if done.report else None
    return found
