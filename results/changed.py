"""How many answers of two runs differ, whether right or wrong."""

from __future__ import annotations

from collections.abc import Sequence

from ..core.types import Record


def changed(one: Sequence[Record], other: Sequence[Record]) -> int:
    """Return on how many items that both answered the answers differ: another option, or another text."""
    answers, others = _by_item(one), _by_item(other)
    return sum(answers[item_id] != others[item_id] for item_id in answers if item_id in others)


def _by_item(records: Sequence[Record]) -> dict[str, list[object]]:
    """Return the answers to each item, without items of which none is an answer."""
    found: dict[str, list[object]] = {}
    for record in records:
        found.setdefault(record.item.id, []).append(_answer(record))
    return {item_id: answers for item_id, answers in found.items() if any(answer is not None for answer in answers)}


def _answer(record: Record) -> object:
    """Return the likeliest option, or the text."""
    output = record.output
    if output.logprobs is not None:
        return max(range(len(output.logprobs)), key=output.logprobs.__getitem__)
    return output.text
