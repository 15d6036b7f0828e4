"""How commands hand out results: tables for people, JSON, CSV and Markdown for scripts and papers."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from ..core.errors import MedbenchError
from .progress import tell

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rich.console import RenderableType

    from ..results.leaderboard import Leaderboard


def names(values: tuple[str, ...]) -> list[str]:
    """Comma-separated names of an option that may be repeated, each once, in order."""
    return list(dict.fromkeys(name.strip() for value in values for name in value.split(",") if name.strip()))


def metric_names(values: tuple[str, ...]) -> list[str]:
    """As `names`; a file by its full path, because runs keep the names of their metrics and are read from anywhere."""
    return [str(Path(n).resolve()) if n.endswith(".py") and not n.startswith("evaluate:") else n for n in names(values)]


def show(parts: Sequence[RenderableType]) -> None:
    from . import render

    screen = render.console()
    for part in parts:
        screen.print(part)


def show_json(value: Any) -> None:
    click.echo(json.dumps(value, indent=1, ensure_ascii=False))


def write(target: str, text: str) -> None:
    """Write to a file, or to stdout where `target` is "-". Raises MedbenchError where the file cannot be written."""
    if target == "-":
        click.echo(text, nl=False)
        return
    path = Path(target)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    except OSError as error:
        raise MedbenchError(f"{path} cannot be written: {error.strerror or error}", "Name another file.") from error
    tell(f"written: {path}")


def present(found: Leaderboard, *, as_json: bool, csv: str = "", markdown: str = "") -> None:
    """A leaderboard in the form asked for; its problems as lines on stderr."""
    from ..results import export
    from . import render

    if csv:
        write(csv, export.to_csv(found))
    if markdown:
        write(markdown, export.to_markdown(found))
    if as_json:
        show_json(export.to_json(found))
    elif "-" not in (csv, markdown):
        show(render.leaderboard(found))
    for problem in found.problems:
        tell(f"Not shown: {problem}")
