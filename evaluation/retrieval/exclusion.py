"""Which passages an item must not get, because they would give its answer away.

question  contains the item's question, or one of its references, whole           } as in the leak check
words     shares 13 consecutive words with the item's question or context         } of training data:
reworded  answers the same question in other words                                } `benchmarks/leaks.py`
copy      nearly repeats a reference: half of its words, or half of the reference's words, are in runs of 13 words
          that both have. References of fewer words are compared as a whole.
own       of a document of any scored item, if the corpus is the benchmark's own release

What an item must not get depends on the corpus and on all items of the benchmark, not on which of them a run asks.
"""

from __future__ import annotations

import contextlib
import json
from collections.abc import Sequence
from dataclasses import dataclass

from ...benchmarks import leaks
from ...benchmarks.leaks import GRAM
from ...benchmarks.sources.splits import normalise
from ...core import durable, json_text
from ...core.hashing import fingerprint_each
from ...core.types import Item
from .index import Index
from .passages import Passage

VERSION = 1  # raised whenever other passages are left out
COPIED = 0.5  # share of a text's words
KINDS = {
    "question": "with the question or the answer word for word",
    "words": f"with {GRAM} consecutive words of the question or its context",
    "reworded": "on the same question in other words",
    "copy": "that nearly repeat the answer",
    "own": "of documents from which other scored items are",
}


@dataclass(frozen=True)
class Exclusion:
    """For the items of one benchmark and one corpus: why a passage is left out."""

    own: frozenset[str]  # documents
    held: dict[str, dict[str, frozenset[str]]]  # kind -> item id -> passage ids

    def why(self, item: Item, passage: Passage) -> str:
        """Return the kind of leak; "" if the item may get the passage."""
        for kind, by_item in self.held.items():
            if passage.id in by_item.get(item.id, ()):
                return kind
        if any(copies(passage.text, reference) for reference in item.references):
            return "copy"
        return "own" if passage.document in self.own else ""


def exclusion(index: Index, items: Sequence[Item], *, released: bool) -> Exclusion:
    """Search a corpus for a benchmark's scored items. The result is kept beside the index.

    `released`: whether the corpus is the release of this benchmark, so that document names mean the same in both.
    """
    own = frozenset(item.meta["document"] for item in items if released and "document" in item.meta)
    known = fingerprint_each([i.id, i.question, i.context, i.options, i.labels, i.gold, i.references] for i in items)
    kept = index.folder / f"leaks-{VERSION}-{known}.json"
    try:
        stored = json_text.loads(kept.read_bytes())
        return Exclusion(own, {kind: {i: frozenset(ids) for i, ids in of.items()} for kind, of in stored.items()})
    except (OSError, ValueError, AttributeError, TypeError):
        pass
    found = leaks.search(index.passages, items)
    kinds = {"question": found.exact, "words": found.ngram, "reworded": found.near}
    held = {
        kind: {items[number].id: frozenset(ids) for number, ids in sorted(by_item.items())}
        for kind, by_item in kinds.items()
    }
    if index.folder.is_dir():
        written = {kind: {item: sorted(ids) for item, ids in by_item.items()} for kind, by_item in held.items()}
        with contextlib.suppress(OSError):  # without a writable cache, only time is lost
            durable.replace_file(kept, json.dumps(written).encode())
    return Exclusion(own, held)


def copies(text: str, reference: str) -> bool:
    """Return whether a text nearly repeats a reference."""
    words, wanted = normalise(text).split(), normalise(reference).split()
    if len(wanted) < GRAM or len(words) < GRAM:
        return words == wanted
    shared = _grams(words) & _grams(wanted)
    return bool(shared) and (_covered(words, shared) >= COPIED or _covered(wanted, shared) >= COPIED)


def _grams(words: Sequence[str]) -> set[tuple[str, ...]]:
    return {tuple(words[at : at + GRAM]) for at in range(len(words) - GRAM + 1)}


def _covered(words: Sequence[str], shared: set[tuple[str, ...]]) -> float:
    """Return the share of words that are in one of the shared runs."""
    covered = {
        at + offset
        for at in range(len(words) - GRAM + 1)
        if tuple(words[at : at + GRAM]) in shared
        for offset in range(GRAM)
    }
    return len(covered) / len(words)
