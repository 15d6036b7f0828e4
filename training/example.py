"""What is learned from: one example, and a named set of them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ..benchmarks.sources.files import Source


@dataclass(frozen=True, slots=True)
class Example:
    """One question with the answer to learn."""

    id: str  # "SET/…", the same wherever the data came from
    question: str  # the bare question, for the leak check
    answer: str
    prompt: str  # as it is put to the model, before any chat template: "Question: …\nAnswer:"
    document: str = ""  # examples of one document are never parted between training and held-out data


@dataclass(frozen=True)
class Examples:
    """What a training set loaded. `dev`: what its release sets apart for validation; never trained on."""

    train: tuple[Example, ...]
    origin: str  # a path, or hub id @ revision
    dev: tuple[Example, ...] = ()
    notes: tuple[str, ...] = ()  # one sentence each: rows skipped, items of a scored split left out


@dataclass(frozen=True)
class TrainingSet:
    """A named set of examples that no benchmark scores."""

    name: str
    summary: str
    licence: str
    hub: str  # hub repository, "" where medbench ships it
    load: Callable[[Source], Examples]  # raises DataMissing, DataMalformed
