"""`medbench train` as real processes: killed and resumed, stopped with Ctrl-C, and several of them together."""

from __future__ import annotations

import json
import random
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import entries
import psutil
import pytest
from medbench.training import checkpoints
from medbench.training.log import Log
from safetensors.torch import load_file

STEPS = 12


@pytest.fixture(scope="module", autouse=True)
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """The working folder of all these trainings, which have tags of their own."""
    made = tmp_path_factory.mktemp("place")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(made)
        patch.setenv("HF_HUB_OFFLINE", "1")
        patch.setenv("MEDBENCH_CACHE", str(made / "cache"))
        patch.setenv("OMP_NUM_THREADS", "1")
        for name in ("MEDBENCH_DATA", "MEDBENCH_HOME", "COLUMNS"):
            patch.delenv(name, raising=False)
        yield made


@pytest.fixture(scope="module")
def entry(place: Path) -> Path:
    return entries.entry(place, "smollm2-135m")


@pytest.fixture(scope="module")
def whole(entry: Path) -> str:
    """The tag of a training that nothing stopped."""
    finish(words(entry, "whole"))
    return "whole"


def words(entry: Path, tag: str, *more: object) -> list[str]:
    """Twelve steps under NF4 with dropout and NEFTune, a checkpoint every third."""
    settings = (
        *(f"data={entries.data(entry.parent, 60)}", "max_length=96", "eval_examples=4", "eval_steps=4"),
        *("save_steps=3", "neftune_alpha=5", "learning_rate=1e-2"),
    )
    given = [word for setting in settings for word in ("--set", setting)]
    return [
        *(sys.executable, "-m", "medbench", "train", "--model", str(entry), "--tag", tag, "--device", "cpu"),
        *("--max-steps", str(STEPS), *given, *map(str, more)),
    ]


def start(command: list[str]) -> subprocess.Popen[str]:
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def finish(command: list[str]) -> None:
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def folder(tag: str) -> Path:
    return Path("adapters") / "tiny-smollm2-135m" / tag


def lines(tag: str) -> list[dict[str, Any]]:
    """The log without what depends on the clock."""
    return [
        {name: value for name, value in line.items() if name != "seconds"}
        for line in Log(folder(tag) / "log.jsonl").lines()
    ]


def wait_for_step(process: subprocess.Popen[str], tag: str, step: int) -> None:
    deadline = time.monotonic() + 120
    while time.monotonic() < deadline and process.poll() is None:
        log = Log(folder(tag) / "log.jsonl")
        if any(line["step"] >= step for line in log.lines()):
            return
        time.sleep(0.01)
    raise AssertionError(f"step {step} was not reached: {process.communicate()[1]}")


def test_killed_at_any_step_and_given_again_training_ends_as_if_it_had_not_been(entry: Path, whole: str) -> None:
    step = random.randrange(1, STEPS)
    print(f"killed after step {step}")
    process = start(words(entry, "killed"))
    wait_for_step(process, "killed", step)
    process.kill()
    process.wait()
    finish(words(entry, "killed"))
    assert lines("killed") == lines(whole)
    one, other = (load_file(folder(tag) / "adapter_model.safetensors") for tag in (whole, "killed"))
    assert all((one[name] == other[name]).all() for name in one)
    made = [json.loads((folder(tag) / "manifest.json").read_text()) for tag in (whole, "killed")]
    assert made[0]["stages"][0]["loss_final"] == made[1]["stages"][0]["loss_final"]
    assert made[0]["hash"] == made[1]["hash"]


def test_ctrl_c_ends_after_the_step_with_a_checkpoint_and_resume_needs_no_options(entry: Path, whole: str) -> None:
    process = start(words(entry, "stopped", "--set", "save_steps=1000"))
    wait_for_step(process, "stopped", 2)
    process.send_signal(signal.SIGINT)
    _, said = process.communicate(timeout=120)
    assert process.returncode == 130, said
    assert "stopping after this step" in said
    assert "the same command continues" in said
    kept = checkpoints.newest(folder("stopped") / "work" / "1-sft")
    assert kept is not None
    assert 2 <= checkpoints.step_of(kept) < STEPS
    manifest = json.loads((folder("stopped") / "manifest.json").read_text())
    assert (manifest["status"], manifest["stopped"]) == ("stopped", "stopped by the user")
    finish([sys.executable, "-m", "medbench", "train", "--model", str(entry), "--tag", "stopped", "--resume"])
    assert lines("stopped") == lines(whole)


def test_two_processes_train_one_adapter_on_the_batches_of_both(entry: Path) -> None:
    finish(words(entry, "two", "--num-processes", 2))
    manifest = json.loads((folder("two") / "manifest.json").read_text())
    assert manifest["status"] == "done"
    assert manifest["identity"]["processes"] == 2
    assert manifest["stages"][0]["steps"] == 7  # 56 examples, 2 processes of 4 a step
    steps = [line["step"] for line in lines("two") if "loss" in line]
    assert steps == list(range(1, 8))  # one of them writes
    finish(words(entry, "two", "--num-processes", 2))  # done: nothing to do


@pytest.mark.slow
def test_two_processes_are_started_from_a_script_without_a_main_guard(entry: Path) -> None:
    """The same training from Python, one of whose workers is killed: the same call continues, to the same adapter."""
    settings = dict(word.split("=", 1) for word in words(entry, "") if "=" in word and not word.startswith("-"))
    script = Path("two.py").resolve()
    script.write_text(
        "import medbench\n"
        f"adapter = medbench.train({str(entry)!r}, tag='python', settings={settings!r}, max_steps={STEPS}, "
        "device='cpu', processes=2)\n"
        "print(adapter.manifest.status, adapter.manifest.identity['processes'])\n"
    )
    process = start([sys.executable, str(script)])
    wait_for_step(process, "python", 4)
    worker = next(child for child in psutil.Process(process.pid).children() if child.environ()["RANK"] == "1")
    worker.kill()
    _, said = process.communicate(timeout=120)
    assert process.returncode == 1
    assert "training process 1 of 2 was killed by SIGKILL" in said
    assert "the same command continues from the last one" in said
    done = subprocess.run([sys.executable, str(script)], capture_output=True, text=True)
    assert done.stdout == "done 2\n", done.stderr
    assert lines("python") == lines("two")


@pytest.mark.slow
def test_workers_end_with_the_process_that_started_them(entry: Path) -> None:
    process = start(words(entry, "orphans", "--num-processes", 2))
    wait_for_step(process, "orphans", 1)
    workers = psutil.Process(process.pid).children()
    assert len(workers) == 2
    process.kill()
    process.wait()
    assert psutil.wait_procs(workers, timeout=60)[1] == []


@pytest.mark.slow
def test_ctrl_c_stops_two_processes_and_is_recorded(entry: Path) -> None:
    process = start(words(entry, "stopped-two", "--num-processes", 2))
    wait_for_step(process, "stopped-two", 1)
    process.send_signal(signal.SIGINT)
    _, said = process.communicate(timeout=120)
    assert process.returncode == 130, said
    manifest = json.loads((folder("stopped-two") / "manifest.json").read_text())
    assert (manifest["status"], manifest["stopped"]) == ("stopped", "stopped by the user")


@pytest.mark.slow
def test_a_process_of_several_that_fails_ends_the_others_and_says_why(entry: Path) -> None:
    command = words(entry, "bad", "--num-processes", 2)
    command[command.index("max_length=96")] = "max_length=8"
    failed = subprocess.run(command, capture_output=True, text=True, timeout=120)
    assert failed.returncode == 1
    assert "leaves anything to learn within 8 tokens" in failed.stderr
    assert "Traceback" not in failed.stderr
