"""Text out of tokens while they are written: no broken character, and nothing that a stop string may take back."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from .stopping import decoded

BROKEN = "\ufffd"  # what a decoder writes for the first bytes of a character


class Spelling:
    """One text. Decodes a few last tokens at a time, so that the cost does not grow with the text."""

    def __init__(self, tokenizer: Any, stop: Sequence[str]) -> None:
        self.tokenizer = tokenizer
        self.stop = stop
        self.text = ""
        self.shown = 0  # characters of `text` that were given out
        self._start = self._read = 0  # tokens: before `_read` all are in `text`; decoding begins at `_start`

    def more(self, tokens: Sequence[int]) -> str:
        """What can be shown now that these tokens, the earlier ones among them, are written."""
        before = decoded(self.tokenizer, tokens[self._start : self._read])
        both = decoded(self.tokenizer, tokens[self._start :])
        if len(both) > len(before) and not both.endswith(BROKEN):
            self.text += both[len(before) :]
            self._start, self._read = self._read, len(tokens)
        end = max(self.shown, len(self.text) - self._held())
        new, self.shown = self.text[self.shown : end], end
        return new

    def rest(self, whole: str) -> str:
        """What is missing of the finished text."""
        return whole[self.shown :] if whole.startswith(self.text[: self.shown]) else ""

    def _held(self) -> int:
        """How many last characters may be the beginning of a stop string."""
        return max(
            (n for stop in self.stop for n in range(1, len(stop) + 1) if self.text.endswith(stop[:n])),
            default=0,
        )


def token_text(tokenizer: Any, token: int) -> str:
    """One token as text, a leading space included where the vocabulary writes it as a mark."""
    text = str(tokenizer.decode([token], skip_special_tokens=False, clean_up_tokenization_spaces=False))
    piece = tokenizer.convert_ids_to_tokens(token)
    marked = isinstance(piece, str) and piece.startswith("\u2581") and not text.startswith(" ")
    return f" {text}" if marked else text
