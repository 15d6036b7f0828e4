"""`medbench figure`: stored runs as a figure for a paper."""

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

KINDS = ("scores", "trade-off", "calibration", "training", "answers")  # of report/figures/api.py, without matplotlib


@cloup.command(
    cls=Command,
    epilog="""\b
Kinds:
  scores        every model's scores with 95% intervals
  trade-off     quality against memory, latency or parameters
  calibration   how often answers of each confidence are right
  training      adapters against their base model, in pairs
  answers       one question, and what several models answered

\b
Examples:
  medbench figure scores                     runs/ as scores.png
  medbench figure scores --out scores.pdf --width page
  medbench figure calibration smollm2-135m           runs of this model
  medbench figure trade-off --quality medqa --cost memory --out cost.svg
  medbench figure training -m smollm2-135m,smollm2-135m@default
  medbench figure answers -b medquad --item 2_GARD_QA/0002442/2
""",
)
@click.argument("kind", type=click.Choice(KINDS), metavar="KIND")
@click.argument("folders", nargs=-1, metavar="[RUNS]...", type=FilePath())
@cloup.option_group(
    "Most used",
    click.option(
        "--out",
        type=FilePath(),
        metavar="FILE",
        help="File to write: .png, .svg or .pdf.  [default: KIND.png]",
    ),
    *run_choice.options(),
    click.option(
        "--width",
        type=click.Choice(["column", "page"]),
        help="3.4 inches (a column of a paper) or 7.  [default: column; answers: page]",
    ),
    output.allow_changed,
)
@cloup.option_group(
    "One kind",
    click.option(
        "--quality", default="", metavar="COLUMN", help="trade-off: a benchmark, mean or safety.  [default: mean]"
    ),
    click.option(
        "--cost",
        type=click.Choice(["memory", "latency", "parameters"]),
        help="trade-off: what quality costs.  [default: the first that is known]",
    ),
    click.option(
        "--item", default="", metavar="ID", help="answers: the item.  [default: the first on which models differ]"
    ),
)
@cloup.option_group("Output", cloup.help_option("--help", "-h", help="Show this message and exit."))
def command(
    kind: str,
    folders: tuple[Path, ...],
    out: Path | None,
    models: tuple[str, ...],
    benchmarks: tuple[str, ...],
    width: str | None,
    quality: str,
    cost: str | None,
    item: str,
    allow_changed: bool,
) -> None:
    """Draw stored runs as a figure for a paper.

    RUNS are run folders, folders of runs (default: runs/), or models and runs in runs/. Numbers, intervals and tests
    are those of medbench leaderboard and compare. Fonts are embedded, and marks differ in shape as well as in color.
    The caption is printed, and is in the file as its text alternative.
    """
    from ...report.figures.api import figure
    from ...report.figures.style import check
    from ...results.lookup import side
    from ...results.store import all_runs

    for name, given, of in (
        ("--quality", quality, "trade-off"),
        ("--cost", cost, "trade-off"),
        ("--item", item, "answers"),
    ):
        if given and kind != of:
            raise UsageError(f"{name} belongs to the figure {of}, not to {kind}.", f"medbench figure {of} {name} …")
    target = out or Path(f"{kind}.png")
    check(target)
    places: list[Path] = []
    for named in folders or (paths.runs(),):
        if named.exists() or not paths.runs().is_dir():
            places.append(named)
        else:
            named_runs, damaged = side(str(named), paths.runs(), allow_changed)
            places += [run.path for run in named_runs]
            for problem in damaged:
                tell(f"Not shown: {problem}")
    found, problems = all_runs(*places, allow_changed=allow_changed)
    for problem in problems:
        tell(f"Not shown: {problem}")
    if not found:
        if problems:
            raise SystemExit(1)
        looked = ", ".join(map(str, folders)) or str(paths.runs())
        raise UsageError(f"there are no runs with answers in {looked}.", "Make one: medbench run")
    drawn = figure(
        found,
        kind,
        target,
        models=output.names(models),
        benchmarks=output.names(benchmarks),
        width=width or "",
        quality=quality,
        cost=cost or "",
        item=item,
    )
    for note in drawn.notes:
        tell(note)
    tell(f"Caption: {drawn.caption}")
    say(str(target))
    if problems or any(note.startswith("Not shown") for note in drawn.notes):
        raise SystemExit(1)
