"""Write an experiment file."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from ..core.durable import replace_file
from ..core.errors import MedbenchError, UsageError
from ..core.secrets import masked
from .places import for_file
from .read import SUFFIX
from .schema import LIMITS, MODEL_OPTIONS, RUN, SECTIONS, Kind
from .toml_text import toml
from .values import Values

FIRST_LINE = "# Written by medbench. To run it: medbench run FILE. All keys: docs/experiments.md"
HEADS: Mapping[str, str] = {
    "models": "Models with options of their own",
    "judges": "Models that grade open answers",
    "train": "Adapters to train first, each runs as MODEL@TAG",
    "compare": "Models to test against each other afterwards",
    "report": "Pages for a browser",
}


def text_of(values: Values) -> str:
    """Return the values as a file, with a comment beside keys that need one."""
    lines = [FIRST_LINE, ""]
    models = values.get("models", [])
    plain = [model["name"] for model in models if set(model) == {"name"}]
    if models and len(plain) == len(models):
        lines.append(f"models = {toml(plain)}")
    for group in (RUN, MODEL_OPTIONS, LIMITS):
        lines += _lines(values, group)
    for name, section in SECTIONS.items():
        if name not in values or (name == "models" and len(plain) == len(models)):
            continue
        lines += ["", f"# {HEADS[name]}"]
        value = values[name]
        for number, table in enumerate(value if section.several else [value]):
            head = f"[[{name}]]" if section.several else f"[{name}]"
            lines += [*([""] if number else []), head, *_lines(table, section.keys)]
    return "\n".join(lines) + "\n"


def save(values: Values, file: Path) -> list[str]:
    """Write a file. Return the keys that were left out because their values contain a key or password.

    Raises UsageError for a file that people wrote, MedbenchError if it cannot be written.
    """
    require_ours(file)
    left_out: list[str] = []
    kept = _without_secrets(for_file(values, file.parent), "", left_out)
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        replace_file(file, text_of(kept).encode())
    except OSError as error:
        raise MedbenchError(f"{file} cannot be written: {error.strerror or error}", "Name another file.") from error
    return left_out


def require_ours(file: Path) -> None:
    """Raise UsageError for a name without .toml, and for a file that people wrote: its comments would be lost."""
    if file.suffix.lower() != SUFFIX:
        raise UsageError(
            f"--save {file}: the name of an experiment file ends in {SUFFIX}.", f"For example: --save my{SUFFIX}"
        )
    try:
        first = file.read_text(encoding="utf-8", errors="replace").partition("\n")[0] if file.exists() else FIRST_LINE
    except OSError:
        return  # writing says what is wrong
    if first != FIRST_LINE:
        raise UsageError(f"--save {file}: this file was not written by --save, so it is kept.", "Name another file.")


def _lines(table: Mapping[str, Any], keys: Mapping[str, Kind]) -> Iterator[str]:
    for name, kind in keys.items():
        if name in table:
            comment = f"  # {kind.comment}" if kind.comment else ""
            yield f"{name} = {toml(table[name])}{comment}"


def _without_secrets(table: Mapping[str, Any], prefix: str, left_out: list[str]) -> Values:
    found: Values = {}
    for name, value in table.items():
        place = f"{prefix}{name}"
        if isinstance(value, Mapping):
            found[name] = _without_secrets(value, f"{place}.", left_out)
        elif isinstance(value, list) and all(isinstance(each, Mapping) for each in value):
            found[name] = [_without_secrets(each, f"{place}.", left_out) for each in value]
        elif any(masked(text) != text for text in _texts(value)):
            left_out.append(place)
        else:
            found[name] = value
    return found


def _texts(value: Any) -> list[str]:
    return [str(each) for each in (value if isinstance(value, list) else [value])]
