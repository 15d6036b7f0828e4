"""Split a text into reasoning and answer while it is being written."""

from __future__ import annotations

import re

from .reasoning import split

# A text that begins like this may turn out to open reasoning in words ("## Thinking", "analysisWe need …").
_OPENINGS = (
    "<",
    "[",
    "{",
    "＜",
    "&lt;",
    "#",
    "*",
    "```",
    "◁",
    "analysis",
    "assistant",
    "here",
    "think",
    "thought",
    "internal",
)
_OPENING_LENGTH = 64  # characters after which it would have
_MARK_LENGTH = 40  # characters of the longest mark
_MARK_STARTS = "<[◁{＜&"
_MARK_END = re.compile(r"[>\]▷}＞;]")
_NEXT_WORD = 12  # characters after a mark that tell whether it is only mentioned: "the <think> tag"
_WRAPPERS = ("<answer>", "<response>", "<output>", "<solution>", "<|begin_of_solution|>")  # around a whole answer


class StreamedSplit:
    """One text. Nothing that was released is taken back, so text that may turn out to be a mark is held back."""

    def __init__(self, opening: str = "") -> None:
        """`opening`: the mark that opened the reasoning in the prompt."""
        self._text = f"{opening}\n" if opening else ""
        self._reasoning = self._answer = ""  # released

    def more(self, piece: str, last: bool = False) -> tuple[str, str]:
        """Add `piece` to the text, and return the new parts of the reasoning and of the answer.

        `last`: the text is complete, so nothing is held back. All parts together equal those of `split`.
        """
        self._text += piece
        text = self._text if last else self._text[: len(self._text) - _held(self._text)]
        found = split(text)
        answer = found.answer
        if not last and answer.startswith("<") and any(w.startswith(answer[: len(w)].lower()) for w in _WRAPPERS):
            answer = ""
        reasoning, self._reasoning = _new(found.reasoning, self._reasoning)
        answer, self._answer = _new(answer, self._answer)
        return reasoning, answer


def _held(text: str) -> int:
    """Return how many characters at the end may be part of an unfinished mark."""
    start = text.lstrip()
    if len(start) < _OPENING_LENGTH and start.lower().startswith(_OPENINGS):
        return len(text)
    if any(opening.startswith(start.lower()) for opening in _OPENINGS):
        return len(text)
    tail = text[-_MARK_LENGTH:]
    at = max(tail.rfind(mark) for mark in _MARK_STARTS)
    if at < 0:
        return len("assistantfinal") if "assistant" in tail[-20:] else 0
    closed = _MARK_END.search(tail, at)
    return 0 if closed and len(tail) - closed.end() > _NEXT_WORD else len(tail) - at


def _new(whole: str, given: str) -> tuple[str, str]:
    """Return what to release of `whole`, and all that is released afterwards.

    If `whole` does not begin with what was released (after a closing mark without an opening one), all of it is new.
    """
    if given.startswith(whole):
        return "", given
    return (whole[len(given) :] if whole.startswith(given) else whole), whole
