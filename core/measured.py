"""What was measured during a run."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Measured:
    """What was measured during a run, over all its sessions; kept in the manifest and never recomputed."""

    items: int
    seconds: float  # inside the engine, without loading the model
    prompt_tokens: int
    completion_tokens: int
    peak_rss_bytes: int | None = None
    peak_gpu_memory_bytes: int | None = None
    latencies_s: tuple[float, ...] = ()  # one request at a time, after a warm-up
    first_token_s: tuple[float, ...] = ()
