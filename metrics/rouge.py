"""ROUGE-1, ROUGE-2 and ROUGE-L (Lin 2004), F-measure, stemmed: the numbers of the `rouge_score` package.

Words are split and stemmed by rouge_score itself, and stems are cached. It knows only the letters a to z. If a
reference is in another script, words are those of Unicode, or characters if the script has no spaces. rouge_score finds
the longest common subsequence cell by cell in Python. Here a whole row is computed at a time, in the bits of one
integer.
"""

from __future__ import annotations

import functools
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from ..core.types import Figure, MetricDefaults, Record, Score
from .figures import mean_figure
from .scripts import other_script, words
from .text import best_of_references

STEMMED = 3  # words of this many letters or fewer are not stemmed
Tokens = Sequence[str]


@dataclass(frozen=True)
class Rouge(MetricDefaults):
    """Mean F-measure of what `shared` counts, 0..1. The best of several references counts, by the same measure."""

    name: str
    summary: str = field()
    shared: Callable[[Tokens, Tokens], tuple[int, int, int]]  # number common to both, in the answer, in the reference
    version: str = "2"
    binary: bool = False
    mean: bool = True
    better: Literal["higher", "lower"] = "higher"
    dimension: str = "text quality"
    unit: str = "0..1"

    def score(self, records: Sequence[Record]) -> list[Score]:
        tokens = functools.lru_cache(maxsize=256)(tokenise)  # one answer is compared with several references

        def measure(answer: str, reference: str) -> float:
            other = other_script(reference)
            return f_measure(*self.shared(tokens(answer, other), tokens(reference, other)))

        return best_of_references(records, measure)

    def aggregate(self, records: Sequence[Record], scores: Sequence[Score]) -> list[Figure]:
        return [mean_figure(self.name, records, scores, binary=False, in_0_1=True)]


def f_measure(common: int, in_answer: int, in_reference: int) -> float:
    """Return 2PR / (P + R), which is twice the common count over the sum of both; 0 if both are empty."""
    return 2 * common / (in_answer + in_reference) if common else 0.0


def ngrams(answer: Tokens, reference: Tokens, n: int) -> tuple[int, int, int]:
    """Return the number of common n-grams (as bags), of the answer's and of the reference's."""
    said, wanted = (Counter(zip(*(tokens[i:] for i in range(n)))) for tokens in (answer, reference))
    return (said & wanted).total(), said.total(), wanted.total()


def subsequence(answer: Tokens, reference: Tokens) -> tuple[int, int, int]:
    """Return the lengths of the longest common subsequence, the answer and the reference.

    Bit-parallel (Hyyrö 2004): bit i of `row` is 0 if the table's row for the answer so far increases at reference token
    i, so the number of zeros is the length of the subsequence.
    """
    places: dict[str, int] = {}
    for i, token in enumerate(reference):
        places[token] = places.get(token, 0) | 1 << i
    full = (1 << len(reference)) - 1
    row = full
    for token in answer:
        matches = row & places.get(token, 0)
        row = ((row + matches) | (row - matches)) & full
    return len(reference) - row.bit_count(), len(answer), len(reference)


def tokenise(text: str, other: bool = False) -> list[str]:
    """Return lowercase words of a-z and 0-9, stemmed if longer than three letters; with `other`, of all letters."""
    if other:
        return [_stem(word) if len(word) > STEMMED and word.isascii() else word for word in words(text)]
    from rouge_score.tokenize import tokenize

    return list(tokenize(text, _Stemmer()))


class _Stemmer:
    """Porter's stemmer as rouge_score uses it, cached: stemming is most of the work, and words repeat."""

    def stem(self, word: str) -> str:
        return _stem(word)


@functools.lru_cache(maxsize=1 << 16)
def _stem(word: str) -> str:
    return str(_porter().stem(word))


@functools.cache
def _porter() -> Any:
    from nltk.stem.porter import PorterStemmer

    return PorterStemmer()


ROUGE1 = Rouge("rouge1", "Shared stemmed words. F-measure; the best reference counts.", functools.partial(ngrams, n=1))
ROUGE2 = Rouge(
    "rouge2", "Shared stemmed word pairs. F-measure; the best reference counts.", functools.partial(ngrams, n=2)
)
ROUGEL = Rouge(
    "rougeL", "Longest common subsequence of words. F-measure, stemmed; the best reference counts.", subsequence
)
