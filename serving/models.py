"""A model to serve or to talk to, by the name that `medbench run --model` takes."""

from __future__ import annotations

from collections.abc import Callable
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
    spec = resolve(name, **options, tell=tell)
    engine = cast("Engine", registry.get("engines", spec.engine)(spec))
    if (address := options.get("base_url")) and engine.runs_here:
        raise UsageError(f"--base-url {address}: {name} runs on this machine, not at a server.", "Leave it out.")
    return engine
