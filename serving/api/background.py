"""`medbench.serve`: the HTTP API of a model from Python, while a `with` block runs."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Unpack

from ...core.errors import UsageError
from .settings import ServerSettings

if TYPE_CHECKING:
    from ...evaluation.suite import ModelOptions


@contextlib.contextmanager
def serve(
    model: str | Path,
    *,
    host: str = "127.0.0.1",
    port: int = 0,
    api_key: str = "",
    queue: int = ServerSettings.queue,
    max_tokens: int = ServerSettings.max_tokens,
    timeout_s: float = ServerSettings.timeout_s,
    tell: Callable[[str], None] = lambda line: None,
    **options: Unpack[ModelOptions],
) -> Iterator[str]:
    """Serve a model over HTTP, as `medbench serve` does, while a `with` block runs; yields the address.

    The end of the block finishes the running requests, then the server stops.

    model: whatever evaluate() takes. `options` are its options of models, e.g. adapter, dtype, chat.
    host, port: 0 is any free port. `host` other than this machine's opens the model to everyone who reaches it.
    api_key: what every client must send; "": nothing.
    queue: requests that may wait. max_tokens: new tokens of one answer, at most. timeout_s: seconds for one request.
    tell: gets one line for each slow step and each warning.

    Raises UsageError for a wrong model, option, limit or address; MedbenchError if the model cannot be loaded or a
    library of the extra `serve` is missing.
    """
    from ..models import engine_of
    from . import server

    for name, value, least in ("queue", queue, 0), ("max_tokens", max_tokens, 1), ("timeout_s", timeout_s, 0.001):
        if value < least:
            raise UsageError(f"{name}={value}: must be at least {least:g}.")
    if not 0 <= port < 65536:
        raise UsageError(f"port={port}: not a port.", "0 is any free one.")
    if api_key:
        server.checked_key(api_key, "api_key")
    server.check_installed()
    settings = ServerSettings(queue, max_tokens, timeout_s, api_key=api_key)
    with server.serving(engine_of(str(model), tell, **options), settings, host, port) as url:
        yield url
