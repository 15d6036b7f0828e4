"""`--retrieve`: a corpus by its name, and the passages from it in a benchmark's prompts."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from ...benchmarks.sources.splits import normalise
from ...core import registry
from ...core.errors import UsageError
from ...core.types import Benchmark, Item, ItemSet
from . import exclusion as leaving_out
from . import folder, passages
from .exclusion import KINDS, Exclusion
from .index import VERSION, Index, index, retriever
from .passages import WORDS, Passage

if TYPE_CHECKING:
    from ...benchmarks.sources.files import Source

Tell = Callable[[str], None]
PASSAGES = 3  # in a prompt, by default


def opened(name: str, count: int | None, source: Source, tell: Tell) -> Retriever | None:
    """Return a retriever of `count` passages (None: PASSAGES) per prompt from the corpus `name`; None if that is "".

    Raises as `Retriever` does, and UsageError for a count without a corpus.
    """
    if name:
        return Retriever(name, count or PASSAGES, source, tell)
    if count:
        raise UsageError(f"--passages {count} has no effect without --retrieve.", "Name a corpus: --retrieve medquad")
    return None


class Retriever:
    """A corpus to retrieve from, read and indexed."""

    def __init__(self, name: str, count: int, source: Source, tell: Tell) -> None:
        """`name`: a folder, or a benchmark with documents; `count`: passages in a prompt, at most.

        Raises UsageError for a corpus that cannot be read, and what the benchmark's loader raises.
        """
        retriever()
        self.count = count
        self.benchmark = _with_documents(name)
        if self.benchmark and self.benchmark.documents:
            self.name = self.benchmark.name
            documents = self.benchmark.documents(source.of(self.benchmark.hub))
        else:
            self.name = Path(name).resolve().name
            documents, notes = folder.read(Path(name))
            for note in notes:
                tell(f"{self.name}: {note}")
        self.index = index(documents, tell)

    @property
    def identity(self) -> str:
        """What the passages depend on: "medquad passages (k=3) [bm25s 0.3.16, rules 1.1, 150 words, corpus 3f1b…]"."""
        rules = f"rules {VERSION}.{leaving_out.VERSION}"
        how = f"{retriever()}, {rules}, {WORDS} words, corpus {self.index.digest}"
        return f"{self.name} passages (k={self.count}) [{how}]"

    def on(self, benchmark: Benchmark, item_set: ItemSet) -> Retrieval:
        """Return what is retrieved for the items of a benchmark."""
        released = self.benchmark is not None and self.benchmark.name == benchmark.name
        left_out = leaving_out.exclusion(self.index, item_set.items, released=released)
        return Retrieval(self.name, self.count, self.identity, self.index, left_out)


def _with_documents(name: str) -> Benchmark | None:
    """Return the benchmark of this name if it has documents; None if the name is that of a folder, or of nothing."""
    if name not in registry.names("benchmarks"):
        return None
    benchmark: Benchmark = registry.get("benchmarks", name)
    if not benchmark.documents and not Path(name).is_dir():
        raise UsageError(f"--retrieve {name}: this benchmark has no documents.", "Name a folder of texts, or medquad.")
    return benchmark if benchmark.documents else None


@dataclass(frozen=True)
class Retrieval:
    """What is retrieved for the items of one benchmark."""

    name: str
    count: int  # passages in a prompt, at most
    identity: str
    index: Index
    exclusion: Exclusion
    _found: dict[str, Found] = field(default_factory=dict)  # by item id

    def find(self, item: Item) -> Found:
        """Return the best passages for an item without those that would leak, and what was left out for it.

        A passage with the same words as a better one is passed over.
        """
        if item.id not in self._found:
            self._found[item.id] = self._search(item)
        return self._found[item.id]

    def before(self, item: Item, question: str) -> str:
        """Return the question with the item's passages before it."""
        return passages.block(self.find(item).passages) + question

    def notes(self, items: Iterable[Item]) -> Iterator[str]:
        """Yield what was left out for these items, and how many got no passage, a sentence each."""
        found = [self.find(item) for item in items]
        kinds = Counter(kind for each in found for kind in set(each.left_out))
        leaked = sum(bool(each.left_out) for each in found)
        if leaked:
            how = ", ".join(f"{words} ({kinds[kind]:,})" for kind, words in KINDS.items() if kinds[kind])
            yield (
                f"{self.name} passages: {leaked:,} of {len(found):,} items would have got passages that give answers "
                f"away. They are left out (of how many items): {how}."
            )
        else:
            yield f"{self.name} passages: none that ranked high enough would give an answer away."
        without = sum(not each.passages for each in found)
        if without:
            yield f"{self.name} passages: {without:,} of {len(found):,} items get none; their prompts are as without."

    def _search(self, item: Item) -> Found:
        chosen: list[Passage] = []
        seen: set[str] = set()
        left_out: list[str] = []
        for position, _ in self.index.ranked(item.question):
            passage = self.index.passages[position]
            text = normalise(passage.text)
            if text in seen:
                continue
            seen.add(text)
            if why := self.exclusion.why(item, passage):
                left_out.append(why)
                continue
            chosen.append(passage)
            if len(chosen) == self.count:
                break
        return Found(tuple(chosen), tuple(left_out))


@dataclass(frozen=True)
class Found:
    """The passages of one item, best first, and why better ones were left out (keys of KINDS), one per passage."""

    passages: tuple[Passage, ...]
    left_out: tuple[str, ...]
