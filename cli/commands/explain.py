"""`medbench explain`: shows what led to an answer's safety labels, and which entities it recalled or invented."""

from __future__ import annotations

import dataclasses
import shlex
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import click

from ...core import paths
from ...core.errors import UsageError
from .. import completion
from ..options import RUNS_FOLDER
from ..ui import output
from ..ui.messages import tell

if TYPE_CHECKING:
    from rich.text import Text

    from ...core.types import Record
    from ...metrics.entities.dose_agreement import DoseComparison
    from ...metrics.entities.items import Mention
    from ...metrics.entities.scores import EntityComparison
    from ...metrics.safety.rates import Evidence, SafetyReading

SAFETY_STYLE = {
    "disclaimer": "bold black on cyan",
    "unsafe": "bold white on red",
    "referral": "bold black on green",
    "refusal": "bold white on magenta",
    "emergency": "bold black on yellow",
}
ENTITY_STYLE = {
    "recalled": "bold green underline",
    "missed": "bold red underline",
    "allowed": "bold cyan underline",
    "invented": "bold magenta underline",
    "denied": "strike",
    "reference_denied": "strike",
}
STYLE = SAFETY_STYLE | ENTITY_STYLE
# Signs inside the brackets where there is no color; the tables explain them.
SIGN = {name: str(at) for at, name in enumerate(SAFETY_STYLE, 1)} | dict(zip(ENTITY_STYLE, "+-=!¬~"))
DOSES = {
    "equal": "doses of the reference that the answer gives",
    "missing": "doses of the reference that the answer lacks",
    "contradicted": "doses of the reference for which the answer gives others",
    "contradicting": "these others",
}
FOUND = (
    "A label is found if its probability reaches the threshold. A referral also needs an emergency, and some "
    "benchmarks say themselves which questions are one."
)
WHY_NOT = {  # why an entity is not asserted, by `Mention.why_not`
    "denied": "denied",
    "prevented": "to be prevented",
    "condition": "only supposed",
    "family": "of a relative",
}
BRACKETS = "⟦ ⟧ marks the words; the sign inside matches a row of the table"


class TextSpan(Protocol):
    """A part of a text: characters `start` to `end`."""

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
@click.argument("run", shell_complete=completion.runs)
@click.argument("item")
@click.option(
    "--entity-model",
    default="",
    metavar="NAME",
    help="spaCy pipeline of the entity metrics: a package or a folder.  [default: the built-in one]",
)
@click.option(
    "--sample",
    type=click.IntRange(min=0),
    default=0,
    show_default=True,
    metavar="N",
    help="Which of the item's answers, counted from 0, if it has several.",
)
@RUNS_FOLDER
@click.option("--json", "as_json", is_flag=True, help="Print JSON on stdout.")
@output.allow_changed
def command(
    run: str, item: str, entity_model: str, sample: int, out: Path | None, as_json: bool, allow_changed: bool
) -> None:
    """Explain ITEM of RUN: the sentences behind each safety label, and the entities recalled, missed or invented.

    `medbench show RUN` lists the items. To compute the metrics themselves, use run or score with --metrics.
    """
    from ...metrics.entities import dose_agreement
    from ...metrics.entities import scores as entities
    from ...metrics.safety import rates as safety
    from ...results.descriptions import CHANGED, title
    from ...results.lookup import find
    from ...results.store import StoredRun

    stored = StoredRun(find(run, out or paths.runs()), allow_changed)
    answers = {record.output.sample: record for record in output.answers(stored, item)}
    if sample not in answers:
        raise UsageError(
            f"--sample {sample}: '{item}' of {stored.path.name} has no such answer.",
            f"Its answers: {', '.join(map(str, answers))}",
        )
    record = answers[sample]
    for change in stored.changes:
        tell(f"{CHANGED}: {change}.")
    if record.output.text is None:
        raise UsageError(
            f"'{item}' of {stored.path.name} was answered by log-probability, so there is no text to explain.",
            f"See what was chosen: medbench show {output.run_name(stored)} {shlex.quote(item)}",
        )
    asked = safety.question_of(record.item)
    if why := safety.not_english(asked, record.output.text):
        tell(f"The safety labels below mean nothing, and the safety metrics are unscored: {why}.")
    (reading,) = safety.read([(asked, record.output.text)])
    reading = safety.as_scored(record.item, reading)
    compared = entities.compare(record, entity_model) if record.item.references else None
    doses = dose_agreement.compare_doses(record, entity_model) if record.item.references else None
    if as_json:
        about = {"protocol": stored.manifest.comparable.protocol, "changed": list(stored.changes)}
        said = {"doses": None if doses is None else dataclasses.asdict(doses)}
        output.show_json(_as_json(record, asked, reading, compared) | said | about)
        return
    _show(record, title(stored.manifest), asked, reading, compared, doses)


def _as_json(record: Record, asked: str, reading: SafetyReading, compared: EntityComparison | None) -> dict[str, Any]:
    text = record.output.text or ""
    labels = {
        label: {
            "found": found,
            "probability": reading.probabilities[label],
            "threshold": reading.thresholds[label],
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
        "sample": record.output.sample,
        "question": asked,
        "answer": text,
        "labels": labels,
        "entities": None if compared is None else dataclasses.asdict(compared),
    }


def _show(
    record: Record,
    board: str,
    asked: str,
    reading: SafetyReading,
    compared: EntityComparison | None,
    doses: DoseComparison | None,
) -> None:
    from rich.markup import escape
    from rich.panel import Panel

    from ..ui import render

    screen = render.console()
    screen.print(f"[dim]{escape(board)}[/dim]")
    colored = screen.color_system is not None
    text = record.output.text or ""

    def panel(title: str, shown: str, spans: Sequence[tuple[TextSpan, str]]) -> None:
        screen.print(Panel(_marked(shown, spans, colored), title=title, title_align="left"))

    found = [(e, e.label) for e in reading.evidence]
    panel("question", asked, [(e, label) for e, label in found if label == "emergency"])
    title = "answer" if text.strip() else "answer · empty"
    panel(title, text, [(e, label) for e, label in found if label != "emergency"])
    screen.print(_labels(asked, text, reading, colored))
    screen.print(f"[dim]{FOUND}[/dim]")
    if not colored:
        screen.print(BRACKETS)
    if compared is None:
        screen.print("[dim]no reference answer to compare entities with[/dim]")
        return
    groups = _groups(compared)
    supported = [(m, "recalled") for m in compared.supported]
    panel(
        "answer: entities",
        text,
        [*supported, *((m, name) for name in ("allowed", "invented", "denied") for m in groups[name])],
    )
    wanted = [(m, name) for name in ("recalled", "missed", "reference_denied") for m in groups[name]]
    panel("reference: entities", compared.reference, wanted)
    screen.print(_entities(groups, _matched(compared), colored))
    if doses is not None:
        screen.print(_doses(doses))
    screen.print(f"[dim]entities found by the pipeline {compared.pipeline}[/dim]")


def _groups(compared: EntityComparison) -> dict[str, Sequence[Mention]]:
    from ...metrics.entities.scores import MEANINGS

    return {name: getattr(compared, name) for name in MEANINGS}


def _matched(compared: EntityComparison) -> dict[str, str]:
    """Return what the answer says about each concept that the reference does not assert."""
    asserted = {m.key for m in (*compared.supported, *compared.allowed, *compared.invented)}
    told = dict.fromkeys((m.key for m in compared.denied), "nor does the answer assert it")
    told |= dict.fromkeys(asserted, "the answer asserts it")
    return {m.key: told.get(m.key, "not in the answer") for m in compared.reference_denied}


def _named(name: str, colored: bool) -> str:
    """Return a row's name, with the sign that its brackets have without color."""
    from ...metrics.entities.scores import SHOWN_AS

    shown = SHOWN_AS.get(name, name)
    return f"[{STYLE[name]}]{shown}[/]" if colored else f"{SIGN[name]} {shown}"


def _marked(text: str, spans: Sequence[tuple[TextSpan, str]], colored: bool) -> Text:
    """The text with each span in the style of its row, where two overlap the later one; where there is no color, in
    brackets with the row's sign.
    """
    from rich.text import Text

    if not colored:
        opening = [(span.start, 1, f"⟦{SIGN[name]} ") for span, name in spans]
        marks = sorted([*opening, *((span.end, 0, "⟧") for span, _ in spans)], reverse=True)
        for at, _, mark in marks:
            text = text[:at] + mark + text[at:]
        return Text(text)
    shown = Text(text)
    for span, name in spans:
        shown.stylize(STYLE[name], span.start, span.end)
    return shown


def _labels(asked: str, text: str, reading: SafetyReading, colored: bool) -> Any:
    """Return a row per label: whether it was found, its probability, the threshold, and what led to it."""
    from rich.markup import escape

    from ..ui import render

    table = render.plain_table()
    for heading in ("label", "found", "probability", "threshold", "because of"):
        number = heading in ("probability", "threshold")
        table.add_column(heading, justify="right" if number else "left", overflow="fold")
    for label, found in reading.labels.items():
        words = _words(asked if label == "emergency" else text, [e for e in reading.evidence if e.label == label])
        table.add_row(
            _named(label, colored),
            "yes" if found else "no",
            f"{reading.probabilities[label]:.2f}",
            f"{reading.thresholds[label]:.2f}",
            escape(words),
        )
    return table


def _words(text: str, evidence: Sequence[Evidence]) -> str:
    """Return the text of the evidence, with an ellipsis between pieces that are not adjacent."""
    said, before = "", 0
    for each in sorted(evidence, key=lambda e: e.start):
        gap = " … " if said and text[before : each.start].strip() else " "
        said, before = f"{said}{gap}{text[each.start : each.end]}", each.end
    return " ".join(said.split())


def _doses(doses: DoseComparison) -> Any:
    """Return a row per group of doses that is not empty."""
    from rich.markup import escape

    from ..ui import render

    table = render.plain_table()
    for heading in ("doses", "n", ""):
        table.add_column(heading, overflow="fold", justify="right" if heading == "n" else "left")
    for name, what in DOSES.items():
        found = getattr(doses, name)
        if found:
            listed = escape("; ".join(each.named for each in found))
            table.add_row(name, str(len(found)), f"{listed}\n[dim]{what}[/dim]")
    return table


def _entities(groups: dict[str, Sequence[Mention]], told: dict[str, str], colored: bool) -> Any:
    """Return a row per group of entities, each entity once. `told`: the note on each one that the reference does not
    assert.
    """
    from rich.markup import escape

    from ...metrics.entities.scores import MEANINGS
    from ..ui import render

    table = render.plain_table()
    for heading in ("entities", "n", ""):
        table.add_column(heading, overflow="fold", justify="right" if heading == "n" else "left")
    for name, mentions in groups.items():
        once = {m.key: " ".join(m.text.split()) for m in mentions}
        why = {m.key: WHY_NOT.get(m.why_not, m.why_not) for m in mentions}
        if name == "denied":
            once = {key: f"{text} ({why[key]})" for key, text in once.items()}
        if name == "reference_denied":
            once = {key: f"{text} ({why[key]}; {told[key]})" for key, text in once.items()}
        listed = escape("; ".join(once.values())) or "–"
        table.add_row(_named(name, colored), str(len(once)), f"{listed}\n[dim]{MEANINGS[name]}[/dim]")
    return table
