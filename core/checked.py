"""Check that a loaded benchmark can be run: every field of every item has the right type."""

from __future__ import annotations

import dataclasses
import re
import reprlib
from typing import Any

from .errors import MedbenchError
from .types import Item, ItemSet

_SURROGATE = re.compile("[\ud800-\udfff]")
_TEXTS = ("options", "labels", "references")


def checked(loaded: object) -> ItemSet:
    """Return what a benchmark's `load` returned, if it can be run. Raises MedbenchError that says why not.

    Half of a surrogate pair in a text becomes U+FFFD, because it can be neither stored nor tokenized.
    """
    if not isinstance(loaded, ItemSet):
        raise _unfit(f"it returned a {type(loaded).__name__}, not an ItemSet")
    if not loaded.items:
        raise MedbenchError(f"{loaded.origin} has no items.", "Fetch the release again.")
    for item in (*loaded.items, *loaded.shots):
        _check(item, loaded.items[0])
    items, shots = tuple(map(_repaired, loaded.items)), tuple(map(_repaired, loaded.shots))
    return dataclasses.replace(loaded, items=items, shots=shots)


def _check(item: Item, first: Item) -> None:
    if not isinstance(item, Item):
        raise _unfit(f"it returned a {type(item).__name__} instead of an Item")
    if not isinstance(item.id, str) or not item.id:
        raise _unfit(f"an item has the id {_shown(item.id)}; a string is expected (id=str(…))")
    what = f"item '{item.id}'"
    for name in ("question", "context"):
        if not isinstance(getattr(item, name), str):
            raise _unfit(f"{what} has the {name} {_shown(getattr(item, name))}; a string is expected")
    for name in _TEXTS:
        values = getattr(item, name)
        if isinstance(values, str):
            raise _unfit(f'{what} has a string for `{name}`; a tuple is expected, also for a single value: ("…",)')
        if not isinstance(values, tuple | list):
            raise _unfit(f"{what} has {_shown(values)} for `{name}`; a tuple of strings is expected")
        for number, value in enumerate(values, start=1):
            if not isinstance(value, str):
                raise _unfit(f"{what} has {_shown(value)} as number {number} of its {name}; a string is expected")
    if item.gold is not None and (isinstance(item.gold, bool) or not isinstance(item.gold, int)):
        index = "the index of the correct option is expected, 0 for the first"
        raise _unfit(f"{what} has the gold {_shown(item.gold)}; {index}")
    if item.meta.get("emergency", "yes") not in ("yes", "no"):
        raise _unfit(f"{what} has the emergency {item.meta['emergency']!r}, which is neither 'yes' nor 'no'")
    if item.options and (item.gold is None or not 0 <= item.gold < len(item.options)):
        raise _unfit(f"{what} has {len(item.options)} options and gold {item.gold}")
    if item.labels and len(item.labels) != len(item.options):
        raise _unfit(f"{what} has {len(item.labels)} labels for {len(item.options)} options")
    if not (item.options or item.references or item.target or item.criteria):
        raise _unfit(f"{what} has neither options nor references, a target or criteria")
    if bool(item.options) != bool(first.options):
        raise _unfit(f"{what} and item '{first.id}' are not both multiple choice")


def _repaired(item: Item) -> Item:
    """Return the item with U+FFFD for halves of surrogate pairs, or the same object if there are none."""
    texts = [item.id, item.question, item.context, *item.options, *item.labels, *item.references]
    if not any(map(_SURROGATE.search, texts)):
        return item
    fixed: dict[str, Any] = {name: _whole(getattr(item, name)) for name in ("id", "question", "context")}
    lists: dict[str, Any] = {name: tuple(map(_whole, getattr(item, name))) for name in _TEXTS}
    return dataclasses.replace(item, **fixed, **lists)


def _whole(text: str) -> str:
    return _SURROGATE.sub("\ufffd", text)


def _shown(value: object) -> str:
    return "None (null)" if value is None else reprlib.repr(value)


def _unfit(problem: str) -> MedbenchError:
    return MedbenchError(f"its `load` cannot be used: {problem}.")
