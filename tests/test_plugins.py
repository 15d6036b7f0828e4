"""A third-party package, installed by pip, through the whole command; and the errors if its code is wrong."""

from __future__ import annotations

import hashlib
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result
from medbench.cli import cli
from medbench.cli.commands import doctor
from medbench.core import registry

HEAVY = ("torch", "transformers", "datasets", "pandas", "spacy")


@pytest.fixture(autouse=True)
def _alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each test works in a folder of its own, offline, without the user's settings."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    monkeypatch.setenv("MEDBENCH_CACHE", str(tmp_path / "cache"))
    for name in ("MEDBENCH_DATA", "MEDBENCH_HOME", "COLUMNS"):
        monkeypatch.delenv(name, raising=False)


def process(environment: dict[str, str], *words: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "medbench", *words]
    return subprocess.run(command, env=environment, capture_output=True, text=True)


def medbench(*words: object) -> Result:
    done = CliRunner().invoke(cli, [str(word) for word in words], prog_name="medbench")
    if done.exception and not isinstance(done.exception, SystemExit):
        raise done.exception  # a traceback is no answer to a user
    return done


def run(*words: object) -> Result:
    return medbench("run", "-m", "toy-model", "--latency-items", 0, *words)


def figures(done: Any) -> dict[str, dict[str, Any]]:
    """Figures of the one run that a JSON leaderboard shows, by name."""
    board = json.loads(done.stdout)["boards"][0]
    return {figure["metric"]: figure for figure in board["rows"][0]["figures"]}


def hashed(model: str, item_id: str, option: str) -> int:
    """What the toy engine's probability of an option is proportional to."""
    return 1 + hashlib.sha256(f"{model}|{item_id}|{option}".encode()).digest()[0]


# --- an installed package, as a real process --------------------------------------------------------------------------


def test_an_installed_package_is_listed_beside_ours(toy: dict[str, str]) -> None:
    listed = {what: process(toy, "list", what, "--json") for what in ("benchmarks", "metrics", "engines", "models")}
    rows = {what: {row["name"]: row for row in json.loads(done.stdout)} for what, done in listed.items()}
    assert rows["benchmarks"]["toy"]["metrics"] == "accuracy"
    assert rows["benchmarks"]["toy"]["licence"] == "MIT"
    assert "made up" in rows["benchmarks"]["toy-open"]["what"]
    assert "on purpose" in rows["benchmarks"]["toy-broken"]["problem"]
    assert rows["metrics"]["toy_length"]["what"].startswith("Words in the answer")
    assert rows["engines"]["toy-echo"]["what"].startswith("Echoes questions")
    assert rows["models"]["toy-model"]["weights"] == "none"
    for what, ours in (("benchmarks", "medqa"), ("metrics", "accuracy"), ("models", "smollm2-135m")):
        assert "problem" not in rows[what][ours]


def test_their_benchmark_metric_engine_and_model_run_by_name(toy: dict[str, str]) -> None:
    words = ("run", "-m", "toy-model", "-b", "toy", "-M", "accuracy,toy_decided", "--json")
    done = process(toy, *words)
    assert done.returncode == 0, done.stderr
    assert "toy: every item was made up for medbench-toy" in done.stderr
    found = figures(done)
    # What the engine says it does, done here once more: the option with the highest hash is chosen.
    gold = dict(zip((f"toy-{n:02}" for n in range(1, 13)), "BCADCABDACBD", strict=True))
    chosen = {i: max("ABCD", key=lambda option: hashed("toy-model", i, option)) for i in gold}
    right = sum(chosen[i] == gold[i] for i in gold)
    assert 0 < right < 12
    assert found["accuracy"]["value"] == pytest.approx(right / 12)
    assert found["accuracy"]["n"] == 12
    # Two options differ by more than 0.1 nats where one hash is more than e^0.1 = 1.10517 times the other.
    ordered = [sorted((hashed("toy-model", i, option) for option in "ABCD"), reverse=True) for i in gold]
    assert found["toy_decided"]["value"] == pytest.approx(sum(a / b > 1.10517 for a, b, *_ in ordered) / 12)

    stored = {path.name: path.read_bytes() for path in Path("runs").glob("*/samples.jsonl")}
    again = process(toy, *words)
    assert "loading" not in again.stderr, "the same command again finds all done"
    assert figures(again)["accuracy"] == found["accuracy"]
    assert {path.name: path.read_bytes() for path in Path("runs").glob("*/samples.jsonl")} == stored


def test_importing_plugin_code_loads_nothing_heavy(toy: dict[str, str]) -> None:
    """What a plugin is written with (types, sources, intervals, zoo entries) costs a moment, not seconds."""
    code = "import sys, medbench_toy.benchmarks, medbench_toy.metrics, medbench_toy.engine, medbench_toy.models; "
    code += f"print([name for name in {HEAVY} if name in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], env=toy, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


# --- their package in this process ------------------------------------------------------------------------------------


@pytest.fixture
def _toy(toy_here: Path) -> None:
    """medbench-toy is installed."""


pytestmark = pytest.mark.usefixtures("_toy")


def test_open_questions_are_scored_by_their_metric() -> None:
    found = figures(run("-b", "toy-open", "--json"))
    # The engine answers with the question: "What cools a small burn?" has 5 words, and so on.
    assert found["toy_length"]["value"] == pytest.approx((5 + 8 + 4 + 8 + 7 + 9) / 6)
    assert found["toy_length"]["low"] < found["toy_length"]["value"] < found["toy_length"]["high"]


def test_written_choices_are_the_same_as_chosen_ones() -> None:
    chosen, written = figures(run("-b", "toy", "--json")), figures(run("-b", "toy", "--choice", "generate", "--json"))
    assert written["accuracy"]["value"] == chosen["accuracy"]["value"]
    assert written["unparsed_rate"]["value"] == 0


def test_two_of_their_models_are_compared() -> None:
    both = medbench("run", "-m", "toy-model,toy-rival", "-b", "toy", "--latency-items", 0, "--json")
    assert {row["model"] for row in json.loads(both.stdout)["boards"][0]["rows"]} == {"toy-model", "toy-rival"}
    assert "12 items answered by both" in medbench("compare", "toy-model", "toy-rival").output


def test_their_examples_come_before_the_question() -> None:
    run("-b", "toy", "--shots", 1)
    item = json.loads(medbench("show", "toy-model", "toy-01", "--json").stdout)
    example = "Question: Which organ is in the skull?\nA. brain\nB. liver\nC. colon\nD. spleen\nAnswer: A"
    question = "Question: Which organ pumps blood?\nA. liver\nB. heart\nC. spleen\nD. lung\nAnswer:"
    assert item["output"]["prompt"] == f"{example}\n\n{question}"


@pytest.mark.parametrize(
    ("words", "near"),
    [
        (("-b", "toy-opne"), "no benchmark is called 'toy-opne'. Did you mean toy-open"),
        (("-M", "toy_lenght"), "no metric is called 'toy_lenght'. Did you mean toy_length"),
        (("-m", "toy-modle"), "no model is called 'toy-modle'. Did you mean toy-model"),
        (("--engine", "toy-ehco"), "no engine is called 'toy-ehco'. Did you mean toy-echo"),
    ],
)
def test_a_misspelt_name_of_theirs_is_told_with_the_nearest(words: tuple[str, str], near: str) -> None:
    done = run("-b", "toy", *words)
    assert done.exit_code == 2
    assert near in done.stderr
    assert "medbench list" in done.stderr


def test_a_broken_plugin_breaks_only_its_own_name() -> None:
    done = run("--suite", "all", "--json")
    assert done.exit_code == 1
    assert {board["benchmark"] for board in json.loads(done.stdout)["boards"]} == {"toy", "toy-open"}
    assert "Not done: the benchmark 'toy-broken' from medbench-toy cannot be loaded: RuntimeError" in done.stderr
    assert "It is declared as medbench_toy.broken:BENCHMARK; reinstall or remove that package." in done.stderr
    assert "broken on purpose" in medbench("list", "benchmarks").stdout


def test_a_broken_plugin_asked_for_by_name_stops_before_anything_runs() -> None:
    done = run("-b", "toy,toy-broken")
    assert done.exit_code == 1
    assert "this plugin is broken on purpose" in done.stderr
    assert not Path("runs").exists()


def test_doctor_names_a_broken_plugin_as_a_note() -> None:
    count, broken = list(doctor._plugins())
    assert count.found.endswith("1 do not")
    assert "'toy-broken' from medbench-toy" in broken.found
    assert "reinstall or remove" in broken.todo
    assert not broken.needed


def test_items_that_an_engine_fails_on_are_named_and_tried_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TOY_FAILS", "toy-02,toy-07")
    first = run("-b", "toy")
    assert first.exit_code == 1
    told = "2 items have no answer. Item 'toy-02': told to fail\nThe others: toy-07\nThe same command tries them again."
    assert told in first.stderr
    assert "10 of 12" in first.stdout
    monkeypatch.delenv("TOY_FAILS")
    assert figures(run("-b", "toy", "--json"))["accuracy"]["n"] == 12


def test_an_engine_that_raises_is_told_with_file_and_line_and_the_rest_runs(
    monkeypatch: pytest.MonkeyPatch, toy_here: Path
) -> None:
    monkeypatch.setenv("TOY_RAISES", "toy-03")
    done = run("-b", "toy,toy-open")
    assert done.exit_code == 1
    assert "toy-model on toy: a plugin failed: RuntimeError: the toy engine was told to break on toy-03" in done.stderr
    assert f"({toy_here / 'medbench_toy' / 'engine.py'}, line " in done.stderr
    assert "toy-open" in done.stdout
    monkeypatch.delenv("TOY_RAISES")
    again = run("-b", "toy")
    assert (again.exit_code, "toy: 12 items, 2 already answered" in again.stderr) == (0, True)


# --- ENGINE:NAME and the options of an engine ------------------------------------------------------------------------

TOY_RUN = ("-b", "toy", "--latency-items", 0)
# A third-party engine that takes options. It subclasses nothing of medbench's.
LOUD = """
from medbench.core.types import EngineOption
from medbench_toy.engine import EchoEngine

class ENGINE(EchoEngine):
    \"\"\"Chooses by hash and a salt.\"\"\"
    engine_options = (
        EngineOption("salt", str, "Text that the hash begins with", default=""),
        EngineOption("workers", int, "Threads", default=1, least=1, changes_answers=False),
    )

    def _logprobs(self, item_id, answers):
        return super()._logprobs(self.spec.options.get("salt", "") + item_id, answers)
"""


def stored() -> list[dict[str, Any]]:
    return [json.loads(path.read_text()) for path in sorted(Path("runs").glob("*/manifest.json"))]


def test_a_prefix_names_a_third_party_engine_that_says_nothing_about_it() -> None:
    done = medbench("run", "-m", "toy-echo:anything/at all", *TOY_RUN)
    assert done.exit_code == 0, done.stderr
    (manifest,) = stored()
    assert manifest["model"]["name"] == "toy-echo:anything/at all"
    assert (manifest["model"]["engine"], manifest["model"]["location"]) == ("toy-echo", "anything/at all")


def test_a_prefix_before_a_zoo_entry_means_the_entry() -> None:
    assert medbench("run", "-m", "toy-echo:toy-rival", *TOY_RUN).exit_code == 0
    assert [manifest["model"]["name"] for manifest in stored()] == ["toy-rival"]


def test_the_content_of_a_file_that_only_the_engine_knows_is_its_revision() -> None:
    for weights in ("one", "two"):
        written("weights.bin", weights)
        assert medbench("run", "-m", "toy-echo:weights.bin", *TOY_RUN).exit_code == 0
    one, two = stored()
    assert {one["model"]["location"], two["model"]["location"]} == {str(Path("weights.bin").resolve())}
    assert one["model"]["revision"] != two["model"]["revision"]


def test_a_file_may_be_the_engine_of_a_prefix() -> None:
    written("loud.py", LOUD)
    assert medbench("run", "-m", "loud.py:x", *TOY_RUN).exit_code == 0
    assert stored()[0]["model"]["location"] == "x"


@pytest.mark.parametrize(
    ("model", "said"),
    [
        ("toy-ehco:x", ("toy-ehco is not an engine. Did you mean toy-echo:x?", "medbench list engines")),
        ("toy-echo:", ("--model toy-echo: names no",)),
    ],
)
def test_a_wrong_prefix_is_told_with_the_nearest(model: str, said: tuple[str, ...]) -> None:
    done = medbench("run", "-m", model, *TOY_RUN)
    assert done.exit_code == 2
    assert all(words in done.stderr for words in said)


def test_an_option_that_changes_answers_makes_another_run_and_one_that_does_not_makes_none() -> None:
    written("loud.py", LOUD)
    given: list[tuple[str, ...]] = [(), ("salt=",), ("workers=4",), ("salt=a",), ("salt=a", "workers=2")]
    for options in given:
        words = [word for option in options for word in ("--engine-option", option)]
        assert medbench("run", "-m", "loud.py:x", *words, *TOY_RUN).exit_code == 0
    plain, salted = sorted(stored(), key=lambda manifest: len(manifest["model"]["options"]))
    assert "options" not in plain["identity"]["model"], "runs without options keep the identity they had before"
    assert salted["identity"]["model"]["options"] == {"salt": "a"}


def test_the_list_of_engines_shows_prefix_abilities_and_options() -> None:
    rows = {row["name"]: row for row in json.loads(medbench("list", "engines", "--json").stdout)}
    assert rows["toy-echo"]["model"].startswith("toy-echo:NAME, where NAME is ")
    can = "runs on this machine; log-probabilities of options: always; no --temperature and no --samples"
    assert rows["toy-echo"]["can"] == can
    assert rows["groq"]["can"] == "asks a server, so no memory is measured; log-probabilities of options: never"
    assert "no speed or memory is measured" in rows["replay"]["can"]
    (option,) = rows["vllm"]["options"]
    assert option.startswith("--engine-option tensor_parallel=N (or --tensor-parallel): GPUs that share the model")
    assert " ".join(option.split()) in " ".join(medbench("list", "engines", "vllm").stdout.split())


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("slat=a",), "which has no such option. Did you mean salt?\nOptions of loud.py: salt (Text that the hash"),
        (("map=id=a",), "--map id=a: loud.py:x runs on the engine loud.py, which has no such option."),
        (("workers=many",), "--engine-option workers=many: it must be a whole number."),
        (("workers=0",), "--engine-option workers=0: it must be at least 1."),
        (("salt",), "--engine-option salt: it must be KEY=VALUE."),
        (("salt=a", "salt=b"), "--engine-option salt=b: salt is also set to a."),
    ],
)
def test_an_option_that_cannot_be_used_is_told(words: tuple[str, ...], said: str) -> None:
    written("loud.py", LOUD)
    done = medbench("run", "-m", "loud.py:x", *(w for word in words for w in ("--engine-option", word)), *TOY_RUN)
    assert done.exit_code == 2
    assert said in done.stderr
    assert not Path("runs").exists()


# --- a user's single file ---------------------------------------------------------------------------------------------

QUIZ = """
from medbench.core.types import Benchmark, Item, ItemSet

def load(source):
    return ItemSet((Item("a", "2?", options=("3", "2"), gold=1), Item("b", "3?", options=("3", "2"), gold=0)), "here")

BENCHMARK = Benchmark(
    name="quiz", version="1", summary="", citation="", licence="", load=load,
    question=lambda item: f"Question: {item.question}\\nAnswer:", metrics=("accuracy",),
)
"""
ITEMS = QUIZ[QUIZ.index("ItemSet((") : QUIZ.index('"here")') + len('"here")')]


def written(name: str, text: str) -> Path:
    path = Path(name)
    path.write_text(text)
    return path


@pytest.mark.parametrize(
    ("load", "said"),
    [
        ("{}['rows']", "quiz: a plugin failed: KeyError: 'rows' ({file}, line 5)"),
        ("None", "its `load` cannot be used: it returned a NoneType, not an ItemSet"),
        ("ItemSet((), 'here')", "has no items"),
        ("ItemSet(({},), 'here')", "it returned a dict instead of an Item"),
        ("ItemSet((Item('a', '?', options=('3', '4'), gold=2),), 'here')", "item 'a' has 2 options and gold 2"),
        ("ItemSet((Item('a', '?', options=('3', '4')),), 'here')", "item 'a' has 2 options and gold None"),
        (
            "ItemSet((Item('a', '?', options=('3', '4'), labels=('A',), gold=0),), 'here')",
            "item 'a' has 1 labels for 2 options",
        ),
        ("ItemSet((Item('a', '?'),), 'here')", "item 'a' has neither options nor references"),
        (
            "ItemSet((Item('a', '?', options=('3',), gold=0), Item('b', '?', references=('4',))), 'here')",
            "item 'b' and item 'a' are not both multiple choice",
        ),
        ("ItemSet((Item('a', '?', references=('4',)),) * 2, 'here')", "has two items called 'a'"),
    ],
)
def test_what_a_benchmark_file_loads_is_checked_and_other_benchmarks_run(load: str, said: str) -> None:
    file = written("quiz.py", QUIZ.replace(ITEMS, load))
    done = run("-b", f"{file},toy")
    assert done.exit_code == 1
    assert "Not done: " in done.stderr
    assert said.format(file=file.resolve()) in done.stderr
    assert "toy · 12 items" in done.stdout


@pytest.mark.parametrize(
    ("question", "said"),
    [
        ("lambda item: item.stem", "AttributeError: 'Item' object has no attribute 'stem' ({file}, line 9)"),
        ("lambda item: None", "a part of the prompt of item 'a' is a NoneType, not a text"),
    ],
)
def test_a_prompt_that_cannot_be_written_is_told(question: str, said: str) -> None:
    file = written("quiz.py", QUIZ.replace('lambda item: f"Question: {item.question}\\nAnswer:"', question))
    done = run("-b", file)
    assert done.exit_code == 1
    assert f"toy-model on quiz: {said.format(file=file.resolve())}" in done.stderr.replace("a plugin failed: ", "")


def test_two_files_cannot_call_their_benchmark_the_same() -> None:
    one, two = written("one.py", QUIZ), written("two.py", QUIZ)
    done = run("-b", f"{one},{two}")
    assert done.exit_code == 2
    assert "two of these benchmarks are called 'quiz'; two.py is the second." in done.stderr


def test_items_that_change_make_another_run_of_a_benchmark_file() -> None:
    file = written("quiz.py", QUIZ)
    assert run("-b", file).exit_code == 0
    written("quiz.py", QUIZ.replace("2?", "2 = ?"))
    assert run("-b", file).exit_code == 0
    assert len(list(Path("runs").iterdir())) == 2


METRIC = """
from dataclasses import dataclass
from medbench.core.types import Figure, Score

@dataclass(frozen=True)
class Wordy:
    name: str = "wordy"
    version: str = "1"
    binary: bool = True
    mean: bool = True
    better: str = "lower"

    def score(self, records):
        return [Score(r.item.id, float(len(r.output.text.split()) > 7)) for r in records]

    def aggregate(self, records, scores):
        return [Figure(self.name, sum(s.value for s in scores) / len(scores), len(scores), len(records))]

METRIC = Wordy()
"""


def test_a_metric_file_scores_a_new_run_and_a_stored_one_and_is_found_from_anywhere(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    file = written("wordy.py", METRIC)
    # Of the six questions, which are the answers here, three have more than 7 words: 8, 8 and 9.
    assert figures(run("-b", "toy-open", "-M", file, "--json"))["wordy"]["value"] == 3 / 6
    other = tmp_path / "elsewhere"
    other.mkdir()
    monkeypatch.chdir(other)
    board = medbench("leaderboard", tmp_path / "runs", "--json", "-M", "../wordy.py")
    assert figures(board)["wordy"]["value"] == 3 / 6
    scored = medbench("score", tmp_path / "runs", "-M", "../wordy.py", "--json")
    assert figures(scored)["wordy"]["value"] == 3 / 6
    manifest = json.loads(next((tmp_path / "runs").glob("*/manifest.json")).read_text())
    assert manifest["metrics"].count(str(tmp_path / "wordy.py")) == 1


@pytest.mark.parametrize(
    ("right", "wrong", "said"),
    [
        (
            "r.output.text.split()",
            "r.output.words",
            "AttributeError: 'Output' object has no attribute 'words' ({file}, ",
        ),
        (
            "for r in records]",
            "for r in records[1:]]",
            "the metric 'wordy' did not return one score per record, in order",
        ),
        ("float(len(r.output.text.split()) > 7)", "0.5", "says it is binary but scores 'open-1' with 0.5"),
        ("/ len(scores), len", "/ 0, len", "the metric 'wordy' failed: ZeroDivisionError: "),
    ],
)
def test_a_metric_that_fails_is_told_and_leaves_the_others_alone(right: str, wrong: str, said: str) -> None:
    assert right in METRIC
    file = written("wordy.py", METRIC.replace(right, wrong))
    done = run("-b", "toy-open", "-M", f"{file},toy_length", "--json")
    assert done.exit_code == 1
    assert said.format(file=file.resolve()) in done.stderr
    assert set(figures(done)) >= {"toy_length"}
    assert "wordy" not in figures(done)


ENGINE = """
import dataclasses
from medbench_toy.engine import EchoEngine

class ENGINE(EchoEngine):
    def choose(self, requests):
        outputs = list(super().choose(requests))
        {body}
"""


@pytest.mark.parametrize(
    ("body", "said"),
    [
        ("yield from outputs * 2", "gave an invalid answer to 'toy-01': it was not asked this, or only once."),
        ("yield dataclasses.replace(outputs[0], item_id='x')", "gave an invalid answer to 'x': it was not asked this"),
        (
            "yield dataclasses.replace(outputs[0], logprobs=(-1.0,))",
            "gave an invalid answer to 'toy-01': 1 log-probabilities for 4 options.",
        ),
        ("yield dataclasses.replace(outputs[0], logprobs=None)", "'toy-01': 0 log-probabilities for 4 options."),
        ("yield from outputs[2:]", "2 items have no answer. Item 'toy-01': the engine gave no answer"),
        ("yield outputs['first']", "a plugin failed: TypeError: list indices must be integers or slices, not str ("),
    ],
)
def test_an_engine_that_answers_wrongly_is_told_and_its_good_answers_are_kept(body: str, said: str) -> None:
    file = written("their_engine.py", ENGINE.format(body=body))
    done = run("-b", "toy", "--engine", file)
    assert done.exit_code == 1
    assert said in done.stderr


def test_an_engine_that_cannot_be_made_is_told() -> None:
    body = "    def __init__(self, spec):\n        raise OSError('no server at localhost:1234')\n"
    file = written("their_engine.py", ENGINE.format(body="yield from outputs") + body)
    done = run("-b", "toy", "--engine", file)
    assert done.exit_code == 1
    assert "Not done: toy-model: a plugin failed: OSError: no server at localhost:1234 (" in done.stderr


def test_a_fault_of_our_own_is_no_plugins() -> None:
    """It goes on as a traceback, with which it can be reported and fixed."""
    with pytest.raises(AttributeError) as caught:
        registry.get("benchmarks", None)  # type: ignore[arg-type]
    assert registry.fault(caught.value) == ""
