"""A leaderboard as CSV, JSON and Markdown."""

from __future__ import annotations

import csv
import html
import io
import json
from collections.abc import Iterable
from typing import Any

from ..core.text import printable
from ..core.types import Figure
from .board import Board, BoardRow, Cell, Column, Leaderboard
from .cells import MARKS as CELL_MARKS
from .cells import SHORT, CellText, cell_text
from .cells import figure_text as figure_text
from .cells import number as number

FIELDS = (
    *("model", "revision", "adapter", "engine", "dtype", "quantize", "chat"),
    *("benchmark", "version", "variant", "sample", "items", "shots", "method"),
    *("metric", "value", "low", "high", "n", "total", "coverage", "unit", "status", "p_holm", "against", "remark"),
    *("run_id", "changed", "better", "subgroup"),
    *("items_hash", "prompt_hash", "max_new_tokens", "stop", "few_documents", "retrieval", "protocol", "system_hash"),
    *("samples", "temperature"),
)

ARROWS = {"higher": " ↑", "lower": " ↓", "": ""}
# What LaTeX would take for markup, and marks that its fonts lack.
TEX = {
    **{character: f"\\{character}" for character in "&%$#_{}"},
    **{"\\": r"\textbackslash{}", "~": r"\textasciitilde{}", "^": r"\textasciicircum{}"},
    **{"↑": r"$\uparrow$", "↓": r"$\downarrow$", "★": r"$\star$", "≈": r"$\approx$", "▼": r"$\blacktriangledown$"},
    **{"<": r"\textless{}", ">": r"\textgreater{}", "|": r"\textbar{}"},  # other signs in LaTeX's default fonts
    **{"–": "--", "…": r"\ldots{}", "·": r"$\cdot$", "†": r"\dag{}"},
}
BEST = CELL_MARKS["best"]


FORMULA = ("=", "+", "-", "@", "\t")  # what a formula begins with


def to_csv(leaderboard: Leaderboard) -> str:
    """Return `rows` as CSV. A missing value is empty."""
    out = io.StringIO()
    writer = csv.DictWriter(out, FIELDS, lineterminator="\n")
    writer.writeheader()
    writer.writerows({name: cell(value) for name, value in row.items()} for row in rows(leaderboard))
    return out.getvalue()


def cell(value: Any) -> Any:
    """Return a value for a CSV file: a text that a spreadsheet would take for a formula gets a ' before it, and control
    characters are shown."""
    if not isinstance(value, str):
        return value
    text = printable(value)
    return f"'{text}" if text.startswith(FORMULA) else text


def rows(leaderboard: Leaderboard) -> list[dict[str, Any]]:
    """Return the long form: FIELDS for each model, benchmark and figure, hidden figures included."""
    found = []
    for board in leaderboard.boards:
        for row in board.rows:
            for cell, column in zip(row.cells, board.columns, strict=True):
                if cell.figure:
                    fields = _run(row) | _board(board) | _figure(cell.figure, cell, column)
                    found.append({name: fields[name] for name in FIELDS})
    return found


def to_json(leaderboard: Leaderboard) -> dict[str, Any]:
    """Return everything in the tables: {"boards": [{…, "rows": [{…, "figures": [{…}]}]}], "problems": [text]}."""
    return {
        "boards": [
            {
                "title": board.title,
                **_board(board),
                "stop": list(board.comparable.stop or ()),
                "tests": board.tests,
                "clean": board.clean,
                "leaked": list(board.leaked),
                "rows": [
                    {
                        **_run(row),
                        "label": row.label,
                        "path": row.path,
                        "answered": row.answered,
                        "truncated": row.truncated,
                        "complete": row.complete,
                        "leaks_unchecked": row.unchecked,
                        "changed": list(row.changes),
                        "sealed": row.sealed,
                        "figures": [
                            _figure(cell.figure, cell, column) | {"headline": column.headline, "pairs": cell.pairs}
                            for cell, column in zip(row.cells, board.columns, strict=True)
                            if cell.figure
                        ],
                    }
                    for row in board.rows
                ],
            }
            for board in leaderboard.boards
        ],
        "problems": [str(problem) for problem in leaderboard.problems],
        "notes": [*leaderboard.notes, *(doubt for board in leaderboard.boards for doubt in board.doubts.values())],
    }


def to_markdown(leaderboard: Leaderboard) -> str:
    """Return one Markdown table per board, headline figures only, with a note on the marks."""
    parts = [_table(board) for board in leaderboard.boards]
    if leaderboard.problems:
        parts.append("Not shown:\n\n" + "\n".join(f"- {escaped(problem.message)}" for problem in leaderboard.problems))
    parts += [escaped(note) for note in leaderboard.notes]
    return "\n\n".join(parts) + "\n"


def to_html(leaderboard: Leaderboard) -> str:
    """Return one HTML table per board, headline figures only, with a note on the marks."""
    parts = [board_html(board) for board in leaderboard.boards]
    parts += [f"<p>Not shown: {html.escape(printable(problem.message))}</p>" for problem in leaderboard.problems]
    parts += [f"<p>{html.escape(printable(note))}</p>" for note in leaderboard.notes]
    return "\n".join(parts)


def to_latex(leaderboard: Leaderboard) -> str:
    """Return one LaTeX table (booktabs) per board, headline figures only, with a note on the marks."""
    return "\n\n".join(_latex_table(board) for board in leaderboard.boards) + "\n"


def _latex_table(board: Board) -> str:
    shown = [(index, column) for index, column in enumerate(board.columns) if column.headline]

    note = _note(board, {row.cells[index].status for row in board.rows for index, _ in shown})
    return "\n".join(
        [
            r"\begin{table}",
            rf"\caption{{{tex(board.title)}. {tex(note.replace('**Bold**', '★'))}}}",
            rf"\begin{{tabular}}{{ll{'r' * len(shown)}}}",
            r"\toprule",
            latex_row(board_headings(board)),
            r"\midrule",
            *(latex_row(board_cells(row, board)) for row in board.rows),
            r"\bottomrule",
            r"\end{tabular}",
            r"\end{table}",
        ]
    )


def latex_row(cells: Iterable[str]) -> str:
    """Return one row of a LaTeX table."""
    text = " & ".join(tex(cell) for cell in cells)
    # After the \\ or rule before it, [ and * would begin an argument.
    return ("{}" if text.startswith(("[", "*")) else "") + text + r" \\"


def tex(text: str) -> str:
    """Return text that LaTeX prints as it is."""
    return "".join(TEX.get(character, character) for character in " ".join(printable(text).split()))


def board_html(board: Board) -> str:
    """Return a board's headline figures as an HTML table with its note."""
    shown = [(index, column) for index, column in enumerate(board.columns) if column.headline]

    def line(tag: str, cells: Iterable[str]) -> str:
        return "<tr>" + "".join(f"<{tag}>{html.escape(printable(cell))}</{tag}>" for cell in cells) + "</tr>"

    lines = [line("th", board_headings(board)), *(line("td", board_cells(row, board)) for row in board.rows)]
    note = _note(board, {row.cells[index].status for row in board.rows for index, _ in shown})
    table = f"<table><caption>{html.escape(printable(board.title))}</caption>\n" + "\n".join(lines) + "\n</table>"
    return f"{table}\n<p>{html.escape(printable(note.replace('**Bold**', '★')))}</p>"


def board_headings(board: Board) -> list[str]:
    """Return the headings of a board's headline figures, the model and its setup first."""
    shown = (column for column in board.columns if column.headline)
    return ["model", "setup", *(SHORT.get(column.name, column.name) + ARROWS[column.better] for column in shown)]


def board_cells(row: BoardRow, board: Board) -> list[str]:
    """Return a row without markup, a text per heading of `board_headings`."""
    name = row.label + (f" ({row.remarks})" if row.remarks else "")
    shown = (cell for cell, column in zip(row.cells, board.columns, strict=True) if column.headline)
    return [name, row.setup.text, *(shown_cell(cell, board).text for cell in shown)]


def shown_cell(cell: Cell, board: Board) -> CellText:
    """Return what a board's table shows of a cell."""
    return cell_text(cell, board.answers, board.footnotes[cell.remark] if cell.remark else "")


def _pairs(count: int) -> str:
    return "the one pair" if count == 1 else f"all {count} pairs"


def _run(row: BoardRow) -> dict[str, Any]:
    return vars(row.setup) | {"run_id": row.run_id, "changed": "; ".join(row.changes)}


def _board(board: Board) -> dict[str, Any]:
    names = ("benchmark", "version", "variant", "sample", "shots", "method")
    column = board.comparable
    shared = {
        "items_hash": column.items_hash,
        "prompt_hash": column.prompt_hash,
        "max_new_tokens": column.max_new_tokens,
        "retrieval": column.retrieval,
        "protocol": column.protocol,
        "system_hash": column.system_hash,
    }
    stop = json.dumps(column.stop, ensure_ascii=False) if column.stop else ""
    own = {"items": board.asked, "samples": column.samples, "stop": stop, "few_documents": board.few}
    return {name: getattr(board, name) for name in names} | own | shared


def _figure(figure: Figure, cell: Cell, column: Column) -> dict[str, Any]:
    return {
        "metric": figure.name,
        "subgroup": figure.name.partition("[")[2].removesuffix("]") if figure.name.endswith("]") else "",
        "better": column.better,
        "value": figure.value,
        "low": figure.low,
        "high": figure.high,
        "n": figure.n,
        "total": figure.total,
        "coverage": figure.coverage,
        "unit": column.scale,
        "status": cell.status,
        "p_holm": cell.p,
        "against": cell.against,
        "remark": cell.remark,
    }


def _table(board: Board) -> str:
    shown = [(index, column) for index, column in enumerate(board.columns) if column.headline]
    lines = [
        f"### {escaped(board.title)}",
        "",
        markdown_row(["model", "setup", *(_heading(column) for _, column in shown)]),
        markdown_row(["---", "---", *("---:" for _ in shown)]),
    ]
    for row in board.rows:
        name = row.label + (f" ({row.remarks})" if row.remarks else "")
        cells = [marked(shown_cell(row.cells[index], board)) for index, _ in shown]
        lines.append(markdown_row([escaped(name), escaped(row.setup.text), *cells]))
    if board.hidden:
        lines.append(markdown_row([f"{board.hidden} more below these", "", *("" for _ in shown)]))
    note = _note(board, {row.cells[index].status for row in board.rows for index, _ in shown})
    return "\n".join([*lines, "", note])


def _note(board: Board, statuses: set[str]) -> str:
    samples = board.comparable.samples
    of = f" answers, {samples} to each of {board.asked} items," if samples > 1 else ""
    parts = [f"n = {board.answers:,}{of} unless stated; in brackets the 95% interval."]
    if "best" in statuses:
        by = "by their intervals if the column has no other marks"
        parts.append(f"**Bold**: the best value of a column whose models differ ({by}).")
    if statuses & {"tied", "worse"}:
        parts.append(
            "▼: another model is significantly better, ≈: none is shown to be (paired tests on the items both "
            f"answered, 5%, Holm-corrected over {_pairs(board.tests)} of this table)."
        )
    parts += [f"{sign} {escaped(remark)}." for remark, sign in board.footnotes.items()]
    if board.few:
        parts.append(escaped(board.few))
    parts += map(escaped, board.doubts.values())
    if board.clean:
        parts.append(f"{escaped(board.clean)}.")
    if any(not row.complete for row in board.rows):
        parts.append("Unfinished runs show the items they have answered.")
    if any(row.truncated for row in board.rows):
        parts.append("Cut prompts were longer than the model's window: they lost their beginning.")
    return " ".join(parts)


def _heading(column: Column) -> str:
    return escaped(SHORT.get(column.name, column.name)) + ARROWS[column.better]


def marked(shown: CellText) -> str:
    """Return a cell in Markdown, the best value of a column in bold."""
    figure = f"**{shown.figure}**" if shown.mark == BEST else f"{shown.figure} {shown.mark}".rstrip()
    return f"{figure} {shown.sign}".rstrip()


def markdown_row(cells: list[str]) -> str:
    """Return one row of a Markdown table."""
    return f"| {' | '.join(cells)} |"


def escaped(text: str) -> str:
    """Return text on one line that cannot break a Markdown table or become a tag."""
    return " ".join(text.split()).replace("\\", "\\\\").replace("|", "\\|").replace("<", "&lt;")
