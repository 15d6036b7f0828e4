"""The `medbench` command. Commands are imported when they are called, so that `--help` loads nothing heavy."""

from __future__ import annotations

import atexit
import io
import os
import signal
import sys
from importlib import import_module
from typing import Any

import click
from click.shell_completion import CompletionItem

from .. import __version__
from ..core.errors import MedbenchError
from ..core.text import printable

# name -> one line for `medbench --help`; the command is `command` in the module of that name
COMMANDS = {
    "run": "Run models on benchmarks and show the leaderboard.",
    "train": "Train a zoo model by its own recipe. The result is an adapter.",
    "leaderboard": "Compare the models of stored runs in one table, with intervals.",
    "report": "Write stored runs as pages for a browser: tables and every answer.",
    "view": "Serve the report to this browser, refreshed while a run is going.",
    "figure": "Draw stored runs as a figure for a paper: PNG, SVG or PDF.",
    "card": "Write a model card from stored runs and trainings, for the hub.",
    "compare": "Test two models against each other on the items both answered.",
    "agreement": "Measure how well metrics and judges agree with human grades.",
    "show": "Show a run, or one of its items: prompt, answer, gold, scores.",
    "explain": "Explain one answer: which words led to its safety labels and entities.",
    "score": "Score stored answers with other metrics or judges, without the model.",
    "export": "Export a model to safetensors, GGUF, Ollama or the hub, and check it.",
    "adapters": "List, show and merge trained adapters.",
    "chat": "Talk to a model in the terminal.",
    "ui": "Ask models in the browser, one or two side by side.",
    "serve": "Serve a model over HTTP, with OpenAI's API.",
    "list": "List models, benchmarks, metrics, judges, runs, engines or training sets.",
    "fetch": "Download benchmark data and entity models.",
    "doctor": "Check versions, device, quantization, hub, cache and data.",
}

REGISTRY = f"{__package__.removesuffix('.cli')}.core.registry"  # imported by the commands that need it
INTERRUPTED = 130  # the shell convention: 128 + SIGINT

EXAMPLES = """\b
Examples:
  medbench run                                        the default model on the sample sets
  medbench run --model biogpt-large --suite all
  medbench run -m smollm2-135m -b pubmedqa,medqa --limit 50 --data releases/
  medbench train --model smollm2-135m                 then: run --model smollm2-135m,smollm2-135m@default
  medbench leaderboard --csv board.csv
  medbench compare RUN_A RUN_B
"""


class Failure(click.ClickException):
    """Show a MedbenchError as click does: the message and the hint, without a traceback."""

    def __init__(self, error: MedbenchError) -> None:
        super().__init__(printable(str(error)))
        self.exit_code = error.exit_code  # type: ignore[misc]  # click declares it per class, and reads it per error


class LazyGroup(click.Group):
    """A group that knows its commands by name and imports a command when it is called."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return [*COMMANDS]  # `list` is a module of this package

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in COMMANDS:
            return None
        command: click.Command = import_module(f".commands.{cmd_name}", __package__).command
        return command

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        if args and args[0] not in COMMANDS and not args[0].startswith("-"):
            from ..core import suggest
            from .other_names import commands_for

            meant = suggest.question(commands_for(args[0], COMMANDS))
            raise click.UsageError(f"No such command '{args[0]}'.{meant}", ctx)
        return super().resolve_command(ctx, args)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl([*COMMANDS.items()])

    def shell_complete(self, ctx: click.Context, incomplete: str) -> list[CompletionItem]:
        options = click.Command.shell_complete(self, ctx, incomplete)
        commands = [CompletionItem(name, help=text) for name, text in COMMANDS.items() if name.startswith(incomplete)]
        return commands + options

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        try:
            return super().parse_args(ctx, args)
        except click.UsageError as error:
            from .other_names import explained

            raise explained(error, ()) from None

    def invoke(self, ctx: click.Context) -> Any:
        if REGISTRY in sys.modules:  # a process may run several commands
            sys.modules[REGISTRY].forget()
        words = [*ctx.args]  # of the command; invoking it removes them
        try:
            return super().invoke(ctx)
        except MedbenchError as error:
            raise Failure(error) from error
        except click.UsageError as error:
            from .other_names import explained

            told = explained(error, words)
            told.message = printable(told.message)  # type: ignore[misc]  # not meant to be subclassed, only read
            raise told from error
        except click.ClickException as error:  # it quotes what was typed, or a file name
            error.message = printable(error.message)  # type: ignore[misc]  # not meant to be subclassed, only read
            raise
        except KeyboardInterrupt:
            click.echo("\nStopped. Finished work is stored; the same command continues from there.", err=True)
            raise SystemExit(INTERRUPTED) from None


@click.group(
    cls=LazyGroup,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
    epilog=EXAMPLES + "\nExit codes: 0 done, 1 failed, 2 wrong usage, 130 interrupted.",
)
@click.version_option(__version__, prog_name="medbench")
def cli() -> None:
    """Evaluate language models on medical questions, with figures you can defend."""


def never_fail_to_encode() -> None:
    """Print characters that the encoding of stdout lacks (Windows' cp1252 has no ↑) as "?" instead of failing."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper) and stream.errors in ("strict", "surrogateescape"):
            stream.reconfigure(errors="replace")


def main() -> None:
    never_fail_to_encode()
    if "_MEDBENCH_COMPLETE" in os.environ:  # a shell completes a command
        from .shells import use

        use()
    done: list[object] = []
    atexit.register(_end_at_once, done)  # first, so that it runs last
    try:
        cli(prog_name="medbench")
    except SystemExit as end:
        done.append(end.code or 0)
        atexit.register(signal.signal, signal.SIGINT, signal.SIG_IGN)  # last, so that it runs first
        raise


def _end_at_once(done: list[object]) -> None:
    """End the process when a command is done. Python would first take down every library, which takes torch seconds.

    `done` has the exit code; it is empty if the command failed in another way, which Python then reports.
    """
    if not done or not isinstance(done[0], int):
        return
    try:
        sys.stdout.flush()
        sys.stderr.flush()
    except OSError:  # whoever read the output is gone; Python reports it
        return
    os._exit(done[0])
