""" "Did you mean …?": the known names that are spelled most like one that is not known."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Sequence

CUTOFF = 0.5  # the least similarity of two spellings, from 0 to 1 (difflib.SequenceMatcher.ratio)


def nearest(name: str, known: Iterable[str], most: int = 2, cutoff: float = CUTOFF) -> list[str]:
    """Return at most `most` of the known names, the most similar to `name` first."""
    return difflib.get_close_matches(name, list(known), n=most, cutoff=cutoff)


def question(names: Sequence[str]) -> str:
    """Return " Did you mean a, b or c?", to follow a sentence; "" without names."""
    *others, last = names or [""]
    return f" Did you mean {', '.join(others)}{' or ' if others else ''}{last}?" if last else ""


def did_you_mean(name: str, known: Iterable[str], most: int = 2, cutoff: float = CUTOFF) -> str:
    """Return " Did you mean a or b?" with the nearest known names; "" if none is near."""
    return question(nearest(name, known, most, cutoff))
