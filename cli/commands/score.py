"""`medbench score`: score stored answers with other metrics or judges, without the model."""

from __future__ import annotations

from pathlib import Path

import click
import cloup

from ...core import paths
from ...core.errors import MedbenchError, UsageError
from ...evaluation.judging import Asked, judge_runs, judges_read_stored, panel
from .. import completion
from ..judge_options import judge_option, judge_options
from ..options import REPORTED, RUNS_FOLDER, Command, report_to
from ..ui import output
from ..ui.messages import tell
from ..ui.progress import watch


@cloup.command(
    cls=Command,
    epilog="""\b
Examples:
  medbench score smollm2-135m__medquad --metrics rougeL,token_f1
  medbench score runs/ --metrics my_metric.py
  medbench score smollm2-135m__medquad --judge groq --max-judge-cost 0.50
  medbench score smollm2-135m__medquad --judge groq,openai:gpt-4.1-mini
""",
)
@click.argument("runs", nargs=-1, required=True, shell_complete=completion.runs)
@cloup.option_group(
    "Most used",
    click.option(
        "--metrics",
        "-M",
        multiple=True,
        metavar="NAMES",
        help="Metrics: names, all (except judges), .py files.",
        shell_complete=completion.plugins("metrics", "all"),
    ),
    judge_option(),
    click.option(
        "--entity-model",
        default="",
        metavar="NAME",
        help="spaCy pipeline of the entity metrics: a package or a folder.  [default: the built-in one]",
    ),
    RUNS_FOLDER,
    output.allow_changed,
)
@judge_options(with_judge=False)
@cloup.option_group(
    "Output",
    click.option("--quiet", "-q", is_flag=True, help="No progress, no table: errors only."),
    click.option("--json", "as_json", is_flag=True, help="Print JSON on stdout."),
    report_to(REPORTED),
    cloup.help_option("--help", "-h", help="Show this message and exit."),
)
def command(
    runs: tuple[str, ...],
    metrics: tuple[str, ...],
    entity_model: str,
    judging: Asked,
    out: Path | None,
    quiet: bool,
    as_json: bool,
    allow_changed: bool,
    report_to: tuple[str, ...],
) -> None:
    """Score the stored answers of RUNS with METRICS, or have judges grade their open answers.

    Existing scores and judgments are reused, and the new metrics are added to the run's leaderboard. Scores of a run
    that was changed after it was made are shown but not stored, and no judge is asked.
    """
    from ...core.types import Metric
    from ...results import export, leaderboard, trackers
    from ...results.lookup import find
    from ...results.scoring import load_metric
    from ...results.store import StoredRun, all_runs
    from ...results.writer import add_metrics
    from ..ui import render

    wanted = output.metric_names(metrics, entity_model)
    if taken := [name for name in wanted if not isinstance(load_metric(name), Metric)]:
        raise UsageError(
            f"{', '.join(taken)}: measured during a run, so it cannot be computed from stored answers.",
            "Measured values: medbench leaderboard",
        )
    judges_read_stored(judging, allow_changed)
    trackers.check(named_trackers := output.names(report_to))
    progress = watch(quiet)
    judges = panel(judging, progress.note)
    if not wanted and not judges:
        raise UsageError(
            "no metric or judge is given.",
            "Name metrics with --metrics (medbench list metrics) or judges with --judge groq",
        )
    found: list[StoredRun] = []
    problems: list[MedbenchError] = []
    unstored: list[MedbenchError] = []
    for text in runs:
        if Path(text).is_dir() and not (Path(text) / "manifest.json").exists():
            runs_there, broken = all_runs(Path(text), allow_changed=allow_changed)
            found += runs_there
            problems += broken
        else:
            path = find(text, out or paths.runs())
            try:
                found.append(StoredRun(path, allow_changed))
            except MedbenchError as error:  # the other runs are scored
                problems.append(error)
    judged = judge_runs(judges, found, progress) if judges else {}
    shown = dict.fromkeys([*wanted, *(name for names in judged.values() for name in names)])
    # Without names, the leaderboard would have every column of these runs.
    board = leaderboard.build(found if shown else [], list(shown))
    read = {row.path for part in board.boards for row in part.rows}
    for run in found:
        if str(run.path) not in read or run.changes:
            continue
        useful = []
        for name in wanted:
            scores = run.scores(name)[1].values()
            if scores and all(score.value is None for score in scores):
                if "all" in output.names(metrics):
                    continue  # not every metric applies to every benchmark
                why = next(iter(scores)).reason
                problems.append(MedbenchError(f"{name} scores no item of {run.manifest.run_id}: {why}."))
            else:
                useful.append(name)
        try:
            add_metrics(run.path, useful)  # a metric that does not apply is not added to the run
        except MedbenchError as error:  # figures are shown even if they cannot be stored
            unstored.append(error)
    trackers.report([run for run in found if str(run.path) in read], named_trackers, tell)
    unjudged = judges.problems if judges else []
    if as_json:
        value = export.to_json(board)
        output.show_json(value | {"problems": [*value["problems"], *map(str, [*problems, *unstored]), *unjudged]})
    elif shown and not quiet:
        output.show(render.leaderboard(board))
    for note in board.notes:
        tell(note)
    for told in board.problems:
        tell(f"Not shown: {told}")
    for problem in problems:
        tell(f"Not scored: {problem}")
    if unstored:
        others = f" (and {len(unstored) - 1} other runs)" if len(unstored) > 1 else ""
        tell(f"Shown above, but not stored{others}: {unstored[0]}")
    for text in unjudged:
        tell(f"Not judged: {text}")
    if board.problems or problems or unstored or unjudged:
        raise SystemExit(1)
