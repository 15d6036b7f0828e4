"""Servers that never end, never begin, or send too much: the item fails in bounded time and memory."""

from __future__ import annotations

import gzip
import json
import socket
import threading
import time
import tracemalloc
import zlib
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

import fakes
import made
import pytest
import servers
from click.testing import CliRunner
from medbench.cli import cli
from medbench.core.types import GenerateRequest, Item, ItemSet, Output
from medbench.engines.server import http as wire
from medbench.evaluation.run import execute
from medbench.evaluation.settings import Settings
from medbench.results.manifest import RequestTimes
from test_openai_engine import BOTH, asks, only
from test_openai_engine import made as engine_at

ANSWER = json.dumps(servers.reply([{"message": {"content": "Answer: A"}, "finish_reason": "stop"}])).encode()
HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n"
CHUNK = b"10000\r\n" + b" " * 0x10000 + b"\r\n"  # 64 KiB

Send = Callable[[socket.socket, threading.Event], None]  # what a server does with a connection, until it is closed


@contextmanager
def raw_server(send: Send) -> Iterator[RawServer]:
    """A server that reads a request and then sends what it likes."""
    server = RawServer(send)
    try:
        yield server
    finally:
        server.close()


class RawServer:
    def __init__(self, send: Send) -> None:
        self.asked: list[bytes] = []
        self._send, self._closing = send, threading.Event()
        self._socket = socket.create_server(("127.0.0.1", 0))
        self.root = f"http://127.0.0.1:{self._socket.getsockname()[1]}"
        self.url = self.root + "/v1"
        threading.Thread(target=self._serve, daemon=True).start()

    def _serve(self) -> None:
        while True:
            try:
                connection, _ = self._socket.accept()
            except OSError:
                return
            threading.Thread(target=self._answer, args=(connection,), daemon=True).start()

    def _answer(self, connection: socket.socket) -> None:
        with connection:
            self.asked.append(connection.recv(1 << 16))
            with suppress(OSError):  # whoever asked has gone
                self._send(connection, self._closing)

    def close(self) -> None:
        self._closing.set()
        self._socket.close()


def drips_a_header(connection: socket.socket, closing: threading.Event) -> None:
    connection.sendall(HEAD + b"X-Slow: ")
    while not closing.wait(0.05):
        connection.sendall(b"a")


def drips_headers(connection: socket.socket, closing: threading.Event) -> None:
    connection.sendall(HEAD)
    while not closing.wait(0.05):
        connection.sendall(b"X-More: a\r\n")


def drips_interim_replies(connection: socket.socket, closing: threading.Event) -> None:
    while not closing.wait(0.05):
        connection.sendall(b"HTTP/1.1 102 Processing\r\n\r\n")


def drips_a_body(connection: socket.socket, closing: threading.Event) -> None:
    connection.sendall(HEAD + b"Content-Length: 100000\r\n\r\n")
    while not closing.wait(0.05):
        connection.sendall(b" ")


def says_nothing(connection: socket.socket, closing: threading.Event) -> None:
    closing.wait(60)


@BOTH
@pytest.mark.parametrize("send", [drips_a_header, drips_headers, drips_interim_replies, drips_a_body, says_nothing])
def test_one_deadline_is_over_the_whole_request(kind: str, send: Send) -> None:
    """Each byte is in time for httpx, which bounds single waits only."""
    with raw_server(send) as server:
        engine = engine_at(kind, server, timeout_s=0.3)  # type: ignore[arg-type]
        started = time.monotonic()
        assert "no reply in time" in (only(engine.generate(asks())).error or "")
        # Of the five repetitions that others get, a reply that is late gets one: each takes all of its time again.
        assert len(server.asked) == engine.usage.calls == 2
        assert time.monotonic() - started < 30  # and not until the server ends


# --- replies that are larger than they look ---------------------------------------------------------------------------


def packed(size: int, wbits: int = zlib.MAX_WBITS | 16) -> bytes:
    """So many spaces, compressed a thousandfold."""
    make = zlib.compressobj(9, zlib.DEFLATED, wbits)
    return b"".join([*(make.compress(b" " * (1 << 20)) for _ in range(size >> 20)), make.flush()])


def whole(body: bytes, *headers: bytes) -> Send:
    def send(connection: socket.socket, closing: threading.Event) -> None:
        lines = b"".join(header + b"\r\n" for header in headers)
        connection.sendall(HEAD + lines + b"Content-Length: %d\r\n\r\n" % len(body) + body)

    return send


def endless_chunks(connection: socket.socket, closing: threading.Event) -> None:
    connection.sendall(HEAD + b"Transfer-Encoding: chunked\r\n\r\n")
    while not closing.is_set():
        connection.sendall(CHUNK)


def endless_body(connection: socket.socket, closing: threading.Event) -> None:
    connection.sendall(HEAD + b"Connection: close\r\n\r\n")
    while not closing.is_set():
        connection.sendall(b" " * 0x10000)


def endless_headers(connection: socket.socket, closing: threading.Event) -> None:
    connection.sendall(HEAD)
    while not closing.is_set():
        connection.sendall(b"X-More: " + b"a" * 1000 + b"\r\n")


def endless_gzip(connection: socket.socket, closing: threading.Event) -> None:
    """Empty gzip blocks: they unpack to nothing."""
    connection.sendall(HEAD + b"Content-Encoding: gzip\r\nTransfer-Encoding: chunked\r\n\r\n")
    piece = b"\x1f\x8b\x08" + b"\0" * 7  # the header of a gzip file
    while not closing.is_set():
        connection.sendall(b"%x\r\n%s\r\n" % (len(piece), piece))
        piece = b"\x00\x00\x00\xff\xff" * 2000


@BOTH
@pytest.mark.parametrize(
    ("send", "why"),
    [
        (whole(packed(256 << 20), b"Content-Encoding: gzip"), "larger than 1 MiB"),
        (whole(packed(256 << 20, zlib.MAX_WBITS), b"Content-Encoding: deflate"), "larger than 1 MiB"),
        (whole(packed(256 << 20, -zlib.MAX_WBITS), b"Content-Encoding: deflate"), "larger than 1 MiB"),
        (whole(packed(1 << 20), b"Content-Encoding: gzip, gzip"), "its encoding is 'gzip, gzip'"),
        (whole(b"anything", b"Content-Encoding: br"), "its encoding is 'br', which was not asked for"),
        (whole(b"not packed", b"Content-Encoding: gzip"), "cannot be decompressed"),
        (endless_chunks, "larger than 1 MiB"),
        (endless_body, "larger than 1 MiB"),
        (endless_gzip, "larger than 1 MiB"),
        (endless_headers, "the connection broke"),
    ],
    ids=["gzip", "zlib", "deflate", "gzip twice", "br", "no gzip", "chunks", "body", "empty gzip", "headers"],
)
def test_a_reply_is_bounded_as_it_is_unpacked(kind: str, send: Send, why: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(wire, "LARGEST_REPLY", 1 << 20)
    with raw_server(send) as server:
        engine = engine_at(kind, server, retries=0)  # type: ignore[arg-type]
        engine.load()
        tracemalloc.start()
        try:
            assert why in (only(engine.generate(asks())).error or "")
            _, peak = tracemalloc.get_traced_memory()
        finally:
            tracemalloc.stop()
        assert peak < 64 << 20  # bytes; 256 MiB were sent
        assert b"accept-encoding: identity" in server.asked[0].lower()


@BOTH
@pytest.mark.parametrize(
    ("encoding", "pack"),
    [
        (b"", bytes),
        (b"identity", bytes),
        (b"gzip", gzip.compress),
        (b"deflate", zlib.compress),
        (b"deflate", lambda body: zlib.compress(body)[2:-4]),
    ],
    ids=["plain", "identity", "gzip", "zlib", "deflate"],
)
def test_what_a_proxy_packs_unasked_is_read(kind: str, encoding: bytes, pack: Callable[[bytes], bytes]) -> None:
    headers = [b"Content-Encoding: " + encoding] if encoding else []
    with raw_server(whole(pack(ANSWER), *headers)) as server:
        assert only(engine_at(kind, server).generate(asks())).text == "Answer: A"  # type: ignore[arg-type]


# --- whole commands ---------------------------------------------------------------------------------------------------


def test_where_nothing_was_answered_nothing_is_timed(tmp_path: Path) -> None:
    class Dead(fakes.FakeEngine):
        def generate(self, requests: Sequence[GenerateRequest]) -> Iterator[Output]:
            for request in requests:
                self.asked.append(request.item_id)
                yield Output(request.item_id, finish="error", error="no reply in time")

    item_set = ItemSet(tuple(Item(name, f"{name}?", references=("yes",)) for name in "abc"), "here")
    benchmark, engine = fakes.benchmark(item_set, metrics=("exact_match",)), Dead()
    run = execute(
        fakes.plan(benchmark, item_set, engine, Settings(latency_items=5)), engine, tmp_path, made.Silent(), []
    )
    assert engine.asked == ["a", "b", "c"]  # each once
    assert run.manifest.latency == RequestTimes()


def test_a_command_with_a_silent_server_ends_and_names_every_item(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    with raw_server(drips_headers) as server:
        monkeypatch.setattr(wire, "client", quick(wire.client))
        monkeypatch.setattr(wire, "within", quick(wire.within))
        words = ["run", "-m", "openai:m", "--base-url", server.url, "-b", "medquad-sample", "--limit", "4"]
        done = CliRunner().invoke(cli, words)
    assert done.exit_code == 1, done.output
    assert "4 items have no answer" in done.output and "no reply in time (2 times)" in done.output
    assert len(server.asked) == 8  # two for each item, and none to time


def quick(function: Callable[..., object]) -> Callable[..., object]:
    """The function with 0.2 seconds in the place of the time it is given."""
    return lambda timeout_s, *rest: function(0.2, *rest)
