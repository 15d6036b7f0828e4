"""Experiments carried out: the same runs as commands make, continued after an interruption, and described before."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import entries
import medbench as api
import pytest
import tiny
from click.testing import CliRunner, Result
from medbench.cli import cli
from medbench.core.types import Output
from medbench.experiments.workload import Speed
from medbench.results.store import StoredRun
from test_docs import Page

ANSWERS = ("medqa-sample", "pubmedqa-sample", "medquad-sample")


@pytest.fixture(autouse=True)
def _alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    monkeypatch.setenv("MEDBENCH_CACHE", str(tmp_path / "cache"))
    for name in ("MEDBENCH_DATA", "MEDBENCH_HOME", "COLUMNS"):
        monkeypatch.delenv(name, raising=False)


def medbench(*words: object, code: int = 0) -> Result:
    done = CliRunner().invoke(cli, [str(word) for word in words], prog_name="medbench", env={"COLUMNS": "200"})
    assert done.exit_code == code, f"{done.output}\n{done.exception!r}"
    return done


def described(*words: object, code: int = 0) -> Any:
    return json.loads(medbench("run", *words, "--dry-run", "--json", code=code).stdout)


def model() -> Path:
    return tiny.save(Path("tiny"), "llama", window=2048)


def runs(folder: str = "runs") -> dict[str, bytes]:
    return {path.name: (path / "samples.jsonl").read_bytes() for path in sorted(Path(folder).iterdir())}


def files(*folders: str) -> dict[str, float]:
    """Every file of these folders, with the time of its last change."""
    found = [path for folder in folders for path in Path(folder).rglob("*") if path.is_file()]
    return {str(path): path.stat().st_mtime_ns for path in found}


def experiment() -> Path:
    """The example of docs/experiments.md, with a tiny model in the place of the embedded one."""
    entry = entries.entry(Path(), "smollm2-135m")
    entries.data(Path())
    Path("answers").mkdir()
    for name in ANSWERS:
        found = Page.read("experiments.md").text
        assert name in found
        (Path("answers") / f"{name}.jsonl").write_text(saved(name), encoding="utf-8")
    text = Page.read("experiments.md").text.split("```toml\n")[1].split("```")[0]
    Path("experiment.toml").write_text(text.replace("smollm2-135m", entry.name), encoding="utf-8")
    return Path("experiment.toml")


def saved(benchmark: str) -> str:
    """Answers of another system to a sample benchmark: always the first option, or one sentence."""
    from medbench.benchmarks.sources.files import Source
    from medbench.core import registry

    items = registry.get("benchmarks", benchmark).load(Source()).items
    lines = [{"id": item.id, "text": item.answers[0] if item.options else "Rest and drink enough."} for item in items]
    return "".join(json.dumps(line) + "\n" for line in lines)


# The same runs


def test_a_file_makes_the_runs_of_the_equivalent_command(tmp_path: Path) -> None:
    folder = model()
    words = ["-m", folder, "-b", "medqa-sample,medquad-sample", "--limit", 2, "--shots", 1, "--seed", 3]
    words += ["--system", "Be brief.", "--max-new-tokens", 3, "--latency-items", 0, "--quiet"]
    medbench("run", *words, "--temperature", 0.5, "--samples", 2, "--choice", "generate")
    before = runs()
    Path("study").mkdir()
    Path("study/experiment.toml").write_text(
        """
        benchmarks = ["medqa-sample", "medquad-sample"]
        limit = 2
        shots = 1
        seed = 3
        system = "Be brief."
        max_new_tokens = 3
        latency_items = 0
        temperature = 0.5
        samples = 2
        choice = "generate"
        out = "../runs"
        [[models]]
        name = "../tiny"
        dtype = "auto"
        """,
        encoding="utf-8",
    )
    assert {run["open"] for run in described("study/experiment.toml")["runs"]} == {0}
    medbench("run", "study/experiment.toml", "--quiet")
    assert runs() == before, "it finds the command's runs complete"


def test_a_saved_command_plans_the_same_runs() -> None:
    words = ["-m", model(), "-b", "pubmedqa-sample", "--limit", 3, "--protocol", "direct,cot", "--max-new-tokens", 9]
    planned = described(*words)["runs"]
    medbench("run", *words, "--save", "deep/saved.toml", "--dry-run")
    assert not Path("runs").exists()
    assert described("deep/saved.toml")["runs"] == planned
    assert len({run["run"] for run in planned}) == 2


def test_options_of_one_model_are_its_own() -> None:
    folder = model()
    text = f'benchmarks = "medqa-sample"\nlimit = 1\n[[models]]\nname = "{folder}"\n[[models]]\nname = "{folder}"\n'
    Path("e.toml").write_text(text + 'dtype = "bfloat16"\n', encoding="utf-8")
    float32, bfloat16 = described("e.toml")["runs"]
    assert float32["run"] == described("-m", folder, "-b", "medqa-sample", "--limit", 1)["runs"][0]["run"]
    same = described("-m", folder, "-b", "medqa-sample", "--limit", 1, "--dtype", "bfloat16")["runs"][0]["run"]
    assert bfloat16["run"] == same != float32["run"]


# A whole experiment


def test_the_example_of_the_page_trains_runs_compares_and_reports() -> None:
    """Twice: the second time everything is there."""
    file = experiment()
    entry = "tiny-smollm2-135m"
    first = described(file)
    assert [(each["model"], each["done"]) for each in first["trainings"]] == [("smollm2-135m.py@short", False)]
    assert {run["run"] for run in first["runs"] if run["model"] == f"{entry}@short"} == {None}, (
        "known once it is trained"
    )
    assert not Path("runs").exists()
    assert not Path("adapters").exists()

    done = medbench("run", file, "--json")
    found = json.loads(done.stdout)
    assert found["trained"] == [{"adapter": f"{entry}@short", "folder": f"adapters/{entry}/short"}]
    rows = {row["model"] for board in found["boards"] for row in board["rows"]}
    assert rows == {entry, f"{entry}@short", "replay:answers"}
    assert [len(comparison["matches"]) for comparison in found["comparisons"]] == [3, 2]
    assert found["problems"] == []
    assert "A short training" in Path(found["report"]).read_text(encoding="utf-8")
    manifest = json.loads(Path(f"adapters/{entry}/short/manifest.json").read_text(encoding="utf-8"))
    assert manifest["identity"]["max_steps"] == 2
    assert manifest["identity"]["stages"]["sft"]["lora"]["rank"] == 8

    before = files("runs", "adapters")
    shown = medbench("run", file)
    assert f"{entry}@short is already trained: nothing to do" in shown.stderr
    assert "accuracy: both right" in shown.stdout, "the comparisons are shown"
    assert "report: pages/index.html" in shown.stderr
    changed = {name for name, when in files("runs", "adapters").items() if before.get(name) != when}
    assert {Path(name).name for name in changed} <= {".lock", "figures.json"}, "no answer, score or weight"
    again = described(file)
    assert [each["done"] for each in again["trainings"]] == [True]
    assert [run["open"] for run in again["runs"]] == [0] * 9
    assert again["total"]["seconds"] == 0


def test_the_same_from_python_with_other_values() -> None:
    file = experiment()
    found = api.run_experiment(file, limit=2, benchmarks=["medqa-sample"], compare=[], out="here")
    assert found.problems == ()
    assert [run.path.parent.name for run in found] == ["here"] * 3
    assert [adapter.manifest.tag for adapter in found.adapters] == ["short"]
    assert (len(found.comparisons), found.report is not None) == (0, True)
    frame = found.frame()
    assert set(frame[frame["metric"] == "accuracy"]["total"]) == {2}


def test_what_fails_is_reported_and_the_rest_is_done() -> None:
    file = experiment()
    Path("pairs.jsonl").unlink()
    done = medbench("run", file, "--limit", 1, code=1)
    assert "Not done: smollm2-135m.py@short is not trained: " in done.stderr
    assert "Not done: the comparison of smollm2-135m.py and smollm2-135m.py@short: no run here is of" in done.stderr
    assert len(runs()) == 6, "of the other two models"
    assert Path("pages/index.html").is_file()


def test_a_folder_that_is_no_report_is_found_before_anything_is_trained() -> None:
    file = experiment()
    Path("pages").mkdir()
    Path("pages/mine.txt").write_text("keep", encoding="utf-8")
    done = medbench("run", file, code=2)
    assert "pages is not empty and is not a report." in done.stderr
    assert not Path("adapters").exists()


# Interrupted


class _Stops(api.Progress):
    """Presses Ctrl-C after so many answers."""

    def __init__(self, after: int) -> None:
        self.left = after

    def answered(self, output: Output) -> None:
        self.left -= 1
        if self.left == 0:
            raise KeyboardInterrupt


def test_after_an_interruption_the_same_call_continues() -> None:
    folder = model()
    text = f'models = "{folder}"\nbenchmarks = ["medqa-sample", "medquad-sample"]\nlimit = 4\nmax_new_tokens = 3\n'
    Path("e.toml").write_text(text + "latency_items = 0\n", encoding="utf-8")
    with pytest.raises(KeyboardInterrupt):
        api.run_experiment("e.toml", progress=_Stops(after=6))
    stored = sum(run["stored"] for run in described("e.toml")["runs"])
    assert 4 < stored < 8
    found = api.run_experiment("e.toml")
    assert [run.complete for run in found] == [True, True]
    asked = sum(session.items or 0 for run in found for session in run.manifest.sessions)
    assert asked == 8, "no answer was asked for twice"


@pytest.mark.slow
def test_a_killed_experiment_continues() -> None:
    """By SIGKILL: while it trains, and while it runs."""
    file = experiment()
    text = (
        file.read_text(encoding="utf-8").replace("max_steps = 2", "max_steps = 40").replace("limit = 8", "limit = 20")
    )
    file.write_text(text.replace("eval_examples = 0", "eval_examples = 0, save_steps = 2"), encoding="utf-8")
    step = Path("adapters/tiny-smollm2-135m/short")
    killed(file, lambda: any(step.rglob("checkpoint-*")))
    assert json.loads((step / "manifest.json").read_text(encoding="utf-8"))["status"] == "training"
    killed(file, lambda: any(Path("runs").glob("*/samples.jsonl")))
    found = api.run_experiment(file)
    assert found.problems == ()
    assert all(run.complete for run in found)
    assert (len(found), len(found.comparisons), found.report is not None) == (9, 2, True)


def killed(file: Path, due: Any) -> None:
    """Run an experiment in a process of its own and kill it when it is due."""
    command = [sys.executable, "-m", "medbench", "run", str(file)]
    with subprocess.Popen(
        command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, start_new_session=True
    ) as process:
        until = time.monotonic() + 240
        while not due() and process.poll() is None and time.monotonic() < until:
            time.sleep(0.01)
        assert process.poll() is None, process.stderr.read() if process.stderr else ""
        os.killpg(process.pid, signal.SIGKILL)


# Dry runs


def test_a_dry_run_counts_the_tokens_that_the_run_then_has() -> None:
    words = ["-m", model(), "-b", "medqa-sample,medquad-sample", "--limit", 3, "--max-new-tokens", 4]
    words += ["--latency-items", 0]
    planned = {run["run"]: run for run in described(*words)["runs"]}
    medbench("run", *words, "--quiet")
    for name, expected in planned.items():
        stored = list(StoredRun(Path("runs") / name).iter_records())
        assert expected["prompt_tokens_exact"] is True
        assert expected["prompt_tokens"] == sum(record.output.prompt_tokens for record in stored)
        assert sum(record.output.completion_tokens for record in stored) <= expected["new_tokens"]
        assert (expected["open"], expected["requests"]) == (len(stored), 3)
    assert {run["new_tokens"] for run in planned.values()} == {0, 12}, "options are chosen without a new token"


def test_answers_that_filled_their_limit_are_expected_to_fill_another() -> None:
    # 10 answers of 15/16 of 512 tokens, at 4 each, after 800 tokens of prompts: 1 s + 20,000 / 100.
    assert Speed(work_per_s=100, new_tokens=120, used=15 / 16, load_seconds=1).seconds(800, 10, 512) == 201
    # A model that ends by itself, after 50 tokens, is expected to do so again: 1 s + 2,800 / 100.
    assert Speed(work_per_s=100, new_tokens=50, used=50 / 128, load_seconds=1).seconds(800, 10, 512) == 29


def test_a_dry_run_knows_what_is_stored_reused_and_how_fast_it_was() -> None:
    words = ["-m", model(), "-b", "medqa-sample", "--latency-items", 0]
    (first,) = described(*words, "--limit", 2, "--out", "mine")["runs"]
    assert first["seconds"] is None
    assert first["unknown"] == ["time: mine/ has no run of this model by this method on this machine"]
    medbench("run", *words, "--limit", 2, "--quiet")
    (done,) = described(*words, "--limit", 2)["runs"]
    assert (done["stored"], done["open"], done["seconds"], done["prompt_tokens"]) == (2, 0, 0.0, 0)
    (larger,) = described(*words, "--limit", 5)["runs"]
    assert (larger["stored"], larger["reusable"], larger["open"]) == (0, 2, 3)
    assert larger["seconds"] > 0
    (other,) = described(*words, "--limit", 5, "--shots", 1)["runs"]
    assert (other["reusable"], other["open"]) == (0, 5)
    assert other["seconds"] is not None, "from a run with other prompts"


def test_a_dry_run_changes_nothing() -> None:
    words = ["-m", f"{model()},biogpt-large,own/none,smollm2-135m", "-b", "medqa-sample,medqa", "--retrieve", "notes"]
    Path("notes").mkdir()
    Path("notes/fever.txt").write_text("Fever is a temperature above 38 degrees.", encoding="utf-8")
    before = files(".")
    found = described(*words)
    assert files(".") == before
    known, biogpt, unknown, packaged = found["models"]
    assert known["weights_bytes"] > 0 and known["download_bytes"] == 0
    assert biogpt["download_bytes"] == pytest.approx(3.1e9, rel=0.1), "1.57 billion weights of two bytes"
    assert (unknown["download_bytes"], unknown["weights_here"], packaged["weights_here"]) == (None, False, False)
    assert list(found["data_missing"]) == ["medqa"]
    assert {run["items"] for run in found["runs"]} == {40, None}
    shown = medbench("run", *words, "--dry-run").stdout
    assert "and a run asks the hub for GBaker/MedQA-USMLE-4-options." in " ".join(shown.split())
    assert "Nothing was loaded, fetched, trained or written." in shown
    assert files(".") == before


def test_the_tables_of_a_dry_run_fit_a_terminal() -> None:
    words = ["-m", f"{model()},biogpt-large", "-b", "medquad-sample,medqa-sample", "--protocol", "direct,cot,patient"]
    words += ["--choice", "generate", "--samples", 3, "--temperature", 0.5]
    done = CliRunner().invoke(cli, ["run", *map(str, words), "--dry-run"], env={"COLUMNS": "80"})
    table = done.stdout.split("models\n")[0]
    assert max(map(len, table.splitlines())) <= 80
    (row,) = [line.split() for line in table.splitlines() if "medquad-sample (patient)" in line][:1]
    assert row[2:5] == ["90", "0", "90"], "neither names nor numbers are cut"


def test_a_dry_run_says_what_judges_are_asked_at_most(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GROQ_API_KEY", "gsk_none")
    found = described("-m", model(), "-b", "medquad-sample,medqa-sample", "--limit", 4, "--judge", "groq")
    (asked,) = found["judges"]
    assert (asked["benchmark"], asked["mode"], asked["calls"]) == ("medquad-sample", "reference", 4)
    # Each prompt has the answer, of 128 tokens at most: 4 x 128 x $0.15 per million tokens, and what is around it.
    assert 4 * 128 * 0.15e-6 < asked["cost"] < 0.01
    assert found["total"]["judge_calls"] == 4


def test_a_dry_run_refuses_what_the_run_refuses() -> None:
    Path("file").touch()
    done = medbench("run", "-m", model(), "-b", "medquad-sample", "--out", "file/runs", "--dry-run", code=1)
    assert f"Cannot be done: file/runs cannot be written: {Path('file').absolute()} is not a folder." in done.stderr
    assert "no benchmark is called 'medqqa'" in medbench("run", "-b", "medqqa", "--dry-run", code=2).stderr
    done = medbench("run", "-m", model(), "-b", "medquad-sample", "--permute-options", 3, "--dry-run", code=1)
    assert "Cannot be done: tiny on medquad-sample: --permute-options 3: the questions" in done.stderr
    assert "Not known: items, tokens and time: the run would fail (tiny)" in done.stdout
