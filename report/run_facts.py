"""What a run's page shows of its manifest: what ran, on which data, where, how fast, and its known problems."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from ..results.descriptions import title
from ..results.manifest import Manifest

Facts = list[tuple[str, str]]
SHOWN_IDS = 200  # leaked items that are named


def facts(manifest: Manifest) -> list[tuple[str, Facts]]:
    """Return sections of (name, value), without those that are empty."""
    sessions = [session.as_json() for session in manifest.sessions]
    sections: list[tuple[str, Any]] = [
        (
            "Run",
            {
                "id": manifest.run_id,
                "asked": title(manifest),
                "created": manifest.created,
                "command": " ".join(manifest.command),
            },
        ),
        ("Model", {name: value for name, value in manifest.model.as_json().items() if name != "leaked"}),
        ("Engine", manifest.engine),
        ("Benchmark", manifest.benchmark.as_json()),
        ("Settings", {name: value for name, value in manifest.settings.as_json().items() if name != "items"}),
        ("Identity: all that changes an answer", manifest.identity.as_json()),
        ("Environment", manifest.environment),
        *((f"Session {at}", session) for at, session in enumerate(sessions, 1)),
    ]
    found = [(name, _flat(value)) for name, value in sections]
    return [(name, rows) for name, rows in found if rows]


def leaks(manifest: Manifest) -> tuple[str, Sequence[str]]:
    """Return what is known about the run's items in the model's training data, and the ids of some that are there."""
    leaked, asked = manifest.model.leaked, len(manifest.item_ids)
    if manifest.model.unchecked:
        return "medbench trained this model on data that were not searched for these items.", ()
    if leaked is None or "leaked" in manifest.model.missing:
        return "Nothing is recorded: medbench searches only data on which it trained the model itself.", ()
    if not leaked:
        return f"None of the {asked} items was found in the data that medbench trained this model on.", ()
    more = f" The first {SHOWN_IDS}:" if len(leaked) > SHOWN_IDS else ""
    return f"{len(leaked)} of {asked} items were found in the model's training data.{more}", leaked[:SHOWN_IDS]


def _flat(value: Mapping[str, Any], prefix: str = "") -> Facts:
    """Return nested values as rows called `outer.inner`, without empty ones."""
    rows: Facts = []
    for name, held in value.items():
        if isinstance(held, Mapping):
            rows += _flat(held, f"{prefix}{name}.")
        elif held not in (None, "", [], ()):
            text = held if isinstance(held, str) else json.dumps(held, ensure_ascii=False, default=str)
            rows.append((f"{prefix}{name}", text))
    return rows
