"""Calibration curves: how often the answers of each confidence are right, in the bins of the metric `ece`."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from ..core.stats import wilson
from ..metrics.calibration import BINS
from .distributions import COLORS
from .scored import ScoredRun

ECE = "ece"  # the metric whose values are the confidences in the chosen options


@dataclass(frozen=True)
class Bin:
    """The answers of one model with similar confidence."""

    model: str
    confidence: float  # their mean
    right: float  # the share of right ones
    low: float  # 95% interval of `right` (Wilson)
    high: float
    answers: int

    @property
    def text(self) -> str:
        return f"{self.right:.3f} [{self.low:.3f}, {self.high:.3f}]"


def calibration(scored: Sequence[ScoredRun], models: Sequence[str]) -> list[Bin]:
    """Return the bins that have answers, model by model; none if no model chose by log-probability."""
    found = []
    for number, (run, model) in enumerate(zip(scored, models, strict=True), 1):
        confidences, rights = [], []
        for records in run.answers.values():
            for record in records:
                score = run.scores.get(ECE, {}).get(record.key)
                if score is not None and score.value is not None and record.item.gold is not None:
                    confidences.append(score.value)
                    rights.append(score.answer == record.item.answers[record.item.gold])
        places = np.digitize(confidences, np.linspace(0, 1, BINS + 1)[1:-1], right=True)
        for place in range(BINS):
            own = [at for at, its in enumerate(places) if its == place]
            if own:
                right = sum(rights[at] for at in own)
                low, high = wilson(right, len(own))
                mean = math.fsum(confidences[at] for at in own) / len(own)
                found.append(Bin(f"{number}. {model}", mean, right / len(own), low, high, len(own)))
    return found


def chart(found: Sequence[Bin]) -> dict[str, Any]:
    """Return the curves of as many models as there are colors as a Vega-Lite specification, with the diagonal."""
    models = list(dict.fromkeys(each.model for each in found))[: len(COLORS)]
    rows = [
        {
            "model": each.model,
            "confidence": each.confidence,
            "right": each.right,
            "low": each.low,
            "high": each.high,
            "text": f"{each.model}: confidence {each.confidence:.3f}, right {each.text}, {each.answers} answers",
        }
        for each in found
        if each.model in models
    ]

    def axis(field: str, title: str) -> dict[str, Any]:
        return {"field": field, "type": "quantitative", "title": title, "scale": {"domain": [0, 1]}}

    x, title = axis("confidence", "confidence in the chosen option"), "share of right answers"
    color = {
        "field": "model",
        "type": "nominal",
        "scale": {"domain": models, "range": list(COLORS[: len(models)])},
        "legend": {"title": None, "orient": "bottom", "columns": 1, "labelLimit": 300},
    }
    return {
        "height": 320,
        "layer": [
            {
                "data": {"values": [{"confidence": 0, "right": 0}, {"confidence": 1, "right": 1}]},
                "mark": {"type": "line", "strokeDash": [4, 4], "color": "#8c959f", "aria": False},
                "encoding": {"x": x, "y": axis("right", title)},
            },
            {
                "data": {"values": rows},
                "layer": [
                    {
                        "mark": {"type": "line", "aria": False},
                        "encoding": {"x": x, "y": axis("right", title), "color": color},
                    },
                    {
                        "mark": {"type": "rule", "opacity": 0.5, "aria": False},
                        "encoding": {"x": x, "y": axis("low", title), "y2": {"field": "high"}, "color": color},
                    },
                    {
                        "mark": {"type": "point", "filled": True, "size": 70, "opacity": 1},
                        "encoding": {
                            "x": x,
                            "y": axis("right", title),
                            "color": color,
                            "tooltip": {"field": "text"},
                            "description": {"field": "text"},
                        },
                    },
                ],
            },
        ],
    }
