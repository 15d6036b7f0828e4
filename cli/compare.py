"""`medbench compare`: two models on the same items."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import click

from ..core import paths
from . import output
from .judge_options import Asked, judge_options, judge_runs, panel
from .progress import tell


@click.command(
    epilog="""\b
Examples:
  medbench compare runs/smollm2-135m__medqa__0a1b2c3d4e runs/biogpt-large__medqa__5f6a7b8c9d
  medbench compare smollm2-135m__medqa biogpt-large__medqa     parts of names that fit one run
  medbench compare before/ after/                              folders of runs, matched by benchmark
  medbench compare RUN_A RUN_B --judge groq                    which answers a judge prefers, asked in both orders
"""
)
@click.argument("a")
@click.argument("b")
@click.option("--metrics", "-M", multiple=True, metavar="NAMES", help="Only these metrics (default: what both list).")
@judge_options(modes=("pairwise",), default="pairwise")
@click.option("--out", type=click.Path(path_type=Path), help="Folder of runs that names are looked up in.")
@click.option("--quiet", "-q", is_flag=True, help="No progress, no table: errors only.")
@click.option("--json", "as_json", is_flag=True, help="As JSON on stdout.")
def command(
    a: str, b: str, metrics: tuple[str, ...], judging: Asked, out: Path | None, quiet: bool, as_json: bool
) -> None:
    """Test A against B, two runs of the same items, in pairs.

    Right/wrong metrics by exact McNemar, others by paired permutation, what judges prefer by the exact sign test,
    Holm-corrected over what is shown. Runs that cannot be compared (other items, prompts, examples or method) are
    refused.

    With --judge, only the preferences of the judges named are shown; without, those that earlier commands asked for.
    """
    from ..results.compare import compare, matched
    from ..results.scoring import load_metric
    from ..results.store import StoredRun, all_runs, find
    from . import render

    def side(text: str) -> StoredRun | list[StoredRun]:
        folder = Path(text)
        if folder.is_dir() and not (folder / "manifest.json").exists():
            runs, problems = all_runs(folder)
            for problem in problems:
                click.echo(f"Left out: {problem}", err=True)
            return runs
        return StoredRun(find(text, out or paths.runs()))

    judges = panel(judging, (lambda text: None) if quiet else tell)
    one, other = side(a), side(b)
    preferences: list[str] | None = None
    if judges:
        pairs = matched(one, other)
        for name in output.names(metrics):
            load_metric(name)  # a name that nobody knows is told before a judge is paid
        beside = {run.path: run_b for run, run_b in pairs}
        judged = judge_runs(judges, [run for run, _ in pairs], quiet, against=beside)
        preferences = list(dict.fromkeys(name for names in judged.values() for name in names))
    found = compare(one, other, output.names(metrics), preferences=preferences)
    unjudged = judges.problems if judges else []
    if as_json:
        value = dataclasses.asdict(found) | {"problems": [*map(str, found.problems), *unjudged]}
        for match, shown in zip(found.matches, value["matches"]):
            for line, fields in zip(match.lines, shown["lines"]):
                fields["favours"] = line.favours
        output.show_json(value)
    elif not quiet:
        output.show(render.comparison(found))
    for problem in found.problems:
        click.echo(f"Not shown: {problem}", err=True)
    for told in unjudged:
        click.echo(f"Not judged: {told}", err=True)
    if found.problems or unjudged:
        raise SystemExit(1)
