"""Benchmarks under a protocol: which protocols a benchmark has, and the benchmark as one of them asks it."""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Callable, Iterable
from dataclasses import dataclass

from .errors import UsageError
from .item import LETTERS, Item
from .protocol import DIRECT, Protocol, Rewrite
from .suggest import did_you_mean
from .types import Benchmark, ItemSet, Prompt


def protocols_of(benchmark: Benchmark) -> tuple[Protocol, ...]:
    """Return the protocols of a benchmark, `direct` first."""
    return (DIRECT, *benchmark.protocols)


def under(benchmark: Benchmark, name: str) -> Benchmark:
    """Return the benchmark as the protocol `name` asks it; under `direct`, the benchmark itself.

    Raises UsageError for a protocol that the benchmark does not have.
    """
    found = next((protocol for protocol in protocols_of(benchmark) if protocol.name == name), None)
    if found is None:
        raise UsageError(
            f"{benchmark.name} has no protocol '{name}'.{did_you_mean(name, names_of([benchmark]), most=3)}",
            f"It has: {', '.join(names_of([benchmark]))}. Each with its prompt: medbench list protocols",
        )
    if found.name == DIRECT.name:
        return benchmark
    return dataclasses.replace(
        benchmark,
        protocol=found,
        instruction=_rewritten(benchmark.instruction, found.instruction),
        question=_rewritten(benchmark.question, found.question),
        answer=_rewritten(benchmark.answer, found.answer),
        max_new_tokens=found.max_new_tokens or benchmark.max_new_tokens,
        stop=benchmark.stop if found.stop is None else found.stop,
    )


def names_of(benchmarks: Iterable[Benchmark]) -> list[str]:
    """Return the names of the protocols that any of these benchmarks has, `direct` first."""
    return list(dict.fromkeys(protocol.name for each in benchmarks for protocol in protocols_of(each)))


def put(benchmark: Benchmark, item_set: ItemSet) -> ItemSet:
    """Return the items as the benchmark's protocol puts them: lettered, or with the field that holds the answer."""
    protocol = benchmark.protocol
    if not protocol.letters and not protocol.answer_field:
        return item_set
    items, shots = (tuple(put_item(protocol, item) for item in each) for each in (item_set.items, item_set.shots))
    return dataclasses.replace(item_set, items=items, shots=shots)


def put_item(protocol: Protocol, item: Item) -> Item:
    """Return one item as a protocol puts it."""
    labels = item.labels or (LETTERS[: len(item.options)] if protocol.letters else ())
    return dataclasses.replace(item, labels=labels, answer_field=protocol.answer_field)


def prompt(benchmark: Benchmark, item: Item, shots: tuple[tuple[str, str], ...] = (), system: str = "") -> Prompt:
    """Return the prompt of an item that `put` returned. `system` opens the system text; `shots` are solved examples."""
    texts = filter(None, (system, benchmark.protocol.system))
    return Prompt(benchmark.question(item), benchmark.instruction(item), shots, "\n\n".join(texts), item.turns)


@dataclass(frozen=True)
class Shown:
    """A benchmark's invented item as one of its protocols asks it. `benchmark` is under that protocol."""

    benchmark: Benchmark
    prompt: Prompt

    @property
    def how(self) -> str:
        """Return how the answer is given, in words."""
        protocol, example = self.benchmark.protocol, self.benchmark.example
        limit = f"up to {self.benchmark.max_new_tokens:,} new tokens"
        if example is not None and example.options and protocol.method == "auto":
            return f"log-probability of each option; with --choice generate, {limit}"
        return f"generated, {limit}"


def shown(benchmark: Benchmark) -> list[Shown]:
    """Return the benchmark's invented item as each of its protocols asks it; nothing if it has no such item."""
    if benchmark.example is None:
        return []
    each = [under(benchmark, protocol.name) for protocol in protocols_of(benchmark)]
    return [Shown(asked, prompt(asked, put_item(asked.protocol, benchmark.example))) for asked in each]


def _rewritten(own: Callable[[Item], str], rewrite: Rewrite | None) -> Callable[[Item], str]:
    return own if rewrite is None else functools.partial(_write, own, rewrite)


def _write(own: Callable[[Item], str], rewrite: Rewrite, item: Item) -> str:
    return rewrite(own(item), item)
