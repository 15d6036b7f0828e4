"""Decoding with continuous batching: finished sequences leave, and waiting prompts take their slots."""

from __future__ import annotations

import time
from collections.abc import Collection, Iterator, Sequence
from typing import Any

from ..batching import OutOfMemory, is_out_of_memory
from ..loading import Loaded
from ..memory import reclaim
from .completion import Completion, DecodeRequest, completed
from .picking import draw
from .scheduling import ActiveSequence, Capacity, Schedule


def decode(
    loaded: Loaded, requests: Sequence[DecodeRequest], capacity: Capacity
) -> Iterator[tuple[int, Completion | OutOfMemory]]:
    """Decode with a model that `kv_cache.supports_kv_cache`. Yield (index, completion) as texts end."""
    decoder = Decoder(loaded, capacity, requests)
    while decoder.schedule.unfinished:
        yield from decoder.advance()


class Decoder:
    """The state of a decoding. Requests may be added and dropped between passes; `advance` runs one pass.

    When memory runs out, half as many sequences continue and no token is lost. A text that does not fit even alone
    becomes `OutOfMemory`.
    """

    def __init__(self, loaded: Loaded, capacity: Capacity, requests: Sequence[DecodeRequest] = ()) -> None:
        from . import kv_cache

        masks = kv_cache.masks_for(loaded)
        assert masks is not None, "supports_kv_cache checked this"
        self.passes = kv_cache
        self.loaded, self.masks = loaded, masks
        self.requests = dict(enumerate(requests))
        self.schedule = Schedule((_sequence(index, request) for index, request in self.requests.items()), capacity)
        self.cache = kv_cache.KVCache()
        self._finished: list[tuple[int, Completion | OutOfMemory]] = []

    def add(self, index: int, request: DecodeRequest) -> None:
        """Put a request at the end of the queue. `index` is its name from then on."""
        self.requests[index] = request
        self.schedule.add(_sequence(index, request))

    def drop(self, index: int) -> None:
        """Forget a request, whether it waits or is being decoded. Nothing more is returned for it."""
        import torch

        if self.requests.pop(index, None) is not None and (slot := self.schedule.drop(index)) is not None:
            with torch.inference_mode():
                self._remove([slot])

    def new_tokens(self, indices: Collection[int]) -> Iterator[tuple[int, list[int]]]:
        """Yield the new tokens so far of those of these requests that are being decoded."""
        return ((s.index, s.new_tokens) for s in self.schedule.active if s.index in indices)

    def advance(self) -> list[tuple[int, Completion | OutOfMemory]]:
        """Prefill waiting prompts, or decode one token of every active sequence. Return what ended."""
        if not self._pass():
            reclaim()
            lost = self.schedule.shrink()
            if lost is not None:
                self._finished.append((lost.index, OutOfMemory()))
        finished, self._finished = self._finished, []
        for index, _ in finished:
            del self.requests[index]
        return finished

    def _pass(self) -> bool:
        """Return False if memory ran out. The cache is empty then."""
        import torch

        try:
            with torch.inference_mode():
                if not self.schedule.entering and self.schedule.should_admit():
                    self.schedule.admit()
                if self.schedule.entering:
                    self._prefill()
                else:
                    self._decode()
            return True
        except (RuntimeError, MemoryError) as error:
            if not is_out_of_memory(error):
                raise
            self.cache = self.passes.KVCache()
            return False

    def _prefill(self) -> None:
        """Run the next batch of entering prompts."""
        schedule = self.schedule
        self.cache.reserve(len(schedule.active) + len(schedule.entering), schedule.positions_needed())
        batch = schedule.next_prefill()
        for sequence in batch:
            sequence.started = sequence.started or time.perf_counter()
        first = len(schedule.active)
        prompts, places = _distinct([sequence.tokens for sequence in batch])
        chunk = schedule.capacity.prefill_tokens
        if len(prompts[0]) > chunk:
            logits = self.passes.prefill_in_chunks(self.loaded, self.cache, self.masks, prompts[0], first, chunk)
        else:
            logits = self.passes.prefill(self.loaded, self.cache, prompts, first)
        # From the end, so that no slot is overwritten before it was copied.
        for slot, place in reversed(list(enumerate(places))):
            if slot != place:
                self.cache.move(first + place, first + slot)
        self._append(logits[places] if len(prompts) < len(batch) else logits, schedule.activate(batch))

    def _decode(self) -> None:
        self.schedule.preempt()
        active = self.schedule.active
        self.cache.reserve(len(active), self.schedule.positions_needed())
        sequences = [sequence.tokens for sequence in active]
        logits = self.passes.decode_step(
            self.loaded, self.cache, self.masks, sequences, self.schedule.capacity.block_slots
        )
        self._append(logits, range(len(active)))

    def _append(self, logits: Any, slots: Sequence[int]) -> None:
        """Append the next token to the sequences in `slots` and remove those that end.

        `logits` is (sequences, vocabulary).
        """
        following = logits.argmax(dim=-1, keepdim=True)
        # argmax returns the position of a NaN if there is one.
        valid = logits.gather(-1, following).isnan().logical_not()[:, 0].tolist()
        chosen = following[:, 0].tolist()  # on a GPU this waits for the pass to end, so the clock is read after it
        now = time.perf_counter()
        ended: list[int] = []
        for row, token in self._drawn(logits, slots, valid):
            chosen[row] = token
        for row, (slot, token, is_valid) in enumerate(zip(slots, chosen, valid, strict=True)):
            sequence = self.schedule.active[slot]
            pick = self.requests[sequence.index].pick
            if pick and is_valid:
                token = pick(logits[row], len(sequence.new_tokens))
            seconds = now - (sequence.started or now)
            sequence.first_token_s = sequence.first_token_s or seconds
            if is_valid:
                sequence.tokens.append(token)
            completion = self._completion(sequence, is_valid, seconds)
            if completion is not None:
                self._finished.append((sequence.index, completion))
                ended.append(slot)
        self._remove(ended)

    def _drawn(self, logits: Any, slots: Sequence[int], valid: Sequence[bool]) -> Iterator[tuple[int, int]]:
        """Yield (row, token) for the sequences whose tokens are drawn."""
        rows, how = [], []
        for row, (slot, is_valid) in enumerate(zip(slots, valid, strict=True)):
            sequence = self.schedule.active[slot]
            sampling = self.requests[sequence.index].sampling
            if sampling and is_valid:
                rows.append(row)
                how.append((sampling, len(sequence.tokens) - sequence.prompt_tokens))
        if rows:
            yield from zip(rows, draw(logits if len(rows) == len(slots) else logits[rows], how), strict=True)

    def _remove(self, ended: Sequence[int]) -> None:
        for source, target in self.schedule.remove(ended):
            self.cache.move(source, target)
        for slot in range(len(self.schedule.active), len(self.schedule.active) + len(ended)):
            self.cache.clear(slot)

    def _completion(self, sequence: ActiveSequence, is_valid: bool, seconds: float) -> Completion | None:
        """Return the completion of a sequence that its last token ended; None if the sequence continues."""
        new = sequence.new_tokens
        if not is_valid:
            return Completion("", len(new), "error", sequence.first_token_s, seconds)
        request = self.requests[sequence.index]
        ended = new[-1] in request.end_tokens
        if not (ended or len(new) >= sequence.max_new_tokens or request.stop.seen(new)):
            return None
        kept = new[:-1] if ended else new
        return completed(self.loaded, kept, len(new), ended, request.stop, sequence.first_token_s, seconds)


def _distinct(prompts: Sequence[list[int]]) -> tuple[list[list[int]], list[int]]:
    """Return the prompts without those that repeat the one before, and the place of each prompt among these."""
    found: list[list[int]] = []
    places = []
    for prompt in prompts:
        if not found or prompt != found[-1]:
            found.append(prompt)
        places.append(len(found) - 1)
    return found, places


def _sequence(index: int, request: DecodeRequest) -> ActiveSequence:
    return ActiveSequence(index, list(request.tokens), len(request.tokens), request.max_new_tokens)
