"""`medbench list`: what can be named."""

from __future__ import annotations

import re
from typing import Any

import click

from ..core import registry
from ..core.errors import MedbenchError
from . import output
from .progress import tell

TRAINING_SETS = "training-sets"  # no plugins: a file of pairs is named by its path

GROUPS: dict[str, registry.Group] = {
    "models": "zoo",
    "benchmarks": "benchmarks",
    "metrics": "metrics",
    "judges": "judges",
    "engines": "engines",
}
FACTS = ("parameters", "metrics", "dimension", "unit", "better")  # columns of their own


@click.command(
    epilog="""\b
Examples:
  medbench list models
  medbench list metrics                   by dimension, each with its definition and unit
  medbench list benchmarks --json
"""
)
@click.argument("what", type=click.Choice([*GROUPS, TRAINING_SETS]))
@click.option("--json", "as_json", is_flag=True, help="As JSON on stdout.")
def command(what: str, as_json: bool) -> None:
    """List models, benchmarks, metrics, judges or engines (ours and those of installed plugin packages), or training
    sets."""
    from rich import box
    from rich.markup import escape
    from rich.table import Table

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
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    facts = [key for key in FACTS if any(key in row for row in rows)]
    for heading in ("name", *facts, "what"):
        table.add_column(heading, overflow="fold", no_wrap=heading == "name")
    for row in rows:
        told = f"[red]{escape(row['problem'])}[/red]" if "problem" in row else escape(row["what"])
        below = " · ".join(str(row[key]) for key in ("weights", "hub", "licence") if key in row)
        below = f"\n[dim]{escape(below)}[/dim]" if below else ""
        table.add_row(row["name"], *(escape(str(row.get(fact, ""))) for fact in facts), told + below)
    output.show([table])
    if what == TRAINING_SETS:
        tell("Named in a recipe, or: medbench train --model NAME --set data=SET:SAMPLES,pairs.jsonl (your own rows)")


def _facts(group: registry.Group, name: str) -> dict[str, Any]:
    """A row: what a person chooses by. A broken plugin's row says what is wrong with it."""
    try:
        plugin = registry.get(group, name)
    except MedbenchError as error:
        return {"name": name, "problem": error.message}
    if group == "zoo":
        return {
            "name": name,
            "parameters": _count(plugin.parameters),
            "weights": plugin.weights,
            "licence": plugin.licence,
            "what": plugin.summary,
        }
    if group == "benchmarks":
        return {
            "name": name,
            "what": plugin.summary,
            "metrics": ", ".join(plugin.metrics),
            "licence": plugin.licence,
        }
    told = {"name": name, "what": getattr(plugin, "summary", "") or _first_sentence(plugin.__doc__ or "")}
    if group == "metrics":
        return told | {fact: getattr(plugin, fact, "") for fact in ("dimension", "unit", "better")}
    return told


def _training_sets() -> list[dict[str, Any]]:
    from ..training.sets import SETS

    return [
        {"name": made.name, "what": made.summary, "hub": made.hub or "shipped with medbench", "licence": made.licence}
        for made in SETS.values()
    ]


def _first_sentence(text: str) -> str:
    """Of a docstring, however its lines are broken."""
    return re.split(r"(?<=\.) (?=[A-Z])", " ".join(text.split()), maxsplit=1)[0]


def _count(parameters: int) -> str:
    return f"{parameters / 1e9:.2g}B" if parameters >= 1e9 else f"{parameters / 1e6:.0f}M"
