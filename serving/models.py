"""A model to serve or to talk to, by the name that `medbench run --model` takes."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Unpack, cast

from ..core import registry
from ..core.errors import UsageError
from ..zoo.resolve import resolve

if TYPE_CHECKING:
    from ..core.types import Engine
    from ..evaluation.suite import ModelOptions


def engine_of(name: str, tell: Callable[[str], None] = lambda line: None, **options: Unpack[ModelOptions]) -> Engine:
    """Return the engine of a model, not loaded yet. `tell` gets one line for each slow step and each warning.

    Raises UsageError for an invalid name or option, ModelMissing for weights that are not available.
    """
    return engines_of([name], tell, **options)[0]


def engines_of(
    names: Sequence[str], tell: Callable[[str], None] = lambda line: None, **options: Unpack[ModelOptions]
) -> list[Engine]:
    """Return the engines of several models, as `engine_of`. `base_url` is for those that run at a server."""
    specs = [resolve(name, **options, tell=tell) for name in names]
    engines = [cast("Engine", registry.get("engines", spec.engine)(spec)) for spec in specs]
    if (address := options.get("base_url")) and all(engine.runs_here for engine in engines):
        run = "runs" if len(names) == 1 else "run"
        raise UsageError(
            f"--base-url {address}: {' and '.join(names)} {run} on this machine, not at a server.", "Leave it out."
        )
    for spec, engine in zip(specs, engines, strict=True):
        if spec.think != "auto" or spec.reasoning_effort:
            engine.chat("generate")  # says now, and not when the weights are loaded, that a model has no such switch
    return engines
