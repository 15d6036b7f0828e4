"""Log-likelihoods from padded batches, one sequence per row: for models that cannot run packed rows."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from typing import Any

from ..batching import OutOfMemory, batches, run_halving
from ..forward import decoder_start_token, last_logits, padded
from ..loading import Loaded
from .sequences import LogLikelihoods, ScoredSequence

LOGSUMEXP_ROWS = 256  # positions whose logits are normalized at a time


def padded_log_likelihoods(
    loaded: Loaded, sequences: Sequence[ScoredSequence], budget: int
) -> Iterator[tuple[int, LogLikelihoods | OutOfMemory, float]]:
    """Do what `log_likelihoods` does, in padded batches of up to `budget` tokens. An item is never split over two."""
    by_item: dict[int, list[ScoredSequence]] = {}
    for sequence in sequences:
        by_item.setdefault(sequence.item, []).append(sequence)
    run = seq2seq_log_likelihoods if loaded.encoder_decoder else causal_log_likelihoods

    def score(items: list[list[ScoredSequence]]) -> Iterator[tuple[list[ScoredSequence], LogLikelihoods]]:
        found = run(loaded, [sequence for item in items for sequence in item])
        for item in items:
            yield item, {index: value for _ in item for index, value in next(found).items()}

    def width(item: list[ScoredSequence]) -> int:
        return max(len(sequence.tokens) for sequence in item)

    for batch in batches(list(by_item.values()), len, width, budget):
        started = time.perf_counter()
        for item, values in run_halving(batch, score):
            yield item[0].item, values, time.perf_counter() - started


def causal_log_likelihoods(loaded: Loaded, sequences: list[ScoredSequence]) -> Iterator[LogLikelihoods]:
    """Yield the log-likelihoods of each sequence's answers, from one pass of a decoder.

    Rows are padded on the right, where causal attention never sees the padding.
    """
    import torch

    tokens, mask = padded(loaded, [sequence.tokens for sequence in sequences], "right")
    depth = max(sequence.positions_read for sequence in sequences)
    # (rows, depth): the last `depth` positions of each row. Shorter rows repeat position 0, which is not read.
    keep = torch.tensor([[max(len(s.tokens) - depth + i, 0) for i in range(depth)] for s in sequences])
    logits = last_logits(loaded, keep.to(loaded.device), tokens, mask)
    for sequence, found in zip(sequences, logits):
        yield {index: _log_likelihood(found[depth - len(answer) :], answer) for index, answer in sequence.answers}


def seq2seq_log_likelihoods(loaded: Loaded, sequences: list[ScoredSequence]) -> Iterator[LogLikelihoods]:
    """Do what `causal_log_likelihoods` does, for encoder-decoder models. Each prompt is encoded only once."""
    import torch
    from transformers.modeling_outputs import BaseModelOutput

    tokens, mask = padded(loaded, [sequence.tokens for sequence in sequences], "right")
    rows = [i for i, sequence in enumerate(sequences) for _ in sequence.answers]  # of the encoder, by answer
    answers = [answer for sequence in sequences for _, answer in sequence.answers]
    start = decoder_start_token(loaded)
    fed, _ = padded(loaded, [[start, *answer[:-1]] for answer in answers], "right")  # logits of padding are not read
    with torch.inference_mode():
        states = loaded.model.get_encoder()(input_ids=tokens, attention_mask=mask).last_hidden_state
        logits = loaded.model(
            encoder_outputs=BaseModelOutput(last_hidden_state=states[rows]),
            attention_mask=mask[rows],
            decoder_input_ids=fed,
        ).logits
    position = 0
    for sequence in sequences:
        found = {}
        for index, answer in sequence.answers:
            found[index] = _log_likelihood(logits[position].float(), answer)
            position += 1
        yield found


def _log_likelihood(logits: Any, answer: tuple[int, ...]) -> float:
    """Return the sum of the log-probabilities of an answer's tokens; `logits` is (>= len(answer), vocabulary)."""
    return sum(token_log_probabilities(logits[: len(answer)], list(enumerate(answer))))


def token_log_probabilities(logits: Any, wanted: Sequence[tuple[int, int]]) -> list[float]:
    """Return the log-probability of each (position, token) of `wanted`; `logits` is (positions, vocabulary)."""
    import torch

    if not wanted:
        return []
    totals = torch.cat([part.logsumexp(dim=-1) for part in logits.split(LOGSUMEXP_ROWS)])
    positions, tokens = torch.tensor(wanted, device=logits.device).T
    found: list[float] = (logits[positions, tokens] - totals[positions]).tolist()
    return found
