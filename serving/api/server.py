"""`medbench serve`: a model served over HTTP until a signal stops it."""

from __future__ import annotations

import contextlib
import logging
import os
import queue
import signal
import socket
import sys
import threading
from collections.abc import Callable, Iterator
from typing import Any

from ...core.errors import MedbenchError, UsageError
from ...core.types import Engine
from ..listening import address, bound
from .settings import ServerSettings

CUT_OFF = 1  # exit code if a second signal canceled requests


def serve(
    engine: Engine,
    settings: ServerSettings,
    *,
    host: str = "127.0.0.1",
    port: int = 8000,
    ready: Callable[[str], None] = lambda url: None,
    tell: Callable[[str], None] = lambda line: None,
) -> int:
    """Load a model and answer requests until SIGINT or SIGTERM. Return the exit code.

    The first signal refuses new requests and finishes those that run, the second stops at once. `ready` gets the
    address when the first request can come. Raises UsageError where the address cannot be bound.
    """
    server = _server(engine, settings, host, port, ready, tell)
    before = {number: signal.signal(number, server.on_signal) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        server.run()
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
    return CUT_OFF if server.force_exit else 0


@contextlib.contextmanager
def serving(engine: Engine, settings: ServerSettings, host: str = "127.0.0.1", port: int = 0) -> Iterator[str]:
    """Serve a model, by default on a free port of this machine, while a `with` block runs; yields the address."""
    ready: queue.SimpleQueue[str] = queue.SimpleQueue()
    server = _server(engine, settings, host, port, ready.put, lambda line: None)
    thread = threading.Thread(target=server.run)
    thread.start()
    try:
        yield ready.get()
    finally:
        server.on_signal()
        thread.join()


def _server(
    engine: Engine,
    settings: ServerSettings,
    host: str,
    port: int,
    ready: Callable[[str], None],
    tell: Callable[[str], None],
) -> Any:
    """A server whose model is loaded. `run` answers requests, `on_signal` stops it."""
    check_installed()
    import uvicorn

    from ... import __version__
    from ..batching.worker import Worker
    from . import app
    from .service import Service

    sock = bound(host, port)
    worker = Worker(engine, settings.queue)
    if not worker.continuous:
        tell(f"{engine.spec.name}: this engine answers one request at a time; others wait.")
    service = Service(worker, settings)

    class Server(uvicorn.Server):
        """Run without uvicorn's own signal handling, which would end the process by the signal."""

        @contextlib.contextmanager
        def capture_signals(self) -> Iterator[None]:
            yield

        def on_signal(self, *_: object) -> None:
            if self.should_exit:
                self.force_exit = True
                return
            service.closing = True
            self.should_exit = True
            if worker.unfinished:
                tell(f"Finishing {worker.unfinished} requests. Press Ctrl-C again to stop at once.")

        def run(self, sockets: list[socket.socket] | None = None) -> None:
            worker.start()
            try:
                super().run(sockets or [sock])
            finally:
                worker.stop(timeout_s=5.0 if self.force_exit else None)
                sock.close()

        async def startup(self, sockets: list[socket.socket] | None = None) -> None:
            await super().startup(sockets)
            ready(address(host, sock.getsockname()[1]))

    return Server(
        uvicorn.Config(
            app.make(service, __version__),
            http="h11",
            ws="none",
            lifespan="off",
            access_log=False,
            log_config=None,
            server_header=False,
        )
    )


def check_installed() -> None:
    """Raise MedbenchError if a library of the extra `serve` is missing."""
    try:
        import fastapi  # noqa: F401
        import prometheus_client  # noqa: F401
        import uvicorn  # noqa: F401
    except ImportError as error:
        raise MedbenchError(
            f"serving needs FastAPI, uvicorn and prometheus-client: {error}.",
            "Install them: pip install 'medbench[serve]'",
        ) from error


def key_of(variable: str) -> str:
    """Return the API key in an environment variable. Raises UsageError if it is missing or invalid."""
    key = os.environ.get(variable, "").strip()
    if not key:
        raise UsageError(f"--api-key-env {variable}: this variable is not set.", f"Set it: export {variable}=…")
    return checked_key(key, f"--api-key-env {variable}")


def checked_key(key: str, where: str) -> str:
    """Return an API key. Raises UsageError if a header cannot carry it."""
    if not key.isascii() or len(key.split()) != 1 or key != key.strip():
        raise UsageError(f"{where}: its value is not a valid key: a key has only ASCII characters and no spaces.")
    return key


def log_to_stderr() -> None:
    """Log one line per request to stderr, without prompts and answers."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(logging.Formatter("%(asctime)s %(message)s"))
    logger = logging.getLogger(__package__.rpartition(".")[0])
    logger.addHandler(handler)
    logger.setLevel(logging.INFO)
    logger.propagate = False
