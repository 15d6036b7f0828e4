"""A protocol: a named way to put a benchmark's questions to a model and to read its answers."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from .item import Item

Rewrite = Callable[[str, Item], str]  # gets the text as `direct` writes it, and the item


@dataclass(frozen=True, slots=True, kw_only=True)
class Protocol:
    """How questions are asked. The name is part of a run's identity and of its column's name.

    A field that is not set has its value from `direct`, the benchmark's own protocol. If the prompts change, `name`
    must change too.
    """

    name: str
    summary: str = ""
    system: str = ""  # the system turn
    instruction: Rewrite | None = None
    question: Rewrite | None = None
    answer: Rewrite | None = None  # of a few-shot example
    # "auto": multiple choice is asked by log-probability if the engine can. "generate": the model always writes.
    method: Literal["auto", "generate"] = "auto"
    max_new_tokens: int | None = None
    stop: tuple[str, ...] | None = None
    letters: bool = False  # options that have no labels (yes, no, maybe) are lettered, and answered by their letters
    answer_field: str = ""  # the key of the answer in a reply that is a JSON object; "": the reply is read as prose


DIRECT = Protocol(name="direct", summary="The benchmark's own prompt: the answer at once, without reasoning.")
