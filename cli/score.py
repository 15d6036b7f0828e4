"""`medbench score`: stored answers under other metrics, without the model."""

from __future__ import annotations

from pathlib import Path

import click

from ..core import paths
from ..core.errors import MedbenchError, UsageError
from . import output


@click.command(
    epilog="""\b
Examples:
  medbench score smollm2-135m__medquad --metrics rougeL,token_f1
  medbench score runs/ --metrics my_metric.py
"""
)
@click.argument("runs", nargs=-1, required=True)
@click.option(
    "--metrics", "-M", multiple=True, required=True, metavar="NAMES", help="Metrics to score: names, all, .py files."
)
@click.option("--entity-model", default="", metavar="NAME", help="spaCy pipeline of the entity metrics.")
@click.option("--out", type=click.Path(path_type=Path), help="Folder of runs that names are looked up in.")
@click.option("--json", "as_json", is_flag=True, help="As JSON on stdout.")
def command(
    runs: tuple[str, ...], metrics: tuple[str, ...], entity_model: str, out: Path | None, as_json: bool
) -> None:
    """Score RUNS again under METRICS. What is scored already is kept; the metrics join the run's leaderboard."""
    from ..results import leaderboard
    from ..results.store import StoredRun, add_metrics, all_runs, find

    wanted = output.metric_names(metrics, entity_model)
    if not wanted:
        raise UsageError("--metrics names none.", "All of them: medbench list metrics")
    found: list[StoredRun] = []
    problems: list[MedbenchError] = []
    for text in runs:
        if Path(text).is_dir() and not (Path(text) / "manifest.json").exists():
            runs_there, broken = all_runs(Path(text))
            found += runs_there
            problems += broken
        else:
            found.append(StoredRun(find(text, out or paths.runs())))
    board = leaderboard.build(found, wanted)
    for run in found:
        useful = []
        for name in wanted:
            scores = run.scores(name)[1].values()
            if scores and all(score.value is None for score in scores):
                if "all" in output.names(metrics):
                    continue  # not all of them can fit
                why = next(iter(scores)).reason
                problems.append(MedbenchError(f"{name} scores no item of {run.manifest.run_id}: {why}."))
            else:
                useful.append(name)
        add_metrics(run.path, useful)  # one that does not apply stays out of the run's tables
    output.present(board, as_json=as_json)
    for problem in problems:
        click.echo(f"Not scored: {problem}", err=True)
    if board.problems or problems:
        raise SystemExit(1)
