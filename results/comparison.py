"""The types of a comparison: matches of two runs, each with its compared figures."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import Any, Literal

from ..core.errors import MedbenchError
from .pairing import ALPHA, Counts

Side = Literal["a", "b", ""]


@dataclass(frozen=True)
class Verdicts:
    """On how many items an answer is preferred. `judged` of the `both` items that both runs answered have a verdict."""

    a: int
    b: int
    neither: int
    judged: int
    both: int


@dataclass(frozen=True)
class ComparedFigure:
    """One figure of two runs. If `test` is empty, nothing was tested and `note` says why; `a` and `b` are still valid.

    A tested line: `a` and `b` are means over the `n` pairs, `difference` is a - b with its 95% interval, `p` the
    test's and `p_holm` adjusted over all tests of the comparison. The interval is not adjusted: it excludes 0 exactly
    when `p` is below 5%. `left_out` are the answered items without a pair of scores, as (reason, how many).
    """

    name: str
    unit: str
    better: Literal["higher", "lower", ""]
    a: float | None
    b: float | None
    n: int
    test: str = ""  # "exact McNemar", "paired permutation"; of preferences "exact sign", "permutation by document"
    note: str = ""
    difference: float | None = None
    low: float | None = None
    high: float | None = None
    p: float | None = None
    p_holm: float | None = None
    counts: Counts | None = None  # right/wrong metrics only
    verdicts: Verdicts | None = None  # preferences only
    left_out: tuple[tuple[str, int], ...] = ()
    clean: bool = False  # the figure above again, without the items in either model's training data

    @property
    def favours(self) -> Side:
        """The side that is better, if the difference is significant (adjusted p below 5%)."""
        if self.p_holm is None or self.p_holm >= ALPHA or not self.difference or not self.better:
            return ""
        return "a" if (self.difference > 0) == (self.better == "higher") else "b"


@dataclass(frozen=True)
class Match:
    """Two comparable runs, side by side."""

    title: str
    run_a: str
    run_b: str
    label_a: str
    label_b: str
    both: int  # items that both answered
    only_a: int
    only_b: int
    lines: tuple[ComparedFigure, ...]
    changed: int | None = None  # answers that differ: another option, or another text
    notes: tuple[str, ...] = ()  # leaked items, what judges preferred: a sentence each


@dataclass(frozen=True)
class Comparison:
    matches: tuple[Match, ...]
    tests: int  # how many p-values were adjusted together; equal metrics are one, and no difference at all is none
    left_out: tuple[str, ...] = ()  # runs of one side that have no counterpart, a sentence each
    problems: tuple[MedbenchError, ...] = ()  # metrics that failed


def comparison_json(found: Comparison) -> dict[str, Any]:
    """Return a comparison as plain JSON data, each figure with the side that it favors."""
    value: dict[str, Any] = dataclasses.asdict(found) | {"problems": [*map(str, found.problems)]}
    for match, shown in zip(found.matches, value["matches"]):
        for line, fields in zip(match.lines, shown["lines"]):
            fields["favours"] = line.favours
    return value
