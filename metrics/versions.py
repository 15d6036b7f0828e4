"""Figures over several versions of each question: orders of its options, wordings of its prompt."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from ..core.types import Figure, Record, Score
from .figures import Indices, mean_figure, scored, statistic_figure

Array = NDArray[np.float64]
ORDER, WORDING = "order", "wording"  # fields of `meta`; the first version of an item has neither
DRAWS = 10_000  # of the letters that a model without a bias would choose


def has_versions(records: Sequence[Record], field: str) -> bool:
    """Return whether some records are of other versions of their items."""
    return any(field in record.item.meta for record in records)


def order_figures(records: Sequence[Record], scores: Sequence[Score]) -> list[Figure]:
    """Return `consistency`, `position_bias` and its p-value; nothing if the options have one order.

    consistency: share of items for which the same option was chosen in all orders. An answer that could not be read is
    like no other.
    position_bias: largest difference between the share of a letter among the choices and the share it has by chance,
    over the orders that were drawn. A model that chooses by content chooses every letter equally often there, whatever
    it knows. p is the share of draws of equally likely letters in which Pearson's statistic is at least as large.
    """
    if not has_versions(records, ORDER):
        return []
    by_item: dict[str, list[tuple[Record, Score]]] = {}
    for record, score in zip(records, scores, strict=True):
        by_item.setdefault(record.item.id, []).append((record, score))
    most = max(map(len, by_item.values()))
    same = [_same(pairs) if len(pairs) == most else None for pairs in by_item.values()]
    first = [pairs[0][0] for pairs in by_item.values()]
    consistent = [Score(record.item.id, value) for record, value in zip(first, same, strict=True)]
    drawn = [(r, s) for r, s in zip(records, scores, strict=True) if ORDER in r.item.meta and s.answer is not None]
    asked = sum(ORDER in record.item.meta for record in records)
    return [
        mean_figure("consistency", first, consistent, binary=True),
        *_position_bias([record for record, _ in drawn], [str(score.answer) for _, score in drawn], asked),
    ]


def _same(pairs: Sequence[tuple[Record, Score]]) -> float | None:
    """Whether the same option text was chosen each time; None if an answer is unscored."""
    if any(score.value is None for _, score in pairs):
        return None
    chosen = [_text(record, score) for record, score in pairs]
    return float(None not in chosen and len(set(chosen)) == 1)


def _text(record: Record, score: Score) -> str | None:
    answers = record.item.answers
    return record.item.options[answers.index(score.answer)] if score.answer in answers else None


def _position_bias(records: Sequence[Record], letters: Sequence[str], total: int) -> list[Figure]:
    if not records:
        return [Figure(name, None, 0, total, better="") for name in ("position_bias", "position_bias_p")]
    sizes = [len(record.item.options) for record in records]
    places = [record.item.answers.index(letter) for record, letter in zip(records, letters, strict=True)]
    width = max(sizes)
    chosen = np.zeros((len(records), width))
    chosen[np.arange(len(records)), places] = 1.0
    chance = np.array([[1 / size if at < size else 0.0 for at in range(width)] for size in sizes])

    def bias(rows: Indices) -> float:
        return float(np.abs((chosen[rows] - chance[rows]).mean(axis=0)).max())

    value = statistic_figure("position_bias", bias, records, total, better="lower")
    p = Figure("position_bias_p", _p_value(chosen, chance), len(records), total, better="", headline=False)
    return [value, p]


def _p_value(chosen: Array, chance: Array) -> float:
    expected = chance.sum(axis=0)
    observed = _pearson(chosen.sum(axis=0), expected)
    random = np.random.default_rng(0)
    sizes, counts = np.unique((chance > 0).sum(axis=1), return_counts=True)
    drawn = np.zeros((DRAWS, chance.shape[1]))
    for size, count in zip(sizes.tolist(), counts.tolist()):
        drawn[:, :size] += random.multinomial(count, [1 / size] * size, DRAWS)
    as_large = sum(_pearson(row, expected) >= observed - 1e-9 for row in drawn)
    return (1 + as_large) / (1 + DRAWS)


def _pearson(counts: Array, expected: Array) -> float:
    return float((((counts - expected) ** 2) / np.where(expected > 0, expected, 1.0)).sum())


def spread_figures(name: str, records: Sequence[Record], scores: Sequence[Score], *, binary: bool) -> list[Figure]:
    """Return the mean of each version and `NAME[spread]`, the largest of them minus the smallest.

    Nothing if every item has one version. The spread's interval resamples items; it is above 0 by chance alone, so
    compare it with the width of the interval of one version.
    """
    field = next((each for each in (ORDER, WORDING) if has_versions(records, each)), "")
    if not field:
        return []
    versions = [int(record.item.meta.get(field, 0)) for record in records]
    figures = []
    for version in sorted(set(versions)):
        at = [index for index, each in enumerate(versions) if each == version]
        own, of_own = [records[i] for i in at], [scores[i] for i in at]
        label = f"{name}[{field} {version + 1}]"
        figures.append(mean_figure(label, own, of_own, binary=binary, headline=False))
    used, kept = scored(records, scores)
    values = np.array([score.value for score in kept], dtype=float)
    numbers = np.array([int(record.item.meta.get(field, 0)) for record in used])

    def spread(rows: Indices) -> float:
        means = [values[rows][numbers[rows] == version].mean() for version in np.unique(numbers[rows])]
        return float(max(means) - min(means)) if len(means) > 1 else math.nan

    label, headline = f"{name}[spread]", field == WORDING
    first = statistic_figure(label, spread, used, len(records), better="lower", headline=headline)
    return [first, *figures]
