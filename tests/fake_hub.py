"""A hub of models on this machine: as much of its HTTP interface as a download needs, and its refusals."""

from __future__ import annotations

import contextlib
import hashlib
import json
import threading
from collections.abc import Iterator, Mapping
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import unquote, urlsplit

COMMIT = "1a2b3c4" + "0" * 33


class FakeHub(ThreadingHTTPServer):
    """Serves the folders in `models`, by hub id; those named in `gated` list their files and hand none out."""

    daemon_threads = True

    def __init__(self, models: Mapping[str, Path], gated: frozenset[str] = frozenset(), broken: bool = False) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.models = models
        self.gated = gated
        self.broken = broken  # every answer is 503
        self.fetched: list[str] = []  # files handed out

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"


@contextlib.contextmanager
def serve(models: Mapping[str, Path], gated: frozenset[str] = frozenset(), broken: bool = False) -> Iterator[FakeHub]:
    with FakeHub(models, gated, broken) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        try:
            yield server
        finally:
            server.shutdown()


class _Handler(BaseHTTPRequestHandler):
    server: FakeHub

    def do_HEAD(self) -> None:
        self._answer(body=False)

    def do_GET(self) -> None:
        self._answer(body=True)

    def _answer(self, body: bool) -> None:
        parts = unquote(urlsplit(self.path).path).strip("/").split("/")
        if self.server.broken:
            return self._send(503, b"", body)
        if parts == [""]:
            return self._send(200, b"hello", body)
        api = parts[:2] == ["api", "models"]
        rest = parts[2:] if api else parts
        repository = "/".join(rest[:2])
        folder = self.server.models.get(repository)
        if folder is None:
            return self._send(401, b"", body, {"X-Error-Code": "RepoNotFound"})
        files = {str(path.relative_to(folder)): path for path in sorted(folder.rglob("*")) if path.is_file()}
        revision = rest[3] if len(rest) > 3 else "main"
        if revision not in ("main", COMMIT):
            return self._send(404, b"", body, {"X-Error-Code": "RevisionNotFound"})
        if not api:
            return self._file(repository, "/".join(rest[4:]), files, body)
        if "tree" in rest:
            entries = [
                {"type": "file", "path": name, "size": path.stat().st_size, "oid": _oid(path)}
                for name, path in files.items()
            ]
            return self._json(entries, body)
        self._json({"id": repository, "sha": COMMIT, "siblings": [{"rfilename": name} for name in files]}, body)

    def _file(self, repository: str, name: str, files: Mapping[str, Path], body: bool) -> None:
        if repository in self.server.gated:
            return self._send(403, b"", body, {"X-Error-Code": "GatedRepo"})
        if name not in files:
            return self._send(404, b"", body, {"X-Error-Code": "EntryNotFound"})
        if body:
            self.server.fetched.append(name)
        self._send(200, files[name].read_bytes(), body, {"ETag": f'"{_oid(files[name])}"', "X-Repo-Commit": COMMIT})

    def _json(self, content: object, body: bool) -> None:
        self._send(200, json.dumps(content).encode(), body, {"Content-Type": "application/json"})

    def _send(self, status: int, content: bytes, body: bool, headers: Mapping[str, str] | None = None) -> None:
        self.send_response(status)
        for key, value in (headers or {}).items():
            self.send_header(key, value)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        if body:
            self.wfile.write(content)

    def log_message(self, format: str, *args: object) -> None:
        pass


def _oid(path: Path) -> str:
    return hashlib.sha1(path.read_bytes()).hexdigest()
