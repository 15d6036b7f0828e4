"""Whether the engines of the models can take the options of a request. Checked before anything is loaded."""

from __future__ import annotations

import contextlib
from collections.abc import Mapping
from typing import Any

from ..core import registry
from ..core.errors import MedbenchError, UsageError
from ..core.suggest import did_you_mean
from ..core.types import Engine, ModelSpec
from .option_notes import reasons


def check_servers(specs: list[tuple[str, ModelSpec]], base_url: str, limits: Mapping[str, object]) -> None:
    """Raise UsageError for options about servers if no model is at one."""
    given = [name for name, value in {"base_url": base_url, **limits}.items() if value]
    if given and specs and all(registry.get("engines", spec.engine).runs_here for _, spec in specs):
        option = given[0].replace("_", "-")
        raise UsageError(f"--{option}: {specs[0][1].name} runs on this machine, not at a server.", "Leave it out.")
    served = {spec.engine for _, spec in specs if not registry.get("engines", spec.engine).runs_here}
    if base_url and len(served) > 1:
        raise UsageError(
            f"--base-url {base_url}: {' and '.join(sorted(served))} models cannot share one address, because each is "
            "sent its own key.",
            "Run them in two commands.",
        )


def check_options(specs: list[tuple[str, ModelSpec]], given: Mapping[str, Any]) -> None:
    """Raise UsageError for an engine option that the engine of no model takes."""
    engines: dict[str, type[Engine]] = {spec.engine: registry.get("engines", spec.engine) for _, spec in specs}
    taken = {option.name for engine in engines.values() for option in engine.engine_options}
    for name, value in given.items() if specs else ():
        if name.replace("-", "_") in taken:
            continue
        owners, spelling = [], f"--engine-option {name}="
        for other in registry.names("engines"):
            with contextlib.suppress(MedbenchError):  # a broken plugin takes no options
                for option in registry.get("engines", other).engine_options:
                    if option.name == name.replace("-", "_"):
                        owners.append(other)
                        spelling = option.spelling
        elsewhere = "".join(f"\nIt is an option of: --model {owner}:NAME" for owner in owners)
        model, spec = specs[0]
        meant = did_you_mean(name, taken)
        raise UsageError(
            f"{spelling}{value}: {model} runs on the engine {spec.engine}, which has no such option.{meant}",
            "\n".join(f"Options of {name}: {_listed(engine)}" for name, engine in engines.items()) + elsewhere,
        )


def check_thinking(specs: list[tuple[str, ModelSpec]], writes: bool) -> None:
    """Raise UsageError if a model lacks the switch for reasoning that was asked for, before another one runs for hours.

    `writes`: every model writes its answers, as one that is asked to reason does in any case.
    """
    for _, spec in specs:
        if reasons(spec) or (writes and spec.think != "auto"):
            try:
                registry.get("engines", spec.engine)(spec).chat("generate")
            except UsageError:
                raise
            except MedbenchError:
                continue  # reported when it is this model's turn


def _listed(engine: type[Engine]) -> str:
    return ", ".join(f"{option.name} ({option.help})" for option in engine.engine_options) or "none"
