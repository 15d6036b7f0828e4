"""The token sequences whose logits give the log-likelihood of an item's answers."""

from __future__ import annotations

from dataclasses import dataclass

LogLikelihoods = dict[int, float]  # answer index -> log-likelihood (nats)


@dataclass(frozen=True)
class ScoredSequence:
    """One sequence to run for an item: a prompt and an answer without its last token.

    `answers` holds (answer index, answer tokens). The logits of an answer are those of the sequence's last positions.
    """

    item: int
    tokens: tuple[int, ...]
    answers: tuple[tuple[int, tuple[int, ...]], ...]

    @property
    def positions_read(self) -> int:
        """How many of the last positions are read."""
        return max(1, *(len(answer) for _, answer in self.answers))


def sequences_for(
    item: int, prompt: list[int], answers: list[list[int]], encoder_decoder: bool
) -> list[ScoredSequence]:
    """Return the distinct sequences of one item. For an encoder there is only the prompt: answers go to the decoder."""
    if encoder_decoder:
        return [ScoredSequence(item, tuple(prompt), tuple((i, tuple(answer)) for i, answer in enumerate(answers)))]
    by_tokens: dict[tuple[int, ...], list[tuple[int, tuple[int, ...]]]] = {}
    for index, answer in enumerate(answers):
        # The last token of an answer is predicted but not part of the input.
        by_tokens.setdefault(tuple(prompt + answer[:-1]), []).append((index, tuple(answer)))
    return [ScoredSequence(item, tokens, tuple(found)) for tokens, found in by_tokens.items()]
