"""Which items the answers of another tool answer: by the text of the question, never by a number alone.

An answer counts only if the model saw the item's question and, where it names options by letters, the item's options.
Everything else is reported and left out.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from ...core.types import Item
from .answers import Saved, twice
from .peers import PeerAnswer

LONG = 8  # words; a shorter question must be a whole line of the prompt, or a whole text of the data
NAMED = 3  # answers in a message
_WORDS = re.compile(r"\w+")
_LEAD = re.compile(r"\s*[\w ]{0,30}:\s*")  # "Question: "
_LABEL = re.compile(r"\s*[(\[]?([A-Za-z]|\d{1,2})(?:[)\].:]+\s*|\s+-\s+)")  # "(A) ", "B. ", "3: "


@dataclass
class Matched:
    """Answers by item and sample, and what was left out or differs, by the reason, in the order of the file."""

    answers: dict[str, dict[int, Saved]] = field(default_factory=dict)
    left_out: dict[str, list[str]] = field(default_factory=dict)  # where, by why
    other_gold: list[str] = field(default_factory=list)  # ids of items whose right answer is another one there

    def notes(self, benchmark: str, file: str, total: int) -> list[str]:
        """Return a sentence for each reason. `file`: the name of the file that has so many answers."""
        found = [
            f"{len(rows)} of {total} answers in {file} {why}: {_some([row.removeprefix(f'{file}, ') for row in rows])}"
            for why, rows in self.left_out.items()
        ]
        if self.other_gold:
            items = "1 item has" if len(self.other_gold) == 1 else f"{len(self.other_gold)} items have"
            found.append(
                f"{items} another right answer in the file than in {benchmark}, by which they are scored: "
                f"{_some(self.other_gold)}"
            )
        return found


def matched(answers: Sequence[PeerAnswer], items: Sequence[Item], benchmark: str) -> Matched:
    """Return which items are answered. Raises UsageError if two answers stand in the place of one."""
    index = _Index(items)
    found = Matched()
    for answer in answers:
        item, why = index.item(answer)
        saved = None
        if item is None:
            why = f"belong to no item of {benchmark}{why}"
        elif answer.error:
            why = f"are missing in the file ({answer.error})"
        else:
            order = _order(answer, item)
            saved, why = _saved(answer, item, order)
            if saved and not _same_gold(answer, item, order) and item.id not in found.other_gold:
                found.other_gold.append(item.id)
        if item is None or saved is None:
            found.left_out.setdefault(why, []).append(answer.where)
            continue
        samples = found.answers.setdefault(item.id, {})
        if answer.sample in samples:
            raise twice(item.id, samples[answer.sample], saved)
        samples[answer.sample] = saved
    return found


def key(text: str) -> str:
    """Return the words of a text, without case and punctuation, so that two prints of one text are equal."""
    return " ".join(_WORDS.findall(unicodedata.normalize("NFKC", text).casefold()))


class _Index:
    """Finds the item that an answer is to."""

    def __init__(self, items: Sequence[Item]) -> None:
        self._items = {item.id: item for item in items}
        self._by_question: dict[str, list[Item]] = {}
        self._by_start: dict[str, list[Item]] = {}
        for item in items:
            question = key(item.question)
            if question:
                self._by_question.setdefault(question, []).append(item)
            if len(words := question.split()) >= LONG:
                self._by_start.setdefault(" ".join(words[:LONG]), []).append(item)

    def item(self, answer: PeerAnswer) -> tuple[Item | None, str]:
        """Return the item, or None and what is known about it."""
        whole = self._candidates(map(key, answer.texts)) or self._candidates(_lines(answer.prompt))
        candidates = whole or self._inside(answer)
        if len(candidates) > 1:
            candidates = _told_apart(candidates, answer)
        if len(candidates) == 1:
            return candidates[0], ""
        if candidates:
            return None, " for certain, because several items have the same question"
        same = any(each in self._items for each in answer.ids)
        return None, ", although one with the same id asks something else" if same else ""

    def _candidates(self, keys: Iterable[str]) -> list[Item]:
        """Return the items with the last of these texts that is a question: a prompt ends with what it asks."""
        found: list[Item] = []
        for each in keys:
            found = self._by_question.get(each, found)
        return found

    def _inside(self, answer: PeerAnswer) -> list[Item]:
        """Return the items whose whole question, if it is long, is part of a longer text: the last such question."""
        for text in (answer.prompt, *answer.texts):
            words = key(text).split()
            for at in range(len(words) - LONG, -1, -1):
                starting = self._by_start.get(" ".join(words[at : at + LONG]), [])
                found = [item for item in starting if words[at:][: len(own := key(item.question).split())] == own]
                if found:
                    longest = max(len(key(item.question)) for item in found)
                    return [item for item in found if len(key(item.question)) == longest]
        return []


def _told_apart(items: Sequence[Item], answer: PeerAnswer) -> list[Item]:
    """Return which of several items with one question it is, by context, options, id and right answer."""
    texts = f" {key(' '.join([*answer.texts, answer.prompt, *answer.options, *answer.continuations]))} "

    def has(text: str) -> bool:
        return f" {key(text)} " in texts

    tests = (
        lambda item: bool(item.context) and has(item.context),
        lambda item: bool(item.options) and all(map(has, item.options)),
        lambda item: item.id in answer.ids,
        lambda item: _same_gold(answer, item, _order(answer, item)),
    )
    found = list(items)
    for test in tests:
        found = [item for item in found if test(item)] or found
    return found


def _lines(prompt: str) -> Iterator[str]:
    """Yield the lines of a prompt, with and without what stands before a colon."""
    for line in prompt.splitlines():
        yield key(line)
        if lead := _LEAD.match(line):
            yield key(line[lead.end() :])


def _order(answer: PeerAnswer, item: Item) -> tuple[int, ...] | None:
    """Return which of the item's options each option that the model saw is; None if they cannot be found."""
    wanted = [key(option) or option.strip() for option in item.options]
    for seen in _seen(answer):
        keys = [key(option) or option.strip() for option in seen]
        for start in range(len(keys) - len(wanted), -1, -1):
            part = keys[start : start + len(wanted)]
            if sorted(part) == sorted(wanted) and len(set(wanted)) == len(wanted):
                return tuple(wanted.index(each) for each in part)
    return None


def _seen(answer: PeerAnswer) -> Iterator[Sequence[str]]:
    """Yield lists of texts that may be the options, the surest first."""
    if answer.options:
        yield answer.options
        return
    yield answer.continuations
    yield [line[lead.end() :] for line in answer.prompt.splitlines() if (lead := _LABEL.match(line))]
    yield from answer.fields


def _saved(answer: PeerAnswer, item: Item, order: tuple[int, ...] | None) -> tuple[Saved | None, str]:
    """Return the answer as the item's, or None and why it cannot be read as that."""
    lettered = item.options and item.answers != item.options
    if not answer.logprobs:
        if lettered and order is None:
            return None, "are to other options than those of the item"
        if lettered and order != tuple(range(len(item.options))):
            return None, "are in words that name options in another order than the item's"
        return Saved(
            answer.where, answer.text, prompt=answer.prompt, finish=answer.finish, reasoning=answer.reasoning
        ), ""
    if not item.options:
        return None, "are log-probabilities, and the item has no options"
    places = _places(answer, item, order)
    if places is None or sorted(places) != list(range(len(item.options))):
        return None, "are to other options than those of the item"
    by_place = dict(zip(places, answer.logprobs, strict=True))
    return Saved(answer.where, logprobs=tuple(by_place[at] for at in range(len(places))), prompt=answer.prompt), ""


def _places(answer: PeerAnswer, item: Item, order: tuple[int, ...] | None) -> list[int] | None:
    """Return which of the item's options each log-probability is of; None if that is not certain."""
    own = [key(each) or each.strip() for each in answer.continuations]
    if len(own) != len(answer.logprobs):
        return None
    keys = [key(each) or each.strip() for each in item.options]
    if sorted(keys) == sorted(own) and len(set(own)) == len(own):
        return [keys.index(each) for each in own]
    labels = [_position(each) for each in own]
    named = [at for at in labels if at is not None]
    if order is None or len(named) < len(labels) or sorted(named) != list(range(len(order))):
        return None
    return [order[at] for at in named]


def _position(label: str) -> int | None:
    """Return the place that a letter (a, b, …) or a number (1, 2, …) names, from 0."""
    if len(label) == 1 and "a" <= label <= "z":
        return ord(label) - ord("a")
    return int(label) - 1 if label.isdecimal() and label.isascii() and 0 < int(label) < 100 else None


def _same_gold(answer: PeerAnswer, item: Item, order: tuple[int, ...] | None) -> bool:
    """Whether the file names the item's right answer. True if that cannot be told."""
    golds = [each for each in answer.gold if each.strip()]
    if not golds:
        return True
    if item.gold is not None:
        places = [place for gold in golds if (place := _gold_place(gold, answer, item, order)) is not None]
        return not places or item.gold in places
    if item.references:
        return bool({key(gold) for gold in golds} & {key(reference) for reference in item.references})
    return True


def _gold_place(gold: str, answer: PeerAnswer, item: Item, order: tuple[int, ...] | None) -> int | None:
    """Return which of the item's options a right answer names: by its text, its letter, or its number from 0."""
    keys = [key(each) for each in item.options]
    if key(gold) in keys:
        return keys.index(key(gold))
    number = gold.strip()
    if number.isdecimal() and number.isascii() and answer.continuations:
        places = _places(answer, item, order)
        return places[int(number)] if places and int(number) < len(places) else None
    place = _position(key(gold))
    return order[place] if order and place is not None and place < len(order) and not number.isdecimal() else None


def _some(names: Sequence[str]) -> str:
    return ", ".join(names[:NAMED]) + (", …" if len(names) > NAMED else "")


def facts(found: Matched) -> Mapping[str, int]:
    """Return counts for the manifest."""
    return {"left_out": sum(map(len, found.left_out.values())), "other_right_answer": len(found.other_gold)}
