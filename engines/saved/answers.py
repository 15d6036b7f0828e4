"""One saved answer, and the columns that it is read from."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from ...core.errors import UsageError

ABOUT = ("finish", "reasoning")  # what is known about the text
FIELDS = ("id", "text", "prediction", "logprobs", "prompt", *ABOUT, "sample")
ANSWERS = ("text", "prediction", "logprobs")
FORM = 'One JSON object per line: {"id": "…", "text": "…"}, or with "prediction" or "logprobs"; or a CSV with a header.'


@dataclass(frozen=True)
class Saved:
    """One row: what a system answered to one item. `where` says in words which row it is."""

    where: str
    text: str | None = None
    prediction: str | None = None
    logprobs: tuple[float, ...] | Mapping[str, float] | None = None
    prompt: str = ""
    finish: Literal["stop", "length"] = "stop"
    reasoning: str = ""
    question: str | None = None  # of the item, in the samples of a run
    lacks: str = ""  # the column whose path ends early in this row
    split: bool = False  # its text was already split from its reasoning
    reasoning_tokens: int = 0
    sample: int | None = None  # which of several answers to the item; None: the next


def columns(text: str) -> dict[str, str]:
    """Return the column of each field in --map: "id=qid,text=answer". Raises UsageError if it is invalid."""
    found: dict[str, str] = {}
    for part in filter(None, (part.strip() for part in text.split(","))):
        field, equals, column = (word.strip() for word in part.partition("="))
        if not equals or not column or field not in FIELDS:
            raise UsageError(
                f"--map {part}: give FIELD=COLUMN, where FIELD is one of {', '.join(FIELDS)}.",
                "For example: --map id=question_id,text=response",
            )
        if field in found:
            raise UsageError(f"--map names the column of {field} twice: {found[field]} and {column}.")
        found[field] = column
    if found and not found.keys() & set(ANSWERS):
        raise UsageError(
            f"--map {text} does not say where the answers are.", f"Add one of {', '.join(ANSWERS)}: text=COLUMN"
        )
    return found


def twice(item_id: str, one: Saved, other: Saved) -> UsageError:
    """Return the error for two answers in the place of one."""
    return UsageError(
        f"two answers are saved for the item '{item_id}': {one.where} and {other.where}.",
        "Keep the one that counts. If each item has K answers on purpose: --samples K",
    )
