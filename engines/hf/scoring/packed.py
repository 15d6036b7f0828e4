"""Choosing by packed rows: no token that several rows begin with is computed twice, and none is padding.

Rows of all items make one tree of shared prefixes, so that few-shot examples, an instruction, and a prompt under its
answers stand in it once (prefixes.py). Parts of the tree are packed into rows of one sequence (attention.py). A part
too large for one row runs from its top: the top's keys and values are kept while what hangs below it runs. The last
layer's MLP runs only where logits are read.

Imports torch; itself imported when a model is there.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterator, Sequence
from typing import Any

import torch
from torch import Tensor

from ....core.resources import free_memory
from ..batching import OutOfMemory, batches, is_out_of_memory, run_halving
from ..forward import accepts, bare, last_logits
from ..loading import Loaded
from ..memory import costs
from .attention import Kept, Layout, Span, packed
from .choosing import Row, Values, causal_logprobs, token_logprobs
from .prefixes import Node, Read, as_row, grow, parted

LOGITS = 2**26  # numbers that logits may take in one pass: 256 MB in float32
KEPT_SHARE = 0.3  # of free memory, for keys and values kept
KEPT_DEEP = 8  # nodes kept above one another; each costs a pass over the attention of all below

# A model fits when log-probabilities in packed rows are those in whole rows, within this share of the largest; with an
# attention that is not ours they are off by a good part of it.
CLOSE = {"torch.float32": 1e-3, "torch.float64": 1e-3, "torch.float16": 0.01, "torch.bfloat16": 0.03}

Found = list[tuple[Read, float | OutOfMemory]]


def packed_logprobs(
    loaded: Loaded, rows: Sequence[Row], budget: int
) -> Iterator[tuple[int, Values | OutOfMemory, float]]:
    """As `logprobs`, by the tree of shared prefixes."""
    open_ = dict.fromkeys((row.item for row in rows), 0)
    for row in rows:
        open_[row.item] += sum(len(answer) for _, answer in row.reads)
    sums: dict[int, Values] = {item: {} for item in open_}
    for row in rows:
        sums[row.item] |= {index: 0.0 for index, _ in row.reads}
    yield from ((item, sums.pop(item), 0.0) for item, left in open_.items() if not left)  # answers without a token
    started = time.perf_counter()
    for found in _descend(loaded, grow((row.tokens, _reads(row)) for row in rows), budget):
        for read, value in found:
            if read.item not in open_:
                continue  # another of its answers did not fit into memory
            if isinstance(value, OutOfMemory):
                del open_[read.item]
                yield read.item, value, time.perf_counter() - started
                continue
            sums[read.item][read.answer] += value
            open_[read.item] -= 1
            if not open_[read.item]:
                yield read.item, sums.pop(read.item), time.perf_counter() - started
        started = time.perf_counter()


def _reads(row: Row) -> Iterator[Read]:
    for index, answer in row.reads:
        first = len(row.tokens) - len(answer)
        yield from (Read(first + place, token, row.item, index) for place, token in enumerate(answer))


def _descend(loaded: Loaded, nodes: list[Node], budget: int, above: tuple[Kept, ...] = ()) -> Iterator[Found]:
    """Every read of these nodes and of all below them, pass by pass; `above` is what stands before the nodes."""
    most_reads = max(1, LOGITS // int(bare(loaded.model).config.get_text_config().vocab_size))

    def cost(node: Node) -> int:  # in tokens
        return max(node.size, node.wanted * budget // most_reads)

    small: list[Node] = []
    large: list[Node] = []
    ahead = list(nodes)
    while ahead:
        node = ahead.pop()
        if not node.children or cost(node) <= budget:
            small.append(node)
        elif len(above) < KEPT_DEEP and _fits(loaded, node, above):
            large.append(node)
        else:
            ahead += parted(node)
    small.sort(key=lambda node: node.size, reverse=True)
    for batch in batches(small, cost, lambda node: 1, budget):
        for node, result in run_halving(batch, lambda part: _pass(loaded, part, above), parted):
            yield [(read, result) for read in node.reads] if isinstance(result, OutOfMemory) else result
    for node in sorted(large, key=lambda node: node.size, reverse=True):
        top = Node(node.row, node.end, node.start, node.reads)
        top.measure()
        try:
            ((_, found),) = list(_pass(loaded, [top], above, keep := Kept(node.start)))
        except (RuntimeError, MemoryError) as error:
            if not is_out_of_memory(error):
                raise
            keep = None
        if keep is None:
            yield from _descend(loaded, parted(node), budget, above)
        else:
            yield found
            yield from _descend(loaded, node.children, budget, (*above, keep))


def _fits(loaded: Loaded, node: Node, above: tuple[Kept, ...]) -> bool:
    """Whether a node's keys and values may be kept beside those that are."""
    held = sum(kept.nbytes for kept in above)
    return held + (node.end - node.start) * costs(loaded).cached <= KEPT_SHARE * (free_memory(loaded.device) + held)


def _pass(
    loaded: Loaded,
    nodes: Sequence[Node],
    above: tuple[Kept, ...],
    keep: Kept | None = None,
    windows: list[int | None] | None = None,
) -> Iterator[tuple[Node, Found]]:
    """One forward pass over a row packed with `nodes` and all below them: each node with its reads' values (nats).

    `keep` and `windows` are filled as `Layout` says.
    """
    flat = [list(node.walk()) for node in nodes]
    spans: list[Span] = []
    tokens: list[int] = []
    depths: list[int] = []
    wanted: dict[int, int] = {}  # place in the row -> place among the logits
    asked: list[tuple[int, int]] = []  # for every read: place among the logits, token
    for node in (inner for part in flat for inner in part):
        low = len(tokens)
        tokens += node.tokens.tolist()
        depths += range(node.start, node.end)
        spans.append(Span(low, len(tokens), low + node.size, node.start))
        for read in node.reads:
            asked.append((wanted.setdefault(low + read.at - node.start, len(wanted)), read.token))
    row = torch.tensor([tokens], device=loaded.device)
    places = torch.tensor([depths], device=loaded.device)
    # A row without reads (the top of a few-shot block) computes one position's logits all the same.
    keep_logits = torch.tensor([list(wanted) or [0]], device=loaded.device)
    layout = Layout(tuple(spans), above, keep, [] if windows is None else windows)
    model = bare(loaded.model)
    with packed(model.config, layout), last_mlp_at(model, keep_logits[0], len(tokens)):
        logits = last_logits(loaded, keep_logits, row, None, places)[0]
    values = iter(token_logprobs(logits, asked))
    for node, part in zip(nodes, flat, strict=True):
        yield node, [(read, next(values)) for inner in part for read in inner.reads]


@contextlib.contextmanager
def last_mlp_at(model: Any, places: Tensor, size: int) -> Iterator[None]:
    """While the block lasts, the last layer's MLP computes at these places of a row of `size` tokens alone.

    No later layer looks at the others, whose hidden states lack what it would have added.
    """
    last = next((m for m in reversed(list(model.modules())) if type(m).__name__.endswith("MLP")), None)
    if last is None or 2 * len(places) > size:
        yield
        return

    def narrowed(_: Any, given: tuple[Any, ...]) -> Any:
        fits = len(given) == 1 and given[0].shape[:2] == (1, size)
        return (given[0][:, places],) if fits else None

    def widened(_: Any, given: tuple[Any, ...], found: Any) -> Any:
        if len(given) != 1 or given[0].shape[:2] != (1, len(places)):
            return None
        full = found.new_zeros(1, size, found.shape[-1])
        full[:, places] = found
        return full

    hooks = last.register_forward_pre_hook(narrowed), last.register_forward_hook(widened)
    try:
        yield
    finally:
        for hook in hooks:
            hook.remove()


def takes_packed_rows(loaded: Loaded) -> bool:
    """Whether the model computes in packed rows what it computes in whole ones, tried out on a few tokens."""
    model = bare(loaded.model)
    if loaded.encoder_decoder or loaded.one_at_a_time or not accepts(loaded, "position_ids"):
        return False
    draw = torch.Generator().manual_seed(0)
    vocabulary = model.config.get_text_config().vocab_size
    stem, *ends = (torch.randint(vocabulary, (length,), generator=draw).tolist() for length in (5, 3, 4, 1))
    probes = torch.randint(vocabulary, (8,), generator=draw).tolist()
    rows = [Row(0, (*stem, *end), tuple((i, (token,)) for i, token in enumerate(probes))) for end in ends]
    top = Node(as_row(stem), len(stem))
    leaves = [Node(as_row(row.tokens), len(row.tokens), len(stem), list(_reads(row))) for row in rows]
    tree = Node(top.row, top.end, children=leaves)
    for node in (top, *leaves, tree):
        node.measure()
    kept = Kept(0)
    windows: list[int | None] = []
    try:
        whole = [value for values in causal_logprobs(loaded, rows) for value in values.values()]
        list(_pass(loaded, [top], (), kept))
        found = [
            [value for _, reads in _pass(loaded, nodes, above, windows=windows) for _, value in reads]
            for nodes, above in (([tree], ()), (leaves, (kept,)))
        ]
        if windows != 2 * (_windows(model.config) or [0]):
            return False
    except Exception:  # whatever a model raises that was not written for this
        return False
    off = (torch.tensor(found) - torch.tensor(whole)).abs().max()
    return bool(off <= CLOSE[str(model.dtype)] * max(map(abs, whole)))


def _windows(config: Any) -> list[int | None] | None:
    """Each layer's sliding window; None where a layer attends in another way than to all or to a window."""
    from transformers.cache_utils import get_layer_types_and_kwargs

    kinds, extras = get_layer_types_and_kwargs(config.get_text_config(decoder=True))
    if set(kinds) - {"full_attention", "sliding_attention"}:
        return None
    return [extra.get("sliding_window") for extra in extras]
