"""A file of judge's replies: a header that says who graded and how, then one reply per line."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from ..core.types import Output
from .json_object import JsonObject
from .manifest import ModelRecord
from .records import compact, decode_output


@dataclass(frozen=True, kw_only=True)
class JudgeHeader(JsonObject):
    """The first line of a file of replies."""

    metric: str = ""
    mode: str = ""
    prompt_hash: str = ""
    schema: Any = None  # of the JSON that the judge must return
    judge: str = ""  # as --judge names it
    model: ModelRecord = field(default_factory=lambda: ModelRecord.from_json({}))  # the model that grades
    settings: Mapping[str, Any] = field(default_factory=dict)
    against: str = ""  # id of the run whose answers these are compared with
    created: str = ""  # ISO 8601, UTC
    medbench: str = ""  # version
    refuses: tuple[str, ...] = ()  # fields of a request that the server rejects, for the next command
    failures: Mapping[str, str] = field(default_factory=dict)  # why replies are missing
    missing: frozenset[str] = field(default=frozenset({"refuses", "failures"}), repr=False, compare=False)


@dataclass(frozen=True, slots=True)
class JudgeReply:
    """A judge's reply as its engine returned it, bound to what it was shown."""

    asked: str  # hash of everything that the judge was shown, so that it does not count for a different answer
    output: Output  # its item_id names the item and the order of two answers

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> JudgeReply:
        """Read a stored reply. Raises TypeError, LookupError or ValueError for anything else."""
        return cls(str(value["asked"]), decode_output(value["output"]))

    def as_json(self) -> dict[str, Any]:
        """Return the line to store. Fields of the output that hold their default are left out."""
        return {"asked": self.asked, "output": compact(self.output)}
