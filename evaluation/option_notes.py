"""What the user should know about the options of a run: those without an effect, and what reasoning needs."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from ..core.types import Benchmark, Item, ModelSpec
from .settings import EngineFacts, Method, Settings

ROOM_TO_REASON = 1024  # new tokens that reasoning models often need


def draws(settings: Settings, available: int, method: Method) -> bool:
    """Whether items, examples, tokens or orders are drawn, so that the seed matters."""
    tokens = settings.temperature > 0 and method == "generate"
    items = settings.limit is not None and settings.limit < available
    return settings.shots > 0 or tokens or settings.permute_options > 1 or items


def on_reasoning(engine: EngineFacts, max_new_tokens: int) -> Iterator[str]:
    """Yield what may be surprising about --think and --reasoning-effort in this run."""
    spec = engine.spec
    if engine.chat != "template":
        given = [f"--think {spec.think}"] if spec.think != "auto" else []
        for option in [*given, *([f"--reasoning-effort {spec.reasoning_effort}"] if spec.reasoning_effort else [])]:
            yield f"{option} has no effect: options are chosen by log-probability, without the chat template."
    elif engine.method == "generate" and reasons(spec) and max_new_tokens < ROOM_TO_REASON:
        yield (
            f"Reasoning and answer have {max_new_tokens} new tokens. If answers are unfinished: "
            f"--max-new-tokens {2 * ROOM_TO_REASON}"
        )


def reasons(spec: ModelSpec) -> bool:
    """Whether the user asked the model to reason before it answers."""
    return spec.think == "on" or (spec.think == "auto" and spec.reasoning_effort not in ("", "none"))


def without_effect(
    benchmark: Benchmark, settings: Settings, items: Sequence[Item], available: int, method: Method
) -> Iterator[str]:
    """Yield a sentence for each option that changes nothing about this run, with the reason."""
    if settings.max_new_tokens is not None and method == "logprob":
        yield f"--max-new-tokens {settings.max_new_tokens} has no effect: options are chosen by log-probability."
    if settings.choice == "generate" and benchmark.protocol.method == "generate" and items[0].options:
        yield f"--choice generate has no effect: under the protocol {benchmark.protocol.name} the model always writes."
    if settings.choice != "auto" and not items[0].options:
        yield f"--choice {settings.choice} has no effect: the questions are open."
    if settings.limit is not None and settings.limit > available and not settings.items:
        yield f"--limit {settings.limit} has no effect: there are {available} items."
    if settings.temperature and method == "logprob":
        yield f"--temperature {settings.temperature:g} has no effect: options are chosen by log-probability."
    if settings.seed and not draws(settings, available, method):
        yield f"--seed {settings.seed} has no effect: nothing is drawn."
