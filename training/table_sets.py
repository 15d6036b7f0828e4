"""Training sets published as tables with a question column and an answer column."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass

from ..benchmarks.sources.files import Source, SourceFile
from ..benchmarks.sources.rows import Row, hub_rows, json_lines, json_rows, parquet_rows
from .example import Example, Examples
from .from_rows import Tally, content_id, question_prompt, text


@dataclass(frozen=True)
class Table:
    """Where the rows of a set are, and in which columns."""

    folder: str  # in the data folder; any .json, .jsonl or .parquet file in a folder of this name also works
    files: tuple[str, ...]  # names of released files, preferred ones first
    question: str = "input"
    answer: str = "output"
    instruction: str = ""  # a column with an instruction for the start of the prompt
    asked: str = "{question}"  # template around the question
    config: str | None = None  # of the hub repository
    tail: str = ""  # pattern of text at the end of many answers that is not part of them


def load(name: str, hub: str, table: Table, source: Source) -> Examples:
    """Load the set `name`, from the data folder or else from the hub repository `hub`."""
    rows, origin, notes = _rows(name, hub, table, source)
    tally = Tally()
    examples: dict[str, Example] = {}
    for row in rows:
        tally.rows += 1
        asked, answer = text(row, table.question), text(row, table.answer)
        if table.tail:
            answer = re.sub(table.tail, "", answer)
        if not asked or not answer:
            tally.empty += 1
            continue
        question = table.asked.format(question=asked)
        prompt = question_prompt(question, text(row, table.instruction) if table.instruction else "")
        example = Example(f"{name}/{content_id(prompt, answer)}", question, answer, prompt)
        if example.id in examples:
            tally.repeated += 1
        examples.setdefault(example.id, example)
    return tally.examples(examples, origin, notes)


def _rows(name: str, hub: str, table: Table, source: Source) -> tuple[Iterable[Row], str, tuple[str, ...]]:
    kinds = ("parquet", "jsonl", "json")
    for pattern in (*table.files, *(f"{table.folder}/*.{kind}" for kind in kinds)):
        files = [file for file in source.files(table.folder, pattern) if not _is_card(file)]
        if files:
            rows = (row for file in files for row in _rows_of(file))
            return rows, ", ".join(file.origin for file in files), tuple(filter(None, map(_caveat, files)))
    found = source.hub(hub, "train", table.config, needed=f"{table.files[0]} (training set {name})")
    return hub_rows(found), found.origin, ()


def _rows_of(file: SourceFile) -> Iterable[Row]:
    if file.path.endswith(".parquet"):
        return parquet_rows(file)
    return json_lines(file) if file.path.endswith(".jsonl") else json_rows(file)


def _is_card(file: SourceFile) -> bool:
    return file.path.endswith(("dataset_info.json", "dataset_infos.json"))


def _caveat(file: SourceFile) -> str:
    """Return a note on a file whose content differs from what the name of the set suggests."""
    if re.search(r"chatdoctor5k[^/]*$", file.path):
        return (
            "chatdoctor5k.json contains the dialogues that ChatGPT wrote for ChatDoctor (GenMedGPT-5k), not those of "
            "HealthCareMagic, which are in the hub copy."
        )
    return ""
