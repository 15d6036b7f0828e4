"""Stored runs as files of Every Eval Ever, lm-evaluation-harness and Inspect."""

from __future__ import annotations

import hashlib
import json
import math
import subprocess
import sys
from pathlib import Path
from typing import Any

import medbench
import pytest
from click.testing import CliRunner, Result
from jsonschema import Draft7Validator
from medbench.cli import cli

QUIZ = """
from medbench.core.types import Benchmark, Item, ItemSet

ITEMS = (
    Item("i1", "first?", options=("aspirin", "heparin", "placebo"), labels=("A", "B", "C"), gold=1,
         meta={"subject": "drugs"}),
    Item("i2", "second?", context="An abstract.", options=("fever", "cough", "rash"), labels=("A", "B", "C"), gold=0),
    Item("i3", "third?", options=("one", "two", "three"), labels=("A", "B", "C"), gold=2),
)
BENCHMARK = Benchmark(
    name="quiz", version="1", summary="for tests", citation="A paper.", licence="MIT",
    load=lambda source: ItemSet(ITEMS, "hub:owner/quiz/config@0123456789abcdef"),
    question=lambda item: item.question + "\\nAnswer:", metrics=("accuracy", "brier"),
)
"""
TALKS = """
from medbench.core.types import Benchmark, Item, ItemSet, Turn

TALK = (Turn("user", "Hello."), Turn("assistant", "How can I help?"))
BENCHMARK = Benchmark(
    name="talks", version="2", summary="for tests", citation="none", licence="MIT",
    load=lambda source: ItemSet((Item("t1", "And now?", references=("Rest.",), turns=TALK),
                                 Item("t2", "What is it?", references=("A cold.", "A flu."))), "/home/me/private"),
    question=lambda item: item.question, metrics=("token_f1",),
)
"""
# Right, wrong and no answer: accuracy 1/2 of the two that count.
CHOICES = [{"id": "i1", "logprobs": [-3.0, -0.1, -4.0]}, {"id": "i2", "logprobs": [-2.0, -0.5, None]}]
TEXTS = [{"id": "t1", "text": "<think>Hm.</think>Rest."}, {"id": "t2", "text": "Half A cold", "finish": "length"}]
SCHEMAS = Path(__file__).parent / "vendored" / "every_eval_ever"


@pytest.fixture(autouse=True)
def _runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("MEDBENCH_HOME", raising=False)
    Path("quiz.py").write_text(QUIZ)
    Path("talks.py").write_text(TALKS)
    Path("alpha").mkdir()
    for name, rows in {"quiz": CHOICES, "talks": TEXTS}.items():
        Path(f"alpha/{name}.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    medbench.evaluate("replay:alpha", ["quiz.py", "talks.py"])


def export(*words: object) -> Result:
    return CliRunner().invoke(cli, ["export", *map(str, words)], prog_name="medbench")


def lines(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def only(pattern: str) -> Path:
    (found,) = Path("out").glob(pattern)
    return found


class TestEveryEvalEver:
    @pytest.fixture(autouse=True)
    def _exported(self) -> None:
        done = export("--format", "every-eval-ever", "--out", "out")
        assert done.exit_code == 0, done.output

    def test_every_file_is_valid_by_the_published_schemas(self) -> None:
        schema = {
            name: Draft7Validator(json.loads((SCHEMAS / f"{name}.schema.json").read_text()))
            for name in ("eval", "instance_level_eval")
        }
        runs = list(Path("out").rglob("*.json"))
        samples = [line for path in Path("out").rglob("*.jsonl") for line in lines(path)]
        assert (len(runs), len(samples)) == (2, 8)  # 2 answers x 2 metrics in both
        for path in runs:
            assert [error.message for error in schema["eval"].iter_errors(json.loads(path.read_text()))] == []
        for line in samples:
            assert [error.message for error in schema["instance_level_eval"].iter_errors(line)] == []

    def test_figures_are_those_of_the_leaderboard(self) -> None:
        value = json.loads(only("data/quiz/local/*/*.json").read_text())
        frame = medbench.load_runs().frame()
        own = frame[(frame.benchmark == "quiz") & frame.value.notna()].set_index("metric")
        results = {result["evaluation_result_id"]: result for result in value["evaluation_results"]}
        assert list(results) == list(own.index)
        for name, result in results.items():
            details = result["score_details"]
            assert details["score"] == own.value[name] and details["uncertainty"]["num_samples"] == own.n[name]
        accuracy = results["accuracy"]["score_details"]
        assert accuracy["score"] == 0.5 and accuracy["details"] == {"scored": "2", "asked": "3"}
        interval = accuracy["uncertainty"]["confidence_interval"]
        assert (interval["lower"], interval["upper"]) == (own.low["accuracy"], own.high["accuracy"])
        assert results["accuracy"]["metric_config"]["lower_is_better"] is False
        assert results["brier"]["metric_config"]["lower_is_better"] is True

    def test_the_data_set_is_named_and_a_folder_of_this_machine_is_not(self) -> None:
        quiz, talks = (only(f"data/{name}/local/*/*.json").read_text() for name in ("quiz", "talks"))
        source = json.loads(quiz)["evaluation_results"][0]["source_data"]
        assert (source["hf_repo"], source["additional_details"]["revision"]) == ("owner/quiz", "0123456789abcdef")
        assert json.loads(talks)["evaluation_results"][0]["source_data"]["source_type"] == "other"
        assert "/home/me" not in talks and str(Path.cwd()) not in quiz + talks

    def test_a_file_of_figures_names_its_answers(self) -> None:
        value = json.loads(only("data/quiz/local/*/*.json").read_text())
        detailed = value["detailed_evaluation_results"]
        samples = Path("out", detailed["file_path"])
        assert detailed["checksum"] == hashlib.sha256(samples.read_bytes()).hexdigest()
        assert detailed["total_rows"] == len(lines(samples)) == 4
        assert {line["evaluation_id"] for line in lines(samples)} == {value["evaluation_id"]}
        assert {line["model_id"] for line in lines(samples)} == {value["model_info"]["id"]}

    def test_answers(self) -> None:
        first, _, second, _ = lines(only("data/quiz/local/*/*_samples.jsonl"))
        assert (first["sample_id"], first["evaluation_result_id"]) == ("i1", "accuracy")
        assert first["input"]["reference"] == ["B"] and first["input"]["choices"] == ["aspirin", "heparin", "placebo"]
        assert first["output"]["raw"] == ["B"] and first["evaluation"]["is_correct"] is True
        assert first["metadata"]["subject"] == "drugs"
        assert second["input"]["raw"] == "An abstract.\n\nsecond?" and second["evaluation"]["is_correct"] is False
        assert second["metadata"]["option_logprobs"] == '["-2.0", "-0.5", "-inf"]'

    def test_a_conversation_has_messages(self) -> None:
        talk = lines(only("data/talks/local/*/*_samples.jsonl"))[0]
        assert (talk["interaction_type"], talk["output"]) == ("multi_turn", None)
        said = [(message["role"], message["content"]) for message in talk["messages"]]
        assert said[-2:] == [("user", "And now?"), ("assistant", "Rest.")] and len(said) == 4
        assert talk["messages"][-1]["reasoning_trace"] == "Hm."

    def test_a_second_export_replaces_the_first(self) -> None:
        before = sorted(Path("out").rglob("*.json*"))
        assert export("--format", "every-eval-ever", "--out", "out").exit_code == 0
        assert sorted(Path("out").rglob("*.json*")) == before


class TestLmEval:
    @pytest.fixture(autouse=True)
    def _exported(self) -> None:
        assert export("--format", "lm-eval", "--out", "out").exit_code == 0

    def test_results(self) -> None:
        found = json.loads(only("replay__alpha/results_*.json").read_text())
        assert set(found["results"]) == {"quiz", "talks"}
        quiz = found["results"]["quiz"]
        assert quiz["accuracy,none"] == 0.5 and quiz["sample_len"] == 3
        # Of the scores 1 and 0: a deviation of sqrt(0.5), divided by sqrt(2).
        assert quiz["accuracy_stderr,none"] == pytest.approx(0.5)
        assert quiz["macro_f1_stderr,none"] == "N/A"
        assert found["higher_is_better"]["quiz"]["brier"] is False
        assert found["n-samples"]["quiz"] == {"original": 3, "effective": 3}
        assert found["configs"]["quiz"]["output_type"] == "multiple_choice"
        assert found["configs"]["quiz"]["dataset_path"] == "owner/quiz"
        assert found["configs"]["talks"]["output_type"] == "generate_until"

    def test_samples(self) -> None:
        first, second = lines(only("replay__alpha/samples_quiz_*.jsonl"))
        assert first["doc"]["question"] == "first?" and first["target"] == "1"
        assert [argument["arg_1"] for argument in first["arguments"].values()] == [" A", " B", " C"]
        assert [float(reply[0]) for reply in first["filtered_resps"]] == [-3.0, -0.1, -4.0]
        assert float(second["filtered_resps"][2][0]) == -math.inf
        assert (first["accuracy"], second["accuracy"]) == (1.0, 0.0)
        talk = lines(only("replay__alpha/samples_talks_*.jsonl"))[1]
        assert talk["resps"] == [["Half A cold"]] and talk["target"] == "A cold."

    def test_two_ways_of_one_benchmark_are_two_tasks(self) -> None:
        medbench.evaluate("replay:alpha", "quiz.py", limit=2)
        assert export("--format", "lm-eval", "--out", "both").exit_code == 0
        (results,) = Path("both").rglob("results_*.json")
        tasks = sorted(json.loads(results.read_text())["results"])
        assert len(tasks) == 3 and tasks[0].startswith("quiz_") and tasks[2] == "talks"


class TestInspect:
    @pytest.fixture(autouse=True)
    def _exported(self) -> None:
        assert export("--format", "inspect", "--out", "out").exit_code == 0

    def test_a_log_per_run(self) -> None:
        log = json.loads(only("*_quiz_*.json").read_text())
        assert (log["version"], log["status"], log["eval"]["task"]) == (2, "cancelled", "quiz")  # i3 has no answer
        assert log["eval"]["dataset"]["sample_ids"] == ["i1", "i2", "i3"]
        (accuracy, _) = log["results"]["scores"]
        assert accuracy["metrics"]["accuracy"]["value"] == 0.5 and accuracy["scored_samples"] == 2
        first = log["samples"][0]
        assert (first["input"], first["choices"][1], first["target"]) == ("first?", "heparin", "B")
        assert first["scores"]["accuracy"]["value"] == 1.0 and first["output"]["completion"] == "B"
        assert json.loads(only("*_talks_*.json").read_text())["status"] == "success"

    def test_reasoning_is_not_the_answer(self) -> None:
        first, second = json.loads(only("*_talks_*.json").read_text())["samples"]
        assert first["output"]["completion"] == "Rest."
        assert first["output"]["choices"][0]["message"]["content"][0] == {"type": "reasoning", "reasoning": "Hm."}
        assert second["output"]["choices"][0]["stop_reason"] == "max_tokens"

    def test_inspect_reads_it(self) -> None:
        log = pytest.importorskip("inspect_ai.log", reason="inspect-ai is no dependency of medbench")
        assert len(log.read_eval_log(str(only("*_quiz_*.json"))).samples) == 2


def test_from_python() -> None:
    made = medbench.load_runs().export("lm-eval", "out")
    assert len(made.files) == 3 and made.problems == ()
    with pytest.raises(medbench.UsageError, match=r"no format 'lm_eval'.*lm-eval"):
        medbench.load_runs().export("lm_eval", "out")


def test_one_run_by_its_beginning() -> None:
    done = export("replay_alpha__quiz", "--format", "inspect", "--out", "out", "--json")
    assert len(json.loads(done.stdout)["files"]) == 1


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["--format", "inspect", "--to", "gguf"], "--to works only when a model is exported"),
        (["--format", "inspect", "nosuch"], "no run or model here is called 'nosuch'"),
        (["--format", "inspect", "--out", "quiz.py"], "--out quiz.py: it is a file"),
        (["--format", "inspect", "--runs", "alpha"], "there are no runs in alpha"),
        (["--format", "inspect", "alpha"], "there are no runs in alpha"),
        ([], "no model is named"),
        (["smollm2-135m", "biogpt-large"], "2 models are named"),
    ],
)
def test_wrong_words(words: list[str], told: str) -> None:
    done = export(*words)
    assert done.exit_code == 2 and told in " ".join(done.output.split()), done.output


def test_a_damaged_run_is_named_and_the_others_are_exported() -> None:
    (samples,) = Path("runs").glob("*quiz*/samples.jsonl")
    samples.write_text(samples.read_text().replace("first?", "worst?"))
    done = export("--format", "lm-eval", "--out", "out")
    assert done.exit_code == 1 and "Not exported:" in done.output
    assert len(list(Path("out").rglob("samples_*.jsonl"))) == 1


def test_the_command_loads_no_heavy_library_to_reject() -> None:
    code = "import sys, medbench.cli.commands.export; sys.exit('torch' in sys.modules or 'pandas' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
