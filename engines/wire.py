"""HTTP for engines that ask a server. Imports httpx; imported when the first request is near."""

from __future__ import annotations

import time
from collections.abc import Iterator

import httpx

CONNECT_S = 10.0


class Unreachable(Exception):
    """No whole reply came. `connected`: the server may have done the work all the same."""

    def __init__(self, reason: str, connected: bool) -> None:
        super().__init__(reason)
        self.connected = connected


class _Timed(httpx.SyncByteStream):
    """A body that must be whole by `deadline`. httpx bounds only the wait for each next byte."""

    def __init__(self, stream: httpx.SyncByteStream, deadline: float) -> None:
        self._stream = stream
        self._deadline = deadline

    def __iter__(self) -> Iterator[bytes]:
        for chunk in self._stream:
            if time.monotonic() > self._deadline:
                raise httpx.ReadTimeout("the reply is too slow")
            yield chunk

    def close(self) -> None:
        self._stream.close()


def client(timeout_s: float, local: bool) -> httpx.Client:
    """A client for many threads, under which no reply takes longer than `timeout_s` once its head has come.

    Proxies from the environment are used but for a `local` server.
    """

    def bound(response: httpx.Response) -> None:
        assert isinstance(response.stream, httpx.SyncByteStream)
        response.stream = _Timed(response.stream, time.monotonic() + timeout_s)

    return httpx.Client(
        timeout=httpx.Timeout(timeout_s, connect=min(CONNECT_S, timeout_s), pool=None),
        limits=httpx.Limits(max_connections=None),
        trust_env=not local,
        event_hooks={"response": [bound]},
    )


def unreachable(error: BaseException | None) -> Unreachable:
    """What an exception of httpx means, in words."""
    if isinstance(error, httpx.ConnectError | httpx.ConnectTimeout | httpx.UnsupportedProtocol):
        return Unreachable(f"no connection: {error}", connected=False)
    if isinstance(error, httpx.TimeoutException):
        return Unreachable("no reply in time", connected=True)
    return Unreachable(f"the connection broke: {error}", connected=True)
