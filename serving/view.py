"""The report over HTTP on this machine, written again whenever the runs change."""

from __future__ import annotations

import contextlib
import json
import shutil
import socket
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import parse_qs, unquote, urlsplit

from ..core.errors import MedbenchError
from ..report.folder import LISTED
from ..report.places import Places
from ..report.script_data import script
from ..report.site import INDEX, write_report, write_waiting
from ..results.folders import holds_run, run_folders
from ..results.runs import Runs
from ..results.samples import SAMPLES
from ..results.store import all_runs
from .listening import LOOPBACK, address, bound

POLL_S = 1.0  # between two looks at the runs
KEPT = 3  # versions that stay readable for pages that are loading
MANIFEST = "manifest.json"
LIVE = "data/live.js"
TYPES = {".html": "text/html", ".js": "text/javascript", ".css": "text/css"}
HEADERS = {
    "Cache-Control": "no-store",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Referrer-Policy": "no-referrer",
}
ELSEWHERE = "This page is for this machine only. Open it as http://127.0.0.1 or http://localhost.\n"

Seen = dict[Path, tuple[int, int]]


class LiveReport:
    """The newest version of the report of some runs, each version in its own folder below `folder`."""

    def __init__(self, runs: Callable[[], Runs], places: Sequence[Path], folder: Path, title: str) -> None:
        self._runs, self._watched, self._folder, self._title = runs, places, folder, title
        self._numbers = Places()
        self._answers: Seen = {}
        self._others: Seen = {}
        self._versions: dict[int, frozenset[str]] = {}  # the files of each
        self.version = 0
        self.problems: tuple[str, ...] = ()

    def changed(self) -> bool:
        """Return whether the runs have changed since the newest version was begun."""
        return self.version == 0 or (self._answers, self._others) != self._look()

    def write(self) -> None:
        """Write a new version. Raises MedbenchError if that fails; the version before it stays."""
        answers, _ = self._look()  # answers that come while it is written are of the next version
        number = self.version + 1
        out = self._folder / str(number)
        found = self._runs()
        if found:
            written = write_report(found, out, self._title, live=number, places=self._numbers)
        else:
            written = write_waiting(out, self._title, number)
        self._answers, self._others = answers, self._look()[1]  # writing stores scores
        self.problems = tuple(dict.fromkeys((*found.problems, *written.problems)))
        listed = json.loads((out / LISTED).read_text(encoding="utf-8"))["files"]
        self._versions[number] = frozenset(listed)
        self.version = number
        for old in [each for each in self._versions if each <= number - KEPT]:
            del self._versions[old]
            shutil.rmtree(self._folder / str(old), ignore_errors=True)

    def read(self, name: str, version: int | None) -> bytes | None:
        """Return a file of a version (None: the newest); None if it has no such file."""
        number = self.version if version is None else version
        if name not in self._versions.get(number, ()):
            return None
        return (self._folder / str(number) / name).read_bytes()

    def _look(self) -> tuple[Seen, Seen]:
        """Return size and time of the files with answers, and of all other files of the runs."""
        answers: Seen = {}
        others: Seen = {}
        for place in self._watched:
            for run in [place] if holds_run(place) else run_folders(place) if place.is_dir() else ():
                for path in run.rglob("*"):
                    with contextlib.suppress(OSError):
                        about = path.stat()
                        kind = answers if path.name in (SAMPLES, MANIFEST) else others
                        kind[path] = about.st_size, about.st_mtime_ns
        return answers, others


class Handler(BaseHTTPRequestHandler):
    """Sends files of the report to browsers of this machine, and nothing else."""

    server: ViewServer
    server_version, sys_version = "medbench", ""
    timeout = 30

    def do_GET(self) -> None:
        self._answer(body=True)

    def do_HEAD(self) -> None:
        self._answer(body=False)

    def _answer(self, body: bool) -> None:
        parts = urlsplit(self.path)
        name = unquote(parts.path).removeprefix("/") or INDEX
        if not _is_local(self.headers.get("Host", "")):
            # A site whose name is pointed at this machine (DNS rebinding) could otherwise read the answers.
            self._send(HTTPStatus.MISDIRECTED_REQUEST, "text/plain", ELSEWHERE.encode(), body)
            return
        report = self.server.report
        if name == LIVE:
            content: bytes | None = script("live", report.version).encode()
        else:
            asked = parse_qs(parts.query).get("version", [""])[0]
            content = report.read(name, int(asked) if asked.isascii() and asked.isdigit() else None)
        if content is None:
            self._send(HTTPStatus.NOT_FOUND, "text/plain", b"The report has no such page.\n", body)
        else:
            self._send(HTTPStatus.OK, TYPES.get(Path(name).suffix, "text/plain"), content, body)

    def _send(self, status: HTTPStatus, kind: str, content: bytes, body: bool) -> None:
        self.send_response(status)
        for header, value in HEADERS.items():
            self.send_header(header, value)
        self.send_header("Content-Type", f"{kind}; charset=utf-8")
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        if body:
            self.wfile.write(content)

    def log_message(self, format: str, *values: object) -> None:
        """Log nothing: the terminal is for what a person must know."""


class ViewServer(ThreadingHTTPServer):
    """A server on a socket that is bound already."""

    daemon_threads = True

    def __init__(self, sock: socket.socket, report: LiveReport) -> None:
        super().__init__(sock.getsockname()[:2], Handler, bind_and_activate=False)
        self.socket.close()
        self.socket = sock
        self.report = report
        self.server_activate()

    def handle_error(self, request: object, client_address: object) -> None:
        """A browser that goes away is no error."""


def view(
    places: Sequence[Path],
    *,
    choose: Callable[[Runs], Runs] = lambda runs: runs,
    title: str = "medbench report",
    port: int = 0,
    allow_changed: bool = False,
    ready: Callable[[str], None] = lambda url: None,
    tell: Callable[[str], None] = lambda text: None,
) -> None:
    """Serve the report of the runs at `places` on this machine until interrupted, and write it again as they change.

    `choose` picks runs of those at `places`. `ready` gets the address, and `tell` what the report cannot show. Raises
    UsageError for a port that is taken, MedbenchError if the first version cannot be written.
    """

    def runs() -> Runs:
        found, problems = all_runs(*places, allow_changed=allow_changed)
        return choose(Runs(found, map(str, problems)))

    with _served(runs, places, title, port) as (server, report):
        ready(address("127.0.0.1", server.socket.getsockname()[1]))
        told: set[str] = set()
        took = 0.0
        while True:
            for problem in report.problems:
                if problem not in told:
                    tell(f"Not shown: {problem}")
                    told.add(problem)
            time.sleep(max(POLL_S, took))  # a large report takes at most half of the time
            if not report.changed():
                continue
            begun = time.monotonic()
            try:
                report.write()
            except MedbenchError as error:
                if str(error) not in told:
                    tell(f"Not shown: {error}")
                    told.add(str(error))
            took = time.monotonic() - begun


@contextlib.contextmanager
def _served(
    runs: Callable[[], Runs], places: Sequence[Path], title: str, port: int
) -> Iterator[tuple[ViewServer, LiveReport]]:
    """Serve the report from a temporary folder while the block runs."""
    sock = bound("127.0.0.1", port)
    with sock, tempfile.TemporaryDirectory(prefix="medbench-view-") as folder:
        report = LiveReport(runs, places, Path(folder), title)
        report.write()
        server = ViewServer(sock, report)
        thread = threading.Thread(target=server.serve_forever, name="medbench-view", daemon=True)
        thread.start()
        try:
            yield server, report
        finally:
            server.shutdown()
            server.server_close()


def _is_local(host: str) -> bool:
    try:
        return urlsplit(f"//{host}").hostname in LOOPBACK
    except ValueError:
        return False
