"""Attention over a packed row: many sequences in one row without padding, with each shared prefix in it once.

A packed row holds the nodes of a prefix tree one after the other (`Span`). A token attends to its own node up to itself
and to all of every node above. Each of these is attention over a block of keys without a mask. The blocks are joined by
their log-sum-exps, which is exact (Hydragen, arXiv:2402.05099). The keys and values of nodes that ran in an earlier row
are kept (`KeptKeys`), in one copy for all rows.

The model calls `attend` through transformers' attention interface. No mask function is registered under its name, so
transformers makes no mask. Position ids give each token its depth in its own sequence.
"""

from __future__ import annotations

import contextlib
import functools
from collections.abc import Iterator, Sequence
from contextvars import ContextVar
from dataclasses import dataclass, field, replace
from typing import Any

import torch
from torch import Tensor
from transformers import AttentionInterface

NAME = "medbench_packed"
QUERIES = 512  # at a time, where scores are computed explicitly
# torch's CPU kernel computes the scores of later keys and masks them, up to 512 keys. Running a few queries at a time,
# against the keys up to the last of them, saves a third of attention. For spans over LONG_SPAN tokens it saves little.
QUERY_PIECE = 64
LONG_SPAN = 1024

# Arguments that models pass to attention besides those of `attend`, and that change nothing here.
HARMLESS = frozenset(
    {"position_ids", "use_cache", "cache_position", "past_key_values", "logits_to_keep", "num_items_in_batch"}
    | {"output_attentions", "output_hidden_states", "return_dict"}
)


class UnsupportedAttention(Exception):
    """The model's attention is not what `attend` computes."""


@dataclass(frozen=True)
class Span:
    """A node in a packed row: its tokens are at `low`..`high`, its descendants' at `high`..`end`.

    `depth` is the number of tokens before it in its sequence.
    """

    low: int
    high: int
    end: int
    depth: int


@dataclass
class KeptKeys:
    """Keys and values of one node, by layer: tensors of shape (1, key heads, tokens, width)."""

    depth: int
    layers: dict[int, tuple[Tensor, Tensor]] = field(default_factory=dict)

    @property
    def nbytes(self) -> int:
        return sum(part.nbytes for pair in self.layers.values() for part in pair)


@dataclass(frozen=True)
class PackedLayout:
    """How the row of one forward pass is packed."""

    spans: tuple[Span, ...]
    above: tuple[KeptKeys, ...] = ()  # of the nodes above every span of the row
    keep: KeptKeys | None = None  # filled with the whole row's keys and values
    windows: list[int | None] = field(default_factory=list)  # filled with each layer's sliding window

    @functools.cached_property
    def joins(self) -> list[tuple[Span, list[Span]]]:
        """Each span that has descendants, with them."""
        parents = [span for span in self.spans if span.end > span.high]
        return [(span, [other for other in self.spans if span.high <= other.low < span.end]) for span in parents]


_layout: ContextVar[PackedLayout] = ContextVar("layout")


@contextlib.contextmanager
def packed_attention(config: Any, layout: PackedLayout) -> Iterator[None]:
    """During the `with` block, the model with this configuration runs rows packed according to `layout`."""
    usual = config._attn_implementation
    token = _layout.set(layout)
    config._attn_implementation = NAME
    try:
        yield
    finally:
        config._attn_implementation = usual
        _layout.reset(token)


def attend(
    module: Any,
    query: Tensor,
    key: Tensor,
    value: Tensor,
    attention_mask: Tensor | None,
    dropout: float = 0.0,
    scaling: float | None = None,
    is_causal: bool | None = None,
    sliding_window: int | None = None,
    softcap: float | None = None,
    **others: Any,
) -> tuple[Tensor, None]:
    """Compute the attention of one layer over one packed row. The signature is transformers'.

    `query` is (1, heads, tokens, width), `key` and `value` are (1, key heads, tokens, width), and the result is
    (1, tokens, heads, width). Raises UnsupportedAttention for arguments that it cannot handle.
    """
    unknown = [name for name, given in others.items() if given is not None and name not in HARMLESS]
    if unknown or attention_mask is not None or dropout or is_causal is False or query.shape[0] != 1:
        raise UnsupportedAttention(f"{type(module).__name__}: {', '.join(unknown) or 'a mask, dropout or batch'}")
    layout = _layout.get()
    layout.windows.append(sliding_window)
    layer = id(module)
    if layout.keep is not None:
        layout.keep.layers[layer] = (key.contiguous(), value.contiguous())
    rule = ScoreRule(query.shape[-1] ** -0.5 if scaling is None else scaling, sliding_window, softcap)
    (_, heads, tokens, _), width = query.shape, value.shape[-1]
    alone = not layout.above and not layout.joins
    out = query.new_empty((1, tokens, heads, width), dtype=query.dtype if alone else _sum_dtype(query)).transpose(1, 2)
    weight = query.new_empty((1, heads, tokens), dtype=_sum_dtype(query))  # log-sum-exp of the scores behind `out`
    for span in layout.spans:
        length = span.high - span.low
        step = QUERY_PIECE if query.device.type == "cpu" and length <= LONG_SPAN else length
        for low in range(span.low, span.high, step):
            own, seen = slice(low, min(low + step, span.high)), slice(span.low, min(low + step, span.high))
            out[:, :, own], weight[:, :, own] = block(
                query[:, :, own], key[:, :, seen], value[:, :, seen], span.depth + low - span.low, span.depth, rule
            )
    for span, below in layout.joins:
        own = slice(span.low, span.high)
        _join(out, weight, query, key[:, :, own], value[:, :, own], span.depth, below, rule)
    for kept in layout.above:
        _join(out, weight, query, *kept.layers[layer], kept.depth, layout.spans, rule)
    return out.to(query.dtype).transpose(1, 2), None


@dataclass(frozen=True)
class ScoreRule:
    """How a score is computed: scaled, capped, and masked from a distance of `window` tokens on."""

    scale: float
    window: int | None = None
    softcap: float | None = None


def _join(
    out: Tensor,
    weight: Tensor,
    query: Tensor,
    key: Tensor,
    value: Tensor,
    depth: int,
    below: Sequence[Span],
    rule: ScoreRule,
) -> None:
    """Add the attention of the spans `below`, which are adjacent, to a block of keys from `depth` on.

    `out` is (1, heads, tokens, width) and `weight`, its log-sum-exp, is (1, heads, tokens). Both change in place.
    """
    deepest = max(span.depth + span.high - span.low for span in below)
    if rule.window is not None and deepest - depth > rule.window:
        # How far each span looks back depends on its depth.
        pieces = [(slice(span.low, span.high), span.depth) for span in below]
    else:
        pieces = [(slice(below[0].low, below[-1].high), depth + key.shape[2])]
        rule = replace(rule, window=None)
    for piece, at in pieces:
        more, extra = block(query[:, :, piece], key, value, at, depth, rule)
        # Both are softmax averages. The share of the second in their union is a sigmoid.
        out[:, :, piece].lerp_(more.to(out.dtype), (extra - weight[:, :, piece]).sigmoid_()[..., None])
        weight[:, :, piece] = weight[:, :, piece].logaddexp(extra)


def block(query: Tensor, key: Tensor, value: Tensor, at: int, depth: int, rule: ScoreRule) -> tuple[Tensor, Tensor]:
    """Return the attention of queries from depth `at` on to keys from `depth` on, and its log-sum-exp.

    Shapes: `query` (1, heads, queries, width), `key` and `value` (1, key heads, keys, width), log-sum-exp
    (1, heads, queries). A query attends to the keys up to its own depth.
    """
    causal = at == depth
    partly = depth < at < depth + key.shape[2]
    hidden = rule.window is not None and at + query.shape[2] - depth > rule.window
    if hidden or rule.softcap is not None or query.shape[-1] != value.shape[-1]:
        return _explicit(query, key, value, at, depth, rule)
    if query.device.type == "cpu":
        kernel = torch.ops.aten._scaled_dot_product_flash_attention_for_cpu
        mask = (
            _causal_mask(query.dtype)[:, :, at - depth : at - depth + query.shape[2], : key.shape[2]]
            if partly
            else None
        )
        return tuple(kernel(query, key, value, 0.0, causal, attn_mask=mask, scale=rule.scale)[:2])
    groups = query.shape[1] // key.shape[1]
    if groups > 1:
        key, value = key.repeat_interleave(groups, dim=1), value.repeat_interleave(groups, dim=1)
    if query.device.type == "cuda" and query.dtype != torch.float32 and query.shape[-1] % 8 == 0:
        kernel = torch.ops.aten._scaled_dot_product_flash_attention
        return tuple(kernel(query, key, value, 0.0, causal, False, scale=rule.scale)[:2])
    if query.device.type == "cuda" and query.shape[-1] % 4 == 0:
        kernel = torch.ops.aten._scaled_dot_product_efficient_attention
        out, weight = kernel(query, key, value, None, True, 0.0, causal, scale=rule.scale)[:2]
        return out, weight[:, :, : query.shape[2]]  # padded to whole blocks
    return _explicit(query, key, value, at, depth, rule)


def _explicit(query: Tensor, key: Tensor, value: Tensor, at: int, depth: int, rule: ScoreRule) -> tuple[Tensor, Tensor]:
    """Do what `block` does, in plain operations, for cases that no kernel covers."""
    wide = _sum_dtype(query)
    outs, weights = [], []
    places = torch.arange(depth, depth + key.shape[2], device=key.device)
    # (1, key heads, 1, keys, width): the heads of one group share them
    keys, values = key[:, :, None].to(wide), value[:, :, None].to(wide)
    for low in range(0, query.shape[2], QUERIES):
        part = query[:, :, low : low + QUERIES].to(wide).unflatten(1, (key.shape[1], -1))
        scores = part @ keys.transpose(-1, -2) * rule.scale
        if rule.softcap is not None:
            scores = (scores / rule.softcap).tanh() * rule.softcap
        own = torch.arange(at + low, at + low + part.shape[3], device=key.device)[:, None]
        seen = places <= own
        if rule.window is not None:
            seen &= own - places < rule.window
        weight = scores.masked_fill_(~seen, -torch.inf).logsumexp(dim=-1)  # -inf for a query without any key
        shares = (scores - weight.clamp(min=torch.finfo(wide).min)[..., None]).exp()
        outs.append((shares @ values).flatten(1, 2))
        weights.append(weight.flatten(1, 2))
    return torch.cat(outs, dim=2), torch.cat(weights, dim=2)


@functools.cache
def _causal_mask(dtype: torch.dtype) -> Tensor:
    """Return the mask that is added to scores (queries, keys): -inf where the key is later than the query."""
    return torch.full((LONG_SPAN, LONG_SPAN), -torch.inf, dtype=dtype).triu(1)[None, None]


def _sum_dtype(tensor: Tensor) -> torch.dtype:
    """Return the dtype to compute sums in: at least float32."""
    return torch.promote_types(tensor.dtype, torch.float32)


AttentionInterface.register(NAME, attend)
