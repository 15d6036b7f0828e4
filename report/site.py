"""Write a report: its pages and their content."""

from __future__ import annotations

import datetime
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from markupsafe import Markup

from .. import __version__
from ..core.errors import UsageError
from ..results import leaderboard
from ..results.board import Leaderboard
from ..results.runs import Runs
from ..results.store import StoredRun
from ..results.summary import SAFETY, summarize
from ..results.summary_export import summary_html
from .board_pages import About, BoardPages
from .folder import ReportFolder
from .pages import files, page
from .places import Places
from .script_data import script
from .tables import board_table, summary_table, summary_terms
from .terms import meaning
from .tradeoffs import left_out, parameters_of, tradeoffs

TITLE = "medbench report"
INDEX = "index.html"
TRADEOFFS = "tradeoffs.html"
ASSETS = "assets"
FOLDERS = ("vendor", "assets")  # of this package, whose files every report gets
REAL, SAMPLES = "Benchmarks", "Samples"


@dataclass(frozen=True)
class Report:
    """A report that was written."""

    index: Path  # its first page
    problems: tuple[str, ...] = ()  # a sentence for each run or figure that it does not show

    def __fspath__(self) -> str:
        return str(self.index)


def write_report(
    runs: Runs | Sequence[StoredRun],
    out: str | Path,
    title: str = TITLE,
    *,
    live: int = 0,
    places: Places | None = None,
) -> Report:
    """Write the report of stored runs into a folder: pages that open from disk, the first of which is `index`.

    An earlier report there is replaced. Missing scores are computed and stored, as by `medbench leaderboard`. `live`
    and `places` are for a server that writes it again and again: the number of this version, and the numbers of pages
    so far. Raises UsageError if there are no runs, and for a folder that has other files.
    """
    if not runs:
        raise UsageError("there are no runs for a report.", "Make one: medbench run")
    folder = ReportFolder(Path(out))
    found = leaderboard.build(runs)
    problems = (*getattr(runs, "problems", ()), *map(str, found.problems))
    by_path = {str(run.path): run for run in runs}
    parameters = parameters_of(found.boards, {path: run.manifest for path, run in by_path.items()})
    summaries = summarize(found)
    traded = any(tradeoffs(one, parameters) for one in summaries)
    about = _about(title, runs, found, ((INDEX, "Summary"), *([(TRADEOFFS, "Trade-offs")] if traded else [])), live)
    places = places or Places()
    for source in FOLDERS:
        for name, text in files(source):
            folder.write(f"{ASSETS}/{name}", text)
    boards = [
        BoardPages(places.of("boards", board.comparable.key), board, [by_path[row.path] for row in board.rows], places)
        for board in found.boards
    ]
    doubts = [doubt for each in boards for doubt in each.write(folder, about)]
    if traded:
        told = [each for each in (tradeoffs(one, parameters, doubts) for one in summaries) if each]
        folder.write("data/tradeoffs.js", script("tradeoffs", told))
        folder.write(
            TRADEOFFS,
            page(
                "tradeoffs.html",
                about=about,
                here=TRADEOFFS,
                scripts=("data/tradeoffs.js",),
                safety=_safety(told),
                left_out=[text for text in (left_out(one, parameters) for one in summaries) if text],
            ),
        )
    _write_index(folder, about, found, boards, problems, [doubt.why for doubt in doubts if doubt.why])
    folder.close()
    return Report(folder.path / INDEX, problems)


def write_waiting(out: Path, title: str, live: int) -> Report:
    """Write the page that says that there are no answers yet."""
    folder = ReportFolder(out)
    for source in FOLDERS:
        for name, text in files(source):
            folder.write(f"{ASSETS}/{name}", text)
    about = _about(title, (), Leaderboard(()), ((INDEX, "Summary"),), live)
    folder.write(INDEX, page("waiting.html", about=about, here=INDEX, scripts=()))
    folder.close()
    return Report(folder.path / INDEX)


def _about(
    title: str, runs: Sequence[StoredRun], found: Leaderboard, shown: tuple[tuple[str, str], ...], live: int
) -> About:
    models = {row.setup.model for board in found.boards for row in board.rows}
    benchmarks = {board.benchmark for board in found.boards}
    counted = ((len(runs), "run"), (len(models), "model"), (len(benchmarks), "benchmark"))
    return About(
        title=title,
        date=datetime.datetime.now(datetime.UTC).strftime("%Y-%m-%d %H:%M UTC"),
        version=__version__,
        runs=", ".join(f"{count} {word}{'s' * (count != 1)}" for count, word in counted),
        pages=shown,
        live=live,
    )


def _safety(traded: Sequence[dict[str, Any]]) -> str:
    """Return what the quality "safety" means; "" if no summary has it."""
    known = any(quality["kind"] == "safety" for each in traded for quality in each["qualities"])
    return meaning(SAFETY) if known else ""


def _write_index(
    folder: ReportFolder,
    about: About,
    found: Leaderboard,
    boards: Sequence[BoardPages],
    problems: Sequence[str],
    warnings: Sequence[str],
) -> None:
    """Write the page with the summaries, then a table for each benchmark."""
    summaries = summarize(found)
    tables: dict[str, Any] = {}
    shown = []
    for at, one in enumerate(summaries):
        tables[f"summary-{at}"] = summary_table(one)
        shown.append(
            (
                f"summary-{at}",
                SAMPLES if one.sample else REAL,
                Markup(summary_html(replace(one, doubts=()))),
                summary_terms(one),
            )
        )
    tables |= {each.key: board_table(each.board) for each in boards}
    folder.write("data/tables.js", script("tables", tables))
    folder.write(
        INDEX,
        page(
            "index.html",
            about=about,
            here=INDEX,
            scripts=("data/tables.js",),
            summaries=shown,
            boards=boards,
            problems=problems,
            warnings=warnings,
            notes=found.notes,
        ),
    )
