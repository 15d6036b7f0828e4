"""Where a generated text ends: stop strings and end-of-turn tokens."""

from __future__ import annotations

import functools
import re
from collections.abc import Sequence
from typing import Any

from ..core.reasoning import is_mark, opening_mark, split
from .prompting import Wrapping

ANSWER = "fourteen"  # a word that no chat template contains
_MARK = re.compile(r"[^\w\s].*\w.*[^\w\s]")
TAIL_TOKENS = 24  # last tokens that are decoded to look for a stop string; more for longer stop strings

_LETTER = r"(?:\\\w+\s*)?[*_(\[\"'`{]*(?-i:[A-Z])(?![\w'’])"
# "B", "(B)", "**B. Ibuprofen**"; not "A. Aspirin is wrong", which begins a discussion of all options.
_OPTION = re.compile(
    rf"{_LETTER}(?:[^\w\s]*|[^\w\s]+\s+(?!.*(?:\b(?:is|are|was|no|not|never|because|wrong|false|incorrect|unlikely)\b|"
    r"[:;✗✘❌])).{1,200})",
    re.IGNORECASE,
)
_STATED = re.compile(
    rf"\b(?:answer|choice|option)\b\W{{0,4}}?(?:\s(?:is|would\s+be|must\s+be|should\s+be)|:)\W{{0,8}}?{_LETTER}"
    r"[^\w\n]*?(?=[.,:)*}]|\s*$|\n)(?!.*\b(?:wrong|incorrect)\b)",
    re.IGNORECASE,
)


def cut(text: str, stop: Sequence[str], opening: str = "") -> tuple[str, bool]:
    """Return `text` up to its first stop string, and whether there was one.

    Reasoning is never cut, and blank lines before an answer do not end it. An answer may have several paragraphs: a
    blank line ends it only after it has named an option. `opening`: the mark that opened the reasoning in the prompt.
    """
    stop = [s for s in stop if s and s in text]
    if not stop:
        return text, False
    start = answer_start(text, opening)
    blank = len(text) - len(text[start:].lstrip())  # the first character of the answer
    named = _option_named(text, blank) if any(map(_is_blank_line, stop)) else 0
    found = [
        at for s in stop if (at := text.find(s, named if _is_blank_line(s) else start if s.strip() else blank)) >= 0
    ]
    return (text[: min(found)], True) if found else (text, False)


def answer_start(text: str, opening: str = "") -> int:
    """Return how many characters come before the answer; all of them if the text ends inside its reasoning."""
    return max(0, split(opening + text).start - len(opening))


def _is_blank_line(stop: str) -> bool:
    return not stop.strip() and stop.count("\n") > 1


def _option_named(text: str, start: int) -> int:
    """Return the position after which the answer from `start` on has named an option.

    Its first paragraph is only an option, or it says "the answer is" followed by one. Otherwise it is the end.
    """
    first = text[start:].split("\n\n", 1)[0]
    if _OPTION.fullmatch(first.strip()):
        return start + len(first)
    stated = _STATED.search(text, start)
    return stated.end() if stated else len(text)


def sendable(stop: Sequence[str]) -> list[str]:
    """Return the stop strings that a server may apply. One of white space alone would cut at leading blank lines."""
    return [s for s in stop if s.strip()]


class StopStrings:
    """Finds stop strings in tokens as they are generated."""

    def __init__(self, tokenizer: Any, stop: Sequence[str], literal: bool = False, prompt: str = "") -> None:
        """`literal`: a stop string ends the answer wherever it is, even if it is white space, as servers define it.

        `prompt`: what the model continues. If it opens reasoning, stop strings apply only after that is closed.
        """
        self.tokenizer = tokenizer
        self.literal = literal
        self.opening = opening_mark(prompt)
        self.stop = tuple(filter(None, stop))
        self.tail = max([TAIL_TOKENS, *(2 * len(s.encode()) for s in self.stop)])

    def seen(self, tokens: list[int]) -> bool:
        """Whether the last tokens complete a stop string. Call it after every token: it looks only at the tail."""
        if not self.stop:
            return False
        tail = self.tokenizer.decode(tokens[-self.tail :], skip_special_tokens=True)
        return any(s in tail for s in self.stop) and self.cut(decoded(self.tokenizer, tokens))[1]

    def cut(self, text: str) -> tuple[str, bool]:
        """Return `text` up to its first stop string, and whether there was one."""
        if not self.literal:
            return cut(text, self.stop, self.opening)
        start = answer_start(text, self.opening) if self.stop else 0  # reasoning is never cut
        found = [at for s in self.stop if (at := text.find(s, start)) >= 0]
        return (text[: min(found)], True) if found else (text, False)


def decoded(tokenizer: Any, tokens: Sequence[int]) -> str:
    """Return the text of generated tokens, without special tokens other than those that mark reasoning."""
    special = _special(tokenizer)
    kept = {token for token, name in special.items() if is_mark(name)}
    if kept.isdisjoint(tokens):
        return str(tokenizer.decode(tokens, skip_special_tokens=True))
    dropped = special.keys() - kept
    return str(tokenizer.decode([t for t in tokens if t not in dropped], skip_special_tokens=False))


def turn_ends(tokenizer: Any, wrap: Wrapping) -> frozenset[int]:
    """Return the token that a chat template writes after an answer; a model's configuration may not list it.

    It is a special token, or one added to the vocabulary that looks like a marker ("<|im_end|>").
    """
    if wrap.kind != "template":
        return frozenset()
    turns = [{"role": "user", "content": "Q"}, {"role": "assistant", "content": ANSWER}]
    try:
        shown = tokenizer.apply_chat_template(
            turns, chat_template=wrap.template, add_generation_prompt=False, tokenize=False
        )
    except Exception:  # a template may raise anything; rendering a prompt reports it
        return frozenset()
    _, found, end = str(shown).rpartition(ANSWER)
    tokens = tokenizer(end.lstrip(), add_special_tokens=False)["input_ids"] if found and end.strip() else []
    added = getattr(tokenizer, "added_tokens_decoder", {})
    marks = {int(token) for token, about in added.items() if _MARK.fullmatch(str(about))}
    return frozenset(tokens[:1]) & (_special(tokenizer).keys() | marks)


@functools.lru_cache(maxsize=2)
def _special(tokenizer: Any) -> dict[int, str]:
    """Return the special tokens of a transformers tokenizer, by id."""
    added = getattr(tokenizer, "added_tokens_decoder", {})
    named = {int(token): str(about) for token, about in added.items() if getattr(about, "special", False)}
    ids = getattr(tokenizer, "all_special_ids", ())
    return dict(zip(ids, getattr(tokenizer, "all_special_tokens", ()), strict=False)) | named
