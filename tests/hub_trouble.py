"""A stand-in hub with faults, and this process pointed at it."""

from __future__ import annotations

import contextlib
import json
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from http.server import BaseHTTPRequestHandler
from pathlib import Path

import fake_hub
import pytest
from medbench.core import hub, hub_client

Trouble = Callable[[BaseHTTPRequestHandler], bool]
STALL = 1  # seconds without a byte after which a download counts as stalled


@contextlib.contextmanager
def at(
    home: Path,
    patch: pytest.MonkeyPatch,
    models: Mapping[str, Path] | None = None,
    datasets: Mapping[str, Path] | None = None,
) -> Iterator[fake_hub.FakeHub]:
    """Serve these, with this process's hub client pointed there: an empty cache in `home`, short waits."""
    from huggingface_hub import constants

    for name in ("HF_TOKEN", "HUGGING_FACE_HUB_TOKEN", "TRANSFORMERS_OFFLINE"):
        patch.delenv(name, raising=False)
    patch.setenv("MEDBENCH_CACHE", str(home / "medbench"))
    patch.setattr(constants, "HF_TOKEN_PATH", str(home / "token"))
    patch.setattr(constants, "HF_HUB_DOWNLOAD_TIMEOUT", STALL)
    patch.setattr(hub_client, "WAITS", (0.01, 0.02, 0.03))
    patch.setattr(hub, "PROBE_WAITS", (0.01, 0.02))
    with fake_hub.serve(models or {}, datasets=datasets) as server:
        fake_hub.use(server.url, home, patch)
        yield server


def of(path: str, method: str = "") -> Callable[[BaseHTTPRequestHandler], bool]:
    """Whether a request is for a path that ends so."""
    return lambda request: (
        request.path.partition("?")[0].endswith(path) and request.command in (method, request.command)
    )


def answer(
    request: BaseHTTPRequestHandler, status: int, body: bytes = b"", headers: Mapping[str, str] | None = None
) -> bool:
    """Answer a request so."""
    request.send_response(status)
    for key, value in ({"Content-Length": str(len(body))} | dict(headers or {})).items():
        request.send_header(key, value)
    request.end_headers()
    if request.command == "GET":
        request.wfile.write(body)
    return True


def refuses(
    status: int,
    times: int = 10**6,
    *,
    path: str = "",
    method: str = "",
    body: bytes = b"",
    headers: Mapping[str, str] | None = None,
) -> Trouble:
    """Refuse the first `times` requests for paths that end in `path`."""
    left, lock, concerns = [times], threading.Lock(), of(path, method)

    def trouble(request: BaseHTTPRequestHandler) -> bool:
        if (method and request.command != method) or not concerns(request):
            return False
        with lock:
            left[0] -= 1
            if left[0] < 0:
                return False
        return answer(request, status, body, headers)

    return trouble


def says(message: str) -> bytes:
    """The hub's own form of an error."""
    return json.dumps({"error": message}).encode()


JSON = {"Content-Type": "application/json"}


def breaks_off(file: Path, after: int, times: int = 10**6, stall: float = 0.0) -> Trouble:
    """Send `file` from where it is asked for, stop after `after` bytes, and close the line, after `stall` seconds."""
    left, content, concerns = [times], file.read_bytes(), of(f"/{file.name}")

    def trouble(request: BaseHTTPRequestHandler) -> bool:
        if request.command != "GET" or "/resolve/" not in request.path or not concerns(request) or left[0] == 0:
            return False
        left[0] -= 1
        wanted = request.headers.get("Range", "")
        start = int(wanted.removeprefix("bytes=").rstrip("-") or 0)
        request.server.ranges.append(wanted)  # type: ignore[attr-defined]
        request.send_response(206 if wanted else 200)
        if wanted:
            request.send_header("Content-Range", f"bytes {start}-{len(content) - 1}/{len(content)}")
        request.send_header("Content-Length", str(len(content) - start))
        request.end_headers()
        request.wfile.write(content[start : start + after])
        request.wfile.flush()
        time.sleep(stall)
        request.close_connection = True
        return True

    return trouble


def parts(home: Path) -> list[Path]:
    """What broken downloads left in the cache."""
    return sorted((home / "hub").rglob("*.incomplete"))
