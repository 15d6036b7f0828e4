"""Connects asynchronous HTTP requests to the worker's thread: submits jobs, awaits results, cancels them."""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
import math
import time
from collections.abc import AsyncGenerator, Awaitable, Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

from starlette.requests import Request

from ...core.errors import MedbenchError
from ...core.types import ChoiceRequest, Output
from ...engines.text_requests import Ended, Piece, Rejected, TextRequest
from ..batching.worker import Event, Full, Job, Worker
from .errors import Refusal
from .metrics import Metrics
from .settings import ServerSettings

ADAPTER_DIGITS = 12  # of the hash of an adapter's weights, in the served revision
GONE = 499  # the client disconnected, so nobody receives this status

Result = TypeVar("Result")

log = logging.getLogger(__name__)


class Service:
    """One model and its clients."""

    def __init__(self, worker: Worker, settings: ServerSettings) -> None:
        self.worker, self.settings = worker, settings
        spec = worker.engine.spec
        # Of a fine-tuned model also its adapter: two adapters of one base must not look alike.
        self.name, self.revision = (
            spec.name,
            "+".join(filter(None, [spec.revision, spec.adapter_hash[:ADAPTER_DIGITS]])),
        )
        self.metrics = Metrics(worker)
        self.started = int(time.time())
        self.closing = False  # set while the server shuts down
        self._aside = ThreadPoolExecutor(1, "medbench-labels")
        self._pace_s = 1.0  # mean seconds of recent answers, for Retry-After

    async def texts(self, request: Request, asked: Sequence[TextRequest]) -> list[Ended]:
        """Return the finished texts, in order. Raises Refusal."""

        async def gather() -> list[Ended]:
            found: dict[int, Ended] = {}
            async with contextlib.aclosing(self.stream(asked)) as events:
                async for index, event in events:
                    if isinstance(event, Ended):
                        found[index] = checked(event)
            return [found[index] for index in range(len(asked))]

        return await self.while_there(request, gather())

    async def choice(self, request: Request, asked: ChoiceRequest) -> Output:
        """Return the log-probability of each answer. Raises Refusal."""

        async def first() -> Output:
            async with contextlib.aclosing(self._events([asked])) as events:
                async for _, event in events:
                    if isinstance(event, Output):
                        return event
            raise AssertionError("a job ends with its output")

        return await self.while_there(request, first())

    async def stream(self, asked: Sequence[TextRequest]) -> AsyncGenerator[tuple[int, Piece | Ended], None]:
        """Yield (index of a request, event) as texts are written. If closed early, the texts leave the batch."""
        for one in asked:
            if one.max_new_tokens is not None and one.max_new_tokens > self.settings.max_tokens:
                most = self.settings.max_tokens
                why = f"at most {most} new tokens (medbench serve --max-tokens N allows more)."
                raise Refusal(400, why, "max_tokens", "too_many_tokens")
        async with contextlib.aclosing(self._events(asked)) as events:
            async for index, event in events:
                if isinstance(event, Piece | Ended):
                    yield index, event

    async def aside(self, work: Callable[[], Result]) -> Result:
        """Run a short computation in another thread."""
        return await asyncio.get_running_loop().run_in_executor(self._aside, work)

    async def while_there(self, request: Request, work: Awaitable[Result]) -> Result:
        """Return the result. If the client disconnects first, the work is canceled."""
        task = asyncio.ensure_future(work)
        gone = asyncio.ensure_future(left(request))
        try:
            await asyncio.wait((task, gone), return_when=asyncio.FIRST_COMPLETED)
            if task.done():
                return task.result()
            raise Refusal(GONE, "the client disconnected.")
        finally:
            for one in (task, gone):
                one.cancel()
            await asyncio.gather(task, gone, return_exceptions=True)

    async def _events(self, asked: Sequence[TextRequest | ChoiceRequest]) -> AsyncGenerator[tuple[int, Event], None]:
        """Submit jobs and yield their events. Raises Refusal: queue full, rejected, failed or too slow."""
        if self.closing:
            raise Refusal(503, "the server is shutting down.", code="shutting_down", headers={"Retry-After": "5"})
        loop = asyncio.get_running_loop()
        arrived: asyncio.Queue[tuple[int, Event]] = asyncio.Queue()

        def deliver(index: int) -> Callable[[Event], None]:
            def put(event: Event) -> None:
                with contextlib.suppress(RuntimeError):  # the server is gone
                    loop.call_soon_threadsafe(arrived.put_nowait, (index, event))

            return put

        jobs = [Job(one, deliver(index)) for index, one in enumerate(asked)]
        if len(jobs) > self.worker.capacity:
            raise Refusal(400, f"{len(jobs)} texts in one request; at most {self.worker.capacity}.", "prompt")
        began = loop.time()
        try:
            self.worker.submit(jobs)
        except Full as full:
            raise self._busy(full.waiting) from None
        unfinished = set(range(len(jobs)))
        try:
            while unfinished:
                async with asyncio.timeout_at(began + self.settings.timeout_s):
                    index, event = await arrived.get()
                if isinstance(event, MedbenchError):
                    raise _refusal(event)
                if not isinstance(event, Piece):
                    unfinished.discard(index)
                    self._count(asked[index], event, loop.time() - began)
                yield index, event
        except TimeoutError:
            raise Refusal(504, f"no answer within {self.settings.timeout_s:g} seconds.", code="timeout") from None
        finally:
            for index in unfinished:
                self.worker.drop(jobs[index])

    def _busy(self, waiting: int) -> Refusal:
        seconds = min(60, max(1, math.ceil(self._pace_s * (waiting + 1) / self.worker.texts.most)))
        return Refusal(
            429,
            f"{waiting} requests are waiting; try again later.",
            code="queue_full",
            headers={"Retry-After": f"{seconds}"},
        )

    def _count(self, asked: TextRequest | ChoiceRequest, event: Event, seconds: float) -> None:
        self._pace_s += 0.1 * (seconds - self._pace_s)
        if isinstance(event, Ended):
            self.metrics.tokens.labels("prompt").inc(event.prompt_tokens)
            self.metrics.tokens.labels("completion").inc(event.completion_tokens)
        elif isinstance(event, Output):
            self.metrics.tokens.labels("prompt").inc(event.prompt_tokens)
        if self.settings.log_prompts and isinstance(event, Ended | Output):
            answer = event.text if isinstance(event, Ended) else event.logprobs
            log.info("%s", json.dumps({"prompt": event.prompt, "answer": answer}))


async def left(request: Request) -> None:
    """Return when the client disconnects. The body must have been read."""
    while (await request.receive())["type"] != "http.disconnect":
        pass


def checked(ended: Ended) -> Ended:
    """Return the text. Raises Refusal if the model failed."""
    if ended.finish == "error":
        if ended.param:
            raise Refusal(400, f"{ended.error}.", ended.param, ended.code)
        raise Refusal(500, f"the model failed: {ended.error}.", code="model_failed")
    return ended


def _refusal(error: MedbenchError) -> Refusal:
    if isinstance(error, Rejected):
        return Refusal(400, error.message, error.param, error.code)
    return Refusal(500, error.message, code="engine_failed")
