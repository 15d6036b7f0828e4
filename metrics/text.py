"""What the metrics of generated text share: normalization after SQuAD, and the best of several references."""

from __future__ import annotations

import re
import string
from collections.abc import Callable, Sequence

from ..core.types import Record, Score
from .figures import failed, unscored
from .scripts import other_script, words

_PUNCTUATION = str.maketrans("", "", string.punctuation)
_ARTICLES = re.compile(r"\b(a|an|the)\b")


def normalized(text: str, reference: str) -> list[str]:
    """The words of `text` in lower case, without punctuation and articles, as the official SQuAD script has them
    (Rajpurkar et al. 2016). Beware: it takes the A off "vitamin A".

    Where `reference` is in another script than Latin: its words or, in a script without spaces, its characters.
    """
    if other_script(reference):
        return words(text)
    return _ARTICLES.sub(" ", text.lower().translate(_PUNCTUATION)).split()


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
