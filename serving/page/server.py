"""Serve the page of `medbench ui` over HTTP until a signal ends it."""

from __future__ import annotations

import contextlib
import importlib.util
import os
import queue
import signal
import socket
import threading
from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from ...core.errors import UsageError
from ...core.types import Engine
from ..chat import Sampling
from ..listening import LOOPBACK, address, bound

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Message, Receive, Scope, Send

    from .conversations import Conversations

CLOSING_S = 2  # for connections to end after a signal
# Gradio needs inline scripts and `eval`. Everything else that a page could reach is this server alone.
POLICY = (
    "default-src 'self'; script-src 'self' 'unsafe-inline' 'unsafe-eval'; style-src 'self' 'unsafe-inline'; "
    "img-src 'self' data: blob:; font-src 'self' data:; worker-src 'self' blob:; object-src 'none'; "
    "base-uri 'self'; form-action 'self'; frame-ancestors 'self'"
)
HEADERS = {
    b"content-security-policy": POLICY.encode(),
    b"referrer-policy": b"no-referrer",
    b"x-content-type-options": b"nosniff",
}


def show(
    engines: Sequence[Engine],
    *,
    system: str = "",
    sampling: Sampling | None = None,
    labels: bool = True,
    host: str = "127.0.0.1",
    port: int = 7860,
    ready: Callable[[str], None] = lambda url: None,
) -> int:
    """Load the models and show their page until SIGINT or SIGTERM. Return the exit code.

    Call it from the main thread: it handles the signals. `system` is the system prompt. `labels`: whether the safety
    labels of each answer are determined. `ready` gets the address when the page can be opened.

    Raises UsageError if gradio is not installed or the address cannot be bound, MedbenchError if a model cannot load.
    """
    server = _server(engines, system, sampling, labels, host, port, ready)
    before = {number: signal.signal(number, server.on_signal) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        server.run()
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
    return 0


@contextlib.contextmanager
def showing(
    engines: Sequence[Engine], *, system: str = "", sampling: Sampling | None = None, labels: bool = True, port: int = 0
) -> Iterator[str]:
    """Show a page on this machine while a `with` block runs, in a notebook for example; yields the address."""
    ready: queue.SimpleQueue[str] = queue.SimpleQueue()
    server = _server(engines, system, sampling, labels, "127.0.0.1", port, ready.put)
    thread = threading.Thread(target=server.run)
    thread.start()
    try:
        yield ready.get()
    finally:
        server.on_signal()
        thread.join()


def _server(
    engines: Sequence[Engine],
    system: str,
    sampling: Sampling | None,
    labels: bool,
    host: str,
    port: int,
    ready: Callable[[str], None],
) -> Any:
    """Return a server whose models are loaded. `run` shows the page, `on_signal` ends it."""
    check_installed()
    os.environ["GRADIO_ANALYTICS_ENABLED"] = "False"
    import uvicorn

    from .conversations import Conversations

    sock = bound(host, port)
    conversations = Conversations(engines, system, sampling or Sampling(), labels)

    class Server(uvicorn.Server):
        """Without uvicorn's own handling of signals, which ends the process by the signal."""

        @contextlib.contextmanager
        def capture_signals(self) -> Iterator[None]:
            yield

        def on_signal(self, *_: object) -> None:
            self.force_exit = self.should_exit
            self.should_exit = True

        def run(self, sockets: list[socket.socket] | None = None) -> None:
            conversations.start()
            try:
                super().run(sockets or [sock])
            finally:
                conversations.stop()
                sock.close()

        async def startup(self, sockets: list[socket.socket] | None = None) -> None:
            await super().startup(sockets)
            ready(address(host, sock.getsockname()[1]))

    return Server(
        uvicorn.Config(
            app(conversations, local=host in LOOPBACK),
            http="h11",
            ws="none",
            lifespan="on",
            access_log=False,
            log_config=None,
            log_level="critical",
            server_header=False,
            timeout_graceful_shutdown=CLOSING_S,
        )
    )


def check_installed() -> None:
    """Raise UsageError if a library of the extra `ui` is missing."""
    missing = [name for name in ("gradio", "markdown_it") if importlib.util.find_spec(name) is None]
    if missing:
        raise UsageError(
            f"the page needs {' and '.join(missing)}, which is not installed.", "Install it: pip install 'medbench[ui]'"
        )


def app(conversations: Conversations, *, local: bool) -> Any:
    """Return the page as an ASGI application. `local`: it is for this machine, and rejects other names for it."""
    import gradio as gr
    from fastapi import FastAPI

    from .blocks import CSS, page, theme

    whole = FastAPI(docs_url=None, redoc_url=None, openapi_url=None)
    whole.add_middleware(PageGuard, local=local)
    return gr.mount_gradio_app(
        whole,
        page(conversations),
        path="/",
        theme=theme(),
        css=CSS,
        footer_links=[],
        run_history=False,
        max_file_size=1,  # byte: nothing is uploaded
        show_error=True,
        ssr_mode=False,
        pwa=False,
        mcp_server=False,
        enable_monitoring=False,
    )


class PageGuard:
    """ASGI middleware: headers that keep the page to this server, and for a local page, no other site's name for it.

    A site whose name is pointed at this machine (DNS rebinding) could otherwise ask the models and read the answers.
    """

    def __init__(self, app: ASGIApp, local: bool) -> None:
        self.app, self.local = app, local

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async def guarded(message: Message) -> None:
            if message["type"] == "http.response.start":
                kept = [pair for pair in message.get("headers", []) if pair[0].lower() not in HEADERS]
                message = {**message, "headers": [*kept, *HEADERS.items()]}
            await send(message)

        if scope["type"] == "http" and self.local and not _is_local(dict(scope["headers"]).get(b"host", b"")):
            from starlette.responses import PlainTextResponse

            why = "This page is for this machine only. Open it as http://127.0.0.1 or http://localhost.\n"
            await PlainTextResponse(why, 421)(scope, receive, guarded)
            return
        await self.app(scope, receive, guarded)


def _is_local(host: bytes) -> bool:
    try:
        return urlsplit(f"//{host.decode('ascii')}").hostname in LOOPBACK
    except ValueError:
        return False
