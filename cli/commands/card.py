"""`medbench card`: a model card from stored manifests."""

from __future__ import annotations

import tempfile
from pathlib import Path

import click
import cloup

from .. import completion
from ..options import RUNS_READ, Command, FilePath
from ..push import push as send
from ..ui import output
from ..ui.messages import tell


@cloup.command(
    cls=Command,
    epilog="""\b
Examples:
  medbench card smollm2-135m@first                   the card on stdout
  medbench card smollm2-135m@first --out card/       README.md, .eval_results/
  medbench card smollm2-135m@first --push me/medical
""",
)
@click.argument("model", metavar="NAME[@TAG]", shell_complete=completion.models)
@cloup.option_group(
    "Most used",
    click.option(
        "--out",
        type=FilePath(),
        metavar="FILE|DIR",
        help="Write the card to a file (NAME.md), or the card and its results into a folder.  [default: stdout]",
    ),
    RUNS_READ,
)
@cloup.option_group(
    "Hub",
    click.option(
        "--push", "repository", metavar="OWNER/NAME", help="Send the card and its results to this hub repository."
    ),
    click.option("--private", is_flag=True, help="Create a private repository."),
    click.option("--yes", "-y", is_flag=True, help="Send without asking."),
)
@cloup.option_group("Output", cloup.help_option("--help", "-h", help="Show this message and exit."))
def command(model: str, out: Path | None, runs: Path | None, repository: str | None, private: bool, yes: bool) -> None:
    """Write a model card: base, recipe, data, leaks, scores with intervals, safety, limits.

    All of it comes from stored manifests and runs: no model is loaded. The front matter has the hub's metadata. Runs
    on samples are left out, and figures of unfinished runs are not in the metadata. Nothing is sent without --push.
    """
    from ...core.errors import UsageError
    from ...core.hub_upload import Parcel, require_repository
    from ...report.cards import card_of

    if repository is not None:
        require_repository("--push", repository)
    elif private or yes:
        raise UsageError(
            f"{'--private' if private else '--yes'} works only with --push.", "Name a repository: OWNER/NAME"
        )
    if runs and not runs.is_dir():
        raise UsageError(f"--runs {runs}: there is no such folder.", "All runs: medbench list runs")
    made = card_of(model, runs, repository or "")
    for problem in (*made.notes, *made.problems):
        tell(f"Not in the card: {problem}")
    if out and out.suffix.lower() in (".md", ".markdown"):
        output.write(str(out), made.text)
    elif out:
        for path in made.write(out):
            tell(f"written: {path}")
    elif repository is None:
        output.write("-", made.text)
    if repository is not None:
        with tempfile.TemporaryDirectory(prefix="medbench-card-") as folder:
            made.write(Path(folder))
            parcel = Parcel.of(Path(folder), repository, private=private, what="the card", by="medbench card")
            send(parcel, yes=yes)
    if made.problems:
        raise SystemExit(1)
