"""Log-probability of every answer of a multiple-choice item.

The arithmetic is lm-evaluation-harness's (`HFLM._loglikelihood_tokens`): an answer's log-probability is the sum of its
tokens', natural logarithm, no length normalisation. Rows whose input tokens are the same (all the answers of one
token, for one) are computed once, and logits only where an answer's tokens are read.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from .forward import bare, last_logits, padded
from .loading import Loaded


@dataclass(frozen=True)
class Row:
    """One sequence to run. `reads` are (answer index, answer tokens); their logits are the row's last ones."""

    tokens: tuple[int, ...]
    reads: tuple[tuple[int, tuple[int, ...]], ...]

    @property
    def depth(self) -> int:
        """How many positions, counted from the end, are read."""
        return max(len(answer) for _, answer in self.reads)


def rows_for(prompt: list[int], answers: list[list[int]], encoder_decoder: bool) -> list[Row]:
    """The distinct rows that one item needs. With an encoder the prompt is the only row: answers go to the decoder."""
    if encoder_decoder:
        return [Row(tuple(prompt), tuple((i, tuple(answer)) for i, answer in enumerate(answers)))]
    reads: dict[tuple[int, ...], list[tuple[int, tuple[int, ...]]]] = {}
    for index, answer in enumerate(answers):
        # The last token of an answer is read off and never fed.
        reads.setdefault(tuple(prompt + answer[:-1]), []).append((index, tuple(answer)))
    return [Row(tokens, tuple(found)) for tokens, found in reads.items()]


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
    logprobs = logits.log_softmax(dim=-1)  # (rows, depth, vocabulary)
    for row, found in zip(rows, logprobs):
        yield {index: _sum(found[depth - len(answer) :], answer) for index, answer in row.reads}


def seq2seq_logprobs(loaded: Loaded, rows: list[Row]) -> Iterator[dict[int, float]]:
    """As `causal_logprobs` for an encoder-decoder model: each prompt is encoded once for all of its answers."""
    import torch
    from transformers.modeling_outputs import BaseModelOutput

    tokens, mask = padded(loaded, [row.tokens for row in rows], "right")
    owners = [i for i, row in enumerate(rows) for _ in row.reads]
    answers = [answer for row in rows for _, answer in row.reads]
    start = bare(loaded.model).config.decoder_start_token_id
    fed, _ = padded(loaded, [[start, *answer[:-1]] for answer in answers], "right")  # padding's logits are never read
    with torch.inference_mode():
        states = loaded.model.get_encoder()(input_ids=tokens, attention_mask=mask).last_hidden_state
        logits = loaded.model(
            encoder_outputs=BaseModelOutput(last_hidden_state=states[owners]),
            attention_mask=mask[owners],
            decoder_input_ids=fed,
        ).logits
    logprobs = logits.float().log_softmax(dim=-1)  # (answers, longest, vocabulary)
    position = 0
    for row in rows:
        found = {}
        for index, answer in row.reads:
            found[index] = _sum(logprobs[position], answer)
            position += 1
        yield found


def _sum(logprobs: object, answer: tuple[int, ...]) -> float:
    """Sum of the log-probabilities of an answer's tokens; `logprobs` is (>= len(answer), vocabulary)."""
    import torch

    assert isinstance(logprobs, torch.Tensor)
    at = torch.tensor(answer, device=logprobs.device)
    return float(logprobs[: len(answer)].gather(1, at[:, None]).sum())
