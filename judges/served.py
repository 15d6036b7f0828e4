"""Make a judge at a server: check its API key first, put the server into its name, look up its prices."""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Callable
from typing import Any
from urllib.parse import urlsplit

from ..core import registry
from ..core.errors import MedbenchError, UsageError
from ..zoo.resolve import resolve
from .judge import Judge
from .prices import PRICES


def served(plugin: str, model: str, base_url: str, tell: Callable[[str], None], **generation: Any) -> Judge:
    """Return a judge that asks `model` at the server `base_url` ("": the provider's own). `plugin` is also its engine.

    Raises UsageError if a required API key is missing, before anything is answered or loaded.
    """
    label = f"{plugin}:{model}"
    spec = dataclasses.replace(resolve(label, base_url=base_url, tell=tell), generation=generation)
    engine = registry.get("engines", spec.engine)(spec)
    engine.url_option = "--judge-base-url"
    engine.keeps_cut = True  # a repeated request would be truncated and paid for again
    try:
        engine.load()  # finds the key, sends nothing
    except MedbenchError as error:
        if not engine.usual:
            raise UsageError(f"the judge {label}: {error.message}", error.hint) from error
        if os.environ.get(engine.key_variable):
            raise UsageError(f"the judge {error.message}", error.hint) from error
        raise UsageError(
            f"the judge {label} needs a key: {engine.key_variable} is not set.",
            f"Get one at {engine.keys_at}, then: export {engine.key_variable}=…\n"
            "Without one: a judge on this machine (--judge local:MODEL, or --judge openai:NAME --judge-base-url URL), "
            "and every metric of: medbench list metrics",
        ) from error
    host = urlsplit(spec.base_url).netloc
    prices = (0.0, 0.0) if engine.local else PRICES.get(label) if engine.usual else None
    return Judge(label if engine.usual else f"{label}@{host}", engine, prices=prices)
