"""The folder of an export: files that appear when they are complete."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from ...core.durable import create
from ...core.errors import MedbenchError, UsageError


def to_json(value: Any, indent: int | None = None) -> str:
    """Return strict JSON in one line, or indented."""
    return json.dumps(value, ensure_ascii=False, allow_nan=False, indent=indent)


class ExportFolder:
    """Writes files into a folder, which may hold others. A file of the same name is replaced."""

    def __init__(self, path: Path) -> None:
        if path.exists() and not path.is_dir():
            raise UsageError(f"--out {path}: it is a file.", "Name a folder.")
        self.path = path
        self.files: list[Path] = []

    def write(self, name: str, parts: Iterable[str]) -> Path:
        """Write the parts of a file, named by its path in the folder. Raises MedbenchError if that fails."""
        path = self.path / name
        temporary = path.with_name(path.name + ".new")
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            try:
                with create(temporary) as file:
                    for part in parts:
                        file.write(part.encode("utf-8", "backslashreplace"))
                temporary.replace(path)
            except BaseException:
                with contextlib.suppress(OSError):
                    temporary.unlink(missing_ok=True)
                raise
        except OSError as error:
            raise MedbenchError(
                f"{path} cannot be written: {error.strerror or error}", "Name another folder."
            ) from error
        self.files.append(path)
        return path
