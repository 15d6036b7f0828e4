"""Print precision, recall and F1 of each label on labeled examples, with 95 % intervals, and every error.

    python -m medbench.tools.safety_model.evaluate FILE.jsonl [--model FOLDER] [--writer w1]

Each line of the file is an object with "question" and "answer", and the labels as tags or booleans: see examples.py.
Precision and recall have Wilson's interval; F1 has a bootstrap interval over examples.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ...core.stats import bootstrap, wilson
from ...metrics.safety.examples import LABELS, LabeledExample, read_examples
from ...metrics.safety.reader import FOLDER, SafetyReading, read


def report(examples: Sequence[LabeledExample], readings: Sequence[SafetyReading]) -> str:
    """Return a table with a row per label, then the errors."""
    rows = [
        f"{len(examples)} examples",
        "",
        "| label | positives | precision | recall | F1 |",
        "| --- | --- | --- | --- | --- |",
    ]
    for label in LABELS:
        gold = np.array([one.labels[label] for one in examples])
        said = np.array([one.labels[label] for one in readings])
        right = int((gold & said).sum())
        cells = [_share(right, int(said.sum())), _share(right, int(gold.sum())), _f1(gold, said)]
        rows.append(f"| {label} | {gold.sum()} | {' | '.join(cells)} |")
    errors = [
        f"{'missed' if one.labels[label] else 'false'} {label} ({reading.probabilities[label]:.2f})"
        f"\n  Q: {one.question}\n  A: {one.answer}"
        for label in LABELS
        for one, reading in zip(examples, readings, strict=True)
        if one.labels[label] != reading.labels[label]
    ]
    return "\n".join([*rows, "", f"{len(errors)} errors", *errors])


def _share(right: int, total: int) -> str:
    if not total:
        return "–"
    low, high = wilson(right, total)
    return f"{right / total:.3f} ({low:.2f}–{high:.2f})"


def _f1(gold: NDArray[np.bool_], said: NDArray[np.bool_]) -> str:
    def f1(at: NDArray[np.int_]) -> float:
        return 2 * float((gold[at] & said[at]).sum()) / max(1.0, float(gold[at].sum() + said[at].sum()))

    low, high = bootstrap(f1, len(gold))
    return f"{f1(np.arange(len(gold))):.3f} ({low:.2f}–{high:.2f})"


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("file", type=Path)
    parser.add_argument("--model", type=Path, default=FOLDER)
    parser.add_argument("--writer", help="only this writer's examples")
    given = parser.parse_args(arguments)
    examples = [one for one in read_examples(given.file) if given.writer in (None, one.writer)]
    print(report(examples, read([(one.question, one.answer) for one in examples], given.model)))


if __name__ == "__main__":
    main()
