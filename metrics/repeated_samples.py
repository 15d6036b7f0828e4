"""Several answers to each question: majority vote, pass@K, and agreement as a confidence.

Pure functions over the answers to one item. An answer that could not be read is None.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from math import comb


def majority(answers: Sequence[str | None]) -> str | None:
    """Return the most frequent answer; of equally frequent ones, that which was given first.

    Answers that could not be read have no vote. None if no answer could be read (Wang et al. 2023, self-consistency).
    """
    votes = Counter(answer for answer in answers if answer is not None)
    return max(votes, key=lambda answer: votes[answer]) if votes else None  # a Counter keeps the order of first use


def agreement(answers: Sequence[str | None]) -> float:
    """Return the share of samples that give the majority's answer; 0 if no answer could be read."""
    chosen = majority(answers)
    return sum(answer == chosen for answer in answers) / len(answers) if chosen is not None else 0.0


def pass_at(k: int, right: Sequence[bool]) -> float:
    """Return the chance that at least one of k samples, drawn from these without replacement, is right.

    The unbiased estimate of pass@k (Chen et al. 2021). Raises ValueError if there are fewer than k samples.
    """
    n, c = len(right), sum(right)
    if k > n:
        raise ValueError(f"pass@{k} of {n} samples")
    return 1.0 - comb(n - c, k) / comb(n, k)
