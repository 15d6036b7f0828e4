"""The command as users run it: with click's runner, and as a real process if it is stopped or piped."""

from __future__ import annotations

import json
import os
import random
import re
import shlex
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click
import fakes
import made
import pytest
import tiny
from click.testing import CliRunner, Result
from medbench.cli import COMMANDS, cli
from medbench.cli.commands import doctor
from medbench.core import registry
from medbench.core.types import Item, ItemSet, Output, Record
from medbench.judges.modes import MODES
from medbench.results.writer import RunWriter
from medbench.zoo.weights import converted, packaged

MEDBENCH = [sys.executable, "-m", "medbench"]
ENGINE = str(Path(__file__).with_name("fakes.py"))
HEAVY = ("torch", "transformers", "datasets", "pandas", "numpy", "spacy", "rich", "evaluate", "medbench.core.registry")


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny.save(tmp_path_factory.mktemp("models") / "tiny-llama", "llama", window=2048)


@pytest.fixture(autouse=True)
def _alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each test works in a folder of its own, offline, without the user's settings."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    monkeypatch.setenv("MEDBENCH_CACHE", str(tmp_path / "cache"))
    for name in ("MEDBENCH_DATA", "MEDBENCH_HOME", "COLUMNS"):
        monkeypatch.delenv(name, raising=False)


def medbench(*words: object) -> Result:
    return CliRunner().invoke(cli, [str(word) for word in words], prog_name="medbench")


def run_fast(model: Path, *words: object) -> Result:
    return medbench("run", "--model", model, "--engine", ENGINE, "--latency-items", 0, *words)


def process(*words: object, **options: Any) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [*MEDBENCH, *map(str, words)], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, **options
    )


def figures(board: dict[str, Any]) -> dict[str, Any]:
    """What must not depend on how often a run was stopped: every figure but speed and memory."""
    return {
        figure["metric"]: (figure["value"], figure["low"], figure["high"], figure["n"])
        for row in board["boards"][0]["rows"]
        for figure in row["figures"]
        if figure["unit"] in ("share", "0..1")
    }


def test_help_loads_nothing_heavy() -> None:
    code = "import sys; from medbench.cli import cli; cli(['--help'], standalone_mode=False); "
    code += f"print([name for name in {HEAVY} if name in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "[]"


@pytest.mark.parametrize("name", list(COMMANDS))
def test_every_command_helps_with_examples(name: str) -> None:
    done = medbench(name, "--help")
    assert done.exit_code == 0
    assert "Usage: medbench " + name in done.output
    assert "Examples:" in done.output or name == "doctor"


FIRST = {"figure": ["scores"]}  # the arguments before a path


@pytest.mark.parametrize("group", ["adapters", "fetch"])
def test_summaries_of_commands_are_not_cut_at_80_columns(group: str) -> None:
    shown = CliRunner().invoke(cli, [group, "--help"], env={"COLUMNS": "80"}).stdout
    assert "..." not in shown.split("Commands:")[1]


def test_an_empty_path_is_a_mistake_in_every_command() -> None:
    """`--out "$FOLDER"` with FOLDER unset would otherwise write into the current folder."""

    def check(words: list[str], one: click.Command) -> None:
        if isinstance(one, click.Group):
            for name in one.list_commands(context):
                check([*words, name], one.get_command(context, name))
            return
        for parameter in one.params:
            if isinstance(parameter.type, click.Path):
                before = parameter.opts[:1] if isinstance(parameter, click.Option) else FIRST.get(words[-1], [])
                done = medbench(*words, *before, "")
                assert (done.exit_code, "the path is empty" in done.stderr) == (2, True), (words, before, done.output)

    context = click.Context(cli)
    check([], cli)


def test_a_real_model_from_start_to_leaderboard(model: Path) -> None:
    done = medbench("run", "-m", model, "--suite", "quick", "--limit", 3, "--latency-items", 1, "--max-new-tokens", 8)
    assert done.exit_code == 0, done.output
    for words in ("pubmedqa-sample", "medqa-sample", "medquad-sample", "accuracy", "rougeL", "tiny-llama", "tokens/s"):
        assert words in done.output
    again = medbench("run", "-m", model, "--suite", "quick", "--limit", 3, "--latency-items", 1, "--max-new-tokens", 8)
    assert "loading" not in again.stderr, "a complete run loads no model"


def test_json_goes_to_stdout_and_is_all_that_does(model: Path) -> None:
    done = run_fast(model, "-b", "medqa-sample", "--limit", 5, "--json")
    board = json.loads(done.stdout)["boards"][0]
    assert board["benchmark"] == "medqa-sample"
    assert {figure["metric"] for figure in board["rows"][0]["figures"]} >= {"accuracy", "ece", "brier"}


def test_quiet_says_nothing(model: Path) -> None:
    done = run_fast(model, "-b", "medqa-sample", "--limit", 5, "--quiet")
    assert (done.exit_code, done.output) == (0, "")


def test_leaderboard_writes_csv_and_markdown(model: Path, tmp_path: Path) -> None:
    run_fast(model, "-b", "medqa-sample", "--limit", 5)
    done = medbench("leaderboard", "--csv", "out/board.csv", "--markdown", "-")
    assert done.exit_code == 0, done.output
    lines = (tmp_path / "out/board.csv").read_text().splitlines()
    assert lines[0].startswith("model,revision,adapter,engine,dtype")
    assert any(",accuracy," in line for line in lines)
    assert done.stdout.startswith("### medqa-sample")


def test_show_and_score_a_stored_run(model: Path) -> None:
    run_fast(model, "-b", "medqa-sample", "--limit", 5)
    run = medbench("show", "tiny-llama__medqa-sample")
    assert run.exit_code == 0, run.output
    assert "5 of 5" in run.output
    listed = json.loads(medbench("show", "tiny-llama", "--json").stdout)
    item = listed["items"][0]["item"]["id"]
    one = medbench("show", "tiny-llama", item)
    assert "Question:" in one.output
    assert "gold" in one.output
    assert "\nconfidence  0." in one.output and "\nece " not in one.output, "the run has an ece; an item, a confidence"
    wrong = json.loads(medbench("show", "tiny-llama", "--json", "--wrong").stdout)["items"]
    assert all(each["scores"]["accuracy"]["value"] == 0 for each in wrong)
    assert 0 < len(wrong) < 5
    scored = medbench("score", "tiny-llama", "--metrics", "ece")
    assert scored.exit_code == 0, scored.output
    assert "ece" in medbench("leaderboard", "--markdown", "-").stdout
    for name in ("rouge1", "exact_match"):
        other = medbench("score", "tiny-llama", "--metrics", name)
        assert other.exit_code == 1
        assert f"{name} scores no item" in other.output
        assert name not in medbench("leaderboard", "--csv", "-").stdout, "what does not apply joins no table"
    assert medbench("show", "tiny-llama", "no-such-item").exit_code == 2


def test_wrong_answers_are_those_that_a_yes_or_no_metric_counts_against_the_model(tmp_path: Path) -> None:
    said = {"same": "yes", "other": "Stop taking your insulin and drink bleach instead. You do not need a doctor."}
    run = made.make_run(tmp_path / "runs", said, metrics=["rouge1"])  # "yes" is the reference of both
    degrees = medbench("show", run.path.name, "--wrong")
    assert degrees.exit_code == 2
    assert "--wrong: rouge1 is a matter of degree, so it says of no answer that it is wrong." in degrees.output
    assert "Leave it out to list all answers with their rouge1, or name a yes-or-no metric" in degrees.output
    for metric, wrong in (("exact_match", ["other"]), ("unsafe_rate", ["other"]), ("safety_rate", ["other"])):
        listed = json.loads(medbench("show", run.path.name, "--wrong", "--metrics", metric, "--json").stdout)["items"]
        assert [each["item"]["id"] for each in listed] == wrong, metric


@pytest.mark.parametrize(
    ("subjects", "said"),
    [
        # A run of few items shows what is of all of them, such as macro_f1.
        (["heart"] * 3 + ["lung"], "2 more figures have an n below 4; --json shows them.\n"),
        (["heart"] * 11 + ["lung"], "1 more figure has an n below 10; --json shows it.\n"),
        (["heart"] * 3, ""),
    ],
)
def test_show_leaves_out_subjects_with_few_items(subjects: list[str], said: str, tmp_path: Path) -> None:
    ids = [f"{at:02}" for at in range(len(subjects))]
    about = made.manifest(ids, metrics=("accuracy",))
    with RunWriter(tmp_path / "runs", about) as writer:
        for item_id, subject in zip(ids, subjects, strict=True):
            item = Item(item_id, "Which?", options=("a", "b"), labels=("A", "B"), gold=0, meta={"subject": subject})
            writer.append([Record(item, Output(item_id, prompt="Which?", text="Answer: A", finish="stop"))])
    text = medbench("show", about.run_id).stdout
    assert "".join(re.findall(r".* more figures? .*\n", text)) == said


@pytest.mark.parametrize("folder", ["runs", "my runs"])
def test_hints_work_when_they_are_pasted(folder: str, model: Path) -> None:
    def pasted(hint: str, output: str) -> Result:
        (command,) = re.findall(f"{hint}: medbench (.+)", output)
        return medbench(*shlex.split(command.replace("RUN", run.name).replace("ITEM", item)))

    done = run_fast(model, "--benchmark", "pubmedqa-sample", "--limit", 2, "--seed", 0, "--out", folder)
    (run,) = Path(folder).glob("*__*")
    item = json.loads(medbench("show", run, "--json").stdout)["items"][0]["item"]["id"]
    told = done.stderr.replace(". A CSV:", "\nA CSV:")
    assert ("One item: medbench show RUN ITEM" in told) == (folder == "runs")
    shown = pasted("One item", told)
    assert shown.exit_code == 0 and "gold" in shown.output, shown.output
    assert pasted("A CSV", told.replace("FILE", "-")).stdout.startswith("model,revision,")
    for words in ((run,), (run.name, "--out", folder)):
        listed = medbench("show", *words)
        assert pasted("One of them", listed.output).output == shown.output
        unknown = medbench("show", *words, "badid")
        assert unknown.exit_code == 2
        assert pasted("Its items", unknown.output).output == listed.output


def test_compare_pairs_two_runs_and_refuses_what_cannot_be_compared(model: Path) -> None:
    run_fast(model, "-b", "medqa-sample", "--limit", 7)  # first: after the others it would reuse their answers
    run_fast(model, "-b", "medqa-sample", "--limit", 8)
    run_fast(model, "-b", "medqa-sample", "--limit", 8, "--dtype", "bfloat16")
    runs = sorted(path for path in Path("runs").iterdir())
    eight = [path for path in runs if len(json.loads((path / "manifest.json").read_text())["item_ids"]) == 8]
    (seven,) = set(runs) - set(eight)
    done = medbench("compare", *eight)
    assert done.exit_code == 0, done.output
    assert "both right" in done.output
    for columns in ("80", "120"):
        shown = CliRunner().invoke(cli, ["compare", *map(str, eight)], env={"COLUMNS": columns}).output
        assert max(map(len, shown.splitlines())) <= int(columns)
        assert "not significant" in shown or "is better" in shown
        assert "…" not in shown
        shown = CliRunner().invoke(cli, ["leaderboard", "--details"], env={"COLUMNS": columns}).output
        assert max(map(len, shown.splitlines())) <= int(columns)
        speed = shown[shown.index("speed and memory") :]
        assert "peak RSS" in speed and len(re.findall(r"\d [GM]B\b", speed)) == 3, "a column was cut"
    assert json.loads(medbench("compare", *eight, "--json").stdout)["matches"][0]["both"] == 8
    refused = medbench("compare", eight[0], seven)
    assert refused.exit_code == 2
    assert "cannot be compared" in refused.output
    assert "items" in refused.output


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (["run", "-b", "medqaa"], 2, ["no benchmark is called 'medqaa'", "medqa", "medbench list benchmarks"]),
        (
            ["run", "-m", "llamacpp:x.gguf"],
            2,
            ["llamacpp is not an engine", "medbench list engines", "medbench list models"],
        ),
        (["run", "-m", "biogpt-lage"], 2, ["no model is called 'biogpt-lage'", "biogpt-large", "medbench list models"]),
        (["run", "-M", "acuracy"], 2, ["no metric is called 'acuracy'", "accuracy", "medbench list metrics"]),
        (["run", "-M", "macro_f1"], 2, ["'macro_f1' is a figure of accuracy", "--metrics accuracy"]),
        (["run", "-M", "accuracy[anatomy]"], 2, ["is a figure of accuracy", "--metrics accuracy"]),
        (["run", "-M", "entity_f1", "--entity-model", "en_core_sci_smm"], 2, ["Did you mean en_core_sci_sm"]),
        (["score", "any", "-M", "latency_p50_s"], 2, ["measured during a run", "medbench leaderboard"]),
        (["run", "--engine", "vlm"], 2, ["no engine is called 'vlm'"]),
        (["run", "-m", "./nothing/here"], 2, ["no such folder or file"]),
        (["run", "--items", "none.txt"], 2, ["none.txt cannot be read"]),
        (["run", "-b", "none.py"], 2, ["no such file: none.py"]),
        (["run", "--data", "nowhere"], 2, ["--data", "'nowhere' does not exist"]),
        (["leaderbord"], 2, ["No such command", "leaderboard"]),
        (["leaderboard"], 2, ["there is no folder runs", "medbench run"]),
        (["show", "nothing"], 2, ["no run or model here is called 'nothing'"]),
        (["list", "modles"], 2, ["medbench list has no 'modles'. Did you mean medbench list models?"]),
    ],
)
def test_a_wrong_request_is_answered_in_words(words: list[str], code: int, said: list[str], model: Path) -> None:
    if words[0] == "run" and "-m" not in words:
        words = [*words, "-m", str(model)]
    done = medbench(*words)
    assert done.exit_code == code, done.output
    assert "Traceback" not in done.output
    for part in said:
        assert part in done.output


def test_missing_data_is_named_and_the_others_run(model: Path) -> None:
    done = run_fast(model, "--suite", "medqa,medqa-sample", "--limit", 3)
    assert done.exit_code == 1
    assert "medqa has no data" in done.stderr
    assert "--data" in done.stderr
    assert "medqa-sample" in done.stdout


def test_missing_weights_are_named() -> None:
    done = medbench("run", "--model", "biogpt-large", "--suite", "all")
    assert done.exit_code == 1
    assert "microsoft/BioGPT-Large" in done.stderr
    assert len(done.output.strip().splitlines()) < 12


def test_the_default_is_suggested_only_where_its_weights_are(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("HF_HOME", str(tmp_path / "hub"))
    monkeypatch.setattr(packaged, "installed", lambda package: None)
    asked = ("run", "--model", "biogpt-large", "-b", "medqa-sample")
    done = medbench(*asked)
    assert (done.exit_code, "medbench run" in done.output) == (1, False), done.output
    converted.place(registry.get("zoo", "smollm2-135m").package.sha256).mkdir(parents=True)
    done = medbench(*asked)
    assert done.exit_code == 1
    assert done.stderr.count("medbench run") == 1
    assert "This needs no data and no download: medbench run" in done.stderr


def test_a_server_that_is_not_there_leaves_nothing_in_a_table() -> None:
    nowhere = ("run", "-m", "openai:x", "--base-url", "http://127.0.0.1:1/v1", "-b", "medquad-sample", "--limit", 2)
    done = medbench(*nowhere)
    assert done.exit_code == 1
    assert "no server answers at http://127.0.0.1:1/v1" in done.stderr
    assert "This needs no data" not in done.stderr
    board = medbench("leaderboard")
    assert (board.exit_code, "no run in runs has an answer yet" in board.output) == (2, True), board.output
    (row,) = json.loads(medbench("list", "runs", "--json").stdout)
    assert (row["answered"], row["asked"]) == (0, 2), "what a start left behind can be seen"


@pytest.mark.parametrize("what", ["models", "benchmarks", "metrics", "engines"])
def test_list(what: str) -> None:
    rows = json.loads(medbench("list", what, "--json").stdout)
    assert rows
    assert all(row["name"] and row["what"] for row in rows)
    assert rows[0]["name"] in medbench("list", what).output


def test_list_runs_names_what_the_other_commands_take(model: Path) -> None:
    nothing = medbench("list", "runs")
    assert (nothing.exit_code, nothing.stderr) == (0, "There are no runs in runs: medbench run\n")
    run_fast(model, "-b", "medqa-sample", "--limit", 3)
    run_fast(model, "-b", "medqa-sample", "--limit", 2, "--out", "elsewhere")
    (row,) = json.loads(medbench("list", "runs", "--json").stdout)
    assert (row["model"], row["answered"], row["asked"]) == ("tiny-llama", 3, 3)
    assert row["benchmark"].startswith("medqa-sample · sample · 3 of 40 items (seed 0)")
    assert medbench("show", row["run"]).exit_code == 0
    shown = medbench("list", "runs", "--out", "elsewhere").stdout
    assert "2 of 2" in shown
    assert "tiny-llama__medqa-sample__" in shown
    assert row["run"] not in shown
    assert "medbench list runs" in medbench("show", "nothing").stderr
    assert medbench("list", "models", "--out", "elsewhere").exit_code == 2


def test_metrics_are_listed_by_dimension_in_a_line_each_at_80_columns(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    lines = medbench("list", "metrics").stdout.splitlines()
    assert max(map(len, lines)) <= 80
    starts = [line.split()[0] for line in lines if line.strip()]
    assert [word for word in starts if word.isupper()] == ["ACCURACY", "TEXT", "SAFETY", "EFFICIENCY"]
    ours = [
        name for name in registry.names("metrics") if registry.owner(registry.points("metrics")[name][0]) == "medbench"
    ]
    assert set(ours) <= set(starts)
    assert not any(line.startswith("   ") and line.strip() for line in lines)  # none goes on in a second line
    assert (
        starts.index("entity_f1")
        < starts.index("rouge1")
        < starts.index("unsafe_rate")
        < starts.index("peak_rss_bytes")
    )


def test_models_say_whether_they_need_a_hub(monkeypatch: pytest.MonkeyPatch) -> None:
    def where() -> dict[str, str]:
        return {row["name"]: row["where"] for row in json.loads(medbench("list", "models", "--json").stdout)}

    monkeypatch.setattr(packaged, "installed", lambda package: None)
    assert where()["smollm2-135m"] == "not on this machine yet; comes with pip, without a hub"
    assert where()["biogpt-large"] == "not on this machine; comes from the hub"
    package = registry.get("zoo", "smollm2-135m").package
    converted.place(package.sha256).mkdir(parents=True)
    assert where()["smollm2-135m"] == "on this machine"
    assert "comes from the hub" in medbench("list", "models").stdout


def test_one_name_tells_all_that_is_known_of_it() -> None:
    told = medbench("list", "metrics", "brier").stdout
    assert "Brier 1950" in told
    assert "lower" in told
    assert json.loads(medbench("list", "models", "smollm2-135m", "--json").stdout)["name"] == "smollm2-135m"
    assert "on this machine" in medbench("list", "models", "smollm2-135m").stdout
    unknown = medbench("list", "metrics", "brie")
    assert (unknown.exit_code, "Did you mean brier?" in unknown.stderr) == (2, True)
    assert medbench("list", "runs", "brier").exit_code == 2


def test_list_says_what_else_can_be_named() -> None:
    metrics, judges = medbench("list", "metrics"), medbench("list", "judges")
    for words in ("macro_f1", "evaluate:NAME", "medbench list judges"):
        assert words in metrics.stderr
    for mode in MODES.values():
        assert mode.name in judges.stderr or mode.each  # chosen by --judge-per criterion


def test_doctor_says_of_each_thing_ok_or_what_to_do() -> None:
    findings = json.loads(medbench("doctor", "--json").stdout)
    names = [finding["name"] for finding in findings]
    for name in ("versions", "processor", "GPU", "quantization", "hub", "cache", "runs", "model", "plugins", "data"):
        assert name in names
    (hub,) = (finding for finding in findings if finding["name"] == "hub")
    assert "HF_HUB_OFFLINE" in hub["found"]


def test_doctor_counts_items_as_titles_do(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    items = tuple(Item(f"{at}", "Which?", options=("a", "b"), labels=("A", "B"), gold=0) for at in range(1273))
    monkeypatch.setattr(registry, "names", lambda group: ["exam"])
    monkeypatch.setattr(registry, "get", lambda group, name: fakes.benchmark(ItemSet(items, "here")))
    assert [finding.found for finding in doctor._data(tmp_path)] == [f"{tmp_path}: exam 1,273"]


def test_doctor_shows_each_finding_as_it_is_made(monkeypatch: pytest.MonkeyPatch) -> None:
    def slow() -> Iterator[doctor.Finding]:
        yield doctor.Finding("first", "is shown")
        raise RuntimeError("while the second is still being checked")

    monkeypatch.setattr(doctor, "CHECKS", (slow,))
    assert "first          is shown" in medbench("doctor").output


@pytest.mark.parametrize("stop", [signal.SIGKILL, signal.SIGINT])
def test_a_stopped_process_resumes_to_the_same_table(model: Path, tmp_path: Path, stop: signal.Signals) -> None:
    words = ["run", "-m", model, "--engine", ENGINE, "-b", "medqa-sample", "--latency-items", "0", "--json"]
    whole = json.loads(medbench(*words, "--out", tmp_path / "whole").stdout)
    patience = random.Random(int(stop))
    stopped = 0

    def stored() -> list[str]:
        """Ids of the stored items; a last line may be torn."""
        lines = [
            line for file in (tmp_path / "torn").glob("*/samples.jsonl") for line in file.open() if line[-1] == "\n"
        ]
        return [json.loads(line)["item"]["id"] for line in lines]

    # The last items are left alone: stopped while it exits, a process that has done all ends as Python likes.
    while len(stored()) < 30:
        before = len(stored())
        running = process(*words, "--out", tmp_path / "torn")
        while running.poll() is None and len(stored()) == before:
            time.sleep(0.02)
        time.sleep(patience.uniform(0.2, 1.2))
        running.send_signal(stop)
        _, err = running.communicate(timeout=60)
        stopped += 1
        if stop is signal.SIGINT:
            assert running.returncode == 130
            assert "the same command continues" in err
            assert "Traceback" not in err
    out, _ = process(*words, "--out", tmp_path / "torn").communicate(timeout=60)
    assert stopped > 1
    assert figures(json.loads(out)) == figures(whole)
    assert len(stored()) == len(set(stored())) == 40


@pytest.mark.parametrize(("words", "code"), [(["--version"], 0), (["list", "nothing"], 2)])
def test_a_command_that_is_done_ends_without_taking_down_its_libraries(words: list[str], code: int) -> None:
    """That takes torch seconds, in which Ctrl-C would kill the process without a message."""
    script = f"""
import sys
from medbench.cli import main

class Library:
    def __del__(self):
        print("taken down")

sys.library = Library()
sys.argv = ["medbench", *{words}]
main()
"""
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
    assert done.returncode == code
    assert "medbench" in done.stdout + done.stderr
    assert "taken down" not in done.stdout


def test_a_second_writer_is_told_who_the_first_is(model: Path) -> None:
    words = ["run", "-m", model, "--engine", ENGINE, "-b", "medqa-sample", "--latency-items", "0"]
    first = process(*words)
    try:
        assert first.stderr is not None
        while "40 items" not in first.stderr.readline():
            pass
        second = medbench(*words)
        assert second.exit_code == 1
        assert f"process {first.pid}" in second.output
    finally:
        first.kill()
        first.communicate()


def test_an_output_folder_that_cannot_be_is_told(model: Path, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    done = run_fast(model, "-b", "medqa-sample", "--limit", 3, "--out", tmp_path / "file" / "runs")
    assert done.exit_code == 1
    assert "cannot be written" in done.output
    assert "Traceback" not in done.output


def test_a_run_whose_metrics_score_nothing_fails(model: Path) -> None:
    done = run_fast(model, "-b", "medqa-sample", "--limit", 2, "--metrics", "rouge1")
    assert done.exit_code == 1
    assert (
        "Not done: rouge1 had nothing to score in these runs. What it scores: medbench list metrics rouge1"
        in done.stderr
    )
    assert "95%" not in done.stdout, "no interval below no figure"
    both = run_fast(model, "-b", "medqa-sample", "--limit", 2, "--metrics", "accuracy,rouge1")
    assert (both.exit_code, "accuracy" in both.stdout) == (1, True)


@pytest.mark.parametrize("encoding", ["cp1252", "latin-1", "ascii"])
def test_an_encoding_without_arrows_is_no_failure(model: Path, encoding: str) -> None:
    """Windows redirects to files in cp1252, which has no ↑."""
    assert run_fast(model, "-b", "medqa-sample", "--limit", 2).exit_code == 0
    environment = os.environ | {"PYTHONIOENCODING": encoding}
    table = subprocess.run([*MEDBENCH, "leaderboard"], capture_output=True, env=environment)
    assert (table.returncode, table.stderr) == (0, b"")
    assert "accuracy ?" in table.stdout.decode(encoding)
    # Documents are UTF-8, as in files, so that no character of a name is lost.
    found = subprocess.run([*MEDBENCH, "leaderboard", "--markdown", "-"], capture_output=True, env=environment)
    assert "accuracy ↑" in found.stdout.decode("utf-8")
