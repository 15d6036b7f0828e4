"""`medbench chat`: talk to a model in the terminal and see the safety labels of each answer."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import click
import cloup

from ...core.text_or_file import text_or_file
from .. import completion
from ..model_options import model_options
from ..options import Command
from ..ui.messages import say, say_piece, tell

if TYPE_CHECKING:
    from ...evaluation.suite import ModelOptions
    from ...serving.chat import Chat


@cloup.command(
    cls=Command,
    epilog="""\b
Examples:
  medbench chat smollm2-135m
  medbench chat smollm2-135m@default --system "Answer in two sentences."
  medbench chat my/hub-model --temperature 0.7 --seed 1
  medbench chat smollm2-135m --once "What is anemia?"    one answer
  medbench chat gguf:models/mine.gguf --once "What is anemia?" --json
""",
)
@click.argument("name", metavar="NAME[@TAG]", shell_complete=completion.models)
@cloup.option_group(
    "Conversation",
    click.option("--once", metavar="QUESTION", help="Answer this question and exit; - reads it from stdin."),
    click.option(
        "--system", default="", metavar="TEXT|FILE", help="System prompt: instructions before the first question."
    ),
    click.option(
        "--max-new-tokens", type=click.IntRange(1), default=512, show_default=True, help="Token limit of an answer."
    ),
    click.option(
        "--temperature",
        type=click.FloatRange(0),
        default=0.0,
        show_default=True,
        help="0: always the most likely token.",
    ),
    click.option("--top-p", type=click.FloatRange(0, 1, min_open=True), default=1.0, show_default=True),
    click.option("--seed", type=int, metavar="N", help="Random seed, for the same answers at the same temperature."),
)
@model_options
@cloup.option_group(
    "Output",
    click.option(
        "--labels/--no-labels", default=True, help="Show the safety labels of each answer.  [default: labels]"
    ),
    click.option("--json", "as_json", is_flag=True, help="With --once: print the answer, labels and model as JSON."),
    cloup.help_option("--help", "-h", help="Show this message and exit."),
)
def command(
    name: str,
    once: str | None,
    system: str,
    max_new_tokens: int,
    temperature: float,
    top_p: float,
    seed: int | None,
    options: ModelOptions,
    labels: bool,
    as_json: bool,
) -> None:
    """Talk to a model. Answers appear as they are written, each with its safety labels.

    Commands: /system TEXT, /reset, /save FILE, /help, /quit. End a line with \\ to continue on the next. Ctrl-C stops
    an answer, Ctrl-D ends the chat.
    """
    if as_json and once is None:
        raise click.UsageError("--json needs --once: a conversation is saved as JSON with /save FILE.json.")
    from ...serving.chat import Chat, Sampling
    from ...serving.models import engine_of

    engine = engine_of(name, tell, **options)
    chat = Chat(engine, text_or_file("--system", system), Sampling(max_new_tokens, temperature, top_p, seed), labels)
    if once is not None:
        answer_once(chat, once, as_json)
        return
    from ..ui.chat_shell import talk

    talk(chat)


def answer_once(chat: Chat, question: str, as_json: bool) -> None:
    """Print one answer: as it is written, or as JSON when it is finished."""
    from ..ui.output import show_json

    question = sys.stdin.read() if question == "-" else question
    if not question.strip():
        raise click.UsageError("the question is empty.")
    for piece in chat.ask(question):
        if not as_json:
            say_piece(piece)
    exchange = chat.exchanges[-1]
    if as_json:
        found = chat.as_json()
        show_json({**{k: v for k, v in found.items() if k != "exchanges"}, **found["exchanges"][0]})
        return
    say("")
    from ..ui.chat_shell import remarks

    for line in remarks(exchange, chat.sampling.max_new_tokens, chat.labeled):
        tell(line)
