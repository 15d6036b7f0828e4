"""Log-likelihood of the answers to multiple-choice items.

The definition is lm-evaluation-harness's (`HFLM._loglikelihood_tokens`): the sum of the log-probabilities of an
answer's tokens, natural logarithm, no length normalization. The computation differs, and changes no answer:

- Prefixes that sequences share are computed once over all items, and sequences are packed without padding
  (packed_rows.py).
- Models that this does not work for run padded batches; encoder-decoder models encode each prompt once
  (padded_rows.py).
- Logits are computed only where they are read.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from ..batching import OutOfMemory
from ..loading import Loaded
from .padded_rows import padded_log_likelihoods
from .sequences import LogLikelihoods, ScoredSequence


def log_likelihoods(
    loaded: Loaded, sequences: Sequence[ScoredSequence], budget: int, packed: bool
) -> Iterator[tuple[int, LogLikelihoods | OutOfMemory, float]]:
    """Yield (item, log-likelihoods of its answers, seconds of its last pass), longest sequences first.

    `budget` is in tokens per pass. `packed` says that `packed_rows.supports_packed_rows` of this model.
    """
    if packed:
        from .packed_rows import packed_log_likelihoods

        return packed_log_likelihoods(loaded, sequences, budget)
    return padded_log_likelihoods(loaded, sequences, budget)
