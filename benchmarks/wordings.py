"""Two other wordings of any benchmark's question, to see how far a score depends on the wording."""

from __future__ import annotations

from ..core.item import Item
from ..core.protocol import Rewrite


def _listed(item: Item, form: str) -> str:
    return "\n".join(form.format(label, option) for label, option in zip(item.labels, item.options))


def _context(item: Item) -> str:
    return f"{item.context}\n\n" if item.context else ""


def _choices(item: Item) -> str:
    *others, last = item.options
    return f"{', '.join(others)} or {last}"


def exam(own: str, item: Item) -> str:
    """The question as an exam puts it; an open question as a request."""
    if item.labels:
        return f"{_context(item)}{item.question}\n\n{_listed(item, '({}) {}')}\n\nThe letter of the correct option is"
    if item.options:
        return f"{_context(item)}{item.question} Decide: {_choices(item)}.\nThe decision is"
    return f"{_context(item)}Please answer this question: {item.question}\n\nResponse:"


def plain(own: str, item: Item) -> str:
    """The question in everyday words."""
    if item.labels:
        return (
            f"{_context(item)}Here is a medical question. {item.question}\n\nWhich of these is right?\n"
            f"{_listed(item, '{}) {}')}\n\nRight answer:"
        )
    if item.options:
        return f"{_context(item)}Here is a medical question. {item.question}\nIs it {_choices(item)}?\nAnswer:"
    return f"{_context(item)}Someone asks: {item.question}\nA well-informed reply:"


WORDINGS: tuple[Rewrite, ...] = (exam, plain)
