"""An engine and a benchmark that need no weights, for tests of everything around them."""

from __future__ import annotations

import dataclasses
import hashlib
import time
from collections.abc import Callable, Iterator, Sequence
from typing import Any, Literal

from medbench.core.types import (
    Benchmark,
    ChoiceRequest,
    Engine,
    GenerateRequest,
    Item,
    ItemSet,
    ModelSpec,
    Output,
)
from medbench.evaluation import plan as plans
from medbench.evaluation.engine_facts import engine_facts
from medbench.evaluation.plan import Plan
from medbench.evaluation.settings import Settings


def plan(benchmark: Benchmark, item_set: ItemSet, engine: Engine, settings: Settings) -> Plan:
    """The plan of a run by this engine."""
    return plans.plan(benchmark, item_set, engine_facts(engine, benchmark, item_set, settings), settings)


class FakeEngine(Engine):
    """Answers by a hash of the prompt: always the same, and nothing to load.

    `before` is called with each item's id before it is answered, and may raise.
    """

    def __init__(self, spec: ModelSpec | None = None, before: Callable[[str], None] = lambda item_id: None) -> None:
        self.spec = spec or ModelSpec(name="fake", location="nowhere", revision="1", engine="fake", dtype="float32")
        self.before = before
        self.loads = 0
        self.asked: list[str] = []

    def load(self) -> None:
        self.loads += 1

    def choose(self, requests: Sequence[ChoiceRequest]) -> Iterator[Output]:
        for request in requests:
            self.before(request.item_id)
            self.asked.append(request.item_id)
            picks = hashlib.sha256(request.prompt.plain.encode()).digest()
            yield Output(
                request.item_id,
                prompt=request.prompt.plain,
                logprobs=tuple(-1.0 - picks[i] / 16 for i in range(len(request.answers))),
                prompt_tokens=10,
            )

    def generate(self, requests: Sequence[GenerateRequest]) -> Iterator[Output]:
        for request in requests:
            self.before(request.item_id)
            self.asked.append(request.item_id)
            yield Output(
                request.item_id,
                prompt=request.prompt.plain,
                text="Answer: A",
                prompt_tokens=10,
                completion_tokens=3,
                finish="stop",
                first_token_s=0.01,
            )

    def chat(self, method: Literal["choose", "generate"]) -> str:
        return "plain"

    def describe(self) -> dict[str, Any]:
        return {"device": "cpu"}

    def peak_gpu_memory_bytes(self) -> int | None:
        return None


class SlowEngine(FakeEngine):
    """Takes its time over each item, so that a test can stop it halfway."""

    def __init__(self, spec: ModelSpec | None = None) -> None:
        super().__init__(spec, before=lambda item_id: time.sleep(0.1))


ENGINE = SlowEngine  # `--engine tests/fakes.py`


def items(count: int, prefix: str = "i") -> tuple[Item, ...]:
    return tuple(
        Item(f"{prefix}{n}", f"question {prefix}{n}?", options=("yes", "no", "maybe"), gold=n % 3) for n in range(count)
    )


def benchmark(item_set: ItemSet, **changes: Any) -> Benchmark:
    made = Benchmark(
        name="fake-bench",
        version="1",
        summary="for tests",
        citation="none",
        licence="MIT",
        load=lambda source: item_set,
        question=lambda item: f"Question: {item.question}\nAnswer:",
        metrics=("accuracy",),
    )
    return dataclasses.replace(made, **changes)
