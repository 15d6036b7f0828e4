"""Token sequences as a tree of shared prefixes: what several rows begin with stands in it, and is computed, once."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

# What attending to a prefix apart from a row's own tokens costs, in tokens computed: so much for every token that
# does, and so much for every piece that the prefix parts. Of a 135M model on a CPU it was 0.03 and 0.2, rounded up.
JOIN_SHARE = 1 / 24
PIECE_TOKENS = 2

ID = np.dtype(">u4")  # big-endian, so that the order of the bytes is the order of the tokens


@dataclass(frozen=True)
class Read:
    """A wanted number: how likely `token` is after a row's tokens 0..`at`, for one answer of one item."""

    at: int
    token: int
    item: int
    answer: int


@dataclass
class Node:
    """Tokens `start`..`end` of every row that goes on below; with children, those rows part after them."""

    row: bytes  # one whole row that passes here, as `ID`s; only its first `end` tokens count
    end: int
    start: int = 0
    reads: list[Read] = field(default_factory=list)  # each `at` lies in start..end
    children: list[Node] = field(default_factory=list)

    size: int = 0  # tokens of this node and everything below
    wanted: int = 0  # reads, likewise

    @property
    def tokens(self) -> npt.NDArray[np.int64]:
        return np.frombuffer(self.row, ID)[self.start : self.end].astype(np.int64)

    def measure(self) -> None:
        self.size = self.end - self.start + sum(child.size for child in self.children)
        self.wanted = len(self.reads) + sum(child.wanted for child in self.children)

    def walk(self) -> Iterator[Node]:
        """This node and all below it, each before its children, a child's descendants before its sibling."""
        ahead = [self]
        while ahead:
            node = ahead.pop()
            yield node
            ahead += reversed(node.children)


def grow(rows: Iterable[tuple[Sequence[int], Iterable[Read]]]) -> list[Node]:
    """The tree of `rows` (tokens, and what is read after them), as the list of nodes that begin a row.

    A shared prefix becomes a node of its own only where computing it once saves more than attending to it apart costs.
    """
    keyed: dict[bytes, list[Read]] = {}
    for tokens, reads in rows:
        keyed.setdefault(as_row(tokens), []).extend(reads)
    # Sorted, rows with a common prefix are neighbours; `open_` is the path from the root to the last row.
    open_ = [Node(b"", 0)]
    last = b""
    for row in sorted(keyed):
        _close(open_, shared(last, row))
        open_.append(Node(row, len(row) // ID.itemsize, reads=keyed[row]))
        last = row
    _close(open_, 0)
    return open_[0].children


def as_row(tokens: Sequence[int]) -> bytes:
    return np.array(tokens, ID).tobytes()


def shared(one: bytes, other: bytes) -> int:
    """How many tokens two rows have in common at their beginning."""
    a, b = np.frombuffer(one, ID), np.frombuffer(other, ID)
    least = min(len(a), len(b))
    unequal = np.flatnonzero(a[:least] != b[:least])
    return int(unequal[0]) if len(unequal) else least


def parted(node: Node) -> list[Node]:
    """The children of a node, each with the node's tokens in front of its own; none where nothing parts."""
    if not node.children:
        return []
    node.children[0].reads += node.reads
    for child in node.children:
        child.start = node.start
        child.measure()
    return node.children


def _close(open_: list[Node], depth: int) -> None:
    """Hang what is deeper than `depth` under its parent; where rows part between two nodes, put one there."""
    while open_[-1].end > depth:
        node = open_.pop()
        if open_[-1].end < depth:
            open_.append(Node(node.row, depth))
        parent = open_[-1]
        node.start = parent.end
        parent.reads += [read for read in node.reads if read.at < node.start]
        node.reads = [read for read in node.reads if read.at >= node.start]
        node.measure()
        parent.children += parted(node) if node.children and not _pays(node) else [node]


def _pays(node: Node) -> bool:
    own, pieces = node.end - node.start, len(node.children)
    return own * (pieces - 1) > (node.size - own) * JOIN_SHARE + pieces * PIECE_TOKENS
