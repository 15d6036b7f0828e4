"""The pages of one benchmark: its scores and their distribution, every run, and every answer."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from markupsafe import Markup

from ..core.types import Figure
from ..results.board import Board, BoardRow, Cell
from ..results.cells import SHORT, cell_text
from ..results.export import board_html
from ..results.store import StoredRun
from .calibration import calibration
from .calibration import chart as calibration_chart
from .chance import not_above_chance
from .distributions import COLORS, chart, distributions
from .folder import ReportFolder
from .items import write_items
from .pages import page
from .places import Places
from .positions import chart as positions_chart
from .positions import positions
from .run_facts import facts, leaks
from .scored import read_scores
from .script_data import script
from .tables import board_table, subject_table
from .terms import terms
from .tradeoffs import Doubt
from .training_facts import Training, training

CALIBRATION, POSITIONS, TRAINING = "calibration", "positions", "training"  # the names of their charts


@dataclass(frozen=True)
class About:
    """What every page of one report says about it."""

    title: str
    date: str
    version: str
    runs: str
    pages: tuple[tuple[str, str], ...]  # file and name, for the links at the top
    live: int = 0  # the number of this version, if `medbench view` serves it and writes the next; 0: a folder


@dataclass(frozen=True)
class BoardPages:
    """The pages of a board. Their names have numbers, because a benchmark may be called anything."""

    number: int
    board: Board
    runs: Sequence[StoredRun]  # of the board's rows, in the same order
    places: Places

    @property
    def key(self) -> str:
        """The name of the board's data, and of its page without the suffix."""
        return f"benchmark-{self.number}"

    @property
    def file(self) -> str:
        return f"{self.key}.html"

    @property
    def items(self) -> str:
        """The file of the page with every answer."""
        return f"items-{self.number}.html"

    @property
    def table(self) -> Markup:
        """The board as HTML, whose texts are escaped."""
        return Markup(board_html(self.board))

    @property
    def terms(self) -> list[tuple[str, str]]:
        """What the headline figures mean."""
        return terms((SHORT.get(each.name, each.name), each.name) for each in self.board.columns if each.headline)

    def run_file(self, row: int) -> str:
        """Return the file of the page of a row's run."""
        return f"run-{self.number}-{self.places.of(self.key, self.board.rows[row].path)}.html"

    def write(self, folder: ReportFolder, about: About) -> list[Doubt]:
        """Write the pages of the benchmark, of its runs and of its answers, with their data.

        Return which of its figures say little.
        """
        scored, metrics = read_scores(self.runs)
        name = self.items.removesuffix(".html")
        write_items(folder, name, self.board, scored, metrics)
        folder.write(
            self.items,
            page("items.html", about=about, here="", scripts=(), board=self.board, key=name, benchmark=self.file),
        )
        subjects = subject_table(self.board)
        tables = {self.key: board_table(self.board)}
        if subjects:
            tables[f"{self.key}-subjects"] = subjects
        models = [row.label for row in self.board.rows]
        found = distributions(scored, metrics)
        charts = {f"distribution-{at}": chart(each, models) for at, each in enumerate(found)}
        calibrated = calibration(scored, models)
        if calibrated:
            charts[CALIBRATION] = calibration_chart(calibrated)
        placed = positions(scored, self.board)
        if placed:
            charts[POSITIONS] = positions_chart(placed, models)
        folder.write(f"data/{self.key}.js", script("tables", tables))
        folder.write(f"data/charts-{self.number}.js", script("charts", charts))
        folder.write(
            self.file,
            page(
                "benchmark.html",
                about=about,
                here="",
                scripts=(f"data/{self.key}.js", f"data/charts-{self.number}.js"),
                board=self.board,
                key=self.key,
                table=self.table,
                terms=self.terms,
                items=self.items,
                runs=[(row.label, row.setup.text, self.run_file(at)) for at, row in enumerate(self.board.rows)],
                subjects=subjects,
                drawn=len(COLORS),
                distributions=[(each, f"distribution-{at}") for at, each in enumerate(found)],
                calibrated=calibrated,
                calibration=CALIBRATION,
                placed=placed,
                positions=POSITIONS,
            ),
        )
        for at, (row, run) in enumerate(zip(self.board.rows, self.runs, strict=True)):
            trained = training(run.manifest)
            curve = ""
            if trained and trained.chart:
                curve = f"data/{self.run_file(at).removesuffix('.html')}.js"
                folder.write(curve, script("charts", {TRAINING: trained.chart}))
            folder.write(self.run_file(at), self._run(about, row, run, trained, curve))
        name, rows = self.board.benchmark, self.board.rows
        doubts = [Doubt(name, rows[at].setup, why) for at, why in self.board.doubts.items()]
        guessed = not_above_chance(scored, self.board)
        return doubts + [Doubt(name, rows[at].setup, chance=chance) for at, chance in guessed.items()]

    def _run(self, about: About, row: BoardRow, run: StoredRun, trained: Training | None, curve: str) -> str:
        failures: dict[str, Any] = {}
        for session in run.manifest.sessions:
            failures |= session.failures
        answered = {item_id for item_id, _ in run.answered()} if failures else set()
        return page(
            "run.html",
            about=about,
            here="",
            scripts=(curve,) if curve else (),
            trained=trained,
            training=TRAINING,
            board=self.board,
            row=row,
            benchmark=self.file,
            items=self.items,
            changes=row.changes,
            several=run.manifest.comparable.samples > 1,
            figures=[
                (SHORT.get(column.name, column.name), *_with_n(cell.figure))
                for column, cell in zip(self.board.columns, row.cells, strict=True)
                if cell.figure
            ],
            terms=terms(
                (SHORT.get(column.name, column.name), column.name)
                for column, cell in zip(self.board.columns, row.cells, strict=True)
                if cell.figure
            ),
            leaks=leaks(run.manifest),
            failures=[(name, why) for name, why in failures.items() if name not in answered],
            sections=facts(run.manifest),
        )


def _with_n(figure: Figure) -> tuple[str, str]:
    """Return the value of a figure with its interval, and of how many answers it is: "37 of 50"."""
    text = replace(cell_text(Cell(figure)), n="").figure
    return text, f"{figure.n:,} of {figure.total:,}" if figure.n < figure.total else f"{figure.n:,}"
