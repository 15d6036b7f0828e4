"""`medbench view`: the report on this machine, refreshed while runs go on."""

from __future__ import annotations

import signal
from pathlib import Path

import click
import cloup

from ...core import paths
from .. import run_choice
from ..options import Command, FilePath
from ..ui import output
from ..ui.messages import tell


@cloup.command(
    cls=Command,
    epilog="""\b
Examples:
  medbench view                              runs/, refreshed as answers come
  medbench view --open
  medbench view runs/ other-machine/runs/ --port 0
  medbench view -b medqa-sample
""",
)
@click.argument("folders", nargs=-1, metavar="[RUNS]...", type=FilePath())
@cloup.option_group(
    "Address",
    click.option("--port", type=click.IntRange(0, 65535), default=7861, show_default=True, help="0: any free one."),
    click.option(
        "--open/--no-open", "opened", default=False, help="Open the report in the browser.  [default: no-open]"
    ),
)
@cloup.option_group(
    "Which runs",
    *run_choice.options(),
    output.allow_changed,
)
@cloup.option_group(
    "Output",
    click.option("--title", default="medbench report", show_default=True, metavar="TEXT", help="Title of the pages."),
    cloup.help_option("--help", "-h", help="Show this message and exit."),
)
def command(
    folders: tuple[Path, ...],
    port: int,
    opened: bool,
    models: tuple[str, ...],
    benchmarks: tuple[str, ...],
    allow_changed: bool,
    title: str,
) -> None:
    """Serve the report of stored runs to this machine's browser, and refresh it while a run is going.

    RUNS are run folders or folders of runs (default: runs/). The pages are those of medbench report. They load again by
    themselves when there are new answers or scores, and stay where the reader is. Ctrl-C ends it.
    """
    from ...results.lookup import chosen
    from ...results.runs import Runs
    from ...serving.view import view

    places = [path.absolute() for path in folders or (paths.runs(),)]
    if not folders:
        places[0].mkdir(parents=True, exist_ok=True)  # the first run may still be to come
    wanted = output.names(models), output.names(benchmarks)

    def choose(runs: Runs) -> Runs:
        return Runs(chosen(runs, *wanted), runs.problems) if runs else runs

    def ready(url: str) -> None:
        tell(f"Open {url}  (Ctrl-C ends it)")
        if opened:
            click.launch(url)

    tell("Writing the report …")
    before = signal.signal(signal.SIGTERM, signal.default_int_handler)  # ends as Ctrl-C does, and leaves no files
    try:
        view(places, choose=choose, title=title, port=port, allow_changed=allow_changed, ready=ready, tell=tell)
    except KeyboardInterrupt:
        tell("\nEnded.")
    finally:
        signal.signal(signal.SIGTERM, before)
