"""`medbench list`: models, benchmarks, protocols, metrics, judges, engines, training sets and runs."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from ...core import paths, registry
from ...core.errors import MedbenchError, UsageError
from .. import completion
from ..options import RUNS_FOLDER
from ..ui import engine_facts, output
from ..ui.messages import tell

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rich.table import Table

    from ...results.store import StoredRun

TRAINING_SETS = "training-sets"  # not plugins: a file of pairs is named by its path
RUNS = "runs"  # results, not plugins
PROTOCOLS = "protocols"  # of benchmarks

GROUPS: dict[str, registry.Group] = {
    "models": "zoo",
    "benchmarks": "benchmarks",
    "metrics": "metrics",
    "judges": "judges",
    "engines": "engines",
}
FACTS = ("parameters", "metrics")  # shown in columns of their own
ARROW = {"higher": " ↑", "lower": " ↓"}
# Said after the table, where it is not all that can be named.
MORE = {
    "metrics": (
        "↑: more is better, ↓: less is. All of a definition: medbench list metrics NAME",
        "macro_f1 comes with accuracy.",
        "Any metric of Hugging Face evaluate: --metrics evaluate:NAME",
        "Models that judge answers: medbench list judges",
    ),
    "judges": (
        "How they judge, by --judge-mode: reference (against the reference answer), rubric (accuracy, completeness, "
        "clarity, safety), grades (1 to 4, as people graded), criteria (each of a rubric's, as HealthBench), "
        "statements (each entailed or contradicted, as K-QA), harmfulness (1 to 5, as MedSafetyBench), "
        "safety (the classifier's labels, with quotes). "
        "--judge-per criterion grades each criterion in a call of its own.",
        "Which of two answers is better (pairwise): medbench compare RUN_A RUN_B --judge NAME",
        "For example: medbench run -b medquad --limit 50 --judge groq --max-judge-cost 0.50",
    ),
    TRAINING_SETS: (
        "Named in a recipe, or: medbench train --model NAME --set data=SET:SAMPLES,pairs.jsonl (your own rows)",
    ),
}


@click.command(
    epilog="""\b
Examples:
  medbench list models
  medbench list metrics                   by dimension, each with its unit
  medbench list metrics brier             everything about one
  medbench list benchmarks --json
  medbench list protocols                 ways to ask, each with a prompt
  medbench list protocols medqa           all prompts of one benchmark
  medbench list runs                      by time, with how much is answered
"""
)
@click.argument("what", type=click.Choice([*GROUPS, PROTOCOLS, TRAINING_SETS, RUNS]), metavar="WHAT")
@click.argument("name", required=False, shell_complete=completion.listed)
@RUNS_FOLDER
@click.option("--json", "as_json", is_flag=True, help="Print JSON on stdout.")
def command(what: str, name: str | None, out: Path | None, as_json: bool) -> None:
    """List models, benchmarks, metrics, judges or engines (ours and those of installed plugin packages), protocols,
    training-sets, or stored runs: WHAT is one of these words. With NAME, show the details of that one."""
    if what == PROTOCOLS and not out:
        from ..ui import protocols

        protocols.show(name, as_json)
        return
    if name:
        _one(what, name, as_json)
        return
    if what == RUNS:
        _runs(out or paths.runs(), as_json)
        return
    if out:
        raise UsageError(
            f"--out is the folder of runs; it has no {what}.", "Leave it out, or: medbench list runs --out DIR"
        )
    if what == TRAINING_SETS:
        rows = _training_sets()
    else:
        group = GROUPS[what]
        rows = [_facts(group, name) for name in registry.names(group)]
    if what == "metrics":
        order = {name: at for at, name in enumerate(registry.DIMENSIONS)}
        rows.sort(key=lambda row: order.get(row.get("dimension", ""), len(order)))
    if as_json:
        output.show_json(rows)
        return
    output.show([_metrics(rows) if what == "metrics" else _table(rows)])
    for line in MORE.get(what, ()):
        tell(line)


def _table(rows: Sequence[dict[str, Any]]) -> Table:
    """Return a row per plugin, with details below."""
    from rich import box
    from rich.markup import escape
    from rich.table import Table

    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    facts = [key for key in FACTS if any(key in row for row in rows)]
    for heading in ("name", *facts, "what"):
        table.add_column(heading, overflow="fold", no_wrap=heading == "name")
    for row in rows:
        told = f"[red]{escape(row['problem'])}[/red]" if "problem" in row else escape(row["what"])
        below = " · ".join(str(row[key]) for key in ("weights", "hub", "licence") if key in row)
        lines = [
            below,
            str(row.get("where", "")),
            str(row.get("model", "")),
            str(row.get("can", "")),
            *row.get("options", ()),
        ]
        below = "".join(f"\n[dim]{escape(line)}[/dim]" for line in lines if line)
        table.add_row(row["name"], *(escape(str(row.get(fact, ""))) for fact in facts), told + below)
    return table


def _metrics(rows: Sequence[dict[str, Any]]) -> Table:
    """Return a line per metric, by dimension: its unit and the first sentence of its definition."""
    from rich.markup import escape

    from ..ui.render import plain_table

    table = plain_table()
    for heading in ("name", "unit", "what"):
        table.add_column(heading, overflow="fold", no_wrap=heading != "what")
    dimension = None
    for row in rows:
        if row.get("dimension", "") != dimension:
            dimension = row.get("dimension", "")
            table.add_row(f"[bold]{escape(dimension or 'other').upper()}[/bold]")
        told = f"[red]{escape(row['problem'])}[/red]" if "problem" in row else escape(_first_sentence(row["what"]))
        table.add_row(row["name"], row.get("unit", "") + ARROW.get(row.get("better", ""), ""), told)
    return table


def _one(what: str, name: str, as_json: bool) -> None:
    """Show the details of one plugin. Raises UsageError for an unknown name, with the nearest ones."""
    if what not in GROUPS:
        raise UsageError(f"'{name}': {what} have no details page.", f"Leave it out: medbench list {what}")
    try:
        registry.get(GROUPS[what], name)
    except UsageError:
        from ...results.metric_names import giver

        if what == "metrics" and (owner := giver(name)):
            raise UsageError(f"'{name}' is a figure of {owner}.", f"medbench list metrics {owner}") from None
        raise
    row = _facts(GROUPS[what], name)
    if as_json:
        output.show_json(row)
        return
    from rich.table import Table
    from rich.text import Text

    table = Table(box=None, show_header=False, pad_edge=False)
    for fact, value in row.items():
        if value:
            table.add_row(Text(fact, style="dim"), Text("\n".join(value) if isinstance(value, list) else str(value)))
    output.show([table])


def _runs(root: Path, as_json: bool) -> None:
    """List every run in a folder, oldest first, also those without answers. Report unreadable ones on stderr."""
    from rich import box
    from rich.markup import escape
    from rich.table import Table

    from ...results.lookup import minute
    from ...results.store import all_runs

    runs, problems = all_runs(root, empty=True) if root.is_dir() else ([], [])
    rows = []
    for run in sorted(runs, key=lambda run: (run.manifest.created, run.path.name)):
        try:
            rows.append(_run(run))
        except MedbenchError as error:
            problems.append(error)
    if as_json:
        output.show_json(rows)
    elif rows:
        table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
        for heading in ("run", "answered", "made (UTC)"):
            table.add_column(heading, overflow="fold")
        for row in rows:
            model = " · ".join(filter(None, (row[key] for key in ("model", "engine", "adapter", "dtype", "quantize"))))
            told = f"{escape(row['run'])}\n[dim]{escape(row['benchmark'])}\n{escape(model)}[/dim]"
            table.add_row(told, f"{row['answered']} of {row['asked']}", minute(row["created"]))
        output.show([table])
    elif not problems:
        tell(f"There are no runs in {root}: medbench run")
    for problem in problems:
        tell(f"Not shown: {problem}")
    if problems:
        raise SystemExit(1)


def _run(run: StoredRun) -> dict[str, Any]:
    """Return a row that distinguishes a run from others. Raises DataMalformed if its answers are damaged."""
    from ...results import descriptions

    manifest = run.manifest
    return {
        "run": run.path.name,
        **vars(descriptions.setup_of(manifest)),
        "benchmark": descriptions.title(manifest),
        "answered": len(run.answered()),
        "asked": manifest.answers,
        "created": manifest.created,
        "path": str(run.path),
    }


def _facts(group: registry.Group, name: str) -> dict[str, Any]:
    """Return a plugin's row. The row of a broken plugin says what is wrong with it."""
    try:
        plugin = registry.get(group, name)
    except MedbenchError as error:
        return {"name": name, "problem": error.message}
    if group == "zoo":
        from ...zoo.resolve import where

        return {
            "name": name,
            "parameters": _count(plugin.parameters),
            "weights": plugin.weights,
            "licence": plugin.licence,
            "where": where(plugin),
            "what": plugin.summary,
        }
    if group == "benchmarks":
        return {
            "name": name,
            "what": plugin.summary,
            "metrics": ", ".join(plugin.metrics),
            "licence": plugin.licence,
        }
    told = {"name": name, "what": plugin.summary or _first_sentence(plugin.__doc__ or "")}
    if group == "metrics":
        return told | {"dimension": plugin.dimension, "unit": plugin.unit, "better": plugin.better}
    if group == "engines":
        return told | engine_facts.facts(name, plugin)
    return told


def _training_sets() -> list[dict[str, Any]]:
    from ...training.sets import SETS

    return [
        {"name": made.name, "what": made.summary, "hub": made.hub or "shipped with medbench", "licence": made.licence}
        for made in SETS.values()
    ]


def _first_sentence(text: str) -> str:
    """Return the first sentence of a docstring, however its lines are broken."""
    return re.split(r"(?<=\.) (?=[A-Z])", " ".join(text.split()), maxsplit=1)[0]


def _count(parameters: int) -> str:
    return f"{parameters / 1e9:.2g}B" if parameters >= 1e9 else f"{parameters / 1e6:.0f}M"
