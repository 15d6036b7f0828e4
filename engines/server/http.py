"""HTTP requests to model servers. Imports httpx, so import it only before the first request."""

from __future__ import annotations

import os
import queue
import re
import threading
import time
import urllib.request
import zlib
from collections.abc import Callable, Iterator, Mapping
from typing import Any
from urllib.parse import urlsplit

import httpx

from .replies import HttpReply

CONNECT_S = 10.0
GRACE_S = 0.5
COMPRESSED = ("gzip", "x-gzip", "deflate")  # some servers send these without being asked
LARGEST_REPLY = 8 << 20  # bytes, decompressed; an answer of 100,000 tokens is about half a megabyte
PROXY_HINT = "Correct or unset that variable, or add the server's host to NO_PROXY."
# Errors from before a request is sent, for errors without a request. Connecting includes DNS and TLS.
NEVER_SENT = (
    *(httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout),
    *(httpx.UnsupportedProtocol, httpx.LocalProtocolError, httpx.InvalidURL),
)


class Unreachable(Exception):
    """There was no complete reply.

    `connected`: the request was sent, so the server may have done the work. `final`: the next request would fail too.
    `hint`: what to do. `unusable`: a reply arrived that cannot be read; it was paid for, so it is not requested again.
    `late`: the reply did not arrive in time.
    """

    def __init__(
        self,
        reason: str,
        connected: bool,
        final: bool = False,
        hint: str = "",
        unusable: bool = False,
        late: bool = False,
    ) -> None:
        super().__init__(reason)
        self.connected = connected
        self.final = final
        self.hint = hint
        self.unusable = unusable
        self.late = late


class _TooLarge(httpx.ReadError):
    """A reply is larger than LARGEST_REPLY."""


class _Bounded(httpx.SyncByteStream):
    """A reply body that must be complete by `deadline` and at most LARGEST_REPLY bytes when decompressed.

    httpx limits only the wait for the next bytes, and it decompresses everything.
    """

    def __init__(self, stream: httpx.SyncByteStream, encoding: str, deadline: float) -> None:
        self._stream = stream
        self._encoding = encoding
        self._deadline = deadline

    def __iter__(self) -> Iterator[bytes]:
        size = 0
        for chunk in self._unpacked():
            size += len(chunk)
            if size > LARGEST_REPLY:
                raise _TooLarge(f"the reply is larger than {LARGEST_REPLY >> 20} MiB")
            yield chunk

    def _sent(self) -> Iterator[bytes]:
        size = 0
        for chunk in self._stream:
            size += len(chunk)
            if time.monotonic() > self._deadline:
                raise httpx.ReadTimeout("the reply is too slow")
            if size > LARGEST_REPLY:  # compressed data may expand to nothing
                raise _TooLarge(f"the reply is larger than {LARGEST_REPLY >> 20} MiB")
            yield chunk

    def _unpacked(self) -> Iterator[bytes]:
        if self._encoding in ("", "identity"):
            yield from self._sent()
            return
        if self._encoding not in COMPRESSED:
            raise httpx.DecodingError(f"its encoding is {self._encoding!r}, which was not asked for")
        packed, begun = zlib.decompressobj(zlib.MAX_WBITS | 32), False  # gzip or zlib, by its first bytes
        try:
            for chunk in self._sent():
                while chunk:
                    try:
                        piece = packed.decompress(chunk, LARGEST_REPLY)
                    except zlib.error:
                        if begun:
                            raise
                        packed, begun = zlib.decompressobj(-zlib.MAX_WBITS), True  # deflate without a header
                        continue
                    begun = True
                    yield piece
                    chunk = packed.unconsumed_tail
        except zlib.error as error:
            raise httpx.DecodingError(str(error)) from None

    def close(self) -> None:
        self._stream.close()


class _Sending:
    """Records whether sending a request began. Asking a proxy to connect comes before that."""

    started = False

    def __call__(self, event: str, info: Mapping[str, Any]) -> None:
        if event.endswith("send_request_headers.started") and info["request"].method != b"CONNECT":
            self.started = True


def _traced(request: httpx.Request) -> None:
    request.extensions = {**request.extensions, "trace": _Sending()}


def _sent(error: BaseException | None) -> bool:
    """Whether sending the request began before the error."""
    try:
        trace = error.request.extensions["trace"]  # type: ignore[union-attr]
    except (AttributeError, RuntimeError, LookupError):  # an error without a request
        return not isinstance(error, NEVER_SENT)
    return bool(trace.started)


def client(timeout_s: float, local: bool) -> httpx.Client:
    """Return an HTTP client for many threads that limits reply bodies to `timeout_s` and LARGEST_REPLY bytes.

    `within` limits a whole request, including headers. Proxies from the environment are used unless the server is
    `local`.
    """

    def bound(response: httpx.Response) -> None:
        assert isinstance(response.stream, httpx.SyncByteStream)
        encoding = response.headers.pop("content-encoding", "").strip().lower()  # or httpx would decompress it too
        response.stream = _Bounded(response.stream, encoding, time.monotonic() + timeout_s)

    try:
        return httpx.Client(
            timeout=httpx.Timeout(timeout_s, connect=min(CONNECT_S, timeout_s), pool=None),
            limits=httpx.Limits(max_connections=None),
            trust_env=not local,
            headers={"Accept-Encoding": "identity"},
            event_hooks={"request": [_traced], "response": [bound]},
        )
    except (ValueError, ImportError, httpx.InvalidURL) as error:  # all of them about a proxy in the environment
        names = ", ".join(name for name in os.environ if name.lower().endswith("_proxy") and os.environ[name])
        raise Unreachable(f"the proxy in {names} cannot be used: {error}", False, final=True, hint=PROXY_HINT) from None


def within(timeout_s: float, post: Callable[[], HttpReply]) -> HttpReply:
    """Return the reply to one request. Raise what `post` raises, and Unreachable after `timeout_s`.

    httpx limits each wait separately, so a server that keeps sending header lines is never too late. The request
    therefore runs in a thread, which is abandoned when its time is up.
    """
    done: queue.SimpleQueue[HttpReply | BaseException] = queue.SimpleQueue()

    def make() -> None:
        try:
            done.put(post())
        except BaseException as error:
            done.put(error)

    threading.Thread(target=make, daemon=True).start()
    try:
        found = done.get(timeout=timeout_s + GRACE_S)  # httpx's own timeout says more
    except queue.Empty:
        raise Unreachable("no reply in time", connected=True, late=True) from None
    if isinstance(found, BaseException):
        raise found
    return found


def unreachable(error: BaseException | None, url: str, local: bool) -> Unreachable:
    """Turn an httpx exception for a request to `url` into Unreachable. Proxies are not used if it is `local`."""
    variable = "" if local else proxy_variable(url)
    if isinstance(error, httpx.ProxyError):
        # A refusal (407, 403) is final. A bad gateway (502) may be temporary.
        final = re.match(r"\s*5\d\d\b", str(error)) is None
        return Unreachable(f"the proxy in {variable} refused the connection: {error}", False, final, PROXY_HINT)
    if error is not None and not _sent(error):
        by = f" through the proxy in {variable}" if variable else ""
        final = isinstance(error, httpx.UnsupportedProtocol | httpx.LocalProtocolError | httpx.InvalidURL)
        return Unreachable(f"no connection{by}: {_told(error)}", False, final, _hint(str(error), variable))
    if isinstance(error, httpx.TimeoutException):
        return Unreachable("no reply in time", connected=True, late=True)
    if isinstance(error, _TooLarge):
        return Unreachable(str(error), connected=True, unusable=True)
    if isinstance(error, httpx.DecodingError):
        return Unreachable(f"the reply cannot be decompressed: {error}", connected=True, unusable=True)
    return Unreachable(f"the connection broke: {error}", connected=True)


def proxy_variable(url: str) -> str:
    """Return the environment variable with the proxy for requests to `url`; "" if they go directly."""
    parts = urlsplit(url)
    proxies = urllib.request.getproxies()
    if urllib.request.proxy_bypass(parts.hostname or ""):
        return ""
    for kind in (parts.scheme, "all"):
        if kind in proxies:
            names = (f"{kind}_proxy", f"{kind}_proxy".upper())
            return next((name for name in names if os.environ.get(name)), "the system's settings")
    return ""


def _told(error: BaseException) -> str:
    return str(error) or ("timed out" if isinstance(error, httpx.TimeoutException) else type(error).__name__)


def _hint(words: str, variable: str) -> str:
    if "CERTIFICATE" in words:
        return "This machine does not trust its certificate. SSL_CERT_FILE can name a file with more certificates."
    if "SSL" in words:
        return "Does that server support https? The address may have to begin with http://."
    return PROXY_HINT if variable else ""
