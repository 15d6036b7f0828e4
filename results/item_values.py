"""One value and one document per item, however many answers to it a run has, and what the value is called."""

from __future__ import annotations

import math
from collections.abc import Iterable

from ..core.stats import clusters_of
from ..core.types import Record, Score

# Metrics whose value of an item is another figure than that of a run, and its name
OF_ITEMS = {"ece": "confidence"}


def item_value_name(metric: str) -> str:
    """Return what a metric's value of one item is called: "confidence" for ece."""
    return OF_ITEMS.get(metric.partition(":")[0], metric)


def item_means(scores: Iterable[Score]) -> dict[str, float]:
    """Return the mean value of each item's samples, without items of which none has a value."""
    values: dict[str, list[float]] = {}
    for score in scores:
        if score.value is not None:
            values.setdefault(score.item_id, []).append(score.value)
    return {item_id: math.fsum(own) / len(own) for item_id, own in values.items()}


def item_documents(records: Iterable[Record]) -> dict[str, str] | None:
    """Return the document of each item by id; None if no two items share one."""
    items = {record.item.id: record for record in records}
    documents = clusters_of(list(items.values()))
    return None if documents is None else dict(zip(items, documents, strict=True))
