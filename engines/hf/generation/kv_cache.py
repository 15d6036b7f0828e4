"""Keys and values of the sequences at work, each in a slot of its own, and the masks that go with them.

Imports transformers; itself imported where text is made.
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
BY_BLOCKS = "medbench_blocks"
# What models hand to their attention and what makes no difference to it; a sliding window is in the mask already.
HARMLESS = frozenset({"position_ids", "use_cache", "cache_position", "past_key_values", "sliding_window", "is_causal"})


@dataclass(frozen=True)
class Opening:
    """A pass over whole prompts, from their first tokens, into the slots from `first` on."""

    first: int

    def put(self, store: Any, new: Any) -> Any:
        store[self.first : self.first + new.shape[0], :, : new.shape[2]] = new
        return new  # nothing came before


@dataclass(frozen=True)
class Piece:
    """A pass over a part of one prompt, from position `start` on."""

    slot: int
    start: int

    def put(self, store: Any, new: Any) -> Any:
        end = self.start + new.shape[2]
        store[self.slot, :, self.start : end] = new[0]
        return store[self.slot : self.slot + 1, :, :end]


@dataclass(frozen=True)
class Step:
    """One more token for the first slots, each at its own position `at` (rows,); `longest` is the highest, plus 1."""

    slots: Any  # 0, 1, 2, …
    at: Any
    longest: int

    def put(self, store: Any, new: Any) -> Any:
        store[self.slots, :, self.at] = new[:, :, 0]
        return store[: new.shape[0], :, : self.longest]


class Slots(Cache):  # type: ignore[misc]
    """A cache made once for so many rows and positions, written in place: nothing is copied as texts grow.

    Per layer two tensors (slots, heads, positions, head width). A slot is filled from its left end and cleared when it
    is given up: a masked number that is none, or infinite, would spoil its row all the same.
    """

    def __init__(self) -> None:
        super().__init__(layers=[])  # to transformers it looks empty; masks are ours wherever something came before
        self.slots = self.positions = 0
        self.stores: list[tuple[Any, Any]] = []
        self.going: Opening | Piece | Step = Opening(0)

    def reserve(self, slots: int, positions: int) -> None:
        """Have room for so many; a store that is too small is made anew with exactly that, layer by layer."""
        if slots <= self.slots and positions <= self.positions:
            return
        keep = min(slots, self.slots), min(positions, self.positions)
        self.slots, self.positions = slots, positions
        for layer, pair in enumerate(self.stores):
            self.stores[layer] = (self._moved(pair[0], *keep), self._moved(pair[1], *keep))

    def _moved(self, old: Any, slots: int, positions: int) -> Any:
        new = old.new_zeros(self.slots, old.shape[1], self.positions, old.shape[3])
        new[:slots, :, :positions] = old[:slots, :, :positions]
        return new

    def update(self, key_states: Any, value_states: Any, layer_idx: int, *_: Any, **__: Any) -> tuple[Any, Any]:
        """Called by every layer of the model: keeps what is new and gives back all that its rows look at."""
        while len(self.stores) <= layer_idx:
            made = [
                new.new_zeros(self.slots, new.shape[1], self.positions, new.shape[3])
                for new in (key_states, value_states)
            ]
            self.stores.append((made[0], made[1]))
        keys, values = self.stores[layer_idx]
        return self.going.put(keys, key_states), self.going.put(values, value_states)

    def move(self, source: int, target: int) -> None:
        """Copy one slot over another."""
        for pair in self.stores:
            for store in pair:
                store[target] = store[source]

    def clear(self, slot: int) -> None:
        """Forget what was in a slot."""
        for pair in self.stores:
            for store in pair:
                store[slot] = 0


@dataclass(frozen=True)
class Masks:
    """The form in which a model takes masks: which kinds its layers know, and whether they are added or looked up."""

    kinds: tuple[str, ...]
    window: int  # positions that a sliding layer sees, its own among them; 0 without such layers
    added: Any  # the dtype of a mask that is added to the scores; None for one of truth values

    def at(self, positions: Any, longest: int) -> Any:
        """For queries at `positions` (rows, queries) over keys at 0 … `longest` - 1."""
        reached = positions[:, None, :, None]
        keys = torch.arange(longest, device=positions.device)
        full = keys <= reached  # (rows, 1, queries, keys)
        made = {kind: full & (keys > reached - self.window) if kind == SLIDING else full for kind in self.kinds}
        if self.added is not None:
            lowest = torch.finfo(self.added).min
            made = {
                kind: torch.zeros_like(mask, dtype=self.added).masked_fill_(~mask, lowest)
                for kind, mask in made.items()
            }
        return made if len(made) > 1 else made[self.kinds[0]]


def masks_for(loaded: Loaded) -> Masks | None:
    """The masks of a model all of whose layers attend to all or to a window; None for any other."""
    config = loaded.model.config.get_text_config(decoder=True)
    form = getattr(config, "_attn_implementation", "")
    kinds, settings = get_layer_types_and_kwargs(config)
    windows = {found["sliding_window"] for kind, found in zip(kinds, settings, strict=True) if kind == SLIDING}
    if form not in ("sdpa", "eager") or not set(kinds) <= {FULL, SLIDING} or len(windows) > 1:
        return None
    added = loaded.model.dtype if form == "eager" else None
    return Masks(tuple(sorted(set(kinds))), windows.pop() if windows else 0, added)


_blocks: ContextVar[list[tuple[int, int, int]]] = ContextVar("blocks")


@contextlib.contextmanager
def by_blocks(loaded: Loaded, lengths: list[int], block: int) -> Iterator[None]:
    """While it lasts, `block` rows at a time attend to no more positions than the longest of them has.

    Reading keys and values is what attention costs here; without this all rows read as far as the longest of all. For
    models on transformers' "sdpa"; for others it changes nothing.
    """
    config = loaded.model.config.get_text_config(decoder=True)
    if config._attn_implementation != "sdpa" or block >= len(lengths):
        yield
        return
    lows = range(0, len(lengths), block)
    token = _blocks.set([(low, low + block, max(lengths[low : low + block])) for low in lows])
    config._attn_implementation = BY_BLOCKS
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
    """One query a row, in the blocks of `by_blocks`: (rows, heads, 1, width) to (rows, 1, heads, width).

    The heads that share a key head stand where the queries of one row do, so that no key is repeated.
    """
    if any(given is not None and name not in HARMLESS for name, given in others.items()):
        found: tuple[Any, None] = sdpa_attention_forward(
            module, query, key, value, attention_mask, dropout, scaling, **others
        )
        return found
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


AttentionInterface.register(BY_BLOCKS, _attend)


def opened(loaded: Loaded, slots: Slots, prompts: list[list[int]], first: int) -> Any:
    """Logits (rows, vocabulary) after whole prompts, which go into the slots from `first` on."""
    # Padded on the right, so that no prompt looks at padding and no mask is needed.
    tokens, _ = padded(loaded, prompts, "right")
    slots.going = Opening(first)
    positions = torch.arange(tokens.shape[1], device=tokens.device).expand(tokens.shape)
    last = torch.tensor([[len(prompt) - 1] for prompt in prompts], device=tokens.device)
    return last_logits(loaded, last, tokens, None, positions, slots)[:, -1]


def opened_in_pieces(loaded: Loaded, slots: Slots, masks: Masks, prompt: list[int], slot: int, length: int) -> Any:
    """Logits (1, vocabulary) after one prompt that goes through the model `length` tokens at a time."""
    logits = None
    for start in range(0, len(prompt), length):
        tokens = torch.tensor([prompt[start : start + length]], device=loaded.device)
        positions = torch.arange(start, start + tokens.shape[1], device=tokens.device)[None]
        slots.going = Piece(slot, start)
        mask = masks.at(positions, start + tokens.shape[1])
        logits = last_logits(loaded, 1, tokens, mask, positions, slots)[:, -1]
    return logits


def stepped(loaded: Loaded, slots: Slots, masks: Masks, rows: list[list[int]], block: int) -> Any:
    """Logits (rows, vocabulary) after the last token of each row, the rest of which is in its slot."""
    tokens = torch.tensor([[row[-1]] for row in rows], device=loaded.device)
    at = torch.tensor([len(row) - 1 for row in rows], device=loaded.device)
    lengths = [len(row) for row in rows]
    longest = max(lengths)
    slots.going = Step(torch.arange(len(rows), device=loaded.device), at, longest)
    with by_blocks(loaded, lengths, block):
        return last_logits(loaded, 1, tokens, masks.at(at[:, None], longest), at[:, None], slots)[:, -1]


def takes_slots(loaded: Loaded) -> bool:
    """Whether a model answers from slots as it answers from whole texts: tried out on a few tokens.

    Some read positions off a mask of another shape, add a slope for distance, share keys between layers, or keep a
    state instead of keys.
    """
    if loaded.encoder_decoder or loaded.alone or (masks := masks_for(loaded)) is None:
        return False
    words = len(loaded.tokenizer)
    long, short = [[(7 * i + start) % words for i in range(length)] for start, length in ((3, 9), (5, 4))]
    slots = Slots()
    slots.reserve(3, 10)
    try:
        found = [*opened(loaded, slots, [long, short], 0)]
        found += [*stepped(loaded, slots, masks, [[*long, 6], [*short, 6]], 1)]
        found += [*opened_in_pieces(loaded, slots, masks, long, 2, 5)]
    except (AttributeError, TypeError, ValueError, IndexError, NotImplementedError):
        return False  # it wants more of a cache or a mask than there is
    texts = [long, short, [*long, 6], [*short, 6], long]
    for text, logits in zip(texts, found, strict=True):
        whole = last_logits(loaded, 1, torch.tensor([text], device=loaded.device), None)[0, -1]
        if (whole - logits).std() > 0.1 * whole.std():  # rounding is less; false where the model gives no numbers
            return False
    return True
