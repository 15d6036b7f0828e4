"""HTTP for engines that ask a server. Imports httpx; imported when the first request is near."""

from __future__ import annotations

import os
import re
import time
import urllib.request
from collections.abc import Iterator, Mapping
from typing import Any
from urllib.parse import urlsplit

import httpx

CONNECT_S = 10.0
LARGEST_REPLY = 64 << 20  # bytes, as sent
PROXY_HINT = "Correct or unset that variable, or add the server's host to NO_PROXY."
# What fails before a request is sent, of errors that do not say which request. Connecting includes DNS and TLS.
NEVER_SENT = (
    *(httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout),
    *(httpx.UnsupportedProtocol, httpx.LocalProtocolError, httpx.InvalidURL),
)


class Unreachable(Exception):
    """No whole reply came. `connected`: the request was sent, so the server may have done the work all the same.
    `final`: the next request would fare no better. `hint`: what to do about it. `unusable`: a reply came that cannot be
    read, and was paid for like any other: it is not asked for again.
    """

    def __init__(
        self, reason: str, connected: bool, final: bool = False, hint: str = "", unusable: bool = False
    ) -> None:
        super().__init__(reason)
        self.connected = connected
        self.final = final
        self.hint = hint
        self.unusable = unusable


class _TooLarge(httpx.ReadError):
    """A reply of more than LARGEST_REPLY."""


class _Timed(httpx.SyncByteStream):
    """A body that must be whole by `deadline`. httpx bounds only the wait for each next byte."""

    def __init__(self, stream: httpx.SyncByteStream, deadline: float) -> None:
        self._stream = stream
        self._deadline = deadline

    def __iter__(self) -> Iterator[bytes]:
        size = 0
        for chunk in self._stream:
            size += len(chunk)
            if time.monotonic() > self._deadline:
                raise httpx.ReadTimeout("the reply is too slow")
            if size > LARGEST_REPLY:
                raise _TooLarge(f"the reply is larger than {LARGEST_REPLY >> 20} MiB")
            yield chunk

    def close(self) -> None:
        self._stream.close()


class _Sending:
    """Whether a request was begun to be sent. Asking a proxy to connect comes before that."""

    started = False

    def __call__(self, event: str, info: Mapping[str, Any]) -> None:
        if event.endswith("send_request_headers.started") and info["request"].method != b"CONNECT":
            self.started = True


def _traced(request: httpx.Request) -> None:
    request.extensions = {**request.extensions, "trace": _Sending()}


def _sent(error: BaseException | None) -> bool:
    """Whether the request that failed had been begun to be sent."""
    try:
        trace = error.request.extensions["trace"]  # type: ignore[union-attr]
    except (AttributeError, RuntimeError, LookupError):  # an error without a request
        return not isinstance(error, NEVER_SENT)
    return bool(trace.started)


def client(timeout_s: float, local: bool) -> httpx.Client:
    """A client for many threads, under which no reply takes longer than `timeout_s` once its head has come.

    Proxies from the environment are used but for a `local` server.
    """

    def bound(response: httpx.Response) -> None:
        assert isinstance(response.stream, httpx.SyncByteStream)
        response.stream = _Timed(response.stream, time.monotonic() + timeout_s)

    try:
        return httpx.Client(
            timeout=httpx.Timeout(timeout_s, connect=min(CONNECT_S, timeout_s), pool=None),
            limits=httpx.Limits(max_connections=None),
            trust_env=not local,
            event_hooks={"request": [_traced], "response": [bound]},
        )
    except (ValueError, ImportError, httpx.InvalidURL) as error:  # all of them about a proxy in the environment
        names = ", ".join(name for name in os.environ if name.lower().endswith("_proxy") and os.environ[name])
        raise Unreachable(f"the proxy in {names} cannot be used: {error}", False, final=True, hint=PROXY_HINT) from None


def unreachable(error: BaseException | None, url: str, local: bool) -> Unreachable:
    """What an exception of httpx means, in words. `url` was asked; proxies serve it unless it is `local`."""
    variable = "" if local else proxy_variable(url)
    if isinstance(error, httpx.ProxyError):
        # A refusal (407, 403) is final. A bad gateway may pass, once the proxy is known to let requests through.
        final = re.match(r"\s*5\d\d\b", str(error)) is None
        return Unreachable(f"the proxy in {variable} refused the connection: {error}", False, final, PROXY_HINT)
    if error is not None and not _sent(error):
        by = f" through the proxy in {variable}" if variable else ""
        final = isinstance(error, httpx.UnsupportedProtocol | httpx.LocalProtocolError | httpx.InvalidURL)
        return Unreachable(f"no connection{by}: {_told(error)}", False, final, _hint(str(error), variable))
    if isinstance(error, httpx.TimeoutException):
        return Unreachable("no reply in time", connected=True)
    if isinstance(error, _TooLarge):
        return Unreachable(str(error), connected=True, unusable=True)
    if isinstance(error, httpx.DecodingError):
        return Unreachable(f"the reply cannot be decompressed: {error}", connected=True, unusable=True)
    return Unreachable(f"the connection broke: {error}", connected=True)


def proxy_variable(url: str) -> str:
    """The name of the environment variable whose proxy requests to `url` go through; "" if they go directly."""
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
        return "Its certificate is not one that this machine trusts. SSL_CERT_FILE names a file with more of them."
    if "SSL" in words:
        return "Does that server speak https? The address may have to begin with http://."
    return PROXY_HINT if variable else ""
