"""Text from transformers' own `generate`: encoder-decoder models, beam search, and other generation settings."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from ...stopping import StopStrings
from ..batching import OutOfMemory, batches, run_halving
from ..forward import decoder_start_token, padded
from ..loading import Loaded
from .completion import Completion, DecodeRequest, completed
from .picking import draw

# transformers takes settings that are not given from the model's generation_config.json, which no run's identity
# includes. These make it decode greedily whatever that file says.
PLAIN_GREEDY = {
    "do_sample": False,
    "num_beams": 1,
    "repetition_penalty": 1.0,
    "no_repeat_ngram_size": 0,
    "min_length": 0,
    "length_penalty": 1.0,
}


def generate(
    loaded: Loaded, requests: Sequence[DecodeRequest], settings: Mapping[str, Any], budget: int, padding: bool
) -> Iterator[tuple[int, Completion | OutOfMemory]]:
    """Generate in batches of at most `budget` tokens, halved when memory runs out. Yield (index, completion).

    The requests of a batch have the same limit, stop strings, and end tokens and, without `padding`, the same length:
    in some models padding changes the state or makes the logits NaN.
    """
    groups: dict[Any, list[int]] = {}
    for index, request in enumerate(requests):
        length = 0 if padding else len(request.tokens)
        key = (request.max_new_tokens, request.stop.stop, request.stop.opening, request.end_tokens, length)
        groups.setdefault(key, []).append(index)

    def run(batch: list[int]) -> Iterator[tuple[int, Completion]]:
        for row, completion in generate_batch(loaded, [requests[i] for i in batch], settings):
            yield batch[row], completion

    beams = int(settings.get("num_beams", 1))
    for (limit, *_), group in groups.items():

        def width(index: int, limit: int = limit) -> int:
            return len(requests[index].tokens) + limit

        for batch in batches(group, lambda _: beams, width, budget):
            yield from run_halving(batch, run)


def generate_batch(
    loaded: Loaded, requests: Sequence[DecodeRequest], settings: Mapping[str, Any]
) -> Iterator[tuple[int, Completion]]:
    """Generate one batch of requests with the same limit, stop strings, and end tokens. Yield (index, completion)."""
    import torch
    from transformers import (
        GenerationConfig,
        LogitsProcessor,
        LogitsProcessorList,
        StoppingCriteria,
        StoppingCriteriaList,
    )

    started = time.perf_counter()
    request = requests[0]
    stop, ends = request.stop, request.end_tokens
    # A decoder continues from the right end, so its padding is on the left. An encoder counts positions from the left.
    tokens, mask = padded(loaded, [each.tokens for each in requests], "right" if loaded.encoder_decoder else "left")
    start = 1 if loaded.encoder_decoder else tokens.shape[1]
    first_token: list[float] = []  # seconds, once it is there

    class StopAtStrings(StoppingCriteria):  # type: ignore[misc]
        """Record when the first token arrives, and stop greedy rows at a stop string."""

        def __call__(self, input_ids: Any, scores: Any, **_: Any) -> Any:
            rows = input_ids[:, start:].tolist()
            if not first_token:
                first_token.append(time.perf_counter() - started)
            done = [beams == 1 and stop.seen(row) for row in rows]
            return torch.tensor(done, device=input_ids.device)

    beams = settings.get("num_beams", 1)
    invalid: set[int] = set()

    class RecordNaN(LogitsProcessor):  # type: ignore[misc]
        """Record the rows whose logits contain NaN."""

        def __call__(self, input_ids: Any, scores: Any) -> Any:
            invalid.update(at // beams for at, bad in enumerate(scores.isnan().any(dim=-1).tolist()) if bad)
            return scores

    sampled = [row for row, each in enumerate(requests) if each.sampling]

    class Drawn(LogitsProcessor):  # type: ignore[misc]
        """Leave each sampled row the token that its own seed draws, so that greedy decoding takes it."""

        def __call__(self, input_ids: Any, scores: Any) -> Any:
            written = input_ids.shape[1] - start
            rows = [row for row in sampled if row not in invalid]
            if rows:
                chosen = draw(scores[rows], [(how, written) for row in rows if (how := requests[row].sampling)])
                scores[rows] = float("-inf")
                scores[rows, chosen] = 0.0
            return scores

    inherited = loaded.model.generation_config
    config = GenerationConfig(
        max_new_tokens=request.max_new_tokens,
        pad_token_id=loaded.pad,
        bos_token_id=inherited.bos_token_id,
        eos_token_id=sorted(ends) or None,
        decoder_start_token_id=decoder_start_token(loaded) if loaded.encoder_decoder else None,
        **{**PLAIN_GREEDY, **settings, **({"do_sample": False} if sampled else {})},
    )
    with torch.inference_mode():
        generated = loaded.model.generate(
            input_ids=tokens,
            attention_mask=mask,
            generation_config=config,
            logits_processor=LogitsProcessorList([RecordNaN(), *([Drawn()] if sampled else [])]),
            stopping_criteria=StoppingCriteriaList([StopAtStrings()]),
        )
    seconds, first_token_s = time.perf_counter() - started, first_token[0] if first_token else 0.0
    for row, new in enumerate(generated[:, start:].tolist()):
        if row in invalid:
            yield row, Completion("", len(new), "error", first_token_s, seconds)
            continue
        length = next((i for i, token in enumerate(new) if token in ends), None)
        ended = length is not None
        # A row that reached a stop string is padded to the end of its batch.
        kept = new[:length] if ended else _until_stop(new, stop)
        yield row, completed(loaded, kept, len(kept) + ended, ended, stop, first_token_s, seconds)


def _until_stop(tokens: list[int], stop: StopStrings) -> list[int]:
    return next((tokens[: i + 1] for i in range(len(tokens)) if stop.seen(tokens[: i + 1])), tokens)
