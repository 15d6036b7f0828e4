"""`medbench view`: the report over HTTP, written again while a run is going, with the reader left in place."""

from __future__ import annotations

import contextlib
import http.client
import re
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from urllib.parse import urlsplit

import browser
import made
import medbench
import pytest
from browser import complaints, found, show, texts, until
from click.testing import CliRunner
from medbench.cli import cli
from medbench.results.writer import RunWriter
from medbench.serving import view

IDS = [f"{at:03}" for at in range(60)]


@pytest.fixture(scope="module")
def chromium(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    yield from browser.started(tmp_path_factory)


class Stop(Exception):
    """Ends a view in a test, as Ctrl-C does."""


@contextlib.contextmanager
def viewed(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """Serve a folder of runs while the block runs."""
    addresses: list[str] = []
    known, stop = threading.Event(), threading.Event()

    def sleep(seconds: float) -> None:
        if stop.wait(min(seconds, 0.2)):
            raise Stop

    def ready(url: str) -> None:
        addresses.append(url)
        known.set()

    def serve() -> None:
        with contextlib.suppress(Stop):
            view.view([folder], ready=ready)

    monkeypatch.setattr(view, "time", SimpleNamespace(sleep=sleep, monotonic=time.monotonic))
    thread = threading.Thread(target=serve, daemon=True)
    thread.start()
    try:
        assert known.wait(30)
        yield addresses[0]
    finally:
        stop.set()
        thread.join(30)
    assert not thread.is_alive()


def asked(address: str, path: str, host: str = "", method: str = "GET") -> tuple[int, str, dict[str, str]]:
    about = urlsplit(address)
    connection = http.client.HTTPConnection(about.hostname or "", about.port, timeout=20)
    connection.request(method, path, headers={"Host": host or about.netloc})
    answer = connection.getresponse()
    text = answer.read().decode()
    connection.close()
    return answer.status, text, dict(answer.getheaders())


def test_a_run_that_grows_while_the_page_is_open(
    chromium: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from selenium.webdriver.support.select import Select

    runs = tmp_path / "runs"
    made.make_run(runs, dict.fromkeys(IDS, "yes"), model="alpha", metrics=("token_f1",))
    about = made.manifest(IDS, model="beta", metrics=("token_f1",))
    with RunWriter(runs, about) as writer, viewed(runs, monkeypatch) as url:
        writer.append(made.record(item_id, "no") for item_id in IDS[:10])
        summary = "[data-table='summary-0'] .tabulator-row"
        show(chromium, f"{url}/")
        until(lambda: any("10 of 60" in text or "n 10 of 60" in text for text in texts(chromium, summary)))
        found(chromium, "[data-table='summary-0'] .tabulator-col[tabulator-field='c0'] input")[0].send_keys("bet")
        until(lambda: len(found(chromium, summary)) == 1)
        writer.append(made.record(item_id, "no") for item_id in IDS[10:20])
        until(lambda: "20 of 60" in " ".join(texts(chromium, summary)))
        assert len(found(chromium, summary)) == 1, "the filter is as it was"
        assert complaints(chromium, url) == []

        show(chromium, f"{url}/items-1.html", fragment="#item=5")
        until(lambda: texts(chromium, "#item h2") == ["Item 005"])
        Select(found(chromium, "#filter")[0]).select_by_visible_text("models disagree")
        until(lambda: texts(chromium, "#status") == ["20 of 60 items"])
        chromium.execute_script("document.querySelector('#item details').open = true; window.scrollTo(0, 300)")
        writer.append(made.record(item_id, "no") for item_id in IDS[20:30])
        until(lambda: texts(chromium, "#status") == ["30 of 60 items"])
        until(lambda: found(chromium, "body[data-restored]"))
        assert texts(chromium, "#item h2") == ["Item 005"]
        assert chromium.execute_script("return document.querySelector('#item details').open")
        assert chromium.execute_script("return window.scrollY") == 300
        assert complaints(chromium, url) == []
    until(lambda: texts(chromium, "#live") == ["medbench view has ended: this page no longer changes."])


def test_pages_keep_their_addresses(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    runs = tmp_path / "runs"
    made.make_run(runs, {"1": "no"}, model="middle", benchmark="quiz", metrics=("token_f1",))
    with viewed(runs, monkeypatch) as url:
        assert "<h1>middle on quiz</h1>" in asked(url, "/run-1-1.html")[1]
        made.make_run(runs, {"1": "yes"}, model="better", benchmark="quiz", metrics=("token_f1",))
        made.make_run(runs, {"1": "yes"}, model="middle", benchmark="exam", metrics=("token_f1",))
        until(lambda: asked(url, "/run-2-1.html")[0] == 200)
        assert "<h1>middle on quiz</h1>" in asked(url, "/run-1-1.html")[1]
        assert "<h1>better on quiz</h1>" in asked(url, "/run-1-2.html")[1]
        assert "<h1>middle on exam</h1>" in asked(url, "/run-2-1.html")[1]


def test_a_page_waits_for_the_first_answer(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    runs = tmp_path / "runs"
    runs.mkdir()
    with viewed(runs, monkeypatch) as url:
        assert "There are no answers yet" in asked(url, "/")[1]
        made.make_run(runs, {"1": "yes"}, metrics=("token_f1",))
        until(lambda: "1 run, 1 model" in asked(url, "/")[1])


def test_only_files_of_the_report_and_only_for_this_machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    runs = tmp_path / "runs"
    made.make_run(runs, {"1": "yes"}, metrics=("token_f1",))
    with viewed(runs, monkeypatch) as url:
        status, text, headers = asked(url, "/index.html")
        assert status == 200 and headers["Content-Type"] == "text/html; charset=utf-8" and 'data-live="1"' in text
        assert headers["X-Content-Type-Options"] == "nosniff" and headers["Cache-Control"] == "no-store"
        assert asked(url, "/assets/report.js", method="HEAD")[:2] == (200, "")
        for path in (
            "/../report.json",
            "/report.json",
            "/%2e%2e/%2e%2e/etc/passwd",
            "//etc/passwd",
            "/data",
            "/x.html",
        ):
            assert asked(url, path)[0] == 404, path
        assert asked(url, "/index.html?version=99")[0] == 404
        assert asked(url, "/", method="POST")[0] == 501
        port = urlsplit(url).port
        for host in (f"evil.example:{port}", "evil.example", "127.0.0.1.evil.example", "[::1", ""):
            status, text, _ = asked(url, "/", host=host or "x@evil.example")
            assert status == 421 and "this machine only" in text, host
        assert asked(url, "/", host=f"localhost:{port}")[0] == 200


@pytest.mark.parametrize("stop", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_it_and_leaves_nothing(tmp_path: Path, stop: signal.Signals) -> None:
    made.make_run(tmp_path / "runs", {"1": "yes"}, metrics=("token_f1",))
    temporary = tmp_path / "tmp"
    temporary.mkdir()
    process = subprocess.Popen(
        [sys.executable, "-m", "medbench", "view", "--port", "0"],
        cwd=tmp_path, stderr=subprocess.PIPE, text=True, env={"TMPDIR": str(temporary), "PATH": "/usr/bin:/bin"},
    )  # fmt: skip
    assert process.stderr is not None
    assert process.stderr.readline() == "Writing the report …\n"
    said = process.stderr.readline()
    (url,) = re.findall(r"^Open (http://127\.0\.0\.1:\d+)  \(Ctrl-C ends it\)$", said.strip())
    assert asked(url, "/")[0] == 200 and list(temporary.iterdir())
    process.send_signal(stop)
    assert process.communicate(timeout=20)[1] == "\nEnded.\n"
    assert process.returncode == 0 and not list(temporary.iterdir())


def test_mistakes_are_explained(tmp_path: Path) -> None:
    made.make_run(tmp_path / "runs", {"1": "yes"}, metrics=("token_f1",))
    for words, said in (
        ((tmp_path / "none",), "there is no folder"),
        ((tmp_path / "runs", "-m", "tini"), "Did you mean tiny?"),
        ((tmp_path / "runs", "--port", "70000"), "70000"),
    ):
        result = CliRunner().invoke(cli, ["view", *map(str, words)])
        assert result.exit_code == 2 and said in result.output, result.output


def test_a_report_on_disk_does_not_look_for_news(tmp_path: Path) -> None:
    made.make_run(tmp_path / "runs", {"1": "yes"}, metrics=("token_f1",))
    index = medbench.write_report(medbench.load_runs(tmp_path / "runs"), tmp_path / "site").index
    assert "live.js" not in index.read_text("utf-8")
