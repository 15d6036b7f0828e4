"""Reads and writes manifest.json, and detects changes that others made to it."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ..core.durable import replace_file
from ..core.errors import DataMalformed, MedbenchError, UsageError
from ..core.hashing import fingerprint
from ..core.json_text import MAX_LINE, loads
from .files import to_json
from .identity import Comparable, Identity
from .manifest import (
    SCHEMA_VERSION,
    BenchmarkRecord,
    Checkpoint,
    Manifest,
    ModelRecord,
    RequestTimes,
    RunSettings,
    Session,
)

MANIFEST = "manifest.json"
SEALS = "seals"  # in the file: a hash of each of its fields
VERSION = "schema_version"
SESSIONS = {1: "sittings"}  # what earlier versions called `sessions`

ENDS_AS_ID = re.compile(r"__([0-9a-f]{10})$")  # a run's id, and its folder's name
RESTORE = "Restore it, or move that run away."
ALLOW = "To see it as it is now, marked as changed: --allow-changed"

# The fields of the file by name, with the type of their JSON values. The first ones are required.
_REQUIRED: dict[str, type] = {
    "run_id": str,
    "identity": dict,
    "comparable": dict,
    "model": dict,
    "benchmark": dict,
    "method": str,
    "item_ids": list,
}
_OPTIONAL: dict[str, type] = {
    "settings": dict,
    "engine": dict,
    "environment": dict,
    "command": list,
    "created": str,
    "metrics": list,
    "sessions": list,
    "latency": dict,
    "checkpoint": dict,
}


class Changed(DataMalformed):
    """A run's files were changed after medbench stored them."""


def read_manifest(run: Path) -> Manifest:
    """Return the manifest of the run in a folder.

    Raises UsageError if `run` is not a run's folder, DataMalformed if its manifest is broken, Changed if it is not as
    medbench wrote it, and MedbenchError if a newer version of medbench wrote it.
    """
    manifest, changes = read_changed(run)
    if changes:
        raise Changed(f"{changes[0]}.", f"{RESTORE} {ALLOW}")
    return manifest


def read_changed(run: Path) -> tuple[Manifest, list[str]]:
    """Return the manifest as it is now, and a sentence for each change since it was written. Raises as `read_manifest`
    does for all else.
    """
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
    if not isinstance(value, dict):
        raise DataMalformed(f"{path}: not a JSON object", RESTORE)
    version = value.get(VERSION, 1)
    if not isinstance(version, int) or isinstance(version, bool) or version < 1:
        raise DataMalformed(f"{path}: the field '{VERSION}' should be a whole number above 0", RESTORE)
    if version > SCHEMA_VERSION:
        raise MedbenchError(
            f"{path} has {VERSION} {version}, but this version of medbench reads up to {SCHEMA_VERSION}.",
            "Install a newer version of medbench to read that run.",
        )
    try:
        manifest = _manifest(value, SESSIONS.get(version, "sessions"))
    except ValueError as error:
        raise DataMalformed(f"{path}: {error}", RESTORE) from error
    return manifest, _changes(path, manifest, value)


def write_manifest(run: Path, manifest: Manifest) -> None:
    """Replace the manifest as a whole, with a hash of each field beside it. Raises OSError."""
    fields = loads(to_json(as_json(manifest)))  # as it is read again
    seals = {name: _seal(value) for name, value in fields.items()}
    replace_file(run / MANIFEST, to_json(fields | {SEALS: seals}, indent=1))


def as_json(manifest: Manifest) -> dict[str, Any]:
    """Return the manifest as the file has it, without seals."""
    return {
        VERSION: SCHEMA_VERSION,
        "run_id": manifest.run_id,
        "identity": manifest.identity.as_json(),
        "comparable": manifest.comparable.as_json(),
        "model": manifest.model.as_json(),
        "benchmark": manifest.benchmark.as_json(),
        "method": manifest.method,
        "item_ids": list(manifest.item_ids),
        "settings": manifest.settings.as_json(),
        "engine": dict(manifest.engine),
        "environment": dict(manifest.environment),
        "command": list(manifest.command),
        "created": manifest.created,
        "metrics": list(manifest.metrics),
        "sessions": [session.as_json() for session in manifest.sessions],
        "latency": manifest.latency.as_json(),
        "checkpoint": manifest.checkpoint.as_json() if manifest.checkpoint else {},
    }


def _manifest(value: Mapping[str, Any], sessions: str) -> Manifest:
    """Return the manifest of a JSON object, whose sessions are called `sessions`. Raises ValueError.

    Fields of a manifest that this version does not know are left out.
    """
    fields = {name: value[name] for name in (*_REQUIRED, *_OPTIONAL) if name in value}
    fields.pop("sessions", None)
    if sessions in value:
        fields["sessions"] = value[sessions]
    for name, kind in (_REQUIRED | _OPTIONAL).items():
        if name in fields and not isinstance(fields[name], kind):
            raise ValueError(f"the field '{sessions if name == 'sessions' else name}' should be a {kind.__name__}")
        if name in _REQUIRED and name not in fields:
            raise ValueError(f"the field '{name}' is missing")
    for name, each in (("item_ids", str), ("metrics", str), ("sessions", dict)):
        if not all(isinstance(one, each) for one in fields.get(name, ())):
            shown = sessions if name == "sessions" else name
            raise ValueError(f"the field '{shown}' should hold {each.__name__} values only")
    comparable = _with_budget(fields["comparable"], fields["method"], fields.get("settings", {}))
    checkpoint = fields.get("checkpoint")
    return Manifest(
        run_id=fields["run_id"],
        identity=Identity.from_json(fields["identity"], "identity."),
        comparable=Comparable.from_json(comparable, "comparable."),
        model=ModelRecord.from_json(fields["model"], "model."),
        benchmark=BenchmarkRecord.from_json(fields["benchmark"], "benchmark."),
        method=fields["method"],
        item_ids=tuple(fields["item_ids"]),
        settings=RunSettings.from_json(fields.get("settings", {}), "settings."),
        engine=fields.get("engine", {}),
        environment=fields.get("environment", {}),
        command=tuple(map(str, fields.get("command", ()))),
        created=fields.get("created", ""),
        metrics=tuple(fields.get("metrics", ())),
        sessions=tuple(
            Session.from_json(each, f"{sessions}[{number}].") for number, each in enumerate(fields.get("sessions", ()))
        ),
        latency=RequestTimes.from_json(fields.get("latency", {}), "latency."),
        checkpoint=Checkpoint.from_json(checkpoint, "checkpoint.") if checkpoint else None,
    )


def _with_budget(comparable: dict[str, Any], method: str, settings: Mapping[str, Any]) -> dict[str, Any]:
    """Return `comparable` with what ends a generated answer; early versions stored that in the settings only."""
    if method != "generate" or "max_new_tokens" in comparable or "max_new_tokens" not in settings:
        return comparable
    return comparable | {"max_new_tokens": settings["max_new_tokens"], "stop": settings.get("stop", [])}


def _changes(path: Path, manifest: Manifest, value: Mapping[str, Any]) -> list[str]:
    """Return a sentence for each change to a manifest since medbench wrote it."""
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
    if ends and ends[1] != fingerprint(value["identity"])[:10] and not found:
        found.append(f"{path}: its identity does not match its run_id: one of them was changed")
    return found


def _seal(value: Any) -> str:
    return fingerprint(value)[:12]
