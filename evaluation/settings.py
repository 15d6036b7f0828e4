"""The user's settings of a run, and what the engine reports before the run is planned."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from ..core.errors import UsageError
from ..core.types import ModelSpec

Method = Literal["logprob", "generate"]
Choice = Literal["auto", "logprob", "generate"]


@dataclass(frozen=True)
class Settings:
    """What the user can set. Everything except `metrics` and `latency_…` can change an answer."""

    limit: int | None = None  # this many items, drawn by `seed`: the same ones for every model
    items: tuple[str, ...] = ()  # these ids; empty: all
    items_file: str = ""  # where the ids were read, for the table's title
    shots: int = 0
    seed: int = 0
    choice: Choice = "auto"  # how multiple choice is asked; "auto": by log-probability if the engine can
    max_new_tokens: int | None = None  # None: the benchmark's own
    system: str = ""  # the user's system text, which opens every prompt
    temperature: float = 0.0  # 0: the likeliest token each time
    top_p: float = 1.0  # share of probability from which tokens are drawn
    samples: int = 1  # answers per item, each with a seed of its own
    permute_options: int = 1  # orders of the options in which each item is asked, the original first
    prompt_variants: bool = False  # whether each item is asked in several wordings, the benchmark's own first
    metrics: tuple[str, ...] = ()  # empty: the benchmark's own
    latency_items: int = 5  # single requests to time, after the answers
    latency_share: float | None = None  # of the time the answers took: when to stop timing; None: time them all

    def __post_init__(self) -> None:
        several = {"--samples": self.samples > 1, "--permute-options": self.permute_options > 1}
        given = [option for option, used in {**several, "--prompt-variants": self.prompt_variants}.items() if used]
        if len(given) > 1:
            raise UsageError(f"{' and '.join(given)} cannot be combined.", "Make a run for each.")
        if self.permute_options < 1:
            raise UsageError(f"--permute-options {self.permute_options}: each item needs at least one order.")
        if self.samples < 1:
            raise UsageError(f"--samples {self.samples}: each item needs at least one answer.")
        if not (self.temperature >= 0 and math.isfinite(self.temperature)):
            raise UsageError(f"--temperature {self.temperature:g}: it must be a number from 0 up.")
        if not 0 < self.top_p <= 1:
            raise UsageError(f"--top-p {self.top_p:g}: it must be above 0 and at most 1.")
        if self.top_p < 1 and not self.temperature:
            raise UsageError(
                f"--top-p {self.top_p:g}: at temperature 0 the likeliest token is taken each time.",
                "Add a temperature: --temperature 0.7",
            )


@dataclass(frozen=True)
class EngineFacts:
    """What an engine says about a run before it is planned (evaluation/engine_facts.py)."""

    spec: ModelSpec  # with what the engine settled, such as the dtype
    method: Method
    chat: str  # how it wraps prompts: "plain", "template" or "format"
    options: Mapping[str, Any] = field(default_factory=dict)  # those that change answers and are not the default
    system_turn: bool = True  # False: the chat template has none, so a system text opens the first user turn
