"""`medbench fetch entity-model` from files and from a local server: complete, interrupted, damaged and malicious."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from made_pipeline import NAME, old_booleans, release, save
from medbench.cli import cli
from medbench.core import download
from medbench.core.errors import MedbenchError
from medbench.metrics.entities import fetching, pipelines


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    monkeypatch.setenv("MEDBENCH_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(download, "WAITS", (0.0, 0.0, 0.0))
    pipelines.find.cache_clear()
    yield tmp_path / "cache" / "entity-models"
    pipelines.find.cache_clear()


@pytest.fixture(scope="module")
def archive(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A release as scispaCy makes them: the pipeline three folders deep, its booleans written as texts."""
    folder = tmp_path_factory.mktemp("release")
    return release(old_booleans(save(folder / "pipeline")), folder / f"{NAME}-0.5.4.tar.gz", NAME)


def medbench(*words: str) -> Result:
    return CliRunner().invoke(cli, ["fetch", "entity-model", *words], catch_exceptions=False)


@dataclass
class Served:
    """A server of one file that can send too little, and may know ranges. `asked`: the Range header of each request."""

    content: bytes
    ranges: bool = True
    cut: list[int] = field(default_factory=list)  # bytes after which each of the next replies breaks off
    status: int = 0
    asked: list[str | None] = field(default_factory=list)
    address: str = ""


@pytest.fixture
def served(archive: Path) -> Iterator[Served]:
    state = Served(archive.read_bytes())

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            state.asked.append(self.headers["Range"])
            if state.status:
                self.send_error(state.status)
                return
            start = int(self.headers["Range"].removeprefix("bytes=").rstrip("-")) if self.headers["Range"] else 0
            start = start if state.ranges and self.headers["If-Range"] == '"v1"' else 0
            if start >= len(state.content):
                self.send_response(416)
                self.send_header("Content-Range", f"bytes */{len(state.content)}")
                self.end_headers()
                return
            self.send_response(206 if start else 200)
            self.send_header("ETag", '"v1"')
            self.send_header("Content-Length", str(len(state.content) - start))
            self.end_headers()
            self.wfile.write(state.content[start : state.cut.pop(0) if state.cut else None])

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
    thread.start()
    state.address = f"http://127.0.0.1:{server.server_port}/{NAME}-0.5.4.tar.gz"
    yield state
    server.shutdown()
    server.server_close()


def left(cache: Path) -> list[str]:
    """What lies in the cache beside locks."""
    return sorted(path.name for path in cache.iterdir() if path.suffix != ".lock")


def test_a_file_is_unpacked_and_used(archive: Path, cache: Path) -> None:
    done = medbench(NAME, "--from", str(archive))
    assert done.exit_code == 0, done.output
    assert f"{NAME} 0.5.4 is ready" in done.stdout
    assert f"--entity-model {NAME}" in done.stdout
    found = pipelines.find(NAME)
    assert found.folder == cache / NAME
    assert [span.text for span in pipelines.load(found)("Metformin for diabetes").ents] == ["Metformin", "diabetes"]
    assert left(cache) == [NAME]
    assert not (cache / NAME / "setup.py").exists()  # of the archive, only the pipeline


def test_what_is_here_is_not_fetched_again_unless_asked(archive: Path, served: Served) -> None:
    medbench(NAME, "--from", str(archive))
    assert "is already installed" in medbench(NAME, "--from", served.address).stdout
    assert served.asked == []
    assert "is ready" in medbench(NAME, "--from", served.address, "--again").stdout
    assert served.asked == [None]


def test_a_server_is_downloaded_from(served: Served, cache: Path) -> None:
    done = medbench(NAME, "--from", served.address)
    assert done.exit_code == 0, done.output
    assert left(cache) == [NAME]  # the archive is not kept
    assert "kB fetched" in done.stderr


def test_a_broken_connection_is_gone_on_with(served: Served, cache: Path) -> None:
    served.cut = [1000, 1500]
    assert medbench(NAME, "--from", served.address).exit_code == 0
    assert served.asked == [None, "bytes=1000-", "bytes=1500-"]
    assert left(cache) == [NAME]


def test_the_next_command_goes_on_where_this_one_stopped(served: Served, cache: Path) -> None:
    served.cut = [1000] * 5  # all but the first bring nothing: three retries
    stopped = medbench(NAME, "--from", served.address)
    assert stopped.exit_code == 1
    assert "broke off after 1,000 bytes" in stopped.stderr
    assert "the same command continues from there" in stopped.stderr.lower()
    assert left(cache) == [f".{NAME}.part", f".{NAME}.part.json"]
    assert medbench(NAME, "--from", served.address).exit_code == 0
    assert served.asked == [None, *["bytes=1000-"] * 5]


def test_a_server_without_ranges_is_begun_again(served: Served) -> None:
    served.ranges, served.cut = False, [1000]
    assert medbench(NAME, "--from", served.address).exit_code == 0
    assert served.asked == [None, "bytes=1000-"]


def test_a_whole_download_that_was_not_unpacked_is_used(served: Served, cache: Path) -> None:
    cache.mkdir(parents=True)
    download.download(served.address, cache / f".{NAME}.part", lambda done, total: None)
    assert medbench(NAME, "--from", served.address).exit_code == 0
    assert served.asked == [None, f"bytes={len(served.content)}-"]


def test_a_part_of_another_address_is_not_gone_on_with(served: Served) -> None:
    served.cut = [1000] * 5
    medbench(NAME, "--from", served.address + "?old")
    assert medbench(NAME, "--from", served.address).exit_code == 0
    assert served.asked[-1] is None


def test_a_refusal_is_told_with_the_address(served: Served) -> None:
    served.status = 404
    told = medbench(NAME, "--from", served.address)
    assert told.exit_code == 1
    assert "404" in told.stderr and served.address in told.stderr and "--from FILE" in told.stderr
    assert served.asked == [None]  # a refusal is not asked again


def test_where_nothing_answers_the_way_by_hand_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    closed = ThreadingHTTPServer(("127.0.0.1", 0), BaseHTTPRequestHandler)
    closed.server_close()
    monkeypatch.delenv("MEDBENCH_MIRROR", raising=False)
    monkeypatch.setattr(pipelines, "_URL", f"http://127.0.0.1:{closed.server_port}/{{name}}-{{release}}.tar.gz")
    told = medbench("en_core_sci_sm")
    assert told.exit_code == 1
    assert "cannot be reached from here" in told.stderr
    assert "medbench fetch entity-model en_core_sci_sm --from FILE" in told.stderr
    assert f"127.0.0.1:{closed.server_port}/en_core_sci_sm-0.5.4.tar.gz" in told.stderr


def test_a_server_that_never_answers_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(download, "CONNECT_SECONDS", 0.2)
    deaf = ThreadingHTTPServer(("127.0.0.1", 0), BaseHTTPRequestHandler)  # listens, and is never served
    told = medbench(NAME, "--from", f"http://127.0.0.1:{deaf.server_port}/x.tar.gz")
    deaf.server_close()
    assert told.exit_code == 1
    assert "no answer within" in told.stderr


@pytest.mark.parametrize("damage", ["short", "flipped", "text"])
def test_a_damaged_archive_leaves_nothing(damage: str, archive: Path, tmp_path: Path, cache: Path) -> None:
    whole = archive.read_bytes()
    middle = len(whole) // 2
    content = {
        "short": whole[:middle],
        "flipped": whole[:middle] + bytes([whole[middle] ^ 255]) + whole[middle + 1 :],
        "text": b"<html>sorry</html>",
    }
    (tmp_path / "bad.tar.gz").write_bytes(content[damage])
    told = medbench(NAME, "--from", str(tmp_path / "bad.tar.gz"))
    assert told.exit_code == 1
    assert "is not a complete .tar.gz" in told.stderr
    assert left(cache) == []


def test_a_damaged_download_is_fetched_anew(served: Served, cache: Path) -> None:
    whole, served.content = served.content, b"x" * len(served.content)
    assert medbench(NAME, "--from", served.address).exit_code == 1
    assert left(cache) == []
    served.content = whole
    assert medbench(NAME, "--from", served.address).exit_code == 0
    assert served.asked == [None, None]


@pytest.mark.parametrize("path", ["../outside", "/outside", "a/../../outside"])
def test_an_archive_that_reaches_outside_is_refused(path: str, tmp_path: Path, cache: Path) -> None:
    evil = release(save(tmp_path / "p"), tmp_path / "evil.tar.gz", NAME, **{path: b"!"})
    told = medbench(NAME, "--from", str(evil))
    assert told.exit_code == 1
    assert "outside its folder" in told.stderr
    assert left(cache) == []


def test_an_archive_without_a_pipeline_is_told(tmp_path: Path, cache: Path) -> None:
    folder = tmp_path / "p"
    save(folder)
    (folder / "config.cfg").unlink()
    told = medbench(NAME, "--from", str(release(folder, tmp_path / "none.tar.gz", NAME)))
    assert told.exit_code == 1
    assert "contains no spaCy pipeline" in told.stderr
    assert left(cache) == []


def test_a_pipeline_that_does_not_load_is_not_kept(archive: Path, tmp_path: Path, cache: Path) -> None:
    medbench(NAME, "--from", str(archive))
    mute = release(save(tmp_path / "mute", ner=False), tmp_path / "mute.tar.gz", NAME)
    told = medbench(NAME, "--again", "--from", str(mute))
    assert told.exit_code == 1
    assert "finds no entities" in told.stderr
    assert [span.text for span in pipelines.load(pipelines.find(NAME))("a rash").ents] == ["rash"]  # the old one stands


def test_a_release_of_another_name_is_told(archive: Path) -> None:
    told = medbench("en_core_sci_sm", "--from", str(archive))
    assert told.exit_code == 1
    assert "holds 'en_entities', not 'en_core_sci_sm'" in told.stderr or "holds 'en_" in told.stderr


def test_wrong_usage_is_exit_code_2(tmp_path: Path) -> None:
    typo = medbench("en_core_sci_smm")
    assert typo.exit_code == 2
    assert "Did you mean en_core_sci_sm" in typo.stderr
    assert "en_ner_bc5cdr_md" in typo.stderr
    assert medbench("../x").exit_code == 2
    assert medbench(NAME, "--from", str(tmp_path / "nowhere.tar.gz")).exit_code == 2
    folder = medbench(NAME, "--from", str(tmp_path))
    assert folder.exit_code == 2
    assert f"--entity-model {tmp_path}" in folder.stderr


def test_the_embedded_one_needs_no_fetching(cache: Path) -> None:
    done = medbench("medbench_bc5cdr")
    assert done.exit_code == 0
    assert "built in" in done.stderr


def test_a_full_disk_is_told(archive: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(fetching, "unpack", full)
    with pytest.raises(MedbenchError, match="No space left on device") as told:
        fetching.fetch(NAME, str(archive), lambda done, total: None)
    assert "MEDBENCH_CACHE" in told.value.hint


def test_help_shows_examples() -> None:
    shown = medbench("--help").stdout
    assert "medbench fetch entity-model en_core_sci_sm" in shown
    assert "Exit codes" in shown
