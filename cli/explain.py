"""`medbench explain`: for one answer, what led to which safety label, and which entities it recalled or invented."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import click

from ..core import paths
from ..core.errors import UsageError
from . import output

if TYPE_CHECKING:
    from rich.text import Text

    from ..core.types import Record
    from ..metrics.entities import Comparison, Mention
    from ..metrics.safety import Evidence, Reading

SAFETY_STYLE = {
    "disclaimer": "bold black on cyan",
    "unsafe": "bold white on red",
    "emergency": "bold black on yellow",
    "referral": "bold black on green",
    "refusal": "bold white on magenta",
}
ENTITY_STYLE = {
    "recalled": "bold green underline",
    "missed": "bold red underline",
    "allowed": "bold cyan underline",
    "invented": "bold magenta underline",
    "denied": "strike",
}
WHAT = {
    "recalled": "entities of the reference that the answer has",
    "missed": "entities of the reference that the answer lacks",
    "allowed": "entities of the answer that only the question or context has",
    "invented": "entities of the answer that neither reference nor question nor context has",
    "denied": "entities that the answer says are not there: they recall nothing",
}


class Span(Protocol):
    """A stretch of a text: characters `start` to `end`."""

    @property
    def start(self) -> int: ...

    @property
    def end(self) -> int: ...


@click.command(
    epilog="""\b
Examples:
  medbench explain smollm2-135m__medquad 2_GARD_QA/0002442/2
  medbench explain runs/smollm2-135m__liveqa__1f2e3d4c5b TQ17 --json
"""
)
@click.argument("run")
@click.argument("item")
@click.option("--entity-model", default="", metavar="NAME", help="spaCy pipeline.  [default: the embedded one]")
@click.option("--out", type=click.Path(path_type=Path), help="Folder of runs that names are looked up in.")
@click.option("--json", "as_json", is_flag=True, help="As JSON on stdout.")
def command(run: str, item: str, entity_model: str, out: Path | None, as_json: bool) -> None:
    """Explain ITEM of RUN: the sentences that led to each safety label, and the entities recalled, missed or invented.

    `medbench show RUN` lists the items; the metrics themselves are asked for with run or score --metrics.
    """
    from ..metrics import entities, safety
    from ..results.store import StoredRun, find

    stored = StoredRun(find(run, out or paths.runs()))
    record = output.record(stored, item)
    if record.output.text is None:
        raise UsageError(
            f"'{item}' of {stored.path.name} is a choice by log-probability: there is no text to explain.",
            f"See what was chosen: medbench show {stored.path.name} {item}",
        )
    asked = safety.question_of(record.item)
    (reading,) = safety.read([(asked, record.output.text)])
    reading = safety.as_scored(record.item, reading)
    compared = entities.compare(record, entity_model) if record.item.references else None
    if as_json:
        output.show_json(_as_json(record, asked, reading, compared))
        return
    _show(record, asked, reading, compared)


def _as_json(record: Record, asked: str, reading: Reading, compared: Comparison | None) -> dict[str, Any]:
    text = record.output.text or ""
    labels = {
        label: {
            "found": found,
            "probability": reading.probabilities[label],
            "evidence": [
                dataclasses.asdict(e) | {"text": (asked if label == "emergency" else text)[e.start : e.end]}
                for e in reading.evidence
                if e.label == label
            ],
        }
        for label, found in reading.labels.items()
    }
    return {
        "item": record.item.id,
        "question": asked,
        "answer": text,
        "labels": labels,
        "entities": None if compared is None else dataclasses.asdict(compared),
    }


def _show(record: Record, asked: str, reading: Reading, compared: Comparison | None) -> None:
    from rich.panel import Panel

    from . import render

    screen = render.console()
    coloured = screen.color_system is not None
    text = record.output.text or ""

    def panel(title: str, shown: str, spans: Sequence[tuple[Span, str]]) -> None:
        screen.print(Panel(_marked(shown, spans, coloured), title=title, title_align="left"))

    found = [(e, SAFETY_STYLE[e.label]) for e in reading.evidence]
    panel("question", asked, [(e, style) for e, style in found if e.label == "emergency"])
    panel("answer", text, [(e, style) for e, style in found if e.label != "emergency"])
    screen.print(_labels(asked, text, reading))
    if compared is None:
        screen.print("[dim]no reference answer: its entities are compared with nothing[/dim]")
        return
    groups = _groups(compared)
    supported = [(m, ENTITY_STYLE["recalled"]) for m in compared.supported]
    others = [(m, ENTITY_STYLE[name]) for name in ("allowed", "invented", "denied") for m in groups[name]]
    panel("answer: entities", text, [*supported, *others])
    wanted = [(m, ENTITY_STYLE[name]) for name in ("recalled", "missed") for m in groups[name]]
    panel("reference: entities", compared.reference, wanted)
    screen.print(_entities(groups))
    screen.print(f"[dim]found by the pipeline {compared.pipeline}[/dim]")


def _groups(compared: Comparison) -> dict[str, Sequence[Mention]]:
    return {name: getattr(compared, name) for name in WHAT}


def _marked(text: str, spans: Sequence[tuple[Span, str]], coloured: bool) -> Text:
    """The text with each span in its style, where two overlap the later one; in brackets where there is no colour."""
    from rich.text import Text

    if not coloured:
        marks = sorted([(s.start, 1, "⟦") for s, _ in spans] + [(s.end, 0, "⟧") for s, _ in spans], reverse=True)
        for at, _, mark in marks:
            text = text[:at] + mark + text[at:]
        return Text(text)
    shown = Text(text)
    for span, style in spans:
        shown.stylize(style, span.start, span.end)
    return shown


def _labels(asked: str, text: str, reading: Reading) -> Any:
    """A row per label: whether it was found, how sure, and the words that led to it."""
    from rich.markup import escape

    from . import render

    table = render.plain_table()
    for heading in ("label", "", "probability", "because of"):
        table.add_column(heading, justify="right" if heading == "probability" else "left", overflow="fold")
    for label, found in reading.labels.items():
        words = _words(asked if label == "emergency" else text, [e for e in reading.evidence if e.label == label])
        table.add_row(
            f"[{SAFETY_STYLE[label]}]{label}[/]",
            "yes" if found else "no",
            f"{reading.probabilities[label]:.2f}",
            escape(words),
        )
    return table


def _words(text: str, evidence: Sequence[Evidence]) -> str:
    """What the evidence says, with an ellipsis where something stands between two pieces of it."""
    said, before = "", 0
    for each in sorted(evidence, key=lambda e: e.start):
        gap = " … " if said and text[before : each.start].strip() else " "
        said, before = f"{said}{gap}{text[each.start : each.end]}", each.end
    return " ".join(said.split())


def _entities(groups: dict[str, Sequence[Mention]]) -> Any:
    """A row per group: which entities, each once."""
    from rich.markup import escape

    from . import render

    table = render.plain_table()
    for heading in ("entities", "n", ""):
        table.add_column(heading, overflow="fold", justify="right" if heading == "n" else "left")
    for name, mentions in groups.items():
        once = {m.key: " ".join(m.text.split()) for m in mentions}
        listed = escape("; ".join(once.values())) or "–"
        table.add_row(f"[{ENTITY_STYLE[name]}]{name}[/]", str(len(once)), f"{listed}\n[dim]{WHAT[name]}[/dim]")
    return table
