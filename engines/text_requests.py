"""What a server or a chat asks of an engine: one text at a time, with its own limits, delivered while it is written."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, Protocol

from ..core.errors import MedbenchError
from ..core.types import Prompt, Turn


class Rejected(MedbenchError):
    """A request that this model cannot answer. `param` is the field at fault, `code` a word for programs."""

    exit_code = 2

    def __init__(self, message: str, param: str = "", code: str = "") -> None:
        super().__init__(message)
        self.param = param
        self.code = code


@dataclass(frozen=True)
class TextRequest:
    """One text to write. `prompt` is plain text, tokens, or the turns of a chat."""

    prompt: str | tuple[int, ...] | tuple[Turn, ...]
    max_new_tokens: int | None = None
    usual_tokens: int = 256  # without a limit of its own: so many, or fewer where the window is full
    stop: tuple[str, ...] = ()  # literal: the text ends before the first of them
    temperature: float = 0.0  # 0: the likeliest token each time
    top_p: float = 1.0
    seed: int | None = None  # None: drawn
    min_new_tokens: int = 0  # the text cannot end before so many
    top: int | None = None  # log-probabilities: of each token and so many likeliest; None: of none
    prompt_scores: bool = False  # log-probabilities of the prompt's tokens, too
    stream: bool = False  # deliver pieces as they are written

    @property
    def chats(self) -> bool:
        return not isinstance(self.prompt, str) and bool(self.prompt) and isinstance(self.prompt[0], Turn)


@dataclass(frozen=True)
class TokenScore:
    """A token with its log-probability (nats; None for the first of a prompt) and the likeliest in its place."""

    text: str
    logprob: float | None
    top: tuple[tuple[str, float], ...] = ()  # likeliest first


@dataclass(frozen=True)
class Piece:
    """What was written since the piece before it."""

    text: str
    scores: tuple[TokenScore, ...] = ()
    prompt: str = ""  # as sent; a chat template may have opened the reasoning there


@dataclass(frozen=True)
class Ended:
    """A text is finished. `rest` is what no piece has delivered. With `error` there is no text."""

    text: str  # as written: white space at its ends included
    finish: Literal["stop", "length", "error"]
    prompt: str = ""  # as sent
    prompt_tokens: int = 0
    completion_tokens: int = 0
    rest: Piece = Piece("")
    scores: tuple[TokenScore, ...] = ()  # of all new tokens, where they were asked for
    prompt_scores: tuple[TokenScore, ...] = ()
    error: str = ""


def as_prompt(turns: Sequence[Turn]) -> Prompt:
    """A chat as a benchmark would put it: what it says first, then questions with their answers. Raises Rejected."""
    opening = [turn.content for turn in turns if turn.role == "system"]
    said = [turn for turn in turns if turn.role != "system"]
    roles = [turn.role for turn in said]
    if roles != ["user", "assistant"] * (len(said) // 2) + ["user"]:
        raise Rejected(
            "this model has no chat template: its messages must alternate between user and assistant, and the last "
            "must be the user's.",
            "messages",
        )
    pairs = tuple((said[at].content, said[at + 1].content) for at in range(0, len(said) - 1, 2))
    return Prompt(said[-1].content, "\n\n".join(opening), pairs)


class Texts(Protocol):
    """Texts in the making, named by keys. Everything is called from one thread."""

    most: int  # texts at work at once

    @property
    def open(self) -> bool:
        """Whether a text is not finished."""
        ...

    @property
    def working(self) -> int:
        """How many texts are at work; the others wait."""
        ...

    def add(self, key: int, request: TextRequest) -> None:
        """Put a request in the queue. Raises Rejected."""
        ...

    def drop(self, key: int) -> None:
        """Forget a text at once."""
        ...

    def advance(self) -> list[tuple[int, Piece | Ended]]:
        """Work a little, and return what became of it."""
        ...
