"""What the operator of a server decides."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class ServerSettings:
    """Bounds of a server. A request beyond them is rejected, with the bound in the message."""

    queue: int = 128  # requests that may wait while the batch is full
    max_tokens: int = 1024  # new tokens of one answer
    timeout_s: float = 300.0  # for one request, waiting included
    max_bytes: int = 1 << 20  # of a request's body
    api_key: str = ""  # "": none is asked for
    log_prompts: bool = False
