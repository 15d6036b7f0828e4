"""Models trained on some of the scored items: their tables also show every figure without those items."""

from __future__ import annotations

import csv
import dataclasses
import io
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import fakes
import made
import pytest
from fakes import FakeEngine
from medbench.cli.ui import render
from medbench.core.types import Figure, ItemSet
from medbench.evaluation.run import manifest
from medbench.evaluation.settings import Settings
from medbench.results.board import Board, Cell, Leaderboard
from medbench.results.compare import compare
from medbench.results.comparison import Match
from medbench.results.export import to_csv, to_json, to_markdown
from medbench.results.leaderboard import build
from medbench.results.manifest import ModelRecord, Session
from medbench.results.store import StoredRun
from medbench.results.writer import RunWriter
from rich.console import Console

LOAD = made.loader(made.Read(), made.Read("ece", mean=False, better="lower"), made.Speed())
UNTRAINED = object()


def run(
    root: Path, model: str, answers: Mapping[str, str], leaked: Any = UNTRAINED, metrics: Sequence[str] = ("right",)
) -> StoredRun:
    """A stored run of a model whose training data hold the `leaked` ids; None: trained, and they were not checked."""
    about = made.manifest(list(answers), model=model, metrics=metrics)
    if leaked is not UNTRAINED:
        about = dataclasses.replace(about, model=ModelRecord.from_json(about.model.as_json() | {"leaked": leaked}))
    with RunWriter(root, about) as writer:
        writer.append(made.record(item_id, text) for item_id, text in answers.items())
        writer.update(sessions=[Session(items=len(answers), seconds=1.0)])
    return StoredRun(root / about.run_id)


def only(*runs: StoredRun) -> Board:
    (board,) = build(runs, load=LOAD).boards
    return board


def cells(board: Board, name: str) -> dict[str, Cell]:
    at = [column.name for column in board.columns].index(name)
    return {row.setup.model: row.cells[at] for row in board.rows}


def values(board: Board, name: str) -> dict[str, tuple[float | None, int, int]]:
    figures = {model: cell.figure for model, cell in cells(board, name).items()}
    return {model: (figure.value, figure.n, figure.total) for model, figure in figures.items() if figure}


def printed(parts: Sequence[Any], width: int = 100) -> str:
    console = Console(file=io.StringIO(), width=width, highlight=False)
    for part in parts:
        console.print(part)
    return console.file.getvalue()  # type: ignore[attr-defined]


# --- what a run keeps of what its model leaks -------------------------------------------------------------------------


def kept(leaked: Any) -> dict[str, Any]:
    items = ItemSet(fakes.items(4), "here")
    engine = FakeEngine()
    engine.spec = dataclasses.replace(engine.spec, leaked=leaked)
    settings = Settings(items=("i0", "i2", "i3"))
    return manifest(fakes.plan(fakes.benchmark(items), items, engine, settings), engine, []).model.as_json()


def test_a_run_keeps_the_leaked_ids_of_its_own_items_in_their_order() -> None:
    found = kept({"fake-bench": ("i3", "i1", "i0"), "other": ("i2",)})
    assert found["leaked"] == ["i0", "i3"]
    json.dumps(found)


def test_a_benchmark_that_was_not_checked_is_told_from_one_without_leaks_and_from_an_untrained_model() -> None:
    assert kept({"other": ("i2",)})["leaked"] is None
    assert kept({"fake-bench": ()})["leaked"] == []
    assert "leaked" not in kept(None)


def test_what_was_leaked_does_not_make_another_run() -> None:
    items = ItemSet(fakes.items(4), "here")
    plain, leaky = FakeEngine(), FakeEngine()
    leaky.spec = dataclasses.replace(leaky.spec, leaked={"fake-bench": ("i0",)})
    made_of = [fakes.plan(fakes.benchmark(items), items, engine, Settings()).identity for engine in (plain, leaky)]
    assert made_of[0] == made_of[1]


# --- figures ----------------------------------------------------------------------------------------------------------


def test_every_row_gets_its_first_figure_without_what_any_model_leaks(tmp_path: Path) -> None:
    #        item: 0123456789
    board = only(
        run(tmp_path, "base", made.bits("0001110000")),
        run(tmp_path, "one@a", made.bits("1111110000"), leaked=["000", "001"]),
        run(tmp_path, "two@b", made.bits("0111110001"), leaked=["001", "002"]),
    )
    assert [column.name for column in board.columns] == ["right", "right_clean", "right/spread"]
    assert values(board, "right") == {"one@a": (0.6, 10, 10), "two@b": (0.6, 10, 10), "base": (0.3, 10, 10)}
    # Items 0, 1 and 2 are out for all: of the other seven, 3 right, 4 right, 3 right.
    assert values(board, "right_clean") == {
        "one@a": (3 / 7, 7, 7),
        "two@b": (4 / 7, 7, 7),
        "base": (3 / 7, 7, 7),
    }
    assert board.leaked == ("000", "001", "002")
    assert board.clean == ("clean: without the 3 of 10 items whose text was found in the training data of one@a, two@b")


def test_a_clean_column_is_as_its_parent_and_measurements_have_none(tmp_path: Path) -> None:
    board = only(run(tmp_path, "a", made.bits("10"), leaked=["000"], metrics=["right", "ece", "speed"]))
    assert [(c.name, c.better, c.headline, c.tested, c.clean) for c in board.columns] == [
        ("right", "higher", True, True, False),
        ("right_clean", "higher", True, True, True),
        ("right/spread", "higher", False, False, False),
        ("ece", "lower", True, False, False),
        ("ece_clean", "lower", True, False, True),
        ("ece/spread", "higher", False, False, False),
        ("speed", "higher", True, False, False),
    ]


@pytest.mark.parametrize("leaked", [[], None, ["another item"], UNTRAINED])
def test_a_board_without_leaked_items_has_no_clean_column(tmp_path: Path, leaked: Any) -> None:
    board = only(run(tmp_path, "a", made.bits("10"), leaked=leaked))
    assert [column.name for column in board.columns] == ["right", "right/spread"]
    assert (board.clean, board.leaked) == ("", ())


def test_a_lead_that_was_only_learned_by_heart_is_gone_on_the_clean_items(tmp_path: Path) -> None:
    leaked = list(made.bits("1" * 12))
    board = only(
        run(tmp_path, "base", made.bits("0" * 12 + "1110")),
        run(tmp_path, "trained", made.bits("1" * 12 + "1101"), leaked=leaked),
    )
    # All items: 13 that only the trained model has right, 1 that only the base has: p = 2 · (1 + 14) / 2¹⁴.
    # Clean items: 1 against 1, p = 1. Both tests count for Holm, so the first p doubles.
    assert board.tests == 2
    assert cells(board, "right")["base"].status == "worse"
    assert cells(board, "right")["base"].p == pytest.approx(2 * 2 * 15 / 2**14)
    clean = cells(board, "right_clean")
    assert [cell.status for cell in clean.values()] == ["tied", "tied"]  # 3 of 4 each
    assert {cell.p for cell in clean.values()} == {None}  # neither has more right than the other


def test_an_unfinished_run_counts_its_open_clean_items_into_the_total(tmp_path: Path) -> None:
    ids = list(made.bits("1" * 6))
    about = made.manifest(ids, model="part")
    leaky = ModelRecord.from_json(about.model.as_json() | {"leaked": ["000", "005"]})
    with RunWriter(tmp_path, dataclasses.replace(about, model=leaky)) as writer:
        writer.append(made.record(item_id, "1") for item_id in ids[:3])
    board = only(StoredRun(tmp_path / about.run_id))
    # Asked and clean: 1, 2, 3, 4; answered of these: 1 and 2.
    assert values(board, "right_clean") == {"part": (1.0, 2, 4)}


def test_a_run_that_cannot_be_read_still_says_what_its_model_leaks(tmp_path: Path) -> None:
    good = run(tmp_path, "base", made.bits("0011"))
    broken = run(tmp_path, "mine@a", made.bits("1111"), leaked=["003"])
    (broken.path / "samples.jsonl").write_text("not JSON\n")
    board = only(good, broken)
    assert values(board, "right_clean") == {"base": (1 / 3, 3, 3)}
    assert "training data of mine@a" in board.clean


def test_where_all_is_leaked_there_is_no_clean_value(tmp_path: Path) -> None:
    board = only(run(tmp_path, "a", made.bits("10"), leaked=["000", "001"]))
    assert cells(board, "right_clean")["a"].figure == Figure("right_clean", None, 0, 0)
    text = printed(render.leaderboard(Leaderboard((board,))))
    assert text.count("right ↑") == 1
    assert "without the 2 of 2 items" in text


def test_a_model_whose_training_data_were_not_checked_says_so_in_its_row(tmp_path: Path) -> None:
    board = only(
        run(tmp_path, "unchecked", made.bits("11"), leaked=None),
        run(tmp_path, "checked", made.bits("10"), leaked=[]),
        run(tmp_path, "base", made.bits("00")),
    )
    assert {row.setup.model: row.remarks for row in board.rows} == {
        "unchecked": "training data not checked against this benchmark",
        "checked": "",
        "base": "",
    }


# --- as text ----------------------------------------------------------------------------------------------------------


@pytest.fixture
def table(tmp_path: Path) -> Leaderboard:
    runs = [
        run(tmp_path, "base", made.bits("0011")),
        run(tmp_path, "mine@default", made.bits("1111"), leaked=["000"]),
    ]
    return build(runs, load=LOAD)


NOTE = "clean: without the 1 of 4 items whose text was found in the training data of mine@default"


def test_the_terminal_shows_clean_figures_in_a_second_table(table: Leaderboard) -> None:
    text = printed(render.leaderboard(table))
    before, after = text.split(NOTE)
    assert "right ↑" in before and "0.500" in before  # base: 2 of 4
    assert "right ↑" in after
    assert "0.667" in after  # base: 2 of 3
    assert "n 3" not in after, "the note says how many"


def test_exports_hold_clean_figures_and_the_note(table: Leaderboard) -> None:
    lines = list(csv.DictReader(io.StringIO(to_csv(table))))
    found = {(line["model"], line["metric"]): line for line in lines}
    assert (found["base", "right_clean"]["value"], found["base", "right_clean"]["n"]) == (str(2 / 3), "3")
    (board,) = to_json(table)["boards"]
    assert (board["clean"], board["leaked"]) == (NOTE, ["000"])
    assert [row["leaks_unchecked"] for row in board["rows"]] == [False, False]
    assert "right_clean" in [figure["metric"] for figure in board["rows"][0]["figures"]]
    markdown = to_markdown(table)
    assert "| model | setup | right ↑ | right_clean ↑ |" in markdown
    assert "0.667 (n 3)" in markdown
    assert f"{NOTE}." in markdown


# --- two models -------------------------------------------------------------------------------------------------------


def match(a: StoredRun, b: StoredRun) -> Match:
    (found,) = compare(a, b, load=LOAD).matches
    return found


def test_a_comparison_repeats_each_test_on_the_clean_items(tmp_path: Path) -> None:
    a = run(tmp_path, "base", made.bits("000011"), metrics=["right", "ece", "speed"])
    b = run(tmp_path, "mine@a", made.bits("111101"), leaked=["000", "001"], metrics=["right", "ece", "speed"])
    found = match(a, b)
    assert [line.name for line in found.lines] == ["right", "right_clean", "ece", "ece_clean", "speed"]
    whole, clean = found.lines[:2]
    # All: only B has 0 to 3 right, only A has 4. Clean (2 to 5): only B has 2 and 3, only A has 4.
    assert whole.counts is not None and (whole.counts.only_a, whole.counts.only_b, whole.n) == (1, 4, 6)
    assert clean.counts is not None and (clean.counts.only_a, clean.counts.only_b, clean.n) == (1, 2, 4)
    assert (clean.a, clean.b, clean.difference) == (0.5, 0.75, -0.25)
    assert clean.test == "exact McNemar" and clean.p_holm is not None
    assert found.notes == ("clean: without the 2 of 6 items whose text was found in the training data of mine@a",)
    text = printed(render.comparison(compare(a, b, load=LOAD)))
    below = [line.split()[:3] for line in text.splitlines() if line.startswith("   clean")]
    assert below == [["clean", "0.500", "0.750"]] * 2  # under right and under ece
    assert found.notes[0] in text


def test_a_comparison_says_what_was_not_checked(tmp_path: Path) -> None:
    found = match(run(tmp_path, "a", made.bits("10")), run(tmp_path, "b", made.bits("11"), leaked=None))
    assert [line.name for line in found.lines] == ["right"]
    assert found.notes == ("the training data of B were not checked against this benchmark",)
