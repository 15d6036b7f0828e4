"""What names a run (its identity), and which runs share a column (what makes them comparable)."""

from __future__ import annotations

import dataclasses
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Self

from ..core.hashing import fingerprint
from .json_object import JsonObject

_GENERATED_ONLY = frozenset({"max_new_tokens", "stop"})  # left out of runs that choose by log-probability
# Left out if they have the default value, so that runs keep the ids from before these fields existed.
_NEWER = frozenset({"variation", "protocol", "system_hash", "samples", "retrieval"})

_NOT_OF_EVERY_MODEL = frozenset({"base_url", "trust_remote_code", "options", "think", "reasoning_effort"})


@dataclass(frozen=True, kw_only=True)
class ModelIdentity(JsonObject):
    """The model's part of a run's identity, with "auto" resolved for this machine."""

    name: str = ""
    revision: str | None = None  # commit of a hub model, content hash of a local one
    adapter: str | None = None  # hash of the adapter's weights
    engine: str = ""
    dtype: str | None = None
    quantize: str | None = None
    prompt_format: str | None = None
    base_url: str | None = None  # of the server, for engines that send requests to one
    trust_remote_code: bool | None = None
    options: Mapping[str, Any] | None = None  # settings of the engine that change answers, without defaults
    think: str | None = None  # "on" or "off", if that was asked for and prompts are wrapped
    reasoning_effort: str | None = None  # likewise
    missing: frozenset[str] = field(default=_NOT_OF_EVERY_MODEL, repr=False, compare=False)


@dataclass(frozen=True, kw_only=True)
class Comparable(JsonObject):
    """What two runs must share to be in one column. Its hash is the column's key."""

    benchmark: str = ""
    version: str = ""
    variant: str = ""
    items_hash: str | None = None
    prompt_hash: str | None = None  # of the prompts before a chat template wraps them
    shots: int = 0
    method: str = ""  # "logprob" or "generate"
    max_new_tokens: int | None = None
    stop: tuple[str, ...] | None = None
    protocol: str = "direct"  # how the benchmark's questions are asked
    system_hash: str = ""  # of the user's system text, "" for none
    variation: str = ""  # what the answers to an item differ in: "orders" of its options, "wordings"; "": nothing
    samples: int = 1  # answers per item
    retrieval: str = ""  # the passages in the prompts, "" for none
    missing: frozenset[str] = field(default=_GENERATED_ONLY | _NEWER, repr=False, compare=False)

    @property
    def key(self) -> str:
        """The hash that comparable runs share."""
        return fingerprint(self.as_json())

    @property
    def paired_key(self) -> str:
        """The hash that runs share if they can be compared in pairs: they ask the same, with or without passages."""
        return dataclasses.replace(self, retrieval="", missing=self.missing | {"retrieval"}).key

    @property
    def passages(self) -> str:
        """What is retrieved, in words: "medquad passages (k=3)"; "" if nothing is."""
        return passages_of(self.retrieval)


@dataclass(frozen=True, kw_only=True)
class Identity(Comparable):
    """Everything that changes an answer: what makes runs comparable, and the model, seed, chat and generation."""

    model: ModelIdentity = field(default_factory=ModelIdentity)
    seed: int | None = None  # 0 if nothing is drawn
    chat: str | None = None  # how prompts are wrapped: "plain", "template" or "format"
    generation: Mapping[str, Any] | None = None  # of generated answers
    missing: frozenset[str] = field(default=_GENERATED_ONLY | _NEWER | {"generation"}, repr=False, compare=False)

    @classmethod
    def of(
        cls,
        comparable: Comparable,
        model: ModelIdentity,
        seed: int,
        chat: str,
        generation: Mapping[str, Any] | None = None,
    ) -> Self:
        """Return the identity of a run of `model` that is comparable to others by `comparable`."""
        shared = {f.name: getattr(comparable, f.name) for f in dataclasses.fields(Comparable) if f.name != "missing"}
        missing = comparable.missing | {"generation"}
        return cls(**shared, model=model, seed=seed, chat=chat, generation=generation, missing=missing)

    def as_json(self) -> dict[str, Any]:
        """Return the object that the run id is a hash of. The model comes first, as readers look for it."""
        fields = super().as_json()
        return {"model": fields.pop("model"), **fields} if "model" in fields else fields

    @property
    def digest(self) -> str:
        """Ten digits of the hash: the end of the run's id."""
        return fingerprint(self.as_json())[:10]


def passages_of(retrieval: str) -> str:
    """Return `Comparable.retrieval` without the versions and the corpus's hash in brackets at its end."""
    return retrieval.rpartition(" [")[0] or retrieval


def run_id(model: str, benchmark: str, identity: Identity) -> str:
    """Return the run's name and folder: model, benchmark and the identity's digest, safe for any file system."""
    return f"{safe(model)}__{safe(benchmark)}__{identity.digest}"


def safe(name: str) -> str:
    """Return a file name made of a name: at most 60 characters, none of which a file system treats specially."""
    return re.sub(r"[^A-Za-z0-9._@+-]+", "_", name).lstrip("._-")[:60] or "_"


def differing(a: Mapping[str, Any], b: Mapping[str, Any], prefix: str = "") -> list[tuple[str, Any, Any]]:
    """Return (field, value in a, value in b) for every difference; a nested field is called `outer.inner`."""
    found: list[tuple[str, Any, Any]] = []
    for key in [*a, *(key for key in b if key not in a)]:
        one, other = a.get(key), b.get(key)
        if isinstance(one, Mapping) and isinstance(other, Mapping):
            found += differing(one, other, f"{prefix}{key}.")
        elif _plain(one) != _plain(other):
            found.append((prefix + key, one, other))
    return found


def _plain(value: Any) -> Any:
    """Return a value as JSON reads it back, with lists for tuples."""
    return json.loads(json.dumps(value))
