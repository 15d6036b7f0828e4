"""`medbench leaderboard`: what stored runs say."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import click

from ..core import paths
from ..core.errors import MedbenchError, UsageError
from . import output


@click.command(
    epilog="""\b
Examples:
  medbench leaderboard
  medbench leaderboard runs/ other-machine/runs/ --csv board.csv
  medbench leaderboard --top 5                 the best five runs of each table
  medbench leaderboard --metrics accuracy,ece --markdown -
"""
)
@click.argument("folders", nargs=-1, type=click.Path(path_type=Path))
@click.option(
    "--metrics", "-M", multiple=True, metavar="NAMES", help="Only these metrics; missing scores are computed."
)
@click.option("--csv", metavar="FILE", help="Every figure, one line each; - for stdout.")
@click.option("--markdown", metavar="FILE", help="Tables for a README or a paper; - for stdout.")
@click.option("--json", "as_json", is_flag=True, help="Everything, as JSON on stdout.")
@click.option(
    "--top",
    type=click.IntRange(min=0),
    metavar="N",
    help=f"Only the best N runs of each table (0: all).  [default: {output.TOP} on a terminal, all otherwise]",
)
@click.option("--no-pager", is_flag=True, help="Do not page what is longer than the window, as with PAGER=cat.")
@output.allow_changed
def command(
    folders: tuple[Path, ...],
    metrics: tuple[str, ...],
    csv: str | None,
    markdown: str | None,
    as_json: bool,
    top: int | None,
    no_pager: bool,
    allow_changed: bool,
) -> None:
    """Show the leaderboard of stored runs.

    FOLDERS are run folders or folders of runs (default: runs/). Runs that may be compared share a table. CSV and JSON
    hold every run, whatever --top says; marks and tests are always those of all runs.
    """
    from ..results import leaderboard
    from ..results.store import all_runs

    on_stdout = [
        name for name, used in (("--csv -", csv == "-"), ("--markdown -", markdown == "-"), ("--json", as_json)) if used
    ]
    if len(on_stdout) > 1:
        raise UsageError(f"{' and '.join(on_stdout)} all write to stdout.", "Name files for --csv and --markdown.")
    wanted = output.metric_names(metrics)
    runs, problems = all_runs(*(folders or (paths.runs(),)), allow_changed=allow_changed)
    if not runs and not problems:
        where = ", ".join(map(str, folders)) or str(paths.runs())
        raise UsageError(f"there are no runs in {where}.", "Make one: medbench run")
    found = leaderboard.build(runs, wanted)
    shown = {column.metric for board in found.boards for column in board.columns}
    if found.boards and not found.problems and "all" not in output.names(metrics):
        problems += [MedbenchError(f"{name} scores no answer of these runs.") for name in wanted if name not in shown]
    found = dataclasses.replace(found, problems=(*problems, *found.problems))
    output.present(found, as_json=as_json, csv=csv or "", markdown=markdown or "", top=top, pager=not no_pager)
    if found.problems:
        raise SystemExit(1)
