"""Log-probability of every answer of multiple-choice items.

The arithmetic is lm-evaluation-harness's (`HFLM._loglikelihood_tokens`): an answer's log-probability is the sum of its
tokens', natural logarithm, no length normalisation. How it is computed is another matter, and changes no answer:

- What rows (prompt and answer, but for the answer's last token) begin with alike is computed once, over all items, and
  rows are packed without padding (packed.py).
- Models that this does not fit run whole rows, padded; encoder-decoder models encode each prompt once.
- Logits are computed only where they are read.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from ..batching import OutOfMemory, batches, run_halving
from ..forward import decoder_start_token, last_logits, padded
from ..loading import Loaded

LOGIT_ROWS = 256  # positions whose logits are summed at a time

Values = dict[int, float]  # answer index -> log-probability (nats)


@dataclass(frozen=True)
class Row:
    """One sequence to run for an item. `reads` are (answer index, answer tokens); their logits are the row's last."""

    item: int
    tokens: tuple[int, ...]
    reads: tuple[tuple[int, tuple[int, ...]], ...]

    @property
    def depth(self) -> int:
        """How many positions, counted from the end, are read."""
        return max(1, *(len(answer) for _, answer in self.reads))


def rows_for(item: int, prompt: list[int], answers: list[list[int]], encoder_decoder: bool) -> list[Row]:
    """The distinct rows that one item needs. With an encoder the prompt is the only row: answers go to the decoder."""
    if encoder_decoder:
        return [Row(item, tuple(prompt), tuple((i, tuple(answer)) for i, answer in enumerate(answers)))]
    reads: dict[tuple[int, ...], list[tuple[int, tuple[int, ...]]]] = {}
    for index, answer in enumerate(answers):
        # The last token of an answer is read off and never fed.
        reads.setdefault(tuple(prompt + answer[:-1]), []).append((index, tuple(answer)))
    return [Row(item, tokens, tuple(found)) for tokens, found in reads.items()]


def logprobs(
    loaded: Loaded, rows: Sequence[Row], budget: int, packs: bool
) -> Iterator[tuple[int, Values | OutOfMemory, float]]:
    """(item, its answers' log-probabilities, seconds of its last pass), in order of completion; longest rows first.

    `budget` is in tokens a pass, `packs` what `packed.takes_packed_rows` says of the model.
    """
    if packs:
        from .packed import packed_logprobs

        return packed_logprobs(loaded, rows, budget)
    return whole_logprobs(loaded, rows, budget)


def whole_logprobs(
    loaded: Loaded, rows: Sequence[Row], budget: int
) -> Iterator[tuple[int, Values | OutOfMemory, float]]:
    """As `logprobs`, each row computed whole; with an encoder each prompt once."""
    units: dict[int, list[Row]] = {}
    for row in rows:
        units.setdefault(row.item, []).append(row)
    run = seq2seq_logprobs if loaded.encoder_decoder else causal_logprobs

    def answer(part: list[list[Row]]) -> Iterator[tuple[list[Row], Values]]:
        found = run(loaded, [row for unit in part for row in unit])
        for unit in part:
            yield unit, {index: value for _ in unit for index, value in next(found).items()}

    for batch in batches(list(units.values()), len, lambda unit: max(len(row.tokens) for row in unit), budget):
        started = time.perf_counter()
        for unit, values in run_halving(batch, answer):
            yield unit[0].item, values, time.perf_counter() - started


def causal_logprobs(loaded: Loaded, rows: list[Row]) -> Iterator[dict[int, float]]:
    """For each row, answer index -> log-probability (nats).

    Rows are right-padded: causal attention never sees padding.
    """
    import torch

    tokens, mask = padded(loaded, [row.tokens for row in rows], "right")
    depth = max(row.depth for row in rows)
    # (rows, depth): the last `depth` positions of each row; shallow rows repeat position 0, which is never read
    keep = torch.tensor([[max(len(row.tokens) - depth + i, 0) for i in range(depth)] for row in rows])
    logits = last_logits(loaded, keep.to(loaded.device), tokens, mask)
    for row, found in zip(rows, logits):
        yield {index: _sum(found[depth - len(answer) :], answer) for index, answer in row.reads}


def seq2seq_logprobs(loaded: Loaded, rows: list[Row]) -> Iterator[dict[int, float]]:
    """As `causal_logprobs` for an encoder-decoder model: each prompt is encoded once for all of its answers."""
    import torch
    from transformers.modeling_outputs import BaseModelOutput

    tokens, mask = padded(loaded, [row.tokens for row in rows], "right")
    owners = [i for i, row in enumerate(rows) for _ in row.reads]
    answers = [answer for row in rows for _, answer in row.reads]
    start = decoder_start_token(loaded)
    fed, _ = padded(loaded, [[start, *answer[:-1]] for answer in answers], "right")  # padding's logits are never read
    with torch.inference_mode():
        states = loaded.model.get_encoder()(input_ids=tokens, attention_mask=mask).last_hidden_state
        logits = loaded.model(
            encoder_outputs=BaseModelOutput(last_hidden_state=states[owners]),
            attention_mask=mask[owners],
            decoder_input_ids=fed,
        ).logits
    position = 0
    for row in rows:
        found = {}
        for index, answer in row.reads:
            found[index] = _sum(logits[position].float(), answer)
            position += 1
        yield found


def _sum(logits: Any, answer: tuple[int, ...]) -> float:
    """Sum of the log-probabilities of an answer's tokens; `logits` is (>= len(answer), vocabulary)."""
    return sum(token_logprobs(logits[: len(answer)], list(enumerate(answer))))


def token_logprobs(logits: Any, asked: Sequence[tuple[int, int]]) -> list[float]:
    """Log-probability of each (position, token) of `asked`; `logits` is (positions, vocabulary)."""
    import torch

    if not asked:
        return []
    totals = torch.cat([part.logsumexp(dim=-1) for part in logits.split(LOGIT_ROWS)])
    at, token = torch.tensor(asked, device=logits.device).T
    found: list[float] = (logits[at, token] - totals[at]).tolist()
    return found
