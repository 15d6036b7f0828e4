"""How the scores of a benchmark's answers are distributed: counted here, drawn by the page."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ..core.types import Metric
from .scored import ScoredRun
from .terms import item_label, item_meaning, sentence

BINS = 10
UNSCORED, UNANSWERED = "unscored", "no answer"
# Okabe and Ito's colors without yellow and black, which do not show on every page
COLORS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9")


Values = Sequence[float | str | None]  # of one run by item, as `ScoredRun.index` returns them


@dataclass(frozen=True)
class Distribution:
    """Under one metric, how many items of each run have a score in each bin."""

    metric: str
    bins: tuple[str, ...]  # as people read them; the last two are of items without a score
    counts: tuple[tuple[int, ...], ...]  # a row per bin, a column per run

    @property
    def label(self) -> str:
        return item_label(self.metric)

    @property
    def about(self) -> str:
        """What the scores mean; "" if their name says it."""
        return sentence(item_meaning(self.metric))


def distributions(scored: Sequence[ScoredRun], metrics: Mapping[str, Metric]) -> list[Distribution]:
    """Return the distribution of each metric that scored an item. An item with several answers counts by their mean."""
    item_ids = scored[0].run.manifest.item_ids
    found = []
    for name in metrics:
        values = [run.index(name, item_ids) for run in scored]
        numbers = [value for own in values for value in own if isinstance(value, float | int)]
        if numbers:
            found.append(_distribution(name, values, numbers))
    return found


def _distribution(name: str, values: Sequence[Values], numbers: Sequence[float]) -> Distribution:
    distinct = sorted(set(numbers))
    if len(distinct) <= BINS and all(value == int(value) for value in distinct):
        least, most = int(distinct[0]), int(distinct[-1])
        whole = range(min(least, 0) if most <= 1 else least, max(most, 1) + 1)
        if len(whole) <= BINS + 1:
            labels = [str(value) for value in whole]
            return _counted(name, labels, values, lambda value: int(value) - whole[0])
    low, high = (0.0, 1.0) if distinct[0] >= 0 and distinct[-1] <= 1 else (distinct[0], distinct[-1])
    width = (high - low) / BINS or 1.0
    labels = [f"{low + width * at:.3g} to {low + width * (at + 1):.3g}" for at in range(BINS)]
    return _counted(name, labels, values, lambda value: min(BINS - 1, math.floor((value - low) / width + 1e-9)))


def _counted(name: str, labels: Sequence[str], values: Sequence[Values], place: Any) -> Distribution:
    bins = (*labels, UNSCORED, UNANSWERED)
    counts = [[0] * len(values) for _ in bins]
    for run, own in enumerate(values):
        for value in own:
            unscored = len(labels) if value is None else len(labels) + 1
            at = place(value) if isinstance(value, int | float) else unscored
            counts[at][run] += 1
    kept = [at for at, row in enumerate(counts) if at < len(labels) or any(row)]
    return Distribution(name, tuple(bins[at] for at in kept), tuple(tuple(counts[at]) for at in kept))


def chart(found: Distribution, models: Sequence[str]) -> dict[str, Any]:
    """Return a bar chart as a Vega-Lite specification. The table beside it has the same numbers.

    It shows as many models as there are colors, the best of the board.
    """
    drawn = models[: len(COLORS)]
    rows = [
        {"bin": label, "model": f"{at + 1}. {model}", "items": count}
        for label, row in zip(found.bins, found.counts, strict=True)
        for at, (model, count) in enumerate(zip(drawn, row))
    ]
    model = {
        "field": "model",
        "type": "nominal",
        "scale": {"range": list(COLORS[: len(drawn)])},
        "legend": {"title": None, "orient": "bottom", "columns": 1, "labelLimit": 300},
        "sort": None,
    }
    return {
        "data": {"values": rows},
        "mark": {"type": "bar"},
        "height": 220,
        "encoding": {
            "x": {
                "field": "bin",
                "type": "ordinal",
                "sort": list(found.bins),
                "axis": {"title": "score", "labelAngle": -35},
            },
            "xOffset": {"field": "model", "sort": None},
            "y": {"field": "items", "type": "quantitative", "axis": {"title": "items", "tickMinStep": 1}},
            "color": model,
            "tooltip": [{"field": name} for name in ("model", "bin", "items")],
        },
    }
