"""Background scoring: another process fills the score files, and nothing depends on it."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import fakes
import made
import psutil
import pytest
import tiny
from medbench.core.errors import MedbenchError
from medbench.core.types import Item, ItemSet
from medbench.evaluation import background as module
from medbench.evaluation.background import BackgroundScorer
from medbench.evaluation.run import execute
from medbench.evaluation.settings import Settings
from medbench.results.scoring import load_metric, score_run, score_some
from medbench.results.store import StoredRun

METRICS = ("rougeL", "token_f1")
BROKEN = """
class Broken:
    name, version, binary, mean, better = "broken", "1", False, True, "higher"

    def score(self, records):
        raise SystemExit("of all things")

    def aggregate(self, records, scores):
        return []

METRIC = Broken()
"""
TWO_BENCHMARKS = """
from medbench.core.types import Benchmark, Item, ItemSet

def load(source):
    return ItemSet(tuple(Item(f"{NAME}{n}", f"what is {n}?", references=(f"it is {n}",)) for n in range(COUNT)), "here")

BENCHMARK = Benchmark(name=NAME, version="1", summary="", citation="none", licence="MIT", load=load,
                      question=lambda item: item.question, metrics=("token_f1",))
"""


def until(true: Callable[[], bool], seconds: float = 60) -> bool:
    """Whether it becomes true in time."""
    end = time.monotonic() + seconds
    while not (found := true()) and time.monotonic() < end:
        time.sleep(0.05)
    return found


def run_of(root: Path, count: int = 40) -> StoredRun:
    return made.make_run(root, {f"q{n}": "yes " * (n % 3) + "no " * (n % 2) for n in range(count)}, metrics=METRICS)


def contents(run: StoredRun) -> dict[str, bytes]:
    return {name: run.score_file(name).read_bytes() for name in METRICS if run.score_file(name).exists()}


def test_the_other_process_fills_the_same_files_with_the_same_scores(tmp_path: Path) -> None:
    here, there = run_of(tmp_path / "here"), run_of(tmp_path / "there")
    for name in METRICS:
        score_run(here, load_metric(name))
    with BackgroundScorer() as scorer:
        scorer.stored(there.path, METRICS)
        scorer.working()
        assert until(lambda: contents(there) == contents(here))


def test_parts_of_a_run_are_scored_one_after_another(tmp_path: Path) -> None:
    run, metric = run_of(tmp_path, 6), load_metric(METRICS[0])
    records = run.records()
    parts = [score_run(run, metric, records[at : at + 2]) for at in (0, 2, 4)]  # each as long as what is stored
    assert [score.item_id for part in parts for score in part] == [f"q{number}" for number in range(6)]
    assert len(run.scores(METRICS[0])[1]) == 6


def test_one_short_run_starts_no_process_and_the_next_one_does(tmp_path: Path) -> None:
    engine = fakes.FakeEngine()

    def go(name: str, scorer: BackgroundScorer) -> StoredRun:
        asked = ItemSet((Item("o1", "what?", references=("this",)),), "here")
        benchmark = fakes.benchmark(asked, name=name, metrics=("token_f1",))
        planned = fakes.plan(benchmark, asked, engine, Settings(latency_items=0))
        return execute(planned, engine, tmp_path, made.Silent(), [], scorer)

    with BackgroundScorer() as scorer:
        first = go("one", scorer)
        assert scorer.process is None
        go("one", scorer)
        assert scorer.process is None, "a complete run is no work"
        go("two", scorer)
        assert scorer.process is not None
        assert until(lambda: len(first.scores("token_f1")[1]) == 1)
    assert scorer.process.returncode is not None, "it has ended"


def test_choices_are_not_scored_beside(tmp_path: Path) -> None:
    engine = fakes.FakeEngine()
    item_set = ItemSet(fakes.items(3), "here")
    planned = fakes.plan(fakes.benchmark(item_set), item_set, engine, Settings(latency_items=0))
    with BackgroundScorer() as scorer:
        execute(planned, engine, tmp_path, made.Silent(), [], scorer)
        scorer.working()
        assert scorer.process is None


def test_a_metric_that_fails_is_passed_over_there_and_told_here(tmp_path: Path) -> None:
    broken = tmp_path / "broken.py"
    broken.write_text(BROKEN)
    run = run_of(tmp_path / "runs")
    module.score(run.path, [str(broken), "no-such-metric", "token_f1"])
    assert len(run.scores("token_f1")[1]) == 40
    module.score(tmp_path / "nowhere", ["token_f1"])


def test_judges_and_what_may_use_the_gpu_wait_for_the_run(tmp_path: Path) -> None:
    run = run_of(tmp_path)
    module.score(run.path, ["judge:groq:reference", "throughput_tokens_per_s", "evaluate:exact_match"])
    assert run.scored() == []


def test_a_process_that_dies_leaves_all_to_be_scored_here(tmp_path: Path) -> None:
    run = run_of(tmp_path)
    with BackgroundScorer() as scorer:
        scorer.stored(run.path, METRICS)
        scorer.working()
        assert scorer.process is not None
        scorer.process.kill()
        scorer.process.wait()
        scorer.stored(run.path, METRICS)
        scorer.working()
    scores = score_run(run, load_metric("token_f1"))
    assert [score.item_id for score in scores] == [record.item.id for record in run.records()]


def test_a_score_file_is_held_for_a_turn_only(tmp_path: Path) -> None:
    run, whole = run_of(tmp_path / "turns"), run_of(tmp_path / "whole")
    turns = 1
    while not score_some(run, load_metric("token_f1"), run.records(), 0.0):
        turns += 1
    assert turns == 3, "16, 16 and 8 of 40"
    score_run(whole, load_metric("token_f1"))
    assert run.scores("token_f1") == whole.scores("token_f1")


@pytest.mark.skipif(sys.platform == "win32", reason="needs kill -9")
def test_killed_with_its_asker(tmp_path: Path) -> None:
    run = run_of(tmp_path)
    code = f"""
import time
from pathlib import Path
from medbench.evaluation.background import BackgroundScorer
scorer = BackgroundScorer()
scorer.stored(Path({str(run.path)!r}), {METRICS})
scorer.working()
print(scorer.process.pid, flush=True)
time.sleep(60)
"""
    asker = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True)
    assert asker.stdout is not None
    worker = int(asker.stdout.readline())
    assert psutil.pid_exists(worker)
    asker.send_signal(signal.SIGKILL)
    asker.communicate()
    assert until(lambda: not _runs(worker))


@pytest.mark.skipif(sys.platform == "win32", reason="needs signals")
def test_ctrl_c_stores_all_ends_both_processes_and_the_scores_are_the_same(tmp_path: Path) -> None:
    model = tiny.save(tmp_path / "tiny", "llama", window=2048)
    for name, count in (("one", 3), ("two", 200)):
        (tmp_path / f"{name}.py").write_text(f"NAME, COUNT = {name!r}, {count}\n{TWO_BENCHMARKS}")
    engine = str(Path(__file__).with_name("fakes.py"))
    words = ["run", "-m", model, "-b", "one.py,two.py", "--engine", engine, "--latency-items", "0"]
    command = [sys.executable, "-m", "medbench", *map(str, words)]
    environment = os.environ | {"HF_HUB_OFFLINE": "1", "MEDBENCH_CACHE": str(tmp_path / "cache")}
    told = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True, "cwd": tmp_path, "env": environment}
    running = subprocess.Popen(command, start_new_session=True, preexec_fn=_hears_ctrl_c, **told)  # type: ignore[call-overload]
    assert until(lambda: bool(list(tmp_path.glob("runs/*one*/scores/*.jsonl")))), "scored while the other is asked"
    assert until(lambda: any(file.stat().st_size for file in tmp_path.glob("runs/*two*/samples.jsonl")))
    workers = psutil.Process(running.pid).children()
    assert len(workers) == 1
    os.killpg(running.pid, signal.SIGINT)
    _, err = running.communicate(timeout=60)
    assert running.returncode == 130, err
    assert "the same command continues" in err
    assert until(lambda: not _runs(workers[0].pid))
    (two,) = tmp_path.glob("runs/*two*")
    assert 0 < len(StoredRun(two).answered()) < 200


def _hears_ctrl_c() -> None:
    signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell's background has it ignored


def _runs(pid: int) -> bool:
    try:
        return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def test_the_error_of_a_metric_is_the_one_of_scoring_here(tmp_path: Path) -> None:
    broken = tmp_path / "broken.py"
    broken.write_text(BROKEN.replace("raise SystemExit", "raise ValueError"))
    run = run_of(tmp_path / "runs")
    module.score(run.path, [str(broken)])
    with pytest.raises(MedbenchError, match="the metric 'broken' failed: ValueError: of all things"):
        score_run(run, load_metric(str(broken)))
