"""A judge: a model that grades answers, run by an engine. Plugins of the group `medbench.judges` make them."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from ..core.budget import Usage
from ..core.types import Engine

MAX_NEW_TOKENS = 2048  # a judge that reasons before it replies needs room


@dataclass
class Judge:
    """A model that grades. `label` names its scores: "groq:openai/gpt-oss-120b"."""

    label: str
    engine: Engine
    max_new_tokens: int = MAX_NEW_TOKENS
    prices: tuple[float, float] | None = None  # USD per million prompt tokens and per million new tokens; None: unknown
    own: Usage = field(default_factory=Usage)  # of an engine that keeps no count: one call per request

    @property
    def served(self) -> bool:
        """Whether its engine asks a server, within limits."""
        return hasattr(self.engine, "limits")

    @property
    def refuses(self) -> frozenset[str]:
        """What its server has refused to be told, "response_format" (the schema) among it, and is not told again."""
        return getattr(self.engine, "refuses", frozenset())

    @property
    def usage(self) -> Usage:
        """What it has used so far in this process."""
        return getattr(self.engine, "usage", self.own)

    def facts(self) -> dict[str, Any]:
        """What decides how it grades, for the head of its replies. No key is among it."""
        spec = self.engine.spec
        names = ("name", "location", "revision", "engine", "adapter_hash", "dtype", "quantize", "base_url")
        return {name: getattr(spec, name) for name in names} | {"generation": dict(spec.generation)}
