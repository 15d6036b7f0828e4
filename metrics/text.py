"""What the metrics of generated text share: normalisation after SQuAD, and the best of several references."""

from __future__ import annotations

import re
import string
from collections.abc import Callable, Sequence

from ..core.types import Record, Score
from .figures import failed, unscored

_PUNCTUATION = str.maketrans("", "", string.punctuation)
_ARTICLES = re.compile(r"\b(a|an|the)\b")


def normalised(text: str) -> str:
    """Lower case, without punctuation, articles and superfluous space: the official SQuAD script (Rajpurkar et al.
    2016). Beware: it takes the A off "vitamin A".
    """
    return " ".join(_ARTICLES.sub(" ", text.lower().translate(_PUNCTUATION)).split())


def best_of_references(records: Sequence[Record], measure: Callable[[str, str], float]) -> list[Score]:
    """The greatest `measure(answer, reference)` of each record. An empty answer is an answer; an error is none."""
    return [_best(record, measure) for record in records]


def _best(record: Record, measure: Callable[[str, str], float]) -> Score:
    text = record.output.text
    if reason := failed(record):
        return unscored(record, reason)
    if not record.item.references:
        return unscored(record, "no reference answer")
    if text is None:
        return unscored(record, "no generated answer")
    return Score(record.item.id, max(measure(text, reference) for reference in record.item.references))
