"""Log-likelihoods from packed rows: no token that several sequences share is computed twice, and there is no padding.

The sequences of all items form one tree of shared prefixes, so that few-shot examples, an instruction, and a prompt
above its answers are in it once (prefix_tree.py). Parts of the tree are packed into rows (packed_attention.py). A part
that is too large for one row runs from its top: the top's keys and values are kept while the nodes below it run. The
last layer's MLP runs only where logits are read.

Imports torch. Import it only when a model is loaded.
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
from ..memory import token_bytes
from .packed_attention import KeptKeys, PackedLayout, Span, packed_attention
from .padded_rows import causal_log_likelihoods, token_log_probabilities
from .prefix_tree import Node, TokenRead, as_bytes, build, split
from .sequences import LogLikelihoods, ScoredSequence

LOGITS = 2**26  # numbers that the logits of one pass may take: 256 MB in float32
KEPT_SHARE = 0.3  # of free memory, for kept keys and values
KEPT_DEPTH = 8  # levels of nodes that may be kept; each adds attention work to all passes below

# A model supports packed rows if their log-probabilities equal those of whole rows within this share of the largest.
# With an attention that differs from ours they are far off.
TOLERANCE = {"torch.float32": 1e-3, "torch.float64": 1e-3, "torch.float16": 0.01, "torch.bfloat16": 0.03}

Results = list[tuple[TokenRead, float | OutOfMemory]]


def packed_log_likelihoods(
    loaded: Loaded, sequences: Sequence[ScoredSequence], budget: int
) -> Iterator[tuple[int, LogLikelihoods | OutOfMemory, float]]:
    """Do what `log_likelihoods` does, from the tree of shared prefixes."""
    left = dict.fromkeys((sequence.item for sequence in sequences), 0)  # reads of each item that are still to come
    for sequence in sequences:
        left[sequence.item] += sum(len(answer) for _, answer in sequence.answers)
    sums: dict[int, LogLikelihoods] = {item: {} for item in left}
    for sequence in sequences:
        sums[sequence.item] |= {index: 0.0 for index, _ in sequence.answers}
    yield from ((item, sums.pop(item), 0.0) for item, reads in left.items() if not reads)  # answers without tokens
    started = time.perf_counter()
    for results in _run(loaded, build((sequence.tokens, _reads(sequence)) for sequence in sequences), budget):
        for read, value in results:
            if read.item not in left:
                continue  # another of its answers did not fit into memory
            if isinstance(value, OutOfMemory):
                del left[read.item]
                yield read.item, value, time.perf_counter() - started
                continue
            sums[read.item][read.answer] += value
            left[read.item] -= 1
            if not left[read.item]:
                yield read.item, sums.pop(read.item), time.perf_counter() - started
        started = time.perf_counter()


def _reads(sequence: ScoredSequence) -> Iterator[TokenRead]:
    for index, answer in sequence.answers:
        first = len(sequence.tokens) - len(answer)
        yield from (TokenRead(first + place, token, sequence.item, index) for place, token in enumerate(answer))


def _run(loaded: Loaded, nodes: list[Node], budget: int, above: tuple[KeptKeys, ...] = ()) -> Iterator[Results]:
    """Yield the results of these nodes and all below, pass by pass. `above` holds the keys of the nodes above them."""
    most_reads = max(1, LOGITS // int(bare(loaded.model).config.get_text_config().vocab_size))

    def cost(node: Node) -> int:  # in tokens
        return max(node.size, node.read_count * budget // most_reads)

    small: list[Node] = []
    large: list[Node] = []
    ahead = list(nodes)
    while ahead:
        node = ahead.pop()
        if not node.children or cost(node) <= budget:
            small.append(node)
        elif len(above) < KEPT_DEPTH and _may_be_kept(loaded, node, above):
            large.append(node)
        else:
            ahead += split(node)
    small.sort(key=lambda node: node.size, reverse=True)
    for batch in batches(small, cost, lambda node: 1, budget):
        for node, result in run_halving(batch, lambda part: _pass(loaded, part, above), split):
            yield [(read, result) for read in node.reads] if isinstance(result, OutOfMemory) else result
    for node in sorted(large, key=lambda node: node.size, reverse=True):
        top = Node(node.sequence, node.end, node.start, node.reads)
        top.measure()
        try:
            ((_, results),) = list(_pass(loaded, [top], above, kept := KeptKeys(node.start)))
        except (RuntimeError, MemoryError) as error:
            if not is_out_of_memory(error):
                raise
            kept = None
        if kept is None:
            yield from _run(loaded, split(node), budget, above)
        else:
            yield results
            yield from _run(loaded, node.children, budget, (*above, kept))


def _may_be_kept(loaded: Loaded, node: Node, above: tuple[KeptKeys, ...]) -> bool:
    """Whether there is memory to keep a node's keys and values beside those that are kept already."""
    held = sum(kept.nbytes for kept in above)
    return held + (node.end - node.start) * token_bytes(loaded).cached <= KEPT_SHARE * (
        free_memory(loaded.device) + held
    )


def _pass(
    loaded: Loaded,
    nodes: Sequence[Node],
    above: tuple[KeptKeys, ...],
    kept: KeptKeys | None = None,
    windows: list[int | None] | None = None,
) -> Iterator[tuple[Node, Results]]:
    """Run one forward pass over a row packed with `nodes` and all below. Yield each node with its reads (nats).

    `kept` and `windows` are filled in as `PackedLayout` describes.
    """
    flat = [list(node.walk()) for node in nodes]
    spans: list[Span] = []
    tokens: list[int] = []
    depths: list[int] = []
    logit_index: dict[int, int] = {}  # by place in the row
    wanted: list[tuple[int, int]] = []  # for each read: index of its logits, token
    for node in (inner for part in flat for inner in part):
        low = len(tokens)
        tokens += node.tokens.tolist()
        depths += range(node.start, node.end)
        spans.append(Span(low, len(tokens), low + node.size, node.start))
        for read in node.reads:
            wanted.append((logit_index.setdefault(low + read.at - node.start, len(logit_index)), read.token))
    row = torch.tensor([tokens], device=loaded.device)
    position_ids = torch.tensor([depths], device=loaded.device)
    # A row without reads (the top of a few-shot block) still computes one position's logits.
    keep_logits = torch.tensor([list(logit_index) or [0]], device=loaded.device)
    layout = PackedLayout(tuple(spans), above, kept, [] if windows is None else windows)
    model = bare(loaded.model)
    with packed_attention(model.config, layout), last_mlp_at(model, keep_logits[0], len(tokens)):
        logits = last_logits(loaded, keep_logits, row, None, position_ids)[0]
    values = iter(token_log_probabilities(logits, wanted))
    for node, part in zip(nodes, flat, strict=True):
        yield node, [(read, next(values)) for inner in part for read in inner.reads]


@contextlib.contextmanager
def last_mlp_at(model: Any, positions: Tensor, size: int) -> Iterator[None]:
    """During the `with` block, compute the last layer's MLP only at these `positions` (n,) of a row of `size` tokens.

    No later layer reads the others, whose hidden states lack the MLP's output.
    """
    last = next((m for m in reversed(list(model.modules())) if type(m).__name__.endswith("MLP")), None)
    if last is None or 2 * len(positions) > size:
        yield
        return

    def narrow(_: Any, inputs: tuple[Any, ...]) -> Any:
        fits = len(inputs) == 1 and inputs[0].shape[:2] == (1, size)
        return (inputs[0][:, positions],) if fits else None

    def widen(_: Any, inputs: tuple[Any, ...], output: Any) -> Any:
        if len(inputs) != 1 or inputs[0].shape[:2] != (1, len(positions)):
            return None
        full = output.new_zeros(1, size, output.shape[-1])
        full[:, positions] = output
        return full

    hooks = last.register_forward_pre_hook(narrow), last.register_forward_hook(widen)
    try:
        yield
    finally:
        for hook in hooks:
            hook.remove()


def supports_packed_rows(loaded: Loaded) -> bool:
    """Whether the model computes the same in packed rows as in whole ones, tried on a few tokens."""
    model = bare(loaded.model)
    if loaded.encoder_decoder or loaded.one_at_a_time or not accepts(loaded, "position_ids"):
        return False
    draw = torch.Generator().manual_seed(0)
    vocabulary = model.config.get_text_config().vocab_size
    stem, *ends = (torch.randint(vocabulary, (length,), generator=draw).tolist() for length in (5, 3, 4, 1))
    probes = torch.randint(vocabulary, (8,), generator=draw).tolist()
    sequences = [
        ScoredSequence(0, (*stem, *end), tuple((i, (token,)) for i, token in enumerate(probes))) for end in ends
    ]
    top = Node(as_bytes(stem), len(stem))
    leaves = [Node(as_bytes(s.tokens), len(s.tokens), len(stem), list(_reads(s))) for s in sequences]
    tree = Node(top.sequence, top.end, children=leaves)
    for node in (top, *leaves, tree):
        node.measure()
    kept = KeptKeys(0)
    windows: list[int | None] = []
    try:
        whole = [value for values in causal_log_likelihoods(loaded, sequences) for value in values.values()]
        list(_pass(loaded, [top], (), kept))
        found = [
            [value for _, reads in _pass(loaded, nodes, above, windows=windows) for _, value in reads]
            for nodes, above in (([tree], ()), (leaves, (kept,)))
        ]
        if windows != 2 * (_windows(model.config) or [0]):
            return False
    except Exception:  # a model that was not written for this may raise anything
        return False
    off = (torch.tensor(found) - torch.tensor(whole)).abs().max()
    return bool(off <= TOLERANCE[str(model.dtype)] * max(map(abs, whole)))


def _windows(config: Any) -> list[int | None] | None:
    """Return each layer's sliding window; None if a layer attends to anything but all positions or a window."""
    from transformers.cache_utils import get_layer_types_and_kwargs

    kinds, extras = get_layer_types_and_kwargs(config.get_text_config(decoder=True))
    if set(kinds) - {"full_attention", "sliding_attention"}:
        return None
    return [extra.get("sliding_window") for extra in extras]
