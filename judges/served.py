"""What the judges that ask a server share: a key before anything else, a name that tells the server, prices."""

from __future__ import annotations

from typing import Any
from urllib.parse import urlsplit, urlunsplit

from ..core.errors import MedbenchError, UsageError
from ..core.types import ModelSpec
from .judging import Judge
from .prices import PRICES


def served(
    plugin: str, engine: Any, model: str, base_url: str, generation: dict[str, Any], *, usual: str = ""
) -> Judge:
    """A judge that is `model` at the server `base_url` ("": the engine's usual one).

    Raises UsageError where a key is needed that is not there: before anything is answered or loaded.
    """
    label = f"{plugin}:{model}"
    address = urlsplit(base_url)
    elsewhere = bool(base_url) and base_url.rstrip("/") != usual.rstrip("/")
    spec = ModelSpec(
        name=label,
        location=model,
        revision="",
        engine=engine.name if hasattr(engine, "name") else plugin,
        generation=generation,
        source=f"asked at {urlunsplit(address)}" if base_url else "",
        base_url=base_url,
    )
    made = engine(spec)
    try:
        made.load()  # finds the key and asks nothing
    except MedbenchError as error:
        raise UsageError(
            f"the judge {error.message}",
            f"{error.hint}\nA judge that needs none: --judge local:smollm2-135m. Metrics that do: medbench list metrics",
        ) from error
    host = address.netloc.rpartition("@")[2]
    return Judge(f"{label}@{host}" if elsewhere else label, made, prices=None if elsewhere else PRICES.get(label))
