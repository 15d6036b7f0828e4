"""The manifest of a training: what was trained, on what, and how it ended."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, TypedDict, cast

from ..core.durable import make_folder, replace_file
from ..core.errors import DataMalformed, MedbenchError
from ..core.json_text import loads
from ..core.typed import check_fields
from ..results.files import remedy, to_json
from .recipe import with_new_names

MANIFEST = "manifest.json"
SEAL = "seal"  # field of the manifest: the hash of the other fields
LEAK_KINDS = ("exact", "ngram", "near")
RESTORE = "Restore it from a copy, or move that folder away."

Kind = Literal["lora", "full"]
Status = Literal["training", "stopped", "done"]


@dataclass(frozen=True)
class AdapterManifest:
    """Everything about a training except its weights and log. All values can be stored as JSON."""

    model: str  # as tables show it: a zoo entry, a hub id, or the name of a folder or file
    tag: str
    kind: Kind
    status: Status
    identity: dict[str, Any]  # everything that affects the result
    base: dict[str, Any]  # weights, revision, source, location; name (as --model takes it) if it is not a zoo entry
    recipe: dict[str, Any] = field(default_factory=dict)  # a Recipe
    settings: list[str] = field(default_factory=list)  # as given with --set
    stages: list[dict[str, Any]] = field(default_factory=list)  # measurements of every finished stage
    data: list[dict[str, Any]] = field(default_factory=list)  # the training data of each stage
    # By hub data set: the "commit" that was read, and the revision that was "asked" for, if any.
    data_revisions: dict[str, dict[str, str]] = field(default_factory=dict)
    seed: int = 0
    environment: dict[str, Any] = field(default_factory=dict)  # evaluation/environment.py
    leaks: dict[str, dict[str, list[str]]] = field(default_factory=dict)  # benchmark -> LEAK_KINDS -> item ids
    unchecked: dict[str, str] = field(default_factory=dict)  # benchmark -> why it was not checked for leaks
    created: str = ""  # ISO 8601, UTC
    command: list[str] = field(default_factory=list)
    hash: str = ""  # of the finished weights: adapters.hash_of
    stopped: str = ""  # the reason, if status is "stopped"
    files: dict[str, str] = field(default_factory=dict)  # SHA-256 by file, once done; older manifests lack it

    @property
    def name(self) -> str:
        return f"{self.model}@{self.tag}"

    @property
    def leaked(self) -> dict[str, tuple[str, ...]]:
        """The ids of the items that the training data contain, by benchmark that was checked."""
        return {
            benchmark: tuple(dict.fromkeys(item for kind in LEAK_KINDS for item in by_kind.get(kind, ())))
            for benchmark, by_kind in self.leaks.items()
            if benchmark not in self.unchecked
        }


def write(folder: Path, manifest: AdapterManifest) -> None:
    """Write the manifest, and create the folder if needed. At any moment the old or the new one is complete.

    NaN and infinity (the loss of a training that diverged) are written as null. Raises MedbenchError if the disk
    cannot be written.
    """
    try:
        make_folder(folder)
        value = _finite(dataclasses.asdict(manifest))
        replace_file(folder / MANIFEST, to_json(value | {SEAL: seal_of(value)}, indent=1) + b"\n")
    except OSError as error:
        raise MedbenchError(
            f"{folder / MANIFEST} cannot be written: {error.strerror or error}.",
            f"{remedy(error)}, then run the same command again.",
        ) from error


def load(folder: Path) -> AdapterManifest | None:
    """Read the manifest in `folder`; None if training made nothing there. Raises DataMalformed if it is damaged."""
    path = folder / MANIFEST
    try:
        value = loads(path.read_bytes())
    except (FileNotFoundError, NotADirectoryError):
        return None
    except (OSError, ValueError) as error:
        raise DataMalformed(f"{path} cannot be read: {error}", RESTORE) from error
    if not isinstance(value, dict) or not {"tag", "kind", "identity"} <= value.keys():
        return None  # another program's manifest
    if (seal := value.pop(SEAL, None)) is not None and seal != seal_of(value):  # the first manifests had no seal
        raise DataMalformed(f"{path} was damaged or changed after it was written", RESTORE)
    return _checked(path, value)


def seal_of(value: Mapping[str, Any]) -> str:
    """Return the SHA-256 of a manifest without its seal, whatever the order of its fields."""
    as_read = loads(to_json(value))
    return hashlib.sha256(json.dumps(as_read, sort_keys=True).encode()).hexdigest()


class _StoredRecipe(TypedDict, total=False):
    source: str
    stages: list[Mapping[str, Any]]


class _StoredEnvironment(TypedDict, total=False):
    packages: Mapping[str, str]


class _StageMeasured(TypedDict, total=False):
    name: str
    steps: int | None
    tokens: int | None
    epochs: float | None
    files: Mapping[str, str]


class _PartDrawn(TypedDict, total=False):
    source: str
    drawn: int | None
    available: int | None


class _StageLearned(TypedDict, total=False):
    stage: str
    rows: int | None
    examples: int | None
    held_out: int | None
    tokens: int | None
    learned_tokens: int | None
    answers_cut: int | None
    dropped: int | None
    recipe_steps: int | None
    set_notes: int | None
    notes: list[str]
    parts: list[_PartDrawn]


def _checked(path: Path, value: dict[str, Any]) -> AdapterManifest:
    known = {f.name: f for f in dataclasses.fields(AdapterManifest)}
    for name, f in known.items():
        if name not in value and f.default is dataclasses.MISSING and f.default_factory is dataclasses.MISSING:
            raise DataMalformed(f"{path}: the field '{name}' is missing", RESTORE)
    try:
        check_fields(AdapterManifest, value)
        check_fields(_StoredRecipe, value.get("recipe", {}), "recipe.")
        check_fields(_StoredEnvironment, value.get("environment", {}), "environment.")
        for field_name, shape in (("stages", _StageMeasured), ("data", _StageLearned)):
            for number, part in enumerate(value.get(field_name, ())):
                check_fields(shape, part, f"{field_name}[{number}].")
    except ValueError as error:
        raise DataMalformed(f"{path}: {error}", RESTORE) from error
    # A later version may have added fields: they are ignored.
    return AdapterManifest(**_renamed({name: value[name] for name in known if name in value}))


def _renamed(value: dict[str, Any]) -> dict[str, Any]:
    """A manifest with the current names of a stage's fields."""
    if stages := value.get("recipe", {}).get("stages"):
        value["recipe"] = value["recipe"] | {"stages": [with_new_names(stage) for stage in stages]}
    if isinstance(stages := value["identity"].get("stages"), dict):
        value["identity"] = value["identity"] | {
            "stages": {
                name: with_new_names(stage) if isinstance(stage, dict) else stage for name, stage in stages.items()
            }
        }
    return value


def _finite(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {key: _finite(part) for key, part in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(part) for part in value]
    return None if isinstance(value, float) and not math.isfinite(value) else cast(Any, value)
