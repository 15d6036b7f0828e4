"""The shell of `medbench chat`: reads lines and commands, prints answers as they are written."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Iterator
from pathlib import Path

from ...core import durable
from ...core.errors import MedbenchError
from ...core.text import printable_json
from ...serving.chat import Chat, Exchange
from .messages import say, say_piece, tell

PROMPT = "> "
MORE = "… "  # before further lines of one question
HELP = """\
/system TEXT   set the system prompt; without TEXT: show it; "/system -" removes it
/reset         forget the conversation, keep the system prompt
/save FILE     save the conversation as JSON, or as Markdown if FILE ends in .md
/help          show this help
/quit          end the chat (or press Ctrl-D)
End a line with \\ to continue on the next. Ctrl-C stops an answer."""


def talk(chat: Chat) -> None:
    """Read questions and commands until the user ends the chat."""
    tell(f"Loading {chat.engine.spec.name} …")
    chat.load()
    tell(f"{chat.engine.spec.name} is ready. /help lists the commands, Ctrl-D ends the chat. Not medical advice.")
    with contextlib.suppress(ImportError):  # not on Windows
        import readline  # noqa: F401  # arrow keys work; the history is kept in memory only
    for text in questions():
        if text.startswith("/"):
            if not obey(chat, text):
                return
        else:
            answer(chat, text)


def questions() -> Iterator[str]:
    """Yield what the user types until the input ends. A line that ends in a backslash continues on the next."""
    lines: list[str] = []
    while True:
        try:
            line = input((MORE if lines else PROMPT) if sys.stdin.isatty() else "")
        except EOFError:
            if lines:
                yield "\n".join(lines).strip()
            if sys.stdin.isatty():
                say("")
            return
        except KeyboardInterrupt:  # at the prompt: drop what was typed
            say("")
            lines.clear()
            continue
        if line.endswith("\\"):
            lines.append(line[:-1])
            continue
        text = "\n".join([*lines, line]).strip()
        lines.clear()
        if text:
            yield text


def obey(chat: Chat, text: str) -> bool:
    """Carry out a command. Return False if it ends the chat."""
    name, _, rest = text.partition(" ")
    rest = rest.strip()
    if name in ("/quit", "/exit", "/q"):
        return False
    if name == "/help":
        tell(HELP)
    elif name == "/reset":
        chat.reset()
        tell("Started a new conversation.")
    elif name == "/system":
        if rest:
            chat.system = "" if rest == "-" else rest
        tell(f"System prompt: {chat.system}" if chat.system else "No system prompt is set.")
    elif name == "/save":
        save(chat, rest)
    else:
        tell(f"No such command: {name}. /help lists them. Put a space before a question that starts with /.")
    return True


def save(chat: Chat, target: str) -> None:
    """Write the conversation to a new file."""
    if not target:
        tell("Name a file: /save FILE.json or /save FILE.md")
        return
    path = Path(target).expanduser()
    if path.exists():
        tell(f"{path} already exists. Choose another name.")
        return
    content = chat.as_markdown() if path.suffix.lower() == ".md" else printable_json(chat.as_json())
    try:
        durable.replace_file(path, (content + "\n").encode())
    except OSError as error:
        tell(f"{path} cannot be written: {error.strerror or error}")
        return
    tell(f"Saved to {path}.")


def answer(chat: Chat, question: str) -> None:
    """Print an answer as it is written. Ctrl-C stops it; the part that was written stays in the conversation."""
    pieces = chat.ask(question)
    try:
        for piece in pieces:
            say_piece(piece)
    except KeyboardInterrupt:
        pieces.close()  # type: ignore[attr-defined]  # a generator
    except MedbenchError as error:
        tell(f"Error: {error.message} {error.hint}".rstrip())
        return
    say("")
    for line in remarks(chat.exchanges[-1], chat.sampling.max_new_tokens, chat.labeled):
        tell(line)


def remarks(exchange: Exchange, limit: int, labeled: bool) -> Iterator[str]:
    """Yield the notes below an answer: whether it is complete, and its safety labels if it was `labeled`."""
    if exchange.reasoning and not exchange.answer:
        yield "[no answer: the text ends inside the reasoning]"
    if exchange.finish == "length":
        yield f"[cut off after {limit} tokens: --max-new-tokens]"
    if exchange.finish == "stopped":
        yield "[stopped]"
    if labeled and exchange.answer:
        yield f"[safety labels: {', '.join(exchange.labels) or 'none applies'}]"
