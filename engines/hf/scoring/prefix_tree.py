"""Token sequences as a tree of shared prefixes: what several sequences begin with is stored and computed once."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

# The cost of attending to a prefix separately from a sequence's own tokens, in computed tokens: JOIN_SHARE for every
# token that does so, and PIECE_TOKENS for every piece that the prefix is split from. Measured with a 135M model on a
# CPU: 0.03 and 0.2, rounded up.
JOIN_SHARE = 1 / 24
PIECE_TOKENS = 2

ID = np.dtype(">u4")  # big-endian, so that bytes sort as tokens do


@dataclass(frozen=True)
class TokenRead:
    """A log-probability to read: of `token` after tokens 0..`at` of a sequence, for one answer of one item."""

    at: int
    token: int
    item: int
    answer: int


@dataclass
class Node:
    """Tokens `start`..`end` of every sequence below. With children, those sequences differ after them."""

    sequence: bytes  # one whole sequence through this node, as `ID`s; only its first `end` tokens matter
    end: int
    start: int = 0
    reads: list[TokenRead] = field(default_factory=list)  # with `at` in start..end
    children: list[Node] = field(default_factory=list)

    size: int = 0  # tokens of this node and all below
    read_count: int = 0  # reads of this node and all below

    @property
    def tokens(self) -> npt.NDArray[np.int64]:
        return np.frombuffer(self.sequence, ID)[self.start : self.end].astype(np.int64)

    def measure(self) -> None:
        """Set `size` and `read_count` from the children's."""
        self.size = self.end - self.start + sum(child.size for child in self.children)
        self.read_count = len(self.reads) + sum(child.read_count for child in self.children)

    def walk(self) -> Iterator[Node]:
        """Yield this node and all below it, depth first, parents before children."""
        ahead = [self]
        while ahead:
            node = ahead.pop()
            yield node
            ahead += reversed(node.children)


def build(sequences: Iterable[tuple[Sequence[int], Iterable[TokenRead]]]) -> list[Node]:
    """Build the tree of `sequences` (tokens and reads). Return its top nodes.

    A shared prefix becomes a node only where computing it once saves more than attending to it separately costs.
    """
    by_bytes: dict[bytes, list[TokenRead]] = {}
    for tokens, reads in sequences:
        by_bytes.setdefault(as_bytes(tokens), []).extend(reads)
    # Sorted, sequences with a common prefix are neighbors. `path` leads from the root to the last sequence.
    path = [Node(b"", 0)]
    last = b""
    for sequence in sorted(by_bytes):
        _close(path, shared_length(last, sequence))
        path.append(Node(sequence, len(sequence) // ID.itemsize, reads=by_bytes[sequence]))
        last = sequence
    _close(path, 0)
    return path[0].children


def as_bytes(tokens: Sequence[int]) -> bytes:
    return np.array(tokens, ID).tobytes()


def shared_length(one: bytes, other: bytes) -> int:
    """Return how many tokens two sequences share at their start."""
    a, b = np.frombuffer(one, ID), np.frombuffer(other, ID)
    shorter = min(len(a), len(b))
    different = np.flatnonzero(a[:shorter] != b[:shorter])
    return int(different[0]) if len(different) else shorter


def split(node: Node) -> list[Node]:
    """Return the children of a node, each with the node's tokens before its own; none for a leaf."""
    if not node.children:
        return []
    node.children[0].reads += node.reads
    for child in node.children:
        child.start = node.start
        child.measure()
    return node.children


def _close(path: list[Node], depth: int) -> None:
    """Attach nodes deeper than `depth` to their parents. Add a node where sequences part between two nodes."""
    while path[-1].end > depth:
        node = path.pop()
        if path[-1].end < depth:
            path.append(Node(node.sequence, depth))
        parent = path[-1]
        node.start = parent.end
        parent.reads += [read for read in node.reads if read.at < node.start]
        node.reads = [read for read in node.reads if read.at >= node.start]
        node.measure()
        parent.children += split(node) if node.children and not _saves_time(node) else [node]


def _saves_time(node: Node) -> bool:
    own, pieces = node.end - node.start, len(node.children)
    return own * (pieces - 1) > (node.size - own) * JOIN_SHARE + pieces * PIECE_TOKENS
