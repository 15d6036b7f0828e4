"""Which sequences are at work, which wait, and how much of the memory they take. Lengths and sizes are in tokens."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

HEADROOM = 256  # free positions that a store is made with, beyond the longest sequence in it
LEAST_CHUNK = 64  # a pass over a prompt is not cut smaller, however little memory there is


@dataclass
class Row:
    """One sequence in the making. `tokens` holds the prompt, then what was written."""

    index: int  # of its request
    tokens: list[int]
    prompt: int
    limit: int  # of written tokens
    started: float | None = None  # when it first left the queue
    first_token_s: float = 0.0

    @property
    def written(self) -> list[int]:
        return self.tokens[self.prompt :]

    @property
    def longest(self) -> int:
        return self.prompt + self.limit


@dataclass(frozen=True)
class Room:
    """What may be taken up at once."""

    slots: int  # sequences
    stored: int  # positions in all slots together, empty ones counted
    chunk: int  # tokens of prompts in one pass, padding counted
    block: int  # neighbouring slots that are kept of like length


class Schedule:
    """The sequences at work in slots 0, 1, 2, … without a gap, those that enter, and those that wait.

    Longest prompts go first: neighbours in the queue then fill a pass with little padding, and what wants the most
    memory comes while there is most.
    """

    def __init__(self, rows: Iterable[Row], room: Room) -> None:
        self.room = room
        self.working: list[Row] = []
        self.entering: list[Row] = []
        self.waiting = deque(sorted(rows, key=lambda row: (row.longest, row.prompt), reverse=True))

    @property
    def open(self) -> bool:
        return bool(self.working or self.entering or self.waiting)

    def wants_more(self) -> bool:
        """Whether rows should enter now: a pass over prompts pays when it is not for one or two of many slots."""
        if not self.waiting:
            return False
        return not self.working or self._admissible() >= min(len(self.waiting), max(1, self.room.slots // 16))

    def admit(self) -> None:
        """Take rows out of the queue, as many as there is room for; where nothing is at work, one at least."""
        count = self._admissible() if self.working else max(1, self._admissible())
        self.entering += [self.waiting.popleft() for _ in range(count)]

    def next_group(self) -> list[Row]:
        """The entering rows that go through the model together: one, or more within the chunk."""
        width = len(self.entering[0].tokens)
        count = 1
        while count < len(self.entering):
            width = max(width, len(self.entering[count].tokens))
            if width * (count + 1) > self.room.chunk:
                break
            count += 1
        return self.entering[:count]

    def seat(self, group: Sequence[Row]) -> range:
        """Set the first of the entering rows to work; the slots they have now."""
        del self.entering[: len(group)]
        self.working += group
        return range(len(self.working) - len(group), len(self.working))

    def capacity(self) -> int:
        """Positions that each slot needs, for the rows at work and entering."""
        return _capacity([*self.working, *self.entering])

    def leave(self, slots: Iterable[int]) -> list[tuple[int, int]]:
        """Free `slots` and close the gaps: moves (from, to), to be done in this order.

        A gap is filled with the longest row of the next block, the gap there from the block after it, and the last by
        the last row of all. Rows enter at the end, so blocks stay sorted by length, with few moves.
        """
        moves = []
        for gap in sorted(slots, reverse=True):
            while (low := (gap // self.room.block + 1) * self.room.block) < len(self.working):
                high = min(low + self.room.block, len(self.working))
                longest = max(range(low, high), key=lambda slot: len(self.working[slot].tokens))
                moves.append((longest, gap))
                self.working[gap], gap = self.working[longest], longest
            last = self.working.pop()
            if gap < len(self.working):
                moves.append((len(self.working), gap))
                self.working[gap] = last
        return moves

    def make_room(self) -> None:
        """Send rows back to the queue until those at work may grow; they come in again when others have ended."""
        while len(self.working) > 1 and len(self.working) * _capacity(self.working) > self.room.stored:
            self.waiting.appendleft(self.working.pop())

    def retreat(self) -> Row | None:
        """After memory ran out: all go back to the queue and half as many may come; the row that fails, alone in it."""
        busy = [*self.working, *self.entering]
        self.working, self.entering = [], []
        if len(busy) == 1 and self.room.chunk <= LEAST_CHUNK:
            return busy[0]
        self.waiting.extendleft(reversed(busy))
        chunk = max(LEAST_CHUNK, self.room.chunk // 2)
        self.room = replace(self.room, slots=max(1, len(busy) // 2), chunk=chunk)
        return None

    def _admissible(self) -> int:
        """How many of the waiting rows fit in beside those at work."""
        count = 0
        longest = 0
        most = 0
        for row in self.working:
            longest, most = max(longest, row.longest), max(most, len(row.tokens))
        for row in self.waiting:
            longest, most = max(longest, row.longest), max(most, len(row.tokens))
            taken = len(self.working) + count + 1
            if taken > self.room.slots or taken * min(longest, most + HEADROOM) > self.room.stored:
                break
            count += 1
        return count


def _capacity(rows: Sequence[Row]) -> int:
    return min(max(row.longest for row in rows), max(len(row.tokens) for row in rows) + HEADROOM)
