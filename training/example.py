"""A training example, and a named set of them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ..benchmarks.sources.files import Source


@dataclass(frozen=True, slots=True)
class Example:
    """One question and the answer to learn."""

    id: str  # "SET/…", the same wherever the data was read
    question: str  # the bare question, for the leak check
    answer: str
    prompt: str  # as the model sees it, before any chat template: "Question: …\nAnswer:"
    document: str = ""  # examples of one document are all trained on, or all held out


@dataclass(frozen=True)
class Examples:
    """The content of a training set. `dev` is the validation part of its release, which is never trained on."""

    train: tuple[Example, ...]
    origin: str  # a path, or hub id @ revision
    dev: tuple[Example, ...] = ()
    notes: tuple[str, ...] = ()  # one sentence each: skipped rows, items of a scored split that are left out


@dataclass(frozen=True)
class TrainingSet:
    """A named set of examples, none of which a benchmark scores."""

    name: str
    summary: str
    licence: str
    hub: str  # hub repository; "" if medbench ships the set
    load: Callable[[Source], Examples]  # raises DataMissing, DataMalformed
