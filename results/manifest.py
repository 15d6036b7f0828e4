"""The manifest of a run: everything about it except its answers, as typed records."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from ..core.types import Measured, Output
from .identity import Comparable, Identity
from .json_object import JsonObject

UNFINISHED = "unfinished_rate"  # the metric that every run of generated answers has (metrics/unfinished.py)
SCHEMA_VERSION = 2  # of manifest.json; a file without the field is version 1, which called its sessions `sittings`


@dataclass(frozen=True, kw_only=True)
class ModelRecord(JsonObject):
    """The model as it was requested: a `ModelSpec`, in which "auto" may not be resolved."""

    name: str = ""
    location: str | None = None
    revision: str | None = None
    engine: str = ""
    adapter: str | None = None
    adapter_hash: str | None = None
    dtype: str | None = None
    quantize: str | None = None
    device: str | None = None
    chat: str | None = None
    prompt_format: str | None = None
    generation: Mapping[str, Any] | None = None
    source: str | None = None
    base_url: str | None = None
    trust_remote_code: bool | None = None
    options: Mapping[str, Any] | None = None
    leaked: tuple[str, ...] | None = None  # ids of the run's items in the training data; None: not checked
    missing: frozenset[str] = field(default=frozenset({"trust_remote_code", "leaked"}), repr=False, compare=False)

    @property
    def unchecked(self) -> bool:
        """Whether medbench trained the model on data that were not searched for the items of this run."""
        return self.leaked is None and "leaked" not in self.missing


@dataclass(frozen=True, kw_only=True)
class BenchmarkRecord(JsonObject):
    """The benchmark and its data."""

    name: str = ""
    version: str = ""
    variant: str = ""
    sample: bool | None = None
    origin: str = ""
    notes: tuple[str, ...] = ()
    licence: str | None = None
    citation: str | None = None
    metrics: tuple[str, ...] = ()
    n_total: int | None = None  # items before a limit or a choice of ids


@dataclass(frozen=True, kw_only=True)
class RunSettings(JsonObject):
    """What the user asked for, and how it was resolved."""

    limit: int | None = None
    items: tuple[str, ...] | None = None
    items_file: str | None = None
    shots: int | None = None
    seed: int = 0
    choice: str | None = None
    max_new_tokens: int | None = None
    metrics: tuple[str, ...] | None = None
    latency_items: int | None = None
    latency_share: float | None = None
    chat: str | None = None
    stop: tuple[str, ...] | None = None
    system: str = ""  # the user's system text
    temperature: float = 0.0
    top_p: float = 1.0
    samples: int = 1  # answers per item
    reused: Mapping[str, int] = field(default_factory=dict)  # run id -> how many of its answers this run copied
    missing: frozenset[str] = field(
        default=frozenset({"reused", "system", "temperature", "top_p", "samples"}), repr=False, compare=False
    )


@dataclass(frozen=True, kw_only=True)
class Session(JsonObject):
    """What one process measured while it answered items of the run."""

    started: str = ""  # ISO 8601, UTC
    load_seconds: float | None = None  # of the weights, and of libraries that the engine does not name
    import_seconds: float | None = None  # of the engine's libraries
    data_seconds: float | None = None  # reading the benchmark and writing its prompts
    seconds: float | None = None  # inside the engine
    items: int | None = None
    prompt_tokens: int | None = None
    completion_tokens: int | None = None
    peak_rss_bytes: int | None = None
    peak_gpu_memory_bytes: int | None = None
    failures: Mapping[str, str] = field(default_factory=dict)  # answer (`answer_name`) -> why it is missing
    packages: Mapping[str, Any] = field(default_factory=dict)  # versions, by package

    def with_answer(self, output: Output, seconds: float) -> Session:
        """Return the session with one more item, answered in so many seconds."""
        return dataclasses.replace(
            self,
            seconds=(self.seconds or 0.0) + seconds,
            items=(self.items or 0) + 1,
            prompt_tokens=(self.prompt_tokens or 0) + output.prompt_tokens,
            completion_tokens=(self.completion_tokens or 0) + output.completion_tokens,
        )

    def with_failures(self, failures: Mapping[str, str], seconds: float = 0.0) -> Session:
        """Return the session with items that it could not answer, and the seconds that this took."""
        return dataclasses.replace(self, seconds=(self.seconds or 0) + seconds, failures={**self.failures, **failures})


@dataclass(frozen=True, kw_only=True)
class RequestTimes(JsonObject):
    """Seconds of requests that were timed one at a time."""

    seconds: tuple[float, ...] = ()
    first_token_s: tuple[float, ...] = ()
    expected_s: float | None = None  # of one request, if none was timed because it would have taken too long
    reason: str = ""  # why fewer requests were timed than asked for
    missing: frozenset[str] = field(
        default=frozenset({"seconds", "first_token_s", "expected_s", "reason"}), repr=False, compare=False
    )


@dataclass(frozen=True, kw_only=True)
class Checkpoint(JsonObject):
    """The state of samples.jsonl when the manifest was written."""

    lines: int = 0
    seal: str = ""  # of the last line
    unsealed: int | None = None  # how many of the first lines are from before medbench sealed lines


@dataclass(frozen=True)
class Manifest:
    """Everything about a run except its answers. `schema_version` also covers the records in it."""

    run_id: str
    identity: Identity  # its hash ends the run_id
    comparable: Comparable
    model: ModelRecord
    benchmark: BenchmarkRecord
    method: str  # "logprob" or "generate"
    item_ids: tuple[str, ...]  # in the benchmark's order
    settings: RunSettings = field(default_factory=lambda: RunSettings.from_json({}))
    engine: Mapping[str, Any] = field(default_factory=dict)  # Engine.describe()
    environment: Mapping[str, Any] = field(default_factory=dict)  # package versions, python, platform, cpu, gpu, git
    command: tuple[str, ...] = ()
    created: str = ""  # ISO 8601, UTC
    metrics: tuple[str, ...] = ()  # names, in the order in which they were added
    sessions: tuple[Session, ...] = ()  # one per process that answered items
    latency: RequestTimes = field(default_factory=RequestTimes)
    checkpoint: Checkpoint | None = None  # None in a run from before medbench sealed lines
    schema_version: int = SCHEMA_VERSION

    @property
    def answers(self) -> int:
        """How many answers the run has when it is complete."""
        return len(self.item_ids) * self.comparable.samples

    @property
    def sealed(self) -> bool:
        """Whether every line of the run has a seal."""
        return self.checkpoint is not None and self.checkpoint.unsealed == 0

    @property
    def had_answers(self) -> bool:
        """Whether answers were ever stored, even if they are gone now."""
        return bool(self.checkpoint and self.checkpoint.lines) or any(session.items for session in self.sessions)

    @property
    def shown_metrics(self) -> tuple[str, ...]:
        """The names of the run's metrics in the order of display: the benchmark's own in its order, then the others."""
        own = [name for name in self.benchmark.metrics if name in self.metrics]
        return (*own, *(name for name in self.metrics if name not in own))

    @property
    def reported_metrics(self) -> tuple[str, ...]:
        """The same, and what is reported of all generated answers: how many of them are unfinished."""
        names = self.shown_metrics
        return names if self.method != "generate" or UNFINISHED in names else (*names, UNFINISHED)

    def with_metrics(self, names: Iterable[str]) -> Manifest:
        """Return the manifest with these metrics too, after its own."""
        added = [name for name in names if name not in self.metrics]
        return dataclasses.replace(self, metrics=(*self.metrics, *added))

    def measured(self) -> Measured:
        """Return what the run measured, added up over its sessions."""
        rss = [session.peak_rss_bytes for session in self.sessions if session.peak_rss_bytes is not None]
        gpu = [session.peak_gpu_memory_bytes for session in self.sessions if session.peak_gpu_memory_bytes is not None]
        return Measured(
            items=sum(session.items or 0 for session in self.sessions),
            seconds=float(sum(session.seconds or 0 for session in self.sessions)),
            prompt_tokens=sum(session.prompt_tokens or 0 for session in self.sessions),
            completion_tokens=sum(session.completion_tokens or 0 for session in self.sessions),
            peak_rss_bytes=max(rss, default=None),
            peak_gpu_memory_bytes=max(gpu, default=None),
            latencies_s=self.latency.seconds,
            first_token_s=self.latency.first_token_s,
        )
