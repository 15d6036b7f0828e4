"""Draws the summary of a leaderboard in the window's width: headings are abbreviated, numbers never cut."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import TYPE_CHECKING

from ...core.text import printable
from ...results.summary_export import summary_texts
from .render import console, marked, plain_table, without_zero

if TYPE_CHECKING:
    from rich.console import RenderableType
    from rich.table import Table

    from ...results.cells import CellText
    from ...results.summary import Heading, Summary

HEADING = 8  # characters of a line of a heading that is abbreviated
FOLDED = 10  # characters of a line of a model's name, at the least
UNITS = {"latency_p50_s": "p50\ns", "peak_rss_bytes": "RSS\nGB", "peak_gpu_memory_bytes": "GPU\nGB"}
NAMES = {"mean": "mean", "safety_rate": "safety"}
SHORT = {"generated": "gen.", "log-probability": "logprob"}  # words of a heading whose beginning says little


def summary(found: Sequence[Summary]) -> list[RenderableType]:
    """Return for each summary its title, a table or several below each other, and notes."""
    from rich.text import Text

    parts: list[RenderableType] = []
    for one in found:
        several = len(found) > 1 or one.sample
        parts.append(Text(("samples" if one.sample else "benchmarks") if several else "summary", style="bold"))
        parts += _tables(one)
        if one.hidden:
            word = "models are" if one.hidden > 1 else "model is"
            parts.append(Text(f"{one.hidden} more {word} not shown, below these: --top 0 shows all.", style="yellow"))
        parts += [Text(printable(note), style="dim") for note in one.notes]
    legend = "Below each figure its 95 % interval. – no run, or no figure."
    if any(len(one.lines) + one.hidden > 1 for one in found):
        legend += (
            " Within a benchmark: ▼ another model is significantly better, ≈ none is shown to be, ★ the best value "
            "of a column whose models differ. Means are not tested: medbench compare tests two models."
        )
    parts.append(Text(legend, style="dim"))
    return parts


def _tables(found: Summary) -> list[RenderableType]:
    """Return one table if the window holds it, else as few as hold all columns, each with the models' names."""
    from rich.measure import Measurement

    screen = console()

    def fits(columns: Sequence[int], short: bool) -> bool:
        table = _table(found, columns, short)
        table.columns[0].max_width = FOLDED
        return Measurement.get(screen, screen.options.update(width=10_000), table).maximum <= screen.width

    rest = list(range(len(found.headings)))
    if fits(rest, short=False):
        return [_table(found, rest, short=False)]
    parts: list[RenderableType] = []
    while rest:
        most = next((n for n in range(len(rest), 1, -1) if fits(rest[:n], short=True)), 1)
        parts.append(_table(found, rest[:most], short=True))
        rest = rest[most:]
    return parts


def _table(found: Summary, columns: Sequence[int], short: bool) -> Table:
    table = plain_table()
    table.padding, table.show_edge = ((0, 0), False) if short else ((0, 1), True)
    table.add_column("model", overflow="fold", min_width=FOLDED)
    for at in columns:
        table.add_column(_safe(_heading(found.headings[at], short)), justify="right", no_wrap=True)
    alone = len(found.lines) + found.hidden == 1
    for line in found.lines:
        name = [_safe(line.label), f"[dim]{_safe(line.setup)}[/dim]" if line.setup else ""]
        if line.changed:
            name.append("[yellow]changed after the run[/yellow]")
        if line.unfinished:
            name.append("[yellow]unfinished[/yellow]")
        if line.unchecked:
            name.append("[yellow]leaks not checked[/yellow]")
        shown = summary_texts(line, places=2 if short else 3)
        table.add_row("\n".join(filter(None, name)), *(_cell(shown[at], found.headings[at], alone) for at in columns))
    return table


def _safe(text: str) -> str:
    """Return text as it is, with nothing that the terminal or rich would take for a command."""
    from rich.markup import escape

    return escape(printable(text))


def _heading(heading: Heading, short: bool) -> str:
    arrow = {"higher": "↑", "lower": "↓", "": ""}[heading.better]
    if heading.metric in UNITS:
        return f"{UNITS[heading.metric]} {arrow}"
    name = NAMES.get(heading.name, heading.name)
    if not short:
        return f"{name} {arrow}"
    for word, short_word in SHORT.items():
        name = name.replace(word, short_word)
    words = re.split(r"(?<=-)|\s+·\s+|\s+", name)
    return "\n".join([*(_abbreviated(word) for word in words if word), arrow])


def _abbreviated(word: str) -> str:
    word = word if len(word) <= HEADING else word.removesuffix("-")
    return word if len(word) <= HEADING else f"{word[: HEADING - 1]}."


def _cell(shown: CellText, heading: Heading, alone: bool) -> str:
    if heading.metric in UNITS or shown.amount is None:
        return shown.bare
    lines = [marked(shown.value + shown.sign, "" if alone else shown.mark)]
    if shown.low:
        lines.append(f"[dim]{_end(shown.low)}–{_end(shown.high)}[/dim]")
    if shown.partial:
        lines.append(f"[yellow]{shown.n.replace(' of ', '/')}[/yellow]")
    return "\n".join(lines)


def _end(end: str) -> str:
    return "1" if end == "1.00" else without_zero(end)
