"""What an engine says about a run before it is planned. No other step of planning asks the engine."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..core.errors import UsageError
from .option_notes import reasons
from .plan import selected
from .settings import EngineFacts, Method, Settings

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ..core.protocol import Protocol
    from ..core.types import Benchmark, Engine, Item, ItemSet


def engine_facts(engine: Engine, benchmark: Benchmark, item_set: ItemSet, settings: Settings) -> EngineFacts:
    """Tell the engine what will be asked, and ask it how. Raises UsageError for what the engine cannot do.

    The engine gets the items first, because saved answers, for example, belong to one benchmark.
    """
    engine.prepare(benchmark, item_set)
    engine.check_sampling(settings.samples, settings.temperature)
    if not engine.measured and (settings.permute_options > 1 or settings.prompt_variants):
        option = "--prompt-variants" if settings.prompt_variants else f"--permute-options {settings.permute_options}"
        raise UsageError(
            f"{option}: the answers of {engine.spec.name} were saved earlier, so the model cannot be asked again."
        )
    items = selected(benchmark, item_set, settings)
    method = _method(items, engine, settings, benchmark.protocol)
    chat = engine.chat("choose" if method == "logprob" else "generate")
    spec = engine.spec
    options = {
        option.name: spec.options[option.name]
        for option in engine.engine_options
        if option.changes_answers and spec.options.get(option.name, option.default) != option.default
    }
    told = settings.system or benchmark.protocol.system or any(t.role == "system" for i in items for t in i.turns)
    system_turn = engine.has_system_turn() if told and chat == "template" else True
    return EngineFacts(spec, method, chat, options, system_turn)


def _method(items: Sequence[Item], engine: Engine, settings: Settings, protocol: Protocol) -> Method:
    """Return how these items are asked. An engine that cannot choose says why."""
    if items[0].options and protocol.method == "generate" and settings.choice == "logprob":
        raise UsageError(
            f"--choice logprob: under the protocol {protocol.name} the model writes its answer.",
            "Leave one of the two out.",
        )
    if not items[0].options or "generate" in (settings.choice, protocol.method):
        return "generate"
    if reasons(engine.spec):
        if settings.choice == "logprob":
            raise UsageError(
                "--choice logprob: a model that is asked to reason must write its answer.", "Leave one of the two out."
            )
        return "generate"
    why = engine.cannot_choose(item.answers for item in items)
    if why and settings.choice == "logprob":
        raise UsageError(f"--choice logprob: {why}.", "Without that option the model writes its answer.")
    return "generate" if why else "logprob"
