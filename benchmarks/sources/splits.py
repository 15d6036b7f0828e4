"""Splits without leakage: documents that share an answer stay together, and near-duplicate questions are found."""

from __future__ import annotations

import hashlib
import itertools
import re
import string
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import TypeVar

_SPACED = str.maketrans(dict.fromkeys(string.punctuation + "‘’“”–—…•·", " "))
_POSSESSIVE = re.compile(r"['’](s\b)?")
# Words without content of their own. "a" is not among them: hepatitis A is not hepatitis. Nor is "no" or "not".
_FUNCTION_WORDS = frozenset(
    {"an", "and", "are", "be", "been", "for", "in", "is", "of", "on", "or", "the", "to", "was", "were"}
    | {"what", "which", "with"}
)

Name = TypeVar("Name", bound=str)


def normalise(text: str) -> str:
    """Return the words of a text in lowercase, separated by one space, ignoring case and punctuation."""
    return one_spaced(text.casefold().translate(_SPACED)) or text


def one_spaced(text: str) -> str:
    """Return the text with each run of whitespace as one space, and none at its ends."""
    return " ".join(text.split())


def split_documents(pairs: Sequence[tuple[str, str]], shares: Mapping[Name, int], seed: int) -> list[Name]:
    """Return the split of each (document, answer) pair, in the order given.

    Documents that share an answer (after `normalise`), directly or through others, form one component and stay
    together. The seed and the name of each component's smallest document fix the order of components. They are then
    laid out along the shares (name to weight, e.g. train 80, dev 10, test 10, counted in pairs), and a component
    belongs to the share that contains its middle, so a boundary is off by at most half a component. The order of
    `pairs` does not matter.
    """
    roots = _components(pairs)
    sizes = Counter(roots[document] for document, _ in pairs)
    order = sorted(sizes, key=lambda root: (hashlib.sha256(f"{seed}\n{root}".encode()).digest(), root))
    whole = sum(shares.values())
    bounds = list(zip(shares, itertools.accumulate(shares.values())))
    split_of: dict[str, Name] = {}
    before = 0
    for root in order:
        middle = 2 * before + sizes[root]  # in half pairs, so that all values are integers
        before += sizes[root]
        split_of[root] = next(name for name, reached in bounds if middle * whole < 2 * len(pairs) * reached)
    return [split_of[roots[document]] for document, _ in pairs]


def _components(pairs: Iterable[tuple[str, str]]) -> dict[str, str]:
    """Return each document's root: the smallest document of its component (union-find)."""
    parent: dict[str, str] = {}

    def root(document: str) -> str:
        while parent[document] != document:
            parent[document] = parent[parent[document]]
            document = parent[document]
        return document

    owner: dict[str, str] = {}  # answer -> a document that holds it
    for document, answer in pairs:
        parent.setdefault(document, document)
        one, other = root(document), root(owner.setdefault(normalise(answer), document))
        parent[max(one, other)] = min(one, other)
    return {document: root(document) for document in parent}


def near_duplicates(questions: Sequence[str], pool: Iterable[str]) -> list[int]:
    """Return the indices of the questions that a question of `pool` repeats in different wording.

    Near-duplicates have the same words, each equally often, ignoring case, punctuation, order, plural and possessive s
    and function words: "What is (are) Paget's Disease of Bone ?" and "What is Paget disease of bone?". A similarity
    threshold does not work on medical questions: "mucopolysaccharidosis type II" and "type III" share 97% of their
    character trigrams but are two diseases, and two questions from one template differ in one word.
    """
    known = {content_words(question) for question in pool}
    return [index for index, question in enumerate(questions) if content_words(question) in known]


def content_words(question: str) -> tuple[str, ...]:
    """Return what `near_duplicates` compares: the same for two questions that are near-duplicates."""
    words = normalise(_POSSESSIVE.sub("", question.casefold())).split()
    return tuple(sorted(_singular(word) for word in words if word not in _FUNCTION_WORDS))


def _singular(word: str) -> str:
    if len(word) > 4 and word.endswith("ies"):
        return word[:-3] + "y"
    if len(word) > 3 and word.endswith("s") and word[-2] not in "sui":  # not "loss", "virus", "stenosis"
        return word[:-1]
    return word
