"""Latency: times single requests, one at a time, after a run's answers are stored."""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any

from ..core.types import AnswerKey, Engine, Output
from ..results.manifest import Manifest, RequestTimes
from .plan import Plan
from .progress import Progress

WARM_UP_TOKENS = 8  # new tokens of the untimed request before the timed ones
LEAST_S = 1.0  # seconds that timing may take in a run of any length


def due(manifest: Manifest, wanted: int, share: float | None, *, open_items: bool) -> bool:
    """Return whether single requests are to be timed.

    With a `share`, only in the session that answers the last items: a complete run loads no model to be timed.
    """
    timed = len(manifest.latency.seconds)
    return timed < wanted if share is None else open_items and not timed and wanted > 0


def measure(
    plan: Plan,
    engine: Engine,
    manifest: Manifest,
    wanted: int,
    answered: Collection[AnswerKey],
    new_tokens: Mapping[str, int],
    watch: Progress,
) -> RequestTimes:
    """Time the run's first `wanted` answered items, one request at a time, after one short warm-up request.

    With a share (`Settings.latency_share`), timing takes no more than that part of the time that the answers took, or
    `LEAST_S` seconds if that is more: requests that are not expected to fit are not sent. `new_tokens` has the length
    of each stored answer, from which the duration of a request is estimated.

    The first request that fails ends the timing. The result says why fewer requests than wanted were timed.
    """
    within_s = _allowed_s(manifest, plan.settings.latency_share)
    seconds: list[float] = []
    first_token_s: list[float] = []
    reason = ""
    timed = [(item_id, 0) for item_id in plan.prompts if (item_id, 0) in answered][:wanted]
    others = plan.open_items(timed).keys()  # one answer per item is timed
    generates = plan.method == "generate"
    requests: list[Any] = list(plan.generate_requests(others) if generates else plan.choice_requests(others))
    warm_up = requests[0]
    if generates:
        warm_up = dataclasses.replace(warm_up, max_new_tokens=min(WARM_UP_TOKENS, warm_up.max_new_tokens))
    # One request is never faster than its share of a batch. The warm-up for choices takes as long as a timed request.
    expected = _answering_s(manifest) / max(1, sum(session.items or 0 for session in manifest.sessions))
    spent = 0.0 if generates else expected
    began = time.perf_counter()
    for number, request in enumerate([warm_up, *requests]):
        if within_s is not None and spent + expected > within_s:
            if not seconds:
                return RequestTimes(expected_s=expected, reason=_too_slow(spent, expected, within_s))
            reason = f"{len(seconds)} of {wanted} requests fit into the {_about(within_s)} that timing may take"
            break
        watch.timing(number, wanted)
        started = time.perf_counter()
        outputs: list[Output] = list((engine.generate if generates else engine.choose)([request]))
        elapsed = time.perf_counter() - started
        failed = next((output.error for output in outputs if output.error and not output.final), None)
        if failed:
            reason = f"a request failed: {failed}"
            break
        pace = _Pace.of(elapsed, outputs) if generates else _Pace(elapsed, 0.0)
        following = requests[number].item_id if number < len(requests) else ""
        expected = pace.expected_s(new_tokens.get(following, 0))
        spent = time.perf_counter() - began
        if number == 0 or any(output.error for output in outputs):
            continue
        seconds.append(elapsed)
        first_token_s += [output.first_token_s for output in outputs if output.first_token_s is not None]
    if not seconds and not reason:
        reason = "every timed request was refused"
    return RequestTimes(seconds=tuple(seconds), first_token_s=tuple(first_token_s), reason=reason)


@dataclass(frozen=True)
class _Pace:
    """How long single requests take: a fixed number of seconds, plus a number per new token."""

    base_s: float
    token_s: float

    @classmethod
    def of(cls, elapsed: float, outputs: list[Output]) -> _Pace:
        new = sum(output.completion_tokens for output in outputs)
        first = outputs[0].first_token_s if outputs else None
        if first and new > 1:
            token_s = (elapsed - first) / (new - 1)
            return cls(first - token_s, token_s)
        return cls(0.0, elapsed / new) if new else cls(elapsed, 0.0)

    def expected_s(self, new_tokens: int) -> float:
        return self.base_s + self.token_s * new_tokens


def _answering_s(manifest: Manifest) -> float:
    return sum(session.seconds or 0.0 for session in manifest.sessions)


def _allowed_s(manifest: Manifest, share: float | None) -> float | None:
    """Return how many seconds timing may take. None: any number."""
    return None if share is None else max(LEAST_S, share * _answering_s(manifest))


def _too_slow(spent_s: float, expected_s: float, within_s: float) -> str:
    what = f"one request with its warm-up takes about {_about(spent_s + expected_s)}"
    return f"{what}, and timing may take {_about(within_s)}; --latency-items 1 times one in any case"


def _about(seconds: float) -> str:
    return f"{seconds:.1f} s" if seconds < 10 else f"{seconds:.0f} s"
