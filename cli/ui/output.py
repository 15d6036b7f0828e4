"""How commands print results: tables for people; JSON, CSV and Markdown for scripts and papers."""

from __future__ import annotations

import io
import os
import shlex
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from ...core import paths
from ...core.durable import replace_file
from ...core.errors import MedbenchError, UsageError
from ...core.suggest import did_you_mean
from ...core.text import names as split_names
from ...core.text import printable, printable_json, printable_json_parts
from .messages import tell

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from rich.console import RenderableType

    from ...core.types import Record
    from ...results.board import Leaderboard
    from ...results.store import StoredRun
    from ...results.summary import Summary


TOP = 20  # default number of rows of each table on a terminal


def names(values: tuple[str, ...]) -> list[str]:
    """Return the comma-separated names of an option that may be repeated, each once, in order.

    Raises UsageError if the option was given without any name.
    """
    found = split_names(",".join(values))
    if values and not found:
        raise UsageError("an option that takes names was given an empty text.", "Is a shell variable empty?")
    return found


def metric_names(values: tuple[str, ...], entity_model: str = "") -> list[str]:
    """Return the metrics that an option names, as runs keep them; see results/metric_names.py."""
    from ...results import metric_names as naming

    return naming.metric_names(names(values), entity_model, tell)


def answers(stored: StoredRun, item: str, records: Iterable[Record] | None = None) -> list[Record]:
    """Return the answers to one item of a run: one, or its samples. Raises UsageError with the nearest ids."""
    known = list(stored.records() if records is None else records)
    if found := [record for record in known if record.item.id == item]:
        return found
    asked = item in stored.manifest.item_ids
    meant = "" if asked else did_you_mean(item, dict.fromkeys(record.item.id for record in known), most=3, cutoff=0.3)
    why = "has no answer" if asked else "is not an item of this run"
    command = f"medbench show {run_name(stored)}"
    raise UsageError(f"'{item}' {why}.{meant}", f"Why: {command} --unscored" if asked else f"Its items: {command}")


def run_name(stored: StoredRun) -> str:
    """Return how a command names a run, quoted for a shell: its id, or its folder if that is not in `runs/`."""
    return shlex.quote(stored.path.name if usual(stored.path.parent) else str(stored.path))


def usual(root: Path) -> bool:
    """Whether a folder of runs is the one that commands read by default."""
    return root.resolve() == paths.runs().resolve()


def allow_changed(command: Callable[..., None]) -> Callable[..., None]:
    """Add --allow-changed, for commands that show figures or answers of runs."""
    text = "Also show runs whose files were changed after medbench wrote them, marked as such."
    return click.option("--allow-changed", is_flag=True, help=text)(command)


def show(parts: Sequence[RenderableType], pager: bool = False) -> None:
    """Draw on stdout. With `pager`, what is longer than the terminal's window is shown by the program that PAGER names
    (default: less).
    """
    from . import render

    screen = render.console()
    paged = pager and screen.is_terminal and sys.stdin.isatty() and os.environ.get("PAGER", "less") not in ("", "cat")
    if not paged:
        for part in parts:
            screen.print(part)
        return
    with screen.capture() as drawn:
        for part in parts:
            screen.print(part)
    text = drawn.get()
    if text.count("\n") < screen.height:
        click.echo(text, nl=False, color=True)
    else:
        # By default, less shows escapes as letters. Options that the user chose are kept.
        os.environ["LESS"] = os.environ.get("LESS", "").strip() or "-R"
        click.echo_via_pager(text, color=True)


def show_json(value: Any) -> None:
    """Print as JSON. In an object, a value may be an iterator: it is printed as a list while it is made."""
    for part in printable_json_parts(value) if isinstance(value, dict) else [printable_json(value)]:
        click.echo(_as_file(part), nl=False)
    click.echo()


def _as_file(text: str) -> str | bytes:
    """Return what to print of a document: UTF-8, as in every file of medbench, unless a person reads it."""
    return text if sys.stdout.isatty() else text.encode()


def write(target: str, text: str) -> None:
    """Write to a file, or to stdout if `target` is "-". Raises MedbenchError if the file cannot be written."""
    if target == "-":
        click.echo(_as_file(printable(text) if sys.stdout.isatty() else text), nl=False)
        return
    path = Path(target)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        if path.exists() and not path.is_file():  # a device or a pipe, such as /dev/stdout
            path.write_text(text, encoding="utf-8")
        else:
            replace_file(path, text.encode())
    except OSError as error:
        raise MedbenchError(f"{path} cannot be written: {error.strerror or error}", "Name another file.") from error
    tell(f"written: {path}")


def write_parquet(target: str, found: Leaderboard) -> None:
    """Write the rows of the CSV export as Parquet. Raises MedbenchError if the file cannot be written."""
    import pandas as pd

    from ...results import export

    path = Path(target)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        content = io.BytesIO()
        pd.DataFrame(export.rows(found), columns=list(export.FIELDS)).to_parquet(content, index=False)
        replace_file(path, content.getvalue())
    except OSError as error:
        raise MedbenchError(f"{path} cannot be written: {error.strerror or error}", "Name another file.") from error
    tell(f"written: {path}")


def present(
    found: Leaderboard,
    *,
    as_json: bool,
    csv: str = "",
    markdown: str = "",
    html: str = "",
    latex: str = "",
    parquet: str = "",
    top: int | None = 0,
    pager: bool = False,
    summaries: Sequence[Summary] = (),
    details: bool = True,
    summary_first: bool = False,
    more: Mapping[str, Any] | None = None,
) -> None:
    """Print a leaderboard in the form asked for, and its problems as lines on stderr.

    `top`: rows of each table, for people only (CSV and JSON have all); 0: all; None: TOP on a terminal, else all.
    `summaries` are in the JSON, and are drawn with `summary_first`; `details` draws a table per benchmark.
    `more` is added to the JSON.
    """
    from ...results import export, summary, summary_export
    from ...results.board import top as top_rows
    from . import render, render_summary

    short = top_rows(found, top) if top else found
    if csv:
        write(csv, export.to_csv(found))
    if parquet:
        write_parquet(parquet, found)
    tables = [summary.top(one, top) if top else one for one in summaries if summary_first and found.boards]
    for target, form, of_summary in (
        (markdown, export.to_markdown, summary_export.summary_markdown),
        (html, export.to_html, summary_export.summary_html),
        (latex, export.to_latex, summary_export.summary_latex),
    ):
        if target:
            write(target, "\n\n".join([*map(of_summary, tables), form(short)]))
    if as_json:
        show_json(
            export.to_json(found)
            | ({"summary": [summary_export.summary_json(one) for one in summaries]} if summaries else {})
            | dict(more or {})
        )
    elif "-" not in (csv, markdown, html, latex):
        rows = top if top is not None else TOP if sys.stdout.isatty() else 0
        parts: list[RenderableType] = []
        if summary_first and found.boards:  # else the one line that says so
            parts += render_summary.summary([summary.top(one, rows) if rows else one for one in summaries])
        if details or not found.boards:
            parts += render.leaderboard(top_rows(found, rows) if rows else found)
        show(parts, pager)
    for note in found.notes:
        tell(note)
    for problem in found.problems:
        tell(f"Not shown: {problem}")
