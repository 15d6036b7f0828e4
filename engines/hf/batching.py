"""Batches filled by tokens, longest sequences first, and halved when memory runs out."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import TypeVar, final

from .memory import reclaim

DOES_NOT_FIT = "out of memory, even alone in its batch"
NAN_LOGITS = "the model's logits are NaN: overflow in this dtype, or damaged weights"

T = TypeVar("T")
R = TypeVar("R")


@final
class OutOfMemory:
    """The result of a unit that does not fit into memory even alone."""


def batches(units: Sequence[T], rows: Callable[[T], int], width: Callable[[T], int], budget: int) -> Iterator[list[T]]:
    """Group `units`, longest first, so that rows x the longest width of a batch is at most `budget` tokens.

    A unit is never split. One that exceeds the budget is a batch of its own.
    """
    batch: list[T] = []
    filled = 0
    for unit in sorted(units, key=width, reverse=True):
        # Units are sorted by width, so the first of a batch is the widest.
        if batch and (filled + rows(unit)) * width(batch[0]) > budget:
            yield batch
            batch, filled = [], 0
        batch.append(unit)
        filled += rows(unit)
    if batch:
        yield batch


def is_out_of_memory(error: BaseException) -> bool:
    """Whether an error from torch means that a GPU or CPU ran out of memory."""
    import torch

    words = str(error).lower()
    return isinstance(error, torch.OutOfMemoryError | MemoryError) or (
        isinstance(error, RuntimeError) and ("out of memory" in words or "can't allocate memory" in words)
    )


def run_halving(
    batch: list[T],
    run: Callable[[list[T]], Iterator[tuple[T, R]]],
    split: Callable[[T], Sequence[T]] = lambda unit: (),
) -> Iterator[tuple[T, R | OutOfMemory]]:
    """Yield (unit, result) from `run`. When memory runs out, the units that are left continue in two halves.

    A unit that does not fit alone is replaced by the units that `split` returns for it. Without any, its result is
    `OutOfMemory`.
    """
    pending = [batch]
    while pending:
        units = pending.pop(0)
        done: set[int] = set()
        try:
            for unit, result in run(units):
                done.add(id(unit))
                yield unit, result
            continue
        except (RuntimeError, MemoryError) as error:
            if not is_out_of_memory(error):
                raise
        # Outside the except block: the traceback no longer holds the tensors that filled the memory.
        reclaim()
        left = [unit for unit in units if id(unit) not in done]
        if len(units) == 1:
            for unit in left:
                parts = list(split(unit))
                if parts:
                    pending.insert(0, parts)
                else:
                    yield unit, OutOfMemory()
            continue
        middle = (len(left) + 1) // 2
        pending[:0] = [half for half in (left[:middle], left[middle:]) if half]
