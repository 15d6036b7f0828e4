"""The types of a leaderboard: boards of comparable runs, with their columns, rows and cells."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass, field
from typing import Literal

from ..core.errors import MedbenchError, UsageError
from ..core.types import Figure
from .descriptions import CHANGED, Setup, label
from .identity import Comparable

Status = Literal["best", "worse", "tied", ""]


@dataclass(frozen=True)
class Column:
    """One figure of every run."""

    metric: str  # the metric that gives it, by the name it was requested under
    name: str
    unit: str
    better: Literal["higher", "lower", ""]
    headline: bool
    tested: bool  # whether runs are compared item by item
    clean: bool = False  # only over items that are in no model's training data
    scale: str = ""  # what its values are, as docs/metrics.md calls it: "share", "0..1", "1 to 5", "s"


@dataclass(frozen=True)
class Cell:
    """A row's figure in one column.

    `status` is "worse" if the paired test shows that another run is better, "tied" if no other run is shown to be
    better, "best" for the best value of a column whose models differ, and "" if nothing was tested. `p` (adjusted over
    all pairs of the board), `against` (the run that beats this one most clearly) and `pairs` (items that both answered)
    describe the test.
    """

    figure: Figure | None
    status: Status = ""
    p: float | None = None
    pairs: int = 0
    against: str = ""
    remark: str = ""  # what readers must know of this figure: that a judge graded itself

    @property
    def value(self) -> float | None:
        return self.figure.value if self.figure else None


@dataclass(frozen=True)
class BoardRow:
    """One run."""

    run_id: str
    path: str
    setup: Setup
    answered: int
    truncated: int  # prompts that were cut to fit the model's context window
    asked: int  # answers, as `answered`
    cells: tuple[Cell, ...]  # one per column of the board
    apart: tuple[tuple[str, str], ...] = ()  # (field, value) of what tells it from other rows of the same model
    unchecked: bool = False  # trained by medbench on data that were not searched for these items
    changes: tuple[str, ...] = ()  # what was changed in its files after the run, a sentence each
    sealed: bool = True  # False: made before medbench sealed what it stores
    leaked: int = 0  # asked items that were found in this model's own training data
    missing_latency: str = ""  # why a percentile of latency is missing, in words
    one_sided: str = ""  # "chooses A in 100% of its 40 answers read", for a model whose accuracy says little

    @property
    def label(self) -> str:
        """The model's name, with what tells it from its namesakes: "smollm2-135m (dtype bfloat16)"."""
        return label(self.setup.model, self.apart)

    @property
    def complete(self) -> bool:
        return self.answered == self.asked

    @property
    def remarks(self) -> str:
        """What readers must know of all the figures: "37 of 50 done, 2 prompts cut"; "" if nothing."""
        done = "" if self.complete else f"{self.answered} of {self.asked} done"
        cut = f"{self.truncated} prompts cut" if self.truncated else ""
        unchecked = "training data not checked against this benchmark" if self.unchecked else ""
        changed = CHANGED if self.changes else ""
        return ", ".join(filter(None, [changed, done, cut, unchecked]))


@dataclass(frozen=True)
class Board:
    """All comparable runs of one benchmark, best first by the first column."""

    title: str
    benchmark: str
    version: str
    variant: str
    sample: bool
    items: str  # "50 of 500 items (seed 0)"
    asked: int  # items
    method: str  # "logprob" or "generate"
    shots: int
    columns: tuple[Column, ...]
    rows: tuple[BoardRow, ...]
    tests: int  # how many pairs were tested together
    leaked: tuple[str, ...] = ()  # ids of the asked items that are in the training data of a model of this board
    clean: str = ""  # what the clean columns leave out, in words
    few: str = ""  # a warning if the items come from few documents
    hidden: int = 0  # rows that `top` left out; the tests include them
    comparable: Comparable = field(default_factory=Comparable)  # all that the runs have in common

    @property
    def answers(self) -> int:
        """How many answers a complete run has."""
        return self.asked * self.comparable.samples

    @property
    def footnotes(self) -> dict[str, str]:
        """The remarks on single figures, each with the mark shown beside those figures: †, ††, …"""
        remarks = dict.fromkeys(cell.remark for row in self.rows for cell in row.cells if cell.remark)
        return {remark: "†" * number for number, remark in enumerate(remarks, 1)}

    @property
    def doubts(self) -> dict[int, str]:
        """A sentence for each row whose accuracy says little, by the row's place."""
        return {
            at: f"{row.label} {row.one_sided} for {self.title}: its accuracy says little."
            for at, row in enumerate(self.rows)
            if row.one_sided
        }


@dataclass(frozen=True)
class Leaderboard:
    boards: tuple[Board, ...]  # real benchmarks first, then samples; by title
    problems: tuple[MedbenchError, ...] = ()  # runs and metrics that could not be read
    notes: tuple[str, ...] = ()  # what else readers must know of the runs, a sentence each


def by_subject(found: Leaderboard) -> Leaderboard:
    """Return the boards that have subjects, with a column per subject (`accuracy[anatomy]`) as headline figures.

    Raises UsageError if no board has subjects.
    """
    boards = []
    for board in found.boards:
        names = {column.name for column in board.columns if column.name.startswith("accuracy[")}
        columns = tuple(dataclasses.replace(column, headline=column.name in names) for column in board.columns)
        if names:
            boards.append(dataclasses.replace(board, columns=columns))
    if not boards:
        raise UsageError(
            "no item of these runs names its subject.",
            "The multiple-choice benchmarks mmlu-med and medmcqa name subjects, and so do the samples.",
        )
    return dataclasses.replace(found, boards=tuple(boards))


def top(found: Leaderboard, rows: int) -> Leaderboard:
    """Return the best `rows` rows of each board. Marks and tests remain those of all rows."""
    boards = [
        dataclasses.replace(board, rows=board.rows[:rows], hidden=max(0, len(board.rows) - rows))
        for board in found.boards
    ]
    return dataclasses.replace(found, boards=tuple(boards))
