"""How `medbench list protocols` shows ways to ask: each with its whole prompt on an invented item."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ...core import asking, registry
from ...core.errors import MedbenchError, UsageError
from ...core.suggest import did_you_mean
from . import output
from .messages import tell

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rich.panel import Panel

    from ...core.asking import Shown
    from ...core.protocol import Protocol
    from ...core.types import Benchmark

NAMED = 6  # benchmarks in a sentence


def show(name: str | None, as_json: bool) -> None:
    """Show all protocols, each on the first benchmark that has it; or all prompts of the protocol or benchmark `name`.

    Raises UsageError for a name that is neither.
    """
    benchmarks = _benchmarks()
    if name and registry.is_file("benchmarks", name):
        benchmarks = [registry.get("benchmarks", name)]
        name = benchmarks[0].name
    found = _named(name, benchmarks) if name else [shown for each in benchmarks for shown in asking.shown(each)]
    if as_json:
        output.show_json([_as_json(shown) for shown in found])
        return
    if name:
        output.show([_panel(shown) for shown in found])
        return
    for protocol, shown in _firsts(found).items():
        having = [each.name for each in benchmarks if protocol in asking.names_of([each])]
        output.show([_panel(shown, f"{shown.benchmark.protocol.summary} {_of(having, benchmarks)}")])
    tell("Run with one: medbench run -b medqa --protocol cot")
    tell("All prompts of a protocol or of a benchmark: medbench list protocols NAME")


def _benchmarks() -> list[Benchmark]:
    """Return every installed benchmark; a broken one is reported and left out."""
    found = []
    for name in registry.names("benchmarks"):
        try:
            found.append(registry.get("benchmarks", name))
        except MedbenchError as error:
            tell(f"Not shown: {error}")
    return sorted(found, key=lambda benchmark: benchmark.sample)


def _named(name: str, benchmarks: Sequence[Benchmark]) -> list[Shown]:
    found = [
        shown
        for benchmark in benchmarks
        for shown in asking.shown(benchmark)
        if name in (benchmark.name, shown.benchmark.protocol.name)
    ]
    known = [*asking.names_of(benchmarks), *(benchmark.name for benchmark in benchmarks)]
    if not found and name not in known:
        raise UsageError(
            f"no protocol or benchmark is called '{name}'.{did_you_mean(name, known, most=3)}",
            "All of them: medbench list protocols",
        )
    if not found:
        raise UsageError(
            f"'{name}' has no example to show.", "A benchmark shows one if it has an `example`: docs/add-a-benchmark.md"
        )
    return found


def _firsts(found: Sequence[Shown]) -> dict[str, Shown]:
    """Return by protocol the first benchmark that has it; lettered options come first, since they are usual."""
    lettered = sorted(found, key=lambda shown: not (shown.benchmark.example and shown.benchmark.example.labels))
    firsts: dict[str, Shown] = {}
    for shown in lettered:
        firsts.setdefault(shown.benchmark.protocol.name, shown)
    return firsts


def _of(having: Sequence[str], benchmarks: Sequence[Benchmark]) -> str:
    if len(having) == len(benchmarks):
        return "Every benchmark has it."
    more = f" and {len(having) - NAMED} more" if len(having) > NAMED else ""
    return f"Benchmarks: {', '.join(having[:NAMED])}{more}."


def _panel(shown: Shown, about: str = "") -> Panel:
    from rich.panel import Panel
    from rich.text import Text

    from ...engines.prompting import messages

    text = Text(f"{about}\n{shown.how}\n" if about else f"{shown.how}\n", style="dim")
    for turn in messages(shown.prompt):
        text.append(f"\n[{turn['role']}]\n", style="dim")
        text.append(turn["content"] + "\n", style="default not dim")
    text.rstrip()
    title = f"{shown.benchmark.protocol.name} · {shown.benchmark.name}"
    return Panel(text, title=title, title_align="left")


def _as_json(shown: Shown) -> dict[str, Any]:
    from ...engines.prompting import messages

    protocol: Protocol = shown.benchmark.protocol
    return {
        "protocol": protocol.name,
        "benchmark": shown.benchmark.name,
        "what": protocol.summary,
        "method": protocol.method,
        "max_new_tokens": shown.benchmark.max_new_tokens,
        "stop": list(shown.benchmark.stop),
        "answer_field": protocol.answer_field,
        "messages": messages(shown.prompt),
        "plain": shown.prompt.plain,
    }
