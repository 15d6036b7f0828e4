"""A judge: a model that grades answers, run by an engine. Plugins of the group `medbench.judges` make them."""

from __future__ import annotations

from dataclasses import dataclass, field

from ..core import registry
from ..core.budget import Usage
from ..core.types import Engine
from ..results.manifest import ModelRecord

MAX_NEW_TOKENS = 2048  # a judge that reasons before it replies needs room


@dataclass
class Judge:
    """A model that grades. `label` names its scores: "groq:openai/gpt-oss-120b"."""

    label: str
    engine: Engine
    max_new_tokens: int = MAX_NEW_TOKENS
    prices: tuple[float, float] | None = None  # USD per million prompt tokens and per million new tokens; None: unknown
    own: Usage = field(default_factory=Usage)  # for engines that do not count: one call per request

    def __post_init__(self) -> None:
        registry.with_defaults("engines", type(self.engine))

    @property
    def served(self) -> bool:
        """Whether its engine sends requests to a server, within limits."""
        return self.engine.limits is not None

    @property
    def rejected_fields(self) -> frozenset[str]:
        """Request fields that its server rejects, such as "response_format" (the schema). They are not sent again."""
        return self.engine.rejected_fields

    @property
    def usage(self) -> Usage:
        """Its usage so far in this process."""
        return self.own if self.engine.usage is None else self.engine.usage

    def model_record(self) -> ModelRecord:
        """Return what determines how it grades, for the header of its replies. Contains no key."""
        spec = self.engine.spec
        names = ("name", "location", "revision", "engine", "adapter_hash", "dtype", "quantize", "base_url")
        return ModelRecord.from_json(
            {name: getattr(spec, name) for name in names} | {"generation": dict(spec.generation)}
        )
