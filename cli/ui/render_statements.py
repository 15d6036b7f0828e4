"""Agreement on labels, of statements or of safety, on a terminal."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from ...results.agreement import statement_tables

if TYPE_CHECKING:
    from rich.console import RenderableType
    from rich.table import Table

    from ...results.agreement.statement_agreement import StatementAgreement

NARROW = 5  # columns up to which an interval fits beside its figure in 80 characters; otherwise it is below


def statements(found: StatementAgreement) -> list[RenderableType]:
    """Return the tables of each judge and of the physicians, then how they were made."""
    return sections(found.title, statement_tables.sections(found), " ".join(statement_tables.legend(found)))


def sections(title: str, found: Sequence[statement_tables.Section], legend: str) -> list[RenderableType]:
    """Return tables with their notes, then the text that explains them."""
    from rich.text import Text

    parts: list[RenderableType] = [Text(title, style="bold")]
    for section in found:
        parts += [Text(section.name, style="bold"), *map(_table, section.tables), *map(Text, section.notes), Text()]
    return [*parts, Text(legend, style="dim")]


def _table(grid: statement_tables.Grid) -> Table:
    from rich import box
    from rich.table import Table

    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    heads, *rows = grid.rows
    gap = "\n" if len(heads) > NARROW else " "
    for column, head in enumerate(heads):
        if column < grid.texts:
            table.add_column(head, no_wrap=grid.texts == 1)
        else:
            table.add_column(head.replace(" ", "\n"), justify="right", no_wrap=True)
    for row in rows:
        table.add_row(*(_cell(cell, gap) for cell in row))
    return table


def _cell(text: str, gap: str) -> str:
    """Return a cell as markup, with an estimate's interval dimmed."""
    from rich.markup import escape

    value, bracket, interval = text.partition(" [")
    return f"{escape(value)}{gap}[dim]{escape(f'[{interval}')}[/dim]" if bracket else escape(text)
