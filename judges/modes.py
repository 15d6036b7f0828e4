"""How a judge is asked and how its reply is read: a prompt file per mode, a schema, and a full match or nothing.

A mode's `hash` covers its prompt file and its schema and ends the name of every score that comes of it, so grades from
two wordings never share a column. What a stored reply is worth is read off it again each time, by the schema that it
was asked under.
"""

from __future__ import annotations

import functools
import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib import resources
from typing import Any

from ..core.errors import UsageError
from ..core.plan import fingerprint
from ..core.types import Item, Prompt

REASON = "reason"  # the field that a judge explains itself in; it is not graded
PREFERENCE = "preference"
FIRST, SECOND, TIE = "first", "second", "tie"
BREAK = "\n---\n"  # in a prompt file, between the instruction and the turn that holds the material
FENCED = re.compile(r"\s*```(?:json)?[ \t]*\n(.*)\n[ \t]*```\s*", re.DOTALL)
PLACE = re.compile(r"\{(fence|question|references|answer|second)\}")

Fields = Mapping[str, Sequence[Any]]  # of a reply: the values that each may have


@dataclass(frozen=True)
class Mode:
    """One way of judging. `fields`: what the reply holds besides its reason; the value is their mean."""

    name: str
    summary: str
    fields: Fields
    needs_reference: bool = False
    both_orders: bool = False  # two answers are shown, and each pair is asked twice, with their places changed

    @property
    def text(self) -> str:
        return _file(self.name)

    @property
    def schema(self) -> dict[str, Any]:
        """The reply as a JSON schema; the reason comes first, so that the grade can follow from it."""
        graded = {
            name: {"type": "string" if isinstance(values[0], str) else "integer", "enum": list(values)}
            for name, values in self.fields.items()
        }
        return {
            "type": "object",
            "properties": {REASON: {"type": "string"}, **graded},
            "required": [REASON, *graded],
            "additionalProperties": False,
        }

    @property
    def hash(self) -> str:
        """Eight hex digits of the prompt file and the schema."""
        return fingerprint([self.text, self.schema])[:8]

    def prompt(self, item: Item, answer: str, second: str = "") -> Prompt:
        """What a judge is sent. The tags around the material bear a number that the material cannot know."""
        question = f"{item.context}\n\n{item.question}" if item.context else item.question
        fence = fingerprint([item.id, question, item.references, answer, second])[:8]
        told = {
            "fence": fence,
            "question": question,
            "references": "\n".join(
                f"<reference-answer-{fence}>\n{reference}\n</reference-answer-{fence}>" for reference in item.references
            )
            or "(There is no reference answer.)",
            "answer": answer,
            "second": second,
        }
        # In one pass: a "{second}" that an answer holds stays as it is.
        instruction, turn = (
            PLACE.sub(lambda found: told[found[1]], part).strip() for part in self.text.split(BREAK, maxsplit=1)
        )
        return Prompt(turn, instruction)


FIVE = (1, 2, 3, 4, 5)
MODES = {
    mode.name: mode
    for mode in (
        Mode("reference", "1 to 5 by agreement with the reference answers", {"score": FIVE}, needs_reference=True),
        Mode(
            "rubric",
            "1 to 5 for accuracy, completeness, clarity and safety, and their mean",
            {"accuracy": FIVE, "completeness": FIVE, "clarity": FIVE, "safety": FIVE},
        ),
        Mode(
            "pairwise",
            "which of two answers is better, asked in both orders; a disagreement is a tie",
            {PREFERENCE: (FIRST, SECOND, TIE)},
            both_orders=True,
        ),
        Mode(
            "grades",
            "the four grades of LiveQA: 1 incorrect, 2 related, 3 incomplete, 4 excellent",
            {"grade": (1, 2, 3, 4)},
        ),
    )
}
DEFAULT = "reference"


def mode_of(name: str) -> Mode:
    """Raises UsageError for a mode that there is not."""
    if name not in MODES:
        raise UsageError(f"a judge has no mode '{name}'.", f"The modes: {', '.join(MODES)}")
    return MODES[name]


def fields_of(schema: Any) -> dict[str, tuple[Any, ...]]:
    """The graded fields that a stored schema asks for. Raises ValueError where it is no schema of ours."""
    try:
        named = {name: tuple(about["enum"]) for name, about in schema["properties"].items() if name != REASON}
    except (TypeError, LookupError, AttributeError) as error:
        raise ValueError(f"not the schema of a judge's reply: {error!r}") from error
    if not named or not all(named.values()):
        raise ValueError("the schema of a judge's reply grades nothing")
    return named


def read(text: str, fields: Fields) -> dict[str, Any] | str:
    """The graded fields of a reply, or why there are none.

    The whole reply is one JSON object with exactly these fields and a reason, each value one of those asked for;
    white space and one Markdown fence may be around it. Nothing is searched for, rounded or repaired.
    """
    fenced = FENCED.fullmatch(text)
    try:
        value = json.loads(fenced[1] if fenced else text, object_pairs_hook=_once, parse_constant=_refuse)
    except (ValueError, RecursionError) as error:
        return f"not one JSON object: {error}" if text.strip() else "empty"
    if not isinstance(value, dict):
        return "not a JSON object"
    wanted = {REASON, *fields}
    for name in (*sorted(wanted - value.keys()), *sorted(value.keys() - wanted)):
        return f"no field '{name}'" if name in wanted else f"a field '{name[:40]}' that was not asked for"
    if not isinstance(value[REASON], str):
        return "its reason is no text"
    for name, allowed in fields.items():
        # In Python True == 1 and 4.0 == 4; in a grade they are not.
        if not any(type(value[name]) is type(each) and value[name] == each for each in allowed):
            return f"{name} is {json.dumps(value[name])[:40]}, not one of {', '.join(map(str, allowed))}"
    return {name: value[name] for name in fields}


def reason(text: str) -> str:
    """Why the judge graded as it did, from a reply that `read` takes; "" from any other."""
    fenced = FENCED.fullmatch(text)
    try:
        value = json.loads(fenced[1] if fenced else text)
    except (ValueError, RecursionError):
        return ""
    found = value.get(REASON) if isinstance(value, dict) else None
    return found if isinstance(found, str) else ""


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        raise ValueError("a field stands in it twice")
    return found


def _refuse(constant: str) -> Any:
    raise ValueError(f"{constant} is not JSON")


@functools.cache
def _file(name: str) -> str:
    """A prompt file of this package, its line ends as they were written."""
    text = resources.files(__package__).joinpath("prompts", f"{name}.md").read_text(encoding="utf-8")
    return text.replace("\r\n", "\n")
