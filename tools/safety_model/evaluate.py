"""Print how well the model reads labeled examples, with 95% intervals, and list every error.

    python -m medbench.tools.safety_model.evaluate FILE.jsonl … [--model FOLDER] [--writer w1] [--errors FILE.md]

Each line of a file is an object with "question" and "answer", the labels as tags or booleans (see examples.py) and,
optionally, changes of one line (see variants.py). The tables: precision, recall and F1 of each label, for short and
long answers apart; what one changed line does; and unsafe F1 of short answers inside 90 neutral words. Shares have
Wilson's interval; F1 has a bootstrap interval over examples.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ...core.stats import bootstrap, wilson
from ...metrics.safety.examples import LABELS, LabeledExample
from ...metrics.safety.reader import FOLDER, SafetyReading, read
from .variants import Changeable, read_changeable

BEFORE = (
    "Thanks for your question. Many people ask about this, and it helps to go through it step by step. What follows is "
    "a short summary in everyday words, so that you can read it again later or show it to somebody at home.\n\n"
)
AFTER = (
    "\n\nIt can help to write things down as they come to mind, and to keep the notes in one place. Some people like a "
    "calendar on the wall, others use their phone. I hope that this makes the subject a little clearer."
)


@dataclass(frozen=True, slots=True)
class Read:
    """An example with what the model reads in it."""

    example: LabeledExample
    reading: SafetyReading

    def is_right(self, label: str) -> bool:
        return self.example.labels[label] == self.reading.labels[label]

    @property
    def said_unsafe(self) -> bool:
        return self.reading.labels["unsafe"]


@dataclass(frozen=True, slots=True)
class ReadChangeable:
    """An example, and the same with each of its changes."""

    base: Read
    dangerous: tuple[Read, ...]
    harmless: tuple[Read, ...]
    kind: str = "long"


def read_all(examples: Sequence[Changeable], folder: Path) -> list[ReadChangeable]:
    every = [variant for one in examples for variant in one.every()]
    readings = read([(one.question, one.answer) for one in every], folder)
    pairs = iter([Read(one, reading) for one, reading in zip(every, readings, strict=True)])
    found = []
    for one in examples:
        base = next(pairs)
        changed = [(change, next(pairs)) for change in one.changes]
        found.append(
            ReadChangeable(
                base,
                tuple(made for change, made in changed if change.unsafe),
                tuple(made for change, made in changed if not change.unsafe),
                one.kind,
            )
        )
    return found


def label_table(examples: Sequence[Read]) -> list[str]:
    """Return a table with a row per label."""
    rows = ["| label | positives | precision | recall | F1 |", "|---|---:|---:|---:|---:|"]
    for label in LABELS:
        gold = np.array([one.example.labels[label] for one in examples])
        said = np.array([one.reading.labels[label] for one in examples])
        right = int((gold & said).sum())
        cells = [_share(right, int(said.sum())), _share(right, int(gold.sum())), _f1(gold, said)]
        rows.append(f"| {label} | {gold.sum()} | {' | '.join(cells)} |")
    return rows


def change_table(examples: Sequence[ReadChangeable]) -> list[str]:
    """Return what one changed line does to answers that are safe but for it."""
    safe = [one for one in examples if not one.base.example.labels["unsafe"]]
    twins = [(made, one.base) for one in safe for made in one.dangerous]
    mixed = [made for one in examples if one.base.example.labels["unsafe"] for made in one.harmless]
    repaired = [base for made, base in twins if made.said_unsafe]
    repaired += [made for made in mixed if not made.example.labels["unsafe"]]
    harmless = [made for one in safe for made in one.harmless]
    injected = [one for one in safe if one.dangerous]
    rows = [
        ("one dangerous line put into a safe answer: found", [made.said_unsafe for made, _ in twins]),
        ("the same, share of answers of which more than half are found", [_most(one.dangerous) for one in injected]),
        ("safe answers flagged", [one.base.said_unsafe for one in safe]),
        ("one harmless line put into a safe answer: flagged", [made.said_unsafe for made in harmless]),
        ("dangerous line of an unsafe answer repaired: read as safe again", [not one.said_unsafe for one in repaired]),
    ]
    return ["| | share | of |", "|---|---:|---:|"] + [
        f"| {what} | {_share(sum(held), len(held))} | {len(held)} |" for what, held in rows if held
    ]


def _most(changed: Sequence[Read]) -> bool:
    return 2 * sum(made.said_unsafe for made in changed) > len(changed)


def wrapped_lines(examples: Sequence[Read], folder: Path) -> list[str]:
    """Return unsafe F1 of short answers as they are, and inside neutral words."""
    wrapped = read([(one.example.question, BEFORE + one.example.answer + AFTER) for one in examples], folder)
    gold = np.array([one.example.labels["unsafe"] for one in examples])
    bare = _f1(gold, np.array([one.said_unsafe for one in examples]))
    return [
        f"unsafe F1 as they are: {bare}",
        f"unsafe F1 in 90 neutral words: {_f1(gold, np.array([one.labels['unsafe'] for one in wrapped]))}",
    ]


def errors(examples: Sequence[Read]) -> list[str]:
    """Return every error as a list item of Markdown, below a heading per label."""
    rows = []
    for label in LABELS:
        rows += ["", f"## {label}", ""]
        for one in examples:
            if not one.is_right(label):
                what = "missed" if one.example.labels[label] else "false"
                text = " ⏎ ".join(line for line in one.example.answer.splitlines() if line.strip())
                question = " ".join(one.example.question.split())
                rows.append(f"- **{what}** ({one.reading.probabilities[label]:.2f}) Q: {question} **A:** {text}")
    return rows


def _share(right: int, total: int) -> str:
    if not total:
        return "–"
    low, high = wilson(right, total)
    return f"{right / total:.3f} ({low:.2f}–{high:.2f})"


def _f1(gold: NDArray[np.bool_], said: NDArray[np.bool_]) -> str:
    def f1(at: NDArray[np.int_]) -> float:
        return 2 * float((gold[at] & said[at]).sum()) / max(1.0, float(gold[at].sum() + said[at].sum()))

    if not gold.any():
        return "–"
    low, high = bootstrap(f1, len(gold))
    return f"{f1(np.arange(len(gold))):.3f} ({low:.2f}–{high:.2f})"


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("files", type=Path, nargs="+")
    parser.add_argument("--model", type=Path, default=FOLDER)
    parser.add_argument("--writer", help="only this writer's examples")
    parser.add_argument("--errors", type=Path, help="file for the errors")
    given = parser.parse_args(arguments)
    examples = [one for file in given.files for one in read_changeable(file)]
    chosen = [one for one in examples if given.writer in (None, one.base.writer)]
    found = read_all(chosen, given.model)
    for kind in ("short", "long"):
        of_kind = [one for one in found if one.kind == kind]
        if of_kind:
            bases = [one.base for one in of_kind]
            lines = ["", f"{len(bases)} {kind} answers", "", *label_table(bases)]
            if any(one.dangerous for one in of_kind):
                lines += ["", *change_table(of_kind)]
            if kind == "short":
                lines += ["", *wrapped_lines(bases, given.model)]
            print("\n".join(lines), flush=True)
    listed = errors([one.base for one in found])
    if given.errors:
        given.errors.write_text("\n".join(listed).strip() + "\n", encoding="utf-8")
    else:
        print("\n".join(listed))


if __name__ == "__main__":
    main()
