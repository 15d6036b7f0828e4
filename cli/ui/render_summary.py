"""Draws the summary of a leaderboard in the window's width: headings are abbreviated, numbers never cut."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from ...core.text import printable
from ...results.summary import figures_note
from ...results.summary_export import summary_texts
from .render import console, marked, plain_table, without_zero

if TYPE_CHECKING:
    from rich.console import RenderableType
    from rich.table import Table

    from ...results.cells import CellText
    from ...results.summary import Heading, Summary

HEADING = 8  # characters of a line of a heading that is abbreviated
TALLEST = 4  # lines of such a heading; of longer ones, a number stands for how the benchmark was run
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
        tables, numbers = _tables(one)
        parts += tables
        if one.hidden:
            word = "models are" if one.hidden > 1 else "model is"
            parts.append(Text(f"{one.hidden} more {word} not shown, below these: --top 0 shows all.", style="yellow"))
        notes = one.notes
        if numbers:
            parts += [Text(printable(line), style="dim") for line in _key(one, numbers)]
            notes = tuple(note for note in notes if note != figures_note(one.headings))
        parts += [Text(printable(note), style="dim") for note in notes]
        parts += [Text(printable(doubt), style="yellow") for doubt in one.doubts]
    legend = "Below each figure its 95% interval. – no run, or no figure."
    if any(len(one.lines) + one.hidden > 1 for one in found):
        legend += (
            " Within a benchmark: ▼ another model is significantly better, ≈ none is shown to be, ★ the best value "
            "of a column whose models differ. Means are not tested: medbench compare tests two models."
        )
    parts.append(Text(legend, style="dim"))
    return parts


def _tables(found: Summary) -> tuple[list[RenderableType], Mapping[int, int]]:
    """Return one table if the window holds it, else as few as hold all columns, each with the models' names.

    And the numbers that stand for long headings, by column.
    """
    from rich.measure import Measurement

    screen = console()
    numbers = _numbers(found.headings)

    def fits(columns: Sequence[int], short: bool) -> bool:
        table = _table(found, columns, short, numbers)
        table.columns[0].max_width = table.columns[0].min_width
        return Measurement.get(screen, screen.options.update(width=10_000), table).maximum <= screen.width

    rest = list(range(len(found.headings)))
    if fits(rest, short=False):
        return [_table(found, rest, short=False, numbers={})], {}
    parts: list[RenderableType] = []
    while rest:
        most = next((n for n in range(len(rest), 1, -1) if fits(rest[:n], short=True)), 1)
        parts.append(_table(found, rest[:most], short=True, numbers=numbers))
        rest = rest[most:]
    return parts, numbers


def _numbers(headings: Sequence[Heading]) -> Mapping[int, int]:
    """Return a number for each column of a benchmark whose abbreviated headings would be too tall, by column."""

    def height(heading: Heading) -> int:
        return _heading(heading, short=True).count("\n") + 1

    tall = {each.benchmark for each in headings if each.benchmark != each.name and height(each) > TALLEST}
    columns = [at for at, each in enumerate(headings) if each.benchmark in tall]
    return {at: number for number, at in enumerate(columns, 1)}


def _key(found: Summary, numbers: Mapping[int, int]) -> list[str]:
    """Return what the columns of benchmarks show, the numbered ones on a line each."""
    lines = [f"({number}) {found.headings[at].shows}" for at, number in numbers.items()]
    rest = [heading for at, heading in enumerate(found.headings) if at not in numbers and heading.kind == "benchmark"]
    return [*lines, f"The other figures: {'; '.join(heading.shows for heading in rest)}."] if rest else lines


def _table(found: Summary, columns: Sequence[int], short: bool, numbers: Mapping[int, int]) -> Table:
    from .names import Names, longest_piece

    table = plain_table()
    table.padding, table.show_edge = ((0, 0), False) if short else ((0, 1), True)
    pieces = longest_piece(line.label for line in found.lines)
    table.add_column("model", overflow="fold", min_width=max(FOLDED, pieces))
    for at in columns:
        heading = _heading(found.headings[at], short, numbers.get(at))
        table.add_column(_safe(heading), justify="right", no_wrap=True)
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
        table.add_row(
            Names("\n".join(filter(None, name))), *(_cell(shown[at], found.headings[at], alone) for at in columns)
        )
    return table


def _safe(text: str) -> str:
    """Return text as it is, with nothing that the terminal or rich would take for a command."""
    from rich.markup import escape

    return escape(printable(text))


def _heading(heading: Heading, short: bool, number: int | None = None) -> str:
    """Return a column's heading, abbreviated if it is to be short: the name, or the benchmark and a number."""
    arrow = {"higher": "↑", "lower": "↓", "": ""}[heading.better]
    if heading.metric in UNITS:
        return f"{UNITS[heading.metric]} {arrow}"
    name = NAMES.get(heading.name, heading.name)
    if not short:
        return f"{name} {arrow}"
    if number is not None:
        name, arrow = heading.benchmark, f"({number}) {arrow}"
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
