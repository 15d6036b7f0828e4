"""Benchmarks without code: a table of questions, its columns mapped or recognized by their names."""

from __future__ import annotations

import json
from pathlib import Path

import openpyxl
import pandas as pd
import pytest
from click.testing import CliRunner
from hypothesis import given
from hypothesis import strategies as st
from medbench.benchmarks.sources.files import Source
from medbench.benchmarks.table import table_benchmark
from medbench.cli import cli
from medbench.core.errors import DataMalformed, MedbenchError, UsageError
from medbench.core.types import Item

CHOICE = {"question": "What stops scurvy?", "options": ["Vitamin A", "Vitamin C"], "answer": "B"}


def write(path: Path, text: str) -> Path:
    path.write_text(text, encoding="utf-8")
    return path


def items(path: Path, columns: dict[str, str] | None = None) -> tuple[Item, ...]:
    return table_benchmark(path, columns).load(Source(None)).items


def test_columns_are_recognized_by_their_names(tmp_path: Path):
    table = write(
        tmp_path / "ward.csv",
        "ID,Question,Option A,Option B,Option C,Correct Answer,Specialty\n"
        "w1,What stops scurvy?,Vitamin A,Vitamin C,Vitamin D,b,nutrition\n"
        'w2,"Fever of 39 °C, what now?",Fluids,Surgery,,Fluids,\n',
    )
    benchmark = table_benchmark(table)
    loaded = benchmark.load(Source(None))
    assert loaded.items == (
        Item("w1", "What stops scurvy?", "", ("Vitamin A", "Vitamin C", "Vitamin D"), ("A", "B", "C"), 1,
             meta={"subject": "nutrition"}),
        Item("w2", "Fever of 39 °C, what now?", "", ("Fluids", "Surgery"), ("A", "B"), 0),
    )  # fmt: skip
    assert benchmark.name == "ward" and benchmark.metrics == ("accuracy", "ece", "brier")
    assert benchmark.question(loaded.items[1]) == "Question: Fever of 39 °C, what now?\nA. Fluids\nB. Surgery\nAnswer:"
    assert loaded.notes == (
        "Recognized by the columns' names: question from 'Question', answer from 'Correct Answer', id from 'ID', "
        "subject from 'Specialty', options from 'Option A, Option B, Option C'.",
    )


def test_columns_are_mapped_by_argument_before_the_file_beside_the_table(tmp_path: Path):
    table = write(tmp_path / "t.csv", "Frage,r,f,Lösung,Alt\nWas tun?,Ruhe,Sport,Ruhe,Sport\n")
    write(
        tmp_path / "t.toml",
        'name = "station"\ninstruction = "Wähle."\nmax_new_tokens = 16\nmetrics = ["accuracy"]\n'
        '[columns]\nquestion = "Frage"\noptions = ["r", "f"]\nanswer = "Lösung"\n',
    )
    benchmark = table_benchmark(table)
    (item,) = benchmark.load(Source(None)).items
    assert (item.options, item.gold) == (("Ruhe", "Sport"), 0)
    assert (benchmark.name, benchmark.metrics, benchmark.max_new_tokens) == ("station", ("accuracy",), 16)
    assert benchmark.instruction(item) == "Wähle."
    (other,) = items(table, {"answer": "Alt", "options": "f|r"})
    assert (other.options, other.gold) == (("Sport", "Ruhe"), 0)


def test_questions_without_options_are_open(tmp_path: Path):
    table = write(tmp_path / "faq.jsonl", json.dumps({"prompt": "What is fever?", "answer": "Heat | cold"}) + "\n")
    benchmark = table_benchmark(table)
    (item,) = benchmark.load(Source(None)).items
    assert item == Item("1", "What is fever?", references=("Heat | cold",))  # a bar is part of an answer
    assert "rougeL" in benchmark.metrics


def excel(path: Path) -> Path:
    book = openpyxl.Workbook()
    book.active.append(["question", "A", "B", "answer"])
    book.active.append(["What stops scurvy?", "Vitamin A", "Vitamin C", "B"])
    book.save(path)
    return path


@pytest.mark.parametrize("kind", ["jsonl", "json", "parquet", "xlsx", "csv"])
def test_every_format_gives_the_same_item(tmp_path: Path, kind: str):
    path = tmp_path / f"t.{kind}"
    if kind == "jsonl":
        write(path, json.dumps(CHOICE))
    elif kind == "json":
        write(path, json.dumps([CHOICE]))
    elif kind == "parquet":
        pd.DataFrame([CHOICE]).to_parquet(path)
    elif kind == "xlsx":
        excel(path)
    else:
        write(path, "question,options,answer\nWhat stops scurvy?,Vitamin A | Vitamin C,B\n")
    assert items(path) == (Item("1", "What stops scurvy?", "", ("Vitamin A", "Vitamin C"), ("A", "B"), 1),)


@pytest.mark.parametrize(
    "options",
    [["x", "y"], {"A": "x", "B": "y"}, '["x", "y"]', "['x', 'y']", "{'A': 'x', 'B': 'y'}", "x | y"],
)
def test_options_in_one_cell(tmp_path: Path, options: object):
    (item,) = items(write(tmp_path / "t.jsonl", json.dumps({**CHOICE, "options": options})))
    assert item.options == ("x", "y")


@pytest.mark.parametrize(
    ("answers", "gold"), [((0, 1), [0, 1]), ((1, 2), None), ((1, 3), [0, 2]), (("A", "C"), [0, 2])]
)
def test_numbers_count_from_where_the_table_shows(tmp_path: Path, answers: tuple[object, ...], gold: list[int] | None):
    rows = [{"question": "q", "options": ["x", "y", "z"], "answer": answer} for answer in answers]
    path = write(tmp_path / "t.jsonl", "\n".join(map(json.dumps, rows)))
    if gold is None:
        with pytest.raises(UsageError, match="may count from 0 or from 1"):
            items(path)
        write(tmp_path / "t.toml", "answers_from = 1")
        gold = [0, 1]
    assert [item.gold for item in items(path)] == gold


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("question,A,B,answer\nq,x,y,C\n", r"row 1, field 'answer': 'C' is not the letter, the text or the number"),
        ("question,A,B,answer\nq,x,,A\n", r"row 1, field 'A': 2 to 26 options are expected, not 1"),
        ("question,A,B,C,answer\nq,x,,z,A\n", r"row 1, field 'B': it is empty, and a later option is not"),
        ("question,A,B,answer\n,x,y,A\n", r"row 1, field 'question': a text or a number is expected"),
        ("id,question,A,B,answer\n1,q,x,y,A\n1,q,x,y,A\n", r"row 2, field 'id': the id '1' is in an earlier row"),
        ("question,A,B,answer\nq,x,y,A,5\n", r"row 1 \(line 2\): 5 cells under 4 column names"),
    ],
)
def test_a_row_that_cannot_be_used_is_named(tmp_path: Path, text: str, said: str):
    with pytest.raises(DataMalformed, match=said) as raised:
        items(write(tmp_path / "t.csv", text))
    assert raised.value.hint == "Correct the table. docs/your-questions.md lists what each column may hold."


@pytest.mark.parametrize(
    ("text", "columns", "said"),
    [
        ("Text,A,B,answer\nq,x,y,A\n", {}, "no column is recognized as question"),
        ("question,A,B\nq,x,y\n", {}, "no column is recognized as answer"),
        ("question,A,B,answer\nq,x,y,A\n", {"answer": "anser"}, "no column 'anser' for answer. Did you mean answer"),
        ("question,A,B,answer\nq,x,y,A\n", {"answr": "answer"}, "'answr' is not a field of a question"),
        ("", {}, "is empty"),
        ("question,A,B,answer\n", {}, "has no rows"),
    ],
)
def test_a_column_that_cannot_be_found_is_named(tmp_path: Path, text: str, columns: dict[str, str], said: str):
    with pytest.raises(UsageError, match=said):
        table_benchmark(write(tmp_path / "t.csv", text), columns)


def test_a_table_without_questions_says_what_to_add(tmp_path: Path):
    with pytest.raises(UsageError) as raised:
        table_benchmark(write(tmp_path / "t.csv", ""))
    assert raised.value.hint == (
        "Add a question: a row below the column names, or a JSON object. docs/your-questions.md has examples."
    )


@pytest.mark.parametrize(
    ("name", "said"),
    [
        (
            "ward.cvs",
            "no such file: ward.cvs. Did you mean ward.csv?\nA benchmark is a name (medbench list benchmarks), a ",
        ),
        ("wrd.csv", "no such file: wrd.csv. Did you mean ward.csv?"),
        ("sub/exm.py", "no such file: sub/exm.py. Did you mean sub/exam.py?"),
        ("nowhere/ward.csv", "no such file: nowhere/ward.csv.\n"),
        ("notes.txt", "notes.txt is neither a table of questions nor a benchmark file."),
        ("ward", "no benchmark is called 'ward'."),
    ],
)
def test_a_file_that_is_not_there_is_named_with_the_nearest(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, said: str
):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "sub").mkdir()
    for file in ("ward.csv", "ward.cv", "notes.txt", "sub/exam.py"):
        write(tmp_path / file, "")
    done = CliRunner().invoke(cli, ["run", "-b", name, "--dry-run"])
    assert (done.exit_code, said in done.stderr) == (2, True), done.stderr


def test_a_table_may_not_take_the_name_of_a_benchmark(tmp_path: Path):
    with pytest.raises(MedbenchError, match="medbench has a benchmark called 'medqa'"):
        table_benchmark(write(tmp_path / "medqa.csv", "question,A,B,answer\nq,x,y,A\n"))


@given(
    st.lists(st.text(st.characters(exclude_categories=["Cs", "Cc"]), min_size=1), min_size=2, max_size=26, unique=True)
)
def test_any_option_texts_come_back_with_the_right_one(tmp_path_factory: pytest.TempPathFactory, options: list[str]):
    options = [f"o{at} {option}".strip() for at, option in enumerate(options)]  # no option is a letter or a number
    path = tmp_path_factory.mktemp("t") / "t.jsonl"
    (item,) = items(write(path, json.dumps({"question": "q", "options": options, "answer": options[-1]})))
    assert item.options == tuple(options) and item.gold == len(options) - 1


def test_a_table_runs_like_any_benchmark(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.chdir(tmp_path)
    write(tmp_path / "ward.csv", "Case,A,B,Key\nWhat stops scurvy?,Vitamin A,Vitamin C,B\n")
    write(tmp_path / "saved.jsonl", json.dumps({"id": "1", "text": "B"}))
    run = ["run", "-m", "replay:saved.jsonl", "-b", "ward.csv", "--columns", "question=Case", "--json"]
    done = CliRunner().invoke(cli, run, prog_name="medbench")
    assert done.exit_code == 0, done.output
    assert '"accuracy"' in done.stdout and '"ward"' in done.stdout
    done = CliRunner().invoke(cli, ["run", "-b", "medqa", "--columns", "question=Case"], prog_name="medbench")
    assert done.exit_code == 2 and "none of the benchmarks is a table" in done.output


@pytest.mark.parametrize(
    ("options", "answer", "gold"),
    [
        ({"B": "rest", "A": "fluids"}, "A", 1),
        ({"1": "rest", "2": "fluids"}, "2", 1),
        ({"opa": "rest", "opb": "fluids"}, "B", 1),
        ({"A": "rest", "B": "fluids", "C": None}, "b ", 1),
    ],
)
def test_an_answer_names_the_key_of_an_object_of_options(tmp_path: Path, options: object, answer: str, gold: int):
    row = {"question": "What now?", "options": options, "answer": answer}
    assert items(write(tmp_path / "t.jsonl", json.dumps(row)))[0].gold == gold


def test_a_missing_option_does_not_move_the_later_ones(tmp_path: Path):
    row = {"question": "What now?", "options": ["rest", None, "fluids"], "answer": "B"}
    with pytest.raises(DataMalformed, match="option 2 is empty, and a later one is not"):
        items(write(tmp_path / "t.jsonl", json.dumps(row)))


def test_a_column_that_the_first_row_lacks_is_recognized(tmp_path: Path):
    book = openpyxl.Workbook()
    for cells in (["question", "A", "B", "C", "answer", "context"], ["Q1?", "x", "y", None, "A", None],
                  ["Q2?", "x", "y", "z", "A", "A note."]):  # fmt: skip
        book.active.append(cells)
    book.save(tmp_path / "t.xlsx")
    assert [(item.options, item.context) for item in items(tmp_path / "t.xlsx")] == [
        (("x", "y"), ""), (("x", "y", "z"), "A note.")
    ]  # fmt: skip


def test_a_letter_that_is_also_an_options_text(tmp_path: Path):
    heading = "question,A,B,C,D,answer\nGroup?,O,AB,A,B,A\n"
    assert items(write(tmp_path / "letters.csv", heading))[0].gold == 0
    assert items(write(tmp_path / "texts.csv", heading + "Group?,O,AB,A,B,AB\n"))[0].gold == 2
    with pytest.raises(DataMalformed, match="2 options have the text 'x'; name one by its letter"):
        items(write(tmp_path / "twice.csv", "question,A,B,answer\nQ?,x,x,x\n"))
    with pytest.raises(DataMalformed, match="two columns called 'question'"):
        items(write(tmp_path / "columns.csv", "question,question,A,B,answer\nQ?,R?,x,y,A\n"))


@pytest.mark.parametrize(
    ("toml", "problem"),
    [
        ("[columns]\nquestion = 3", "'question' is 3"),
        ("[columns]\noptions = [1, 2]", r"'options' is \[1, 2\]"),
        ("[columns]\noptions = []", r"'options' is \[\]"),
        ("metrics = [1]", "'metrics'"),
        ("answers_from = true", "'answers_from' is True"),
        ("max_new_tokens = 0", "at least 1"),
        ('name = "../x"', "'name'"),
        ('name = ""', "'name'"),
    ],
)
def test_a_wrong_setting_is_named(tmp_path: Path, toml: str, problem: str):
    write(tmp_path / "t.toml", toml)
    with pytest.raises(UsageError, match=problem):
        items(write(tmp_path / "t.csv", "question,A,B,answer\nQ?,x,y,A\n"))
