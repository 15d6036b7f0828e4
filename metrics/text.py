"""Shared code of the metrics for generated text: SQuAD normalization, line breaks, the best of several references."""

from __future__ import annotations

import re
import string
from collections.abc import Callable, Sequence

from ..core.types import Record, Score
from .figures import failed, unfinished, unscored
from .scripts import other_script, words

_PUNCTUATION = str.maketrans("", "", string.punctuation)
_ESCAPED = re.compile(r"\\[nr]")
_ARTICLES = re.compile(r"\b(a|an|the)\b")


def normalized(text: str, reference: str) -> list[str]:
    """Return the words of `text` in lowercase, without punctuation and articles, as in the official SQuAD script.

    (Rajpurkar et al. 2016.) Note that it removes the A of "vitamin A". If `reference` is in a script other than Latin,
    return its words or, in a script without spaces, its characters.
    """
    if other_script(reference):
        return words(text)
    return _ARTICLES.sub(" ", text.lower().translate(_PUNCTUATION)).split()


def with_line_breaks(text: str) -> str:
    r"""Return a text whose line breaks are written as "\n", two characters, with line breaks instead (same length).

    Such texts come from JSON that was decoded once too rarely. One with other line breaks, or a single "\n", stays.
    """
    return _ESCAPED.sub(" \n", text) if "\n" not in text and len(_ESCAPED.findall(text)) > 1 else text


def best_of_references(records: Sequence[Record], measure: Callable[[str, str], float]) -> list[Score]:
    """Score each record with its greatest `measure(answer, reference)`. An empty answer is scored; an error is not."""
    return [_best(record, measure) for record in records]


def _best(record: Record, measure: Callable[[str, str], float]) -> Score:
    text = record.output.text
    if reason := failed(record):
        return unscored(record, reason)
    if not record.item.references:
        return unscored(record, "no reference answer")
    if text is None:
        return unscored(record, "no generated answer")
    value = max(measure(text, reference) for reference in record.item.references)
    return Score(record.item.id, value, unfinished(record) or None)
