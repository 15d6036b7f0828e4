"""Examples as sentences with their labels, and changes of them that keep the labels right."""

from __future__ import annotations

import random
import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from ...metrics.safety.examples import ANSWER_LABELS, EMERGENCY, LabeledExample
from ...metrics.safety.markup import plain
from ...metrics.safety.sentences import Span, sentences
from ...metrics.safety.symbols import spelled
from .variants import Change, Changeable, disjoint

_NEUTRAL = (Path(__file__).parent / "neutral_lines.txt").read_text(encoding="utf-8").splitlines()
TWIN = 3.0  # weight in the loss of a sentence that has a dangerous or harmless twin


@dataclass(frozen=True, slots=True)
class Piece:
    """A sentence with its labels, and its weight in the loss."""

    text: str
    labels: frozenset[str] = frozenset()
    weight: float = 1.0


@dataclass(frozen=True, slots=True)
class Case:
    """An example as sentences."""

    question: tuple[Piece, ...]
    answer: tuple[Piece, ...]
    refuses: bool

    @property
    def labels(self) -> frozenset[str]:
        found = frozenset(label for piece in (*self.question, *self.answer) for label in piece.labels)
        return (found | {"refusal"}) if self.refuses else (found - {"refusal"})

    @property
    def size(self) -> int:
        """Characters, by which batches are made."""
        return sum(len(piece.text) for piece in (*self.question, *self.answer))


def case(example: LabeledExample, twins: Sequence[Span] = ()) -> Case:
    """Return the example as sentences. `twins`: lines of the answer that other examples have changed."""

    def pieces(text: str, labels: Sequence[str]) -> tuple[Piece, ...]:
        return tuple(
            Piece(
                spelled(plain(text[a:b])),
                frozenset(label for label in labels if any(_meet((a, b), span) for span in example.evidence[label])),
                TWIN if any(_meet((a, b), span) for span in twins) else 1.0,
            )
            for a, b in sentences(text)
        )

    asked = pieces(example.question, [EMERGENCY])
    return Case(asked, pieces(example.answer, ANSWER_LABELS), example.labels["refusal"])


def _meet(one: Span, other: Span) -> bool:
    return min(one[1], other[1]) - max(one[0], other[0]) > 2


# --- augmentation: changes that keep the labels ------------------------------------------------------------


def twins(one: Changeable, dice: random.Random) -> list[Case]:
    """Return two versions of the example, both perhaps cropped.

    One has random changes and the other the rest; or one has a single dangerous change and the other none, both beside
    random harmless ones.
    """
    order = list(one.changes)
    dice.shuffle(order)
    bad = [change for change in order if change.unsafe]
    good = [change for change in order if not change.unsafe]
    if bad and dice.random() < 0.5:
        some = disjoint([bad[0], *(change for change in good if dice.random() < 0.5)])
        rest = disjoint([change for change in good if change not in some])
    else:
        some = disjoint([change for change in order if dice.random() < 0.5])
        rest = disjoint([change for change in order if change not in some])
    return [cropped(case(one.changed(changes), _touched(one, changes)), dice) for changes in (some, rest)]


def _touched(one: Changeable, changes: Sequence[Change]) -> list[Span]:
    """Return where the changed lines are, in the example with these changes, and the lines that others change."""
    spans = []
    for change in one.changes:
        before = sum(len(other.text) - (other.end - other.start) for other in changes if other.start < change.start)
        if change in changes:
            spans.append((change.start + before, change.start + before + len(change.text)))
        elif all(change.end < other.start or other.end < change.start for other in changes):
            spans.append((change.start + before, change.end + before))
    return spans


def cropped(one: Case, dice: random.Random) -> Case:
    """Return the case, or mostly a part of a long answer, around one of its weighty sentences."""
    heavy = [index for index, piece in enumerate(one.answer) if piece.weight > 1 or piece.labels]
    if len(one.answer) < 8 or not heavy or one.refuses or dice.random() < 0.35:
        return one
    at = dice.choice(heavy)
    start, end = max(0, at - dice.randint(0, 6)), at + 1 + dice.randint(0, 6)
    return Case(one.question, one.answer[start:end], one.refuses)


def varied(one: Case, neutral: Sequence[tuple[Piece, ...]], wrapped: float, dice: random.Random) -> Case:
    """Return the case with typing errors, more or less text, or merged sentences. The labels remain correct.

    `wrapped` is the share of short answers that are put between lines without content.
    """
    answer = list(one.answer)
    bare = [index for index, piece in enumerate(answer) if not piece.labels and piece.weight == 1]
    if len(answer) >= 3 and bare and dice.random() < 0.25:
        del answer[dice.choice(bare)]
    if not one.refuses and answer and one.size < 800 and dice.random() < 0.3:  # longer, by lines on another question
        for _ in range(dice.randint(1, 2)):
            lines = dice.choice(neutral)
            start = dice.randrange(len(lines))
            at = dice.choice((0, len(answer), dice.randint(0, len(answer))))
            answer[at:at] = [replace(piece, weight=1.0) for piece in lines[start : start + dice.randint(1, 8)]]
    if wrapped and answer and one.size < 800 and dice.random() < wrapped:
        before, after = ([Piece(line) for line in dice.sample(_NEUTRAL, dice.randint(0, 6))] for _ in range(2))
        answer = [*before, *answer, *after]
    if answer and not answer[-1].labels and dice.random() < 0.08:  # truncated, as by a token limit
        words = answer[-1].text.split()
        answer[-1] = Piece(" ".join(words[: max(1, dice.randint(len(words) // 3, len(words)))]))
    question = list(one.question)
    for pieces in (question, answer):
        if dice.random() < 0.2:
            pieces[:] = [replace(piece, text=mistyped(piece.text, dice)) for piece in pieces]
        if dice.random() < 0.15:
            pieces[:] = [replace(piece, text=re.sub(r"['’]", "", piece.text).rstrip(".")) for piece in pieces]
        if len(pieces) > 1 and dice.random() < 0.2:
            index = dice.randrange(len(pieces) - 1)
            first, second = pieces[index : index + 2]
            joined = Piece(
                f"{first.text} {second.text}", first.labels | second.labels, max(first.weight, second.weight)
            )
            pieces[index : index + 2] = [joined]
    return Case(tuple(question), tuple(answer), one.refuses)


def mistyped(text: str, dice: random.Random) -> str:
    """Return the text with two letters swapped or one dropped in one of twenty words."""
    words = text.split(" ")
    for index, word in enumerate(words):
        if len(word) > 3 and word.isalpha() and dice.random() < 0.05:
            at = dice.randrange(1, len(word) - 1)
            words[index] = word[:at] + (word[at + 1] + word[at] if dice.random() < 0.5 else "") + word[at + 2 :]
    return " ".join(words)
