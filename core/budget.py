"""Limits on the requests to a server: concurrency, rate, number of calls, and cost."""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from math import inf

from .errors import UsageError

MINUTE_S = 60.0


@dataclass(frozen=True)
class Limits:
    """Limits on the requests of one engine. None means no limit."""

    concurrency: int = 8  # concurrent requests; lowered while the server throttles
    requests_per_minute: int | None = None
    tokens_per_minute: int | None = None  # prompt and completion
    max_calls: int | None = None  # HTTP requests, retries counted
    max_cost: float | None = None  # USD; needs prices
    prices: tuple[float, float] | None = None  # USD per million prompt tokens and per million new tokens
    retries: int = 5  # per request, after the first attempt
    timeout_s: float = 120.0  # for a complete reply

    def __post_init__(self) -> None:
        if self.max_cost is not None and self.prices is None:
            raise UsageError("a cost limit needs the model's prices.", "Give the prices, or limit the number of calls.")
        if self.concurrency < 1:
            raise UsageError(f"{self.concurrency} concurrent requests: at least 1 is needed.")

    def cost(self, prompt_tokens: int, new_tokens: int) -> float:
        """Return the cost in USD; 0 without prices."""
        prompt, new = self.prices or (0.0, 0.0)
        return (prompt * prompt_tokens + new * new_tokens) / 1e6


@dataclass
class Usage:
    """What has been used so far. `cost` (USD) includes an estimate for replies that did not report their usage."""

    calls: int = 0  # HTTP requests that reached a server, retries counted
    prompt_tokens: int = 0
    completion_tokens: int = 0
    cost: float | None = None  # None without prices


class CapReached(Exception):
    """One more request would exceed a limit; the message says which."""


class Stopped(Exception):
    """No more requests should be sent."""


@dataclass
class Ticket:
    """One request that may be sent."""

    started: float
    tokens: int  # prompt and completion: estimated, then as reported by the server
    cost: float  # USD, an upper bound


class Budget:
    """The gate in front of a server. Call `enter` before every HTTP request and `leave` after it. Thread-safe."""

    def __init__(self, limits: Limits, usage: Usage, clock: Callable[[], float] = time.monotonic) -> None:
        self.limits = limits
        self.usage = usage
        self._clock = clock
        self._changed = threading.Condition()
        self._recent: deque[Ticket] = deque()  # of the last minute
        self._out: list[Ticket] = []
        self._width = float(limits.concurrency)
        self._paused_until = -inf
        self.too_dear = inf  # USD, the lowest bound of a request that the cost limit stopped
        if limits.prices is not None and usage.cost is None:
            usage.cost = 0.0

    def enter(self, prompt_tokens: int, new_tokens: int, stop: threading.Event) -> Ticket:
        """Wait until one more request may be sent, and count it as sent.

        Raises CapReached if it would exceed a limit, and Stopped once `stop` is set (call `wake` after setting it).
        """
        ticket = Ticket(0.0, prompt_tokens + new_tokens, self.limits.cost(prompt_tokens, new_tokens))
        with self._changed:
            while not stop.is_set():
                self._check_caps(ticket)
                now = self._clock()
                wait = self._wait(ticket, now)
                if wait <= 0:
                    ticket.started = now
                    self._recent.append(ticket)
                    self._out.append(ticket)
                    self.usage.calls += 1
                    return ticket
                self._changed.wait(None if wait == inf else wait)
        raise Stopped

    def leave(
        self, ticket: Ticket, told: tuple[int, int] | None, *, billed: bool, throttled: bool, reached: bool = True
    ) -> None:
        """Record a finished request. `told` holds the prompt and completion tokens that the server reported, if it did.

        `billed`: without a report, the server may still have answered, so the estimate counts as the cost. `throttled`:
        the server asked for fewer requests. Concurrency is halved, then grows by one after each full round of answers.
        Restoring it at once would let a tight limit reject the same request until its retries are used up. `reached`:
        False if no connection was made; then it does not count as a call.
        """
        with self._changed:
            self._out.remove(ticket)
            self.usage.calls -= not reached
            cost = ticket.cost if billed else 0.0
            if told:
                ticket.tokens, cost = sum(told), self.limits.cost(*told)
                self.usage.prompt_tokens += told[0]
                self.usage.completion_tokens += told[1]
            if self.usage.cost is not None:
                self.usage.cost += cost
            if throttled:
                self._width = max(1.0, self._width / 2)
            elif told or billed:
                self._width = min(float(self.limits.concurrency), self._width + 1 / self._width)
            self._changed.notify_all()

    def pause(self, seconds: float) -> None:
        """Send nothing for this many seconds. A wait that the server asked of one request applies to all."""
        with self._changed:
            self._paused_until = max(self._paused_until, self._clock() + seconds)

    def wake(self) -> None:
        with self._changed:
            self._changed.notify_all()

    def _check_caps(self, ticket: Ticket) -> None:
        calls, cost = self.limits.max_calls, self.limits.max_cost
        if calls is not None and self.usage.calls >= calls:
            raise CapReached(f"the cap of {calls} call{'s' * (calls != 1)} is reached")
        if cost is not None and (self.usage.cost or 0.0) + ticket.cost > cost:
            self.too_dear = min(self.too_dear, ticket.cost)
            raise CapReached(f"the cap of ${cost:g} is reached")

    def _wait(self, ticket: Ticket, now: float) -> float:
        """Return the seconds until `ticket` may start, as far as known; infinity: until another request finishes."""
        limits, recent = self.limits, self._recent
        if len(self._out) >= int(self._width):
            return inf
        reserved = sum(other.cost for other in self._out)
        if limits.max_cost is not None and (self.usage.cost or 0.0) + reserved + ticket.cost > limits.max_cost:
            return inf
        while recent and recent[0].started + MINUTE_S <= now:
            recent.popleft()
        waits = [self._paused_until - now]
        if limits.requests_per_minute is not None and len(recent) >= limits.requests_per_minute:
            waits.append(recent[-limits.requests_per_minute].started + MINUTE_S - now)
        if limits.tokens_per_minute is not None:
            room = limits.tokens_per_minute - ticket.tokens
            taken = sum(other.tokens for other in recent)
            for other in recent:  # a request larger than the limit is sent once the minute is empty
                if taken <= room:
                    break
                waits.append(other.started + MINUTE_S - now)
                taken -= other.tokens
        return max(waits)
