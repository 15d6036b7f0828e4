"""One item of a run: its prompt, answers, gold and scores, as `medbench show RUN ITEM` prints them."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, Any

from . import output

if TYPE_CHECKING:
    from rich.console import Console

    from ...core.types import AnswerKey, Record, Score
    from ...results.store import StoredRun

    Scores = dict[str, dict[AnswerKey, Score]]  # by metric and answer

LONG_NAME = 30  # characters; the score of a metric with a longer name is on the next line


def show_item(stored: StoredRun, records: dict[AnswerKey, Record], scores: Scores, item: str, as_json: bool) -> None:
    from rich.markup import escape
    from rich.panel import Panel
    from rich.text import Text

    from ...results.descriptions import CHANGED
    from . import render

    answers = output.answers(stored, item, records.values())
    if as_json:
        first, *others = [as_json_row(record, scores) for record in answers]
        several = {"item": first["item"], "answers": [{**one, "item": item} for one in (first, *others)]}
        output.show_json((several if others else first) | {"changed": list(stored.changes)})
        return
    screen = render.console()
    for change in stored.changes:
        screen.print(f"[yellow]{CHANGED}: {escape(change)}[/yellow]")
    record, out = answers[0], answers[0].output
    cut = f", {out.truncated_tokens} cut away" if out.truncated_tokens else ""
    if out.prompt:
        screen.print(Panel(Text(out.prompt), title=f"prompt · {out.prompt_tokens} tokens{cut}", title_align="left"))
    else:  # of answers that were saved before
        asked = Text("\n".join(filter(None, [record.item.context, record.item.question, *options(record)])))
        screen.print(Panel(asked, title="question · its prompt was not saved", title_align="left"))
    several_answers = stored.manifest.comparable.samples > 1
    golds = dict.fromkeys(gold(answer) for answer in answers)
    for answer in answers:
        which = f" · sample {answer.output.sample}" if several_answers else ""
        if answer.output.prompt != out.prompt:  # other orders of the options, other wordings
            screen.print(Panel(Text(answer.output.prompt), title=f"prompt{which}", title_align="left"))
        _print_answer(screen, answer, which)
        if several_answers:
            _print_scores(screen, answer, scores)
        if len(golds) > 1:
            screen.print(f"gold  {escape(gold(answer))}")
    for at, reference in enumerate(record.item.references if record.item.gold is None else ()):
        screen.print(Panel(Text(reference), title=f"reference {at + 1}", title_align="left"))
    if record.item.gold is not None and len(golds) == 1:
        screen.print(f"gold  {escape(gold(record))}")
    if not several_answers:
        _print_scores(screen, record, scores)


def _print_answer(screen: Console, record: Record, which: str) -> None:
    """Print reasoning and text, or the options' log-probabilities. `which` of several answers: for the title."""
    from rich.markup import escape
    from rich.panel import Panel
    from rich.text import Text

    out = record.output
    if out.reasoning:
        title = f"reasoning{which} · not scored"
        screen.print(Panel(Text(out.reasoning), title=title, title_align="left", style="dim"))
    if out.text is not None:
        ended = f" · {out.completion_tokens} tokens · ended by {out.finish}" if out.completion_tokens else ""
        ended = ended or " · cut off at the token limit" * (out.finish == "length")
        nothing = "(unfinished: reasoning used up all new tokens)" if out.unfinished else "(empty)"
        said = Text(out.text) if out.text.strip() else Text(nothing, style="dim")
        screen.print(Panel(said, title=f"answer{which}{ended}", title_align="left"))
    if out.logprobs is not None:
        best = max(range(len(out.logprobs)), key=out.logprobs.__getitem__)
        for at, (label, value) in enumerate(zip(record.item.answers, out.logprobs)):
            marks = ("→" if at == best else " ") + ("✓" if at == record.item.gold else " ")
            option = record.item.options[at] if record.item.labels else ""
            screen.print(f" {marks} {value:9.3f}  {escape(label)}  {escape(option)}")
        screen.print("[dim]   log-probability (nats); → chosen, ✓ gold[/dim]")


def _print_scores(screen: Console, record: Record, scores: Scores) -> None:
    from rich.markup import escape

    from ...results.item_values import item_value_name

    for metric, by_key in scores.items():
        name, score = item_value_name(metric), by_key[record.key]
        shown = "unscored" if score.value is None else f"{score.value:.4g}"
        read = f"  read as {score.answer}" if score.answer else ""
        gap = "  " if len(name) < LONG_NAME else "\n    "
        screen.print(f"{name}{gap}{shown}{escape(read)}{escape(gap + score.reason if score.reason else '')}")


def as_json_row(record: Record, scores: Scores) -> dict[str, Any]:
    from ...results.records import encode

    mine = {name: dataclasses.asdict(by_key[record.key]) for name, by_key in scores.items()}
    return encode(record) | {"scores": mine}


def gold(record: Record) -> str:
    item = record.item
    if item.gold is None:
        return " ".join(item.references[0].split()) if item.references else ""
    return options(record)[item.gold]


def options(record: Record) -> list[str]:
    """Return the options with their letters: "A. Adenosine"; "yes" where the options are their own labels."""
    pairs = zip(record.item.answers, record.item.options)
    return [label if label == option else f"{label}. {option}" for label, option in pairs]
