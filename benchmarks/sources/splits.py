"""Splits that do not leak: documents that share an answer stay together; near-duplicate questions are found."""

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
# Words that carry no content of their own. Not "a": hepatitis A is not hepatitis. Not "no", "not" or "without".
_FUNCTION_WORDS = frozenset(
    {"an", "and", "are", "be", "been", "for", "in", "is", "of", "on", "or", "the", "to", "was", "were"}
    | {"what", "which", "with"}
)

Name = TypeVar("Name", bound=str)


def normalise(text: str) -> str:
    """The words of a text in lower case, one space apart: texts that differ in case or punctuation alone are one."""
    return one_spaced(text.casefold().translate(_SPACED)) or text


def one_spaced(text: str) -> str:
    """The text with every run of white space as one space, none at its ends."""
    return " ".join(text.split())


def split_documents(pairs: Sequence[tuple[str, str]], shares: Mapping[Name, int], seed: int) -> list[Name]:
    """The split of each (document, answer) pair, in the order given.

    Documents that share an answer (after `normalise`), directly or through others, are one component and never
    parted. Components are put in an order fixed by the seed and the name of their smallest document, and laid along
    the shares (name to weight, e.g. train 80, dev 10, test 10, counted in pairs); a component goes where its middle
    falls, so a boundary is off by at most half a component. The order of `pairs` does not matter.
    """
    roots = _components(pairs)
    sizes = Counter(roots[document] for document, _ in pairs)
    order = sorted(sizes, key=lambda root: (hashlib.sha256(f"{seed}\n{root}".encode()).digest(), root))
    whole = sum(shares.values())
    bounds = list(zip(shares, itertools.accumulate(shares.values())))
    split_of: dict[str, Name] = {}
    before = 0
    for root in order:
        middle = 2 * before + sizes[root]  # in half pairs, so that all is integer
        before += sizes[root]
        split_of[root] = next(name for name, reached in bounds if middle * whole < 2 * len(pairs) * reached)
    return [split_of[roots[document]] for document, _ in pairs]


def _components(pairs: Iterable[tuple[str, str]]) -> dict[str, str]:
    """Each document's root: the smallest document of its component (union-find)."""
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
    """Indices of the questions that a question of `pool` repeats but for the way it is put.

    Near-duplicates have the same words, each as often, once case, punctuation, order, plural and possessive s and
    function words are set aside: "What is (are) Paget's Disease of Bone ?" and "What is Paget disease of bone?".
    No similarity threshold can stand in for this on medical questions: "mucopolysaccharidosis type II" and "type
    III" share 97 % of their character trigrams and are two diseases, and two questions made by one template differ
    in one word.
    """
    known = {content_words(question) for question in pool}
    return [index for index, question in enumerate(questions) if content_words(question) in known]


def content_words(question: str) -> tuple[str, ...]:
    """What `near_duplicates` compares: the same for two questions that are near-duplicates."""
    words = normalise(_POSSESSIVE.sub("", question.casefold())).split()
    return tuple(sorted(_singular(word) for word in words if word not in _FUNCTION_WORDS))


def _singular(word: str) -> str:
    if len(word) > 4 and word.endswith("ies"):
        return word[:-3] + "y"
    if len(word) > 3 and word.endswith("s") and word[-2] not in "sui":  # not "loss", "virus", "stenosis"
        return word[:-1]
    return word
