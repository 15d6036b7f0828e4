"""The leak check: search the training texts for the items of every benchmark whose data is available."""

from __future__ import annotations

import dataclasses
import functools
import time
from collections import Counter
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from ..benchmarks import leaks
from ..core import registry
from ..core.checked import checked
from ..core.errors import MedbenchError, UsageError
from ..core.text import clock
from ..core.types import Item
from .data import StageData
from .example import Example
from .leak_refusal import refusal

if TYPE_CHECKING:
    from ..benchmarks.sources.files import Source

Tell = Callable[[str], None]
LINE_SECONDS = 10.0  # the shortest time between two progress lines
LeftOut = Mapping[str, Sequence[str]]  # id of an example that is not trained on -> the items it contains


def _silent(line: str) -> None:
    """Ignore a progress line."""


@dataclass(frozen=True)
class Checked:
    """The scored items found in the training texts, by benchmark, and why other benchmarks were not checked."""

    found: Mapping[str, leaks.Leaks] = field(default_factory=dict)
    unchecked: Mapping[str, str] = field(default_factory=dict)


def check(stages: Sequence[StageData], source: Source, allowed: Collection[str], tell: Tell) -> Checked:
    """Search the training texts for every installed benchmark's items. Raises UsageError for a leak that is refused."""
    tell("leak check: searching the training texts for the items of every benchmark")
    items, unchecked = scored_items(source, tell)
    found = leaks.find(_examples(stages), items, _Steps(tell, "training texts searched"))
    if why := refusal(found, allowed):
        raise UsageError(why)
    for name, leak in found.items():
        if leak.all:
            kinds = (
                ("the same question", leak.exact),
                ("13 consecutive words", leak.ngram),
                ("nearly the same", leak.near),
            )
            how = ", ".join(f"{len(ids):,} {kind}" for kind, ids in kinds if ids)
            count = f"{len(leak.all):,} of {len(items[name]):,} items of {name}"
            tell(f"leak check: {count} are in the training texts ({how})")
    if unchecked:
        checks = f"{len(found)} of {len(found) + len(unchecked)} benchmarks were checked"
        tell(f"leak check: {checks}; the data of the others could not be read")
    return Checked(found, unchecked)


def to_leave_out(
    stages: Sequence[StageData], source: Source, allowed: Collection[str], tell: Tell = _silent
) -> dict[str, tuple[str, ...]]:
    """Return the examples that contain scored items of benchmarks that are not `allowed`, each with these items.

    Without these examples the leak check finds nothing. The search repeats after each removal: words in more than ten
    documents count as boilerplate, and may no longer do so when fewer documents are left.
    """
    items = {name: some for name, some in scored_items(source, tell)[0].items() if name not in allowed}
    examples = _examples(stages)
    found: dict[str, tuple[str, ...]] = {}
    while True:
        rest = [example for example in examples if example.id not in found]
        more = leaks.holders(rest, items, _Steps(tell, "training texts searched"))
        if not more:
            return found
        found |= more


def without(data: StageData, left_out: LeftOut) -> StageData:
    """Return a stage's data without these examples, and with a note of how many they are."""
    kept = tuple(example for example in data.train if example.id not in left_out)
    if len(kept) == len(data.train):
        return data
    mine = {example.id: left_out[example.id] for example in data.train if example.id in left_out}
    count = f"{len(mine):,} of {len(data.train):,} examples"
    note = f"{count} are left out because they contain scored items: {words(mine)}."
    return dataclasses.replace(data, train=kept, notes=(*data.notes, note))


def words(left_out: LeftOut) -> str:
    """Return how many items of each benchmark these examples contain: "12 of medquad, 1 of liveqa"."""
    items = {item for some in left_out.values() for item in some}
    counts = Counter(item.partition("/")[0] for item in items)
    return ", ".join(f"{count:,} of {name}" for name, count in sorted(counts.items()))


def scored_items(source: Source, tell: Tell = _silent) -> tuple[dict[str, Sequence[Item]], dict[str, str]]:
    """Return the items of every installed benchmark, by name, and why others could not be read."""
    items: dict[str, Sequence[Item]] = {}
    unchecked: dict[str, str] = {}
    names = registry.names("benchmarks")
    step = _Steps(tell, "benchmarks read")
    for number, name in enumerate(names):
        step(number, len(names))
        key, found, problem = _items(name, source)
        if problem:
            unchecked[key] = problem
        else:
            items[key] = found
    return items, unchecked


@functools.lru_cache(maxsize=256)
def _items(name: str, source: Source) -> tuple[str, Sequence[Item], str]:
    """Return a benchmark's own name and its items, or why they could not be read."""
    try:
        benchmark = registry.get("benchmarks", name)
        return benchmark.name, checked(benchmark.load(source.of(benchmark.hub))).items, ""
    except MedbenchError as error:
        return name, (), error.message
    except Exception as error:  # a third-party benchmark
        return name, (), registry.told(error) or type(error).__name__


class _Steps:
    """Tells how far a part of the check is, at most once in `LINE_SECONDS`, with the time left."""

    def __init__(self, tell: Tell, what: str) -> None:
        self.tell, self.what = tell, what
        self.started = self.told = time.monotonic()

    def __call__(self, done: int, total: int) -> None:
        now = time.monotonic()
        if done and now - self.told >= LINE_SECONDS:
            self.told = now
            left = clock((now - self.started) * (total - done) / done)
            self.tell(f"leak check: {done:,} of {total:,} {self.what}, about {left} left")


def _examples(stages: Sequence[StageData]) -> list[Example]:
    return list({example.id: example for data in stages for example in data.train}.values())
