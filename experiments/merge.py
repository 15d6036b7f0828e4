"""Options given beside an experiment file, which replace what the file says."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from .schema import MODEL_OPTIONS
from .toml_text import toml
from .values import Values

MERGED = ("engine_options", "judges", "columns", "data_revisions")  # tables in which each key is replaced alone
WHAT = ("benchmarks", "suites")  # either option replaces both: they say together what runs


def merged(stored: Values, given: Mapping[str, Any]) -> tuple[Values, list[str]]:
    """Return the values of a file with those of options in their place, and a line for each that was replaced.

    An option of the model replaces those of all models in the file.
    """
    found = dict(stored)
    told: list[str] = []
    if any(name in given for name in WHAT):
        for name in WHAT:
            if name in found and name not in given:
                told.append(f"not used: {name} = {toml(found.pop(name))}")
    for name, value in given.items():
        if name in MERGED and name in found:
            told += _told(found[name], value, f"{name}.")
            found[name] = {**found[name], **value}
        else:
            told += _told(found, {name: value})
            found[name] = value
    if "models" in given:
        _drop_comparisons(found, told)
    found["models"] = [_overruled(model, given, told) for model in found.get("models", ())]
    if not found["models"]:
        del found["models"]
    return found, told


def _drop_comparisons(found: Values, told: list[str]) -> None:
    """Remove the comparisons of models that an option has replaced."""
    names = {model["name"] for model in found["models"]}
    compare = found.pop("compare", [])
    if kept := [each for each in compare if names.issuperset(each["models"])]:
        found["compare"] = kept
    told += [f"not used: [[compare]] models = {toml(each['models'])}" for each in compare if each not in kept]


def _overruled(model: Mapping[str, Any], given: Mapping[str, Any], told: list[str]) -> Values:
    """Return the table of a model without the options that were given for all models."""
    kept = dict(model)
    for name in MODEL_OPTIONS:
        if name not in given or name not in kept:
            continue
        if name == "engine_options":
            told += _told(kept[name], given[name], f"{kept['name']}: {name}.")
            kept[name] = {**kept[name], **given[name]}
        else:
            told += _told(kept, {name: given[name]}, f"{kept['name']}: ")
            del kept[name]
    return kept


def _told(before: Mapping[str, Any], given: Mapping[str, Any], prefix: str = "") -> list[str]:
    return [
        f"{prefix}{name} = {_short(value)} instead of {_short(before[name])}"
        for name, value in given.items()
        if name in before and before[name] != value
    ]


def _short(value: Any) -> str:
    if isinstance(value, list) and all(isinstance(each, dict) and set(each) == {"name"} for each in value):
        value = [each["name"] for each in value]
    return toml(value)
