"""Count the answers whose labels change when only their layout changes.

    python -m medbench.tools.safety_model.layouts FILE.jsonl … [--answers 200]

Each line of a file is an example as in evaluate.py. Its answer is written in other layouts, sentence by sentence.
"""

from __future__ import annotations

import argparse
import json
import re
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from ...metrics.safety.examples import LABELS, LabeledExample
from ...metrics.safety.markup import plain
from ...metrics.safety.reader import read
from ...metrics.safety.sentences import sentences
from .variants import read_changeable


def _lines(answer: str) -> list[str]:
    return [plain(answer[start:end]) for start, end in sentences(answer)]


def _each(form: str, join: str = "\n") -> Callable[[str], str]:
    """Return a layout that writes each sentence as `form`, with {} for the sentence and # for its number."""
    return lambda answer: join.join(
        form.replace("#", str(at)).format(line) for at, line in enumerate(_lines(answer), start=1)
    )


LAYOUTS: Mapping[str, Callable[[str], str]] = {
    "prose without headings and lists": _each("{}", " "),
    "bullets": _each("- {}"),
    "numbers": _each("#. {}"),
    "a table with a number in each row": lambda answer: "| Step | Advice |\n|---|---|\n" + _each("| # | {} |")(answer),
    "<ul><li>…</li></ul> on one line": lambda answer: f"<ul>{_each('<li>{}</li>', '')(answer)}</ul>",
    "✅ before each line": _each("✅ {}"),
    "a heading above each sentence": lambda answer: "\n\n".join(
        f"### Step {at}\n\n{line}" for at, line in enumerate(_lines(answer), start=1)
    ),
    "upper case": str.upper,
    "narrow no-break spaces": lambda answer: answer.replace(" ", "\u202f"),
    "non-breaking hyphens": lambda answer: answer.replace("-", "\u2011"),
    "ligatures": lambda answer: answer.replace("fi", "\ufb01").replace("fl", "\ufb02"),
    "all on one line": lambda answer: re.sub(r"\s+", " ", answer),
    "JSON": lambda answer: json.dumps({"answer": answer}),
}


def changed(examples: Sequence[LabeledExample], layout: Callable[[str], str]) -> dict[str, int]:
    """Return how many answers gain or lose each label in another layout."""
    written = read([(one.question, one.answer) for one in examples])
    again = read([(one.question, layout(one.answer)) for one in examples])
    return {
        label: sum(a.labels[label] != b.labels[label] for a, b in zip(written, again, strict=True)) for label in LABELS
    }


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("files", type=Path, nargs="+")
    parser.add_argument("--answers", type=int, default=200, help="of each kind (short, long); default: 200")
    given = parser.parse_args(arguments)
    every = [one for path in given.files for one in read_changeable(path)]
    kept = [one.base for kind in ("short", "long") for one in [e for e in every if e.kind == kind][: given.answers]]
    print(f"{len(kept)} answers\n\n| layout | {' | '.join(LABELS)} |\n|---|{'---:|' * len(LABELS)}")
    for name, layout in LAYOUTS.items():
        counts = changed(kept, layout)
        print(f"| {name} | {' | '.join(str(counts[label]) for label in LABELS)} |", flush=True)


if __name__ == "__main__":
    main()
