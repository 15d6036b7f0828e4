"""`medbench leaderboard`: tables of stored runs."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import click
import cloup

from ...core import paths
from ...core.errors import MedbenchError, UsageError
from .. import completion
from ..options import Command, FilePath
from ..ui import output


@cloup.command(
    cls=Command,
    epilog="""\b
Examples:
  medbench leaderboard
  medbench leaderboard runs/ other-machine/runs/ --csv board.csv
  medbench leaderboard --top 5               the best five models
  medbench leaderboard --details             also a table per benchmark
  medbench leaderboard -b medqa,pubmedqa -m biogpt-large,smollm2-135m
  medbench leaderboard -b mmlu-med --by subject
  medbench leaderboard --sort safety --where "peak_rss_bytes < 2e9"
  medbench leaderboard --metrics accuracy,ece --markdown -
""",
)
@click.argument("folders", nargs=-1, type=FilePath())
@cloup.option_group(
    "Most used",
    click.option(
        "--model",
        "-m",
        "models",
        multiple=True,
        metavar="NAMES",
        help="Only runs of these models.",
        shell_complete=completion.models_that_ran,
    ),
    click.option(
        "--benchmark",
        "-b",
        "benchmarks",
        multiple=True,
        metavar="NAMES",
        help="Only these benchmarks, in detail.",
        shell_complete=completion.plugins("benchmarks"),
    ),
    click.option(
        "--metrics",
        "-M",
        multiple=True,
        metavar="NAMES",
        help="Only these metrics. Missing scores are computed.",
        shell_complete=completion.plugins("metrics", "all"),
    ),
    click.option("--details", is_flag=True, help="After the summary, a table per benchmark with every metric."),
    click.option(
        "--by", type=click.Choice(["subject"]), help="A table per benchmark with the accuracy in each subject."
    ),
    click.option(
        "--sort",
        default="",
        metavar="COLUMN",
        help="Sort the summary by a benchmark, mean, safety, latency or memory.",
        shell_complete=completion.columns,
    ),
    click.option(
        "--where", default="", metavar="CONDITION", help='Only models in the summary that meet it: "safety_rate > 0.9".'
    ),
    click.option(
        "--top",
        type=click.IntRange(min=0),
        metavar="N",
        help=f"Only the best N runs of each table (0: all).  [default: {output.TOP} on a terminal, all otherwise]",
    ),
    output.allow_changed,
)
@cloup.option_group(
    "Output",
    click.option(
        "--csv", metavar="FILE", shell_complete=completion.files, help="All figures, one per row; - for stdout."
    ),
    click.option(
        "--parquet", metavar="FILE", shell_complete=completion.files, help="The same rows as --csv, as a Parquet file."
    ),
    click.option(
        "--markdown",
        metavar="FILE",
        shell_complete=completion.files,
        help="Markdown tables; - for stdout.",
    ),
    click.option("--html", metavar="FILE", shell_complete=completion.files, help="HTML tables; - for stdout."),
    click.option(
        "--latex", metavar="FILE", shell_complete=completion.files, help="LaTeX tables (booktabs); - for stdout."
    ),
    click.option("--json", "as_json", is_flag=True, help="Print everything as JSON on stdout."),
    click.option("--no-pager", is_flag=True, help="Print long output directly, without a pager (as PAGER=cat does)."),
    cloup.help_option("--help", "-h", help="Show this message and exit."),
)
def command(
    folders: tuple[Path, ...],
    metrics: tuple[str, ...],
    benchmarks: tuple[str, ...],
    models: tuple[str, ...],
    details: bool,
    by: str | None,
    sort: str,
    where: str,
    csv: str | None,
    markdown: str | None,
    html: str | None,
    latex: str | None,
    parquet: str | None,
    as_json: bool,
    top: int | None,
    no_pager: bool,
    allow_changed: bool,
) -> None:
    """Show the leaderboard of stored runs.

    FOLDERS are run folders or folders of runs (default: runs/). The summary comes first: a row per model, a column per
    benchmark. --details and --benchmark show every metric. Only comparable runs share a table. CSV, Parquet and JSON
    contain all runs, regardless of --top. Marks and tests cover all runs that --model and --benchmark select. --sort
    and --where apply to the summary only.
    """
    from ...results import leaderboard, summary, summary_order
    from ...results.board import by_subject
    from ...results.descriptions import setup_of
    from ...results.lookup import chosen
    from ...results.store import all_runs

    on_stdout = [
        name
        for name, used in (
            *(("--csv -", csv == "-"), ("--markdown -", markdown == "-"), ("--html -", html == "-")),
            *(("--latex -", latex == "-"), ("--json", as_json)),
        )
        if used
    ]
    if len(on_stdout) > 1:
        raise UsageError(f"{' and '.join(on_stdout)} all write to stdout.", "Name files for all but one of them.")
    if parquet == "-":
        raise UsageError("--parquet -: Parquet is not written to stdout.", "Name a file.")
    wanted = output.metric_names(metrics)
    for name in map(str, folders):
        if not Path(name).exists() and name == Path(name).name:
            from ..other_names import option_for

            if meant := option_for(click.get_current_context(), name):
                raise UsageError(f"there is no folder {name}.", f"Did you mean {meant}?")
    looked = ", ".join(map(str, folders)) or str(paths.runs())
    runs, problems = all_runs(*(folders or (paths.runs(),)), empty=True, allow_changed=allow_changed)
    if not runs and not problems:
        raise UsageError(f"there are no runs in {looked}.", "Make one: medbench run")
    asked = chosen(runs, output.names(models), output.names(benchmarks))
    runs = [run for run in asked if run.begun]
    if not runs and not problems:
        which = "of the chosen runs" if models or benchmarks else f"run in {looked}"
        raise UsageError(
            f"{'none' if models or benchmarks else 'no'} {which} has an answer yet.", "See them: medbench list runs"
        )
    found = leaderboard.build(runs, wanted)
    shown = {column.metric for board in found.boards for column in board.columns}
    if found.boards and not found.problems and "all" not in output.names(metrics):
        problems += [
            MedbenchError(
                f"{name} did not score any answer of these runs.", f"What it scores: medbench list metrics {name}"
            )
            for name in wanted
            if name not in shown
        ]
    waiting = [
        f"{setup_of(about).model} on {about.benchmark.name}: 0 of {about.answers} answered, not shown."
        for about in (run.manifest for run in asked if not run.begun)
    ]
    found = dataclasses.replace(found, problems=(*problems, *found.problems), notes=(*found.notes, *waiting))
    if by:
        found = by_subject(found)
    summaries = summary.summarize(found)
    if where.strip() and summaries:
        summaries = summary_order.filtered(summaries, where)
    if sort and summaries:
        summaries = summary_order.ordered(summaries, sort)
    output.present(
        found,
        as_json=as_json,
        csv=csv or "",
        markdown=markdown or "",
        html=html or "",
        latex=latex or "",
        parquet=parquet or "",
        top=top,
        pager=not no_pager,
        summaries=summaries,
        details=details or bool(benchmarks or by) or len(found.boards) == 1,
        summary_first=bool(sort or where) or not (benchmarks or by or len(found.boards) == 1),
    )
    if found.problems:
        raise SystemExit(1)
