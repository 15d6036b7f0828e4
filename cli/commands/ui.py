"""`medbench ui`: a page that asks one model, or two side by side."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click
import cloup

from ...core.text_or_file import text_or_file
from .. import completion
from ..model_options import model_options
from ..options import Command
from ..ui.messages import tell

if TYPE_CHECKING:
    from ...evaluation.suite import ModelOptions


@cloup.command(
    cls=Command,
    epilog="""\b
Examples:
  medbench ui smollm2-135m
  medbench ui smollm2-135m smollm2-135m@default     before and after training
  medbench ui smollm2-135m gguf:mine.Q4_K_M.gguf    original and export
  medbench ui smollm2-135m --system "Answer in two sentences." --open
""",
)
@click.argument("name", metavar="NAME[@TAG]", shell_complete=completion.models)
@click.argument("other", metavar="[OTHER]", required=False, shell_complete=completion.models)
@cloup.option_group(
    "Address",
    click.option(
        "--host",
        default="127.0.0.1",
        show_default=True,
        metavar="ADDRESS",
        help="Listen on this address. 0.0.0.0: all.",
    ),
    click.option(
        "--port",
        type=click.IntRange(0, 65535),
        default=7860,
        show_default=True,
        metavar="N",
        help="Listen on this port. 0: any free one.",
    ),
    click.option("--open/--no-open", "opened", default=False, help="Open the page in the browser.  [default: no-open]"),
)
@cloup.option_group(
    "Conversation",
    click.option(
        "--system", default="", metavar="TEXT|FILE", help="System prompt: instructions before the first question."
    ),
    click.option(
        "--max-new-tokens", type=click.IntRange(1), default=512, show_default=True, help="Token limit of one answer."
    ),
)
@model_options
@cloup.option_group(
    "Output",
    click.option(
        "--labels/--no-labels", default=True, help="Show the safety labels of each answer.  [default: labels]"
    ),
    cloup.help_option("--help", "-h", help="Show this message and exit."),
)
def command(
    name: str,
    other: str | None,
    host: str,
    port: int,
    opened: bool,
    system: str,
    max_new_tokens: int,
    options: ModelOptions,
    labels: bool,
) -> None:
    """Ask one model, or two side by side, on a page in the browser.

    Answers appear as they are written, each with its safety labels. The page loads nothing from the network. Ctrl-C
    ends it.
    """
    from ...serving.chat import Sampling
    from ...serving.listening import LOOPBACK
    from ...serving.models import engines_of
    from ...serving.page import server

    if other == name:
        raise click.UsageError(f"{name} is named twice. Name two different models to compare them.")
    system = text_or_file("--system", system)
    server.check_installed()
    if host not in LOOPBACK:
        tell(f"--host {host}: anyone who can reach this machine can ask the models, WITHOUT A KEY, over plain HTTP.")
    engines = engines_of([name, other] if other else [name], tell, **options)
    names = " and ".join(engine.spec.name for engine in engines)

    def ready(url: str) -> None:
        tell(f"{names}: open {url}  (Ctrl-C ends the page)")
        if opened:
            click.launch(url)

    tell(f"Loading {names} …")
    raise SystemExit(
        server.show(
            engines,
            system=system,
            sampling=Sampling(max_new_tokens),
            labels=labels,
            host=host,
            port=port,
            ready=ready,
        )
    )
