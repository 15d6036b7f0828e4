"""The thread that runs an engine, and the bounded queue in front of it."""

from __future__ import annotations

import itertools
import logging
import threading
import traceback
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from functools import partial

from ...core.errors import MedbenchError
from ...core.types import ChoiceRequest, Engine, Output
from ...engines.one_by_one import OneByOne
from ...engines.text_requests import Ended, Piece, Rejected, TextRequest, Texts

CHOICES = 16  # multiple-choice requests scored together, between two steps of the running texts

log = logging.getLogger(__name__)

Event = Piece | Ended | Output | MedbenchError  # each of the last three ends a job


class Full(Exception):
    """The queue is full. `waiting`: requests in it."""

    def __init__(self, waiting: int) -> None:
        super().__init__(f"{waiting} requests are waiting")
        self.waiting = waiting


@dataclass(eq=False)
class Job:
    """One request in progress. `deliver` is called in the worker's thread with each event, until one ends the job."""

    request: TextRequest | ChoiceRequest
    deliver: Callable[[Event], None]
    key: int = field(default_factory=itertools.count().__next__)
    dropped: bool = False


class Worker:
    """Runs one engine. Texts join and leave its batch as it works; multiple choice is scored between two steps."""

    def __init__(self, engine: Engine, queue: int) -> None:
        """Load the model. `queue`: how many requests may wait while the batch is full."""
        self.engine = engine
        engine.load()
        self.texts = texts_of(engine)
        self.capacity = self.texts.most + queue
        self._wake = threading.Condition()
        self._new: deque[Job] = deque()
        self._dropped: deque[Job] = deque()
        self._open: dict[int, Job] = {}  # all unfinished jobs, waiting or running
        self._stopping = False
        self._thread = threading.Thread(target=self._run, name="medbench-engine", daemon=True)

    @property
    def continuous(self) -> bool:
        """Return whether requests join a running batch."""
        return not isinstance(self.texts, OneByOne)

    @property
    def unfinished(self) -> int:
        return len(self._open)

    @property
    def waiting(self) -> int:
        return max(0, len(self._open) - self.texts.working)

    @property
    def alive(self) -> bool:
        return self._thread.is_alive()

    def start(self) -> None:
        self._thread.start()

    def stop(self, timeout_s: float | None = None) -> None:
        """Stop after the current step. Unfinished requests get an error."""
        with self._wake:
            self._stopping = True
            self._wake.notify()
        if self._thread.is_alive():
            self._thread.join(timeout_s)

    def submit(self, jobs: list[Job]) -> None:
        """Queue all of these jobs or, if they do not all fit, none. Raises Full."""
        with self._wake:
            if self._stopping or len(self._open) + len(jobs) > self.capacity:
                raise Full(self.waiting)
            for job in jobs:
                self._open[job.key] = job
                self._new.append(job)
            self._wake.notify()

    def drop(self, job: Job) -> None:
        """Cancel a job: its row leaves the batch. A job that has ended is left alone."""
        with self._wake:
            if job.key in self._open:
                job.dropped = True
                self._dropped.append(job)
                self._wake.notify()

    def _run(self) -> None:
        choices: deque[Job] = deque()
        while True:
            with self._wake:
                while not (self._new or self._dropped or self._stopping or choices or self.texts.open):
                    self._wake.wait()
                new, dropped, stopping = [*self._new], [*self._dropped], self._stopping
                self._new.clear()
                self._dropped.clear()
            if stopping:
                for job in list(self._open.values()):
                    self._finish(job, MedbenchError("the server is shutting down."))
                return
            for job in dropped:
                with self._wake:
                    self._open.pop(job.key, None)
                self._guarded(partial(self.texts.drop, job.key))
            for job in new:
                if job.dropped:
                    continue
                if isinstance(job.request, ChoiceRequest):
                    choices.append(job)
                else:
                    self._add(job, job.request)
            if choices:
                self._choose([choices.popleft() for _ in range(min(CHOICES, len(choices)))])
            if self.texts.open:
                self._guarded(self._advance)

    def _add(self, job: Job, request: TextRequest) -> None:
        try:
            self.texts.add(job.key, request)
        except MedbenchError as error:
            self._finish(job, error)
        except Exception as error:
            self._finish(job, _bug(error))

    def _guarded(self, work: Callable[[], None]) -> None:
        """Do something that affects all texts. If it fails, all of them fail, and later ones get a new batch."""
        try:
            work()
        except Exception as error:
            why = _bug(error)
            self.texts = texts_of(self.engine)
            for job in [job for job in self._open.values() if isinstance(job.request, TextRequest)]:
                self._finish(job, why)

    def _advance(self) -> None:
        for key, event in self.texts.advance():
            asker = self._open.get(key)
            if asker and isinstance(event, Ended):
                self._finish(asker, event)
            elif asker and not asker.dropped:
                asker.deliver(event)

    def _choose(self, jobs: list[Job]) -> None:
        jobs = [job for job in jobs if not job.dropped]
        # Identified by key: two clients may use one id for different cases.
        by_id = {str(job.key): job for job in jobs}
        requests = [
            replace(job.request, item_id=str(job.key)) for job in jobs if isinstance(job.request, ChoiceRequest)
        ]
        try:
            for output in self.engine.choose(requests):
                self._finish(by_id.pop(output.item_id), output)
            for job in by_id.values():
                self._finish(job, MedbenchError("the engine gave no answer."))
        except MedbenchError as error:
            if len(by_id) > 1:  # find the one at fault, so that the others get answers
                for job in by_id.values():
                    self._choose([job])
                return
            for job in by_id.values():
                self._finish(job, Rejected(error.message, "options"))
        except Exception as error:
            why = _bug(error)
            for job in by_id.values():
                self._finish(job, why)

    def _finish(self, job: Job, event: Event) -> None:
        with self._wake:
            self._open.pop(job.key, None)
        if not job.dropped:
            job.deliver(event)


def texts_of(engine: Engine) -> Texts:
    """Return the engine's running batch, or a queue that answers one request at a time if it has none."""
    session: Texts | None = engine.session()
    return session or OneByOne(engine)


def _bug(error: Exception) -> MedbenchError:
    """Return the error to report, and log where it happened. The log never contains the text of a request."""
    name = type(error).__name__
    log.error("the engine failed with %s\n%s", name, "".join(traceback.format_tb(error.__traceback__)))
    return MedbenchError(f"the engine failed with {name}. The server's log says where.")
