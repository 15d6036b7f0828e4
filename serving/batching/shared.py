"""One chat's share of a worker: many chats talk to one loaded model, and their answers are written in one batch."""

from __future__ import annotations

import queue

from ...core.errors import MedbenchError
from ...engines.text_requests import Ended, Piece, TextRequest
from .worker import Event, Full, Job, Worker

WAIT_S = 0.25  # `advance` returns after this at the latest, so that its caller can stop


class SharedTexts:
    """The texts of one chat, written by a worker. Each chat has its own, and may run in a thread of its own."""

    most = 1

    def __init__(self, worker: Worker) -> None:
        self.worker = worker
        self._jobs: dict[int, Job] = {}
        self._events: queue.SimpleQueue[tuple[int, Event]] = queue.SimpleQueue()

    @property
    def open(self) -> bool:
        return bool(self._jobs)

    @property
    def working(self) -> int:
        return len(self._jobs)

    def add(self, key: int, request: TextRequest) -> None:
        """Queue a text. Raises MedbenchError if the queue is full. `advance` tells what the model rejects."""
        job = Job(request, lambda event: self._events.put((key, event)))
        try:
            self.worker.submit([job])
        except Full as full:
            raise MedbenchError(f"the model is busy: {full}.", "Ask again in a moment.") from None
        self._jobs[key] = job

    def drop(self, key: int) -> None:
        if job := self._jobs.pop(key, None):
            self.worker.drop(job)

    def close(self) -> None:
        """Drop every text. May be called from another thread."""
        for key in list(self._jobs):
            self.drop(key)

    def advance(self) -> list[tuple[int, Piece | Ended]]:
        try:
            key, event = self._events.get(timeout=WAIT_S)
        except queue.Empty:
            return []
        if key not in self._jobs:  # dropped in the meantime
            return []
        if isinstance(event, Piece):
            return [(key, event)]
        del self._jobs[key]
        if isinstance(event, MedbenchError):
            return [(key, Ended("", "error", error=str(event)))]
        assert isinstance(event, Ended)  # only texts are asked for
        return [(key, event)]
