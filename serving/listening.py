"""The address that a server listens on."""

from __future__ import annotations

import socket
from typing import Any

from ..core.errors import UsageError

LOOPBACK = ("127.0.0.1", "::1", "localhost")


def bound(host: str, port: int) -> socket.socket:
    """Return a bound socket; port 0 takes any free one. Raises UsageError if the address is taken or unusable."""
    try:
        found: tuple[Any, ...] = socket.getaddrinfo(host or "0.0.0.0", port, type=socket.SOCK_STREAM)[0]
        sock = socket.socket(found[0], socket.SOCK_STREAM)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        sock.bind(found[4])
    except OSError as error:
        raise UsageError(
            f"{host}, --port {port}: {error.strerror or error}.", "Give another, or 0 for any free port: --port 0"
        ) from error
    return sock


def address(host: str, port: int) -> str:
    """Return the URL that a person on this machine can open."""
    shown = "127.0.0.1" if host in ("0.0.0.0", "") else "[::1]" if host == "::" else host
    return f"http://{f'[{shown}]' if ':' in shown and '[' not in shown else shown}:{port}"
