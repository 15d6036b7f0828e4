"""`medbench report`: stored runs as a static site."""

from __future__ import annotations

from pathlib import Path

import click
import cloup

from ...core import paths
from ...core.errors import UsageError
from .. import run_choice
from ..options import Command, FilePath
from ..ui import output
from ..ui.messages import say, tell


@cloup.command(
    cls=Command,
    epilog="""\b
Examples:
  medbench report                            runs/ as pages in pages/
  medbench report --open
  medbench report runs/ other-machine/runs/ --out board/
  medbench report -m smollm2-135m,biogpt-large -b medqa,pubmedqa
""",
)
@click.argument("folders", nargs=-1, metavar="[RUNS]...", type=FilePath())
@cloup.option_group(
    "Most used",
    click.option(
        "--out",
        type=FilePath(),
        metavar="DIR",
        help="Folder to write; a report there is replaced.  [default: pages/]",
    ),
    *run_choice.options(),
    click.option("--title", default="medbench report", show_default=True, metavar="TEXT", help="Title of the pages."),
    click.option("--open", "opened", is_flag=True, help="Open the report in the browser."),
    output.allow_changed,
)
@cloup.option_group("Output", cloup.help_option("--help", "-h", help="Show this message and exit."))
def command(
    folders: tuple[Path, ...],
    out: Path | None,
    models: tuple[str, ...],
    benchmarks: tuple[str, ...],
    title: str,
    opened: bool,
    allow_changed: bool,
) -> None:
    """Write stored runs as pages for a browser.

    RUNS are run folders or folders of runs (default: runs/). The pages open from disk: they need no server and load
    nothing from the network. They hold the questions and answers themselves, so share them only as far as the licenses
    of the benchmarks allow. Tables, intervals and marks are those of medbench leaderboard.
    """
    from ...report.site import write_report
    from ...results.lookup import chosen
    from ...results.runs import Runs
    from ...results.store import all_runs

    found, problems = all_runs(*(folders or (paths.runs(),)), allow_changed=allow_changed)
    if not found and not problems:
        looked = ", ".join(map(str, folders)) or str(paths.runs())
        raise UsageError(f"there are no runs with answers in {looked}.", "Make one: medbench run")
    for problem in problems:
        tell(f"Not shown: {problem}")
    if not found:
        raise SystemExit(1)
    runs = chosen(found, output.names(models), output.names(benchmarks))
    written = write_report(Runs(runs, map(str, problems)), out or paths.pages(), title)
    for text in written.problems[len(problems) :]:
        tell(f"Not shown: {text}")
    say(str(written.index))
    if opened:
        click.launch(written.index.resolve().as_uri())
    if written.problems:
        raise SystemExit(1)
