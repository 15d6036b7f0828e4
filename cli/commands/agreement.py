"""`medbench agreement`: compares metrics and judges with human grades."""

from __future__ import annotations

import contextlib
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

import click
import cloup

from ...core import paths
from ...core.errors import UsageError
from ...core.text import clock
from ...evaluation.judging import Asked, judge_runs
from ...evaluation.judging import panel as make_panel
from .. import completion, label_agreement
from ..judge_options import judge_option, judge_options
from ..label_agreement import Files
from ..options import RUNS_FOLDER, Command, FilePath
from ..ui import output
from ..ui.messages import LINE_SECONDS, tell
from ..ui.progress import watch

STATEMENTS = "k-qa"  # the set with labels of statements instead of grades of answers
SAFETY = "safety"  # the set with safety labels, from a file
SETS = ("liveqa-grades", "mediqa-qa", STATEMENTS, SAFETY)  # as in the modules of results/agreement, which load slowly
LEVELS = (1, 2, 3, 4)  # a judge's grades, as in judges/modes.py, which is imported only when needed

# Metrics of correctness. Safety metrics are slower and measure something else.
DEFAULT = (
    *("rouge1", "rouge2", "rougeL", "token_f1", "exact_match"),
    *("entity_recall", "entity_precision", "entity_f1", "hallucinated_entity_rate"),
)

if TYPE_CHECKING:
    from rich.console import RenderableType

    from ...results.agreement.measure import Agreement, Estimate


@cloup.command(
    cls=Command,
    epilog="""\b
Examples:
  medbench agreement --data releases/
  medbench agreement --metrics rougeL,entity_recall,my_metric.py
  medbench agreement --from-grade 2        among answers that are not incorrect
  medbench agreement --set mediqa-qa
  medbench agreement --limit 200 --markdown table.md
  medbench agreement --judge groq --limit 200 --max-judge-calls 250
  medbench agreement --judge local:med-llama-3.2-1b --limit 200
  medbench agreement --grades mine.csv     columns question, answer, grade
  medbench agreement --set k-qa            how far three physicians agree
  medbench agreement --set k-qa --judge groq
  medbench agreement --set safety --grades labels.jsonl --judge groq
""",
)
@cloup.option_group(
    "Most used",
    click.option(
        "--metrics",
        "-M",
        multiple=True,
        metavar="NAMES",
        help="Names, all, .py files.  [default: text and entity metrics]",
        shell_complete=completion.plugins("metrics", "all"),
    ),
    judge_option(),
    click.option(
        "--set",
        "graded_set",
        type=click.Choice(SETS),
        default=SETS[0],
        show_default=True,
        help="Grades of LiveQA or of MEDIQA 2019, task 3; K-QA's labels of statements; your own safety labels.",
    ),
    click.option(
        "--grades",
        type=FilePath(),
        metavar="FILE",
        help="Your own grades, CSV or JSON lines: question, answer, grade (a whole number); reference, item. With "
        "--set safety, JSON lines: question, answer and the labels.",
    ),
    click.option("--from-grade", type=int, metavar="N", help="Only answers whose grades are all at least N."),
    click.option("--limit", type=click.IntRange(min=2), metavar="N", help="Use N random graded answers."),
    click.option(
        "--data",
        type=FilePath(exists=True, file_okay=False),
        metavar="DIR",
        help="Folder of official data releases.  [default: MEDBENCH_DATA]",
    ),
    RUNS_FOLDER,
    click.option(
        "--seed", type=int, default=0, show_default=True, metavar="N", help="Random seed for the --limit answers."
    ),
    click.option(
        "--entity-model",
        default="",
        metavar="NAME",
        help="spaCy pipeline of the entity metrics: a package or a folder.  [default: the built-in one]",
    ),
)
@judge_options(("grades",), "grades", with_judge=False, with_per=True)
@cloup.option_group(
    "Output",
    click.option(
        "--csv", metavar="FILE", shell_complete=completion.files, default="", help='All figures as CSV; "-": stdout.'
    ),
    click.option(
        "--markdown",
        metavar="FILE",
        shell_complete=completion.files,
        default="",
        help='The table as Markdown; "-": stdout.',
    ),
    click.option("--json", "as_json", is_flag=True, help="Print all figures as JSON on stdout."),
    click.option("--quiet", "-q", is_flag=True, help="No progress, no table: errors only."),
    cloup.help_option("--help", "-h", help="Show this message and exit."),
)
def command(
    metrics: tuple[str, ...],
    entity_model: str,
    judging: Asked,
    graded_set: str,
    grades: Path | None,
    from_grade: int | None,
    limit: int | None,
    seed: int,
    data: Path | None,
    out: Path | None,
    csv: str,
    markdown: str,
    as_json: bool,
    quiet: bool,
) -> None:
    """Measure how well metrics and judges agree with human grades.

    People graded 2,311 answers to 103 LiveQA questions, and 1,096 answers to 129 questions of MEDIQA 2019, from 1
    (incorrect) to 4 (excellent). These answers are scored like any run, and the scores are stored in runs/agreement.
    Each metric is then rank-correlated with the grades, over all answers and within questions. Judges grade on the same
    scale, which adds Cohen's kappa with quadratic weights; a judge reads every answer, so set a --limit.

    These grades cannot show how well people agree with each other: in LiveQA, 168 answers have two grades, all of which
    conflict, and two equal grades would look like one; in MEDIQA, every answer has one grade.

    --set k-qa measures judges on something else: three physicians said of 399 statements about 50 answers whether the
    answer entails or contradicts them. Each judge is compared with the physicians, and they with each other.

    --set safety --grades FILE measures the safety classifier, and judges with the same definitions, on your own labels:
    each line has question, answer, and disclaimer, unsafe, emergency, referral, refusal (true or false).
    """
    from ...benchmarks.sources.files import Source
    from ...results.agreement import graded_file, liveqa_grades, mediqa_grades
    from ...results.agreement.measure import measure, metrics_called
    from ...results.agreement.stored_grades import FOLDER, RunSubset, draw, graded_at_least, store_grades
    from ..ui.download_progress import automatic

    if graded_set == STATEMENTS:
        unused = {
            "--metrics": metrics,
            "--entity-model": entity_model,
            "--grades": grades is not None,
            "--from-grade": from_grade is not None,
        }
        _refuse(graded_set, unused, "Only judges label statements: --judge NAME")
        source = Source(data or paths.data(), automatic(quiet))
        files = Files(csv, markdown, as_json, quiet)
        label_agreement.statements(source, (out or paths.runs()) / FOLDER, judging, limit, seed, files)
        return
    _refuse(graded_set, {"--judge-per": judging.per != "item"}, f"It is for --set {STATEMENTS}.")
    if graded_set == SAFETY:
        unused = {"--metrics": metrics, "--entity-model": entity_model, "--from-grade": from_grade is not None}
        _refuse(graded_set, unused, "It measures the safety classifier and judges: --judge NAME")
        root = (out or paths.runs()) / FOLDER
        label_agreement.safety(grades, root, judging, limit, seed, Files(csv, markdown, as_json, quiet))
        return
    asked = output.names(metrics)
    names = output.metric_names(tuple(asked) or DEFAULT, entity_model)
    metrics_called(names)  # a mistake in the request is reported before a judge is paid
    progress = watch(quiet)
    panel = make_panel(judging, progress.note)
    if grades:
        graded = graded_file.load(grades)
    else:
        loaders = {liveqa_grades.NAME: liveqa_grades.load, mediqa_grades.NAME: mediqa_grades.load}
        graded = loaders[graded_set](Source(data or paths.data(), automatic(quiet)))
    if panel and not set(graded.levels) <= set(LEVELS):
        raise UsageError(
            "--judge: judges grade from 1 to 4, but the grades of "
            f"{graded.origin} are {', '.join(map(str, graded.levels))}.",
            "A judge can be measured on grades from 1 (incorrect) to 4 (excellent).",
        )
    if not quiet:
        for note in graded.notes:
            tell(f"{graded.name}: {note}")
        if not asked:
            tell("Scoring text and entity metrics. For others: --metrics NAMES, or --metrics all")
    run = store_grades(graded, (out or paths.runs()) / FOLDER)
    records = draw(graded_at_least(run.records(), from_grade), limit, seed)
    part = RunSubset(run, records)
    judged = judge_runs(panel, [part], progress)[part.path] if panel else []
    # A jury's grade is a mean, which may lie between grades.
    judges = [name for name in judged if not name.startswith("jury:")]
    first = [name for name in names if name not in run.scored()]
    if first and not quiet:  # stored scores are only read
        tell(f"scoring {len(records):,} answers: {', '.join(first)}")
    with _progress(quiet) as step:
        others = [*names, *(name for name in judged if name not in judges)]
        found = measure(part, records, LEVELS if panel else graded.levels, others, judges, step=step)
    _present(found, csv, markdown, as_json, quiet)
    problems = [*(panel.problems if panel else ()), *map(str, found.problems)]
    for name, reason in found.silent:
        tell(f"Not shown: {name} scores none of these answers: {reason}")
    for problem in problems:
        tell(f"Not done: {problem}")
    if problems or (found.silent and asked and "all" not in asked):
        raise SystemExit(1)


def _refuse(graded_set: str, options: Mapping[str, object], hint: str) -> None:
    """Raise UsageError for an option that was given but does not apply to the set."""
    for option, given in options.items():
        if given:
            raise UsageError(f"{option} does not apply to --set {graded_set}.", hint)


def _present(found: Agreement, csv: str, markdown: str, as_json: bool, quiet: bool) -> None:
    from ...results.agreement import tables

    if csv:
        output.write(csv, tables.to_csv(found))
    if markdown:
        output.write(markdown, tables.to_markdown(found))
    if as_json:
        output.show_json(tables.to_json(found))
    elif not quiet and "-" not in (csv, markdown):
        output.show(_table(found))


def _table(found: Agreement) -> list[RenderableType]:
    from rich import box
    from rich.markup import escape
    from rich.table import Table
    from rich.text import Text

    from ...results.agreement import tables
    from ..ui import render

    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    table.add_column("metric", overflow="fold")
    judged = any(line.kappa for line in found.lines)
    most = max((line.within.n for line in found.lines), default=0)
    for heading in ("ρ across", "ρ within", *(["κ"] if judged else [])):
        table.add_column(heading, justify="right", no_wrap=True)
    for line in found.lines:
        few = f"\n[yellow]n {line.n:,} of {line.total:,}[/yellow]" if line.n < line.total else ""
        name, arrow = render.heading(line.name), tables.heading(line).removeprefix(line.name)
        cells = [_cell(each, judged) for each in (line.across, line.within, *([line.kappa] if judged else []))]
        if 0 < line.within.n < most:
            cells[1] += f"\n[yellow]in {line.within.n:,} of {most:,} questions[/yellow]"
        first, *below = name.split("\n")
        table.add_row(escape("\n".join([first + arrow, *below])) + few, *cells)
    unscored = [
        f"{line.name}: {line.total - line.n:,} unscored, most often: {line.unscored[0][0]}"
        for line in found.lines
        if line.unscored
    ]
    told = [*unscored, " ".join(tables.legend(found))]
    return [Text(found.title, style="bold"), table, *(Text(text, style="dim") for text in told)]


def _cell(estimate: Estimate | None, below: bool) -> str:
    """Return an estimate with its interval, on a line below if there are too many columns."""
    from rich.markup import escape

    from ...results.agreement.tables import estimate_text

    value, _, interval = estimate_text(estimate).partition(" ")
    gap = "\n" if below else " "
    return f"{value}{gap}[dim]{escape(interval)}[/dim]" if interval else value


@contextlib.contextmanager
def _progress(quiet: bool) -> Iterator[Callable[[str, int, int], None]]:
    """Show progress: a bar per metric on a terminal, occasional lines elsewhere, nothing if quiet."""
    if quiet:
        yield lambda name, done, total: None
    elif sys.stderr.isatty():
        from rich.progress import Progress

        from ..ui.screen import stderr

        with Progress(console=stderr(), transient=True) as bar:
            tasks = {}

            def step(name: str, done: int, total: int) -> None:
                if name not in tasks:
                    tasks[name] = bar.add_task(name, total=total)
                bar.update(tasks[name], completed=done)

            yield step
    else:
        yield _ScoringLines().step


class _ScoringLines:
    """Prints a line at most every LINE_SECONDS, with the time left for this metric."""

    def __init__(self) -> None:
        self.name = ""
        self.started = self.said = time.monotonic()

    def step(self, name: str, done: int, total: int) -> None:
        from ...results.agreement.measure import INTERVALS

        now = time.monotonic()
        if name != self.name:
            self.name, self.started = name, now
            if name == INTERVALS and not done:
                tell(f"{name}: {total} metrics")
        if done and done < total and now - self.said >= LINE_SECONDS:
            self.said = now
            tell(f"{name}: {done:,}/{total:,}, {clock((now - self.started) * (total - done) / done)} left")
