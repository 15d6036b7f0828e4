"""How right the choice reader is on labeled replies: `python tests/replies/measure.py [FILE.jsonl …]`.

Each line of a file holds `options`, `labels`, `finish`, `text` and `answer`, the label (or the option's own words) that
a careful person reads off the text, or null where it states no single answer.
"""

from __future__ import annotations

import json
import sys
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from medbench.metrics.choice_extraction import ChoiceReading, read_choice

KINDS = (
    "fields",
    "final",
    "stated",
    "lone",
    "judged",
    "verdicts",
    "concluded",
    "opening",
    "closing",
    "claimed",
    "mentioned",
)
REPLIES = Path(__file__).parent / "replies.jsonl"


@dataclass(frozen=True)
class Outcome:
    """One labeled reply and what was read off it."""

    row: dict[str, Any]
    read: str | None
    reading: ChoiceReading

    @property
    def wrong(self) -> bool:
        return self.read is not None and self.read != self.row["answer"]

    @property
    def unread(self) -> bool:
        return self.read is None and self.row["answer"] is not None


def outcomes(paths: Iterable[Path] = (REPLIES,)) -> list[Outcome]:
    found = []
    for path in paths:
        for line in path.read_text(encoding="utf-8").splitlines():
            row = json.loads(line)
            reading = read_choice(row["text"], row["options"], row["labels"], cut=row["finish"] == "length")
            names = row["labels"] or row["options"]
            found.append(Outcome(row, None if reading.index is None else names[reading.index], reading))
    return found


def table(found: Sequence[Outcome]) -> str:
    """Per kind of evidence: replies it decided, how many right, its precision, and its share of the stated answers."""
    stated = sum(one.row["answer"] is not None for one in found)
    decided = Counter(one.reading.kind for one in found if one.read is not None)
    right = Counter(one.reading.kind for one in found if one.read is not None and not one.wrong)
    lines = ["| evidence | decided | right | precision | recall |", "|---|---|---|---|---|"]
    for kind in (*(kind for kind in KINDS if kind in decided), "all"):
        all_of_it = kind == "all"
        n, ok = (sum(decided.values()), sum(right.values())) if all_of_it else (decided[kind], right[kind])
        lines.append(f"| {kind} | {n} | {ok} | {ok / max(n, 1):.3f} | {ok / max(stated, 1):.3f} |")
    wrong, unread = sum(one.wrong for one in found), sum(one.unread for one in found)
    lines.append(f"\n{len(found)} replies, {stated} state an answer: {wrong} wrong labels, {unread} unread.")
    return "\n".join(lines)


if __name__ == "__main__":
    results = outcomes([Path(name) for name in sys.argv[1:]] or [REPLIES])
    for outcome in results:
        if outcome.wrong or outcome.unread:
            what = "wrong" if outcome.wrong else "unread"
            read = outcome.read or outcome.reading.reason
            print(f"{what}: {outcome.row['id']}, right {outcome.row['answer']}, read {read}")
    print(table(results))
