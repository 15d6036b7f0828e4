"""Reads the TOML file beside a table of questions: its name, instruction, metrics, limits and columns."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path
from typing import Any

from ..core.errors import UsageError
from ..core.suggest import did_you_mean

_NAME = re.compile(r"\w[^/\\\x00-\x1f]*")
_SETTINGS = {
    "name": str,
    "instruction": str,
    "metrics": list,
    "max_new_tokens": int,
    "answers_from": int,
    "columns": dict,
}


def read_settings(file: Path) -> dict[str, Any]:
    """Return the settings that a file has; {} if there is no such file. Raises UsageError naming a wrong one."""
    if not file.is_file():
        return {}
    try:
        found = tomllib.loads(file.read_text(encoding="utf-8"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise UsageError(f"{file} is not TOML: {error}.", "docs/your-questions.md shows one.") from error
    for name, value in found.items():
        if name not in _SETTINGS:
            raise UsageError(
                f"{file}: there is no setting '{name}'.{did_you_mean(name, _SETTINGS)}",
                f"Settings: {', '.join(_SETTINGS)}.",
            )
        if not isinstance(value, _SETTINGS[name]) or isinstance(value, bool):
            raise UsageError(f"{file}: '{name}' is {value!r}; {_SETTINGS[name].__name__} is expected.")
    if not _NAME.fullmatch(name := found.get("name", "table")):
        raise UsageError(f"{file}: 'name' is {name!r}; it must begin with a letter or digit and have no / or \\.")
    if (tokens := found.get("max_new_tokens", 1)) < 1:
        raise UsageError(f"{file}: 'max_new_tokens' is {tokens}; at least 1 is expected.")
    if not all(isinstance(each, str) for each in found.get("metrics", ())):
        raise UsageError(f"{file}: 'metrics' is {found['metrics']!r}; a list of names is expected.")
    for name, column in found.get("columns", {}).items():
        several = name == "options" and isinstance(column, list) and column
        if not all(isinstance(each, str) for each in (column if several else [column])):
            raise UsageError(
                f"{file}: in [columns], '{name}' is {column!r}; the name of a column is expected"
                + (", or a list of them." if name == "options" else ".")
            )
    if "metrics" in found:
        found["metrics"] = tuple(found["metrics"])
    return found
