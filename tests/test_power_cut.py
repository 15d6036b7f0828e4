"""Power cuts at any moment lose what was not synced; the same command still ends as if nothing had happened."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import entries
import powercut
import pytest
from click.testing import CliRunner, Result
from medbench.cli import cli
from medbench.training import checkpoints
from powercut import HASTY, STRICT, Trace

FEW = 4  # moments of each kind in the fast tests
OFFLINE = {"HF_HUB_OFFLINE": "1", "OMP_NUM_THREADS": "1"}


@pytest.fixture
def disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder that loses what is not synced; commands work in it, and their cache is in it too."""
    made = tmp_path / "disk"
    made.mkdir()
    monkeypatch.chdir(made)
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    monkeypatch.setenv("MEDBENCH_CACHE", str(made / "cache"))
    for name in ("MEDBENCH_DATA", "MEDBENCH_HOME", "COLUMNS", "TENSORBOARD_LOGGING_DIR"):
        monkeypatch.delenv(name, raising=False)
    return made


def medbench(*words: object) -> Result:
    return CliRunner().invoke(cli, [str(word) for word in words], prog_name="medbench")


def recorded(disk: Path, *words: object) -> Trace:
    """`medbench WORDS` as a process of its own, which must succeed."""
    command = [sys.executable, "-m", "medbench", *words]
    trace = powercut.record(command, disk, {**OFFLINE, "MEDBENCH_CACHE": str(disk / "cache")})
    assert trace.returncode == 0, trace.output
    return trace


# --- the recorder itself


def test_a_cut_loses_what_was_not_synced(tmp_path: Path) -> None:
    """One file is synced and its folder too, one is synced without its folder, one is neither, one is mapped memory."""
    program = """
import mmap, os
def write(name, sync):
    with open(name, "wb") as file:
        file.write(b"new")
        file.flush()
        if sync:
            os.fsync(file.fileno())
def sync_folder(name="."):
    folder = os.open(name, os.O_RDONLY)
    os.fsync(folder)
    os.close(folder)
write("whole", True)
sync_folder()
write("nameless", True)
write("neither", False)
os.replace("neither", "old")
with open("mapped", "wb+") as file:
    file.truncate(3)
    with mmap.mmap(file.fileno(), 3) as view:
        view[:] = b"map"
    os.fsync(file.fileno())
"""
    disk = tmp_path / "disk"
    disk.mkdir()
    (disk / "old").write_bytes(b"old")
    trace = powercut.record([sys.executable, "-c", program], disk, {})
    assert trace.returncode == 0, trace.output
    end = trace.moments()[-1]
    assert trace.disk(0, STRICT) == trace.disk(0, HASTY) == {"old": b"old"}
    assert trace.disk(end, STRICT) == {"old": b"old", "whole": b"new"}
    assert trace.disk(end, HASTY) == {"old": b"", "whole": b"new", "nameless": b"new", "mapped": b"map"}
    trace.rebuild(end, HASTY)
    assert {path.name: path.read_bytes() for path in disk.iterdir()} == trace.disk(end, HASTY)


def test_what_core_durable_writes_survives_once_it_returns(tmp_path: Path) -> None:
    program = """
from pathlib import Path
from medbench.core import durable
durable.make_folder(Path("a/b"))
durable.replace_file(Path("a/b/file"), b"1")
durable.replace_file(Path("a/b/file"), b"2")
Path("draft/in").mkdir(parents=True)
Path("draft/in/file").write_bytes(b"3")
durable.sync_tree(Path("draft"))
durable.rename(Path("draft"), Path("a/done"))
"""
    trace = powercut.record([sys.executable, "-c", program], tmp_path / "disk", {})
    assert trace.returncode == 0, trace.output
    whole = {"a": None, "a/b": None, "a/b/file": b"2", "a/done": None, "a/done/in": None, "a/done/in/file": b"3"}
    for kind in (STRICT, HASTY):
        assert trace.disk(trace.moments()[-1], kind) == whole
        for moment in trace.moments():  # never anything between, under its final name
            found = trace.disk(moment, kind)
            assert found.get("a/b/file") in (None, b"1", b"2")
            assert found.get("a/done/in/file") in (None, b"3")
            assert "a/done" not in found or "a/done/in/file" in found


# --- training


def training(disk: Path, root: Path) -> list[object]:
    entry, data = entries.entry(root, "smollm2-135m"), entries.data(root, 20)
    settings = ("max_length=64", "quantize=none", "eval_examples=2", "save_steps=2", "lora.rank=2", f"data={data}")
    words = [word for text in settings for word in ("--set", text)]
    return ["train", "--model", entry, "--tag", "t", "--max-steps", 4, "--device", "cpu", *words]


def trained(disk: Path) -> str:
    """The hash of the adapter, whose files are whole."""
    folder = disk / "adapters" / "tiny-smollm2-135m" / "t"
    manifest = json.loads((folder / "manifest.json").read_text(encoding="utf-8"))
    assert manifest["status"] == "done"
    assert not checkpoints.damage(folder, manifest["files"], exactly=False)
    return str(manifest["hash"])


def test_a_training_goes_on_after_a_power_cut(disk: Path, tmp_path: Path) -> None:
    command = training(disk, tmp_path)
    trace = recorded(disk, *command)
    right = trained(disk)
    last = trace.moments()[-1]
    trace.rebuild(last, STRICT)
    assert trained(disk) == right, "what was reported as done is on the disk"
    for moment, kind in trace.distinct(trace.some(FEW)):
        resume(trace, moment, kind, command, right)


@pytest.mark.slow
def test_a_training_goes_on_after_a_power_cut_at_any_moment(disk: Path, tmp_path: Path) -> None:
    command = training(disk, tmp_path)
    trace = recorded(disk, *command)
    right, tried = trained(disk), 0
    for moment, kind in trace.distinct(trace.moments()):
        resume(trace, moment, kind, command, right)
        tried += 1
    print(f"{tried} different disks after {len(trace.events)} events: all trainings ended with the same adapter")


def resume(trace: Trace, moment: int, kind: str, command: list[object], right: str) -> None:
    trace.rebuild(moment, kind)
    event = trace.events[moment - 1] if moment else trace.before
    what = f"cut after event {moment} ({event.what} {event.path}), {kind}"
    done = medbench(*command)
    assert done.exit_code == 0, f"{what}: {done.output}\n{done.exception!r}"
    assert trained(trace.root) == right, what
