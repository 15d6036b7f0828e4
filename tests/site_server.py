"""A website on 127.0.0.1 whose replies can be cut, refused, delayed or changed, one by one."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


@dataclass
class Reply:
    """What is done about one request. As it stands: the file, or the range asked for, as GitHub would send it."""

    status: int = 200
    headers: dict[str, str] = field(default_factory=dict)
    cut: int | None = None  # bytes after which the connection ends
    body: bytes | None = None  # in the place of the file
    reset: bool = False  # no reply at all
    ranges: bool = True
    wait: threading.Event | None = None  # the body is sent when this is set


@dataclass
class Site:
    """`files` by path; `script`: replies to the next requests, then plain ones. `asked`: (path, Range) so far."""

    files: dict[str, bytes]
    script: list[Reply] = field(default_factory=list)
    asked: list[tuple[str, str | None]] = field(default_factory=list)
    headers: list[dict[str, str]] = field(default_factory=list)
    arrived: threading.Event = field(default_factory=threading.Event)
    url: str = ""

    @property
    def ranges(self) -> list[str | None]:
        return [asked for _, asked in self.asked]


@contextmanager
def serve(files: dict[str, bytes], *script: Reply) -> Iterator[Site]:
    site = Site(files, list(script))

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            site.asked.append((self.path, self.headers["Range"]))
            site.headers.append({name.lower(): value for name, value in self.headers.items()})
            reply = site.script.pop(0) if site.script else Reply()
            site.arrived.set()
            content = site.files.get(self.path.partition("?")[0])
            if reply.reset:
                self.close_connection = True
                self.connection.close()
                return
            if reply.status != 200 or content is None:
                self.send_response(reply.status if reply.status != 200 else 404)
                for name, value in reply.headers.items():
                    self.send_header(name, value)
                self.send_header("Content-Length", "0")
                self.end_headers()
                return
            content = content if reply.body is None else reply.body
            asked = self.headers["Range"]
            start = int(asked.removeprefix("bytes=").rstrip("-")) if asked and reply.ranges else 0
            self.send_response(206 if start else 200)
            if start:
                self.send_header("Content-Range", f"bytes {start}-{len(content) - 1}/{len(content)}")
            self.send_header("ETag", '"v1"')
            self.send_header("Content-Length", str(len(content) - start))
            self.end_headers()
            if reply.wait:
                half = start + (len(content) - start) // 2
                self.wfile.write(content[start:half])
                self.wfile.flush()
                reply.wait.wait(60)
                start = half
            self.wfile.write(content[start : reply.cut])

        def log_message(self, *_: object) -> None:
            pass

        def handle(self) -> None:
            with suppress(ConnectionError, ValueError):  # the other side was killed, or this one hung up
                super().handle()

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
    thread.start()
    site.url = f"http://127.0.0.1:{server.server_port}"
    try:
        yield site
    finally:
        server.shutdown()
        server.server_close()
