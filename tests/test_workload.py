"""The remaining time of a run, estimated from tokens, not from a count of items."""

from __future__ import annotations

import dataclasses
import io
import re
import threading

import fakes
import pytest
from fakes import FakeEngine
from medbench.cli.ui import progress, screen
from medbench.core.types import Item, ItemSet, Output
from medbench.evaluation.plan import Plan
from medbench.evaluation.settings import Settings
from medbench.evaluation.workload import NEW_TOKEN_COST, Workload
from rich.console import Console

LONG_NAME = fakes.benchmark(ItemSet((), "here"), name="a-benchmark-with-a-long-name")


def planned(*questions: str, options: bool = True) -> Plan:
    items = tuple(
        Item(f"i{n}", text, options=("yes", "no"), gold=0) if options else Item(f"i{n}", text, references=("r",))
        for n, text in enumerate(questions)
    )
    item_set = ItemSet(items, "here")
    return fakes.plan(fakes.benchmark(item_set), item_set, FakeEngine(), Settings())


def characters(made: Plan, item_id: str) -> int:
    return len(made.prompts[item_id].plain)


def test_long_prompts_take_their_share_of_the_time() -> None:
    made = planned(*["x" * 1000] * 5, *["x" * 10] * 5)
    work = Workload(made, done=())
    for n in range(5):  # the long ones first, as engines take them
        work.answered(Output(f"i{n}"))
    seconds = work.seconds_left(elapsed_s=50.0)
    # Half of the items are left, but only this share of the characters:
    assert seconds == pytest.approx(50.0 * 5 * characters(made, "i9") / (5 * characters(made, "i0")))
    assert seconds < 3


def test_an_open_answer_is_expected_to_be_as_long_as_the_others_were() -> None:
    made = planned(*["x" * 40] * 10, options=False)
    work = Workload(made, done=())
    for n in range(5):
        work.answered(Output(f"i{n}", text="…", completion_tokens=20))
    assert work.seconds_left(elapsed_s=8.0) == pytest.approx(8.0), "five done and five alike left"
    one = characters(made, "i0") / 4 + NEW_TOKEN_COST * 20
    work.answered(Output("i5", text="…", completion_tokens=20))
    assert work.seconds_left(elapsed_s=12.0) == pytest.approx(12.0 * (4 * one) / (6 * one))


def test_what_was_answered_before_is_no_work_and_gives_no_rate() -> None:
    made = planned(*["x" * 100] * 12)
    work = Workload(made, done={(f"i{number}", 0) for number in range(6)})
    assert work.seconds_left(elapsed_s=1.0) is None, "nothing answered yet"
    for n in range(6, 11):
        work.answered(Output(f"i{n}"))
    assert work.seconds_left(elapsed_s=5.0) == pytest.approx(1.0)
    work.answered(Output("i11"))
    assert work.seconds_left(elapsed_s=6.0) == 0.0


def test_an_item_that_failed_is_done_with_and_one_that_was_not_asked_is_nothing() -> None:
    work = Workload(planned(*["x" * 100] * 6), done=())
    work.answered(Output("stranger"))
    assert work.answered_items == 0
    for n in range(6):
        work.answered(Output(f"i{n}", finish="error", error="out of memory"))
    assert work.seconds_left(elapsed_s=6.0) == 0.0


def test_a_line_has_the_time_left_or_the_rate_because_long_prompts_come_first(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    made = planned(*["x" * 1000] * 5, *["x" * 10] * 5)
    now = 0.0
    monkeypatch.setattr(progress.time, "monotonic", lambda: now)
    lines = progress.RunLines()
    lines.begin(made, done=())
    for n in range(10):
        now += 10.0 if n < 5 else 0.1
        lines.answered(Output(f"i{n}"))
    lines.end()
    said = capsys.readouterr().err.splitlines()
    # 5 of 10 items took 50 s, and the others will take 1.3 s: "0.1 items/s" would say 50 s.
    assert said[-2:] == ["fake-bench: 5/10, 0:01 left", "fake-bench: 10/10, 0.2 items/s"]


def test_one_item_per_second_is_singular(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    made = planned("x" * 10)
    now = 0.0
    monkeypatch.setattr(progress.time, "monotonic", lambda: now)
    lines = progress.RunLines()
    lines.begin(made, done=())
    now = 1.0
    lines.answered(Output("i0"))
    lines.end()
    assert capsys.readouterr().err.splitlines()[-1] == "fake-bench: 1/1, 1 item/s"


def test_tokens_per_second_are_those_of_the_table(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Prompt and new tokens, as the metric throughput_tokens_per_s counts them."""
    now = 0.0
    monkeypatch.setattr(progress.time, "monotonic", lambda: now)
    lines = progress.RunLines()
    lines.begin(planned("one", "two", options=False), done=())
    for n in range(2):
        now += 1.0
        lines.answered(Output(f"i{n}", text="…", prompt_tokens=30, completion_tokens=20))
    lines.end()
    assert capsys.readouterr().err.splitlines()[-1] == "fake-bench: 2/2, 1 item/s, 50 tokens/s"  # 2 · (30 + 20) / 2 s


def test_few_items_have_a_line_each_without_a_rate(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    now = 0.0
    monkeypatch.setattr(progress.time, "monotonic", lambda: now)
    lines = progress.RunLines()
    lines.begin(planned(*["x" * 10] * 4), done=())
    for n in range(2):
        now += 50.0
        lines.answered(Output(f"i{n}"))
    lines.ended.set()
    assert capsys.readouterr().err.splitlines() == ["fake-bench: 4 items", "fake-bench: 1/4", "fake-bench: 2/4"]


def test_a_line_says_what_is_done_while_nothing_is_finished(monkeypatch: pytest.MonkeyPatch) -> None:
    said: list[str] = []
    third = threading.Event()

    def tell(text: str) -> None:
        said.append(text)
        if len(said) == 3:
            third.set()

    monkeypatch.setattr(progress, "STILL_SECONDS", 0.01)
    monkeypatch.setattr(progress, "tell", tell)
    lines = progress.RunLines()
    lines.begin(planned(*["x" * 10] * 4), done=())
    assert third.wait(30)
    lines.end()
    assert said[:3] == ["fake-bench: 4 items", *["fake-bench: 0/4, 0:00 so far"] * 2]


def test_the_bar_shows_the_time_left_in_80_columns(monkeypatch: pytest.MonkeyPatch) -> None:
    now = 0.0
    monkeypatch.setattr(progress.time, "monotonic", lambda: now)
    window = Console(file=io.StringIO(), force_terminal=True, width=80)
    monkeypatch.setattr(screen, "stderr", lambda: window)
    bar = progress.RunBar()
    bar.turn(12, 24)
    bar.begin(dataclasses.replace(planned(*["x" * 10] * 1300), benchmark=LONG_NAME), done=())
    assert bar.progress is not None
    bar.progress.stop()
    for n in range(5):
        now += 100.0
        bar.answered(Output(f"i{n}", prompt_tokens=100_000, completion_tokens=23_450))

    def line() -> str:
        with window.capture() as seen:
            window.print(bar.progress)
        return re.sub(r"\x1b\[[0-9;?]*[a-zA-Z]", "", seen.get()).strip()

    # 5 items took 500 s, and 1,295 are left.
    assert re.search(r"a-benchmark-… \(12 of 24\) \S+ +5/1300 1234 tokens/s \S+ 35:58:20 left$", line()), line()
    bar.timing(1, 5)
    assert "timing 1 of up to 5 requests" in line()


@pytest.mark.parametrize(("value", "shown"), [(0.00004, "0.00004"), (0.14, "0.14"), (1.44, "1.4"), (140.2, "140")])
def test_a_rate_is_a_plain_number(value: float, shown: str) -> None:
    assert progress.plain_number(value) == shown
