"""Passages: parts of documents, short enough that a few of them fit into a prompt."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from ...benchmarks.sources.splits import one_spaced
from ...core.types import Document
from ...metrics.safety.sentences import sentences

# Words in a passage. MedRAG (Xiong et al. 2024, arXiv:2402.13178) cuts its corpora at 1,000 characters, which is about
# as long. Changing this, or how documents are cut, changes the identity of runs.
WORDS = 150
_BLANK_LINE = re.compile(r"\n\s*\n")


@dataclass(frozen=True, slots=True)
class Passage:
    """A part of a document. It is a text that `benchmarks.leaks` can search."""

    id: str
    text: str
    heading: str
    source: str
    document: str

    @property
    def question(self) -> str:
        """What the passage answers; without a heading, it may be a question itself."""
        return self.heading or self.text

    @property
    def prompt(self) -> str:
        return self.heading

    @property
    def answer(self) -> str:
        return self.text


def cut(document: Document, words: int = WORDS) -> list[Passage]:
    """Return a document as passages of at most `words` words, each with the document's heading and source.

    Passages end between paragraphs. A paragraph with more words is cut between sentences, and a sentence between words.
    """
    heading = one_spaced(document.heading)
    texts = list(_packed(document.text, words))
    return [
        Passage(
            document.id if len(texts) == 1 else f"{document.id}~{number}",
            text,
            heading,
            one_spaced(document.source),
            document.document or document.id,
        )
        for number, text in enumerate(texts, start=1)
    ]


def _packed(text: str, words: int) -> Iterator[str]:
    held, count = "", 0
    for piece, opens in _pieces(text, words):
        length = len(piece.split())
        if held and count + length > words:
            yield held
            held, count = "", 0
        held += ("\n" if opens else " ") * bool(held) + piece
        count += length
    if held:
        yield held


def _pieces(text: str, words: int) -> Iterator[tuple[str, bool]]:
    """Yield parts of at most `words` words, each with whether it opens a paragraph."""
    for paragraph in map(one_spaced, _BLANK_LINE.split(text)):
        if not paragraph:
            continue
        if len(paragraph.split()) <= words:
            yield paragraph, True
            continue
        first = True
        for start, end in sentences(paragraph):
            for part in _by_words(paragraph[start:end], words):
                yield part, first
                first = False


def _by_words(sentence: str, words: int) -> list[str]:
    split = sentence.split()
    return [" ".join(split[at : at + words]) for at in range(0, len(split), words)]


def block(passages: Sequence[Passage]) -> str:
    """Return passages as a prompt shows them, before the question; "" for none."""
    if not passages:
        return ""
    shown = [
        f"[{number}] ({passage.source}) {passage.heading}\n{passage.text}"
        if passage.heading
        else f"[{number}] ({passage.source})\n{passage.text}"
        for number, passage in enumerate(passages, start=1)
    ]
    return "\n\n".join(["Passages:", *shown]) + "\n\n"
