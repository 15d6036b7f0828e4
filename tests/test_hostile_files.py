"""Untrusted files: errors name file, row, field and what is expected, and the other benchmarks still run."""

from __future__ import annotations

import json
import zipfile
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result
from medbench.benchmarks.sources import files as sources
from medbench.benchmarks.sources.files import Source, SourceFile
from medbench.benchmarks.sources.rows import Row, json_rows
from medbench.cli import cli
from medbench.core import json_text
from medbench.core.checked import checked
from medbench.core.errors import DataMalformed, MedbenchError
from medbench.core.types import Item, ItemSet

GOOD: dict[str, Any] = {
    "question": "Which drug?",
    "options": {"A": "aspirin", "B": "heparin", "C": "warfarin", "D": "placebo"},
    "answer_idx": "A",
    "answer": "aspirin",
}
BENCHMARK = """
from medbench.benchmarks.sources.rows import json_rows
from medbench.core.types import Benchmark, Item, ItemSet

def read(row):
    return Item(row.text("id"), row.text("question"), options=row.texts("options"), gold=row.index("gold", 0, 2))

def load(source):
    file = source.file("quiz", "quiz.json")
    return ItemSet(tuple(map(read, json_rows(file))), file.origin)

BENCHMARK = Benchmark(
    name="quiz", version="1", summary="for tests", citation="none", licence="MIT",
    load=load, question=lambda item: item.question + "\\nAnswer:", metrics=("accuracy",),
)
"""


ROW: dict[str, Any] = {"id": "a", "question": "?", "options": ["yes", "no"], "gold": 0}


@pytest.fixture(autouse=True)
def _alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")


def run(*words: str) -> Result:
    return CliRunner().invoke(cli, ["run", *words, "--out", "runs"], prog_name="medbench")


def put(path: str, content: bytes | str) -> Path:
    file = Path(path)
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_bytes(content if isinstance(content, bytes) else content.encode())
    return file


def third(raw: bytes) -> bytes:
    """Two good rows, then this one."""
    good = json.dumps(GOOD).encode()
    return b"\n".join([good, good, raw, good])


def but(**fields: Any) -> bytes:
    return json.dumps(GOOD | fields).encode()


class TestBenchmarkFiles:
    @pytest.mark.parametrize(
        ("raw", "told"),
        [
            (b'{"question": ' + b"[" * 100_000 + b"]" * 100_000 + b"}", "row 3: not JSON: nested more than 100 deep."),
            (b'{"n": ' + b"9" * 5000 + b"}", "row 3: not JSON: an integer of 5,000 digits."),
            (b'{"question": "a\0b"}', "row 3: not JSON, from character 16 on: Invalid control character at."),
            (b'{"question": "caf\xe9"}', "row 3: not UTF-8: byte 17."),
            (b'{"question": "ca', "row 3: not JSON, from character 17 on: Invalid control character at."),
            (json.dumps([GOOD] * 5).encode(), "row 3: an object is expected, not a list of 5."),
            (
                b"[\n",
                "row 3: not JSON, from character 3 on: Expecting value.\n"
                "To turn a list of rows into lines: jq -c '.[]' FILE",
            ),
            (
                b"{\n",
                "row 3: not JSON, from character 3 on: Expecting property name enclosed in double quotes.\n"
                "To put each object on one line: jq -c . FILE",
            ),
            (b"null", "row 3: an object is expected, not None."),
            (but(question=None), "row 3, field 'question': a text is expected, not None."),
            (but(question=7), "row 3, field 'question': a text is expected, not 7."),
            (but(options=None), "row 3, field 'options': texts for A, B, C and D are expected."),
            (
                but(options={"A": 1, "B": "b", "C": "c", "D": "d"}),
                "row 3, options, field 'A': a text is expected, not 1.",
            ),
            (but(answer_idx=0), "row 3, field 'answer_idx': 0 is not one of A, B, C, D."),
            (but(answer_idx=["A"]), "row 3, field 'answer_idx': ['A'] is not one of A, B, C, D."),
            (but(answer_idx={"A": 1}), "row 3, field 'answer_idx': {'A': 1} is not one of A, B, C, D."),
        ],
        ids=lambda value: value if isinstance(value, str) else "",
    )
    def test_a_damaged_row_stops_its_benchmark_in_words_and_no_other(self, raw: bytes, told: str) -> None:
        file = put("data/medqa/phrases_no_exclude_test.jsonl", third(raw))
        put("answers.jsonl", json.dumps({"id": "pubmedqa-sample/nothing", "text": "A"}))
        done = run("-b", "medqa,pubmedqa-sample", "-m", "replay:answers.jsonl", "--data", "data")
        assert done.exit_code == 1
        assert f"Not done: medqa: {file}, {told}" in done.stderr
        assert "on pubmedqa-sample: none of the 1 answers" in done.stderr, "which was tried all the same"

    def test_a_byte_order_mark_and_half_a_surrogate_pair_are_no_reason_to_stop(self) -> None:
        rows = b"\xef\xbb\xbf" + third(but(question="Which \ud83d drug?"))
        file = put("data/medqa/phrases_no_exclude_test.jsonl", rows)
        items = Source(Path("data")).files("medqa", file.name)[0]
        assert next(json.loads(line)["question"] for _, line in items.lines()) == "Which drug?"
        put("answers.jsonl", "".join(json.dumps({"id": str(n), "text": "A"}) + "\n" for n in range(4)))
        done = run("-b", "medqa", "-m", "replay:answers.jsonl", "--data", "data")
        assert done.exit_code == 0, done.output
        (samples,) = Path("runs").glob("*/samples.jsonl")
        questions = [json.loads(line)["item"]["question"] for line in samples.read_text().splitlines()]
        assert questions == ["Which drug?", "Which drug?", "Which \ufffd drug?", "Which drug?"]

    def test_utf_16_is_called_by_its_name(self) -> None:
        put("data/medqa/phrases_no_exclude_test.jsonl", json.dumps(GOOD).encode("utf-16"))
        put("answers.jsonl", json.dumps({"id": "0", "text": "A"}))
        done = run("-b", "medqa", "-m", "replay:answers.jsonl", "--data", "data")
        assert "phrases_no_exclude_test.jsonl, row 1: UTF-16, not UTF-8." in done.stderr

    def test_what_is_too_long_for_memory_is_refused_after_the_bound(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """The file is 4 GB of nothing, on no disk: reading it whole would take minutes and all memory."""
        for path in ("data/medqa/phrases_no_exclude_test.jsonl", "data/pubmedqa/ori_pqal.json", "answers.jsonl"):
            with put(path, "").open("wb") as file:
                file.truncate(4 << 30)
        assert json_text.MAX_LINE == 64 << 20 and sources.MAX_FILE == 1 << 30
        done = run("-b", "medqa,pubmedqa", "-m", "replay:answers.jsonl", "--data", "data")
        assert "phrases_no_exclude_test.jsonl, row 1: longer than 64 MiB." in done.stderr
        assert "ori_pqal.json is larger than 1 GiB." in done.stderr
        assert (
            "answers.jsonl, line 1: longer than 64 MiB."
            in run("-b", "medqa-sample", "-m", "replay:answers.jsonl").stderr
        )


class TestJsonRows:
    """What a custom benchmark reads with `json_rows`: a list of objects, or JSON lines."""

    def quiz(self, content: Any) -> list[Row]:
        file = put("quiz.json", content if isinstance(content, str | bytes) else json.dumps(content))
        return list(json_rows(SourceFile("quiz.json", file)))

    @pytest.mark.parametrize(
        "rows", [[{"id": "a"}, {"id": "b"}], '{"id": "a"}\n{"id": "b"}\n', ' \n[{"id":"a"},{"id":"b"}]']
    )
    def test_both_forms(self, rows: Any) -> None:
        assert [row.text("id") for row in self.quiz(rows)] == ["a", "b"]

    def test_one_long_line_is_a_list_all_the_same(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(json_text, "MAX_LINE", 1000)
        assert len(self.quiz([{"id": "a" * 100}] * 50)) == 50

    @pytest.mark.parametrize("row", [None, 7, "text", [], [1]], ids=repr)
    def test_a_row_that_is_no_object(self, row: Any) -> None:
        with pytest.raises(DataMalformed, match=r"quiz\.json, row 2: an object is expected, not"):
            self.quiz([{"id": "a"}, row])

    @pytest.mark.parametrize(
        ("fields", "told"),
        [
            ({"question": None}, "row 1, field 'question': a text is expected, not None."),
            ({"question": ["a"]}, "row 1, field 'question': a text is expected, not ['a']."),
            ({"options": None}, "row 1, field 'options': a list of texts is expected, not None."),
            ({"options": "yes, no"}, "row 1, field 'options': a list of texts is expected, not 'yes, no'."),
            ({"options": ["yes", 0]}, "row 1, field 'options': a list of texts is expected, but its entry 2 is 0."),
            (
                {"options": ["yes", None]},
                "row 1, field 'options': a list of texts is expected, but its entry 2 is None.",
            ),
            ({"gold": None}, "row 1, field 'gold': None is not from 0 to 1."),
            ({"gold": "B"}, "row 1, field 'gold': 'B' is not from 0 to 1."),
            ({"gold": True}, "row 1, field 'gold': True is not from 0 to 1."),
            ({"gold": 1.0}, "row 1, field 'gold': 1.0 is not from 0 to 1."),
            ({"gold": 2}, "row 1, field 'gold': 2 is not from 0 to 1."),
        ],
    )
    def test_a_wrong_value_is_told_with_file_row_and_field(self, fields: dict[str, Any], told: str) -> None:
        put("quiz.py", BENCHMARK)
        file = put(
            "data/quiz/quiz.json",
            json.dumps([ROW | fields]),
        )
        put("answers.jsonl", json.dumps({"id": "a", "text": "yes"}))
        done = run("-b", "quiz.py", "-m", "replay:answers.jsonl", "--data", "data")
        assert done.exit_code == 1
        assert f"Not done: quiz: {file}, {told}" in done.stderr

    def test_an_official_looking_copy_beside_it_is_not_guessed_between(self) -> None:
        put("quiz.py", BENCHMARK)
        put("answers.jsonl", json.dumps({"id": "a", "text": "yes"}))
        put("data/quiz/2023/quiz.json", json.dumps([ROW]))
        put("data/quiz/2024/quiz.json", json.dumps([ROW | {"gold": 1}]))
        done = run("-b", "quiz.py", "-m", "replay:answers.jsonl", "--data", "data")
        assert done.exit_code == 1
        assert "Not done: quiz: two files match, and they differ: data/quiz/2023/quiz.json and " in done.stderr
        assert run("-b", "quiz.py", "-m", "replay:answers.jsonl", "--data", "data/quiz/2024").exit_code == 0

    def test_a_file_of_another_folder_is_in_the_notes_of_the_run(self) -> None:
        put("quiz.py", BENCHMARK)
        put("answers.jsonl", json.dumps({"id": "a", "text": "yes"}))
        with zipfile.ZipFile(put("data/other/x.zip", b""), "w") as archive:
            archive.writestr("quiz.json", json.dumps([ROW]))
        done = run("-b", "quiz.py", "-m", "replay:answers.jsonl", "--data", "data")
        assert done.exit_code == 0, done.output
        note = "Read from data/other/x.zip:quiz.json: no folder called quiz below data has such a file."
        assert f"quiz: {note}" in done.stderr
        (manifest,) = Path("runs").glob("*/manifest.json")
        stored = json.loads(manifest.read_text())["benchmark"]
        assert (stored["origin"], stored["notes"]) == ("data/other/x.zip:quiz.json", [note])


class TestItemsFile:
    @pytest.mark.parametrize("content", [b"\xef\xbb\xbfq1\nq2\n", b"q1\r\nq2\r\n", b"\n q1 \n\nq2\nq1"], ids=repr)
    def test_marks_and_line_ends_of_other_systems(self, content: bytes) -> None:
        from medbench.experiments.experiment import _ids

        assert _ids(put("ids.txt", content)) == ("q1", "q2")

    @pytest.mark.parametrize(
        ("content", "told"),
        [
            (b"q1\nq\xe9\n", "--items ids.txt, line 2: not UTF-8: byte 1."),
            ("q1\n".encode("utf-16"), "--items ids.txt, line 1: UTF-16, not UTF-8."),
            (b"\n\n", "--items ids.txt has no ids."),
        ],
    )
    def test_what_is_wrong_is_told_by_line(self, content: bytes, told: str) -> None:
        put("ids.txt", content)
        done = run("-b", "medqa-sample", "--items", "ids.txt")
        assert (done.exit_code, done.stdout) == (2, "")
        assert told in done.stderr


RIGHT: dict[str, Any] = {"id": "a", "question": "?", "options": ("yes", "no"), "gold": 0}


@pytest.mark.parametrize(
    ("fields", "told"),
    [
        ({"id": 7}, "an item has the id 7; a string is expected (id=str(…))"),
        ({"question": None}, "item 'a' has the question None (null); a string is expected"),
        ({"context": 3}, "item 'a' has the context 3; a string is expected"),
        ({"options": (1, 2)}, "item 'a' has 1 as number 1 of its options; a string is expected"),
        ({"options": {"A": "x"}}, "item 'a' has {'A': 'x'} for `options`; a tuple of strings is expected"),
        ({"gold": "B"}, "item 'a' has the gold 'B'; the index of the correct option is expected, 0 for the first"),
        ({"gold": True}, "item 'a' has the gold True; the index of the correct option is expected, 0 for the first"),
        ({"options": (), "references": (None,)}, "item 'a' has None (null) as number 1 of its references; a string is"),
    ],
)
def test_a_benchmarks_own_code_may_give_anything(fields: dict[str, Any], told: str) -> None:
    with pytest.raises(MedbenchError) as error:
        checked(ItemSet((Item(**(RIGHT | fields)),), "here"))
    assert told in error.value.message


def test_half_a_surrogate_pair_in_an_item_is_replaced() -> None:
    item = Item(**(RIGHT | {"question": "a\ud83db", "options": ("yes\udc00", "no")}))
    (found,) = checked(ItemSet((item,), "here")).items
    assert (found.question, found.options, found.gold) == ("a\ufffdb", ("yes\ufffd", "no"), 0)
