"""Export stored runs for other evaluation tools."""

from __future__ import annotations

import importlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ...core.errors import UsageError
from ...core.suggest import did_you_mean
from ..store import StoredRun
from .folder import ExportFolder
from .runs import read

# Each format with the module that writes it.
FORMATS = {"every-eval-ever": "every_eval_ever", "lm-eval": "lm_eval", "inspect": "inspect_log"}


@dataclass(frozen=True)
class ExportedRuns:
    """Files that were written, and a sentence for each run or metric that is not in them."""

    format: str
    path: Path
    files: tuple[Path, ...]
    problems: tuple[str, ...] = ()

    def as_dict(self) -> dict[str, Any]:
        """Return it as JSON has it."""
        return {
            "format": self.format,
            "path": str(self.path),
            "files": [str(file) for file in self.files],
            "problems": list(self.problems),
        }


def export_runs(runs: Sequence[StoredRun], format: str, out: str | Path) -> ExportedRuns:
    """Write runs in the format of another tool: "every-eval-ever", "lm-eval" or "inspect".

    Files of an earlier export of the same runs are replaced, and others are left alone. Missing scores are computed and
    stored. Raises UsageError for an unknown format or no runs, MedbenchError if a file cannot be written.
    """
    if format not in FORMATS:
        raise UsageError(
            f"there is no format '{format}'.{did_you_mean(format, FORMATS)}", f"The formats: {', '.join(FORMATS)}"
        )
    if not runs:
        raise UsageError("there are no runs to export.", "Make one: medbench run")
    folder = ExportFolder(Path(out))
    found, problems = read(runs)
    importlib.import_module(f".{FORMATS[format]}", __package__).write(found, folder)
    return ExportedRuns(format, folder.path, tuple(folder.files), tuple(problems))
