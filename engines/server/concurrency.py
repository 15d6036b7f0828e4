"""Many requests to a server at once, with exactly one `Output` for each."""

from __future__ import annotations

import queue
import threading
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from typing import TypeVar

from ...core.budget import CapReached, Stopped
from ...core.types import ChoiceRequest, GenerateRequest, Output
from .replies import Failed, Withheld

Request = TypeVar("Request", ChoiceRequest, GenerateRequest)

GIVE_UP = 10  # requests in a row that the server failed, after which no more are made


def concurrently(
    requests: Sequence[Request],
    answer: Callable[[Request, threading.Event], Output],
    failed: Callable[[Request, str, bool], Output],
    workers: int,
    wake: Callable[[], None],
) -> Iterator[Output]:
    """Yield every request's output in order of completion, `workers` at a time. After a close or an interrupt, no new
    request starts.

    A request starts when the caller has taken (and stored) an earlier output, so a killed process loses only the
    replies to running requests. `failed` makes an output from a reason and from whether it would be the same again.
    `wake` ends the waiting of requests that are held back.
    """
    waiting, done = deque(requests), queue.SimpleQueue[Output | BaseException]()
    stop = threading.Event()
    fruitless = 0  # in a row
    room = threading.Semaphore(workers)

    def work() -> None:
        nonlocal fruitless
        while room.acquire() and not stop.is_set():
            try:
                request = waiting.popleft()
            except IndexError:
                return
            try:
                if fruitless >= GIVE_UP:
                    raise CapReached(f"the previous {GIVE_UP} requests failed at the server")
                done.put(answer(request, stop))
                fruitless = 0
            except CapReached as cap:
                done.put(failed(request, f"not asked: {cap}", False))
            except Failed as failure:
                fruitless = 0 if failure.answered else fruitless + 1
                done.put(failed(request, str(failure), isinstance(failure, Withheld)))
            except Stopped:
                return
            except BaseException as error:
                done.put(error)
                return

    def end() -> None:
        stop.set()
        room.release(max(workers, 1))
        wake()

    # Daemon threads: a process that is stopped does not wait for replies.
    threads = [threading.Thread(target=work, daemon=True) for _ in range(workers)]
    try:
        for thread in threads:
            thread.start()
        for _ in requests:
            found = done.get()
            if isinstance(found, BaseException):
                end()
                for thread in threads:  # requests already sent may cost money, so wait for their replies
                    thread.join()
                yield from _received(done)
                raise found
            yield found
            room.release()
    except KeyboardInterrupt:
        stop.set()
        yield from _received(done)
        raise
    finally:
        end()


def _received(done: queue.SimpleQueue[Output | BaseException]) -> Iterator[Output]:
    """Yield the outputs that have already arrived."""
    while True:
        try:
            found = done.get_nowait()
        except queue.Empty:
            return
        if isinstance(found, Output):
            yield found
