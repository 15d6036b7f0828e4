"""Error detection in numbered sentences, as MEDEC scores it: is there an error, and in which sentence?"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from ..core.types import Figure, Item, MetricDefaults, Record, Score
from .figures import UNFINISHED, UNPARSED, by_subject, failed, mean_figure, unfinished, unread_rate, unscored

NONE = "none"  # the answer that there is no error
_NUMBERED = re.compile(r"^(\d+) ", re.M)
_MARKUP = re.compile(r"[*_`#>\"'\[\](){}]|\\(?:boxed|text)\b|^[ \t]*[-•][ \t]+", re.M)
_FINAL = re.compile(r"(?:final\s+)?answer\s*(?:is\b|:)\s*", re.I)
_OPENS_WITH_NUMBER = re.compile(
    r"(?:(?:the\s+)?(?:error\s+is\s+in\s+)?(?:sentence|line)\s*(?:id|number|no\.?|#)?\s*[:#]?\s*)?(\d+)\b", re.I
)
_OPENS_CORRECT = re.compile(
    r"(?:the\s+(?:clinical\s+)?(?:text|note)\s+is\s+)?correct\b(?!\s*(?:ed|ion|sentence))"
    r"|no\s+(?:medical\s+)?errors?\b|there\s+(?:is|are)\s+no\s+(?:medical\s+)?errors?\b|none\b|-\s?1\b",
    re.I,
)
# What follows a number that is no sentence's: "5 mg of", "1 error: …", "2-year-old", "3 and 5", "7 is correct".
_NO_SENTENCE = re.compile(
    r"(?:\s|-)\s*(?:m?c?g|kg|ml|mmol|units?|errors?|sentences?|(?:hour|day|week|month|year)s?)\b(?!/)|\s*%"
    r"|\s*(?:,|/|&|\band\b|\bor\b|\bto\b)\s*\d+(?:\s*(?:[.,;:]|\Z)|\s+(?:are|have|is|both|and|or)\b)"
    r"|\s+(?:is|seems|looks)\s+(?:\w+\s+)?correct\b",
    re.I,
)
_EXCEPT = re.compile(r"\b(?:except|but|however|apart\s+from|other\s+than)\b", re.I)
_WRONG = re.compile(r"\b(?:wrong|incorrect|should)\b", re.I)
_NAMED = re.compile(r"\b(?:sentence|line)\s*(?:id|number|no\.?|#)?\s*[:#]?\s*(\d+)\b", re.I)


def read_sentence(text: str, numbers: Sequence[str], cut: bool = False) -> tuple[str | None, str]:
    """Return the number of the sentence that an answer says has the error, or NONE; or None and why.

    The last statement after "Answer:" counts, otherwise the first line: it opens with a number, or with CORRECT or
    words for it. Failing that, the only sentence that the whole text names, unless the token limit cut it off (`cut`).
    """
    text = _MARKUP.sub("", text)
    *_, last = _FINAL.split(text)
    opening = next((line.strip() for line in last.splitlines() if line.strip()), "")
    if not opening:
        return None, "empty answer"
    rivals = {number for number in _NAMED.findall(opening) if number in numbers}
    if _OPENS_CORRECT.match(opening) and not (
        _EXCEPT.search(opening) or (rivals and _WRONG.search(opening)) or re.search(r";\s*\d+ is\b", opening)
    ):
        return NONE, ""
    found = _OPENS_WITH_NUMBER.match(opening)
    if len(rivals) < 2 and found and not _NO_SENTENCE.match(opening, found.end()):
        return (found[1], "") if found[1] in numbers else (None, f"there is no sentence {found[1]}")
    if cut:
        return None, "cut off at the token limit"
    if found and len(rivals) == 1 and found[1] in rivals:
        return None, "the first line gives no single sentence as wrong"
    named = {number for number in _NAMED.findall(text) if number in numbers}
    if len(named) == 1:
        return named.pop(), ""
    return None, "no sentence is named" if not named else f"several sentences: {', '.join(sorted(named, key=int))}"


@dataclass(frozen=True)
class ErrorDetection(MetricDefaults):
    """Share of texts judged rightly: whether there is an error (`flag`), or in which sentence (`sentence`).

    Both are MEDEC's (Ben Abacha et al. 2025). A text without an error counts as right in both if the answer says so. An
    answer that names no sentence and does not say CORRECT is wrong and counts in `unparsed_rate`.
    """

    name: str
    flag_only: bool
    summary: str
    version: str = "1"
    binary: bool = True
    mean: bool = True
    better: Literal["higher", "lower"] = "higher"
    dimension: str = "accuracy"
    unit: str = "share"
    figure_names: tuple[str, ...] = ("unparsed_rate",)

    def score(self, records: Sequence[Record]) -> list[Score]:
        return [self._score(record) for record in records]

    def aggregate(self, records: Sequence[Record], scores: Sequence[Score]) -> list[Figure]:
        return [
            mean_figure(self.name, records, scores, binary=True),
            *by_subject(self.name, records, scores),
            unread_rate("unparsed_rate", records, scores, UNPARSED, UNFINISHED),
        ]

    def _score(self, record: Record) -> Score:
        reason = failed(record) or _flaw(record.item)
        if reason or record.output.text is None:
            return unscored(record, reason or "no text")
        if why := unfinished(record):
            return Score(record.item.id, 0.0, why)
        numbers = _NUMBERED.findall(record.item.context)
        answer, problem = read_sentence(record.output.text, numbers, cut=record.output.finish == "length")
        if answer is None:
            return Score(record.item.id, 0.0, UNPARSED + problem)
        gold = _gold(record.item)
        right = (answer == NONE) == (gold == NONE) if self.flag_only else answer == gold
        return Score(record.item.id, float(right), answer=answer)


def _flaw(item: Item) -> str:
    numbered = _NUMBERED.search(item.context) and item.references
    return "" if numbered else "no numbered sentences with a reference"


def _gold(item: Item) -> str:
    number = item.references[0].split(" ", 1)[0]
    return number if number.isdigit() else NONE


ERROR_FLAG_ACCURACY = ErrorDetection(
    "error_flag_accuracy",
    flag_only=True,
    summary="Texts rightly judged to have an error. As in MEDEC, texts rightly judged to have none count too.",
)
ERROR_SENTENCE_ACCURACY = ErrorDetection(
    "error_sentence_accuracy",
    flag_only=False,
    summary="Errors found in the right sentence. As in MEDEC, texts rightly judged to have none count too.",
)
