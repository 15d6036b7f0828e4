"""The numbers in the names of a report's pages."""

from __future__ import annotations


class Places:
    """Numbers names from 1, in the order in which they first come, in each group apart.

    A report that is written again with the same object keeps its addresses, whatever benchmarks and runs are added.
    """

    def __init__(self) -> None:
        self._known: dict[str, dict[str, int]] = {}

    def of(self, group: str, name: str) -> int:
        """Return the number of a name."""
        known = self._known.setdefault(group, {})
        return known.setdefault(name, len(known) + 1)
