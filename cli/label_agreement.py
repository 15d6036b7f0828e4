"""The part of `medbench agreement` that measures labels: K-QA's statements, and safety labels of one's own."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..core.errors import UsageError
from ..evaluation.judging import Asked, judge_runs
from ..evaluation.judging import panel as make_panel
from .ui import output
from .ui.messages import tell
from .ui.progress import watch

if TYPE_CHECKING:
    from rich.console import RenderableType

    from ..benchmarks.sources.files import Source
    from ..evaluation.judging import Panel
    from ..results.agreement.liveqa_grades import RatedAnswers
    from ..results.agreement.stored_grades import RunSubset


@dataclass(frozen=True, slots=True)
class Files:
    """Where the figures go: files for CSV and Markdown ("-": stdout), or JSON on stdout."""

    csv: str
    markdown: str
    as_json: bool
    quiet: bool


def statements(source: Source, root: Path, judging: Asked, limit: int | None, seed: int, files: Files) -> None:
    """Measure judges on the physicians' labels of K-QA's statements, and the physicians on each other's."""
    from ..results.agreement import k_qa_labels, statement_tables
    from ..results.agreement.statement_agreement import measure_statements
    from .ui import render_statements

    panel = make_panel(dataclasses.replace(judging, mode="statements"), watch(files.quiet).note)
    labeled = k_qa_labels.load(source)
    if not panel and not files.quiet:
        tell("The physicians' agreement with each other alone. To measure a judge: --judge NAME")
    part, judges = _judged(labeled, root, panel, limit, seed, files.quiet)
    found = measure_statements(part, part.records(), judges)
    _present(found, statement_tables, render_statements.statements, files)
    _end(panel)


def safety(labels: Path | None, root: Path, judging: Asked, limit: int | None, seed: int, files: Files) -> None:
    """Measure the safety classifier and judges on labels that people gave."""
    from ..metrics.safety.rates import labels_of_records
    from ..results.agreement import safety_agreement, safety_labels
    from .ui import render_statements

    if labels is None:
        raise UsageError("--set safety needs a file of labeled answers.", "Name it: --grades labels.jsonl")
    panel = make_panel(dataclasses.replace(judging, mode="safety"), watch(files.quiet).note)
    part, judges = _judged(safety_labels.load(labels), root, panel, limit, seed, files.quiet)
    records = part.records()
    found = safety_agreement.measure_safety(part, records, labels_of_records(records), judges)

    def drawn(each: Any) -> list[RenderableType]:
        return render_statements.sections(each.title, safety_agreement.sections(each), safety_agreement.LEGEND)

    _present(found, safety_agreement, drawn, files)
    _end(panel)


def _judged(
    labeled: RatedAnswers, root: Path, panel: Panel | None, limit: int | None, seed: int, quiet: bool
) -> tuple[RunSubset, list[str]]:
    """Store the answers and have them judged. Return those that are used, and the judges' metrics."""
    from ..results.agreement.stored_grades import RunSubset, draw, store_grades

    if not quiet:
        for note in labeled.notes:
            tell(f"{labeled.name}: {note}")
    run = store_grades(labeled, root)
    part = RunSubset(run, draw(run.records(), limit, seed))
    judged: Sequence[str] = judge_runs(panel, [part], watch(quiet))[part.path] if panel else []
    # A jury gives no labels of its own.
    return part, [name for name in judged if not name.startswith("jury:")]


def _present(found: Any, tables: Any, drawn: Callable[[Any], list[RenderableType]], files: Files) -> None:
    """`tables`: the module that makes CSV, Markdown and JSON of what was found."""
    if files.csv:
        output.write(files.csv, tables.to_csv(found))
    if files.markdown:
        output.write(files.markdown, tables.to_markdown(found))
    if files.as_json:
        output.show_json(tables.to_json(found))
    elif not files.quiet and "-" not in (files.csv, files.markdown):
        output.show(drawn(found))


def _end(panel: Panel | None) -> None:
    """Report what judges could not do. Exit code 1 if there is anything."""
    if panel and panel.problems:
        for problem in panel.problems:
            tell(f"Not done: {problem}")
        raise SystemExit(1)
