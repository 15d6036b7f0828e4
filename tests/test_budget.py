"""The gate before a server, on a clock that the tests control, so that nothing waits."""

from __future__ import annotations

import threading

import pytest
from hypothesis import given
from hypothesis import strategies as st
from medbench.core.budget import MINUTE_S, Budget, CapReached, Limits, Stopped, Ticket, Usage


class Gate(Budget):
    """A budget whose waits move its clock. Waiting for others, when there are none to wait for, is an error."""

    def __init__(self, **limits: object) -> None:
        self.now = 0.0
        super().__init__(Limits(**limits), Usage(), clock=lambda: self.now)  # type: ignore[arg-type]
        self._changed.wait = self._sleep  # type: ignore[method-assign]
        self.stop = threading.Event()

    def _sleep(self, timeout: float | None = None) -> bool:
        assert timeout is not None, "would wait for ever"
        self.now += timeout
        return True

    def go(self, tokens: int = 10, new: int = 0) -> Ticket:
        return self.enter(tokens, new, self.stop)

    def back(self, ticket: Ticket, told: tuple[int, int] | None = (10, 0), throttled: bool = False) -> None:
        self.leave(ticket, told, billed=told is not None, throttled=throttled)


def test_requests_per_minute() -> None:
    gate = Gate(requests_per_minute=2)
    starts = []
    for _ in range(5):
        ticket = gate.go()
        starts.append(ticket.started)
        gate.back(ticket)
        gate.now += 1
    # The third waits until the first is a minute old, the fourth for the second, the fifth for the third.
    assert starts == [0, 1, 60, 61, 120]


def test_tokens_per_minute_are_estimated_before_and_corrected_after() -> None:
    gate = Gate(tokens_per_minute=100)
    first = gate.go(tokens=20, new=60)  # 80 expected: 20 are left
    gate.back(first, told=(20, 5))  # 25 taken: 75 are left
    second = gate.go(tokens=20, new=50)
    assert second.started == 0
    gate.back(second, told=(20, 50))  # 95 taken
    assert gate.go(tokens=10).started == MINUTE_S


def test_a_request_larger_than_the_minutes_budget_goes_alone() -> None:
    gate = Gate(tokens_per_minute=100)
    gate.back(gate.go(tokens=5), told=(5, 0))
    gate.now = 10.0
    large = gate.go(tokens=500)
    assert large.started == MINUTE_S, "when the minute before it is empty"
    gate.back(large, told=(500, 0))
    assert gate.go(tokens=5).started == 2 * MINUTE_S


@given(
    requests=st.integers(1, 5),
    tokens=st.integers(20, 100),
    asked=st.lists(st.tuples(st.integers(1, 150), st.floats(0, 30)), min_size=1, max_size=30),
)
def test_no_minute_holds_more_than_the_budget(requests: int, tokens: int, asked: list[tuple[int, float]]) -> None:
    gate = Gate(requests_per_minute=requests, tokens_per_minute=tokens)
    sent: list[tuple[float, int]] = []
    for size, pause in asked:
        ticket = gate.go(tokens=size)
        sent.append((ticket.started, size))
        gate.back(ticket, told=(size, 0))
        gate.now += pause
    for start, _ in sent:
        within = [size for at, size in sent if start <= at < start + MINUTE_S - 1e-6]
        assert len(within) <= requests
        assert sum(within) <= tokens or len(within) == 1


def test_a_pause_holds_everyone_and_the_longer_one_counts() -> None:
    gate = Gate()
    gate.pause(7)
    gate.pause(3)
    assert gate.go().started == 7


def test_asked_too_fast_it_sends_half_as_many_at_once_and_slowly_more_again() -> None:
    gate = Gate(concurrency=8)
    tickets = [gate.go() for _ in range(8)]
    with pytest.raises(AssertionError, match="would wait for ever"):
        gate.go()
    for ticket in tickets[:2]:
        gate.back(ticket, told=None, throttled=True)  # 8, 4, 2
    for ticket in tickets[2:7]:
        gate.leave(ticket, None, billed=False, throttled=False)  # neither an answer nor "too fast"
    second = gate.go()
    with pytest.raises(AssertionError, match="would wait for ever"):
        gate.go()
    gate.back(tickets[7])  # 2 + 1/2
    gate.back(second)  # 2.5 + 1/2.5 = 2.9
    third, fourth = gate.go(), gate.go()
    gate.back(third)  # 2.9 + 1/2.9 = 3.2
    assert [gate.go(), gate.go()]
    with pytest.raises(AssertionError, match="would wait for ever"):
        gate.go()
    assert fourth in gate._out


def test_the_cap_on_calls_counts_what_was_sent() -> None:
    gate = Gate(max_calls=2)
    gate.back(gate.go(), told=None)
    gate.go()
    with pytest.raises(CapReached, match="the cap of 2 calls is reached"):
        gate.go()
    assert gate.usage.calls == 2


def test_the_cap_on_cost_reserves_what_requests_that_are_out_may_come_to() -> None:
    # $1 and $2 for a thousand tokens; a request of 1,000 and at most 1,000 may come to $3.
    gate = Gate(max_cost=7.0, prices=(1000.0, 2000.0))
    first = gate.go(1000, 1000)
    second = gate.go(1000, 1000)
    with pytest.raises(AssertionError, match="would wait for ever"):
        gate.go(1000, 1000)  # 3 + 3 + 3 > 7: not refused yet, since the others may come to less
    gate.back(first, told=(1000, 100))  # $1.20
    third = gate.go(500, 1000)  # 1.2 + 3 + 2.5 = 6.7
    gate.back(second, told=None)  # nothing was billed
    gate.leave(third, None, billed=True, throttled=False)  # it did not say: $2.50, as estimated
    assert gate.usage.cost == pytest.approx(3.7)
    assert (gate.usage.prompt_tokens, gate.usage.completion_tokens) == (1000, 100), "only what was told"
    with pytest.raises(CapReached, match=r"the cap of \$7 is reached"):
        gate.go(1000, 1200)  # 3.7 + 3.4 = 7.1


def test_stopped_nothing_starts() -> None:
    gate = Gate()
    gate.stop.set()
    with pytest.raises(Stopped):
        gate.go()
    assert gate.usage.calls == 0


def test_those_who_wait_stop_when_woken() -> None:
    budget, stop = Budget(Limits(concurrency=1), Usage()), threading.Event()
    budget.enter(1, 1, stop)
    caught = []

    def wait() -> None:
        try:
            budget.enter(1, 1, stop)
        except Stopped as error:
            caught.append(error)

    thread = threading.Thread(target=wait)
    thread.start()
    stop.set()
    budget.wake()
    thread.join(timeout=10)
    assert len(caught) == 1
