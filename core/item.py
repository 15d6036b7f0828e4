"""One question of a benchmark, and what its answer is scored against."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from .text import whole

LETTERS = tuple("ABCDEFGHIJKLMNOPQRSTUVWXYZ")  # labels of options


Role = Literal["system", "user", "assistant"]

AnswerKey = tuple[str, int]  # an item's id and the number of one of its answers, from 0


def answer_name(key: AnswerKey) -> str:
    """Return a key as text: the item's id, with the number of the sample unless it is 0."""
    item_id, sample = key
    return f"{item_id} (sample {sample})" if sample else item_id


@dataclass(frozen=True, slots=True)
class Turn:
    """One message of a conversation."""

    role: Role
    content: str


@dataclass(frozen=True, slots=True)
class Target:
    """The correct value of a question whose answer is a number, a date or a length of time.

    All values are stored as written: "12.5", "04/27/2021", "34 weeks 3 days". An answer is correct if it is between
    `low` and `high` (inclusive) or, if these are not set, equal to `value`.
    """

    value: str
    kind: Literal["number", "date", "duration"] = "number"
    low: str = ""
    high: str = ""


MUST_HAVE = "must_have"  # tag of a criterion: a statement that the answer must entail


@dataclass(frozen=True, slots=True)
class Criterion:
    """One criterion of a rubric: what a judge looks for in the answer, and its points, negative for a fault."""

    text: str
    points: float
    tags: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Item:
    """One question of a benchmark.

    Multiple choice has `options` (up to 26) and `gold`; an open question has `references`, a calculation has a
    `target`, and an item that is graded by a rubric has `criteria`.
    """

    id: str
    question: str
    context: str = ""
    options: tuple[str, ...] = ()
    labels: tuple[str, ...] = ()  # what the model answers with, one per option; empty: the option texts
    gold: int | None = None  # index into options
    references: tuple[str, ...] = ()
    meta: Mapping[str, str] = field(default_factory=dict)  # subject, question_type, source, document, …
    turns: tuple[Turn, ...] = ()  # of the conversation before `question`, which is its last message
    target: Target | None = None
    criteria: tuple[Criterion, ...] = ()
    answer_field: str = ""  # key of the answer in a reply that is a JSON object; "": the reply is read as prose

    def __post_init__(self) -> None:
        for name in ("id", "question", "context"):
            object.__setattr__(self, name, whole(getattr(self, name)))
        for name in ("options", "labels", "references"):
            texts = getattr(self, name)
            if isinstance(texts, tuple):
                object.__setattr__(self, name, tuple(map(whole, texts)))

    @property
    def answers(self) -> tuple[str, ...]:
        """What the model chooses between: the labels (`A`, `B`, …) or, without labels, the options."""
        return self.labels or self.options
