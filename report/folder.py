"""The folder of a report: what is written there, and which files of an earlier report are removed."""

from __future__ import annotations

import json
from pathlib import Path

from ..core.durable import create
from ..core.errors import MedbenchError, UsageError

LISTED = "report.json"  # names the files of a report, and thereby says that the folder is one


class ReportFolder:
    """Writes the files of one report, and removes what an earlier one left. Other files stay as they are.

    Raises UsageError for a folder with other files that is not a report, MedbenchError if it cannot be written.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._before = _listed(path)
        if self._before is None and path.exists() and (not path.is_dir() or any(path.iterdir())):
            what = "is not empty and is not a report" if path.is_dir() else "is a file"
            raise UsageError(f"{path} {what}.", "Name another folder: --out DIR")
        self._written: dict[str, None] = {}

    def write(self, name: str, text: str) -> None:
        """Write a file, named by its path in the folder. A link of that name is replaced, not followed."""
        path = self.path / name
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            with create(path) as file:
                file.write(text.encode())
        except OSError as error:
            raise MedbenchError(f"{path} cannot be written: {error.strerror or error}.") from error
        self._written[name] = None

    def close(self) -> None:
        """List the files that were written, and remove those of the earlier report that were not."""
        for name in (self._before or {}).keys() - self._written.keys():
            (self.path / name).unlink(missing_ok=True)
        self.write(LISTED, json.dumps({"medbench_report": 1, "files": [*self._written]}, indent=1) + "\n")


def _listed(path: Path) -> dict[str, None] | None:
    """Return the files of the report in a folder; None if there is none. Names that lead out of it are left out."""
    try:
        value = json.loads((path / LISTED).read_text(encoding="utf-8"))
        files = list(map(str, value["files"])) if value["medbench_report"] else []
    except (OSError, ValueError, LookupError, TypeError):
        return None
    inside = path.resolve()
    return {name: None for name in files if (path / name).resolve().is_relative_to(inside)}
