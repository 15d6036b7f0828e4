"""Questions with lettered options: what several multiple-choice benchmarks have in common."""

from __future__ import annotations

from ..core.types import Item

LETTERS = tuple("ABCDEFGHIJKLMNOPQRSTUVWXYZ")
METRICS = ("accuracy", "ece", "brier")
EXAMPLES = 1_000  # few-shot examples are drawn from the first so many rows of a training split


def listed(item: Item) -> str:
    """The options, a line each: `A. first option`."""
    return "\n".join(f"{label}. {option}" for label, option in zip(item.labels, item.options))
