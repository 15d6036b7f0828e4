"""Commands whose options have groups, and hidden spellings of earlier versions."""

from __future__ import annotations

import copy
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import click
import cloup
from click.shell_completion import CompletionItem

REPORTED = "Log figures, answers and configuration: wandb, mlflow, trackio, weave, if installed."
TRACKERS = ("wandb", "mlflow", "trackio", "weave")


class FilePath(click.Path):
    """The path of a file or folder, but not an empty one.

    A script's unset variable leaves an empty path, which would name the current folder.
    """

    def __init__(self, *, exists: bool = False, file_okay: bool = True, dir_okay: bool = True) -> None:
        super().__init__(exists=exists, file_okay=file_okay, dir_okay=dir_okay, path_type=Path)

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        if not str(value):
            self.fail("the path is empty; name one, or leave this out.", param, ctx)
        return super().convert(value, param, ctx)


_OF_RUNS: Any = {"type": FilePath(), "metavar": "DIR", "help": "Folder of runs.  [default: runs/]"}
RUNS_FOLDER = click.option("--out", **_OF_RUNS)
RUNS_READ = click.option("--runs", **_OF_RUNS)


class Option(cloup.Option):
    """An option that also accepts `aliases`: spellings of earlier versions, which help and completion leave out."""

    def __init__(self, param_decls: Sequence[str], *, aliases: Sequence[str] = (), **settings: Any) -> None:
        super().__init__([*param_decls, *aliases], **settings)
        self.aliases = frozenset(aliases)

    def get_help_record(self, ctx: click.Context) -> tuple[str, str] | None:
        return super(Option, self._without_aliases()).get_help_record(ctx)

    def get_error_hint(self, ctx: click.Context | None) -> str:
        return super(Option, self._without_aliases()).get_error_hint(ctx)

    def _without_aliases(self) -> Option:
        shown = copy.copy(self)
        shown.opts = visible(self)
        return shown


def visible(option: click.Parameter) -> list[str]:
    """Return the spellings of an option that help shows; none for a hidden option and for an argument."""
    if not isinstance(option, click.Option) or option.hidden:
        return []
    hidden = option.aliases if isinstance(option, Option) else frozenset()
    return [spelling for spelling in (*option.opts, *option.secondary_opts) if spelling not in hidden]


class Command(cloup.Command):
    """A command with groups of options."""

    def shell_complete(self, ctx: click.Context, incomplete: str) -> list[CompletionItem]:
        hidden = {alias for option in self.params if isinstance(option, Option) for alias in option.aliases}
        return [item for item in super().shell_complete(ctx, incomplete) if item.value not in hidden]


def report_to(help: str) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Return the option that names experiment trackers. They have the same names in every command."""
    return click.option("--report-to", multiple=True, metavar="NAMES", help=help, shell_complete=_trackers)


def _trackers(context: click.Context, parameter: click.Parameter, begun: str) -> list[CompletionItem]:
    head, comma, last = begun.rpartition(",")
    return [CompletionItem(head + comma + name) for name in TRACKERS if name.startswith(last)]
