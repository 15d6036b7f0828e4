"""The KV cache of continuous batching, one slot per sequence, and the prefill and decode passes over it.

Imports transformers. Import it only when a model is loaded.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Any

import torch
from transformers import AttentionInterface, Cache
from transformers.cache_utils import get_layer_types_and_kwargs
from transformers.integrations.sdpa_attention import sdpa_attention_forward

from ..forward import last_logits, padded
from ..loading import Loaded

FULL, SLIDING = "full_attention", "sliding_attention"
BLOCK_ATTENTION = "medbench_blocks"
# Arguments that models pass to attention and that change nothing here. The mask already includes a sliding window.
HARMLESS = frozenset({"position_ids", "use_cache", "cache_position", "past_key_values", "sliding_window", "is_causal"})


@dataclass(frozen=True)
class PrefillPass:
    """A pass over whole prompts, from their first tokens, into the slots from `first` on."""

    first: int

    def write(self, stored: Any, new: Any) -> Any:
        stored[self.first : self.first + new.shape[0], :, : new.shape[2]] = new
        return new  # there is nothing before it


@dataclass(frozen=True)
class ChunkPass:
    """A pass over a part of one prompt, from position `start` on."""

    slot: int
    start: int

    def write(self, stored: Any, new: Any) -> Any:
        end = self.start + new.shape[2]
        stored[self.slot, :, self.start : end] = new[0]
        return stored[self.slot : self.slot + 1, :, :end]


@dataclass(frozen=True)
class DecodePass:
    """One more token for each of the first slots, at its own position (slots,); `longest` is the highest, plus 1."""

    slots: Any  # 0, 1, 2, …
    positions: Any
    longest: int

    def write(self, stored: Any, new: Any) -> Any:
        stored[self.slots, :, self.positions] = new[:, :, 0]
        return stored[: new.shape[0], :, : self.longest]


class KVCache(Cache):  # type: ignore[misc]
    """Keys and values of every sequence, in tensors allocated once and written in place.

    Per layer there are two tensors of shape (slots, key heads, positions, head width). A slot is filled from position 0
    on and cleared when its sequence leaves: a masked NaN or infinity would still spoil the attention of its row.
    """

    def __init__(self) -> None:
        # transformers takes the cache for empty. Masks are passed wherever something came before.
        super().__init__(layers=[])
        self.slots = self.positions = 0
        self.stored: list[tuple[Any, Any]] = []  # keys and values, by layer
        self.current: PrefillPass | ChunkPass | DecodePass = PrefillPass(0)

    def reserve(self, slots: int, positions: int) -> None:
        """Make room for this many slots and positions. Tensors that are too small are replaced, layer by layer."""
        if slots <= self.slots and positions <= self.positions:
            return
        keep = min(slots, self.slots), min(positions, self.positions)
        self.slots, self.positions = slots, positions
        for layer, pair in enumerate(self.stored):
            self.stored[layer] = (self._resized(pair[0], *keep), self._resized(pair[1], *keep))

    def _resized(self, old: Any, slots: int, positions: int) -> Any:
        new = old.new_zeros(self.slots, old.shape[1], self.positions, old.shape[3])
        new[:slots, :, :positions] = old[:slots, :, :positions]
        return new

    def update(self, key_states: Any, value_states: Any, layer_idx: int, *_: Any, **__: Any) -> tuple[Any, Any]:
        """Store a layer's new keys and values, and return all that its rows attend to. The model calls this."""
        while len(self.stored) <= layer_idx:
            keys, values = (
                new.new_zeros(self.slots, new.shape[1], self.positions, new.shape[3])
                for new in (key_states, value_states)
            )
            self.stored.append((keys, values))
        keys, values = self.stored[layer_idx]
        return self.current.write(keys, key_states), self.current.write(values, value_states)

    def move(self, source: int, target: int) -> None:
        """Copy one slot over another."""
        for pair in self.stored:
            for tensor in pair:
                tensor[target] = tensor[source]

    def clear(self, slot: int) -> None:
        """Set a slot to zeros."""
        for pair in self.stored:
            for tensor in pair:
                tensor[slot] = 0


@dataclass(frozen=True)
class AttentionMasks:
    """The form of a model's attention masks: the kinds its layers need, and whether masks are added or boolean."""

    kinds: tuple[str, ...]
    window: int  # positions that a sliding layer sees, including its own; 0 without such layers
    added: Any  # the dtype of masks that are added to the scores; None for boolean masks

    def at(self, positions: Any, longest: int) -> Any:
        """Return masks for queries at `positions` (rows, queries) over keys at 0 … `longest` - 1.

        A mask is (rows, 1, queries, keys). A model with several kinds of layers gets one mask per kind, in a dict.
        """
        queries = positions[:, None, :, None]
        keys = torch.arange(longest, device=positions.device)
        full = keys <= queries
        masks = {kind: full & (keys > queries - self.window) if kind == SLIDING else full for kind in self.kinds}
        if self.added is not None:
            lowest = torch.finfo(self.added).min
            masks = {
                kind: torch.zeros_like(mask, dtype=self.added).masked_fill_(~mask, lowest)
                for kind, mask in masks.items()
            }
        return masks if len(masks) > 1 else masks[self.kinds[0]]


def masks_for(loaded: Loaded) -> AttentionMasks | None:
    """Return the form of a model's masks; None if a layer attends to anything but all positions or a window."""
    config = loaded.model.config.get_text_config(decoder=True)
    form = getattr(config, "_attn_implementation", "")
    kinds, settings = get_layer_types_and_kwargs(config)
    windows = {found["sliding_window"] for kind, found in zip(kinds, settings, strict=True) if kind == SLIDING}
    if form not in ("sdpa", "eager") or not set(kinds) <= {FULL, SLIDING} or len(windows) > 1:
        return None
    added = loaded.model.dtype if form == "eager" else None
    return AttentionMasks(tuple(sorted(set(kinds))), windows.pop() if windows else 0, added)


_blocks: ContextVar[list[tuple[int, int, int]]] = ContextVar("blocks")  # first row, last row + 1, longest row


@contextlib.contextmanager
def block_attention(loaded: Loaded, lengths: list[int], block: int) -> Iterator[None]:
    """During the `with` block, attend in blocks of `block` rows, each to as many positions as its longest row has.

    Reading keys and values is most of the cost of attention here. Otherwise all rows read as far as the longest of
    all. This applies to models on transformers' "sdpa" attention and does nothing for others.
    """
    config = loaded.model.config.get_text_config(decoder=True)
    if config._attn_implementation != "sdpa" or block >= len(lengths):
        yield
        return
    lows = range(0, len(lengths), block)
    token = _blocks.set([(low, low + block, max(lengths[low : low + block])) for low in lows])
    config._attn_implementation = BLOCK_ATTENTION
    try:
        yield
    finally:
        config._attn_implementation = "sdpa"
        _blocks.reset(token)


def _attend(
    module: Any,
    query: Any,
    key: Any,
    value: Any,
    attention_mask: Any,
    dropout: float = 0.0,
    scaling: float | None = None,
    **others: Any,
) -> tuple[Any, None]:
    """Attention for one query per row, in the blocks of `block_attention`: (rows, heads, 1, width) to (rows, 1, heads,
    width).

    The heads that share a key head take the place of a row's queries, so that no key is repeated.
    """
    if any(given is not None and name not in HARMLESS for name, given in others.items()):
        result: tuple[Any, None] = sdpa_attention_forward(
            module, query, key, value, attention_mask, dropout, scaling, **others
        )
        return result
    rows, heads, _, width = query.shape
    folded = query.reshape(rows, key.shape[1], heads // key.shape[1], width)
    out = query.new_empty(*folded.shape[:-1], value.shape[-1])
    for low, high, longest in _blocks.get():
        out[low:high] = torch.nn.functional.scaled_dot_product_attention(
            folded[low:high],
            key[low:high, :, :longest],
            value[low:high, :, :longest],
            attn_mask=attention_mask[low:high, ..., :longest],
            scale=scaling,
        )
    return out.view(rows, 1, heads, -1), None


AttentionInterface.register(BLOCK_ATTENTION, _attend)


def prefill(loaded: Loaded, cache: KVCache, prompts: list[list[int]], first: int) -> Any:
    """Run whole prompts into the slots from `first` on. Return the logits (rows, vocabulary) after each."""
    # Padding on the right: no token of a prompt attends to it, so no mask is needed.
    tokens, _ = padded(loaded, prompts, "right")
    cache.current = PrefillPass(first)
    positions = torch.arange(tokens.shape[1], device=tokens.device).expand(tokens.shape)
    last = torch.tensor([[len(prompt) - 1] for prompt in prompts], device=tokens.device)
    return last_logits(loaded, last, tokens, None, positions, cache)[:, -1]


def prefill_in_chunks(
    loaded: Loaded, cache: KVCache, masks: AttentionMasks, prompt: list[int], slot: int, chunk: int
) -> Any:
    """Run one prompt into a slot, `chunk` tokens at a time. Return the logits (1, vocabulary) after it."""
    logits = None
    for _, found in chunks(loaded, cache, masks, prompt, slot, chunk):
        logits = found[:, -1]
    return logits


def chunks(
    loaded: Loaded,
    cache: KVCache,
    masks: AttentionMasks,
    prompt: list[int],
    slot: int,
    chunk: int,
    first: int = 0,
    every: bool = False,
) -> Iterator[tuple[int, Any]]:
    """Yield (first position, logits (1, positions, vocabulary)) of each chunk: of its last position, or of `every`.

    `first`: what comes before this position is in the slot.
    """
    for start in range(first, len(prompt), chunk):
        tokens = torch.tensor([prompt[start : start + chunk]], device=loaded.device)
        positions = torch.arange(start, start + tokens.shape[1], device=tokens.device)[None]
        cache.current = ChunkPass(slot, start)
        mask = masks.at(positions, start + tokens.shape[1])
        yield start, last_logits(loaded, tokens.shape[1] if every else 1, tokens, mask, positions, cache)


def decode_step(loaded: Loaded, cache: KVCache, masks: AttentionMasks, sequences: list[list[int]], block: int) -> Any:
    """Run the last token of each sequence; the tokens before it are in its slot, 0, 1, 2, …

    Return the logits (sequences, vocabulary) after it. `block` is how many neighboring slots attend together.
    """
    tokens = torch.tensor([[sequence[-1]] for sequence in sequences], device=loaded.device)
    positions = torch.tensor([len(sequence) - 1 for sequence in sequences], device=loaded.device)
    lengths = [len(sequence) for sequence in sequences]
    longest = max(lengths)
    cache.current = DecodePass(torch.arange(len(sequences), device=loaded.device), positions, longest)
    mask = masks.at(positions[:, None], longest)
    with block_attention(loaded, lengths, block):
        return last_logits(loaded, 1, tokens, mask, positions[:, None], cache)[:, -1]


def supports_kv_cache(loaded: Loaded) -> bool:
    """Whether a model gives the same logits with this cache as without, tried on a few tokens.

    Some models derive positions from a mask of another shape, add a bias by distance, share keys between layers, or
    keep a state instead of keys.
    """
    if loaded.encoder_decoder or loaded.one_at_a_time or (masks := masks_for(loaded)) is None:
        return False
    words = len(loaded.tokenizer)
    long, short = [[(7 * i + start) % words for i in range(length)] for start, length in ((3, 9), (5, 4))]
    cache = KVCache()
    cache.reserve(3, 10)
    try:
        found = [*prefill(loaded, cache, [long, short], 0)]
        found += [*decode_step(loaded, cache, masks, [[*long, 6], [*short, 6]], 1)]
        found += [*prefill_in_chunks(loaded, cache, masks, long, 2, 5)]
    except (AttributeError, TypeError, ValueError, IndexError, NotImplementedError):
        return False  # the model needs more of a cache or a mask than this one has
    texts = [long, short, [*long, 6], [*short, 6], long]
    for text, logits in zip(texts, found, strict=True):
        whole = last_logits(loaded, 1, torch.tensor([text], device=loaded.device), None)[0, -1]
        if (whole - logits).std() > 0.1 * whole.std():  # rounding is less; a comparison with NaN is false
            return False
    return True
