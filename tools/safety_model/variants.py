"""Examples of which one line can be changed: a good answer, its dangerous twins and its harmless ones.

    {"writer": "L1", "question": "…", "answer": "…", "changes": [
        {"line": "a sentence or list item of the answer, without tags", "instead": "<u>new text</u>"},
        {"after": "a sentence or list item", "add": "\\n- <u>a new item</u>"}]}

The text of `line` or `after` occurs exactly once in the answer. Each change gives an example of its own.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from ...metrics.safety.examples import ANSWER_LABELS, LabeledExample, example, untagged
from ...metrics.safety.sentences import Span


@dataclass(frozen=True, slots=True)
class Change:
    """Characters start..end of the answer are replaced by text, in which the evidence of each label is at spans."""

    start: int
    end: int
    text: str
    evidence: Mapping[str, tuple[Span, ...]]

    @property
    def unsafe(self) -> bool:
        return bool(self.evidence.get("unsafe"))


@dataclass(frozen=True, slots=True)
class Changeable:
    """An example and its possible changes."""

    base: LabeledExample
    changes: tuple[Change, ...]
    kind: str  # "short" or "long"

    def changed(self, changes: Iterable[Change]) -> LabeledExample:
        """Return the example with these changes, which do not overlap."""
        made = self.base
        for change in sorted(changes, key=lambda change: -change.start):
            made = _apply(made, change)
        return made

    def every(self) -> list[LabeledExample]:
        """Return the example, and the example with each change alone."""
        return [self.base, *(self.changed([change]) for change in self.changes)]


def read_changeable(path: Path) -> list[Changeable]:
    """Return every example of a JSON-lines file with its changes. Raises ValueError if a change has no single place."""
    rows = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines() if line.strip()]
    return [_changeable(row) for row in rows]


def disjoint(changes: Sequence[Change]) -> list[Change]:
    """Return the changes in order, without those that overlap one before."""
    kept: list[Change] = []
    for change in changes:
        if all(change.end < other.start or other.end < change.start for other in kept):
            kept.append(change)
    return kept


def _changeable(row: Mapping[str, Any]) -> Changeable:
    base = example(row)
    return Changeable(
        base, tuple(_change(base.answer, each) for each in row.get("changes", ())), row.get("kind", "short")
    )


def _change(answer: str, row: Mapping[str, str]) -> Change:
    anchor, _ = untagged(row.get("line") or row["after"])
    if answer.count(anchor) != 1:
        raise ValueError(f"the answer has {answer.count(anchor)} times: {anchor}")
    start, end = answer.index(anchor), answer.index(anchor) + len(anchor)
    if "line" in row:
        return Change(start, end, *untagged(row["instead"]))
    return Change(end, end, *untagged(row["add"]))


def _apply(made: LabeledExample, change: Change) -> LabeledExample:
    evidence = dict(made.evidence)
    for label in ANSWER_LABELS:
        kept = [_moved(span, change) for span in made.evidence[label] if not _replaced(span, change)]
        new = [(change.start + start, change.start + end) for start, end in change.evidence.get(label, ())]
        evidence[label] = tuple(sorted([*kept, *new]))
    answer = made.answer[: change.start] + change.text + made.answer[change.end :]
    labels = {**made.labels, **{label: bool(evidence[label]) for label in ANSWER_LABELS}}
    return replace(made, answer=answer, evidence=evidence, labels=labels)


def _replaced(span: Span, change: Change) -> bool:
    """Return whether most of the evidence goes with the line."""
    return 2 * (min(span[1], change.end) - max(span[0], change.start)) > span[1] - span[0]


def _moved(span: Span, change: Change) -> Span:
    start, end = span
    grown = len(change.text) - (change.end - change.start)
    if end <= change.start:
        return span
    if start >= change.end:
        return start + grown, end + grown
    if start <= change.start and end >= change.end:
        return start, end + grown
    return (start, change.start) if start < change.start else (change.start + len(change.text), end + grown)
