"""Greedy decoding with continuous batching: finished sequences leave, and waiting prompts take their slots."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from typing import Any

from ..batching import OutOfMemory, is_out_of_memory
from ..loading import Loaded
from ..memory import reclaim
from .completion import Completion, DecodeRequest, completed
from .scheduling import ActiveSequence, Capacity, Schedule


def greedy(
    loaded: Loaded, requests: Sequence[DecodeRequest], capacity: Capacity
) -> Iterator[tuple[int, Completion | OutOfMemory]]:
    """Decode greedily with a model that `kv_cache.supports_kv_cache`. Yield (index, completion) as texts end.

    When memory runs out, half as many sequences continue and no token is lost. A text that does not fit even alone
    yields `OutOfMemory`.
    """
    decoder = GreedyDecoder(loaded, requests, capacity)
    while decoder.schedule.unfinished:
        fitted = decoder.advance()
        yield from decoder.finished
        decoder.finished.clear()
        if not fitted:
            reclaim()
            lost = decoder.schedule.shrink()
            if lost is not None:
                yield lost.index, OutOfMemory()


class GreedyDecoder:
    """The state of a greedy decoding: `advance` runs one pass and adds the sequences that it ended to `finished`."""

    def __init__(self, loaded: Loaded, requests: Sequence[DecodeRequest], capacity: Capacity) -> None:
        from . import kv_cache

        masks = kv_cache.masks_for(loaded)
        assert masks is not None, "supports_kv_cache checked this"
        self.passes = kv_cache
        self.loaded, self.requests, self.masks = loaded, requests, masks
        self.schedule = Schedule(
            (ActiveSequence(i, list(r.tokens), len(r.tokens), r.max_new_tokens) for i, r in enumerate(requests)),
            capacity,
        )
        self.cache = kv_cache.KVCache()
        self.finished: list[tuple[int, Completion]] = []

    def advance(self) -> bool:
        """Prefill waiting prompts, or decode one token of every active sequence.

        Return False if memory ran out. The cache is empty then.
        """
        import torch

        try:
            with torch.inference_mode():
                if self.schedule.should_admit():
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
        schedule = self.schedule
        schedule.admit()
        self.cache.reserve(len(schedule.active) + len(schedule.entering), schedule.positions_needed())
        while schedule.entering:
            batch = schedule.next_prefill()
            for sequence in batch:
                sequence.started = sequence.started or time.perf_counter()
            first = len(schedule.active)
            prompts = [sequence.tokens for sequence in batch]
            chunk = schedule.capacity.prefill_tokens
            if len(prompts[0]) > chunk:
                logits = self.passes.prefill_in_chunks(self.loaded, self.cache, self.masks, prompts[0], first, chunk)
            else:
                logits = self.passes.prefill(self.loaded, self.cache, prompts, first)
            self._append(logits, schedule.activate(batch))

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
        for slot, token, is_valid in zip(slots, chosen, valid, strict=True):
            sequence = self.schedule.active[slot]
            seconds = now - (sequence.started or now)
            sequence.first_token_s = sequence.first_token_s or seconds
            if is_valid:
                sequence.tokens.append(token)
            completion = self._completion(sequence, is_valid, seconds)
            if completion is not None:
                self.finished.append((sequence.index, completion))
                ended.append(slot)
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
