"""The run loop with an engine that needs no weights: stored as it runs, stopped anywhere, resumed, measured."""

from __future__ import annotations

import dataclasses
from collections.abc import Collection, Iterator, Sequence
from pathlib import Path
from typing import Any

import fakes
import pytest
from fakes import FakeEngine
from hypothesis import given, settings
from hypothesis import strategies as st
from medbench.cli.ui import render
from medbench.core.errors import MedbenchError
from medbench.core.types import ChoiceRequest, GenerateRequest, Item, ItemSet, Output
from medbench.evaluation import run as run_module
from medbench.evaluation import timing
from medbench.evaluation.run import execute
from medbench.evaluation.settings import Settings
from medbench.results import leaderboard
from medbench.results.descriptions import missing_latency
from medbench.results.store import StoredRun
from rich.text import Text

TWENTY = ItemSet(fakes.items(20), "here", notes=("a note",))


class Seen:
    """A watch that remembers what it was told."""

    def __init__(self) -> None:
        self.events: list[str] = []

    def reused(self, run: str, items: int, total: int) -> None:
        self.events.append(f"reused {items} of {run}")

    def complete(self, plan: Any) -> None:
        self.events.append("complete")

    def loading(self, model: str) -> None:
        self.events.append(f"loading {model}")

    def loaded(self, model: str, seconds: float) -> None:
        assert seconds >= 0
        self.events.append(f"loaded {model}")

    def begin(self, plan: Any, done: Collection[str]) -> None:
        self.events.append(f"begin {len(done)} of {len(plan.items)}")

    def answered(self, output: Output) -> None:
        self.events.append(output.item_id)

    def note(self, text: str) -> None:
        self.events.append(text)

    def timing(self, item: int, items: int) -> None:
        self.events.append(f"timing {item} of {items}")

    def end(self) -> None:
        self.events.append("end")


def go(
    root: Path, engine: FakeEngine, item_set: ItemSet = TWENTY, watch: Seen | None = None, **asked: Any
) -> StoredRun:
    planned = fakes.plan(fakes.benchmark(item_set), item_set, engine, Settings(**{"latency_items": 0, **asked}))
    return execute(planned, engine, root, watch or Seen(), ["medbench", "run"])


def answered(run: StoredRun) -> list[str]:
    return [record.item.id for record in run.records()]


def test_a_run_stores_every_answer_with_its_item_and_prompt(tmp_path: Path) -> None:
    run = go(tmp_path, FakeEngine())
    assert run.complete
    first = run.records()[0]
    assert first.item == TWENTY.items[0]
    assert first.output.prompt == "Question: question i0?\nAnswer:"
    assert first.output.logprobs is not None
    assert len(first.output.logprobs) == 3
    assert run.manifest.benchmark.notes == ("a note",)
    assert run.manifest.engine == {"device": "cpu"}
    assert run.manifest.environment["packages"]["medbench"]


def test_the_same_command_again_does_nothing(tmp_path: Path) -> None:
    go(tmp_path, FakeEngine())
    engine, watch = FakeEngine(), Seen()
    run = go(tmp_path, engine, watch=watch)
    assert run.complete
    assert (engine.loads, engine.asked, watch.events) == (0, [], ["complete"])


def test_a_complete_run_needs_no_writable_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: Any) -> None:
        raise MedbenchError("this folder cannot be written.")

    go(tmp_path, FakeEngine())
    monkeypatch.setattr(run_module.os, "access", lambda path, mode: False)  # root may write everywhere
    monkeypatch.setattr(run_module, "RunWriter", refuse)
    assert go(tmp_path, FakeEngine()).complete
    with pytest.raises(MedbenchError):
        go(tmp_path, FakeEngine(), metrics=("brier",))  # would be added to the run
    with pytest.raises(MedbenchError):
        go(tmp_path, FakeEngine(), limit=3)  # another run


@settings(max_examples=10, deadline=None)
@given(st.integers(0, 19), st.sampled_from([KeyboardInterrupt, RuntimeError, SystemExit]))
def test_stopped_anywhere_it_goes_on_from_there(
    tmp_path_factory: pytest.TempPathFactory, at: int, stop: type[BaseException]
) -> None:
    root = tmp_path_factory.mktemp("runs")

    def stop_there(item_id: str) -> None:
        if item_id == f"i{at}":
            raise stop

    with pytest.raises(stop):
        go(root, FakeEngine(before=stop_there))
    engine = FakeEngine()
    run = go(root, engine)
    assert engine.asked == [f"i{n}" for n in range(at, 20)]
    assert answered(run) == [item.id for item in TWENTY.items]
    assert run.records() == go(root / "whole", FakeEngine()).records()
    assert run.manifest.measured().items == 20


class Failing(FakeEngine):
    """Cannot answer `i3`, as an engine says it that runs out of memory on one item."""

    def choose(self, requests: Sequence[ChoiceRequest]) -> Iterator[Output]:
        for output in super().choose(requests):
            failed = Output(output.item_id, finish="error", error="out of memory")
            yield failed if output.item_id == "i3" else output


def test_an_engines_failure_is_no_answer_keeps_its_reason_and_is_tried_again(tmp_path: Path) -> None:
    run = go(tmp_path, Failing())
    assert not run.complete
    assert "i3" not in answered(run)
    assert run.manifest.sessions[-1].failures == {"i3": "out of memory"}
    engine = FakeEngine()
    assert go(tmp_path, engine).complete
    assert engine.asked == ["i3"]


def test_measurements_add_up_over_sessions(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(run_module, "_timed", lambda outputs: ((output, 0.5) for output in outputs))

    def stop_at_12(item_id: str) -> None:
        if item_id == "i12":
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        go(tmp_path, FakeEngine(before=stop_at_12))
    measured = go(tmp_path, FakeEngine()).manifest.measured()
    assert (measured.items, measured.seconds, measured.prompt_tokens) == (20, 20 * 0.5, 20 * 10)
    assert measured.peak_rss_bytes
    assert measured.peak_gpu_memory_bytes is None


def test_the_peak_of_memory_leaves_out_what_was_freed_before(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What loading, earlier runs and other models of the same command left is returned before the first answer."""
    order: list[str] = []
    monkeypatch.setattr(run_module, "return_freed", lambda: order.append("returned"))
    go(tmp_path, FakeEngine(before=order.append), limit=2)
    assert len(order) == 3 and order[0] == "returned"


def test_latency_is_timed_one_request_at_a_time_after_a_warm_up(tmp_path: Path) -> None:
    engine = FakeEngine()
    watch = Seen()
    run = go(tmp_path, engine, watch=watch, latency_items=3)
    assert engine.asked[20:] == ["i0", "i0", "i1", "i2"]
    assert len(run.manifest.measured().latencies_s) == 3
    assert watch.events[-5:] == ["timing 0 of 3", "timing 1 of 3", "timing 2 of 3", "timing 3 of 3", "end"]
    assert run.manifest.measured().items == 20, "timed requests are no answers"


class Slow(FakeEngine):
    """Moves a clock that nothing else moves: 1 s per choice; a text has 1 s of prefill and 0.5 s per new token.

    Texts are answered at once if several are asked together, and have 40 tokens if the limit allows.
    """

    clock = 0.0

    def choose(self, requests: Sequence[ChoiceRequest]) -> Iterator[Output]:
        for output in super().choose(requests):
            Slow.clock += 1.0
            yield output

    def generate(self, requests: Sequence[GenerateRequest]) -> Iterator[Output]:
        asked = list(requests)
        for number, output in enumerate(super().generate(asked)):
            tokens = min(40, asked[number].max_new_tokens)
            if number == 0:
                Slow.clock += 1.0 + 0.5 * (tokens - 1)
            yield dataclasses.replace(output, completion_tokens=tokens, first_token_s=1.0)


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> None:
    for module in (run_module, timing):
        monkeypatch.setattr(module.time, "perf_counter", lambda: Slow.clock)


@pytest.mark.usefixtures("clock")
def test_timing_stops_at_its_share_of_the_time_that_the_answers_took(tmp_path: Path) -> None:
    run = go(tmp_path / "share", Slow(), latency_items=5, latency_share=0.15)
    # 20 answers took 20 s, so timing may take 3 s: a warm-up of 1 s and two requests.
    assert run.manifest.measured().latencies_s == (1.0, 1.0)
    assert run.manifest.latency.reason == "2 of 5 requests fit into the 3.0 s that timing may take"
    engine = Slow()
    go(tmp_path / "share", engine, latency_items=5, latency_share=0.15)
    assert engine.asked == [], "a timing that was cut short is done"
    run = go(tmp_path / "all", Slow(), latency_items=5)
    assert len(run.manifest.measured().latencies_s) == 5


@pytest.mark.usefixtures("clock")
def test_no_choice_is_timed_if_warm_up_and_request_exceed_the_share(tmp_path: Path) -> None:
    engine = Slow()
    run = go(tmp_path, engine, latency_items=5, latency_share=0.05)
    assert run.manifest.measured().latencies_s == ()
    assert len(engine.asked) == 20, "no request was sent to be timed"
    # Warm-up and request take 1 s each; 5% of 20 s are 1 s.
    assert run.manifest.latency.reason == (
        "one request with its warm-up takes about 2.0 s, and timing may take 1.0 s; --latency-items 1 times one in any "
        "case"
    )


@pytest.mark.usefixtures("clock")
def test_no_text_is_timed_if_the_warm_up_shows_that_it_would_exceed_the_share(tmp_path: Path) -> None:
    asked = {"choice": "generate", "max_new_tokens": 40, "latency_items": 5}
    engine = Slow()
    run = go(tmp_path, engine, latency_share=0.9, **asked)
    # All answers took 1 + 39 · 0.5 = 20.5 s and so does one alone. The warm-up of 8 tokens takes 4.5 s.
    assert engine.asked[20:] == ["i0"]
    assert run.manifest.measured().latencies_s == ()
    assert run.manifest.latency.expected_s == 20.5
    assert "takes about 25 s, and timing may take 18 s" in run.manifest.latency.reason  # 4.5 + 20.5; 0.9 · 20.5
    engine = Slow()
    go(tmp_path, engine, latency_share=0.9, **asked)
    assert (engine.loads, engine.asked) == (0, []), "the same command does nothing"
    run = go(tmp_path, engine, **{**asked, "latency_items": 1})
    assert run.manifest.measured().latencies_s == (20.5,), "on request one is timed, however long it takes"


@pytest.mark.usefixtures("clock")
def test_a_complete_run_is_not_timed_again_if_only_the_warm_up_fitted(tmp_path: Path) -> None:
    """Warm-up and request exceed the share together, but the request alone does not."""
    asked = {"choice": "generate", "max_new_tokens": 40, "latency_items": 5, "latency_share": 1.1}
    run = go(tmp_path, Slow(), **asked)
    # 22.6 s are allowed; a request takes 20.5 s after a warm-up of 4.5 s.
    assert run.manifest.latency.expected_s == 20.5
    engine = Slow()
    go(tmp_path, engine, **asked)
    assert (engine.loads, engine.asked) == (0, [])


def test_a_complete_run_that_was_never_timed_is_timed_only_on_request(tmp_path: Path) -> None:
    go(tmp_path, FakeEngine(), latency_items=0)
    engine = FakeEngine()
    assert go(tmp_path, engine, latency_items=5, latency_share=0.1).manifest.latency.seconds == ()
    assert (engine.loads, engine.asked) == (0, [])
    assert len(go(tmp_path, engine, latency_items=2).manifest.latency.seconds) == 2


class FailsWhenTimed(FakeEngine):
    """Answers all items, and fails as soon as it is asked again."""

    def choose(self, requests: Sequence[ChoiceRequest]) -> Iterator[Output]:
        again = len(self.asked) >= len(TWENTY.items)
        for output in super().choose(requests):
            yield Output(output.item_id, finish="error", error="out of memory") if again else output


def test_every_missing_latency_has_a_reason(tmp_path: Path) -> None:
    """In the stored run, as the table and `show` say it."""

    def stop_when_timing(item_id: str) -> None:
        if item_id == "i0" and len(engine.asked) == 20:
            raise KeyboardInterrupt

    speed = {"metrics": ("throughput_tokens_per_s", "latency_p50_s", "latency_p95_s")}
    run = go(tmp_path / "failed", FailsWhenTimed(), latency_items=5, **speed)
    assert missing_latency(run) == "not measured: a request failed: out of memory"
    below = [part.plain for part in render.leaderboard(leaderboard.build([run])) if isinstance(part, Text)]
    assert "fake on fake-bench: latency not measured: a request failed: out of memory" in below
    run = go(tmp_path / "three", FakeEngine(), latency_items=3, **speed)
    assert missing_latency(run) == "p95 needs 5 requests: 3 requests were timed"
    run = go(tmp_path / "five", FakeEngine(), latency_items=5, **speed)
    assert missing_latency(run) == ""
    run = go(tmp_path / "server", FakeEngine(), latency_items=0, latency_share=0.1, **speed)
    assert "requests to a server may cost money" in missing_latency(run)
    run = go(tmp_path / "asked for none", FakeEngine(), latency_items=0, **speed)
    assert missing_latency(run) == ""
    engine = FakeEngine(before=stop_when_timing)
    with pytest.raises(KeyboardInterrupt):
        go(tmp_path / "stopped", engine, latency_items=5, latency_share=0.1, **speed)
    run = go(tmp_path / "stopped", FakeEngine(), latency_items=5, latency_share=0.1, **speed)
    assert "the run was stopped before any request was timed" in missing_latency(run)


@pytest.mark.usefixtures("clock")
def test_a_short_run_is_timed_for_up_to_a_second(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(timing, "LEAST_S", 4.0)
    run = go(tmp_path, Slow(), latency_items=5, latency_share=0.001)
    assert run.manifest.measured().latencies_s == (1.0, 1.0, 1.0)


def test_first_token_times_are_kept_for_generated_answers(tmp_path: Path) -> None:
    run = go(tmp_path, FakeEngine(), choice="generate", latency_items=2)
    assert run.manifest.measured().first_token_s == (0.01, 0.01)


def test_the_watch_hears_what_happens_in_order(tmp_path: Path) -> None:
    watch = Seen()
    go(tmp_path, FakeEngine(), ItemSet(fakes.items(2), "here"), watch)
    assert watch.events == ["loading fake", "loaded fake", "begin 0 of 2", "i0", "i1", "end"]


def test_open_questions_are_generated(tmp_path: Path) -> None:
    questions = ItemSet((Item("o1", "what?", references=("this",)), Item("o2", "why?", references=("that",))), "here")
    run = go(tmp_path, FakeEngine(), questions)
    assert run.manifest.method == "generate"
    assert [record.output.text for record in run.records()] == ["Answer: A", "Answer: A"]


def test_another_model_is_another_run(tmp_path: Path) -> None:
    one = go(tmp_path, FakeEngine())
    spec = dataclasses.replace(FakeEngine().spec, revision="2")
    other = go(tmp_path, FakeEngine(spec))
    assert one.path != other.path
    assert one.manifest.comparable == other.manifest.comparable
