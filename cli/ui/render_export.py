"""The table of `medbench export --check`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rich import box
from rich.console import RenderableType
from rich.markup import escape
from rich.table import Table

from ...core.text import size

if TYPE_CHECKING:
    from ...serving.export.check import Check, CheckRow

ALPHA = 0.05
COLUMNS = ("answers", "model", "size", "metric", "value", "original - this [95% CI]", "p", "changed", "tok/s", "p50")


def checked(found: Check) -> list[RenderableType]:
    """One table per benchmark: the original, then what was made of it."""
    tables: list[RenderableType] = []
    for benchmark in dict.fromkeys(row.benchmark for row in found.rows):
        table = Table(box=box.SIMPLE_HEAD, pad_edge=False, title=escape(benchmark), title_justify="left")
        for number, heading in enumerate(COLUMNS):
            table.add_column(heading, justify="left" if number in (0, 1, 3) else "right", overflow="fold")
        for row in found.rows:
            if row.benchmark == benchmark:
                table.add_row(*_cells(row))
        tables.append(table)
    if any(row.p_holm is not None for row in found.rows):
        tables.append("p: paired tests (exact McNemar or permutation), adjusted by Holm over these tables.")
    return tables


def _cells(row: CheckRow) -> list[str]:
    difference = "–" if row.difference is None else f"{row.difference:+.3f}"
    if row.low is not None and row.high is not None:
        difference += f" [{row.low:+.3f}, {row.high:+.3f}]"
    p = "–" if row.p_holm is None else f"{row.p_holm:.3f}"
    return [
        row.role,
        escape(row.model),
        "–" if row.bytes is None else size(row.bytes),
        escape(row.metric),
        "–" if row.value is None else f"{row.value:.3f}",
        difference,
        f"[bold]{p}[/bold]" if row.p_holm is not None and row.p_holm < ALPHA else p,
        "–" if row.changed is None else f"{row.changed} of {row.n}",
        "–" if row.tokens_per_s is None else f"{row.tokens_per_s:,.0f}",
        "–" if row.latency_p50_s is None else f"{row.latency_p50_s:.2f} s",
    ]
