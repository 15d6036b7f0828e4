"""`--report-to`: figures, answers and configuration in experiment trackers, which never cost a run.

MLflow and Trackio are the real packages, with stores in a local folder. W&B and Weave were run by hand: W&B with
WANDB_MODE=offline, Weave against a server on the loopback address.
"""

from __future__ import annotations

import json
import sys
import types
from pathlib import Path
from typing import Any

import medbench
import pytest
from click.testing import CliRunner, Result
from medbench.cli import cli
from medbench.results import trackers

QUIZ = """
from medbench.core.types import Benchmark, Item, ItemSet

BENCHMARK = Benchmark(
    name="quiz", version="1", summary="for tests", citation="none", licence="MIT",
    load=lambda source: ItemSet((Item("i1", "first?", options=("yes", "no"), gold=0),
                                 Item("i2", "second?", options=("yes", "no"), gold=1)), "here"),
    question=lambda item: item.question + "\\nAnswer:", metrics=("accuracy",),
)
"""


@pytest.fixture(autouse=True)
def _alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("MEDBENCH_HOME", raising=False)
    Path("quiz.py").write_text(QUIZ)
    Path("alpha.jsonl").write_text('{"id": "i1", "text": "yes"}\n{"id": "i2", "text": "yes"}\n')


def medbench_command(*words: str) -> Result:
    return CliRunner().invoke(cli, list(words), prog_name="medbench")


def run(*words: str) -> Result:
    return medbench_command("run", "-m", "replay:alpha.jsonl", "-b", "quiz.py", *words)


class Recorder:
    """A tracker that keeps what it gets, or fails."""

    def __init__(self, error: Exception | None = None) -> None:
        self.error = error
        self.got: list[trackers.Logged] = []

    def __call__(self, run: trackers.Logged) -> None:
        print("hello from the tracker")
        if self.error:
            raise self.error
        self.got.append(run)


@pytest.fixture
def recorder(monkeypatch: pytest.MonkeyPatch) -> Recorder:
    made = Recorder()
    monkeypatch.setattr(trackers, "TRACKERS", {"json": made})  # the name of a package that is installed
    return made


class TestWhatIsLogged:
    def test_figures_answers_and_configuration(self, recorder: Recorder) -> None:
        done = run("--report-to", "json", "--json")
        assert done.exit_code == 0, done.output
        assert json.loads(done.stdout), "a tracker must not write between the results"
        assert "hello from the tracker" in done.stderr
        (logged,) = recorder.got
        frame = medbench.load_runs().frame().set_index("metric")
        assert logged.figures["accuracy"] == frame.value["accuracy"] == 0.5
        assert logged.figures["accuracy_low"] == frame.low["accuracy"] and logged.figures["accuracy_n"] == 2
        assert logged.config["model"] == "replay:alpha" and logged.config["method"] == "generate"
        rows = [dict(zip(logged.columns, row, strict=True)) for row in logged.rows]
        assert [(row["item"], row["gold"], row["answer"], row["accuracy"]) for row in rows] == [
            ("i1", "yes", "yes", 1.0),
            ("i2", "no", "yes", 0.0),
        ]

    def test_score_logs_the_new_metric_too(self, recorder: Recorder) -> None:
        assert run().exit_code == 0 and recorder.got == []  # off by default
        done = medbench_command("score", "runs", "--metrics", "refusal_rate", "--report-to", "json")
        assert done.exit_code == 0, done.output
        (logged,) = recorder.got
        assert {"accuracy", "refusal_rate"} <= logged.figures.keys()

    def test_from_python(self, recorder: Recorder) -> None:
        medbench.evaluate("replay:alpha.jsonl", "quiz.py", report_to="json")
        assert recorder.got[0].name == next(Path("runs").iterdir()).name

    def test_nothing_private(self, recorder: Recorder) -> None:
        run("--report-to", "json")
        assert str(Path.cwd()) not in str(recorder.got)


class TestFailures:
    def test_a_tracker_that_fails_is_a_warning_and_the_run_is_there(self, recorder: Recorder) -> None:
        recorder.error = ConnectionError("no route\nto host")
        done = run("--report-to", "json")
        assert done.exit_code == 0, done.output
        assert "Not reported to json: " in done.stderr and "no route to host" in done.stderr
        assert medbench.load_runs()[0].complete

    def test_in_python_it_is_a_python_warning(self, recorder: Recorder) -> None:
        recorder.error = ConnectionError("no route")
        with pytest.warns(UserWarning, match="Not reported to json"):
            runs = medbench.evaluate("replay:alpha.jsonl", "quiz.py", report_to="json")
        assert not runs.problems

    @pytest.mark.parametrize("command", ["run", "score", "train"])
    def test_an_unknown_tracker(self, command: str) -> None:
        words = {"run": (), "score": ("runs", "--metrics", "accuracy"), "train": ("--model", "smollm2-135m")}[command]
        done = medbench_command(command, *words, "--report-to", "trakio")
        assert done.exit_code == 2 and "--report-to trakio" in done.output
        assert not Path("runs").exists()

    def test_a_missing_package_is_told_before_anything_runs(self, monkeypatch: pytest.MonkeyPatch) -> None:
        Path("wandb").mkdir()  # wandb makes a folder of that name, which Python could import as a package
        monkeypatch.syspath_prepend(str(Path.cwd()))
        monkeypatch.delitem(sys.modules, "wandb", raising=False)
        if trackers.importlib.util.find_spec("wandb").origin:
            pytest.skip("wandb is installed here")
        done = run("--report-to", "wandb")
        assert done.exit_code == 2 and "--report-to wandb: its package is not installed." in done.output
        assert "pip install wandb" in done.output and not Path("runs").exists()


class TestMlflow:
    @pytest.fixture(autouse=True)
    def _store(self, monkeypatch: pytest.MonkeyPatch) -> None:
        pytest.importorskip("mlflow", reason="the extra 'test' brings mlflow-skinny")
        monkeypatch.setenv("MLFLOW_ALLOW_FILE_STORE", "true")  # of its stores, mlflow-skinny has only that
        monkeypatch.setenv("MLFLOW_TRACKING_URI", Path("mlruns").absolute().as_uri())
        monkeypatch.setenv("MLFLOW_EXPERIMENT_NAME", "ward")

    def test_a_repeated_command_continues_its_run(self) -> None:
        import mlflow

        for _ in range(2):
            done = run("--report-to", "mlflow")
            assert done.exit_code == 0 and "Not reported" not in done.output, done.output
        client = mlflow.MlflowClient()
        experiment = client.get_experiment_by_name("ward").experiment_id
        (found,) = client.search_runs([experiment])
        assert found.data.metrics["accuracy"] == 0.5 and found.data.metrics["f1.yes"] == pytest.approx(2 / 3)
        assert found.data.params["model"] == "replay:alpha" and found.info.status == "FINISHED"
        files = {file.path for file in client.list_artifacts(found.info.run_id)}
        assert files == {"config.json", "samples.json"}
        table = json.loads(Path(client.download_artifacts(found.info.run_id, "samples.json")).read_text())
        assert table["data"][0][:2] == ["i1", 0]

    def test_a_store_that_refuses_is_a_warning(self, monkeypatch: pytest.MonkeyPatch) -> None:
        Path("blocked").write_text("a file")
        monkeypatch.setenv("MLFLOW_TRACKING_URI", Path("blocked/store").absolute().as_uri())
        done = run("--report-to", "mlflow")
        assert done.exit_code == 0 and "Not reported to mlflow" in done.stderr


def test_trackio(monkeypatch: pytest.MonkeyPatch) -> None:
    """In a process of its own: Trackio reads where its store is when it is imported, and starts a server of its own."""
    import os
    import subprocess

    pytest.importorskip("trackio", reason="the extra 'test' brings it")
    command = [sys.executable, "-m", "medbench", "run", "-m", "replay:alpha.jsonl", "-b", "quiz.py", "--json"]
    environment = {**os.environ, "TRACKIO_DIR": str(Path("store").absolute()), "TRACKIO_PROJECT": "ward"}
    done = subprocess.run([*command, "--report-to", "trackio"], env=environment, capture_output=True, text=True)
    assert done.returncode == 0 and "Not reported" not in done.stderr, done.stderr
    assert json.loads(done.stdout)["boards"]
    read = (
        "import json; from trackio.sqlite_storage import SQLiteStorage as S\n"
        "(run,) = S.get_runs('ward'); print(json.dumps(S.get_logs('ward', run)))"
    )
    logs = json.loads(subprocess.run([sys.executable, "-c", read], env=environment, capture_output=True).stdout)
    assert logs[0]["accuracy"] == 0.5
    assert [row["item"] for row in logs[1]["samples"]["_value"]] == ["i1", "i2"]


class _Run:
    """What `wandb.init` returns, as far as medbench uses it."""

    def __init__(self) -> None:
        self.summary: dict[str, Any] = {}
        self.logged: dict[str, Any] = {}
        self.finished = False

    def log(self, values: dict[str, Any]) -> None:
        self.logged |= values

    def finish(self) -> None:
        self.finished = True


def test_what_wandb_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    """Against a stand-in with the calls of wandb 0.31."""
    started, made = _Run(), {}
    stand_in = types.ModuleType("wandb")
    stand_in.init = lambda **settings: made.update(settings) or started  # type: ignore[attr-defined]
    stand_in.Table = lambda columns, data: (columns, data)  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "wandb", stand_in)
    monkeypatch.setattr(trackers, "check", lambda names: None)
    assert run("--report-to", "wandb").exit_code == 0
    assert started.summary["accuracy"] == 0.5 and started.finished
    assert made["id"] == next(Path("runs").iterdir()).name and made["resume"] == "allow"
    assert len(started.logged["samples"][1]) == 2
