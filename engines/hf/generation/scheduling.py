"""The queue of continuous batching: which sequences are active, which wait, and how much cache they take.

Lengths and sizes are in tokens. A position of the cache holds the keys and values of one token.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

HEADROOM = 256  # free positions that a cache is allocated with, beyond the longest sequence in it
SMALLEST_PREFILL = 64  # a prefill pass is never limited to less, however little memory there is


@dataclass
class ActiveSequence:
    """One sequence being generated."""

    index: int  # of its request
    tokens: list[int]  # the prompt, then the generated tokens
    prompt_tokens: int
    max_new_tokens: int
    started: float | None = None  # when it first left the queue (time.perf_counter)
    first_token_s: float = 0.0

    @property
    def new_tokens(self) -> list[int]:
        return self.tokens[self.prompt_tokens :]

    @property
    def max_length(self) -> int:
        return self.prompt_tokens + self.max_new_tokens


@dataclass(frozen=True)
class Capacity:
    """How much may run at once."""

    slots: int  # sequences
    cache_tokens: int  # positions in all slots together, including empty ones
    prefill_tokens: int  # in one pass over prompts, including padding
    block_slots: int  # neighboring slots that are kept at similar lengths


class Schedule:
    """The active sequences, in slots 0, 1, 2, … without a gap, those that enter next, and those that wait.

    The longest prompts go first. Neighbors in the queue then fill a pass with little padding, and the sequences that
    need the most memory run while the most is free. Sequences that are added later wait behind them.
    """

    def __init__(self, sequences: Iterable[ActiveSequence], capacity: Capacity) -> None:
        self.capacity = capacity
        self.active: list[ActiveSequence] = []
        self.entering: list[ActiveSequence] = []
        longest_first = sorted(sequences, key=lambda s: (s.max_length, s.prompt_tokens), reverse=True)
        self.waiting = deque(longest_first)

    def add(self, sequence: ActiveSequence) -> None:
        """Put a sequence at the end of the queue."""
        self.waiting.append(sequence)

    def drop(self, index: int) -> int | None:
        """Take the sequence of a request out of the queue. Return its slot if it is active: it leaves by `remove`."""
        self.waiting = deque(sequence for sequence in self.waiting if sequence.index != index)
        self.entering = [sequence for sequence in self.entering if sequence.index != index]
        return next((slot for slot, sequence in enumerate(self.active) if sequence.index == index), None)

    @property
    def unfinished(self) -> bool:
        return bool(self.active or self.entering or self.waiting)

    def should_admit(self) -> bool:
        """Whether to prefill now. A pass over prompts is worth it only if it fills more than a few of many slots."""
        if not self.waiting:
            return False
        return not self.active or self._admissible() >= min(len(self.waiting), max(1, self.capacity.slots // 16))

    def admit(self) -> None:
        """Move as many waiting sequences as fit to `entering`; at least one if no sequence is active."""
        count = self._admissible() if self.active else max(1, self._admissible())
        self.entering += [self.waiting.popleft() for _ in range(count)]

    def next_prefill(self) -> list[ActiveSequence]:
        """Return the entering sequences of the next prefill pass: one, or as many as `prefill_tokens` allows.

        Sequences that repeat the one before, several samples of one prompt, cost nothing: it is computed once.
        """
        width = len(self.entering[0].tokens)
        count = distinct = 1
        while count < len(self.entering):
            tokens = self.entering[count].tokens
            if tokens != self.entering[count - 1].tokens:
                width = max(width, len(tokens))
                distinct += 1
                if width * distinct > self.capacity.prefill_tokens:
                    break
            count += 1
        return self.entering[:count]

    def activate(self, batch: Sequence[ActiveSequence]) -> range:
        """Make the first entering sequences active. Return their slots."""
        del self.entering[: len(batch)]
        self.active += batch
        return range(len(self.active) - len(batch), len(self.active))

    def positions_needed(self) -> int:
        """Return the positions that each slot needs for the active and entering sequences."""
        return _positions_needed([*self.active, *self.entering])

    def remove(self, slots: Iterable[int]) -> list[tuple[int, int]]:
        """Free `slots` and close the gaps. Return the moves (from, to) for the cache, in order.

        A gap is filled with the longest sequence of the next block, the gap there from the block after it, and the
        last one with the last sequence of all. Sequences enter at the end, so blocks stay sorted by length with few
        moves.
        """
        moves = []
        for gap in sorted(slots, reverse=True):
            while (low := (gap // self.capacity.block_slots + 1) * self.capacity.block_slots) < len(self.active):
                high = min(low + self.capacity.block_slots, len(self.active))
                longest = max(range(low, high), key=lambda slot: len(self.active[slot].tokens))
                moves.append((longest, gap))
                self.active[gap], gap = self.active[longest], longest
            last = self.active.pop()
            if gap < len(self.active):
                moves.append((len(self.active), gap))
                self.active[gap] = last
        return moves

    def preempt(self) -> None:
        """Return sequences to the queue until the others have room to grow. They enter again when others end."""
        while len(self.active) > 1 and len(self.active) * _positions_needed(self.active) > self.capacity.cache_tokens:
            self.waiting.appendleft(self.active.pop())

    def shrink(self) -> ActiveSequence | None:
        """Return all sequences to the queue and halve the capacity, after memory ran out.

        Return a sequence that cannot run even alone.
        """
        busy = [*self.active, *self.entering]
        self.active, self.entering = [], []
        if len(busy) == 1 and self.capacity.prefill_tokens <= SMALLEST_PREFILL:
            return busy[0]
        self.waiting.extendleft(reversed(busy))
        prefill_tokens = max(SMALLEST_PREFILL, self.capacity.prefill_tokens // 2)
        self.capacity = replace(self.capacity, slots=max(1, len(busy) // 2), prefill_tokens=prefill_tokens)
        return None

    def _admissible(self) -> int:
        """Return how many waiting sequences fit beside the active ones."""
        count = 0
        max_length = 0
        longest = 0  # as of now
        for sequence in self.active:
            max_length, longest = max(max_length, sequence.max_length), max(longest, len(sequence.tokens))
        for sequence in self.waiting:
            max_length, longest = max(max_length, sequence.max_length), max(longest, len(sequence.tokens))
            slots = len(self.active) + count + 1
            if slots > self.capacity.slots or slots * min(max_length, longest + HEADROOM) > self.capacity.cache_tokens:
                break
            count += 1
        return count


def _positions_needed(sequences: Sequence[ActiveSequence]) -> int:
    return min(max(s.max_length for s in sequences), max(len(s.tokens) for s in sequences) + HEADROOM)
