"""Requests of a server or a chat: each text has its own limits and is delivered as it is written."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, Protocol

from ..core.errors import MedbenchError
from ..core.types import Prompt, Turn


class Rejected(MedbenchError):
    """A request that this model cannot answer. `param` is the field at fault, `code` an identifier for programs."""

    exit_code = 2

    def __init__(self, message: str, param: str = "", code: str = "") -> None:
        super().__init__(message)
        self.param = param
        self.code = code


@dataclass(frozen=True)
class TextRequest:
    """One text to generate. `prompt` is plain text, tokens, or the turns of a chat."""

    prompt: str | tuple[int, ...] | tuple[Turn, ...]
    max_new_tokens: int | None = None
    usual_tokens: int = 256  # limit if max_new_tokens is None; lower if the context window is full
    stop: tuple[str, ...] = ()  # literal strings; the text ends before the first one
    temperature: float = 0.0  # 0: greedy
    top_p: float = 1.0
    seed: int | None = None  # None: random
    min_new_tokens: int = 0  # the text does not end before this many
    top: int | None = None  # log-probabilities of each token and of this many most likely ones; None: none
    prompt_scores: bool = False  # also return log-probabilities of the prompt's tokens
    stream: bool = False  # deliver pieces as they are written

    @property
    def chats(self) -> bool:
        return not isinstance(self.prompt, str) and bool(self.prompt) and isinstance(self.prompt[0], Turn)


@dataclass(frozen=True)
class TokenScore:
    """A token with its log-probability (nats; None for the first of a prompt) and the most likely alternatives."""

    text: str
    logprob: float | None
    top: tuple[tuple[str, float], ...] = ()  # most likely first


@dataclass(frozen=True)
class Piece:
    """The text written since the previous piece."""

    text: str
    scores: tuple[TokenScore, ...] = ()
    prompt: str = ""  # as sent; a chat template may have opened the reasoning there


@dataclass(frozen=True)
class Ended:
    """The end of a text. `rest` is the part that no piece delivered. With `error` there is no text.

    If the request itself caused the error, `param` is the field at fault and `code` a word for programs, as in
    `Rejected`.
    """

    text: str  # as written, including surrounding whitespace
    finish: Literal["stop", "length", "error"]
    prompt: str = ""  # as sent
    prompt_tokens: int = 0
    completion_tokens: int = 0
    rest: Piece = Piece("")
    scores: tuple[TokenScore, ...] = ()  # of all new tokens, if requested
    prompt_scores: tuple[TokenScore, ...] = ()
    error: str = ""
    param: str = ""
    code: str = ""


def as_prompt(turns: Sequence[Turn], templated: bool = False) -> Prompt:
    """Return a chat as a benchmark would ask it: the system text, then questions with their answers.

    `templated`: a chat template, here or at a server, will write the turns, so they may come in any order. Raises
    Rejected.
    """
    said = [turn for turn in turns if turn.role != "system"]
    roles = [turn.role for turn in said]
    if roles == ["user", "assistant"] * (len(said) // 2) + ["user"]:
        system = "\n\n".join(turn.content for turn in turns if turn.role == "system")
        pairs = tuple((said[at].content, said[at + 1].content) for at in range(0, len(said) - 1, 2))
        return Prompt(said[-1].content, shots=pairs, system=system)
    if not templated:
        raise Rejected(
            "this model has no chat template: its messages must alternate between user and assistant, and the last "
            "must be the user's.",
            "messages",
        )
    if turns[-1].role != "user":
        raise Rejected("the last message must be the user's.", "messages")
    return Prompt(turns[-1].content, turns=tuple(turns[:-1]))


class Texts(Protocol):
    """Texts being generated, identified by keys. All methods are called from one thread."""

    most: int  # most texts generated at once

    @property
    def open(self) -> bool:
        """Return whether any text is unfinished."""
        ...

    @property
    def working(self) -> int:
        """Return how many texts are being generated; the others wait."""
        ...

    def add(self, key: int, request: TextRequest) -> None:
        """Put a request in the queue. Raises Rejected."""
        ...

    def drop(self, key: int) -> None:
        """Cancel a text."""
        ...

    def advance(self) -> list[tuple[int, Piece | Ended]]:
        """Do one step of work and return its events."""
        ...
