"""Answers in the files of lm-evaluation-harness and Inspect, replayed: which item each answers, and what is left out.

The files in tests/peer_files were written by these tools.
"""

from __future__ import annotations

import json
import shutil
import zipfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import medbench
import pytest
from click.testing import CliRunner, Result
from medbench.cli import cli

FILES = Path(__file__).parent / "peer_files"
TIME = "2026-11-29T12-27-37.987697"
MCQ = "2026-11-29T12-26-53-00-00_vitamins_2fgJ7oeaxvc4A3GCR7jZ79.eval"
OPEN = "2026-11-29T12-26-55-00-00_openq_gceaZxzrKx66DYqaQuhkyW.json"

VITAMINS = """
from medbench.core.types import Benchmark, Item, ItemSet

ITEMS = (
    Item("scurvy", "Which vitamin prevents scurvy?", options=("Vitamin A", "Vitamin B12", "Vitamin C", "Vitamin K"),
         labels=("A", "B", "C", "D"), gold=2),
    Item("insulin", "Which organ makes  insulin ?", options=("Liver", "Pancreas", "Spleen", "Kidney"),
         labels=("A", "B", "C", "D"), gold=1),
)
BENCHMARK = Benchmark(
    name="vitamins", version="1", summary="for tests", citation="none", licence="MIT",
    load=lambda source: ItemSet(ITEMS, "here"), question=lambda item: item.question + "\\nAnswer:",
    metrics=("accuracy", "brier"),
)
"""
OPENQ = """
from medbench.core.types import Benchmark, Item, ItemSet

BENCHMARK = Benchmark(
    name="openq", version="1", summary="for tests", citation="none", licence="MIT",
    load=lambda source: ItemSet((Item("anemia", "What is anemia? " + "long text " * 50, references=("Other words.",)),
                                 Item("asthma", "What is asthma?", references=("A disease of the airways.",))), "here"),
    question=lambda item: item.question, metrics=("token_f1",),
)
"""


@pytest.fixture(autouse=True)
def _files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("MEDBENCH_HOME", raising=False)
    shutil.copytree(FILES, "beta")
    Path("vitamins.py").write_text(VITAMINS)
    Path("openq.py").write_text(OPENQ)


def run(model: str, *words: str, benchmark: str = "vitamins.py") -> Result:
    command = ["run", "-m", f"replay:{model}", "-b", benchmark, "--json", *words]
    return CliRunner().invoke(cli, command, prog_name="medbench")


def flat(text: str) -> str:
    return " ".join(text.split())


def outputs(benchmark: str = "vitamins") -> dict[tuple[str, int], dict[str, Any]]:
    (samples,) = Path("runs").glob(f"*__{benchmark}__*/samples.jsonl")
    records = [json.loads(line) for line in samples.read_text(encoding="utf-8").splitlines()]
    return {(r["item"]["id"], r["output"].get("sample", 0)): r["output"] for r in records}


def figure(done: Result, name: str) -> tuple[float | None, int]:
    (board,) = json.loads(done.stdout)["boards"]
    (found,) = [each for each in board["rows"][0]["figures"] if each["metric"] == name]
    return found["value"], found["n"]


def change(file: str, how: Callable[[dict[str, Any]], object], to: str = "changed.jsonl") -> str:
    """Write the lines of a file after `how` changed each."""
    lines = [json.loads(line) for line in Path(file).read_text(encoding="utf-8").splitlines()]
    for line in lines:
        how(line)
    Path(to).write_text("".join(json.dumps(line) + "\n" for line in lines), encoding="utf-8")
    return to


def change_benchmark(before: str, after: str) -> None:
    text = Path("vitamins.py").read_text()
    assert before in text
    Path("vitamins.py").write_text(text.replace(before, after))


LETTERS = f"beta/samples_vitamins_{TIME}.jsonl"
WORDS = f"beta/samples_vitamins_cloze_{TIME}.jsonl"
GENERATED = f"beta/samples_vitamins_gen_{TIME}.jsonl"


class TestLmEval:
    def test_options_by_letter(self) -> None:
        done = run(LETTERS)
        assert done.exit_code == 0, done.output
        # lm-eval's own acc is 0 for the first and 1 for the second.
        assert figure(done, "accuracy") == (0.5, 2)
        assert outputs()["insulin", 0]["logprobs"] == pytest.approx([-0.70528, -0.27563, -0.81163, -0.84949], abs=1e-5)
        assert outputs()["scurvy", 0]["prompt"].endswith("D. Vitamin K\nAnswer:")
        (row,) = json.loads(done.stdout)["boards"][0]["rows"]
        assert row["model"] == "replay:beta"
        (manifest,) = Path("runs").glob("*/manifest.json")
        assert json.loads(manifest.read_text())["engine"]["written_by"] == "lm-evaluation-harness"

    def test_options_by_their_words(self) -> None:
        assert figure(run(WORDS), "accuracy") == (0.0, 2)
        assert outputs()["insulin", 0]["logprobs"][0] == pytest.approx(-0.45056, abs=1e-5)

    @pytest.mark.parametrize("file", [LETTERS, WORDS])
    def test_options_in_another_order_are_matched_by_their_words(self, file: str) -> None:
        change_benchmark(
            '("Liver", "Pancreas", "Spleen", "Kidney"),\n         labels=("A", "B", "C", "D"), gold=1',
            '("Kidney", "Liver", "Pancreas", "Spleen"),\n         labels=("A", "B", "C", "D"), gold=2',
        )
        assert run(file).exit_code == 0
        ours = outputs()["insulin", 0]["logprobs"]
        theirs = [json.loads(line) for line in Path(file).read_text().splitlines()][1]["resps"]
        assert ours == pytest.approx([float(theirs[at][0][0]) for at in (3, 0, 1, 2)])

    def test_repeats_are_samples_and_filters_are_not(self) -> None:
        alone = run(GENERATED)
        assert alone.exit_code == 2 and "--samples" in alone.output
        assert run(GENERATED, "--samples", "2").exit_code == 0
        assert {key: output["text"] for key, output in outputs().items()} == dict.fromkeys(
            [(item, sample) for item in ("scurvy", "insulin") for sample in (0, 1)], "lol"
        )

    def test_the_folder_that_lm_eval_wrote_is_one_model(self) -> None:
        for file in (GENERATED, WORDS, f"beta/{MCQ}"):
            Path(file).unlink()
        done = run("beta")
        assert figure(done, "accuracy") == (0.5, 2)
        Path(LETTERS).rename(f"beta/samples_other_{TIME}.jsonl")
        assert "has no answers to vitamins" in flat(run("beta").output)

    def test_a_question_in_the_middle_of_the_prompt(self) -> None:
        """Where no text of the data is the question alone, it is looked for in the prompt."""
        file = change(LETTERS, lambda line: line["doc"].update(sent1="", query="x"))
        assert figure(run(file), "accuracy") == (0.5, 2)

    def test_examples_before_the_question_are_not_the_question(self) -> None:
        shots = "Question: Which organ makes insulin?\nA. Liver\nB. Pancreas\nC. Spleen\nD. Kidney\nAnswer: B\n\n"

        def with_examples(line: dict[str, Any]) -> None:
            line["doc"] = {"id": line["doc_id"]}
            for each in line["arguments"].values():
                each["arg_0"] = shots + each["arg_0"]

        run(change(LETTERS, with_examples))
        assert outputs()["scurvy", 0]["logprobs"][0] == pytest.approx(-0.89817, abs=1e-5)

    def test_the_older_form_of_arguments(self) -> None:
        def older(line: dict[str, Any]) -> None:
            line["arguments"] = [[each["arg_0"], each["arg_1"]] for each in line["arguments"].values()]
            line["resps"] = [[[float(reply[0][0]), False]] for reply in line["resps"]]

        assert figure(run(change(LETTERS, older)), "accuracy") == (0.5, 2)


class TestWhatDoesNotMatch:
    def test_a_question_of_another_benchmark_is_reported_and_not_scored(self) -> None:
        def ask_another(line: dict[str, Any]) -> None:
            if line["doc_id"] == 0:
                line["doc"]["sent1"] = "Which vitamin prevents rickets?"
                for each in line["arguments"].values():
                    each["arg_0"] = each["arg_0"].replace("scurvy", "rickets")

        done = run(change(LETTERS, ask_another))
        assert "1 of 2 answers in changed.jsonl belong to no item of vitamins: line 1" in flat(done.stderr)
        assert figure(done, "accuracy") == (1.0, 1) and list(outputs()) == [("insulin", 0)]

    def test_the_same_id_is_not_the_same_question(self) -> None:
        change_benchmark('"scurvy", "Which vitamin prevents scurvy?"', '"q1", "Which vitamin is made in the skin?"')
        done = run(LETTERS)
        assert "although one with the same id asks something else" in flat(done.stderr)
        assert figure(done, "accuracy")[1] == 1

    def test_no_answer_at_all_is_an_error_before_anything_runs(self) -> None:
        done = run(LETTERS, benchmark="openq.py")
        assert done.exit_code == 2 and "has no answer to an item of openq" in flat(done.output)
        assert not Path("runs").exists()

    @pytest.mark.parametrize("file", [LETTERS, WORDS, f"beta/{MCQ}"])
    def test_other_options_are_reported_and_not_scored(self, file: str) -> None:
        change_benchmark('"Vitamin K"', '"Vitamin E"')
        done = run(file)
        assert "are to other options than those of the item" in flat(done.stderr)
        assert figure(done, "accuracy")[1] == 1

    def test_words_that_name_options_in_another_order_are_not_scored(self) -> None:
        change_benchmark('("Liver", "Pancreas", "Spleen", "Kidney")', '("Pancreas", "Liver", "Spleen", "Kidney")')
        done = run(f"beta/{MCQ}")
        assert "name options in another order than the item's: sample 2" in flat(done.stderr)
        assert figure(done, "accuracy") == (1.0, 1)

    @pytest.mark.parametrize("file", [LETTERS, WORDS, f"beta/{MCQ}"])
    def test_another_right_answer_is_reported_and_ours_counts(self, file: str) -> None:
        change_benchmark("gold=1", "gold=3")
        done = run(file)
        assert "1 item has another right answer in the file than in vitamins" in flat(done.stderr)
        assert "insulin" in done.stderr and figure(done, "accuracy")[1] == 2

    def test_right_answers_that_agree_are_not_reported(self) -> None:
        for file in (LETTERS, WORDS, f"beta/{MCQ}"):
            assert "right answer" not in run(file).stderr

    def test_two_items_with_one_question_are_told_apart_by_their_options(self) -> None:
        twin = (
            '    Item("twin", "Which organ makes insulin?", options=("Lung", "Skin"), labels=("A", "B"), gold=0),\n)\nB'
        )
        change_benchmark(")\nB", twin)
        done = run(LETTERS)
        assert {item for item, _ in outputs()} == {"scurvy", "insulin"}, done.output

    def test_two_equal_items_are_not_guessed(self) -> None:
        text = Path("vitamins.py").read_text()
        start = text.index('    Item("insulin"')
        item = text[start : text.index(")\nB")]
        change_benchmark(")\nB", item.replace('"insulin"', '"twin"') + ")\nB")
        done = run(LETTERS)
        assert "because several items have the same question: line 2" in flat(done.stderr)
        assert list(outputs()) == [("scurvy", 0)]

    def test_two_answers_in_one_place(self) -> None:
        Path("twice.jsonl").write_text(
            Path(LETTERS).read_text() + Path(LETTERS).read_text().replace('"doc_id": 0', '"doc_id": 7')
        )
        done = run("twice.jsonl")
        assert done.exit_code == 2 and "two answers are saved for the item" in flat(done.output)


class TestInspect:
    def test_multiple_choice_in_a_zip(self) -> None:
        done = run(f"beta/{MCQ}")
        assert done.exit_code == 0, done.output
        assert figure(done, "accuracy") == (0.5, 2)
        texts = {item: output["text"] for (item, _), output in outputs().items()}
        assert texts == {"scurvy": "ANSWER: C", "insulin": "I think.\n\nANSWER: A"}
        assert json.loads(done.stdout)["boards"][0]["rows"][0]["model"] == "replay:mockllm/model"

    def test_epochs_are_samples(self) -> None:
        done = run(f"beta/{OPEN}", "--samples", "2", benchmark="openq.py")
        assert done.exit_code == 0, done.output
        found = outputs("openq")
        assert found["anemia", 0]["text"] == "A lack of red blood cells."
        assert found["asthma", 0]["finish"] == "length" and found["asthma", 1]["text"] == "fourth"
        assert "1 item has another right answer in the file than in openq" in flat(done.stderr)

    def test_reasoning_and_attachments(self) -> None:
        log = json.loads(Path(f"beta/{OPEN}").read_text())
        sample = log["samples"][0]
        sample["attachments"] = {"abc": "The answer.", "def": sample["input"]}
        sample["input"] = [{"role": "user", "content": "attachment://def"}]
        sample["output"]["choices"][0]["message"]["content"] = [
            {"type": "reasoning", "reasoning": "Hm."},
            {"type": "text", "text": "attachment://abc"},
        ]
        log["samples"] = [sample]
        Path("one.json").write_text(json.dumps(log))
        run("one.json", benchmark="openq.py")
        output = outputs("openq")["anemia", 0]
        assert (output["text"], output["reasoning"]) == ("The answer.", "Hm.")

    @pytest.mark.parametrize(
        ("change", "told"),
        [
            ({"error": {"message": "out of time"}}, "are missing in the file (out of time)"),
            ({"output": {"choices": []}}, "are missing in the file (the log has no output for it)"),
            ({"output": {"choices": [{"message": {"content": None}}]}}, "in the file (the log has no text for it)"),
        ],
    )
    def test_a_failed_sample_is_no_answer(self, change: Mapping[str, Any], told: str) -> None:
        log = json.loads(Path(f"beta/{OPEN}").read_text())
        log["samples"] = [{**log["samples"][0], **change}, log["samples"][1]]
        Path("one.json").write_text(json.dumps(log))
        done = run("one.json", benchmark="openq.py")
        assert told in flat(done.stderr) and list(outputs("openq")) == [("asthma", 0)]


class TestDamagedFiles:
    def test_a_cut_zip(self) -> None:
        Path("cut.eval").write_bytes(Path(f"beta/{MCQ}").read_bytes()[:4000])
        done = run("cut.eval")
        assert done.exit_code == 2 and "cut.eval is not a log of Inspect" in flat(done.output), done.output

    def test_a_zip_whose_sample_is_damaged(self) -> None:
        content = bytearray(Path(f"beta/{MCQ}").read_bytes())
        at = content.index(b"samples/") + 60
        content[at : at + 200] = bytes(200)
        Path("bad.eval").write_bytes(content)
        done = run("bad.eval")
        assert done.exit_code == 2 and "bad.eval is not a log of Inspect" in flat(done.output), done.output

    @pytest.mark.parametrize("text", ["{}", "[1]", '{"eval": 3}', "no", '{"eval": {}, "samples": [{}]}'])
    def test_json_that_is_no_log(self, text: str) -> None:
        Path("a.json").write_text(text)
        done = run("a.json")
        assert done.exit_code == 2 and "a.json is not a log of Inspect" in flat(done.output), done.output

    def test_a_log_without_samples(self) -> None:
        with zipfile.ZipFile("empty.eval", "w") as archive:
            archive.writestr("header.json", json.dumps({"eval": {"model": "a/b"}}))
        assert "empty.eval has no samples" in flat(run("empty.eval").output)

    @pytest.mark.parametrize(
        "value",
        [{"resps": []}, {"resps": [["nan"]]}, {"resps": [[["x", "False"]]] * 4}, {"arguments": {}}, {"doc": 3}],
    )
    def test_a_sample_of_another_form(self, value: Mapping[str, Any]) -> None:
        done = run(change(LETTERS, lambda line: line.update(value)))
        assert done.exit_code in (1, 2) and "changed.jsonl" in done.output and "Traceback" not in done.output

    def test_map_has_no_effect_on_a_log(self) -> None:
        done = run(f"beta/{MCQ}", "--map", "id=id,text=text")
        assert done.exit_code == 2 and "--map has no effect" in flat(done.output)


@pytest.mark.parametrize("format", ["lm-eval", "inspect"])
def test_what_medbench_exports_is_read_back(format: str) -> None:
    """The figures of a run, of its export and of lm-eval's own file are the same."""
    first = medbench.evaluate(f"replay:{LETTERS}", "vitamins.py")
    files = first.export(format, "exported").files
    (answers,) = (file for file in files if not file.name.startswith("results_"))
    again = medbench.evaluate(f"replay:{answers}", "vitamins.py", out="again")
    assert not again.problems
    columns = ["metric", "value", "low", "high", "n"]
    assert again.frame()[columns].equals(first.frame()[columns])


def test_a_peer_is_compared_in_pairs_beside_ours() -> None:
    Path("ours.jsonl").write_text(
        '{"id": "scurvy", "logprobs": [-5, -5, -0.1, -5]}\n{"id": "insulin", "logprobs": [-5, -0.1, -5, -5]}\n'
    )
    runs = medbench.evaluate(["replay:ours.jsonl", f"replay:{LETTERS}"], "vitamins.py")
    compared = runs.compare("replay:ours", "replay:beta")
    (accuracy,) = [line for match in compared.matches for line in match.lines if line.name == "accuracy"]
    assert (accuracy.a, accuracy.b, accuracy.n) == (1.0, 0.5, 2)
