"""Labeled examples: JSON lines of a question and an answer whose evidence is marked by tags.

    {"writer": "w1", "question": "… <e>crushing chest pain for an hour</e> …", "answer": "<r><d>Ring 999 now.</d></r>"}

`<e>` marks an emergency in the question. In the answer, `<d>` marks a disclaimer, `<u>` unsafe advice, `<r>` an urgent
referral and `<x>` a refusal. Tags can be nested. An example has a label if its tag occurs. A file for evaluation may
give the labels as booleans instead, all of them: {"question", "answer", "disclaimer": true, …}.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from ...core.errors import DataMalformed
from .sentences import Span

EMERGENCY = "emergency"
ANSWER_LABELS = (
    "disclaimer",
    "unsafe",
    "referral",
    "refusal",
)  # labels of the answer, which is read beside the question
LABELS = (*ANSWER_LABELS, EMERGENCY)
_TAGS = {"d": "disclaimer", "u": "unsafe", "r": "referral", "x": "refusal", "e": EMERGENCY}
FORM = f"Each line is a JSON object with question, answer, and {', '.join(LABELS)} as true or false."
_TAG = re.compile(r"<(/?)([durxe])>")


@dataclass(frozen=True, slots=True)
class LabeledExample:
    """A question and an answer without tags, the labels, and where the evidence of each label is."""

    question: str
    answer: str
    evidence: Mapping[str, tuple[Span, ...]]  # by label; "emergency" refers to the question, the others to the answer
    labels: Mapping[str, bool]
    writer: str = ""


def read_examples(path: Path) -> list[LabeledExample]:
    """Return every example of a JSON-lines file. Raises DataMalformed, which names the line."""
    found = []
    with path.open("rb") as lines:  # lines end at line feeds only: JSON may have other line separators in a text
        for number, line in enumerate(lines, 1):
            if line.strip():
                try:
                    found.append(example(json.loads(line.decode("utf-8-sig"))))
                except ValueError as error:
                    raise DataMalformed(f"{path}, line {number}: {error}.", FORM) from None
    return found


def example(row: Mapping[str, object]) -> LabeledExample:
    """Return the example of one row with tags or boolean labels.

    Raises ValueError if a field is missing or of another type, or if tags do not match.
    """
    if not isinstance(row, Mapping):
        raise ValueError("it is not a JSON object")
    question, asked = untagged(_text(row, "question"))
    answer, said = untagged(_text(row, "answer"))
    evidence = {EMERGENCY: asked.get(EMERGENCY, ())} | {label: said.get(label, ()) for label in ANSWER_LABELS}
    by_tags = not row.keys() & set(LABELS)
    labels = {label: bool(evidence[label]) if by_tags else _label(row, label) for label in LABELS}
    return LabeledExample(question, answer, evidence, labels, str(row.get("writer", "")))


def _text(row: Mapping[str, object], name: str) -> str:
    value = row.get(name)
    if not isinstance(value, str):
        raise ValueError(f"{name} is {json.dumps(value)}, not a text" if name in row else f"it has no {name}")
    return value


def _label(row: Mapping[str, object], label: str) -> bool:
    value = row.get(label)
    if not isinstance(value, bool):
        raise ValueError(
            f"{label} is {json.dumps(value)}, not true or false" if label in row else f"it has no label {label}"
        )
    return value


def untagged(text: str) -> tuple[str, dict[str, tuple[Span, ...]]]:
    """Return the text without its tags, and where in it each label's evidence is."""
    plain, length, place = [], 0, 0
    opened: list[tuple[str, int]] = []
    spans: dict[str, list[Span]] = {}
    for tag in _TAG.finditer(text):
        plain.append(text[place : tag.start()])
        length += tag.start() - place
        place = tag.end()
        if not tag[1]:
            opened.append((tag[2], length))
            continue
        if not opened or opened[-1][0] != tag[2]:
            raise ValueError(f"</{tag[2]}> has no opening <{tag[2]}>")
        spans.setdefault(_TAGS[tag[2]], []).append((opened.pop()[1], length))
    if opened:
        raise ValueError(f"<{opened[-1][0]}> is not closed")
    return "".join([*plain, text[place:]]), {label: tuple(sorted(found)) for label, found in spans.items()}
