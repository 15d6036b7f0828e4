"""Text from a model: greedy decoding with a waiting queue, and transformers' own search otherwise."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from ...stopping import StopStrings, decoded
from ..batching import OutOfMemory, batches, is_out_of_memory, run_halving
from ..forward import padded
from ..loading import Loaded
from ..memory import reclaim
from ..scoring.choosing import decoder_start
from .scheduling import Room, Row, Schedule

# transformers fills what is left open from the model's generation_config.json, which no run's identity names.
PLAIN_GREEDY = {
    "do_sample": False,
    "num_beams": 1,
    "repetition_penalty": 1.0,
    "no_repeat_ngram_size": 0,
    "min_length": 0,
    "length_penalty": 1.0,
}


@dataclass(frozen=True)
class Draft:
    """The new tokens of one row, the end-of-sequence token not among them, and how they ended.

    Seconds count from when a row left the queue; its neighbours' passes are in them.
    """

    text: str
    tokens: int  # generated, the one that ended it included
    finish: Literal["stop", "length", "error"]  # end token or stop string; the limit; or no number came out
    first_token_s: float
    seconds: float


def end_tokens(loaded: Loaded) -> frozenset[int]:
    """Tokens that end an answer by the model's generation configuration and its tokenizer."""
    configured = getattr(loaded.model.generation_config, "eos_token_id", None)
    ids = configured if isinstance(configured, list) else [configured]
    return frozenset(i for i in [*ids, loaded.tokenizer.eos_token_id] if i is not None)


@dataclass(frozen=True)
class Ask:
    """One text to make: a prompt's tokens, the most new ones, and the stop strings and tokens that end it."""

    tokens: list[int]
    limit: int
    stop: StopStrings
    ends: frozenset[int]


def greedy(loaded: Loaded, asks: Sequence[Ask], room: Room) -> Iterator[tuple[int, Draft | OutOfMemory]]:
    """Greedy decoding of a model that `slots.takes_slots`: yields (index, draft) as texts end.

    Texts that end leave at once and waiting prompts take their slots. Where memory runs out half as many go on, none
    of their tokens lost; a text for which there is not even memory alone is an `OutOfMemory`.
    """
    desk = _Desk(loaded, asks, room)
    while desk.schedule.open:
        fitted = desk.advance()
        yield from desk.done
        desk.done.clear()
        if not fitted:
            reclaim()
            lost = desk.schedule.retreat()
            if lost is not None:
                yield lost.index, OutOfMemory()


class _Desk:
    """Where rows are written: `advance` makes one pass, and `done` holds what ended in it."""

    def __init__(self, loaded: Loaded, asks: Sequence[Ask], room: Room) -> None:
        from . import kv_cache as slots

        masks = slots.masks_for(loaded)
        assert masks is not None, "takes_slots said so"
        self.model = slots
        self.loaded, self.asks, self.masks = loaded, asks, masks
        self.schedule = Schedule((Row(i, list(a.tokens), len(a.tokens), a.limit) for i, a in enumerate(asks)), room)
        self.slots = slots.Slots()
        self.done: list[tuple[int, Draft]] = []

    def advance(self) -> bool:
        """Let prompts in, or give every row at work a token. False where memory ran out: all slots are empty then."""
        import torch

        try:
            with torch.inference_mode():
                if self.schedule.wants_more():
                    self._enter()
                else:
                    self._step()
            return True
        except (RuntimeError, MemoryError) as error:
            if not is_out_of_memory(error):
                raise
            self.slots = self.model.Slots()
            return False

    def _enter(self) -> None:
        schedule = self.schedule
        schedule.admit()
        self.slots.reserve(len(schedule.working) + len(schedule.entering), schedule.capacity())
        while schedule.entering:
            group = schedule.next_group()
            for row in group:
                row.started = row.started or time.perf_counter()
            first = len(schedule.working)
            prompts = [row.tokens for row in group]
            if len(prompts[0]) > schedule.room.chunk:
                logits = self.model.opened_in_pieces(
                    self.loaded, self.slots, self.masks, prompts[0], first, schedule.room.chunk
                )
            else:
                logits = self.model.opened(self.loaded, self.slots, prompts, first)
            self._take(logits, schedule.seat(group))

    def _step(self) -> None:
        self.schedule.make_room()
        working = self.schedule.working
        self.slots.reserve(len(working), self.schedule.capacity())
        rows = [row.tokens for row in working]
        logits = self.model.stepped(self.loaded, self.slots, self.masks, rows, self.schedule.room.block)
        self._take(logits, range(len(working)))

    def _take(self, logits: Any, slots: Sequence[int]) -> None:
        """Give the rows in `slots` their next tokens, from logits (rows, vocabulary), and let go of those that end."""
        following = logits.argmax(dim=-1, keepdim=True)
        # One that is no number counts as the highest.
        sound = logits.gather(-1, following).isnan().logical_not()[:, 0].tolist()
        chosen = following[:, 0].tolist()  # on a GPU the clock is read after this, which waits for the numbers
        now = time.perf_counter()
        ended: list[int] = []
        for slot, token, is_number in zip(slots, chosen, sound, strict=True):
            row = self.schedule.working[slot]
            seconds = now - (row.started or now)
            row.first_token_s = row.first_token_s or seconds
            if is_number:
                row.tokens.append(token)
            draft = self._ended(row, is_number, seconds)
            if draft is not None:
                self.done.append((row.index, draft))
                ended.append(slot)
        for source, target in self.schedule.leave(ended):
            self.slots.move(source, target)
        for slot in range(len(self.schedule.working), len(self.schedule.working) + len(ended)):
            self.slots.clear(slot)

    def _ended(self, row: Row, is_number: bool, seconds: float) -> Draft | None:
        """The draft of a row that its last token ended; None for one that goes on."""
        written = row.written
        if not is_number:
            return Draft("", len(written), "error", row.first_token_s, seconds)
        stop = self.asks[row.index].stop
        ended = written[-1] in self.asks[row.index].ends
        if not (ended or len(written) >= row.limit or stop.seen(written)):
            return None
        kept = written[:-1] if ended else written
        return _draft(self.loaded, kept, len(written), ended, stop, row.first_token_s, seconds)


def searched(
    loaded: Loaded, asks: Sequence[Ask], settings: Mapping[str, Any], budget: int, padding: bool
) -> Iterator[tuple[int, Draft | OutOfMemory]]:
    """`search` over batches of at most `budget` tokens, yielding (index, draft); halved where memory runs out.

    A batch shares one limit and one set of stop strings and, without `padding`, one length: in some models padding
    enters a state, or gives scores that are no numbers.
    """
    groups: dict[Any, list[int]] = {}
    for index, ask in enumerate(asks):
        length = 0 if padding else len(ask.tokens)
        groups.setdefault((ask.limit, ask.stop.stop, ask.ends, length), []).append(index)

    def answer(part: list[int]) -> Iterator[tuple[int, Draft]]:
        ask = asks[part[0]]
        for row, draft in search(loaded, [asks[i].tokens for i in part], ask, settings):
            yield part[row], draft

    beams = int(settings.get("num_beams", 1))
    for (limit, *_), group in groups.items():

        def width(index: int, limit: int = limit) -> int:
            return len(asks[index].tokens) + limit

        for batch in batches(group, lambda _: beams, width, budget):
            yield from run_halving(batch, answer)


def search(
    loaded: Loaded, prompts: list[list[int]], ask: Ask, settings: Mapping[str, Any]
) -> Iterator[tuple[int, Draft]]:
    """transformers' own `generate`: for encoder-decoder models and for settings such as beams.

    All prompts are asked as `ask` is.
    """
    import torch
    from transformers import (
        GenerationConfig,
        LogitsProcessor,
        LogitsProcessorList,
        StoppingCriteria,
        StoppingCriteriaList,
    )

    started = time.perf_counter()
    stop, ends = ask.stop, ask.ends
    # A decoder continues from the right end, so its padding stands left; an encoder counts positions from the left.
    tokens, mask = padded(loaded, prompts, "right" if loaded.encoder_decoder else "left")
    start = 1 if loaded.encoder_decoder else tokens.shape[1]
    first: list[float] = []

    class Watch(StoppingCriteria):  # type: ignore[misc]
        """Notes when the first token came, and stops greedy rows at a stop string."""

        def __call__(self, input_ids: Any, scores: Any, **_: Any) -> Any:
            rows = input_ids[:, start:].tolist()
            if not first:
                first.append(time.perf_counter() - started)
            done = [beams == 1 and stop.seen(row) for row in rows]
            return torch.tensor(done, device=input_ids.device)

    beams = settings.get("num_beams", 1)
    unsound: set[int] = set()

    class Numbers(LogitsProcessor):  # type: ignore[misc]
        """Notes the rows for which the model gave no number."""

        def __call__(self, input_ids: Any, scores: Any) -> Any:
            unsound.update(at // beams for at, bad in enumerate(scores.isnan().any(dim=-1).tolist()) if bad)
            return scores

    inherited = loaded.model.generation_config
    config = GenerationConfig(
        max_new_tokens=ask.limit,
        pad_token_id=loaded.pad,
        bos_token_id=inherited.bos_token_id,
        eos_token_id=sorted(ends) or None,
        decoder_start_token_id=decoder_start(loaded) if loaded.encoder_decoder else None,
        **{**PLAIN_GREEDY, **settings},
    )
    with torch.inference_mode():
        made = loaded.model.generate(
            input_ids=tokens,
            attention_mask=mask,
            generation_config=config,
            logits_processor=LogitsProcessorList([Numbers()]),
            stopping_criteria=StoppingCriteriaList([Watch()]),
        )
    seconds, first_token_s = time.perf_counter() - started, first[0] if first else 0.0
    for row, found in enumerate(made[:, start:].tolist()):
        if row in unsound:
            yield row, Draft("", len(found), "error", first_token_s, seconds)
            continue
        length = next((i for i, token in enumerate(found) if token in ends), None)
        ended = length is not None
        # A row that met a stop string is padded to the end of its batch.
        new = found[:length] if ended else _until_stop(found, stop)
        yield row, _draft(loaded, new, len(new) + ended, ended, stop, first_token_s, seconds)


def _until_stop(tokens: list[int], stop: StopStrings) -> list[int]:
    return next((tokens[: i + 1] for i in range(len(tokens)) if stop.seen(tokens[: i + 1])), tokens)


def _draft(
    loaded: Loaded, tokens: list[int], count: int, ended: bool, stop: StopStrings, first_token_s: float, seconds: float
) -> Draft:
    text, stopped = stop.cut(decoded(loaded.tokenizer, tokens))
    return Draft(text.strip(), count, "stop" if ended or stopped else "length", first_token_s, seconds)
