"""Shared code of the metrics: which outputs can be scored, and a mean with its interval."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from ..core.stats import UNKNOWN, bootstrap, bootstrap_mean, clusters_of, wilson
from ..core.types import Figure, Item, Output, Record, Score

Indices = NDArray[np.int_]

UNFINISHED = "unfinished: "  # how the reason of such a score begins
UNPARSED = "unparsed: "


def unscored(record: Record, reason: str) -> Score:
    return Score(record.item.id, None, reason)


def failed(record: Record) -> str:
    """Return why this output is not an answer; "" if it is one."""
    if record.output.error is not None:
        return f"error: {record.output.error}"
    return "" if record.output.text is not None or record.output.logprobs is not None else "error: no output"


def unfinished(record: Record) -> str:
    """Return the reason for a score if reasoning used up the token limit before any answer; "" otherwise.

    Such an answer is wrong, or 0 where nothing said earns 0. Metrics that describe what an answer says leave it
    unscored.
    """
    output = record.output
    if not output.unfinished:
        return ""
    limit = f"all {output.completion_tokens} new tokens" if output.completion_tokens else "all new tokens"
    return f"{UNFINISHED}reasoning used up {limit}; raise --max-new-tokens"


def flaw_in_choice(item: Item) -> str:
    """Return why this item is not a multiple-choice question with a known answer; "" if it is one."""
    if not item.options:
        return "not multiple choice"
    return "" if item.gold is not None else "no gold answer"


def flaw_in_logprobs(item: Item, output: Output) -> str:
    """Return why the option log-probabilities cannot be used; "" if they can.

    Minus infinity is valid beside finite values: the option is impossible, or below the list that a server returns.
    """
    if output.logprobs is None:
        return "no option log-probabilities"
    if len(output.logprobs) != len(item.options):
        return f"{len(output.logprobs)} log-probabilities for {len(item.options)} options"
    if any(map(math.isfinite, output.logprobs)) and all(value < math.inf for value in output.logprobs):
        return ""
    return f"log-probabilities not finite: {', '.join(map(str, output.logprobs))}"


def argmax(values: Sequence[float]) -> int:
    """Return the index of the greatest value; the first one if tied, as in lm-evaluation-harness (numpy)."""
    return max(range(len(values)), key=values.__getitem__)


def scored(records: Sequence[Record], scores: Sequence[Score]) -> tuple[list[Record], list[Score]]:
    """Return the records that have a value, and their scores. Raises ValueError if the two do not match."""
    kept = [(r, s) for r, s in zip(records, scores, strict=True) if s.value is not None]
    for record, score in kept:
        if record.item.id != score.item_id:
            raise ValueError(f"the score of '{score.item_id}' does not match the record of '{record.item.id}'")
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
    """Return the mean of the values: binary ones with Wilson's interval, others by bootstrap. None over no items.

    If items have several samples, it is the mean over items of each item's mean, and items are what is resampled; `n`
    and `total` count answers.

    If items share a document, the bootstrap is used for binary values too. If all values are equal, a bootstrap
    interval would have no width, so there is none. The exception is values known to be in 0..1 (`binary` or `in_0_1`)
    that are all 0 or all 1: Wilson's interval holds for any such variable, because its mean is at least the probability
    that it is not 0. There a document counts once, which is conservative.
    """
    used, kept = scored(records, scores)
    values = [score.value for score in kept if score.value is not None]
    n, total = len(values), len(records)
    if not n:
        return Figure(name, None, 0, total, better=better, headline=headline)
    by_item: dict[str, list[float]] = {}
    for record, value in zip(used, values, strict=True):
        by_item.setdefault(record.item.id, []).append(value)
    if len(by_item) < n:
        binary, in_0_1 = False, binary or in_0_1
        used = list({record.item.id: record for record in used}.values())
        values = [math.fsum(own) / len(own) for own in by_item.values()]
    mean = math.fsum(values) / len(values)
    clusters = clusters_of(used)
    low: float | None = None
    high: float | None = None
    units = len(values) if clusters is None else len(set(clusters))
    if binary and clusters is None:
        low, high = wilson(round(mean * n), n)
    elif min(values) < max(values):
        low, high = ends(bootstrap_mean(values, clusters))
    elif (binary or (in_0_1 and units > 1)) and mean in (0.0, 1.0):
        low, high = wilson(round(mean * units), units)
    return Figure(name, mean, n, total, low, high, better=better, headline=headline)


def by_subject(name: str, records: Sequence[Record], scores: Sequence[Score], *, binary: bool = True) -> list[Figure]:
    """Return the mean of the values per subject, `NAME[SUBJECT]`, if the items have several subjects."""
    by: dict[str, list[int]] = {}
    for index, record in enumerate(records):
        if record.item.meta.get("subject"):
            by.setdefault(record.item.meta["subject"], []).append(index)
    if len(by) < 2:
        return []
    return [
        mean_figure(
            f"{name}[{subject}]",
            [records[i] for i in by[subject]],
            [scores[i] for i in by[subject]],
            binary=binary,
            headline=False,
        )
        for subject in sorted(by)
    ]


def unread_rate(name: str, records: Sequence[Record], scores: Sequence[Score], *reasons: str) -> Figure:
    """Return the share of generated, scored answers whose score has a reason that begins with one of `reasons`."""
    unread = [
        Score(score.item_id, None)
        if score.value is None or record.output.text is None
        else Score(score.item_id, float((score.reason or "").startswith(reasons)))
        for record, score in zip(records, scores, strict=True)
    ]
    return mean_figure(name, records, unread, binary=True, better="lower")


def statistic_figure(
    name: str,
    statistic: Callable[[Indices], float],
    records: Sequence[Record],
    total: int,
    *,
    better: Literal["higher", "lower"] = "higher",
    headline: bool = True,
) -> Figure:
    """Return any other figure over `records` (those with a value), with a bootstrap interval. None over no items.

    `statistic` takes an array of record indices.
    """
    n = len(records)
    if not n:
        return Figure(name, None, 0, total, better=better, headline=headline)
    low, high = ends(bootstrap(statistic, n, clusters_of(records)))
    return Figure(name, statistic(np.arange(n)), n, total, low, high, better=better, headline=headline)


def ends(interval: tuple[float, float]) -> tuple[float | None, float | None]:
    """Return the ends of an interval, or no interval if it is unbounded or has no width.

    It is unbounded with one item, or items of one document. If all resamples were equal, an interval without width
    would suggest certainty.
    """
    return (None, None) if interval == UNKNOWN or interval[0] == interval[1] else interval
