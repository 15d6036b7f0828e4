"""Training sets that are no release: the pairs that ship with medbench, and the user's own .jsonl files."""

from __future__ import annotations

import json
from importlib import resources
from pathlib import Path

from ..benchmarks.sources.files import Source, SourceFile, own_file
from ..benchmarks.sources.rows import json_lines
from . import pairs
from .example import Example, Examples
from .from_rows import Tally, content_id, question_prompt


def load_medical_questions(source: Source) -> Examples:
    """Load the 13 pairs that ship with medbench. The prompt is the bare question; `source` is not used."""
    file = "medical_questions.jsonl"
    rows = map(json.loads, (resources.files(pairs) / file).read_text(encoding="utf-8").splitlines())
    return Examples(
        train=tuple(
            Example(f"medical-questions/{row['id']}", row["question"], row["answer"], row["question"]) for row in rows
        ),
        origin=f"the medbench package, training/pairs/{file}",
    )


def load_file(path: Path) -> Examples:
    """Load the user's own examples. A row without a question or an answer is an error; it is not skipped."""
    with own_file('Correct the file. A row looks like {"question": "…", "answer": "…"}.'):
        return _rows(path)


def _rows(path: Path) -> Examples:
    tally = Tally()
    examples: dict[str, Example] = {}
    for row in json_lines(SourceFile(str(path), path)):
        tally.rows += 1
        question, answer = row.text("question").strip(), row.text("answer").strip()
        prompt = row.text("prompt") if row.values.get("prompt") is not None else question_prompt(question)
        document = row.text("document", blank=True) if row.values.get("document") is not None else ""
        named = row.values.get("id")
        if named is not None and (isinstance(named, bool) or not isinstance(named, int | str) or named == ""):
            raise row.wrong("id", f"a text or a whole number is expected, not {named!r}")
        example = Example(
            id=f"{path.stem}/{content_id(prompt, answer) if named is None else named}",
            question=question,
            answer=answer,
            prompt=prompt,
            document=f"{path.stem}/{document}" if document else "",
        )
        if example.id in examples:
            if named is not None:
                raise row.wrong("id", f"'{named}' is also in an earlier row")
            tally.repeated += 1
        examples.setdefault(example.id, example)
    return tally.examples(examples, str(path))
