"""The values of an experiment as plain data, checked: from a file, from options, or from keywords."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from ..core.errors import UsageError
from ..core.suggest import did_you_mean
from .lines import Place
from .schema import MODEL, SECTIONS, TOP, Kind, flat, names
from .toml_text import toml

Values = dict[str, Any]  # by key of the file, lists and tables as `checked` makes them
Where = Callable[[Place], str]  # how an error names a place: "experiment.toml, line 5: "

PAGE = "All keys, with an example: docs/experiments.md"
# Words of other tools, or of options, for a key.
OTHER_NAMES: Mapping[str, str] = {
    "model": "models",
    "benchmark": "benchmarks",
    "suite": "suites",
    "task": "benchmarks",
    "tasks": "benchmarks",
    "protocol": "protocols",
    "metric": "metrics",
    "judge": "judges",
    "training": "train",
    "comparisons": "compare",
    "output": "out",
    "num_fewshot": "shots",
    "api_key": "",
}
NO_KEYS = "An experiment file holds no keys: they are read from OPENAI_API_KEY and GROQ_API_KEY."


def checked(values: Mapping[str, Any], where: Where) -> Values:
    """Return the values in one form: names as lists, models and judges as tables.

    Raises UsageError that names an unknown key, with the nearest known one, or a value of another form.
    """
    found: Values = {}
    for key, value in values.items():
        if key == "models":
            found[key] = _models(value, where)
        elif key in SECTIONS:
            found[key] = _section(key, value, where)
        else:
            found[key] = _value(key, value, TOP, (key,), where)
    return found


def _models(value: Any, where: Where) -> list[Values]:
    found: list[Values] = []
    for at, one in enumerate(value if isinstance(value, list) else [value]):
        if isinstance(one, dict):
            place: Place = ("models", at) if isinstance(value, list) else ("models",)
            found.append(_table("models", one, place, where))
        elif isinstance(one, str) and one.strip():
            found += [{"name": name} for name in _split(one)]
        else:
            raise _wrong("models", one, names('["smollm2-135m"]'), ("models",), where)
    if not found:
        raise _wrong("models", value, names('["smollm2-135m"]'), ("models",), where)
    return found


def _section(key: str, value: Any, where: Where) -> Any:
    section = SECTIONS[key]
    if key == "judges" and isinstance(value, str | list):
        value = {"names": value}
    if section.several:
        if isinstance(value, dict):
            return [_table(key, value, (key,), where)]
        if isinstance(value, list) and all(isinstance(one, dict) for one in value):
            return [_table(key, one, (key, at), where) for at, one in enumerate(value)]
    elif isinstance(value, dict):
        return _table(key, value, (key,), where)
    form = f"[[{key}]]" if section.several else f"[{key}]"
    raise UsageError(f"{where((key,))}{key} = {_shown(value)}: a table is expected, headed {form}.", PAGE)


def _table(key: str, table: Mapping[str, Any], place: Place, where: Where) -> Values:
    section = SECTIONS[key]
    found = {name: _value(name, value, section.keys, (*place, name), where, key) for name, value in table.items()}
    for name in section.needs:
        if name not in found:
            kind = section.keys[name]
            form = f"[[{key}]]" if section.several else f"[{key}]"
            raise UsageError(f"{where(place)}{form} has no {name}.", f"Add one: {name} = {kind.example}")
    return found


def _value(key: str, value: Any, keys: Mapping[str, Kind], place: Place, where: Where, section: str = "") -> Any:
    if key not in keys:
        raise _unknown(key, keys, place, where, section)
    kind = keys[key]
    if not kind.fits(value):
        raise _wrong(key, value, kind, place, where)
    if kind.expected == names("").expected:
        return [name for each in (value if isinstance(value, list) else [value]) for name in _split(each)]
    return flat(value) if isinstance(value, dict) else value


def _split(text: str) -> list[str]:
    """Return the names in a text that separates them by commas, as options do."""
    return [name.strip() for name in text.split(",") if name.strip()]


def _unknown(key: str, keys: Mapping[str, Kind], place: Place, where: Where, section: str) -> UsageError:
    inside = f"[{section}] has no key '{key}'" if section else f"there is no key '{key}'"
    if key.lower().replace("-", "_").endswith(("api_key", "token")):
        return UsageError(f"{where(place)}{inside}.", NO_KEYS)
    known = [*keys] if section else [*TOP, *SECTIONS]
    asked = key.lower().replace("-", "_")
    meant = OTHER_NAMES.get(asked, "")
    if asked in known or (meant in known and meant):
        told = f" Did you mean {asked if asked in known else meant}?"
    else:
        told = did_you_mean(asked, known)
    elsewhere = [name for name, each in SECTIONS.items() if key in each.keys and name != section] if not told else []
    if elsewhere:
        told = f" It belongs into [{elsewhere[0]}]."
    if not told and section and key in TOP:
        told = " It belongs above the tables."
    return UsageError(f"{where(place)}{inside}.{told}", f"Keys: {', '.join(known)}\n{PAGE}")


def _wrong(key: str, value: Any, kind: Kind, place: Place, where: Where) -> UsageError:
    return UsageError(
        f"{where(place)}{key} = {_shown(value)}: expected {kind.expected}.", f"For example: {key} = {kind.example}"
    )


def _shown(value: Any) -> str:
    told = toml(value)
    return told if len(told) <= 60 else f"{told[:60]}…"


def option_table(values: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return the options of a model's table: all but its name."""
    return {name: value for name, value in values.items() if name in MODEL and name != "name"}
