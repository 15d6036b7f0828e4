"""Read an experiment file."""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Any

from ..core.errors import UsageError
from .lines import Place, line_of
from .places import from_file
from .values import PAGE, Values, checked

SUFFIX = ".toml"


def read(file: Path) -> Values:
    """Return the values of a file, its paths as seen from the working folder.

    Raises UsageError that names the line: for a file that is not TOML, an unknown key, and a value of another form.
    """
    try:
        text = file.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError as error:
        raise UsageError(f"{file} is not UTF-8 text.", "Save it as UTF-8.") from error
    except FileNotFoundError as error:
        raise UsageError(f"there is no file {file}.", "medbench run … --save FILE.toml writes one.") from error
    except OSError as error:
        raise UsageError(f"{file} cannot be read: {error.strerror or error}.") from error
    try:
        values: dict[str, Any] = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise UsageError(f"{file} is not TOML: {error}.", PAGE) from error

    def where(place: Place) -> str:
        line = line_of(text, place)
        return f"{file}, line {line}: " if line else f"{file}: "

    return from_file(checked(values, where), file.parent)
