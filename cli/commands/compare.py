"""`medbench compare`: two models on the same items."""

from __future__ import annotations

from pathlib import Path

import click
import cloup

from ...core import paths
from ...core.errors import UsageError
from ...evaluation.judging import Asked, judge_runs, judges_read_stored, panel
from .. import completion
from ..judge_options import judge_option, judge_options
from ..options import RUNS_FOLDER, Command
from ..ui import output
from ..ui.messages import tell
from ..ui.progress import watch


@cloup.command(
    cls=Command,
    epilog="""\b
Examples:
  medbench compare smollm2-135m biogpt-large      on all benchmarks of both
  medbench compare smollm2-135m smollm2-135m@default biogpt-large
  medbench compare smollm2-135m__medqa biogpt-large__medqa
  medbench compare before/ after/                 folders, matched by benchmark
  medbench compare RUN_A RUN_B --judge groq       which answers a judge prefers
""",
)
@click.argument("runs", nargs=-1, required=True, metavar="A B [C …]", shell_complete=completion.sides)
@cloup.option_group(
    "Most used",
    click.option(
        "--metrics",
        "-M",
        multiple=True,
        metavar="NAMES",
        help="Only these metrics.  [default: those that both runs have]",
        shell_complete=completion.plugins("metrics"),
    ),
    judge_option(),
    RUNS_FOLDER,
    output.allow_changed,
)
@judge_options(modes=("pairwise",), default="pairwise", with_judge=False)
@cloup.option_group(
    "Output",
    click.option("--quiet", "-q", is_flag=True, help="No progress, no table: errors only."),
    click.option("--json", "as_json", is_flag=True, help="Print JSON on stdout."),
    cloup.help_option("--help", "-h", help="Show this message and exit."),
)
def command(
    runs: tuple[str, ...],
    metrics: tuple[str, ...],
    judging: Asked,
    out: Path | None,
    quiet: bool,
    as_json: bool,
    allow_changed: bool,
) -> None:
    """Compare models in pairs, with a significance test, on the items that both answered.

    A, B, … are models as the leaderboard names them, runs, or folders of runs. Right/wrong metrics get the exact
    McNemar test, other metrics a paired permutation test, and judges' preferences an exact sign test; p-values are
    Holm-corrected over all lines shown. Intervals are not corrected. Runs with different items, prompts, examples or
    method are rejected.

    With --judge, only the preferences of these judges are shown; without it, all stored preferences.
    """
    from ...results.compare import compare
    from ...results.comparison import comparison_json
    from ...results.lookup import side
    from ...results.scoring import load_metric
    from ...results.sides import matched
    from ..ui import render

    if len(runs) < 2:
        raise UsageError(
            f"{runs[0]} is only one run or model; a comparison needs two.",
            "medbench compare A B. To see your runs: medbench list runs",
        )
    judges_read_stored(judging, allow_changed)
    sides = []
    left_out: list[str] = []
    for text in runs:
        found_runs, unread = side(text, out or paths.runs(), allow_changed)
        left_out += map(str, unread)
        sides.append(found_runs)
    left_out = list(dict.fromkeys(left_out))
    for reason in left_out:
        tell(f"Left out: {reason}")
    progress = watch(quiet)
    judges = panel(judging, progress.note)
    preferences: list[str] | None = None
    if judges:
        pairs = matched(*sides)
        for name in output.names(metrics):
            load_metric(name)  # reject an unknown name before paying a judge
        judged = [judge_runs(judges, [run], progress, against={run.path: other}) for run, other in pairs]
        preferences = list(dict.fromkeys(name for one in judged for names in one.values() for name in names))
    found = compare(*sides, metrics=output.names(metrics), preferences=preferences)
    unjudged = judges.problems if judges else []
    if as_json:
        value = comparison_json(found)
        output.show_json(value | {"problems": [*left_out, *value["problems"], *unjudged]})
    elif not quiet:
        output.show(render.comparison(found))
    for problem in found.problems:
        tell(f"Not shown: {problem}")
    for told in unjudged:
        tell(f"Not judged: {told}")
    if left_out or found.problems or unjudged:
        raise SystemExit(1)
