"""The seals of saved answers that are the samples of a medbench run: was anything changed after the run?"""

from __future__ import annotations

import contextlib
from pathlib import Path
from typing import Any

from ...core.json_text import MAX_LINE, loads
from ...core.seals import Chain, flaw

SAMPLES = "samples.jsonl"
MANIFEST = "manifest.json"


class SampleSeals:
    """The seals of a run's samples, checked line by line. `changes` holds a sentence for each change.

    In the run's own folder the lines must be all that the run stored, in order. A copy elsewhere may be a selection of
    them, so each line is checked by itself.
    """

    def __init__(self, file: Path) -> None:
        self.file = file
        self.changes: list[str] = []
        self.lines = 0
        self._chain: Chain | None = None
        self._stored: dict[str, Any] = {}  # what the manifest says of the samples
        if file.name == SAMPLES:
            # Without a readable manifest, each line is checked by itself.
            with (
                contextlib.suppress(OSError, ValueError, LookupError, TypeError, AttributeError),
                (file.parent / MANIFEST).open("rb") as opened,
            ):
                manifest = loads(opened.read(MAX_LINE))
                self._stored = dict(manifest.get("checkpoint", {}))
                self._chain = Chain.of(str(manifest["run_id"]), SAMPLES, self._stored.get("unsealed") == 0)

    def check(self, number: int, text: str, item_id: str) -> None:
        line = text.encode()
        self.lines += 1
        problem = self._chain.read(line)[1] if self._chain else flaw(line)
        if not problem and self._chain and self.lines == self._stored.get("lines"):
            differs = self._chain.seal.decode() != self._stored.get("seal")
            problem = f"its seal is not the one in {MANIFEST}" if differs and not self.changes else ""
        if problem:
            self.changes.append(f"{self.file}, line {number} (item '{item_id}'): {problem}")

    def end(self) -> None:
        stored = self._stored.get("lines")
        if isinstance(stored, int) and self.lines < stored:
            self.changes.append(f"{self.file} ends after line {self.lines}, but {stored} lines were stored")

    def told(self) -> str:
        """Return the first change, and how many more there are."""
        more = len(self.changes) - 1
        return self.changes[0] + (f" (and {more} more like it)" if more > 0 else "")
