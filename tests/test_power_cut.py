"""Power cuts at any moment lose what was not synced; the same command still ends as if nothing had happened."""

from __future__ import annotations

import dataclasses
import json
import sys
from collections.abc import Callable
from pathlib import Path

import entries
import made_pipeline
import powercut
import pytest
import servers
import test_resolve
import tiny
import trained as trained_by_hand
from click.testing import CliRunner, Result
from medbench.cli import cli
from medbench.metrics.entities import pipelines
from medbench.results.files import read_lines
from medbench.results.store import all_runs
from medbench.training import checkpoints
from medbench.zoo.weights import converted
from powercut import HASTY, STRICT, Trace

FEW = 4  # moments of each kind in the fast tests
pytestmark = pytest.mark.usefixtures("brisk_trainings")
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


# --- everything else that says it is there


@dataclasses.dataclass
class Case:
    """A command, and what it makes, read from the disk without times."""

    words: list[object]
    made: Callable[[], object]
    moments: int = FEW  # of each kind of disk, in the fast tests


def survives(disk: Path, case: Case, every: bool) -> None:
    trace = recorded(disk, *case.words)
    assert trace.events
    right = case.made()
    trace.rebuild(trace.moments()[-1], STRICT)
    assert case.made() == right, "what was reported as done is on the disk"
    tried = 0
    for moment, kind in trace.distinct(trace.moments() if every else trace.some(case.moments)):
        trace.rebuild(moment, kind)
        event = trace.events[moment - 1] if moment else trace.before
        what = f"cut after event {moment} of {len(trace.events)} ({event.what} {event.path}), {kind}"
        pipelines.find.cache_clear()
        done = medbench(*case.words)
        whole = done.exit_code == 2 and "this folder is not empty" in done.output  # a merge that was finished
        assert done.exit_code == 0 or whole, f"{what}: {done.output}\n{done.exception!r}"
        assert case.made() == right, what
        tried += 1
    print(f"{tried} different disks after {len(trace.events)} events")


def scores(disk: Path, metric: str) -> list[dict[str, float | None]]:
    """Every answer of the only run, then the scores of a metric, by item."""
    runs, problems = all_runs(disk / "runs")
    assert (len(runs), problems) == (1, [])
    (run,) = runs
    assert run.complete
    answers = {record.item.id: record.output.text or record.output.logprobs for record in run.records()}
    found = {item: score.value for (item, _), score in sorted(run.scores(metric)[1].items())}
    assert found.keys() == answers.keys()
    return [answers, found]  # type: ignore[list-item]


RUN = ("--limit", 3, "--latency-items", 0, "--max-new-tokens", 4, "--device", "cpu", "--quiet")


def run_case(disk: Path, root: Path) -> Case:
    model = tiny.save(root / "model", "llama")
    return Case(["run", "-m", model, "-b", "medquad-sample", *RUN], lambda: scores(disk, "rougeL"))


def score_case(disk: Path, root: Path) -> Case:
    done = medbench(*run_case(disk, root).words)
    assert done.exit_code == 0, done.output
    return Case(["score", "runs", "--metrics", "refusal_rate", "--quiet"], lambda: scores(disk, "refusal_rate"))


def merge_case(disk: Path, root: Path) -> Case:
    folder = trained_by_hand.trained(tiny.save(root / "base", "llama"), root=root / "adapters")
    out = Path("models/merged")
    return Case(["adapters", "merge", folder, "--out", out], lambda: checkpoints.hashes(disk / out))


def conversion_case(disk: Path, root: Path) -> Case:
    file = test_resolve.write_gguf(tiny.save(root / "model", "llama"), root / "tiny.Q8_0.gguf")

    def made() -> object:
        (folder,) = (disk / "cache" / "converted").glob("[!.]*")
        assert not converted.damage(folder)
        return {name: digest for name, digest in checkpoints.hashes(folder).items() if name != converted.ABOUT}

    return Case(["run", "-m", file, "-b", "medquad-sample", *RUN], made)


def fetch_case(disk: Path, root: Path) -> Case:
    archive = made_pipeline.release(made_pipeline.save(root / "pipeline"), root / "it.tar.gz", made_pipeline.NAME)
    place = disk / "cache" / "entity-models" / made_pipeline.NAME
    words = ["fetch", "entity-model", made_pipeline.NAME, "--from", archive]
    return Case(words, lambda: checkpoints.hashes(place))


CASES = {
    "run": run_case,
    "score": score_case,
    "merge": merge_case,
    "convert": conversion_case,
    "fetch": fetch_case,
}


@pytest.mark.parametrize("name", CASES)
def test_what_a_command_makes_survives_a_power_cut(name: str, disk: Path, tmp_path: Path) -> None:
    survives(disk, CASES[name](disk, tmp_path), every=False)


@pytest.mark.slow
@pytest.mark.parametrize("name", CASES)
def test_what_a_command_makes_survives_a_power_cut_at_any_moment(name: str, disk: Path, tmp_path: Path) -> None:
    survives(disk, CASES[name](disk, tmp_path), every=True)


def test_what_a_judge_was_paid_for_survives_a_power_cut(disk: Path, tmp_path: Path) -> None:
    grade = json.dumps({"reason": "It agrees.", "score": 4})
    done = medbench(*run_case(disk, tmp_path).words)
    assert done.exit_code == 0, done.output
    with servers.Server(then=servers.says(grade)) as server:
        words = ["score", "runs", "--judge", "openai:m", "--judge-base-url", server.url, "--quiet"]
        trace = recorded(disk, *words)
        assert len(server.asked) == 3
        for moment, kind in trace.distinct(trace.some(FEW)):
            trace.rebuild(moment, kind)
            before = len(server.asked)
            done = medbench(*words)
            assert done.exit_code == 0, done.output
            (run,) = all_runs(disk / "runs")[0]
            (file,) = (run.path / "judgements").glob("*.jsonl")
            _, *replies = [value for _, value in read_lines(file)]
            said = {reply["output"]["item_id"]: reply["output"]["text"] for reply in replies}
            assert said == dict.fromkeys((item for item, _ in run.answered()), grade)
            if moment == trace.moments()[-1]:
                assert len(server.asked) == before, "nothing is asked and paid for twice"
