"""A local hub of models and data sets: what downloads and uploads need of its HTTP interface, and its refusals."""

from __future__ import annotations

import base64
import contextlib
import hashlib
import json
import threading
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

import pytest

COMMIT = "1a2b3c4" + "0" * 33


@dataclass
class Repository:
    """Commits, oldest first, each with its files; and which of them a branch or tag is."""

    commits: dict[str, Path]
    refs: dict[str, str] = field(default_factory=dict)

    def commit(self, revision: str) -> str:
        """The commit of a revision, which the hub takes in full only; "" if there is none."""
        refs = {"main": [*self.commits][-1]} | self.refs
        return refs.get(revision, revision if revision in self.commits else "")


class FakeHub(ThreadingHTTPServer):
    """Serves the folders in `models` and `datasets`, by hub id; those in `gated` list their files and hand none out.

    `trouble` sees each request first, and has answered it if it returns True.
    """

    daemon_threads = True
    trouble: Callable[[BaseHTTPRequestHandler], bool] = staticmethod(lambda request: False)
    more: Mapping[str, str] = {}  # headers sent with every file

    def __init__(
        self,
        models: Mapping[str, Path | Repository],
        gated: frozenset[str] = frozenset(),
        broken: bool = False,
        datasets: Mapping[str, Path | Repository] | None = None,
    ) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.models = models
        self.datasets = datasets or {}
        self.gated = gated
        self.broken = broken  # every answer is 503
        self.failing: set[str] = set()  # files that its storage refuses
        self.fetched: list[str] = []  # files handed out
        self.ranges: list[str] = []  # what was asked for of them: "" for the whole file
        self.created: list[dict[str, Any]] = []  # repositories that clients created
        self.received: dict[str, dict[str, bytes]] = {}  # files of commits, by repository

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"

    def repository(self, kind: str, name: str) -> Repository | None:
        found = (self.datasets if kind == "datasets" else self.models).get(name)
        return Repository({COMMIT: found}) if isinstance(found, Path) else found


@contextlib.contextmanager
def serve(
    models: Mapping[str, Path | Repository],
    gated: frozenset[str] = frozenset(),
    broken: bool = False,
    datasets: Mapping[str, Path | Repository] | None = None,
) -> Iterator[FakeHub]:
    with FakeHub(models, gated, broken, datasets) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        try:
            yield server
        finally:
            server.shutdown()


def use(url: str, home: Path, patch: pytest.MonkeyPatch, offline: bool = False) -> None:
    """Have this process talk to the hub at `url`, with caches in `home`: what HF_ENDPOINT and HF_HOME do at a start."""
    import datasets
    from huggingface_hub import constants, file_download
    from medbench.core import hub

    patch.setenv("HF_ENDPOINT", url)
    patch.setenv("NO_PROXY", "127.0.0.1")
    patch.setenv("HF_HUB_OFFLINE", "1" if offline else "0")
    patch.setattr(hub, "reachable", lambda: not offline)
    patch.setattr(constants, "ENDPOINT", url)
    patch.setattr(constants, "HF_HUB_CACHE", str(home / "hub"))
    patch.setattr(constants, "HF_HUB_OFFLINE", offline)
    template = f"{url}/{{repo_id}}/resolve/{{revision}}/{{filename}}"
    patch.setattr(constants, "HUGGINGFACE_CO_URL_TEMPLATE", template)
    if hasattr(file_download, "HUGGINGFACE_CO_URL_TEMPLATE"):
        patch.setattr(file_download, "HUGGINGFACE_CO_URL_TEMPLATE", template)
    patch.setattr(datasets.config, "HF_ENDPOINT", url)
    patch.setattr(datasets.config, "HF_HUB_OFFLINE", offline)
    patch.setattr(datasets.config, "HF_DATASETS_CACHE", str(home / "datasets"))
    patch.setattr(datasets.config, "DOWNLOADED_DATASETS_PATH", str(home / "datasets" / "downloads"))


class _Handler(BaseHTTPRequestHandler):
    server: FakeHub

    def do_HEAD(self) -> None:
        self._answer(body=False)

    def do_GET(self) -> None:
        self._answer(body=True)

    def do_POST(self) -> None:
        parts = unquote(urlsplit(self.path).path).strip("/").split("/")
        if parts[-1] in ("create", "validate-yaml") or {"preupload", "commit"} & {*parts[-2:-1]}:
            return self._take(parts, self.rfile.read(int(self.headers.get("Content-Length", 0))))
        self._answer(body=True)

    def _take(self, parts: list[str], content: bytes) -> None:
        """Take part in an upload: a repository is created, a card checked, files announced, a commit made."""
        if parts[-1] == "create":
            asked = json.loads(content)
            self.server.created.append(asked)
            return self._json({"url": f"{self.server.url}/{asked['organization']}/{asked['name']}"}, True)
        if parts[-1] == "validate-yaml":
            return self._json({"warnings": [], "errors": []}, True)
        if parts[-2] == "preupload":
            files = [
                {"path": each["path"], "uploadMode": "regular", "shouldIgnore": False}
                for each in json.loads(content)["files"]
            ]
            return self._json({"files": files}, True)
        name = "/".join(parts[2:4])
        lines = [json.loads(line) for line in content.splitlines()]
        self.server.received[name] = {
            line["value"]["path"]: base64.b64decode(line["value"]["content"]) for line in lines if line["key"] == "file"
        }
        self._json({"commitOid": COMMIT, "commitUrl": f"{self.server.url}/{name}/commit/{COMMIT}"}, True)

    def _answer(self, body: bool) -> None:
        parts = unquote(urlsplit(self.path).path).strip("/").split("/")
        if self.server.trouble(self):
            return None
        if self.server.broken:
            return self._send(503, b"", body)
        if parts == [""]:
            return self._send(200, b"hello", body)
        api = parts[0] == "api"
        rest = parts[1:] if api else parts
        kind = rest[0] if rest[0] in ("models", "datasets") else "models"
        rest = rest[1:] if rest[0] == kind else rest
        name = "/".join(rest[:2])
        repository = self.server.repository(kind, name)
        if repository is None:
            return self._send(401, b"", body, {"X-Error-Code": "RepoNotFound"})
        commit = repository.commit(rest[3] if len(rest) > 3 else "main")
        if not commit:
            return self._send(404, b"", body, {"X-Error-Code": "RevisionNotFound"})
        folder = repository.commits[commit]
        files = {path.relative_to(folder).as_posix(): path for path in sorted(folder.rglob("*")) if path.is_file()}
        if not api:
            return self._file(name, "/".join(rest[4:]), files, body, commit)
        asked = rest[2] if len(rest) > 2 else ""
        if asked == "tree":
            return self._tree("/".join(rest[4:]), files, body)
        if asked == "paths-info":
            wanted = parse_qs(self.rfile.read(int(self.headers.get("Content-Length", 0))).decode())
            return self._json([_entry(name, files[name]) for name in wanted.get("paths", []) if name in files], body)
        if asked == "commits":
            whole = [
                {"id": each, "title": "", "message": "", "date": DATE, "authors": []} for each in repository.commits
            ]
            return self._json(whole[::-1], body)
        siblings = [{"rfilename": name} for name in files]
        self._json({"id": name, "sha": commit, "lastModified": DATE, "siblings": siblings, "tags": []}, body)

    def _tree(self, below: str, files: Mapping[str, Path], body: bool) -> None:
        recursive = "recursive=True" in self.path or "recursive=true" in self.path
        inside = {name: path for name, path in files.items() if not below or name.startswith(f"{below}/")}
        start = len(below) + 1 if below else 0
        if below and not inside:
            return self._send(404, b"", body, {"X-Error-Code": "EntryNotFound"})
        folders = {name[: name.index("/", start)] for name in inside if "/" in name[start:]}
        shown = [_entry(name, path) for name, path in inside.items() if recursive or "/" not in name[start:]]
        self._json([{"type": "directory", "path": name, "oid": "0" * 40, "size": 0} for name in folders] + shown, body)

    def _file(self, repository: str, name: str, files: Mapping[str, Path], body: bool, commit: str) -> None:
        if repository in self.server.gated:
            return self._send(403, b"", body, {"X-Error-Code": "GatedRepo"})
        if name not in files:
            return self._send(404, b"", body, {"X-Error-Code": "EntryNotFound"})
        content = files[name].read_bytes()
        headers = {"ETag": f'"{_oid(files[name])}"', "X-Repo-Commit": commit, **self.server.more}
        wanted = self.headers.get("Range", "")
        if body and name in self.server.failing:
            return self._send(403, b"", body)
        if body:
            self.server.fetched.append(name)
            self.server.ranges.append(wanted)
        if not wanted:
            return self._send(200, content, body, headers)
        start = int(wanted.removeprefix("bytes=").rstrip("-"))
        headers["Content-Range"] = f"bytes {start}-{len(content) - 1}/{len(content)}"
        self._send(206, content[start:], body, headers)

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


DATE = "2026-01-02T03:04:05.000Z"


def _entry(name: str, path: Path) -> dict[str, object]:
    return {"type": "file", "path": name, "size": path.stat().st_size, "oid": _oid(path)}


def _oid(path: Path) -> str:
    """What the hub calls a file's content: the SHA-256 of large files, Git's hash of others."""
    content = path.read_bytes()
    if path.suffix in (".safetensors", ".bin", ".gguf", ".pt", ".parquet"):
        return hashlib.sha256(content).hexdigest()
    return hashlib.sha1(b"blob %d\0" % len(content) + content).hexdigest()
