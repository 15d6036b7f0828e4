"""`medbench leaderboard`: what stored runs say."""

from __future__ import annotations

from pathlib import Path

import click

from ..core import paths
from ..core.errors import UsageError
from . import output
from .progress import tell


@click.command(
    epilog="""\b
Examples:
  medbench leaderboard
  medbench leaderboard runs/ other-machine/runs/ --csv board.csv
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
@output.allow_changed
def command(
    folders: tuple[Path, ...],
    metrics: tuple[str, ...],
    csv: str | None,
    markdown: str | None,
    as_json: bool,
    allow_changed: bool,
) -> None:
    """Show the leaderboard of stored runs.

    FOLDERS are run folders or folders of runs (default: runs/). Runs that may be compared share a table.
    """
    from ..results import leaderboard
    from ..results.store import all_runs

    wanted = output.metric_names(metrics)
    runs, problems = all_runs(*(folders or (paths.runs(),)), allow_changed=allow_changed)
    if not runs and not problems:
        where = ", ".join(map(str, folders)) or str(paths.runs())
        raise UsageError(f"there are no runs in {where}.", "Make one: medbench run")
    found = leaderboard.build(runs, wanted)
    for problem in problems:
        tell(f"Not shown: {problem}")
    output.present(found, as_json=as_json, csv=csv or "", markdown=markdown or "")
    if problems or found.problems:
        raise SystemExit(1)
