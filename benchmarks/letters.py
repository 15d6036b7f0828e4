"""Questions with lettered options: shared code of several multiple-choice benchmarks."""

from __future__ import annotations

from ..core.item import LETTERS as LETTERS
from ..core.types import Item

METRICS = ("accuracy", "ece", "brier")
EXAMPLES = 1_000  # few-shot examples are drawn from this many rows at the start of a training split


def listed(item: Item) -> str:
    """Return the options, one per line: `A. first option`."""
    return "\n".join(f"{label}. {option}" for label, option in zip(item.labels, item.options))
