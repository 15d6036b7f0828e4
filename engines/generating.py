"""Text from a model: greedy decoding in which finished rows leave the batch, and transformers' own search otherwise."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from .forward import last_logits, padded
from .loading import Loaded

# transformers fills what is left open from the model's generation_config.json, which no run's identity names.
PLAIN_GREEDY = {
    "do_sample": False,
    "num_beams": 1,
    "repetition_penalty": 1.0,
    "no_repeat_ngram_size": 0,
    "min_length": 0,
    "length_penalty": 1.0,
}
TAIL_TOKENS = 24  # how many last tokens are decoded to look for a stop string; longer stop strings raise it


@dataclass(frozen=True)
class Draft:
    """The new tokens of one row, the end-of-sequence token not among them, and how they ended."""

    text: str
    tokens: int  # generated, the one that ended it included
    finish: Literal["stop", "length", "error"]  # end token or stop string; the limit; or no number came out
    first_token_s: float


class StopStrings:
    """Finds stop strings in generated tokens as they appear."""

    def __init__(self, tokenizer: Any, stop: Sequence[str]) -> None:
        self.tokenizer = tokenizer
        self.stop = tuple(filter(None, stop))
        self.tail = max([TAIL_TOKENS, *(2 * len(s) for s in self.stop)])

    def seen(self, tokens: list[int]) -> bool:
        """Whether the last token completed a stop string; asked after every token, so a tail is enough."""
        if not self.stop:
            return False
        tail = self.tokenizer.decode(tokens[-self.tail :], skip_special_tokens=True)
        return any(s in tail for s in self.stop)

    def cut(self, text: str) -> tuple[str, bool]:
        """`text` before its first stop string, and whether there was one."""
        found = [at for s in self.stop if (at := text.find(s)) >= 0]
        return (text[: min(found)], True) if found else (text, False)


def end_tokens(loaded: Loaded) -> frozenset[int]:
    """Tokens that end an answer: the model's generation configuration's and the tokenizer's."""
    configured = getattr(loaded.model.generation_config, "eos_token_id", None)
    ids = configured if isinstance(configured, list) else [configured]
    return frozenset(i for i in [*ids, loaded.tokenizer.eos_token_id] if i is not None)


def greedy(
    loaded: Loaded, prompts: list[list[int]], max_new_tokens: int, stop: StopStrings
) -> Iterator[tuple[int, Draft]]:
    """Greedy decoding of a decoder-only model: yields (row, draft) as rows finish.

    Rows are left-padded, with explicit positions, so that every row computes what it would alone.
    """
    import torch
    from transformers import DynamicCache

    started = time.perf_counter()
    ends = end_tokens(loaded)
    tokens, mask = padded(loaded, prompts, "left")
    positions = (mask.cumsum(dim=1) - 1).clamp(min=0)
    cache = DynamicCache(config=loaded.model.config)
    rows = list(range(len(prompts)))
    written: list[list[int]] = [[] for _ in prompts]
    first_token_s = 0.0
    while True:
        # (rows, 1, vocabulary); only the last position of each row is read
        logits = last_logits(loaded, 1, input_ids=tokens, attention_mask=mask, position_ids=positions, cache=cache)
        following = logits[:, -1].argmax(dim=-1)
        sound = logits[:, -1].isnan().logical_not().all(dim=-1).tolist()
        chosen = following.tolist()  # on a GPU the clock is read after this, which waits for the numbers
        first_token_s = first_token_s or time.perf_counter() - started
        staying = []
        for slot, (row, token) in enumerate(zip(rows, chosen)):
            so_far = written[row]
            if not sound[slot]:
                yield row, Draft("", len(so_far), "error", first_token_s)
                continue
            so_far.append(token)
            ended = token in ends
            if ended or stop.seen(so_far) or len(so_far) >= max_new_tokens:
                yield row, _draft(loaded, so_far[:-1] if ended else so_far, len(so_far), ended, stop, first_token_s)
            else:
                staying.append(slot)
        rows = [rows[slot] for slot in staying]
        if not rows:
            return
        if len(staying) < len(following):
            keep = torch.tensor(staying, dtype=torch.long, device=loaded.device)
            cache.batch_select_indices(keep)
            mask, positions, following = mask[keep], positions[keep], following[keep]
        tokens = following[:, None]
        mask = torch.cat([mask, mask.new_ones(len(rows), 1)], dim=1)
        positions = positions[:, -1:] + 1


def search(
    loaded: Loaded, prompts: list[list[int]], max_new_tokens: int, stop: StopStrings, settings: Mapping[str, Any]
) -> Iterator[tuple[int, Draft]]:
    """transformers' own `generate`: for encoder-decoder models and for settings such as beams."""
    import torch
    from transformers import (
        GenerationConfig,
        LogitsProcessor,
        LogitsProcessorList,
        StoppingCriteria,
        StoppingCriteriaList,
    )

    started = time.perf_counter()
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
        max_new_tokens=max_new_tokens,
        pad_token_id=loaded.tokenizer.pad_token_id,
        bos_token_id=inherited.bos_token_id,
        eos_token_id=sorted(end_tokens(loaded)),
        decoder_start_token_id=inherited.decoder_start_token_id,
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
    ends = end_tokens(loaded)
    for row, found in enumerate(made[:, start:].tolist()):
        if row in unsound:
            yield row, Draft("", len(found), "error", first[0] if first else 0.0)
            continue
        length = next((i for i, token in enumerate(found) if token in ends), None)
        ended = length is not None
        # A row that met a stop string is padded to the end of its batch.
        new = found[:length] if ended else _until_stop(found, stop)
        yield row, _draft(loaded, new, len(new) + ended, ended, stop, first[0] if first else 0.0)


def _until_stop(tokens: list[int], stop: StopStrings) -> list[int]:
    return next((tokens[: i + 1] for i in range(len(tokens)) if stop.seen(tokens[: i + 1])), tokens)


def _draft(
    loaded: Loaded, tokens: list[int], count: int, ended: bool, stop: StopStrings, first_token_s: float
) -> Draft:
    text, stopped = stop.cut(loaded.tokenizer.decode(tokens, skip_special_tokens=True))
    return Draft(text.strip(), count, "stop" if ended or stopped else "length", first_token_s)
