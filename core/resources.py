"""What this process uses: its peak memory while something runs."""

from __future__ import annotations

import contextlib
import threading

RSS_SAMPLE_SECONDS = 0.05


class PeakMemory:
    """Peak resident memory (bytes) of this process while the `with` block lasts, sampled."""

    def __init__(self) -> None:
        import psutil

        self._process = psutil.Process()
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._watch, daemon=True)
        self.peak_bytes = 0

    def __enter__(self) -> PeakMemory:
        self._sample()
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()

    def _watch(self) -> None:
        while not self._stop.wait(RSS_SAMPLE_SECONDS):
            self._sample()

    def _sample(self) -> None:
        with contextlib.suppress(OSError):
            self.peak_bytes = max(self.peak_bytes, self._process.memory_info().rss)
