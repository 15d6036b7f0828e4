"""The manifest of a run: everything about it but its answers, and what tells that it was changed afterwards."""

from __future__ import annotations

import dataclasses
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypedDict

from ..core.durable import replace_file
from ..core.errors import DataMalformed, UsageError
from ..core.hashing import fingerprint
from ..core.json_text import MAX_LINE, loads
from ..core.typed import check_fields
from .files import to_json

MANIFEST = "manifest.json"
SEALS = "seals"  # in the file: a hash of each of its fields

ENDS_AS_ID = re.compile(r"__([0-9a-f]{10})$")  # a run's id, and its folder's name
RESTORE = "Restore it, or move that run away."
ALLOW = "To see it as it is now, marked as changed: --allow-changed"


class _Model(TypedDict, total=False):
    name: str
    revision: str | None
    adapter: str | None
    dtype: str | None
    quantize: str | None
    chat: str | None
    source: str | None
    engine: str
    leaked: list[str] | None


class _Identity(TypedDict, total=False):
    model: Mapping[str, Any]
    chat: str | None


class _Comparable(TypedDict, total=False):
    benchmark: str
    version: str
    variant: str
    shots: int
    method: str


class _Benchmark(TypedDict, total=False):
    name: str
    version: str
    variant: str
    origin: str
    notes: list[str]
    metrics: list[str]
    n_total: int | None


class _Settings(TypedDict, total=False):
    limit: int | None
    seed: int
    reused: Mapping[str, int]


class _Sitting(TypedDict, total=False):
    started: str
    seconds: float | None
    load_seconds: float | None
    items: int | None
    prompt_tokens: int | None
    completion_tokens: int | None
    peak_rss_bytes: int | None
    peak_gpu_memory_bytes: int | None
    failures: Mapping[str, str]


class _Latency(TypedDict, total=False):
    seconds: list[float]
    first_token_s: list[float]


class _Checkpoint(TypedDict, total=False):
    lines: int
    seal: str
    unsealed: int


# The types of what tables read of a manifest's parts, which may hold more.
_PARTS: dict[str, type] = {
    "model": _Model,
    "identity": _Identity,
    "comparable": _Comparable,
    "benchmark": _Benchmark,
    "settings": _Settings,
    "latency": _Latency,
    "checkpoint": _Checkpoint,
}


class Changed(DataMalformed):
    """A run's files are not what medbench stored."""


@dataclass(frozen=True)
class Manifest:
    """Everything about a run but its answers. All values are what JSON can hold."""

    run_id: str
    identity: dict[str, Any]  # everything that changes an answer; its hash ends the run_id
    comparable: dict[str, Any]  # what two runs must share to stand in one column
    model: dict[str, Any]  # ModelSpec
    benchmark: dict[str, Any]  # name, version, variant, sample, origin, notes, licence, citation, metrics, n_total
    method: str  # "logprob" or "generate"
    item_ids: tuple[str, ...]  # in the benchmark's order
    settings: dict[str, Any] = field(default_factory=dict)  # limit, seed, shots, chat, items_file, max_new_tokens, stop
    engine: dict[str, Any] = field(default_factory=dict)  # Engine.describe()
    environment: dict[str, Any] = field(default_factory=dict)  # package versions, python, platform, cpu, gpu, git
    command: list[str] = field(default_factory=list)
    created: str = ""  # ISO 8601, UTC
    metrics: list[str] = field(default_factory=list)  # names, in the order they are shown
    sittings: list[dict[str, Any]] = field(default_factory=list)  # one per process that answered items
    latency: dict[str, list[float]] = field(default_factory=dict)  # "seconds", "first_token_s": one per timed request
    # Of samples.jsonl when this was written: "lines", the "seal" of the last one, and how many of the first are from
    # before medbench sealed lines ("unsealed"). Empty in a run from before.
    checkpoint: dict[str, Any] = field(default_factory=dict)

    @property
    def sealed(self) -> bool:
        """Whether every line of the run has a seal."""
        return self.checkpoint.get("unsealed") == 0


def run_id(model: str, benchmark: str, identity: Mapping[str, Any]) -> str:
    """The run's name and folder: model, benchmark and ten digits of the identity's hash, safe for any file system."""
    return f"{safe(model)}__{safe(benchmark)}__{fingerprint(dict(identity))[:10]}"


def differing(a: Mapping[str, Any], b: Mapping[str, Any], prefix: str = "") -> list[tuple[str, Any, Any]]:
    """(field, value in a, value in b) wherever two JSON objects differ; nested fields are named `outer.inner`."""
    found: list[tuple[str, Any, Any]] = []
    for key in [*a, *(key for key in b if key not in a)]:
        one, other = a.get(key), b.get(key)
        if isinstance(one, Mapping) and isinstance(other, Mapping):
            found += differing(one, other, f"{prefix}{key}.")
        elif _plain(one) != _plain(other):
            found.append((prefix + key, one, other))
    return found


def write_manifest(run: Path, manifest: Manifest) -> None:
    """Replace the manifest as a whole, with a hash of each field beside it. Raises OSError."""
    fields = loads(to_json(dataclasses.asdict(manifest)))  # as it is read again
    seals = {name: _seal(value) for name, value in fields.items()}
    replace_file(run / MANIFEST, to_json(fields | {SEALS: seals}, indent=1))


def _changes(path: Path, manifest: Manifest, value: Mapping[str, Any]) -> list[str]:
    """What was changed in a manifest after medbench wrote it, a sentence each."""
    found = []
    seals = value.get(SEALS)
    if isinstance(seals, dict):
        fields = {name: held for name, held in value.items() if name != SEALS}
        changed = [name for name in {**seals, **fields} if name not in fields or _seal(fields[name]) != seals.get(name)]
        if changed:
            found.append(f"{path}: changed after medbench wrote it: {', '.join(changed)}")
    elif manifest.checkpoint:
        found.append(f"{path}: changed after medbench wrote it: its {SEALS} are missing")
    ends = ENDS_AS_ID.search(manifest.run_id)
    if ends and ends[1] != fingerprint(manifest.identity)[:10] and not found:
        found.append(f"{path}: its identity does not match its run_id: one of them was changed")
    return found


def _seal(value: Any) -> str:
    return fingerprint(value)[:12]


def read_manifest(run: Path) -> Manifest:
    """Raises UsageError where `run` is no run folder, DataMalformed where its manifest is broken, Changed where it is
    not as medbench wrote it.
    """
    manifest, changes = read_changed(run)
    if changes:
        raise Changed(f"{changes[0]}.", f"{RESTORE} {ALLOW}")
    return manifest


def read_changed(run: Path) -> tuple[Manifest, list[str]]:
    """The manifest as it is now, and what was changed in it, a sentence each. Raises as `read_manifest` otherwise."""
    path = run / MANIFEST
    try:
        if path.stat().st_size > MAX_LINE:
            raise ValueError(f"it is larger than {MAX_LINE >> 20} MiB")
        value = loads(path.read_bytes())
    except (FileNotFoundError, NotADirectoryError):
        message = f"{run} is no run folder: it has no {MANIFEST}."
        raise UsageError(message, "The runs: medbench list runs") from None
    except (OSError, ValueError) as error:
        raise DataMalformed(f"{path} cannot be read: {error}", RESTORE) from error
    known = {f.name: f for f in dataclasses.fields(Manifest)}
    if not isinstance(value, dict):
        raise DataMalformed(f"{path}: not a JSON object", RESTORE)
    kinds: dict[str, type] = dict.fromkeys(known, dict) | dict.fromkeys(("run_id", "method", "created"), str)
    kinds |= dict.fromkeys(("item_ids", "command", "metrics", "sittings"), list)
    for name, f in known.items():
        required = f.default is dataclasses.MISSING and f.default_factory is dataclasses.MISSING
        if (required or name in value) and not isinstance(value.get(name), kinds[name]):
            problem = f"should be a {kinds[name].__name__}" if name in value else "is missing"
            raise DataMalformed(f"{path}: the field '{name}' {problem}", RESTORE)
    # A later version may have added fields; what this one does not know it does not read.
    fields = {name: value[name] for name in known if name in value}
    fields["comparable"] = _with_budget(fields["comparable"], fields["method"], fields.get("settings", {}))
    for name, kind in (("item_ids", str), ("metrics", str), ("sittings", dict)):
        if not all(isinstance(each, kind) for each in fields.get(name, ())):
            raise DataMalformed(f"{path}: the field '{name}' should hold {kind.__name__} values only", RESTORE)
    try:
        for name, shape in _PARTS.items():
            check_fields(shape, fields.get(name, {}), f"{name}.")
        check_fields(_Model, fields["identity"].get("model", {}), "identity.model.")
        for number, sitting in enumerate(fields.get("sittings", ())):
            check_fields(_Sitting, sitting, f"sittings[{number}].")
    except ValueError as error:
        raise DataMalformed(f"{path}: {error}", RESTORE) from error
    manifest = Manifest(**fields | {"item_ids": tuple(fields["item_ids"])})
    return manifest, _changes(path, manifest, value)


def _with_budget(comparable: dict[str, Any], method: str, settings: Mapping[str, Any]) -> dict[str, Any]:
    """`comparable` with what ends a generated answer; earlier versions kept that in the settings only."""
    if method != "generate" or "max_new_tokens" in comparable or "max_new_tokens" not in settings:
        return comparable
    return comparable | {"max_new_tokens": settings["max_new_tokens"], "stop": settings.get("stop", [])}


def safe(name: str) -> str:
    return re.sub(r"[^A-Za-z0-9._@+-]+", "_", name).lstrip("._-")[:60] or "_"


def _plain(value: Any) -> Any:
    """As JSON gives it back: tuples are lists there."""
    return json.loads(json.dumps(value))
