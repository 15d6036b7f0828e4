"""The data of a training stage: examples drawn from its sets and shuffled, with some held out; the seed decides all."""

from __future__ import annotations

import contextlib
import hashlib
import json
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from ..benchmarks.sources import hub as hub_sets
from ..benchmarks.sources.files import Source
from ..benchmarks.sources.splits import normalise
from ..core import registry
from ..core.errors import DataMissing, UsageError
from ..zoo.recipe import Recipe, Stage
from .example import Example, Examples
from .sets import get

NO_DOWNLOAD = (
    "Without a download: the 13 pairs that ship with medbench (--set data=medical-questions), or your own rows, each "
    "with a question and an answer (--set data=FILE.jsonl)."
)
MOST_HELD_OUT = 5  # at most one in this many of the drawn examples is held out


@dataclass(frozen=True)
class StageData:
    """The examples of one stage. No example, and no document, is in both `train` and `held_out`."""

    train: tuple[Example, ...]  # before the shuffle of each epoch
    held_out: tuple[Example, ...]
    parts: tuple[dict[str, Any], ...]  # per set: source, origin, examples available, examples drawn
    notes: tuple[str, ...]  # one sentence each
    set_notes: int = 0  # the first notes, this many, are about the sets and not about this draw

    @cached_property
    def hash(self) -> str:
        """16 hex digits over ids, prompts and answers: the same digits mean the same training data."""
        digest = hashlib.sha256()
        for name, examples in (("train", self.train), ("held_out", self.held_out)):
            for example in examples:
                row = [name, example.id, example.prompt, example.answer]
                digest.update(json.dumps(row, ensure_ascii=False).encode())
        return digest.hexdigest()[:16]


def data_revisions(recipe: Recipe, pins: Iterable[str]) -> dict[str, str]:
    """Return the revision of each hub data set in `pins`, which have the form OWNER/NAME@REV.

    Raises UsageError for a data set that neither the recipe nor the leak check reads.
    """
    pins = list(pins)
    if not pins:
        return {}
    known = {get(part.source).hub for stage in recipe.stages for part in stage.data}
    for name in registry.names("benchmarks"):
        with contextlib.suppress(Exception):  # the leak check reports broken plugins
            known.add(registry.get("benchmarks", name).hub)
    return hub_sets.revisions(pins, sorted(known - {""}))


def prepare(stage: Stage, source: Source, seed: int) -> StageData:
    """Draw the stage's examples, shuffle them and hold some out.

    A draw of n examples is part of every larger draw with the same seed, whatever the order of the set's rows. Held-out
    examples come from the validation part of a set's release; if there is none, from the examples that were not drawn;
    and if all were drawn, from those, at most a fifth. Examples of one document (without documents: examples with the
    same question) are never split between training and held-out data.

    Raises UsageError for an unknown set, and whatever loading a set raises.
    """
    loaded: dict[str, Examples] = {}
    notes: list[str] = []
    for part in stage.data:
        if part.source not in loaded:
            named = get(part.source)
            try:
                loaded[part.source] = named.load(source.of(named.hub))
            except DataMissing as error:
                raise DataMissing(error.message, f"{error.hint}\n{NO_DOWNLOAD}") from error
            notes += [f"{part.source}: {note}" for note in loaded[part.source].notes]
    set_notes = len(notes)
    pool = _Pool()
    parts: list[dict[str, Any]] = []
    rest: list[list[Example]] = []  # per part: the examples that were not drawn, in random order
    for number, part in enumerate(stage.data):
        found = loaded[part.source]
        order = _shuffled(found.train, seed)
        wanted = part.samples or len(order)
        drawn = passed = 0
        for example in order:
            if drawn == wanted:
                break
            drawn += pool.add(example, number)
            passed += 1
        if drawn < passed:
            one = passed - drawn == 1
            which = f"{passed - drawn:,} example{'s' * (not one)} of {part.source} repeat{'s' * one}"
            notes.append(f"{which} an example drawn before and {'is' if one else 'are'} left out.")
        if drawn < part.samples:
            notes.append(f"{part.samples:,} examples of {part.source} were asked for; all {drawn:,} are used.")
        rest.append(order[passed:])
        parts.append({"source": part.source, "origin": found.origin, "available": len(order), "drawn": drawn})
    held_out: list[Example] = []
    for number, quota in enumerate(_shares(stage.eval_examples, [part["drawn"] for part in parts])):
        name = stage.data[number].source
        apart = _shuffled(loaded[name].dev, seed)
        chosen = _unseen(apart or rest[number], quota, pool, held_out)
        held_out += chosen
        if len(chosen) < quota and not apart:
            drawn = pool.sizes[number]
            moved = pool.take(number, min(quota - len(chosen), drawn // MOST_HELD_OUT))
            held_out += moved
            notes += _held_out_notes(name, quota, len(chosen), len(moved), drawn)
        elif len(chosen) < quota:
            notes.append(f"{name}: {len(chosen):,} held out instead of {quota:,}: its release has no more.")
    return StageData(
        train=tuple(_shuffled(pool.examples(), seed, "mixture")),
        held_out=tuple(_shuffled(held_out, seed, "mixture")),
        parts=tuple(parts),
        notes=tuple(notes),
        set_notes=set_notes,
    )


class _Pool:
    """The examples to train on, by id, each with the number of the part it comes from."""

    def __init__(self) -> None:
        self._by_id: dict[str, tuple[Example, int]] = {}
        self._contents: set[tuple[str, str]] = set()
        self._groups: dict[str, list[Example]] = defaultdict(list)
        self.sizes: Counter[int] = Counter()

    def examples(self) -> Iterator[Example]:
        return (example for example, _ in self._by_id.values())

    def add(self, example: Example, part: int) -> bool:
        """Add an example if it is new. Return whether it is: a text that is already here under another id is not."""
        known = self._by_id.get(example.id)
        if known and known[0] != example:
            raise UsageError(
                f"two training examples with different texts have the id '{example.id}'.",
                "Give the rows of your files different ids, or the files different names.",
            )
        if known or (example.prompt, example.answer) in self._contents:
            return False
        self._by_id[example.id] = (example, part)
        self._contents.add((example.prompt, example.answer))
        self._groups[_group(example)].append(example)
        self.sizes[part] += 1
        return True

    def knows(self, example: Example) -> bool:
        """Return whether the example, its document or its question is in the pool."""
        return (
            example.id in self._by_id
            or (example.prompt, example.answer) in self._contents
            or bool(self._groups.get(_group(example)))
        )

    def take(self, part: int, most: int) -> list[Example]:
        """Remove and return up to `most` examples of a part, in the order drawn, as whole documents."""
        taken: list[Example] = []
        for example, of in list(self._by_id.values()):
            if len(taken) >= most:
                break
            group = self._groups.get(_group(example), [])
            # A document stays if it is too large, or if another part has examples of it.
            whole = all(self._by_id[member.id][1] == part for member in group)
            if of == part and whole and group and len(taken) + len(group) <= most:
                taken += self._groups.pop(_group(example))
        for example in taken:
            del self._by_id[example.id]
        self.sizes[part] -= len(taken)
        return taken


def _group(example: Example) -> str:
    return example.document or normalise(example.question)


def _unseen(candidates: Iterable[Example], most: int, pool: _Pool, held_out: Sequence[Example]) -> list[Example]:
    """Return the first `most` candidates that are neither in the pool nor held out."""
    seen = {(example.prompt, example.answer) for example in held_out}
    ids = {example.id for example in held_out}
    chosen: list[Example] = []
    for example in candidates:
        if len(chosen) >= most:
            break
        content = (example.prompt, example.answer)
        if example.id not in ids and content not in seen and not pool.knows(example):
            chosen.append(example)
            ids.add(example.id)
            seen.add(content)
    return chosen


def _held_out_notes(name: str, quota: int, chosen: int, moved: int, drawn: int) -> list[str]:
    held_out = chosen + moved
    if not moved and held_out >= quota:
        return []
    fewer = f" instead of {quota:,}" if held_out < quota else ""
    kept = f"; {moved:,} of them come from the drawn examples (at most one in {MOST_HELD_OUT})" if moved else ""
    return [f"{name}: {held_out:,} held out{fewer}{kept}."]


def _shares(total: int, sizes: Sequence[int]) -> list[int]:
    """Divide `total` among the parts in proportion to their sizes, by the largest-remainder method."""
    whole = sum(sizes) or 1
    shares = [total * size // whole for size in sizes]
    rests = sorted(range(len(sizes)), key=lambda part: (-(total * sizes[part] % whole), part))
    for part in rests[: total - sum(shares) if sum(sizes) else 0]:
        shares[part] += 1
    return shares


def _shuffled(examples: Iterable[Example], seed: int, salt: str = "draw") -> list[Example]:
    """Return the examples in an order that depends only on the seed and their ids."""

    def place(example: Example) -> tuple[bytes, str]:
        return hashlib.sha256(f"{seed}\n{salt}\n{example.id}".encode()).digest(), example.id

    return sorted(examples, key=place)
