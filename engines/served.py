"""What engines that ask a server share: many requests at once, retries, budgets, and log-probabilities where given."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, Literal

from ..core.budget import Budget, Limits, Usage
from ..core.types import ChoiceRequest, GenerateRequest, ModelSpec, Output

__all__ = ["Limits", "ServedEngine", "Usage"]


class ServedEngine:
    """Skeleton: the names are settled, the work is on its way."""

    def __init__(self, spec: ModelSpec, limits: Limits | None = None) -> None:
        self.spec = spec
        self.usage = Usage()
        self.budget = Budget(limits or Limits(), self.usage)

    @property
    def limits(self) -> Limits:
        return self.budget.limits

    @limits.setter
    def limits(self, limits: Limits) -> None:
        self.budget = Budget(limits, self.usage)

    def load(self) -> None: ...

    def choose(self, requests: Sequence[ChoiceRequest]) -> Iterator[Output]:
        raise NotImplementedError

    def generate(self, requests: Sequence[GenerateRequest]) -> Iterator[Output]:
        raise NotImplementedError

    def chat(self, method: Literal["choose", "generate"]) -> str:
        return "plain" if self.spec.chat == "never" else "template"

    def describe(self) -> dict[str, Any]:
        return {}

    def peak_gpu_memory_bytes(self) -> int | None:
        return None
