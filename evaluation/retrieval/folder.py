"""A folder as a corpus: the texts and tables in it, as documents.

    .txt, .md                       one document; a Markdown file has one for each heading
    .jsonl, .json, .csv, .parquet   one document for each row, from the columns named below

Files of other kinds are skipped and counted.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path

from ...benchmarks.sources.files import SourceFile, files_below
from ...benchmarks.sources.rows import Row, headed_rows, json_lines, json_rows, parquet_rows
from ...core.errors import DataMalformed, UsageError
from ...core.types import Document

# The first of these columns that a row has. Those of pyserini, MedRAG and question-answer tables are among them.
TEXT = ("text", "passage", "contents", "content", "answer", "output")
HEADING = ("heading", "title", "question", "input")
SOURCE = ("source", "url")
TABLES: Mapping[str, Callable[[SourceFile], Iterable[Row]]] = {
    ".jsonl": json_lines,
    ".json": json_rows,
    ".csv": headed_rows,
    ".parquet": parquet_rows,
}
KINDS = (".txt", ".md", *TABLES)
_HEADING = re.compile(r" {0,3}#{1,6}\s+(.*?)\s*#*\s*")


def read(folder: Path) -> tuple[tuple[Document, ...], tuple[str, ...]]:
    """Return the documents of a folder, in the order of their files' names, and notes on what was skipped.

    Raises UsageError for a folder that is missing or without a text, and for a file that cannot be read.
    """
    if not folder.is_dir():
        what = "it is a file, not a folder" if folder.exists() else "there is no such folder"
        raise UsageError(f"--retrieve {folder}: {what}.", "Name a folder of texts, or medquad.")
    documents: list[Document] = []
    skipped: Counter[str] = Counter()
    for path in files_below(folder):
        if path.suffix.lower() not in KINDS:
            skipped[path.suffix.lower() or path.name] += 1
            continue
        try:
            documents += _read(SourceFile(path.relative_to(folder).as_posix(), path))
        except DataMalformed as error:
            fix = f"Fix the file, or move it out of {folder}."
            raise UsageError(f"--retrieve {folder}: {error.message.rstrip('.')}.", fix) from error
    if not documents:
        found = f" It has {_counted(skipped)}." if skipped else " It is empty."
        raise UsageError(f"--retrieve {folder}: no text is in it.{found}", f"Files that are read: {', '.join(KINDS)}.")
    return tuple(documents), (f"skipped, because they are not texts: {_counted(skipped)}",) if skipped else ()


def _counted(kinds: Counter[str]) -> str:
    return ", ".join(f"{count:,} {kind} file{'s' * (count > 1)}" for kind, count in sorted(kinds.items()))


def _read(file: SourceFile) -> Iterator[Document]:
    suffix = file.disk.suffix.lower()
    if suffix in TABLES:
        for number, row in enumerate(TABLES[suffix](file), start=1):
            yield from _row(file.path, number, row)
        return
    text = file.text()
    if "\0" in text:
        raise DataMalformed(f"{file.origin} holds NUL characters, so it is not a text.")
    if suffix == ".txt":
        sections: Iterable[tuple[str, str]] = [("", text)]
    else:
        sections = _sections(text)
    for number, (heading, content) in enumerate(sections, start=1):
        if content.strip():
            name = file.path if suffix == ".txt" else f"{file.path}#{number}"
            yield Document(name, content, heading, file.path, file.path)


def _sections(text: str) -> Iterator[tuple[str, str]]:
    """Yield (heading, text) of each section of a Markdown text; what is before the first heading has none."""
    heading, lines, code = "", list[str](), False
    for line in text.splitlines():
        code ^= line.lstrip().startswith("```")
        found = None if code else _HEADING.fullmatch(line)
        if found:
            yield heading, "\n".join(lines)
            heading, lines = found[1], []
        else:
            lines.append(line)
    yield heading, "\n".join(lines)


def _row(path: str, number: int, row: Row) -> Iterator[Document]:
    text = _first(row, TEXT)
    if text is None:
        columns = ", ".join(map(str, row.values)) or "nothing"
        raise DataMalformed(f"{row.where}: it has none of the columns {', '.join(TEXT)}. It has: {columns}")
    if text.strip():
        name = f"{path}#{number}"
        yield Document(name, text, _first(row, HEADING) or "", _first(row, SOURCE) or name, name)


def _first(row: Row, names: Sequence[str]) -> str | None:
    """Return the text of the first of these columns that the row has. Raises DataMalformed for another type."""
    name = next((name for name in names if row.values.get(name) is not None), None)
    return None if name is None else row.text(name, blank=True)
