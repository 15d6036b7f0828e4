"""An answer in a file of another evaluation tool, before it is known which item it answers."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Literal

TEXT_DEPTH = 6  # nesting of a question's fields that is searched for texts


@dataclass(frozen=True)
class PeerAnswer:
    """One answer, with all that tells its question. `where` says in words which row of the file it is."""

    where: str
    ids: tuple[str, ...]  # under which the file may have the item
    fields: tuple[tuple[str, ...], ...]  # texts of the question's data, those of one list or object together
    prompt: str  # as the model saw it
    gold: tuple[str, ...]  # the right answers by that tool: texts, a label, or a number of an option
    options: tuple[str, ...] = ()  # in the order in which the model saw them, if the file says so
    continuations: tuple[str, ...] = ()  # what the log-probabilities are of
    logprobs: tuple[float, ...] = ()  # nats
    text: str | None = None
    finish: Literal["stop", "length"] = "stop"
    reasoning: str = ""
    sample: int = 0
    error: str = ""  # why there is no answer

    @property
    def texts(self) -> Iterator[str]:
        """All texts of the question's data."""
        return (text for field in self.fields for text in field)


def fields_of(value: Any, depth: int = TEXT_DEPTH) -> Iterator[tuple[str, ...]]:
    """Yield the texts of an object or a list, then those of what is in it."""
    parts = list(value.values()) if isinstance(value, Mapping) else value if isinstance(value, list) else [value]
    if own := tuple(part for part in parts if isinstance(part, str)):
        yield own
    if depth:
        for part in parts:
            if isinstance(part, Mapping | list):
                yield from fields_of(part, depth - 1)
