"""Checks that every request passes before its route: the API key, the size and time of its body. Counts requests."""

from __future__ import annotations

import asyncio
import hmac
import logging
import time

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from .errors import Refusal
from .metrics import Metrics
from .settings import ServerSettings

BODY_S = 60.0  # how long a body may take to arrive
OPEN = frozenset({"/health", "/docs", "/openapi.json"})  # need no key: they reveal no prompts or answers
COUNTED = frozenset({"/ask", "/v1/chat/completions", "/v1/completions", "/v1/models", "/health", "/metrics", "/docs"})

log = logging.getLogger(__name__)


class Guard:
    """ASGI middleware that reads each body within the limits, so that routes need not check them."""

    def __init__(self, app: ASGIApp, settings: ServerSettings, metrics: Metrics) -> None:
        self.app, self.settings, self.metrics = app, settings, metrics

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        started = time.monotonic()
        path = scope["path"] if scope["path"] in COUNTED else "other"
        status = 499  # if the client disconnects before an answer

        async def noted(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
            await send(message)

        try:
            self._checked(scope)
            body = await self._body(scope, receive)
            if body is not None:
                await self.app(scope, _replayed(body, receive), noted)
        except Refusal as refusal:
            await refusal.response()(scope, receive, noted)
        finally:
            seconds = time.monotonic() - started
            self.metrics.requests.labels(path, str(status)).inc()
            self.metrics.seconds.labels(path).observe(seconds)
            if path not in ("/health", "/metrics"):
                log.info("%s %s %s %.2f s", scope["method"], path, status, seconds)

    def _checked(self, scope: Scope) -> None:
        headers = dict(scope["headers"])
        if self.settings.api_key and scope["path"] not in OPEN:
            kind, _, given = headers.get(b"authorization", b"").partition(b" ")
            right = hmac.compare_digest(given.strip(), self.settings.api_key.encode())
            if kind.lower() != b"bearer" or not right:
                raise Refusal(
                    401,
                    "this server requires an API key: Authorization: Bearer KEY",
                    code="invalid_api_key",
                    headers={"WWW-Authenticate": "Bearer"},
                )
        if scope["method"] == "POST":
            # Any web page can make a browser post a form or plain text to this machine, but not JSON.
            kind = headers.get(b"content-type", b"").partition(b";")[0].strip().lower()
            if kind != b"application/json":
                raise Refusal(415, "the body must be JSON, with Content-Type: application/json.")
            coding = headers.get(b"content-encoding", b"").decode("latin-1").strip().lower()
            if coding not in ("", "identity"):
                raise Refusal(415, f"Content-Encoding: {coding[:20]}: the body must not be compressed.")
        length = headers.get(b"content-length", b"")
        if length.isdigit() and int(length) > self.settings.max_bytes:
            raise self._too_large()

    async def _body(self, scope: Scope, receive: Receive) -> bytes | None:
        """Return the whole body; None if the client disconnected."""
        parts: list[bytes] = []
        size = 0
        until = asyncio.get_running_loop().time() + BODY_S
        try:
            async with asyncio.timeout_at(until):
                while True:
                    message = await receive()
                    if message["type"] == "http.disconnect":
                        return None
                    parts.append(message.get("body", b""))
                    size += len(parts[-1])
                    if size > self.settings.max_bytes:
                        raise self._too_large()
                    if not message.get("more_body", False):
                        return b"".join(parts)
        except TimeoutError:
            raise Refusal(408, f"the body did not arrive within {BODY_S:g} seconds.") from None

    def _too_large(self) -> Refusal:
        return Refusal(
            413,
            f"the body is larger than {self.settings.max_bytes:,} bytes.",
            code="request_too_large",
            headers={"Connection": "close"},  # the rest of it is not read
        )


def _replayed(body: bytes, receive: Receive) -> Receive:
    given = False

    async def again() -> Message:
        nonlocal given
        if given:
            return await receive()
        given = True
        return {"type": "http.request", "body": body, "more_body": False}

    return again
