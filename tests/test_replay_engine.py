"""Saved answers, through the command as users run it."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import fakes
import pytest
from click.testing import CliRunner, Result
from hypothesis import given, settings
from hypothesis import strategies as st
from medbench.cli import cli
from medbench.core import json_text
from medbench.core.errors import UsageError
from medbench.core.reasoning import split
from medbench.core.types import GenerateRequest, Item, ItemSet, ModelSpec, Prompt
from medbench.engines.replay import NO_ANSWER, ReplayEngine
from medbench.engines.saved.answers import columns
from medbench.evaluation.settings import Settings

BENCHMARK = """
from medbench.core.types import Benchmark, Item, ItemSet

ITEMS = (
    Item("i1", "first?", options=("aspirin", "heparin", "placebo"), labels=("A", "B", "C"), gold=1),
    Item("i2", "second?", options=("fever", "cough", "rash"), labels=("A", "B", "C"), gold=0),
    Item("3", "third?", options=("one", "two", "three"), labels=("A", "B", "C"), gold=2),
)
BENCHMARK = Benchmark(
    name="quiz", version="1", summary="for tests", citation="none", licence="MIT",
    load=lambda source: ItemSet(ITEMS, "here"), question=lambda item: item.question + "\\nAnswer:",
    metrics=("accuracy", "ece"),
)
"""
RIGHT = [{"id": "i1", "text": "The answer is B."}, {"id": "i2", "text": "A"}, {"id": 3, "text": "Answer: three"}]
SURE = [-5.0, -0.1, -4.0]


@pytest.fixture(autouse=True)
def _alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    monkeypatch.delenv("MEDBENCH_HOME", raising=False)
    Path("quiz.py").write_text(BENCHMARK)


def save(name: str, rows: list[Any]) -> str:
    Path(name).parent.mkdir(parents=True, exist_ok=True)
    Path(name).write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return name


def run(model: str, *words: object) -> Result:
    command = ["run", "-m", f"replay:{model}", "-b", "quiz.py", "--json", *map(str, words)]
    return CliRunner().invoke(cli, command, prog_name="medbench")


def board(done: Result) -> dict[str, Any]:
    (found,) = json.loads(done.stdout)["boards"]
    return dict(found)


def figures(done: Result) -> dict[str, tuple[Any, int, int]]:
    (row,) = board(done)["rows"]
    return {figure["metric"]: (figure["value"], figure["n"], figure["total"]) for figure in row["figures"]}


def flat(text: str) -> str:
    """A message as one line, whatever the width of the window."""
    return " ".join(text.split())


def stored(where: Path = Path("runs")) -> list[dict[str, Any]]:
    (samples,) = where.glob("*/samples.jsonl")
    lines = [json.loads(line) for line in samples.read_text(encoding="utf-8").splitlines()]
    return [{name: line[name] for name in ("item", "output")} for line in lines]  # a seal is the run's own


class TestScored:
    def test_saved_texts_are_read_as_any_models_are(self) -> None:
        done = run(save("mine.jsonl", RIGHT))
        assert done.exit_code == 0, done.output
        assert figures(done)["accuracy"] == (1.0, 3, 3)
        (row,) = board(done)["rows"]
        assert (row["model"], row["engine"], row["chat"]) == ("replay:mine", "replay", "as saved")
        assert [line["output"]["text"] for line in stored()] == ["The answer is B.", "A", "Answer: three"]

    def test_no_speed_and_no_memory_is_measured(self) -> None:
        done = run(save("mine.jsonl", RIGHT), "--metrics", "accuracy,throughput_tokens_per_s,peak_rss_bytes")
        assert not [name for name in figures(done) if name.endswith(("_s", "_bytes"))]
        (manifest,) = Path("runs").glob("*/manifest.json")
        (session,) = json.loads(manifest.read_text())["sessions"]
        assert (session["items"], session["seconds"], session["peak_rss_bytes"]) == (3, 0.0, None)
        rates = {"unparsed_rate", "truncated_rate"}
        each = {f"f1[{label}]" for label in "ABC"}
        assert figures(run("mine.jsonl", "--out", "other")).keys() == {"accuracy", "macro_f1"} | rates | each
        assert run("mine.jsonl", "--latency-items", 3).exit_code == 2

    def test_log_probabilities_choose_and_calibrate(self) -> None:
        by_label = {"C": -3.0, "A": -0.2, "B": None}
        by_option = {"one": -2.0, "two": -3.0, "three": -0.3}
        rows = [{"id": i, "logprobs": v} for i, v in (("i1", SURE), ("i2", by_label), ("3", by_option))]
        done = run(save("mine.jsonl", rows))
        assert done.exit_code == 0, done.output
        assert figures(done)["accuracy"] == (1.0, 3, 3)
        assert figures(done)["ece"][1] == 3
        assert board(done)["method"] == "logprob"
        assert [line["output"]["logprobs"] for line in stored()] == [SURE, [-0.2, None, -3.0], [-2.0, -3.0, -0.3]]

    def test_a_prediction_goes_before_a_text(self) -> None:
        rows = [
            {"id": "i1", "prediction": "B", "text": "long talk of A"},
            {"id": "i2", "prediction": "Fever", "text": "x"},
            {"id": "3", "prediction": "(C)", "text": None},
        ]
        assert figures(run(save("mine.jsonl", rows)))["accuracy"] == (1.0, 3, 3)

    @pytest.mark.parametrize(("choice", "method"), [("auto", "generate"), ("logprob", ""), ("generate", "generate")])
    def test_where_some_have_only_a_text_all_are_read_by_text(self, choice: str, method: str) -> None:
        rows = [{"id": "i1", "text": "B", "logprobs": SURE}, {"id": "i2", "text": "A"}, {"id": "3", "text": "C"}]
        done = run(save("mine.jsonl", rows), "--choice", choice)
        if not method:
            assert done.exit_code == 2
            assert "2 of 3 saved answers have no log-probabilities" in done.stderr
            return
        assert board(done)["method"] == method
        assert figures(done)["accuracy"] == (1.0, 3, 3)

    def test_an_open_question_has_the_text_as_it_was_saved(self) -> None:
        item = Item("q", "why?", references=("because",))
        engine = ReplayEngine(ModelSpec("r", save("open.jsonl", [{"id": "q", "text": " because\n\nof rain\n"}]), ""))
        planned = fakes.plan(fakes.benchmark(ItemSet((item,), "here")), ItemSet((item,), "here"), engine, Settings())
        (output,) = engine.generate(planned.generate_requests(set()))
        assert (output.text, output.finish, output.completion_tokens) == (" because\n\nof rain\n", "stop", 0)


class TestMissing:
    def test_a_missing_answer_is_unscored_and_told_never_wrong(self) -> None:
        done = run(save("mine.jsonl", RIGHT[:2]))
        assert done.exit_code == 1
        assert figures(done)["accuracy"] == (1.0, 2, 3)
        assert f"1 item has no answer. Item '3': {NO_ANSWER}" in done.stderr
        save("mine.jsonl", RIGHT)
        again = run("mine.jsonl", "--out", "other")
        assert figures(again)["accuracy"] == (1.0, 3, 3)
        assert "3" in {line["item"]["id"] for line in stored(Path("other"))}

    def test_null_is_no_answer_and_an_empty_text_is_one(self) -> None:
        rows = [{"id": "i1", "text": None}, {"id": "i2", "text": ""}, RIGHT[2]]
        done = run(save("mine.jsonl", rows))
        assert figures(done)["accuracy"] == (0.5, 2, 3), "nothing is a wrong answer; null is none"
        assert "Item 'i1': no answer saved for this item: mine.jsonl, line 1 has no text" in done.stderr

    def test_answers_to_unknown_items_are_told(self) -> None:
        done = run(save("mine.jsonl", [*RIGHT, {"id": "x9", "text": "A"}]))
        assert done.exit_code == 0
        assert "1 of 4 saved answers belong to no item of quiz: x9" in done.stderr

    def test_answers_to_nothing_that_is_asked_are_refused_with_what_ids_look_like(self) -> None:
        done = run(save("mine.jsonl", [{"id": "x9", "text": "A"}]))
        assert (done.exit_code, done.stdout) == (2, "")
        assert "none of the 1 answers" in done.stderr
        assert "Its ids look like i1." in done.stderr


class TestIdentity:
    def test_other_content_or_another_map_is_another_run_and_a_name_is_not(self) -> None:
        def revision(name: str, rows: list[Any], *words: object) -> str:
            (row,) = board(run(save(name, rows), *words))["rows"]
            return str(row["revision"])

        first = revision("a.jsonl", RIGHT)
        assert first == revision("b.jsonl", RIGHT)
        assert first != revision("c.jsonl", [*RIGHT[:2], {"id": "3", "text": "B"}])
        both = [row | {"id": str(row["id"]), "other": "A"} for row in RIGHT]
        one, two = (revision("d.jsonl", both, "--map", f"text={column}") for column in ("text", "other"))
        assert one != two

    def test_a_folder_has_a_file_for_each_benchmark(self) -> None:
        save("system/quiz.jsonl", RIGHT)
        save("system/medquad.jsonl", [{"id": "i1", "text": "of another benchmark"}])
        done = run("system")
        assert done.exit_code == 0, done.output
        assert board(done)["rows"][0]["model"] == "replay:system"
        revision = board(done)["rows"][0]["revision"]
        save("system/medqa.jsonl", [{"id": "m", "text": "A"}])
        assert board(run("system"))["rows"][0]["revision"] == revision, "of what this benchmark reads alone"

    @pytest.mark.parametrize(
        ("path", "name"),
        [
            ("system-{benchmark}.jsonl", "system"),
            ("{benchmark}_system.csv", "system"),
            ("system/{benchmark}.jsonl", "system"),
            ("{benchmark}/system.jsonl", "system"),
            ("system/{benchmark}/{benchmark}.jsonl", "system"),
        ],
    )
    def test_files_named_after_benchmarks_are_one_system(self, path: str, name: str) -> None:
        file = Path(path.replace("{benchmark}", "quiz"))
        if file.suffix == ".csv":
            file.write_text("id,text\n" + "".join(f"{row['id']},{row['text']}\n" for row in RIGHT), encoding="utf-8")
        else:
            save(str(file), RIGHT)
        done = run(path)
        assert done.exit_code == 0, done.output
        assert board(done)["rows"][0]["model"] == f"replay:{name}"
        assert figures(done)["accuracy"] == (1.0, 3, 3)

    def test_a_pattern_without_a_file_for_the_benchmark_is_refused_naming_it(self) -> None:
        save("system-medquad.jsonl", RIGHT)
        done = run("system-{benchmark}.jsonl")
        assert (done.exit_code, done.stdout) == (2, "")
        assert "there are no answers to quiz: " in flat(done.stderr)
        assert "system-{benchmark}.jsonl: system-medquad.jsonl." in flat(done.stderr)
        assert "no file fits" in run("other-{benchmark}.jsonl").stderr
        assert "must end in .jsonl or .csv" in run("system-{benchmark}.txt").stderr

    def test_a_folder_of_files_with_a_systems_name_is_told_of_the_pattern(self) -> None:
        save("answers/system-quiz.jsonl", RIGHT)
        assert "/answers/system-{benchmark}.jsonl'" in "".join(run("answers").stderr.split())

    @pytest.mark.parametrize("other", ["medquad", "someones-benchmark", "part-1", "quiz-old"])
    def test_a_folder_without_such_a_file_is_refused_naming_it_and_what_is_there(self, other: str) -> None:
        """Their ids fit, but they may be answers to anything."""
        save(f"system/{other}.jsonl", RIGHT)
        done = run("system")
        assert (done.exit_code, done.stdout) == (2, "")
        assert f"has no answers to quiz: it has no quiz.jsonl, but {other}.jsonl." in flat(done.stderr)
        file = str(Path("system").resolve() / f"{other}.jsonl")
        named = f"'replay:{file.replace('quiz', '{benchmark}')}'" if "quiz" in other else f"replay:{file}"
        assert f"--model {named}" in flat(done.stderr)
        assert not Path("runs").exists()
        assert figures(run(f"system/{other}.jsonl"))["accuracy"] == (1.0, 3, 3), "named, it is what is meant"

    def test_two_files_for_one_benchmark_are_refused_naming_both(self) -> None:
        save("system/quiz.jsonl", RIGHT)
        Path("system/quiz.csv").write_text("id,text\ni1,B\n")
        done = run("system")
        assert done.exit_code == 2
        assert "has two files of answers to quiz: quiz.csv and quiz.jsonl." in flat(done.stderr)

    def test_samples_of_a_run_on_another_benchmark_under_the_same_ids_are_refused(self) -> None:
        run(save("mine.jsonl", RIGHT))
        (folder,) = Path("runs").iterdir()
        lines = [json.loads(line) for line in (folder / "samples.jsonl").read_text().splitlines()]
        for line in lines:
            line["item"]["question"] = "Something else?"
        save("other/samples.jsonl", lines)
        done = run("other")
        assert (done.exit_code, done.stdout) == (2, "")
        assert "has the answers of a run to other questions than those of quiz" in flat(done.stderr)
        lines[0]["item"]["question"] = json.loads((folder / "samples.jsonl").read_text().splitlines()[0])["item"][
            "question"
        ]
        save("other/samples.jsonl", lines)
        assert "2 of 3 saved answers belong to no item of quiz" in run("other").stderr

    def test_another_runs_samples_are_read_as_they_are(self) -> None:
        first = run(
            save(
                "mine.jsonl",
                [{"id": "i1", "logprobs": SURE}, *({"id": i, "logprobs": [-1, None, -2]} for i in ("i2", "3"))],
            )
        )
        (folder,) = Path("runs").iterdir()
        again = run(str(folder), "--out", "other")
        assert again.exit_code == 0, again.output
        assert figures(again)["accuracy"] == figures(first)["accuracy"]
        assert board(again)["rows"][0]["model"] == f"replay:{folder.name}"
        assert stored(Path("other")) == stored()

    @pytest.mark.parametrize(
        ("change", "told"),
        [
            (lambda lines: [lines[0], lines[1].replace("two", "B"), lines[2]], "line 2 (item 'i2'): it was changed"),
            (lambda lines: [lines[0], lines[2]], "line 2 (item '3'): lines before it were deleted, added or moved"),
            (lambda lines: lines[:2], "samples.jsonl ends after line 2, but 3 lines were stored"),
            (
                lambda lines: [re.sub(r',"seal":"\w+"', "", line) for line in lines],
                "line 1 (item 'i1'): it has no seal",
            ),
        ],
        ids=["edited", "deleted", "cut off", "seals removed"],
    )
    def test_samples_of_a_run_that_were_changed_are_refused(
        self, change: Callable[[list[str]], list[str]], told: str
    ) -> None:
        assert run(save("mine.jsonl", [*RIGHT[:1], {"id": "i2", "text": "two"}, *RIGHT[2:]])).exit_code == 0
        (samples,) = Path("runs").glob("*/samples.jsonl")
        samples.write_text("".join(change(samples.read_text().splitlines(keepends=True))))
        for model in (samples, samples.parent):
            done = run(str(model), "--out", "other")
            assert (done.exit_code, told in flat(done.stderr)) == (2, True), done.stderr
        assert not Path("other").exists()

    def test_one_line_does_not_answer_two_benchmarks_that_ask_other_questions_under_its_id(self) -> None:
        save("mine.jsonl", RIGHT)
        Path("same.py").write_text(BENCHMARK.replace('name="quiz"', 'name="same"'))
        Path("other.py").write_text(BENCHMARK.replace('name="quiz"', 'name="other"').replace("first?", "1st?"))
        done = run("mine.jsonl", "-b", "same.py,other.py")
        assert done.exit_code == 1
        assert "answers 'i1', which is a different question in quiz than in other" in flat(done.stderr)
        assert [found["benchmark"] for found in json.loads(done.stdout)["boards"]] == ["quiz", "same"]

    def test_a_copy_of_samples_may_be_a_selection_of_lines_but_not_hold_changed_ones(self) -> None:
        assert run(save("mine.jsonl", RIGHT)).exit_code == 0
        (samples,) = Path("runs").glob("*/samples.jsonl")
        first, _, last = samples.read_text().splitlines(keepends=True)
        Path("some.jsonl").write_text(last + first)
        assert figures(run("some.jsonl", "--out", "some"))["accuracy"] == (1.0, 2, 3)
        Path("some.jsonl").write_text(last + first.replace("The answer is B.", "A"))
        done = run("some.jsonl", "--out", "other")
        assert done.exit_code == 2
        assert "some.jsonl, line 2 (item 'i1'): it was changed after it was stored" in flat(done.stderr)
        mapped = run("some.jsonl", "--out", "other", "--map", "id=output.item_id,text=output.text")
        assert figures(mapped)["accuracy"] == (0.5, 2, 3)
        assert re.search(r"changed after the run: \S*some.jsonl, line 2", flat(mapped.output)), (
            "it goes with the figures"
        )


class TestColumns:
    def test_columns_may_be_named_and_lie_deep(self) -> None:
        rows = [
            {"custom_id": r["id"], "response": {"choices": [{"content": r["text"]}]}, "logprobs": "?"} for r in RIGHT
        ]
        done = run(save("mine.jsonl", rows), "--map", "id=custom_id,text=response.choices.0.content")
        assert done.exit_code == 0, done.output
        assert figures(done)["accuracy"] == (1.0, 3, 3)

    @pytest.mark.parametrize(
        "failed",
        [
            {"response": None, "error": {"code": "batch_expired"}},
            {"response": {"choices": []}},
            {"response": {"choices": None}},
            {"response": {"error": {"message": "overloaded"}}},
            {"response": {"choices": [{"content": None}]}},
        ],
        ids=str,
    )
    def test_a_request_that_failed_in_a_batch_is_unscored(self, failed: dict[str, Any]) -> None:
        rows = [{"custom_id": r["id"], "response": {"choices": [{"content": r["text"]}]}} for r in RIGHT[:2]]
        rows.append({"custom_id": RIGHT[2]["id"], **failed})
        done = run(save("mine.jsonl", rows), "--map", "id=custom_id,text=response.choices.0.content")
        assert done.exit_code == 1
        assert figures(done)["accuracy"] == (1.0, 2, 3)
        assert "Item '3': no answer saved for this item: mine.jsonl, line 3 has no text" in flat(done.stderr)

    def test_a_path_that_no_row_has_is_refused(self) -> None:
        rows = [{"id": r["id"], "response": {"content": r["text"]}} for r in RIGHT]
        done = run(save("mine.jsonl", rows), "--map", "text=response.message")
        assert done.exit_code == 2
        assert "mine.jsonl, line 1: it has no 'response.message', and neither has any other row." in flat(done.stderr)

    def test_a_cell_may_be_longer_than_the_limit_of_pythons_reader(self) -> None:
        long = "I think so. " * 20_000 + "Answer: B"  # 240,009 characters; the limit is 131,072
        Path("mine.csv").write_text(f'id,text\ni1,"{long}"\n')
        run("mine.csv")
        assert stored()[0]["output"]["text"] == long

    def test_csv(self) -> None:
        Path("mine.csv").write_text('key,answer\ni1,"B,\nI think"\n\ni2,"A"\n3,\n', encoding="utf-8-sig")
        done = run("mine.csv", "--map", "id=key,prediction=answer")
        assert figures(done)["accuracy"] == (pytest.approx(2 / 3), 3, 3), "an empty cell is an answer, as in JSON lines"

    def test_csv_log_probabilities_are_json(self) -> None:
        Path("mine.csv").write_text('id,logprobs\ni1,"[-5, -0.1, -4]"\ni2,"{""A"": -0.1, ""B"": -2, ""C"": -3}"\n')
        assert figures(run("mine.csv"))["accuracy"] == (1.0, 2, 3)


class TestWrong:
    @pytest.mark.parametrize(
        ("content", "told"),
        [
            ('{"id": "i1", "text": "B"}\n{"id": "i2", "te', "mine.jsonl, line 2: not JSON"),
            ('[{"id": "i1", "text": "B"}]', "line 1: each line must be an object, not a JSON list of all rows"),
            ('[{"id": "i1", "text": "B"}]', "jq -c '.[]'"),
            ('[\n {"id": "i1"}]', "jq -c '.[]'"),
            ('{\n "id": "i1"\n}', "To put each object on one line: jq -c ."),
            ('{"id": "i1", "text": "B", "x": ' + "[" * 100_000 + "]" * 100_000 + "}", "line 1: not JSON: nested more"),
            ('{"id": "i1", "text": "B", "x": ' + "[" * 100_000, "line 1: not JSON: nested more than 100 deep"),
            ('{"id": "i1", "text": "B", "x": ' + "9" * 5000 + "}", "line 1: not JSON: an integer of 5,000 digits"),
            ('{"id": "i1", "text": "B\0"}', "line 1: not JSON: Invalid control character"),
            ('{"id": "i1", "answer": "B"}', "line 1: it has none of text, prediction, logprobs. It has: id, answer."),
            ('\n{"text": "B"}', "line 2: it has no 'id'"),
            ('{"id": null, "text": "B"}', "line 1: 'id' should be the id of an item, not None"),
            ('{"id": "i1", "text": ["B"]}', "--map id=id,text=text.0"),
            ('{"id": "i1", "text": 2}', "line 1: 'text' should be a text, not 2"),
            ('{"id": "i1", "logprobs": [0.2, 0.7, 0.1]}', "a log-probability is at most 0"),
            ('{"id": "i1", "logprobs": [-1, NaN, -2]}', "which is not a log-probability"),
            ('{"id": "i1", "logprobs": [-1, "x", -2]}', "which is not a log-probability"),
            ('{"id": "i1", "logprobs": []}', "one number for each option"),
            ('{"id": "i1", "logprobs": [-1, -2]}', "line 1: 2 log-probabilities for the 3 options of the item i1"),
            ('{"id": "i1", "logprobs": {"A": -1, "B": -2}}', "the item i1 has A, B, C"),
            (
                '{"id": "i1", "text": "A"}\n\n{"id": "i1", "text": "A"}',
                "'i1': mine.jsonl, line 1 and mine.jsonl, line 3",
            ),
            ("\n\n", "has no answers"),
            ("", "has no answers"),
        ],
    )
    def test_what_is_wrong_with_a_file_is_told_with_its_line(self, content: str, told: str) -> None:
        Path("mine.jsonl").write_text(content, encoding="utf-8")
        done = run("mine.jsonl")
        assert (done.exit_code, done.stdout) == (2, ""), done.output
        assert told in done.stderr
        assert "Traceback" not in done.stderr
        assert not Path("runs").exists()

    def test_bytes_that_are_not_utf8(self) -> None:
        Path("mine.jsonl").write_bytes(b'{"id": "i1", "text": "B"}\n{"id": "i2", "text": "\xff"}\n')
        done = run("mine.jsonl")
        assert done.exit_code == 2
        assert "mine.jsonl, line 2: not UTF-8" in done.stderr

    def test_utf_16(self) -> None:
        Path("mine.csv").write_text("id,text\ni1,B\n", encoding="utf-16")
        done = run("mine.csv")
        assert done.exit_code == 2
        assert "mine.csv, line 1: UTF-16, not UTF-8." in done.stderr
        assert "Save the file as UTF-8." in done.stderr

    def test_a_line_longer_than_any_answer_is_refused_before_it_is_in_memory(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(json_text, "MAX_LINE", 1 << 20)
        Path("mine.jsonl").write_text(json.dumps({"id": "i1", "text": "B" * (2 << 20)}))
        done = run("mine.jsonl")
        assert done.exit_code == 2
        assert "mine.jsonl, line 1: longer than 1 MiB." in flat(done.stderr)

    @pytest.mark.parametrize(
        ("content", "told"),
        [
            ("id,text\ni1,B,C\n", "line 2: 3 cells under 2 headings (id, text)"),
            ('id,text\ni1,"B\n', "not CSV"),
            ("name,text\ni1,B\n", "line 2: it has no 'id'. It has: name, text."),
            ("id;text\ni1;B\n", "Its cells seem to be separated by semicolons; commas are expected."),
            ("id\ttext\ni1\tB\n", "Its cells seem to be separated by tabs"),
            ("id,text,text\ni1,B,C\n", "line 1: two columns are called 'text'"),
            ("id,text\ni1,B\0\n", "line 2: it holds a NUL character"),
        ],
    )
    def test_csv(self, content: str, told: str) -> None:
        Path("mine.csv").write_text(content)
        done = run("mine.csv")
        assert done.exit_code == 2
        assert told in done.stderr

    @pytest.mark.parametrize(
        ("model", "words", "told"),
        [
            ("none.jsonl", (), "there is no file or folder"),
            ("", (), "names no file"),
            ("empty", (), "has no file that ends in .jsonl or .csv"),
            ("quiz.py", (), "quiz.py: saved answers must be in a file that ends in .jsonl or .csv"),
            ("mine.jsonl", ("--map", "text"), "--map text: give FIELD=COLUMN"),
            ("mine.jsonl", ("--map", "id=key"), "does not say where the answers are"),
            ("mine.jsonl", ("--map", "id=a,id=b,text=c"), "names the column of id twice"),
            ("mine.jsonl", ("--map", "text=reply"), "it has no 'reply'. It has: id, text."),
            ("mine.jsonl", ("--quantize", "nf4"), "--quantize nf4: the answers in mine.jsonl exist already"),
            ("mine.jsonl", ("--chat", "never"), "--chat never: the answers"),
            ("mine.jsonl", ("--base-url", "http://localhost:1"), "--base-url"),
        ],
    )
    def test_what_cannot_be_meant(self, model: str, words: tuple[str, ...], told: str) -> None:
        Path("empty").mkdir()
        save("mine.jsonl", RIGHT)
        done = run(model, *words)
        assert (done.exit_code, done.stdout) == (2, "")
        assert told in " ".join(done.stderr.split())

    def test_columns_without_saved_answers(self) -> None:
        words = ["run", "-m", "openai:gpt", "--map", "id=x,text=y", "-b", "quiz.py"]
        done = CliRunner().invoke(cli, words, prog_name="medbench")
        assert done.exit_code == 2
        assert "--map id=x,text=y: openai:gpt runs on the engine openai, which has no such option." in done.stderr
        assert "It is an option of: --model replay:NAME" in done.stderr
        save("mine.jsonl", RIGHT)
        both = run(
            "mine.jsonl,replay:mine.jsonl,openai:gpt", "--map", "text=text", "--base-url", "http://127.0.0.1:9/v1"
        )
        assert figures(both)["accuracy"] == (1.0, 3, 3), "columns of the saved answers beside another model"

    def test_the_engines_name_does_what_the_prefix_does(self) -> None:
        words = ["run", "-m", save("mine.jsonl", RIGHT), "--engine", "replay", "-b", "quiz.py", "--json"]
        done = CliRunner().invoke(cli, words, prog_name="medbench")
        assert board(done)["rows"][0]["model"] == "replay:mine"


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=6,
)
ROWS = st.dictionaries(
    st.sampled_from(["id", "text", "prediction", "logprobs", "prompt", "item", "output"]) | st.text(), VALUES
)


@settings(max_examples=150, deadline=None)
@given(st.lists(ROWS | VALUES, max_size=4), st.binary(max_size=8))
def test_whatever_a_file_holds_it_is_read_or_refused_in_words(
    tmp_path_factory: pytest.TempPathFactory, rows: list[Any], torn: bytes
) -> None:
    path = tmp_path_factory.mktemp("wild") / "wild.jsonl"
    path.write_bytes("".join(json.dumps(row) + "\n" for row in rows).encode("utf-8", "backslashreplace") + torn)
    engine = ReplayEngine(ModelSpec("r", str(path), ""))
    refused = ""
    try:
        engine.load()
    except UsageError as error:
        refused = error.message
    if refused:
        assert str(path) in refused
        return
    ids = [str(row["id"]) for row in rows if isinstance(row, dict) and "id" in row]
    for item_id in {*ids, "never saved"}:
        (output,) = engine.generate([GenerateRequest(item_id, Prompt("?"), 1)])
        assert (output.text is None) == (output.error is not None)


@settings(max_examples=100, deadline=None)
@given(
    st.dictionaries(st.text(min_size=1), st.text().filter(lambda text: split(text).answer == text.strip()), min_size=1)
)
def test_texts_and_ids_come_back_to_the_letter(tmp_path_factory: pytest.TempPathFactory, saved: dict[str, str]) -> None:
    path = tmp_path_factory.mktemp("texts") / "texts.jsonl"
    lines = [json.dumps({"id": i, "text": t}, ensure_ascii=not i.isascii()) + "\n" for i, t in saved.items()]
    path.write_bytes("".join(lines).encode("utf-8", "backslashreplace"))
    engine = ReplayEngine(ModelSpec("r", str(path), ""))
    found = {o.item_id: o.text for o in engine.generate([GenerateRequest(i, Prompt("?"), 1) for i in saved])}
    assert found == saved


def test_a_saved_answer_is_shown_with_the_options_because_its_prompt_was_not_saved() -> None:
    assert run(save("alpha.jsonl", RIGHT)).exit_code == 0
    shown = CliRunner().invoke(cli, ["show", "replay_alpha__quiz", "i1"]).output
    for line in ("question · its prompt was not saved", "first?", "A. aspirin", "B. heparin", "C. placebo"):
        assert line in shown


def test_minus_infinity_is_a_log_probability() -> None:
    rows = [{"id": "i1", "logprobs": [-math.inf, -0.1, None]}]
    done = run(save("mine.jsonl", rows))
    assert figures(done)["accuracy"] == (1.0, 1, 3)
    assert stored()[0]["output"]["logprobs"] == [None, -0.1, None]


def test_a_map_is_fields_and_columns() -> None:
    assert columns(" id = a b , text=c=d ") == {"id": "a b", "text": "c=d"}
