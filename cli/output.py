"""How commands hand out results: tables for people, JSON, CSV and Markdown for scripts and papers."""

from __future__ import annotations

import contextlib
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from ..core.errors import MedbenchError, UsageError
from ..core.text import printable, printable_json
from .progress import tell

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from rich.console import RenderableType

    from ..core.types import Record
    from ..results.leaderboard import Leaderboard
    from ..results.store import StoredRun


TOP = 20  # rows of each table on a terminal, where no number is asked for


def names(values: tuple[str, ...]) -> list[str]:
    """Comma-separated names of an option that may be repeated, each once, in order."""
    return list(dict.fromkeys(name.strip() for value in values for name in value.split(",") if name.strip()))


def metric_names(values: tuple[str, ...], entity_model: str = "") -> list[str]:
    """As `names`, each as runs keep it: `all` unfolded, a file by its full path (runs are read from anywhere), an
    entity metric with its pipeline, which is `entity_model` where it names none. All of them can be loaded.

    `all` is every registered metric that scores answers. No judge is among them: what can cost money is asked for by
    name. Raises UsageError or MedbenchError for a name that cannot be meant or loaded; a third party's broken metric
    among `all` is told and left out.
    """
    from ..core import registry
    from ..core.types import Metric
    from ..results.scoring import load_metric

    found: list[str] = []
    used = False
    for name in names(values):
        if name == "all":
            for each in registry.names("metrics"):
                try:
                    plugin = registry.get("metrics", each)
                except MedbenchError as error:
                    tell(f"Left out of all metrics: {error}")
                    continue
                if isinstance(plugin, Metric):
                    found.append(_kept(plugin, each, entity_model))
                    used |= hasattr(plugin, "of")
            continue
        if name.endswith(".py") and not name.startswith("evaluate:"):
            name = str(Path(name).resolve())
        try:
            plugin = load_metric(name)
        except UsageError:
            if owner := giver(name):
                raise UsageError(f"'{name}' is a figure of {owner} and comes with it.", f"--metrics {owner}") from None
            raise
        if script := getattr(plugin, "runs", ""):
            tell(f"{name} runs the script {script}")
        if hasattr(plugin, "ready"):  # what it lacks is told before anything is run
            plugin.ready()
        found.append(_kept(plugin, name, entity_model))
        used |= hasattr(plugin, "of")
    if entity_model and not used:
        raise UsageError(
            f"--entity-model {entity_model}: no metric asked for finds entities.",
            "Ask for one: --metrics entity_recall,entity_f1",
        )
    return list(dict.fromkeys(found))


def giver(figure: str) -> str:
    """The metric that gives a figure under a name that is not its own (`macro_f1`, `accuracy[anatomy]`); "" if none."""
    from ..core import registry

    base = figure.partition("[")[0]
    for name in registry.names("metrics"):
        if name == base:
            return name
        with contextlib.suppress(MedbenchError):  # a third party's broken metric gives none
            if base in getattr(registry.get("metrics", name), "figures", ()):
                return name
    return ""


def _kept(plugin: Any, name: str, entity_model: str) -> str:
    """The name that runs keep of a metric: a setting is part of it. A file's is its path."""
    if not hasattr(plugin, "of"):
        return name
    named_alone = ":" not in name
    return str((plugin.of(entity_model) if entity_model and named_alone else plugin).canonical_name)


def record(stored: StoredRun, item: str, records: Mapping[str, Record] | None = None) -> Record:
    """The record of one item of a run. Raises UsageError, with the nearest ids, where it has none."""
    known = {found.item.id: found for found in stored.records()} if records is None else records
    if item in known:
        return known[item]
    import difflib

    asked = item in stored.manifest.item_ids
    near = difflib.get_close_matches(item, list(known), n=3, cutoff=0.3)
    meant = f" Did you mean {' or '.join(near)}?" if near and not asked else ""
    why = "has no answer" if asked else "is not an item of this run"
    hint = (
        f"Why: medbench show {stored.path.name} --unscored" if asked else f"Its items: medbench show {stored.path.name}"
    )
    raise UsageError(f"'{item}' {why}.{meant}", hint)


def allow_changed(command: Callable[..., None]) -> Callable[..., None]:
    """The option --allow-changed, for commands that show figures or answers of runs."""
    text = "Show runs that were changed after they were made too, marked as such."
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
        click.echo_via_pager(text, color=True)


def show_json(value: Any) -> None:
    click.echo(printable_json(value))


def write(target: str, text: str) -> None:
    """Write to a file, or to stdout where `target` is "-". Raises MedbenchError where the file cannot be written."""
    if target == "-":
        click.echo(printable(text) if sys.stdout.isatty() else text, nl=False)
        return
    path = Path(target)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    except OSError as error:
        raise MedbenchError(f"{path} cannot be written: {error.strerror or error}", "Name another file.") from error
    tell(f"written: {path}")


def present(
    found: Leaderboard,
    *,
    as_json: bool,
    csv: str = "",
    markdown: str = "",
    top: int | None = 0,
    pager: bool = False,
) -> None:
    """A leaderboard in the form asked for; its problems as lines on stderr.

    `top`: rows of each table, for people only (CSV and JSON have all); 0: all; None: TOP on a terminal, else all.
    """
    from ..results import export, leaderboard
    from . import render

    if csv:
        write(csv, export.to_csv(found))
    if markdown:
        write(markdown, export.to_markdown(leaderboard.top(found, top) if top else found))
    if as_json:
        show_json(export.to_json(found))
    elif "-" not in (csv, markdown):
        rows = top if top is not None else TOP if sys.stdout.isatty() else 0
        show(render.leaderboard(leaderboard.top(found, rows) if rows else found), pager)
    for note in found.notes:
        tell(note)
    for problem in found.problems:
        tell(f"Not shown: {problem}")
