"""Leaks: benchmark items that are contained in other texts: training texts, or passages for prompts.

Texts are compared as words, without case and punctuation (`splits.normalise`). An item can leak in three ways:

exact  Its question is a training question, or appears whole in a training text (questions of 8 words or more; shorter
       ones are often parts of others). Or one of its references appears whole (of 13 words or more; shorter ones are
       common phrases).
ngram  13 consecutive words of its question or context appear in a training text: contamination as defined by Brown et
       al. 2020 (GPT-3, arXiv:2005.14165, appendix C) and lm-evaluation-harness. As in GPT-3, words that appear in more
       than ten training documents are boilerplate and do not count. The remaining stock phrases make this test coarse
       for vignettes: comparing one half of MedQA's test items with the other flags 119 of 633, mostly for blood
       pressures. References are not tested: half of MedQuAD's test answers share 13 words with a train answer on
       another disease.
near   Its question is a reworded training question (`splits.near_duplicates`).

A multiple-choice question of fewer than 13 words can be generic ("Which of the following is true?"), so it counts as
exact or near only if the text of its correct option appears in the same training example.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple, Protocol

from ..core.types import Item
from .sources.splits import content_words, normalise

GRAM = 13  # words; GPT-3's longest n-gram, and the only one of lm-evaluation-harness
HEAD = 8  # words; GPT-3's shortest
COMMON = 10  # words in more documents than this are boilerplate
Step = Callable[[int, int], None]  # how many of how many are done


class SearchedText(Protocol):
    """What is searched: a training example, or a passage with its heading as the question."""

    @property
    def id(self) -> str: ...
    @property
    def question(self) -> str: ...
    @property
    def answer(self) -> str: ...
    @property
    def prompt(self) -> str: ...
    @property
    def document(self) -> str: ...  # words that occur in many documents are boilerplate; "": a document of its own


@dataclass(frozen=True)
class Leaks:
    """Ids of one benchmark's items that the training data contain, by kind, in the benchmark's order.

    `items`: question and answer form one training example, so the item itself is trained on. These are also `exact`.
    """

    exact: tuple[str, ...] = ()
    ngram: tuple[str, ...] = ()
    near: tuple[str, ...] = ()
    items: tuple[str, ...] = ()

    @property
    def all(self) -> tuple[str, ...]:
        """Every id once, exact ones first."""
        return tuple(dict.fromkeys((*self.exact, *self.ngram, *self.near)))


class _Passage(NamedTuple):
    """Words to search for as a whole."""

    item: int
    words: list[str]
    question: bool  # False: a reference


@dataclass
class Occurrences:
    """Which examples contain an item, by the item's position and the kind of leak."""

    exact: defaultdict[int, set[str]] = field(default_factory=lambda: defaultdict(set))
    ngram: defaultdict[int, set[str]] = field(default_factory=lambda: defaultdict(set))
    near: defaultdict[int, set[str]] = field(default_factory=lambda: defaultdict(set))
    whole: defaultdict[int, set[str]] = field(default_factory=lambda: defaultdict(set))


def find(
    examples: Sequence[SearchedText], item_sets: Mapping[str, Sequence[Item]], step: Step | None = None
) -> dict[str, Leaks]:
    """Return the items of each benchmark (by name) that the examples' prompts and answers hold.

    `step` is called with the number of examples searched and the number of all.
    """
    held = search(examples, [item for some in item_sets.values() for item in some], step)
    return _by_benchmark(item_sets, {*held.exact}, {*held.ngram}, {*held.near}, {*held.whole})


def holders(
    examples: Sequence[SearchedText], item_sets: Mapping[str, Sequence[Item]], step: Step | None = None
) -> dict[str, tuple[str, ...]]:
    """Return the ids of the examples that contain items, in order, each with its items as "BENCHMARK/ITEM"."""
    names = [f"{name}/{item.id}" for name, some in item_sets.items() for item in some]
    held = search(examples, [item for some in item_sets.values() for item in some], step)
    items: dict[str, set[int]] = defaultdict(set)
    for kind in (held.exact, held.ngram, held.near):
        for number, by in kind.items():
            for example in by:
                items[example].add(number)
    order = dict.fromkeys(example.id for example in examples)
    return {name: tuple(names[number] for number in sorted(items[name])) for name in order if name in items}


def search(examples: Sequence[SearchedText], items: Sequence[Item], step: Step | None = None) -> Occurrences:
    """Return which texts contain which items, by kind."""
    sought = _Sought(items)
    held = Occurrences()
    holding: dict[str, dict[str, set[str]]] = defaultdict(dict)  # 13 words -> training documents -> their examples
    for number, example in enumerate(examples):
        if step:
            step(number, len(examples))
        answer = normalise(example.answer)
        words = [*normalise(example.prompt).split(), *answer.split()]
        asked, answered = set(sought.by_question.get(normalise(example.question), ())), set[int]()
        for at in range(len(words) - HEAD + 1):
            head = " ".join(words[at : at + HEAD])
            if head not in sought.heads:
                continue
            for passage in sought.passages.get(head, ()):
                if words[at : at + len(passage.words)] == passage.words:
                    (asked if passage.question else answered).add(passage.item)
            gram = " ".join(words[at : at + GRAM])
            if gram in sought.grams:
                holding[gram].setdefault(example.document or example.id, set()).add(example.id)
        alike = sought.by_content.get(content_words(example.question), ())
        if asked or answered or alike:
            text = " ".join(words)
            asked = {item for item in asked if _holds(text, sought.needs.get(item, ""))}
            for item in alike:
                if _holds(text, sought.needs.get(item, "")):
                    held.near[item].add(example.id)
            for item in asked:
                if _same_answer(items[item], answer):
                    held.whole[item].add(example.id)
            for item in asked | answered:
                held.exact[item].add(example.id)
    for gram, by_document in holding.items():
        if len(by_document) <= COMMON:
            for item in sought.grams[gram]:
                held.ngram[item].update(*by_document.values())
    return held


class _Sought:
    """What to search for in training texts. Items are identified by their position."""

    def __init__(self, items: Sequence[Item]) -> None:
        self.by_question: dict[str, list[int]] = defaultdict(list)
        self.by_content: dict[tuple[str, ...], list[int]] = defaultdict(list)
        self.needs: dict[int, str] = {}  # text that a generic question needs besides to be this item
        self.passages: dict[str, list[_Passage]] = defaultdict(list)  # by their first words
        self.grams: dict[str, list[int]] = defaultdict(list)
        for number, item in enumerate(items):
            question = normalise(item.question)
            words = question.split()
            self.by_question[question].append(number)
            self.by_content[content_words(item.question)].append(number)
            if item.labels and item.gold is not None and len(words) < GRAM:
                self.needs[number] = normalise(item.options[item.gold])
            if len(words) >= HEAD:
                self.passages[" ".join(words[:HEAD])].append(_Passage(number, words, True))
            for reference in (normalise(reference).split() for reference in item.references):
                if len(reference) >= GRAM:
                    self.passages[" ".join(reference[:HEAD])].append(_Passage(number, reference, False))
            for gram in {*_grams(words), *_grams(normalise(item.context).split())}:
                self.grams[gram].append(number)
        self.heads = {*self.passages, *(" ".join(gram.split(" ", HEAD)[:HEAD]) for gram in self.grams)}


def _grams(words: Sequence[str]) -> Iterable[str]:
    return (" ".join(words[at : at + GRAM]) for at in range(len(words) - GRAM + 1))


def _holds(text: str, part: str) -> bool:
    """Return whether a text contains these words, both normalized. Every text contains no words."""
    return not part or f" {part} " in f" {text} "


def _same_answer(item: Item, answer: str) -> bool:
    """Return whether a normalized training answer is a reference or the right label, or contains the right option."""
    if item.gold is not None:
        if item.labels and answer == normalise(item.labels[item.gold]):
            return True
        if _holds(answer, normalise(item.options[item.gold])):
            return True
    return answer in map(normalise, item.references)


def _by_benchmark(
    item_sets: Mapping[str, Sequence[Item]], exact: set[int], ngram: set[int], near: set[int], whole: set[int]
) -> dict[str, Leaks]:
    found, start = {}, 0
    for name, some in item_sets.items():
        ids = [
            tuple(item.id for number, item in enumerate(some, start) if number in kind)
            for kind in (exact, ngram, near, whole)
        ]
        found[name] = Leaks(*ids)
        start += len(some)
    return found
