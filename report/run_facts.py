"""What a run's page shows of its manifest: what ran, on which data, where, how fast, and its known problems."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from ..results.descriptions import title
from ..results.manifest import Manifest
from .private_paths import is_path, last_part, without_folders

Facts = list[tuple[str, str]]
SHOWN_IDS = 200  # leaked items that are named
NAME = r"[^\s,]([^\n,]*[^\s,])?"  # in a list, a text that needs no quotation marks


def facts(manifest: Manifest) -> list[tuple[str, Facts]]:
    """Return sections of (name, value), without those that are empty, and paths without their folders."""
    sessions = [session.as_json() for session in manifest.sessions]
    sections: list[tuple[str, Any]] = [
        (
            "Run",
            {
                "id": manifest.run_id,
                "asked": title(manifest),
                "created": manifest.created,
                "command": " ".join(last_part(word) if is_path(word) else word for word in manifest.command),
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
    paths = {text for _, value in sections for text in _texts(value) if is_path(text)}
    found = [(name, [(key, without_folders(text, paths)) for key, text in _flat(value)]) for name, value in sections]
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
            rows.append((f"{prefix}{name}", _shown(held)))
    return rows


def _shown(value: Any) -> str:
    """Return a value as text; a list of names without the marks of JSON."""
    if isinstance(value, list | tuple) and all(isinstance(each, str) and re.fullmatch(NAME, each) for each in value):
        return ", ".join(value)
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, default=str)


def _texts(value: Any) -> Iterator[str]:
    """Yield every text in nested values."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, Mapping | list | tuple):
        for each in value.values() if isinstance(value, Mapping) else value:
            yield from _texts(each)
