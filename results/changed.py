"""How many answers two runs gave differently, whatever they are worth."""

from __future__ import annotations

from collections.abc import Sequence

from ..core.types import Record


def changed(one: Sequence[Record], other: Sequence[Record]) -> int:
    """Return on how many items that both answered the answers differ: another option, or another text."""
    answers = {record.item.id: _answer(record) for record in one}
    return sum(
        answers[record.item.id] != _answer(record) for record in other if answers.get(record.item.id) is not None
    )


def _answer(record: Record) -> object:
    """The likeliest option, or the text."""
    output = record.output
    if output.logprobs is not None:
        return max(range(len(output.logprobs)), key=output.logprobs.__getitem__)
    return output.text
