"""How much of a run is left, in tokens, and how long that will take at the rate so far."""

from __future__ import annotations

from collections.abc import Collection

from ..core.types import AnswerKey, Output
from .plan import Plan

CHARACTERS_PER_TOKEN = 4  # of English; only the proportion between prompts matters
# A new token costs about as much as four tokens of a prompt: prompts are read in one pass, answers are written token by
# token. Measured with smollm2-135m on a CPU at batch 64; GPUs are within a factor of two of it.
NEW_TOKEN_COST = 4
FEW = 5  # answers before there is a rate to speak of


class Workload:
    """The work of a run's unanswered items, in prompt-token equivalents. Long prompts count more than short ones.

    Items differ by a factor of a hundred in length, and an engine may take the long ones first, so a count of items
    tells little about the time left.
    """

    def __init__(self, plan: Plan, done: Collection[AnswerKey]) -> None:
        self._open = {key: len(plan.prompts[key[0]].plain) for key in plan.open_items(done)}
        self._writes = plan.method == "generate"
        self._max_new_tokens = plan.max_new_tokens
        self._characters_left = sum(self._open.values())
        self._done = 0.0
        self._new_tokens = 0
        self.answered_items = 0

    def answered(self, output: Output) -> None:
        """Count an item as done, whether it was answered or failed."""
        characters = self._open.pop((output.item_id, output.sample), None)
        if characters is None:
            return
        self._characters_left -= characters
        self.answered_items += 1
        self._new_tokens += output.completion_tokens
        self._done += characters / CHARACTERS_PER_TOKEN + self._cost(output.completion_tokens)

    def seconds_left(self, elapsed_s: float) -> float | None:
        """Seconds until the last open item is done, given that `elapsed_s` brought the work so far; None: too early."""
        if self.answered_items < FEW or not self._open:
            return None if self._open else 0.0
        expected = min(self._new_tokens / self.answered_items, self._max_new_tokens)
        left = self._characters_left / CHARACTERS_PER_TOKEN + len(self._open) * self._cost(expected)
        return elapsed_s * left / max(self._done, 1e-9)

    def _cost(self, new_tokens: float) -> float:
        return NEW_TOKEN_COST * new_tokens if self._writes else 0.0
