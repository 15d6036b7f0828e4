"""Models that choose one option nearly always, so that their accuracy says little."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from ..core.types import Record, Score

CHOICE = "accuracy"  # the metric that reads the chosen option off an answer
ONE_SIDED = 0.95  # share of one option from which accuracy says little, unless that option is often right
OFTEN = 0.8
FEW = 10  # answers below which nothing is said


def one_sided(records: Sequence[Record], scores: Sequence[Score]) -> str:
    """Return what a model does that chooses one option nearly always, although it is not that often right.

    "chooses A in 100% of its 40 answers read"; "" for other models. `scores` are those of CHOICE, one per record.
    """
    right: Counter[str] = Counter()
    chosen: Counter[str] = Counter()
    for record, score in zip(records, scores, strict=True):
        answers = record.item.answers
        if record.item.gold is None or not answers:
            continue
        right[answers[record.item.gold]] += 1
        if score.answer in answers:
            chosen[str(score.answer)] += 1
    read = chosen.total()
    if read < FEW:
        return ""
    letter, count = chosen.most_common(1)[0]
    if count < ONE_SIDED * read or right[letter] >= OFTEN * right.total():
        return ""
    return f"chooses {letter} in {100 * count / read:.0f}% of its {read} answers read"
