"""What the metrics share: which output can be scored, and a mean with its interval."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from ..core.stats import UNKNOWN, bootstrap, bootstrap_mean, clusters_of, wilson
from ..core.types import Figure, Item, Output, Record, Score

Indices = NDArray[np.int_]


def unscored(record: Record, reason: str) -> Score:
    return Score(record.item.id, None, reason)


def failed(record: Record) -> str:
    """Why this output is no answer at all; "" where it is one."""
    if record.output.error is not None:
        return f"error: {record.output.error}"
    return "" if record.output.text is not None or record.output.logprobs is not None else "error: no output"


def flaw_in_choice(item: Item) -> str:
    """Why this item is no multiple-choice question with a known answer; "" where it is one."""
    if not item.options:
        return "not multiple choice"
    return "" if item.gold is not None else "no gold answer"


def flaw_in_logprobs(item: Item, output: Output) -> str:
    """Why the option log-probabilities cannot be used; "" where they can.

    Minus infinity, for an option held impossible or below the list that a server gives, is a value among finite ones.
    """
    if output.logprobs is None:
        return "no option log-probabilities"
    if len(output.logprobs) != len(item.options):
        return f"{len(output.logprobs)} log-probabilities for {len(item.options)} options"
    if any(map(math.isfinite, output.logprobs)) and all(value < math.inf for value in output.logprobs):
        return ""
    return f"log-probabilities not finite: {', '.join(map(str, output.logprobs))}"


def argmax(values: Sequence[float]) -> int:
    """Index of the greatest value; of equal ones the first, as lm-evaluation-harness (numpy) takes it."""
    return max(range(len(values)), key=values.__getitem__)


def scored(records: Sequence[Record], scores: Sequence[Score]) -> tuple[list[Record], list[Score]]:
    """Those records that have a value, and their scores. Raises ValueError where the two do not belong together."""
    kept = [(r, s) for r, s in zip(records, scores, strict=True) if s.value is not None]
    for record, score in kept:
        if record.item.id != score.item_id:
            raise ValueError(f"the score of '{score.item_id}' stands beside the record of '{record.item.id}'")
    return [record for record, _ in kept], [score for _, score in kept]


def mean_figure(
    name: str,
    records: Sequence[Record],
    scores: Sequence[Score],
    *,
    binary: bool,
    better: Literal["higher", "lower"] = "higher",
    headline: bool = True,
    in_0_1: bool = False,
) -> Figure:
    """The mean of the values: of right and wrong with Wilson's interval, otherwise (and where items share a document)
    by bootstrap. None over no items.

    Values that are all equal have no bootstrap interval: it would have no width. Of values known to lie in 0..1
    (`binary` or `in_0_1`), all 0 and all 1 have Wilson's, which holds for any such variable: its mean is at least the
    chance that it is not 0. There a document counts once, at the most it can tell.
    """
    used, kept = scored(records, scores)
    values = [score.value for score in kept if score.value is not None]
    n, total = len(values), len(records)
    if not n:
        return Figure(name, None, 0, total, better=better, headline=headline)
    mean = math.fsum(values) / n
    clusters = clusters_of(used)
    low: float | None = None
    high: float | None = None
    units = n if clusters is None else len(set(clusters))
    if binary and clusters is None:
        low, high = wilson(round(mean * n), n)
    elif min(values) < max(values):
        low, high = ends(bootstrap_mean(values, clusters))
    elif (binary or (in_0_1 and units > 1)) and mean in (0.0, 1.0):
        low, high = wilson(round(mean * units), units)
    return Figure(name, mean, n, total, low, high, better=better, headline=headline)


def statistic_figure(
    name: str,
    statistic: Callable[[Indices], float],
    records: Sequence[Record],
    total: int,
    *,
    better: Literal["higher", "lower"] = "higher",
    headline: bool = True,
) -> Figure:
    """Any other figure over `records` (those with a value), its interval by bootstrap. None over no items.

    `statistic` takes an array of record indices.
    """
    n = len(records)
    if not n:
        return Figure(name, None, 0, total, better=better, headline=headline)
    low, high = ends(bootstrap(statistic, n, clusters_of(records)))
    return Figure(name, statistic(np.arange(n)), n, total, low, high, better=better, headline=headline)


def ends(interval: tuple[float, float]) -> tuple[float | None, float | None]:
    """Return no interval where one item, or items of one document, leave it open, and where all resamples were equal:
    an interval of no width would claim certainty.
    """
    return (None, None) if interval == UNKNOWN or interval[0] == interval[1] else interval
