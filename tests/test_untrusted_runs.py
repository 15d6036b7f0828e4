"""Reading runs from somebody else executes nothing of theirs: no metric or model file, git setting or module."""

from __future__ import annotations

import dataclasses
import json
import os
import runpy
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import made
import pytest
from click.testing import CliRunner, Result
from medbench.cli import cli
from medbench.core import registry
from medbench.core.errors import MedbenchError
from medbench.evaluation import environment
from medbench.evaluation.background import BackgroundScorer
from medbench.metrics import hf_evaluate
from medbench.results.manifest_file import read_manifest, write_manifest
from medbench.results.scoring import load_metric, load_stored, score_run
from medbench.results.store import StoredRun
from test_background import until

METRIC = """
from pathlib import Path
from medbench.core.types import Figure, Score

Path("ran").touch()

class Mine:
    name, version, binary, mean, better = "mine", "1", False, True, "higher"

    def score(self, records):
        return [Score(r.item.id, 0.25) for r in records]

    def aggregate(self, records, scores):
        return [Figure(self.name, 0.25, len(scores), len(records))]

METRIC = Mine()
"""
SCRIPT = """
import datasets
import evaluate
from pathlib import Path

Path("ran").touch()
text = datasets.Value("string")

class Theirs(evaluate.Metric):
    def _info(self):
        features = datasets.Features({"predictions": text, "references": text})
        return evaluate.MetricInfo(description="", citation="", features=features)

    def _compute(self, predictions, references):
        return {"theirs": 0.75}
"""


@pytest.fixture(autouse=True)
def _alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    registry.forget()


def medbench(*words: object) -> Result:
    done = CliRunner().invoke(cli, [str(word) for word in words], env={"COLUMNS": "200"}, prog_name="medbench")
    if done.exception and not isinstance(done.exception, SystemExit):
        raise done.exception
    return done


def ran() -> bool:
    """Whether a stranger's code ran, and forget it."""
    mark = Path("ran")
    if not mark.exists():
        return False
    mark.unlink()
    return True


def named_by_a_run(metric: str, model: str = "tiny") -> StoredRun:
    """A run whose manifest lists `metric` beside exact_match (1 of 2 right), sealed as medbench seals."""
    run = made.make_run(Path("runs"), {"a": "yes", "b": "no"}, metrics=["exact_match"], model=model)
    write_manifest(run.path, dataclasses.replace(read_manifest(run.path), metrics=("exact_match", metric)))
    return StoredRun(run.path)


def metric_file() -> str:
    Path("mine.py").write_text(METRIC)
    return str(Path("mine.py").resolve())


def evaluate_folder() -> str:
    Path("theirs").mkdir(exist_ok=True)
    Path("theirs/theirs.py").write_text(SCRIPT)
    return f"evaluate:{Path('theirs').resolve()}"


def pipeline_folder() -> str:
    Path("pipe").mkdir(exist_ok=True)
    for name in ("meta.json", "config.cfg"):
        Path("pipe", name).write_text("{}")
    return f"entity_f1:{Path('pipe').resolve()}"


NAMES: dict[str, Callable[[], str]] = {
    "a .py file": metric_file,
    "a .py file, relative": lambda: Path(metric_file()).name,
    "a folder of evaluate": evaluate_folder,
    "a script of evaluate": lambda: f"{evaluate_folder()}/theirs.py",
    "a script of the hub": lambda: "evaluate:someone/metric",
    "a spaCy pipeline": pipeline_folder,
    "a spaCy pipeline in the working folder": lambda: pipeline_folder() and "entity_f1:pipe",
}


@pytest.mark.parametrize("kind", NAMES)
def test_a_metric_that_only_a_manifest_names_is_not_run_and_the_others_are_shown(kind: str) -> None:
    name = NAMES[kind]()
    run, other = named_by_a_run(name), named_by_a_run(name, model="other")
    for words, code in (
        (["leaderboard", "runs"], 1),
        (["show", run.path], 0),
        (["compare", run.path, other.path], 1),
        (["compare", "tiny", "other"], 1),
    ):
        done = medbench(*words)
        assert done.exit_code == code, done.output
        assert not ran()
        meant = f"entity_f1:{Path('pipe').resolve()}" if name == "entity_f1:pipe" else name
        assert f"the metric '{meant}' is named only by a stored run" in done.stderr
        assert f"name it in this command: --metrics {meant}" in done.stderr
        assert "exact_match" in done.stdout
    assert medbench("list", "runs").exit_code == 0
    assert not ran()


def test_a_file_that_this_command_names_runs_in_it_and_in_no_later_one() -> None:
    run = named_by_a_run(metric_file())
    done = medbench("leaderboard", "runs", "--metrics", "mine.py", "--json")
    assert (done.exit_code, ran()) == (0, True)
    assert json.loads(done.stdout)["boards"][0]["rows"][0]["figures"][0]["value"] == 0.25
    assert "0.25" in medbench("show", run.path, "--metrics", "mine.py").stdout
    assert ran()
    assert medbench("leaderboard", "runs").exit_code == 1
    assert not ran()


def test_scores_of_a_named_script_that_are_stored_are_shown_without_it(monkeypatch: pytest.MonkeyPatch) -> None:
    # Without the package that `evaluate` copies scripts into, which a process imports once.
    monkeypatch.setattr(hf_evaluate, "_load", lambda folder: runpy.run_path(f"{folder}/theirs.py")["Theirs"]())
    name = evaluate_folder()
    run = named_by_a_run(name)
    assert {score.value for score in score_run(run, load_metric(name))} == {0.75}  # type: ignore[arg-type]
    assert ran()
    registry.forget()
    kept = run.score_file(name).read_bytes()
    figures = json.loads(medbench("leaderboard", "runs", "--json").stdout)["boards"][0]["rows"][0]["figures"]
    assert {figure["metric"]: figure["value"] for figure in figures}[name] == 0.75
    Path("theirs/theirs.py").write_text(SCRIPT + "# another version\n")
    assert medbench("leaderboard", "runs").exit_code == 1
    assert not ran()
    assert run.score_file(name).read_bytes() == kept


def test_names_of_installed_metrics_and_judges_need_no_second_mention() -> None:
    for name in ("exact_match", "entity_f1", "entity_f1:medbench_bc5cdr", "judge:rubric:groq:openai/gpt-oss-120b:abc"):
        assert not registry.uninstalled("metrics", name)
    assert load_stored("exact_match") is load_metric("exact_match")
    with pytest.raises(MedbenchError, match="no metric is called 'no/such'"):
        load_stored("no/such")


def test_a_run_that_goes_on_does_not_run_what_its_manifest_names() -> None:
    Path("answers.jsonl").write_text("".join(json.dumps({"id": f"s-qd-{n:02}", "text": "no"}) + "\n" for n in (1, 2)))
    words = ("run", "-m", "replay:answers.jsonl", "-b", "medquad-sample")
    done = medbench(*words)
    assert "rougeL" in done.stdout, done.output
    (path,) = (manifest.parent for manifest in Path("runs").glob("*/manifest.json"))
    write_manifest(path, dataclasses.replace(read_manifest(path), metrics=("rougeL", metric_file())))
    done = medbench(*words)
    assert "is named only by a stored run" in done.stderr
    assert not ran()


# --- the working folder -----------------------------------------------------------------------------------------------


def git(*words: str) -> str:
    who = ("-c", "user.name=a", "-c", "user.email=a@b")
    return subprocess.run(["git", *who, *words], capture_output=True, text=True, check=True).stdout.strip()


@pytest.fixture
def repository(tmp_path: Path) -> str:
    """The working folder as a git repository with one commit, whose hash this is."""
    git("init", "-q")
    Path("file").write_text("1")
    git("add", "file")
    git("commit", "-q", "-m", "one")
    return git("rev-parse", "HEAD")


def test_a_repository_without_programs_in_its_settings_says_whether_it_was_changed(repository: str) -> None:
    git("remote", "add", "origin", "https://example.org/x.git")
    assert environment.git_state() == {"commit": repository, "dirty": False}
    Path("file").write_text("2")
    assert environment.git_state() == {"commit": repository, "dirty": True}


@pytest.mark.parametrize("settings", ["fsmonitor", "filter", "included filter", "worktree filter"])
def test_a_repositorys_settings_start_no_program(repository: str, settings: str) -> None:
    program = Path("program")
    program.write_text("#!/bin/sh\ntouch ran\ncat\n")
    program.chmod(0o755)
    command = str(program.resolve())
    if settings == "fsmonitor":
        git("config", "core.fsmonitor", command)
    else:
        Path(".git/info/attributes").write_text("* filter=evil\n")
        if settings == "included filter":
            Path("more").write_text(f'[filter "evil"]\n clean = {command}\n')
            git("config", "include.path", str(Path("more").resolve()))
        elif settings == "worktree filter":
            git("config", "extensions.worktreeConfig", "true")
            git("config", "--worktree", "filter.evil.clean", command)
        else:
            git("config", "filter.evil.clean", command)
    Path("file").write_text("3")
    os.utime("file", (1, 1))
    git("status", "--porcelain")
    assert ran()  # plain `git status` does start it
    assert environment.git_state() == {"commit": repository, "dirty": None}
    assert not ran()


def test_a_repositorys_hooks_are_not_run(repository: str) -> None:
    hook = Path(".git/hooks/post-index-change")
    hook.parent.mkdir(exist_ok=True)
    hook.write_text("#!/bin/sh\ntouch ran\n")
    hook.chmod(0o755)
    os.utime("file", (1, 1))  # so that the index is written
    assert environment.git_state()["dirty"] is False
    assert not ran()


def test_scoring_beside_a_run_imports_nothing_from_the_working_folder(tmp_path: Path) -> None:
    for module in ("json", "threading", "numpy"):
        Path(f"{module}.py").write_text("from pathlib import Path\nPath('ran').touch()\n")
    there = made.make_run(tmp_path / "there", {"a": "yes"}, metrics=["token_f1"])
    with BackgroundScorer() as scorer:
        scorer.stored(there.path, ["token_f1"])
        scorer.working()
        assert until(there.score_file("token_f1").exists)
    assert not ran()
    subprocess.run([sys.executable, "-c", "import json"], check=True)
    assert ran()  # the way that a plain child process goes
