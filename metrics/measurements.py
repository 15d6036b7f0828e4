"""Figures measured during the run: throughput, latency, memory. Each was measured once and has no interval."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np

from ..core.types import Figure, Measured, Measurement


@dataclass(frozen=True)
class Throughput(Measurement):
    """Prompt and completion tokens per second inside the engine, over the whole run.

    Both kinds count, because choosing by log-probability reads prompts and writes nothing, and generating does both.
    Compare throughput only between runs on the same items with the same method and hardware: batches, prompt lengths
    and shared prefixes all affect it. A prompt token counts once per item, however often it was computed.
    """

    name: str = "throughput_tokens_per_s"
    better: Literal["higher", "lower"] = "higher"
    dimension: str = "efficiency"
    unit: str = "tokens/s"
    summary: str = (
        "Prompt and new tokens per second. Inside the engine, over the whole run; loading the model is not counted."
    )

    def read(self, measured: Measured) -> Figure:
        tokens = measured.prompt_tokens + measured.completion_tokens
        known = measured.seconds > 0 and measured.items > 0
        return _figure(self, tokens / measured.seconds if known else None, measured.items)


@dataclass(frozen=True)
class Latency(Measurement):
    """A percentile of the seconds that a single request takes, one at a time, after a warm-up.

    Linear interpolation between the two nearest values, as in numpy. n is the number of timed requests. None for fewer
    than `least` requests.
    """

    name: str
    percent: float
    summary: str
    better: Literal["higher", "lower"] = "lower"
    dimension: str = "efficiency"
    unit: str = "s"
    least: int = 1

    def read(self, measured: Measured) -> Figure:
        seconds = measured.latencies_s
        value = float(np.percentile(seconds, self.percent)) if len(seconds) >= self.least else None
        return _figure(self, value, len(seconds))


@dataclass(frozen=True)
class PeakMemoryFigure(Measurement):
    """Peak memory in bytes of the process (`rss`), or of PyTorch on the GPU (`gpu`), during the run.

    None if there is nothing to measure: no GPU, or a server runs the model.
    """

    name: str
    where: Literal["rss", "gpu"]
    summary: str
    better: Literal["higher", "lower"] = "lower"
    dimension: str = "efficiency"
    unit: str = "bytes"

    def read(self, measured: Measured) -> Figure:
        value = measured.peak_rss_bytes if self.where == "rss" else measured.peak_gpu_memory_bytes
        return _figure(self, value, measured.items)


def _figure(of: Throughput | Latency | PeakMemoryFigure, value: float | None, n: int) -> Figure:
    n = 0 if value is None else n
    return Figure(of.name, value, n, n, unit=of.unit, better=of.better)


THROUGHPUT = Throughput()
LATENCY_P50 = Latency(
    "latency_p50_s",
    50,
    "Median seconds of a single request. One at a time, after a warm-up, on a few items (--latency-items).",
)
LATENCY_P95 = Latency(
    "latency_p95_s",
    95,
    "95th percentile seconds per request. Linear interpolation; none for fewer than 5 requests.",
    least=5,
)
PEAK_GPU_MEMORY = PeakMemoryFigure(
    "peak_gpu_memory_bytes", "gpu", "Peak memory of PyTorch on the GPU. None without a GPU."
)
PEAK_RSS = PeakMemoryFigure("peak_rss_bytes", "rss", "Peak memory of the process. None if a server runs the model.")
