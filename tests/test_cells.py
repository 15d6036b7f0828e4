"""A figure is the same in every table: terminal, report, HTML, CSV, JSON and DataFrame show the same cells."""

from __future__ import annotations

import csv
import dataclasses
import io
import math
import re
from pathlib import Path
from typing import Any

import medbench
import pytest
from medbench.cli.ui import render, render_summary
from medbench.core.types import Figure
from medbench.report.tables import board_table, summary_table
from medbench.results import leaderboard
from medbench.results.board import Cell, Leaderboard
from medbench.results.cells import cell_text
from medbench.results.export import board_cells, to_csv, to_json
from medbench.results.runs import Runs
from medbench.results.summary import summarize
from medbench.results.summary_export import summary_cells, summary_json
from rich.table import Table
from rich.text import Text

QUIZ = """
from medbench.core.types import Benchmark, Item, ItemSet

ITEMS = tuple(Item(f"i{n}", f"question {n}?", options=("yes", "no"), gold=n % 2) for n in range(40))
BENCHMARK = Benchmark(
    name="quiz", version="1", summary="for tests", citation="none", licence="MIT",
    load=lambda source: ItemSet(ITEMS, "here"), question=lambda item: item.question, metrics=("accuracy", "token_f1"),
)
"""
OPENQ = """
from medbench.core.types import Benchmark, Item, ItemSet

ITEMS = tuple(Item(f"i{n}", f"question {n}?", references=(f"word{n} is right",)) for n in range(12))
BENCHMARK = Benchmark(
    name="openq", version="1", summary="for tests", citation="none", licence="MIT",
    load=lambda source: ItemSet(ITEMS, "here"), question=lambda item: item.question, metrics=("rouge1", "safety_rate"),
)
"""


@pytest.fixture(scope="module")
def found(tmp_path_factory: pytest.TempPathFactory) -> Leaderboard:
    """Stored runs of three models: one is right, one is always wrong, one stopped half-way and was measured."""
    folder = tmp_path_factory.mktemp("cells")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        patch.delenv("MEDBENCH_HOME", raising=False)
        Path("quiz.py").write_text(QUIZ)
        Path("openq.py").write_text(OPENQ)
        for name, wrong, answered in (("good", 3, 40), ("bad", 37, 40), ("half", 9, 21)):
            Path(name).mkdir()
            rows = (f'{{"id": "i{n}", "text": "{("yes", "no")[(n % 2) ^ (n < wrong)]}"}}\n' for n in range(answered))
            Path(name, "quiz.jsonl").write_text("".join(rows))
            words = (f'{{"id": "i{n}", "text": "word{n + (n < wrong)} is"}}\n' for n in range(min(answered, 12)))
            Path(name, "openq.jsonl").write_text("".join(words))
        medbench.evaluate(["replay:good", "replay:bad", "replay:half"], ["quiz.py", "openq.py"])
        built = leaderboard.build(medbench.load_runs())
    # What these answers do not have: memory, a figure without a value, and a footnote.
    board = built.boards[0]
    columns = (
        *board.columns,
        dataclasses.replace(board.columns[0], name="peak_rss_bytes", metric="peak_rss_bytes", unit="bytes"),
        dataclasses.replace(board.columns[0], name="odd", metric="odd", tested=False),
    )
    extra = (
        (Figure("peak_rss_bytes", 2.5e9, 40, 40, unit="bytes"), Figure("odd", None, 0, 40)),
        (Figure("peak_rss_bytes", 4.2e8, 40, 40, unit="bytes"), Figure("odd", 12.5, 40, 40, 10.5, 20.25)),
        (None, Figure("odd", -0.25, 7, 40, -0.5, 0.125)),
    )
    rows = [
        dataclasses.replace(row, cells=(*row.cells, Cell(a), Cell(b, remark="A judge graded itself")))
        for row, (a, b) in zip(board.rows, extra, strict=True)
    ]
    return Leaderboard((dataclasses.replace(board, columns=columns, rows=tuple(rows)), *built.boards[1:]))


def drawn(parts: list[Any]) -> dict[tuple[str, str], list[str]]:
    """Return the lines of each cell that the terminal shows, by the first lines of its row and its column."""
    cells: dict[tuple[str, str], list[str]] = {}
    for table in parts:
        if not isinstance(table, Table):
            continue
        names, *columns = table.columns  # of Names
        for column in columns:
            heading = re.split(r"[ \n]", Text.from_markup(str(column.header)).plain)[0]
            for name, cell in zip(names.cells, column.cells, strict=True):
                model = Text.from_markup(name.markup).plain.split("\n")[0]
                cells[model, heading] = Text.from_markup(str(cell)).plain.split("\n")
    return cells


def as_terminal(end: str) -> str:
    """An end of an interval without the zero before its point."""
    return re.sub(r"^(-?)0\.", r"\1.", end)


def test_the_terminal_shows_what_the_csv_has(found: Leaderboard) -> None:
    board = found.boards[0]
    shown = drawn(render._board(board))
    rows = [row for row in csv.DictReader(io.StringIO(to_csv(found))) if row["benchmark"] == board.benchmark]
    compared = 0
    for row in rows:
        lines = shown.get((row["model"], row["metric"]))
        if lines is None or not row["value"]:
            continue
        value, mark, *_ = [*lines[0].split(), ""]
        assert value == f"{float(row['value']):.3f}"
        if row["low"]:
            assert lines[1] == "–".join(as_terminal(f"{float(row[end]):.3f}") for end in ("low", "high"))
        assert (f"n {row['n']} of {row['total']}" in lines) == (row["n"] != row["total"])
        if not row["remark"]:
            assert mark == {"best": "★", "tied": "≈", "worse": "▼", "": ""}[row["status"]]
        compared += 1
    assert compared >= 8


def test_frame_csv_and_json_have_the_same_figures(found: Leaderboard, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(leaderboard, "build", lambda *given: found)
    frame = Runs(()).frame()
    lines = list(csv.DictReader(io.StringIO(to_csv(found))))
    figures = [
        (row["run_id"], figure)
        for board in to_json(found)["boards"]
        for row in board["rows"]
        for figure in row["figures"]
    ]
    assert len(frame) == len(lines) == len(figures) > 20
    for (_, own), line, (run, figure) in zip(frame.iterrows(), lines, figures, strict=True):
        assert own.run_id == line["run_id"] == run and own.metric == line["metric"] == figure["metric"]
        for name in ("value", "low", "high", "p_holm"):
            numbers = [own[name], float(line[name]) if line[name] else math.nan, figure[name]]
            numbers = [math.nan if number is None else number for number in numbers]
            assert numbers == pytest.approx([numbers[0]] * 3, abs=0, rel=0, nan_ok=True)
        assert (own.n, own.total) == (int(line["n"]), int(line["total"])) == (figure["n"], figure["total"])
        assert own.status == line["status"] == figure["status"]


def test_the_report_shows_what_the_frame_has(found: Leaderboard) -> None:
    for board in found.boards:
        pages = board_table(board)
        shown = [column for column in board.columns if column.headline]
        for row, cells in zip(board.rows, pages["rows"], strict=True):
            assert [cell["text"] for cell in cells] == board_cells(row, board)
            own = (cell for cell, column in zip(row.cells, board.columns, strict=True) if column.headline)
            for column, page, cell in zip(shown, cells[2:], own, strict=True):
                value = None if cell.value is None else cell.value / (1e9 if column.unit == "bytes" else 1)
                assert page["value"] == value and page["status"] == cell.status
                sign = board.footnotes[cell.remark] if cell.remark else ""
                assert page["text"] == cell_text(cell, board.answers, sign).text


def test_the_summary_is_the_same_everywhere(found: Leaderboard) -> None:
    (summary,) = summarize(Leaderboard(found.boards))
    tables, _ = render_summary._tables(summary)
    terminal = drawn(tables)
    pages = summary_table(summary)["rows"]
    values = summary_json(summary)["models"]
    compared = 0
    for line, cells, model in zip(summary.lines, pages, values, strict=True):
        assert [cell["text"] for cell in cells] == summary_cells(line)
        for at, heading in enumerate(summary.headings):
            figure, page = model["figures"][heading.name], cells[at + 2]
            lines = terminal[
                line.label, {"peak_rss_bytes": "RSS", "safety_rate": "safety"}.get(heading.name, heading.name)
            ]
            if figure is None:
                assert (page["text"], page["value"], lines) == ("–", None, ["–"])
                continue
            if heading.kind == "memory":
                assert page["value"] == figure["value"] / 1e9 and lines == [f"{figure['value'] / 1e9:.2f}"]
                continue
            text = f"{figure['value']:.3f}"
            assert page["value"] == figure["value"] and page["text"].startswith(text)
            mark = lines[0].removeprefix(text).strip()
            assert lines[0].startswith(text) and page["text"].endswith(mark)
            assert mark == {"best": "★", "tied": "≈", "worse": "▼", "": ""}[figure["status"]]
            if figure["low"] is not None:
                ends = [f"{figure[end]:.3f}" for end in ("low", "high")]
                assert f"[{', '.join(ends)}]" in page["text"] and lines[1] == "–".join(map(as_terminal, ends))
            compared += 1
    assert compared >= 6


@pytest.mark.parametrize(
    ("figure", "asked", "text"),
    [
        (Figure("a", 0.6124, 50, 50, 0.57, 0.653), 50, "0.612 [0.570, 0.653]"),
        (Figure("a", 0.6124, 37, 50, 0.57, 0.653), 50, "0.612 [0.570, 0.653] (n 37 of 50)"),
        (Figure("a", 0.6124, 20, 20), 50, "0.612 (n 20)"),
        (Figure("a", None, 0, 50), 50, "– (n 0 of 50)"),
        (Figure("a", 2.5e9, 50, 50, unit="bytes"), 50, "2.50 GB"),
        (Figure("a", 0.1234, 50, 50, unit="s"), 50, "0.123 s"),
        (None, 50, "–"),
    ],
)
def test_a_cell_in_one_line(figure: Figure | None, asked: int, text: str) -> None:
    assert cell_text(Cell(figure), asked).text == text


def test_only_the_zero_before_the_point_is_left_out() -> None:
    """The interval of a score above 10 keeps its digits: 10.500 is not 1.500."""
    assert [render.without_zero(end) for end in ("10.500", "0.500", "-0.250")] == ["10.500", ".500", "-.250"]
