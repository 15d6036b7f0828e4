"""Turn the rows of a training set into examples."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass

from ..benchmarks.medquad import MEDQUAD
from ..benchmarks.sources.files import FETCH_AGAIN
from ..benchmarks.sources.rows import Row
from ..benchmarks.sources.splits import one_spaced
from ..core.errors import DataMalformed
from ..core.types import Benchmark, Item, Prompt
from .example import Example, Examples


def question_prompt(question: str, instruction: str = "") -> str:
    """Return the prompt of an open question, as in the benchmarks: `Question: …`, then a line with `Answer:`."""
    return Prompt(MEDQUAD.question(Item(id="", question=question)), instruction).plain


def benchmark_prompt(benchmark: Benchmark, item: Item) -> str:
    """Return the prompt of an item in its benchmark, without few-shot examples."""
    return Prompt(benchmark.question(item), benchmark.instruction(item)).plain


def text(row: Row, field: str) -> str:
    """Return a field's text with single spaces, "" if it is missing. Raises DataMalformed if it is not a text."""
    return "" if row.value(field) is None else one_spaced(row.text(field, blank=True))


def content_id(prompt: str, answer: str) -> str:
    """Return the id of an example whose row has none: a hash of its prompt and answer."""
    return hashlib.sha256(f"{prompt}\n{answer}".encode()).hexdigest()[:16]


@dataclass
class Tally:
    """Counts the rows read, and the rows that became no example."""

    rows: int = 0
    empty: int = 0
    repeated: int = 0

    def examples(self, found: Mapping[str, Example], origin: str, notes: tuple[str, ...] = ()) -> Examples:
        """Return the examples found, with notes on the skipped rows. Raises DataMalformed if there are no examples."""
        if not found:
            raise DataMalformed(f"{origin}: none of {self.rows:,} rows has both a question and an answer.", FETCH_AGAIN)
        empty = f"{self.empty:,} of {self.rows:,} rows without a question or an answer are skipped."
        repeated = f"{self.repeated:,} of {self.rows:,} rows are duplicates and are used once."
        counted = (*((empty,) if self.empty else ()), *((repeated,) if self.repeated else ()))
        return Examples(tuple(found.values()), origin, notes=(*notes, *counted))
