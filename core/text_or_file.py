"""An option whose value is a text, or the name of a file that contains it."""

from __future__ import annotations

import os
from pathlib import Path

from .errors import UsageError

SUFFIXES = (".txt", ".md")  # a single word that ends in one of these can only be a file name


def text_or_file(option: str, value: str) -> str:
    """Return the content of the file called `value`, without surrounding whitespace, or `value` if there is none.

    `option` is named in errors. Raises UsageError for a file that cannot be read or is empty, and for a value that is
    clearly a file name when there is no such file.
    """
    if not os.path.isfile(value):  # noqa: PTH113  # Path.is_file raises for a text too long to be a name
        if value.endswith(SUFFIXES) and len(value.split()) == 1:
            raise UsageError(
                f"{option} {value}: no such file.",
                "Check the path. To give a text instead of a file, use more than one word.",
            )
        return value
    try:
        text = Path(value).read_text(encoding="utf-8").strip()
    except UnicodeDecodeError as error:
        raise UsageError(f"{option} {value}: the file is not UTF-8 text.") from error
    except OSError as error:
        raise UsageError(f"{option} {value} cannot be read: {error.strerror or error}.") from error
    if not text:
        raise UsageError(f"{option} {value}: the file is empty.")
    return text
