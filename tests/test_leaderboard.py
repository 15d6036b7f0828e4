"""The leaderboard: what is compared, which differences are significant, and the same as CSV, JSON and Markdown."""

from __future__ import annotations

import csv
import dataclasses
import io
import json
from pathlib import Path
from typing import Any

import made
import numpy as np
import pytest
from medbench.core.errors import MedbenchError
from medbench.core.types import Figure, Record, Score
from medbench.results.board import Board, Cell
from medbench.results.export import FIELDS, figure_text, number, rows, to_csv, to_json, to_markdown
from medbench.results.leaderboard import build, scale
from medbench.results.manifest import Session
from medbench.results.scoring import load_metric
from medbench.results.statuses import intervals_apart
from medbench.results.store import StoredRun
from medbench.results.summary import summarize
from medbench.results.writer import RunWriter

LOAD = made.loader(made.Read(), made.Speed())


def cells(board: Board, name: str) -> dict[str, Cell]:
    at = [column.name for column in board.columns].index(name)
    return {row.label: row.cells[at] for row in board.rows}


def only(runs: list[StoredRun], load: Any = LOAD, **options: Any) -> Board:
    (board,) = build(runs, load=load, **options).boards
    return board


# --- what stands beside what ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("field", "other"),
    [
        ("version", "2"),
        ("variant", "4 of 6 subjects"),
        ("items_hash", "other items"),
        ("prompt_hash", "other words"),
        ("shots", 3),
        ("method", "logprob"),
        ("benchmark", "exam"),
    ],
)
def test_runs_that_differ_in_one_comparable_field_never_share_a_board(tmp_path: Path, field: str, other: Any) -> None:
    one = made.make_run(tmp_path, made.bits("10"), model="one")
    two = made.make_run(tmp_path, made.bits("10"), model="two", **{field: other})
    boards = build([one, two], load=LOAD).boards
    assert [[row.setup.model for row in board.rows] for board in boards] in ([["one"], ["two"]], [["two"], ["one"]])
    assert boards[0].title != boards[1].title


def test_what_one_compares_does_not_part_runs_and_is_shown_per_row(tmp_path: Path) -> None:
    board = only([made.make_run(tmp_path, made.bits("10"), model="one", dtype=d) for d in ("float32", "bfloat16")])
    assert [row.label for row in board.rows] == ["one (dtype bfloat16)", "one (dtype float32)"]
    assert [row.setup.text for row in board.rows] == ["bfloat16 · plain", "float32 · plain"]
    assert {row.setup.revision for row in board.rows} == {"01234567"}


def test_the_same_run_in_two_folders_is_two_rows_told_apart_by_folder(tmp_path: Path) -> None:
    board = only([made.make_run(tmp_path / name, made.bits("10")) for name in ("x", "y")])
    assert [row.label for row in board.rows] == [f"tiny (folder {row.path})" for row in board.rows]
    assert len({row.path for row in board.rows}) == 2


def test_a_title_says_which_items_how_they_were_asked_and_what_is_a_sample(tmp_path: Path) -> None:
    def title(**about: Any) -> str:
        return only([made.make_run(tmp_path, made.bits("10"), **about)]).title

    assert title(method="logprob") == "quiz · 2 items · log-probability · 0-shot"
    assert title(shots=3, n_total=500, settings={"limit": 2, "seed": 7}) == (
        "quiz · 2 of 500 items (seed 7) · generated · 3-shot"
    )
    assert title(n_total=9, settings={"items_file": "ids.txt"}) == (
        "quiz · 2 of 9 items (from ids.txt) · generated · 0-shot"
    )
    assert title(sample=True, variant="short") == "quiz (short) · sample · 2 items · generated · 0-shot"


def test_titles_that_would_be_the_same_get_the_field_that_differs(tmp_path: Path) -> None:
    runs = [
        made.make_run(tmp_path, made.bits("10"), model=f"m{index}", **about)
        for index, about in enumerate([{"prompt_hash": "a" * 16}, {"prompt_hash": "b" * 16}, {"version": "2"}])
    ]
    assert {board.title for board in build(runs, load=LOAD).boards} == {
        "quiz · 2 items · generated · 0-shot · prompt aaaaaaaa · version 1",
        "quiz · 2 items · generated · 0-shot · prompt bbbbbbbb · version 1",
        "quiz · 2 items · generated · 0-shot · version 2 · prompt plain",
    }


def test_samples_come_after_real_benchmarks(tmp_path: Path) -> None:
    runs = [
        made.make_run(tmp_path, made.bits("1"), benchmark="a-sample", sample=True),
        made.make_run(tmp_path, made.bits("1"), benchmark="medqa"),
    ]
    assert [board.benchmark for board in build(runs, load=LOAD).boards] == ["medqa", "a-sample"]


def test_columns_follow_the_benchmark_then_what_was_added_then_measurements(tmp_path: Path) -> None:
    metrics = [made.Read("right"), made.Read("style"), made.Read("extra"), made.Speed()]
    session = Session(items=2, seconds=1.0)
    run = made.make_run(tmp_path, made.bits("10"), metrics=["right", "speed", "style"], sessions=[session])
    run.manifest = dataclasses.replace(run.manifest, metrics=("extra", "style", "speed", "right"))
    board = only([run], load=made.loader(*metrics))
    assert [column.name for column in board.columns if column.headline] == ["right", "style", "extra", "speed"]
    assert [column.name for column in only([run], load=made.loader(*metrics), metrics=["style"]).columns] == [
        "style",
        "style/spread",
    ]


# --- best, worse, tied ------------------------------------------------------------------------------------------------


def test_a_difference_is_real_only_if_the_paired_test_says_so(tmp_path: Path) -> None:
    best, near, far = "1" * 20, "0" * 2 + "1" * 18, "0" * 12 + "1" * 8
    runs = [made.make_run(tmp_path, made.bits(p), model=m) for m, p in [("far", far), ("best", best), ("near", near)]]
    board = only(runs)
    right = cells(board, "right")
    assert list(right) == ["best", "near", "far"]  # best first
    assert (right["best"].status, right["best"].p) == ("best", None)
    # McNemar: 2 items that only the best has right, none the other way: p = 2 · (1/2)² = 1/2.
    assert right["near"].status == "tied"
    assert right["near"].p == pytest.approx(0.5)
    # 12 against 0: p = 2 · (1/2)¹² = 1/2048, the smallest of three pairs. Then one pair is left: best and near.
    assert right["far"].status == "worse"
    assert right["far"].p == pytest.approx(3 / 2048)
    assert right["far"].pairs == 20
    assert right["far"].against == next(row.run_id for row in board.rows if row.setup.model == "best")
    assert board.tests == 3


class Second(made.Read):
    """A metric that reads the second digit of an answer."""

    def score(self, records: Any) -> list[Score]:
        return [Score(record.item.id, float(record.output.text[1])) for record in records]


class First(made.Read):
    """A metric that reads the first digit of an answer."""

    def score(self, records: Any) -> list[Score]:
        return [Score(record.item.id, float(record.output.text[0])) for record in records]


@pytest.mark.parametrize(
    ("pairs", "tests", "p"),
    [
        # 7 against 0 in both columns: p = 2 · (1/2)⁷ = 1/64. On other items they are two tests, Holm doubles p.
        (["11"] * 13 + ["01"] * 7, 1, 1 / 64),  # the second column has nothing to tell, and so no smaller p
        (["00"] * 7 + ["11"] * 13, 1, 1 / 64),  # both columns are the same on every item: one test
        (["01"] * 7 + ["10"] * 7 + ["11"] * 6, 2, 2 / 64),
    ],
)
def test_every_test_of_the_board_counts_for_holm_and_two_equal_columns_are_one(
    tmp_path: Path, pairs: list[str], tests: int, p: float
) -> None:
    load = made.loader(First("right"), Second("style"))
    runs = [
        made.make_run(tmp_path, dict(made.enumerate_ids(answers)), model=model, metrics=["right", "style"])
        for model, answers in [("best", ["11"] * 20), ("far", pairs)]
    ]
    board = only(runs, load=load)
    assert board.tests == tests
    assert cells(board, "right")["far"].p == pytest.approx(p)


def test_where_lower_is_better_the_lowest_is_best(tmp_path: Path) -> None:
    load = made.loader(made.Read("loss", binary=False, better="lower"))
    runs = [
        made.make_run(tmp_path, dict(made.enumerate_ids([value] * 12)), model=model, metrics=["loss"])
        for model, value in [("high", 0.9), ("low", 0.1)]
    ]
    loss = cells(only(runs, load=load), "loss")
    assert list(loss) == ["low", "high"]
    # Twelve equal differences: only the two patterns with one sign throughout are as extreme, of 2¹².
    assert (loss["low"].status, loss["high"].status) == ("best", "worse")
    assert loss["high"].p == pytest.approx(2 / 2**12)


def test_items_that_share_a_document_are_turned_together(tmp_path: Path) -> None:
    load = made.loader(made.Read("score", binary=False))
    ids = made.enumerate_ids([0] * 12)
    documents = {item_id: f"doc{index % 2}" for index, (item_id, _) in enumerate(ids)}
    runs = [
        made.make_run(tmp_path, {i: value for i, _ in ids}, documents=documents, model=value, metrics=["score"])
        for value in ("0.9", "0.1")
    ]
    score = cells(only(runs, load=load), "score")
    # Two documents have four sign patterns, two of them as extreme: twelve items are not twelve observations.
    assert score["0.1"].p == pytest.approx(2 / 4)
    assert score["0.1"].status == "tied"


def test_few_documents_are_told_below_the_table_and_in_exports(tmp_path: Path) -> None:
    answers = made.bits("10" * 30)
    for count, told in ((19, True), (20, False), (0, False)):
        documents = {i: f"doc{at % count}" for at, i in enumerate(answers)} if count else None
        table = build([made.make_run(tmp_path / str(count), answers, documents=documents)], load=LOAD)
        words = (
            "The items come from only 19 documents. With fewer than 20, intervals and tests by document are unreliable."
        )
        assert table.boards[0].few == (words if told else "")
        assert (words in to_markdown(table)) == told
        assert to_json(table)["boards"][0]["few_documents"] == table.boards[0].few
        assert {row["few_documents"] for row in rows(table)} == {table.boards[0].few}
        (whole,) = summarize(table)
        assert (f"{table.boards[0].title}: {words}" in whole.notes) == told


def test_nothing_is_tested_for_one_row_for_no_mean_or_for_a_measurement(tmp_path: Path) -> None:
    session = [Session(items=10, seconds=2.0)]
    one = made.make_run(tmp_path, made.bits("1" * 10), model="one", metrics=["right", "speed"], sessions=session)
    (row,) = only([one]).rows
    assert [cell.status for cell in row.cells] == ["", "", ""]

    slow = [Session(items=10, seconds=20.0)]
    two = made.make_run(tmp_path, made.bits("0" * 10), model="two", metrics=["right", "speed"], sessions=slow)
    board = only([one, two], load=made.loader(made.Read(mean=False), made.Speed()))
    assert board.tests == 0
    assert [column.tested for column in board.columns] == [False, False, False]
    for name in ("right", "right/spread", "speed"):  # the best is marked all the same
        assert [cell.status for cell in cells(board, name).values()] == ["best", ""]
        assert all(cell.p is None for cell in cells(board, name).values())


def test_what_was_measured_on_a_single_item_is_not_best(tmp_path: Path) -> None:
    runs = [
        made.make_run(tmp_path, made.bits("1"), model=model, metrics=["speed"], sessions=[Session(items=1, seconds=s)])
        for model, s in (("fast", 2.0), ("slow", 20.0))
    ]
    board = only(runs, load=made.loader(made.Speed()))
    assert {model: (cell.value, cell.status) for model, cell in cells(board, "speed").items()} == {
        "fast": (0.5, ""),
        "slow": (0.05, ""),
    }


class WithEnds(made.Read):
    """A statistic that is no mean, within 0.1 of its value."""

    def aggregate(self, records: Any, scores: Any) -> list[Figure]:
        (first, _) = super().aggregate(records, scores)
        return [dataclasses.replace(first, low=(first.value or 0) - 0.1, high=(first.value or 0) + 0.1)]


@pytest.mark.parametrize(
    ("values", "best"),
    [
        ("111110 111100", []),  # 0.83 and 0.67: within 0.1 of both lies 0.75
        ("111110 111000", ["111110"]),  # 0.83 and 0.5
        ("000000 000000", []),
        ("111111 111111 000000", ["111111", "111111"]),
    ],
)
def test_a_figure_that_cannot_be_tested_is_best_where_intervals_do_not_overlap(
    tmp_path: Path, values: str, best: list[str]
) -> None:
    load = made.loader(WithEnds(mean=False))
    runs = [made.make_run(tmp_path / str(at), made.bits(bits), model=bits) for at, bits in enumerate(values.split())]
    assert [row.setup.model for row in only(runs, load=load).rows if row.cells[0].status == "best"] == best


def test_a_best_one_of_many_equal_models_is_rarely_marked_where_nothing_can_be_tested() -> None:
    """Twelve equal models, each value normal around 0.5 with a standard error of 0.02: intervals of some two do not
    overlap in about 20% of tables, a difference beyond chance is in at most 5%.
    """
    values = np.random.default_rng(0).normal(0.5, 0.02, (2000, 12))
    half = 1.96 * 0.02

    def marked(models: int) -> float:
        found = 0
        for row in values:
            figures = [Figure("f1", value, 100, 100, low=value - half, high=value + half) for value in row]
            best = max(figures, key=lambda figure: figure.value or 0.0)
            found += any(intervals_apart(best, figure, models) for figure in figures)
        return found / len(values)

    assert not intervals_apart(Figure("f1", 1.0, 100, 100), Figure("f1", 0.2, 100, 100, low=0.1, high=0.3), 2), (
        "no interval"
    )
    assert marked(2) > 0.1, "as for two models, the best of twelve would be marked too often"
    assert 0.0 < marked(12) <= 0.05


def test_only_items_that_both_have_a_score_for_are_paired(tmp_path: Path) -> None:
    runs = [
        made.make_run(tmp_path, made.bits("111111?1"), model="one"),
        made.make_run(tmp_path, made.bits("000001?1"), model="two"),
    ]
    right = cells(only(runs), "right")
    assert right["two"].pairs == 7
    assert right["two"].p == pytest.approx(2 / 2**5)
    assert right["two"].figure is not None
    assert right["two"].figure.coverage == 7 / 8


def test_an_unfinished_run_is_marked_and_not_best_where_a_finished_one_stands(tmp_path: Path) -> None:
    ids = list(made.bits("1" * 10))
    runs = [
        made.make_run(tmp_path, made.bits("1" * 6 + "0" * 4), model="whole"),
        made.make_run(tmp_path, made.bits("111"), item_ids=ids, model="part"),
    ]
    board = only(runs)
    right = cells(board, "right")
    assert [(row.setup.model, row.remarks) for row in board.rows] == [("part", "3 of 10 done"), ("whole", "")]
    # 3 pairs decide nothing, so there is no best one.
    assert (right["whole"].status, right["part"].status) == ("tied", "tied")
    assert right["part"].figure is not None
    assert (right["part"].figure.n, right["part"].figure.total) == (3, 10)
    (alone,) = only(runs[1:]).rows
    assert alone.remarks == "3 of 10 done"


def test_a_run_without_answers_has_a_row_and_no_value(tmp_path: Path) -> None:
    runs = [
        made.make_run(tmp_path, {}, item_ids=["000", "001"], model="new"),
        made.make_run(tmp_path, made.bits("10"), model="done"),
    ]
    board = only(runs)
    assert [row.setup.model for row in board.rows] == ["done", "new"]
    assert board.rows[1].cells[0] == Cell(Figure("right", None, 0, 2))


def test_the_table_is_the_same_whatever_the_order_of_the_runs(tmp_path: Path) -> None:
    runs = [made.make_run(tmp_path, made.bits(p), model=m) for m, p in [("a", "1100"), ("b", "1111"), ("c", "1100")]]
    assert to_json(build(runs, load=LOAD)) == to_json(build(runs[::-1], load=LOAD))


# --- what is broken breaks nothing else -------------------------------------------------------------------------------


def test_a_broken_run_or_metric_is_named_once_and_the_rest_is_shown(tmp_path: Path) -> None:
    class Failing(made.Read):
        def score(self, records: Any) -> Any:
            raise KeyError("no such thing")

    names = ["right", "gone", "failing"]
    good = [made.make_run(tmp_path, made.bits("10"), model=m, metrics=names) for m in ("one", "two")]
    broken = made.make_run(tmp_path, made.bits("10"), model="broken", metrics=names)
    (broken.path / "samples.jsonl").write_text("not JSON\n")
    table = build([*good, broken], load=made.loader(made.Read(), Failing("failing")))
    (board,) = table.boards
    assert [row.setup.model for row in board.rows] == ["one", "two"]
    assert [column.name for column in board.columns if column.headline] == ["right"]
    messages = [problem.message for problem in table.problems]
    assert messages[0] == "no metric is called 'gone'."
    for message, run in zip(messages[1:3], good, strict=True):
        assert message == f"{run.path}: the metric 'failing' failed: KeyError: 'no such thing'"
    assert "samples.jsonl, line 1: not JSON" in messages[3]
    assert len(messages) == 4


def test_a_metric_is_loaded_once_however_many_runs_name_it(tmp_path: Path) -> None:
    asked: list[str] = []

    def load(name: str) -> Any:
        asked.append(name)
        return LOAD(name)

    metrics = ["right", "gone"]
    runs = [made.make_run(tmp_path, made.bits("10"), model=m, metrics=metrics) for m in ("one", "two", "three")]
    build(runs, load=load)
    assert asked == ["right", "gone"]


def test_a_metric_that_only_one_run_lists_leaves_the_other_an_empty_cell(tmp_path: Path) -> None:
    judge = made.Read("judge")
    runs = [
        made.make_run(tmp_path, made.bits("10"), model="one", metrics=["right", "judge"]),
        made.make_run(tmp_path, made.bits("10"), model="two", metrics=["right"]),
    ]
    board = only(runs, load=made.loader(made.Read(), judge))
    assert cells(board, "judge")["two"] == Cell(None)
    assert len(judge.asked) == 2  # nothing that may cost money is scored unasked


# --- as text ----------------------------------------------------------------------------------------------------------


@pytest.fixture
def table(tmp_path: Path) -> Any:
    session = [Session(items=8, seconds=2.0)]
    metrics = ["right", "speed"]
    runs = [
        made.make_run(tmp_path, made.bits("11111111"), model="a|b", metrics=metrics, sessions=session),
        made.make_run(tmp_path, made.bits("0000000?"), model="low", metrics=metrics, sessions=session),
        made.make_run(tmp_path, made.bits("01111111"), model="near", metrics=metrics),
    ]
    return build(runs, load=LOAD)


def test_csv_is_tidy_and_holds_every_figure(table: Any) -> None:
    rows = list(csv.DictReader(io.StringIO(to_csv(table))))
    assert tuple(rows[0]) == FIELDS
    assert len(rows) == 3 * 3  # models × figures, hidden ones too
    low = next(row for row in rows if row["model"] == "low" and row["metric"] == "right")
    # 7 pairs against the best, all 7 lost: p = 2/2⁷ = 1/64; of three pairs, so 3/64.
    assert {name: low[name] for name in ("value", "n", "total", "coverage", "status", "p_holm")} == {
        "value": "0.0",
        "n": "7",
        "total": "8",
        "coverage": "0.875",
        "status": "worse",
        "p_holm": str(3 / 64),
    }
    assert (low["items"], low["sample"], low["revision"], low["low"]) == ("8", "False", "01234567", "")
    assert {row["metric"]: row["unit"] for row in rows} == {
        "right": "share",
        "right/spread": "0..1",
        "speed": "items/s",
    }
    assert next(row for row in rows if row["metric"] == "speed" and row["model"] == "near")["value"] == ""


def test_a_figure_without_a_value_in_any_run_has_no_column_unless_a_judge_was_asked_for_it(tmp_path: Path) -> None:
    names = ["unfit", "right", "speed", "judge:none:can:be:read"]
    load = made.loader(made.Read(), made.Speed(), Unfit("unfit"), Unfit(names[-1]))
    runs = [made.make_run(tmp_path, made.bits("1?"), model=m, metrics=names) for m in ("one", "two")]
    board = only(runs, load=load)
    assert [column.name for column in board.columns] == ["right", "right/spread", names[-1]]
    rows = csv.DictReader(io.StringIO(to_csv(build(runs, load=load))))
    assert [(row["metric"], row["value"], row["coverage"]) for row in rows][:3] == [
        ("right", "1.0", "0.5"),
        ("right/spread", "1.0", "0.5"),
        (names[-1], "", "0.0"),
    ]


class Unfit(made.Read):
    """A metric that fits no item."""

    def score(self, records: Any) -> list[Score]:
        return [Score(record.item.id, None, "not multiple choice") for record in records]

    def aggregate(self, records: Any, scores: Any) -> list[Figure]:
        return [Figure(self.name, None, 0, len(records))]


@pytest.mark.parametrize(
    ("metric", "figure", "unit"),
    [
        ("accuracy", Figure("accuracy", 0.5, 2, 2), "share"),
        ("accuracy", Figure("accuracy[anatomy]", 0.5, 2, 2), "share"),
        ("accuracy", Figure("macro_f1", 0.5, 2, 2), "0..1"),
        ("accuracy", Figure("unparsed_rate", 0.5, 2, 2, better="lower"), "share"),
        ("brier", Figure("brier", 0.5, 2, 2, better="lower"), "0..2"),
        ("latency_p50_s", Figure("latency_p50_s", 0.5, 2, 2, unit="s", better="lower"), "s"),
        ("judge:rubric:groq:m:1", Figure("judge:rubric:groq:m:1[safety]", 4.5, 2, 2), "1 to 5"),
        ("judge:grades:groq:m:1", Figure("judge:grades:groq:m:1", 3.5, 2, 2), "1 to 4"),
        ("jury:reference:groq:m~groq:n:1", Figure("jury:reference:groq:m~groq:n:1", 3.5, 2, 2), "1 to 5"),
        ("jury:reference:groq:m~groq:n:1", Figure("jury:reference:groq:m~groq:n:1[alpha]", 0.5, 2, 2, better=""), ""),
    ],
)
def test_what_a_figure_s_values_are(metric: str, figure: Figure, unit: str) -> None:
    assert scale(load_metric(metric), figure) == unit


def test_json_holds_the_same_and_is_json(table: Any) -> None:
    value = json.loads(json.dumps(to_json(table), allow_nan=False))
    (board,) = value["boards"]
    assert board["title"] == "quiz · 8 items · generated · 0-shot"
    assert [row["label"] for row in board["rows"]] == ["a|b", "near", "low"]
    assert board["rows"][1]["figures"][0] == {
        "metric": "right",
        "subgroup": "",
        "value": 0.875,
        "low": None,
        "high": None,
        "n": 8,
        "total": 8,
        "coverage": 1.0,
        "unit": "share",
        "status": "tied",
        "p_holm": 1.0,
        "against": board["rows"][0]["run_id"],
        "remark": "",
        "better": "higher",
        "headline": True,
        "pairs": 8,
    }
    assert value["problems"] == []


def test_markdown_marks_best_tied_and_worse_and_explains_the_marks(table: Any) -> None:
    assert to_markdown(table) == (
        "### quiz · 8 items · generated · 0-shot\n"
        "\n"
        "| model | setup | right ↑ | speed ↑ |\n"
        "| --- | --- | ---: | ---: |\n"
        "| a\\|b | float32 · plain | **1.000** | 4 items/s |\n"
        "| near | float32 · plain | 0.875 ≈ | – (n 0) |\n"
        "| low | float32 · plain | 0.000 (n 7 of 8) ▼ | 4 items/s |\n"
        "\n"
        "n = 8 unless stated; in brackets the 95% interval. **Bold**: the best value of a column whose models differ "
        "(by their intervals if the column has no other marks). ▼: another model is significantly better, "
        "≈: none is shown to be (paired tests on the items both answered, 5%, Holm-corrected over all 3 pairs "
        "of this table).\n"
    )


def test_markdown_names_what_is_not_shown(tmp_path: Path) -> None:
    def load(name: str) -> Any:
        raise MedbenchError("it | broke\nhere")

    text = to_markdown(build([made.make_run(tmp_path, made.bits("1"))], load=load))
    assert text.endswith("Not shown:\n\n- it \\| broke here\n")


@pytest.mark.parametrize(
    ("figure", "text"),
    [
        (Figure("x", 0.6123, 50, 50, 0.47, 0.74), "0.612 [0.470, 0.740]"),
        (Figure("x", 0.5, 37, 50), "0.500 (n 37 of 50)"),
        (Figure("x", None, 0, 50, 0.0, 1.0), "– (n 0 of 50)"),
        (Figure("x", 0.01234, 5, 5, unit="s"), "0.0123 s (n 5)"),
        (Figure("x", 1234.56, 50, 50, unit="tokens/s"), "1235 tokens/s"),
        (Figure("x", 3_000_000_000, 50, 50, unit="bytes"), "3.00 GB"),
        (Figure("x", 5_000_000, 50, 50, unit="bytes"), "5 MB"),
    ],
)
def test_a_figure_as_text(figure: Figure, text: str) -> None:
    assert figure_text(figure, asked=50) == text


def test_no_value_is_a_dash() -> None:
    assert number(None, "s") == "–"


def test_prompts_that_were_cut_are_counted_beside_the_model(tmp_path: Path) -> None:
    whole = made.make_run(tmp_path, made.bits("110"), model="long-window")
    cut = made.manifest(list(made.bits("110")), model="short-window")
    with RunWriter(tmp_path, cut) as writer:
        for record in whole.records():
            output = dataclasses.replace(record.output, truncated_tokens=7)
            writer.append([Record(record.item, output)])
    board = build([whole, StoredRun(tmp_path / cut.run_id)], load=LOAD).boards[0]
    assert {row.setup.model: row.remarks for row in board.rows} == {"long-window": "", "short-window": "3 prompts cut"}
    assert "lost their beginning" in to_markdown(build([StoredRun(tmp_path / cut.run_id)], load=LOAD))
