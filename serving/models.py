"""A model to serve or to talk to, by the name that `medbench run --model` takes."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, cast

from ..core import registry
from ..zoo.resolve import resolve

if TYPE_CHECKING:
    from ..core.types import Engine


def engine_of(
    name: str,
    *,
    revision: str = "",
    adapter: str = "",
    dtype: str = "auto",
    quantize: str = "",
    device: str = "auto",
    chat: str = "auto",
    engine: str = "",
    base_url: str = "",
    trust_remote_code: bool = False,
    tell: Callable[[str], None] = lambda line: None,
) -> Engine:
    """The engine of a model, not loaded yet. Options mean what those of `medbench run` mean."""
    spec = resolve(
        name,
        revision=revision,
        adapter=adapter,
        dtype=dtype,
        quantize=quantize,
        device=device,
        chat=chat,
        engine=engine,
        base_url=base_url,
        trust_remote_code=trust_remote_code,
        tell=tell,
    )
    return cast("Engine", registry.get("engines", spec.engine)(spec))
