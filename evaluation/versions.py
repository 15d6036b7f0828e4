"""Several versions of each question: other orders of its options, or other wordings of its prompt.

Version 0 is the question as it is. The others show how far a score depends on what should not matter.
"""

from __future__ import annotations

import dataclasses
import random
from collections.abc import Iterator, Sequence

from ..benchmarks.wordings import WORDINGS
from ..core import asking
from ..core.errors import UsageError
from ..core.types import AnswerKey, Benchmark, Item, Prompt
from ..metrics.versions import ORDER, WORDING

Versions = dict[AnswerKey, tuple[Item, Prompt]]  # by item id and number of the version, from 1


def orders(benchmark: Benchmark, prompts: dict[str, Prompt], items: Sequence[Item], count: int, seed: int) -> Versions:
    """Return every item under `count - 1` orders of its options, drawn by `seed`: the same ones for every model.

    An order may be drawn twice, as 2 options have only 2. Raises UsageError if there are no options.
    """
    found: Versions = {}
    for item in items:
        if not item.options or item.gold is None:
            raise UsageError(
                f"--permute-options {count}: the questions of {benchmark.name} have no options.", "Leave it out."
            )
        if not item.labels:
            raise UsageError(
                f"--permute-options {count}: the options of {benchmark.name} are not listed in its prompt.",
                "Leave it out, or choose a protocol that lists them: --protocol mirage-cot",
            )
        for number in range(1, count):
            order = list(range(len(item.options)))
            random.Random(f"order {seed} {item.id} {number}").shuffle(order)
            permuted = dataclasses.replace(
                item,
                options=tuple(item.options[at] for at in order),
                gold=order.index(item.gold),
                meta={**item.meta, ORDER: str(number)},
            )
            asked = asking.prompt(benchmark, permuted)
            found[item.id, number] = permuted, dataclasses.replace(prompts[item.id], question=asked.question)
    return found


def wordings(benchmark: Benchmark, prompts: dict[str, Prompt], items: Sequence[Item]) -> Versions:
    """Return every item with each of the other wordings of its prompt."""
    found: Versions = {}
    for item in items:
        for number, rewrite in enumerate(WORDINGS, start=1):
            reworded = dataclasses.replace(item, meta={**item.meta, WORDING: str(number)})
            own = prompts[item.id]
            found[item.id, number] = reworded, dataclasses.replace(own, question=rewrite(own.question, item))
    return found


def in_order(versions: Versions) -> Iterator[list[str]]:
    """Yield what the hash of the prompts covers."""
    for (item_id, number), (_, prompt) in sorted(versions.items()):
        yield [item_id, str(number), prompt.plain]
