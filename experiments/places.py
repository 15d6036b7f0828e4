"""Files that an experiment names are relative to its own file."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..core import registry
from ..core.text_or_file import SUFFIXES
from .schema import SECTIONS, TOP, Kind
from .values import Values

PATH_MARKS = (".gguf", ".py", ".csv", ".json", ".jsonl", ".parquet", ".xlsx")


@dataclass(frozen=True, slots=True)
class _Move:
    """How paths are rewritten: `to` gives the new path of a relative one, `exists` says whether it is there."""

    to: Callable[[str], str]
    exists: Callable[[str], bool]


def from_file(values: Values, folder: Path) -> Values:
    """Return values of a file in `folder` with its paths as seen from the working folder."""
    if folder == Path():
        return values

    def to(text: str) -> str:
        return os.path.normpath(folder / text)

    return _moved(values, _Move(to, lambda text: (folder / text).exists()))


def for_file(values: Values, folder: Path) -> Values:
    """Return values of the command line with paths as seen from `folder`, where they will be stored."""
    start = folder.resolve()

    def to(text: str) -> str:
        return os.path.relpath(Path(text).resolve(), start)

    return _moved(values, _Move(to, lambda text: Path(text).exists()))


def _moved(values: Values, move: _Move) -> Values:
    found = _table(values, TOP, move)
    for key, section in SECTIONS.items():
        if key in values:
            value = values[key]
            several = isinstance(value, list)
            tables = [_table(one, section.keys, move) for one in (value if several else [value])]
            found[key] = tables if several else tables[0]
    for training in found.get("train", ()):
        if "data" in training.get("settings", {}):
            training["settings"] = {**training["settings"], "data": _mixture(training["settings"]["data"], move)}
    return found


def _table(values: Mapping[str, Any], keys: Mapping[str, Kind], move: _Move) -> Values:
    return {key: _one(value, keys[key].place, move) if key in keys else value for key, value in values.items()}


def _one(value: Any, place: str, move: _Move) -> Any:
    if isinstance(value, list):
        return [_one(each, place, move) for each in value]
    if not place or not isinstance(value, str) or not value:
        return value
    if place == "model":
        return _model(value, move)
    return move.to(value) if _is_path(value, place, move) and _relative(value) else value


def _model(name: str, move: _Move) -> str:
    """Return the name of a model: with a prefix (`replay:FILE`), as trained (`FILE.py@TAG`), or a path itself."""
    prefix, colon, rest = name.partition(":")
    if colon and (prefix in registry.names("engines") or prefix.endswith(".py")):
        prefix = _one(prefix, "plugin", move)
        is_path = prefix == "replay" or _is_path(rest, "maybe", move)  # a path of saved answers may hold {benchmark}
        return f"{prefix}:{move.to(rest)}" if rest and is_path and _relative(rest) else name
    base, at, tag = name.rpartition("@")
    whole = base if at and "/" not in tag else name
    if whole in registry.names("zoo") or not _is_path(whole, "maybe", move) or not _relative(whole):
        return name
    return move.to(whole) + (f"@{tag}" if whole != name else "")


def _mixture(value: Any, move: _Move) -> Any:
    """Return the training sets of a recipe, NAME:SAMPLES or FILE.jsonl:SAMPLES, with the files moved."""

    def moved(part: str) -> str:
        source, colon, samples = part.rpartition(":")
        if not colon or "/" in samples or samples.endswith(".jsonl"):
            source, colon, samples = part, "", ""
        return (move.to(source) if source.endswith(".jsonl") and _relative(source) else source) + colon + samples

    if isinstance(value, list):
        return [moved(part) for part in value]
    return ",".join(moved(part.strip()) for part in value.split(",")) if isinstance(value, str) else value


def _is_path(text: str, place: str, move: _Move) -> bool:
    if place == "path" or text.startswith(("./", "../")):
        return True
    if text.lower().endswith(PATH_MARKS):
        return True
    if place == "plugin":
        return False
    return (text.endswith(SUFFIXES) and len(text.split()) == 1) or (len(text) < 1000 and move.exists(text))


def _relative(text: str) -> bool:
    return not Path(text).is_absolute() and not text.startswith("~")
