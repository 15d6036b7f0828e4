"""A request that never reached a server is no call and costs nothing; hopeless errors end the run at once."""

from __future__ import annotations

import contextlib
import re
import socket
import threading
from collections.abc import Iterator
from pathlib import Path

import made
import pytest
import servers
from click.testing import CliRunner
from medbench.cli import cli
from medbench.core.types import GenerateRequest, ModelSpec, Prompt
from medbench.engines.server.engine import Limits, Refused
from medbench.engines.server.http import proxy_variable
from medbench.engines.server.openai import OpenAIEngine
from servers import Server

AWAY = "https://models.example.org/v1"
ASKS = [GenerateRequest(f"i{n}", Prompt(f"question {n}?"), 32) for n in range(20)]


@contextlib.contextmanager
def raw_server(reply: bytes) -> Iterator[tuple[str, list[bytes]]]:
    """A server that sends these bytes to whoever connects; (host:port, what it was sent)."""
    heard: list[bytes] = []
    with socket.create_server(("127.0.0.1", 0)) as listening:

        def serve() -> None:
            while True:
                try:
                    connection, _ = listening.accept()
                except OSError:
                    return
                with connection, contextlib.suppress(OSError):
                    # Closing before all was read would reset the connection, which can lose the reply on its way.
                    heard.append(_request(connection))
                    connection.sendall(reply)

        threading.Thread(target=serve, daemon=True).start()
        yield f"127.0.0.1:{listening.getsockname()[1]}", heard
        listening.shutdown(socket.SHUT_RDWR)


def _request(connection: socket.socket) -> bytes:
    """Read one request to its end and return its header; or return the beginning of something that is not HTTP."""
    head, body = connection.recv(4096), b""
    while head[:1].isalpha() and b"\r\n\r\n" not in head and (got := connection.recv(4096)):
        head += got
    head, _, body = head.partition(b"\r\n\r\n")
    announced = re.search(rb"content-length: (\d+)", head, re.IGNORECASE)
    while announced and len(body) < int(announced[1]) and (got := connection.recv(4096)):
        body += got
    return head


@pytest.fixture(autouse=True)
def _alone(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)
    for name in ("http", "https", "all", "no"):
        monkeypatch.delenv(f"{name}_proxy", raising=False)
        monkeypatch.delenv(f"{name}_PROXY".upper(), raising=False)
    monkeypatch.setenv("OPENAI_API_KEY", "k-of-the-test-123")


def away(url: str = AWAY, **limits: float) -> OpenAIEngine:
    fields = {"name": "openai:m", "location": "m", "revision": "", "engine": "openai", "base_url": url}
    return OpenAIEngine(ModelSpec(**fields), Limits(prices=(1e6, 1e6), **limits))  # type: ignore[arg-type]


@pytest.mark.parametrize("status", ["407 Proxy Authentication Required", "403 Forbidden", "502 Bad Gateway", "503 No"])
@pytest.mark.parametrize("variable", ["HTTPS_PROXY", "https_proxy", "ALL_PROXY"])
def test_a_proxy_that_refuses_to_connect_ends_it_at_once(
    status: str, variable: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    with raw_server(f"HTTP/1.1 {status}\r\nContent-Length: 0\r\n\r\n".encode()) as (proxy, heard):
        monkeypatch.setenv(variable, f"http://me:pass-word-1@{proxy}")
        engine = away()
        with pytest.raises(Refused) as refused:
            list(engine.generate(ASKS))
    told = f"no server answers at {AWAY}: the proxy in {variable} refused the connection: {status}"
    assert refused.value.message == told
    assert "NO_PROXY" in refused.value.hint
    assert "pass-word-1" not in str(refused.value)
    assert 1 <= len(heard) <= 8, "once for each request that was out, and no retry"
    assert all(b"CONNECT models.example.org:443" in line for line in heard)
    assert (engine.usage.calls, engine.usage.cost) == (0, 0.0)


def test_a_refusal_in_the_middle_ends_it_too(monkeypatch: pytest.MonkeyPatch) -> None:
    with raw_server(b"HTTP/1.1 407 Proxy Authentication Required\r\n\r\n") as (proxy, _):
        monkeypatch.setenv("HTTPS_PROXY", f"http://{proxy}")
        engine = away()
        engine._answered = 5
        with pytest.raises(Refused, match="the proxy in HTTPS_PROXY refused the connection: 407"):
            list(engine.generate(ASKS))
    assert engine.usage.calls == 0


def test_a_proxy_that_wants_a_password_before_it_forwards_is_no_server(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without TLS a proxy is not asked to connect but sent the request, and refuses in the server's place."""
    with raw_server(b"HTTP/1.1 407 No\r\nConnection: close\r\nContent-Length: 9\r\n\r\nlog in at") as (proxy, _):
        monkeypatch.setenv("http_proxy", f"http://{proxy}")
        engine = away("http://models.example.org/v1")
        with pytest.raises(Refused, match=r"the proxy in http_proxy refused the request \(407\): log in at"):
            list(engine.generate(ASKS))
    assert (engine.usage.calls, engine.usage.cost) == (0, 0.0)


@pytest.mark.parametrize("proxy", ["socks5://127.0.0.1:9", "ftp://me:pass-word-1@127.0.0.1:9", "http://127.0.0.1:x"])
def test_a_proxy_that_cannot_be_used_is_named(proxy: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HTTPS_PROXY", proxy)
    with pytest.raises(Refused, match="the proxy in HTTPS_PROXY cannot be used") as refused:
        away().load()
    assert "pass-word-1" not in str(refused.value)


@pytest.mark.parametrize("reply", [b"", b"HTTP/1.1 200 Connection established\r\n\r\n", b"SSH-2.0-OpenSSH_9\r\n"])
def test_a_proxy_that_breaks_the_connection_was_no_call(reply: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    """Before it answers, after it said that it is connected (in the TLS handshake), and with something else."""
    with raw_server(reply) as (proxy, _):
        monkeypatch.setenv("HTTPS_PROXY", f"http://{proxy}")
        engine = away()
        with pytest.raises(Refused, match="no connection through the proxy in HTTPS_PROXY"):
            list(engine.generate(ASKS))
    assert (engine.usage.calls, engine.usage.cost) == (0, 0.0)


@pytest.mark.parametrize("kind", ["refused", "no such host", "no TLS", "proxy is away"])
def test_what_was_not_sent_is_no_call(kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.create_server(("127.0.0.1", 0)) as free:
        gone = free.getsockname()[1]
    with raw_server(b"HTTP/1.1 200 OK\r\n\r\n") as (plain, _):
        url = {
            "refused": f"http://127.0.0.1:{gone}/v1",
            "no such host": "http://no-such-host.localhost:9/v1",
            "no TLS": f"https://{plain}/v1",
            "proxy is away": AWAY,
        }[kind]
        if kind == "proxy is away":
            monkeypatch.setenv("HTTPS_PROXY", f"http://127.0.0.1:{gone}")
        engine = away(url)
        with pytest.raises(Refused, match=f"no server answers at {url}: no connection") as refused:
            list(engine.generate(ASKS))
    assert (engine.usage.calls, engine.usage.cost) == (0, 0.0)
    hints = {"no TLS": "begin with http://", "proxy is away": "NO_PROXY"}
    assert hints.get(kind, "Start it, or name another") in refused.value.hint
    assert ("through the proxy in HTTPS_PROXY" in refused.value.message) is (kind == "proxy is away")


def test_what_was_sent_is_a_call_and_may_cost() -> None:
    """A question has 11 characters, 3 tokens by estimate, and 32 may be written: at 1 USD per token, 35 USD."""
    with Server(then=servers.closes) as server:
        engine = away(server.url, retries=0, concurrency=1)
        (output,) = engine.generate(ASKS[:1])
    assert "the connection broke" in (output.error or "")
    assert (engine.usage.calls, engine.usage.cost) == (1, 35.0)


def test_which_variable_is_meant(monkeypatch: pytest.MonkeyPatch) -> None:
    assert proxy_variable(AWAY) == ""
    monkeypatch.setenv("ALL_PROXY", "http://127.0.0.1:1")
    assert proxy_variable(AWAY) == "ALL_PROXY"
    monkeypatch.setenv("https_proxy", "http://127.0.0.1:2")
    assert (proxy_variable(AWAY), proxy_variable("http://x.org")) == ("https_proxy", "ALL_PROXY")
    monkeypatch.setenv("NO_PROXY", "example.org")
    assert proxy_variable(AWAY) == ""


@pytest.mark.parametrize("command", ["run", "score"])
def test_a_command_says_it_in_a_sentence(command: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run = made.make_run(tmp_path / "kept", {"q0": "answer 0"})
    with raw_server(b"HTTP/1.1 403 Forbidden\r\n\r\n") as (proxy, _):
        monkeypatch.setenv("HTTPS_PROXY", f"http://{proxy}")
        asked = ["-m", "openai:m", "--base-url", AWAY, "-b", "medqa-sample,medquad-sample", "--choice", "generate"]
        judged = [str(run.path), "--judge", "openai:m", "--judge-base-url", AWAY]
        done = CliRunner().invoke(cli, [command, *(asked if command == "run" else judged)])
    assert done.exit_code == 1
    assert done.output.count("the proxy in HTTPS_PROXY refused the connection: 403 Forbidden") == 1
    assert "1 call" not in done.output
