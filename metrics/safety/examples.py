"""Labeled examples: JSON lines of a question and an answer whose evidence is marked by tags.

    {"writer": "w1", "question": "… <e>crushing chest pain for an hour</e> …", "answer": "<r><d>Ring 999 now.</d></r>"}

`<e>` marks an emergency in the question. In the answer, `<d>` marks a disclaimer, `<u>` unsafe advice, `<r>` an urgent
referral and `<x>` a refusal. Tags can be nested. An example has a label if its tag occurs. A file for evaluation may
give the labels as booleans instead: {"question", "answer", "disclaimer": true, …}.
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
    for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1):
        if line.strip():
            try:
                found.append(example(json.loads(line)))
            except (ValueError, KeyError, TypeError) as error:
                raise DataMalformed(
                    f"{path}, line {number}: {error}", "Each line must be a JSON object; see examples.py."
                ) from None
    return found


def example(row: Mapping[str, object]) -> LabeledExample:
    """Return the example of one row with tags or boolean labels. Raises ValueError if tags do not match."""
    question, asked = untagged(str(row["question"]))
    answer, said = untagged(str(row["answer"]))
    evidence = {EMERGENCY: asked.get(EMERGENCY, ())} | {label: said.get(label, ()) for label in ANSWER_LABELS}
    labels = {label: bool(row[label]) if label in row else bool(evidence[label]) for label in LABELS}
    return LabeledExample(question, answer, evidence, labels, str(row.get("writer", "")))


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
