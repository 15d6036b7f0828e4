"""Accuracy of calculated answers: the number, date or length of time in the answer is within the item's limits."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from typing import Literal

from ..core.types import Figure, Item, MetricDefaults, Record, Score, Target
from .figures import UNFINISHED, UNPARSED, by_subject, failed, mean_figure, unfinished, unread_rate, unscored
from .numeric_answer import read_value

_EPSILON = 1e-9  # relative: "1.5" must equal a limit that is written as 1.50


@dataclass(frozen=True)
class NumericAccuracy(MetricDefaults):
    """Share of items whose answer has a value within the item's limits, both inclusive.

    As MedCalc-Bench scores (Khandekar et al. 2024): most measured values may differ by 5%, scores and dates must be
    exact. An answer that does not state exactly one value is wrong, keeps the reason, and counts in `unparsed_rate`.
    Nothing is converted: 1.2 g is 1.2.
    """

    name: str = "numeric_accuracy"
    version: str = "1"
    binary: bool = True
    mean: bool = True
    better: Literal["higher", "lower"] = "higher"
    dimension: str = "accuracy"
    unit: str = "share"
    summary: str = (
        "Values within the item's limits. The number, date or length of time is read from the answer; one without "
        "exactly one such value is wrong and counts in unparsed_rate."
    )
    figure_names: tuple[str, ...] = ("unparsed_rate",)

    def score(self, records: Sequence[Record]) -> list[Score]:
        return [_score(record) for record in records]

    def aggregate(self, records: Sequence[Record], scores: Sequence[Score]) -> list[Figure]:
        return [
            mean_figure(self.name, records, scores, binary=True),
            *by_subject(self.name, records, scores),
            unread_rate("unparsed_rate", records, scores, UNPARSED, UNFINISHED),
        ]


def _score(record: Record) -> Score:
    target = record.item.target
    reason = failed(record) or ("" if target else "no target value") or _flaw(record.item)
    if reason or target is None or record.output.text is None:
        return unscored(record, reason or "no text")
    if why := unfinished(record):
        return Score(record.item.id, 0.0, why)
    found = read_value(record.output.text, target.kind, cut=record.output.finish == "length")
    if found.value is None:
        return Score(record.item.id, 0.0, UNPARSED + found.reason)
    low, high = _limits(target)
    return Score(record.item.id, float(_within(found.value.value, low, high)), answer=found.value.text.strip())


def _flaw(item: Item) -> str:
    try:
        _limits(item.target) if item.target else None
    except ValueError as error:
        return str(error)
    return ""


def _limits(target: Target) -> tuple[float | date, float | date]:
    low, high = (_value(text or target.value, target) for text in (target.low, target.high))
    return low, high


def _value(text: str, target: Target) -> float | date:
    found = read_value(text, target.kind).value
    if found is None:
        raise ValueError(f"the target {text!r} is not a {target.kind}")
    return found.value


def _within(value: float | date, low: float | date, high: float | date) -> bool:
    if isinstance(value, date):
        return isinstance(low, date) and isinstance(high, date) and low <= value <= high
    if isinstance(low, date) or isinstance(high, date):
        return False
    slack = _EPSILON * max(abs(low), abs(high), 1.0)
    return low - slack <= value <= high + slack


NUMERIC_ACCURACY = NumericAccuracy()
