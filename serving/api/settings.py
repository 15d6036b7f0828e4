"""Settings of a server."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class ServerSettings:
    """Limits of a server. A request that exceeds one is rejected with a message that names it."""

    queue: int = 128  # requests that may wait while the batch is full
    max_tokens: int = 1024  # new tokens per answer
    timeout_s: float = 300.0  # per request, including the time in the queue
    max_bytes: int = 1 << 20  # size of a request's body
    api_key: str = ""  # "": no key is required
    log_prompts: bool = False
