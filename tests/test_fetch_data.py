"""Official files from a site on 127.0.0.1 that breaks off, refuses, waits and lies; `medbench fetch data` and `run`."""

from __future__ import annotations

import base64
import email.utils
import hashlib
import io
import json
import os
import re
import resource
import shutil
import signal
import subprocess
import sys
import threading
import time
import zipfile
from collections.abc import Iterator
from pathlib import Path

import fake_hub
import hub_trouble
import medbench as medbench_package
import pytest
from click.testing import CliRunner, Result
from medbench.benchmarks import liveqa, medmcqa, medquad, pubmedqa
from medbench.benchmarks.sources.files import Source
from medbench.benchmarks.sources.official import downloadable
from medbench.cli import cli
from medbench.core import official, paths
from medbench.core.download import DownloadRefused, DownloadUnreachable
from medbench.core.errors import DataMissing, MedbenchError, UsageError
from medbench.core.official import Download, DownloadProgress
from medbench.core.text import size
from medbench.core.types import Item, ItemSet
from medbench.results.agreement import liveqa_grades
from site_server import Reply, Site, serve

CONTENT = bytes(range(256)) * 400  # 102,400 bytes
ADDRESS = "https://files.example/owner/exam.bin"
PATH = "/files.example/owner/exam.bin"  # what the mirror is asked for
EXAM = Download("exam/exam.bin", ADDRESS, hashlib.sha256(CONTENT).hexdigest(), len(CONTENT))
CUT = 1000


@pytest.fixture
def site(monkeypatch: pytest.MonkeyPatch) -> Iterator[Site]:
    with serve({PATH: CONTENT}) as site:
        monkeypatch.setenv("MEDBENCH_MIRROR", site.url)
        yield site


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("MEDBENCH_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache" / "data"


@pytest.fixture(autouse=True)
def waits(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The seconds that were waited for, in order; nobody really waits."""
    found: list[float] = []
    monkeypatch.setattr(time, "sleep", found.append)
    monkeypatch.setattr(official, "_unreachable", {})
    return found


class Lines(DownloadProgress):
    """What would be said."""

    def __init__(self) -> None:
        self.lines: list[str] = []

    def tell(self, line: str) -> None:
        self.lines.append(line)


def fetch(cache: Path, file: Download = EXAM) -> Lines:
    watch = Lines()
    assert official.fetch(file, cache, watch) is True
    return watch


def left(cache: Path) -> list[str]:
    """The files below the cache's data folder beside locks."""
    return sorted(
        str(path.relative_to(cache)) for path in cache.rglob("*") if path.is_file() and ".lock" not in path.name
    )


class TestOneFile:
    def test_it_is_put_into_its_folder_and_not_fetched_again(self, site: Site, cache: Path) -> None:
        assert fetch(cache).lines == [f"fetching exam/exam.bin (0.1 MB) from {site.url}{PATH}"]
        assert (cache / EXAM.name).read_bytes() == CONTENT
        assert left(cache) == ["exam/exam.bin"]
        assert official.fetch(EXAM, cache, DownloadProgress()) is False
        assert site.asked == [(PATH, None)]

    def test_a_damaged_file_is_fetched_again(self, site: Site, cache: Path) -> None:
        fetch(cache)
        (cache / EXAM.name).write_bytes(CONTENT[:-1] + b"!")
        fetch(cache)
        assert (cache / EXAM.name).read_bytes() == CONTENT

    def test_a_connection_that_ends_is_resumed_where_it_ended(self, site: Site, cache: Path) -> None:
        site.script = [Reply(cut=CUT), Reply(cut=5 * CUT)]
        told = fetch(cache)
        assert told.lines[1:] == [
            "127.0.0.1: the connection ended at 1,000 of 102,400 bytes; continuing after 1.0 kB",
            "127.0.0.1: the connection ended at 5,000 of 102,400 bytes; continuing after 5.0 kB",
        ]
        assert site.ranges == [None, "bytes=1000-", "bytes=5000-"]
        assert (cache / EXAM.name).read_bytes() == CONTENT

    def test_a_server_without_ranges_is_begun_again(self, site: Site, cache: Path) -> None:
        site.script = [Reply(cut=CUT), Reply(ranges=False)]
        fetch(cache)
        assert (cache / EXAM.name).read_bytes() == CONTENT

    def test_a_download_that_does_not_get_on_is_kept_and_the_next_call_resumes_it(
        self, site: Site, cache: Path, waits: list[float]
    ) -> None:
        site.script = [Reply(cut=CUT)] * 5
        with pytest.raises(MedbenchError, match="broke off after 1,000 bytes") as told:
            official.fetch(EXAM, cache, DownloadProgress())
        assert told.value.hint == "The same command continues from there."
        assert waits == [0.0, 1.0, 2.0, 4.0]
        assert left(cache) == ["exam/.exam.bin.part", "exam/.exam.bin.part.json"]
        fetch(cache)
        assert site.ranges[-1] == "bytes=1000-"
        assert left(cache) == ["exam/exam.bin"]

    def test_a_kept_part_that_is_damaged_is_begun_again(self, site: Site, cache: Path) -> None:
        site.script = [Reply(cut=CUT)] * 5
        with pytest.raises(MedbenchError):
            official.fetch(EXAM, cache, DownloadProgress())
        (cache / "exam" / ".exam.bin.part").write_bytes(b"\0" * CUT)  # as after a power cut
        assert "starting over" in fetch(cache).lines[-1]
        assert site.ranges[-2:] == ["bytes=1000-", None]
        assert (cache / EXAM.name).read_bytes() == CONTENT

    def test_a_connection_that_is_reset_is_tried_again(self, site: Site, cache: Path, waits: list[float]) -> None:
        site.script = [Reply(reset=True), Reply(reset=True)]
        told = fetch(cache)
        assert waits == [1.0, 2.0]
        assert sum("127.0.0.1" in line and "trying again in" in line for line in told.lines) == 2

    @pytest.mark.parametrize("status", [429, 503])
    def test_a_busy_server_is_waited_for_as_long_as_it_asks(
        self, status: int, site: Site, cache: Path, waits: list[float]
    ) -> None:
        site.script = [Reply(status, {"Retry-After": "7"}), Reply(status)]
        told = fetch(cache)
        assert waits == [7.0, 2.0]  # without the header, as for any second failure
        assert f"{status} " in told.lines[1] and "trying again in 7 s" in told.lines[1]

    def test_a_server_may_name_a_time(self, site: Site, cache: Path, waits: list[float]) -> None:
        site.script = [Reply(429, {"Retry-After": email.utils.formatdate(time.time() + 30, usegmt=True)})]
        fetch(cache)
        assert 25 < waits[0] <= 30

    def test_a_server_that_asks_for_an_hour_is_not_waited_for(
        self, site: Site, cache: Path, waits: list[float]
    ) -> None:
        site.script = [Reply(429, {"Retry-After": "3600"})]
        with pytest.raises(MedbenchError, match="asks to wait 3600 s"):
            official.fetch(EXAM, cache, DownloadProgress())
        assert waits == []

    def test_a_server_that_stays_busy_is_given_up(self, site: Site, cache: Path, waits: list[float]) -> None:
        site.script = [Reply(503)] * 9
        with pytest.raises(DownloadRefused, match="503") as told:
            official.fetch(EXAM, cache, DownloadProgress())
        assert "later" in told.value.hint
        assert len(site.asked) == 4

    @pytest.mark.parametrize("status", [401, 403, 404, 410])
    def test_a_refusal_is_final(self, status: int, site: Site, cache: Path) -> None:
        site.script = [Reply(status)] * 9
        with pytest.raises(DownloadRefused, match=str(status)):
            official.fetch(EXAM, cache, DownloadProgress())
        assert len(site.asked) == 1

    @pytest.mark.parametrize(
        ("body", "said"),
        [
            (CONTENT[::-1], "received 102,400 other bytes"),
            (CONTENT[:-1], "received 102,399 other bytes"),
            (b"<!DOCTYPE html><title>Log in to the guest network</title>", "received a web page"),
            (b"", "received 0 other bytes"),
        ],
    )
    def test_another_content_is_refused_and_not_kept(self, body: bytes, said: str, site: Site, cache: Path) -> None:
        site.script = [Reply(body=body)] * 9
        with pytest.raises(MedbenchError, match=r"did not send the official exam/exam\.bin") as told:
            official.fetch(EXAM, cache, DownloadProgress())
        assert said in told.value.message
        assert left(cache) == []
        assert len(site.asked) == 1

    def test_where_nothing_listens_it_is_said_once_and_quickly(
        self, cache: Path, monkeypatch: pytest.MonkeyPatch, waits: list[float]
    ) -> None:
        with serve({}) as gone:
            pass
        monkeypatch.setenv("MEDBENCH_MIRROR", gone.url)
        for _ in range(2):
            with pytest.raises(
                DownloadUnreachable, match=f"127.0.0.1:{gone.url[-5:]} cannot be reached from here"
            ) as told:
                official.fetch(EXAM, cache, DownloadProgress())
        assert "HTTPS_PROXY" in told.value.hint and "MEDBENCH_MIRROR" in told.value.hint
        assert waits == []

    def test_keys_are_not_printed(self, site: Site, cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        site.script = [Reply(302, {"Location": "/elsewhere?X-Amz-Signature=5ec4e7"})]
        monkeypatch.setenv("MEDBENCH_MIRROR", site.url.replace("//", "//me:pa%20ss@"))
        watch = Lines()
        with pytest.raises(DownloadRefused) as told:
            official.fetch(EXAM, cache, watch)
        first, second = site.headers
        assert first["authorization"] == "Basic " + base64.b64encode(b"me:pa ss").decode()
        assert "authorization" not in second  # where one is redirected to is not sent the login
        said = str([*watch.lines, told.value, *(path.read_text() for path in cache.rglob("*.json"))])
        assert site.url in said
        assert not re.search("5ec4e7|pa ss|pa%20ss|me:", said)

    def test_the_proxy_of_the_environment_is_used(
        self, site: Site, cache: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("MEDBENCH_MIRROR", "http://mirror.example/x")
        monkeypatch.setenv("http_proxy", site.url)
        monkeypatch.delenv("no_proxy", raising=False)
        monkeypatch.delenv("NO_PROXY", raising=False)
        site.files = {f"http://mirror.example/x{PATH}": CONTENT}
        fetch(cache)
        assert site.asked == [(f"http://mirror.example/x{PATH}", None)]

    @pytest.mark.parametrize("mirror", ["mirror.example/files", "file:///mirror", "/mirror", "http://", "http://[x"])
    def test_a_mirror_that_is_no_address_is_wrong_usage(
        self, mirror: str, cache: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("MEDBENCH_MIRROR", mirror)
        with pytest.raises(UsageError, match="MEDBENCH_MIRROR is not an address"):
            official.fetch(EXAM, cache, DownloadProgress())


class TestDisk:
    def test_too_little_room_is_said_before_anything_is_asked(
        self, site: Site, cache: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(shutil, "disk_usage", lambda path: shutil._ntuple_diskusage(1, 1, 50_000))
        with pytest.raises(MedbenchError, match=r"it needs 0.1 MB, but only 50.0 kB are free") as told:
            official.fetch(EXAM, cache, DownloadProgress())
        assert "MEDBENCH_CACHE" in told.value.hint
        assert site.asked == []

    def test_a_disk_that_fills_up_keeps_what_was_written(self, site: Site, cache: Path) -> None:
        limits = resource.getrlimit(resource.RLIMIT_FSIZE)
        resource.setrlimit(resource.RLIMIT_FSIZE, (50_000, limits[1]))  # a write beyond fails as on a full disk
        try:
            with pytest.raises(MedbenchError, match=r"exam/exam.bin cannot be written below .*: File too large"):
                official.fetch(EXAM, cache, DownloadProgress())
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, limits)
        assert len(site.asked) == 1  # the network is not blamed
        fetch(cache)
        assert site.ranges[-1] is not None
        assert (cache / EXAM.name).read_bytes() == CONTENT

    def test_a_cache_that_cannot_be_written(self, site: Site, cache: Path) -> None:
        cache.parent.mkdir()
        cache.write_text("a file where the folder should be")
        with pytest.raises(MedbenchError, match="Not a directory") as told:
            official.fetch(EXAM, cache, DownloadProgress())
        assert "MEDBENCH_CACHE" in told.value.hint

    @pytest.mark.skipif(os.geteuid() == 0, reason="root may write anywhere")
    def test_a_read_only_cache_is_read(self, site: Site, cache: Path) -> None:
        fetch(cache)
        (cache / "exam").chmod(0o555)
        try:
            assert official.fetch(EXAM, cache, DownloadProgress()) is False
            other = Download("exam/other.bin", ADDRESS, EXAM.sha256, EXAM.size)
            with pytest.raises(MedbenchError, match="Permission denied"):
                official.fetch(other, cache, DownloadProgress())
        finally:
            (cache / "exam").chmod(0o755)


SCRIPT = f"""
import signal, sys
from pathlib import Path
from medbench.core import official
signal.signal(signal.SIGINT, signal.default_int_handler)
class Watch(official.DownloadProgress):
    def tell(self, line): print(line, flush=True)
official.fetch(official.{EXAM!r}, Path(sys.argv[1]), Watch())
"""


class TestProcesses:
    def started(self, cache: Path) -> subprocess.Popen[str]:
        return subprocess.Popen([sys.executable, "-c", SCRIPT, str(cache)], stdout=subprocess.PIPE, text=True)

    @pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGINT])
    def test_a_process_that_is_stopped_is_resumed_by_the_next(self, how: int, site: Site, cache: Path) -> None:
        hold = threading.Event()
        site.script = [Reply(wait=hold)]
        process = self.started(cache)
        part = cache / "exam" / ".exam.bin.part"
        while not (part.exists() and part.stat().st_size):  # half of the file is sent, then nothing
            assert process.poll() is None
            threading.Event().wait(0.01)
        process.send_signal(how)
        said, _ = process.communicate(timeout=60)
        hold.set()
        if how == signal.SIGINT:
            assert re.search(r"stopped after .* kB of .*; the same command continues from there", said)
        kept = part.stat().st_size
        assert 0 < kept < len(CONTENT)
        fetch(cache)
        assert site.ranges == [None, f"bytes={kept}-"]
        assert left(cache) == ["exam/exam.bin"]

    def test_two_at_once_fetch_once(self, site: Site, cache: Path) -> None:
        hold = threading.Event()
        site.script = [Reply(wait=hold)]
        first = self.started(cache)
        assert site.arrived.wait(60)
        second = self.started(cache)
        assert second.stdout is not None
        assert second.stdout.readline() == "waiting for another medbench process to fetch exam.bin\n"
        hold.set()
        assert [process.wait(60) for process in (first, second)] == [0, 0]
        assert len(site.asked) == 1
        assert (cache / EXAM.name).read_bytes() == CONTENT
        for process in (first, second):
            process.stdout.close()


def zipped(members: dict[str, bytes], top: str = "repo-0123abc") -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        for name, content in members.items():
            archive.writestr(f"{top}/{name}", content)
    return file.getvalue()


def packed(members: dict[str, bytes], pattern: str) -> Download:
    """A release that its server packs anew each time: the hash, written out, over names and contents in order."""
    lines = (f"{name}\0{hashlib.sha256(members[name]).hexdigest()}\n" for name in sorted(members))
    return Download("exam/e.zip", ADDRESS, hashlib.sha256("".join(lines).encode()).hexdigest(), 1000, members=pattern)


class TestPackedAnew:
    members = {"1_A/a.xml": b"<a/>", "1_A/b.xml": b"<b/>", "2_B/a.xml": b"<c/>"}  # noqa: RUF012  # not changed

    @pytest.mark.parametrize("top", ["repo-0123abc", "repo-master"])
    def test_the_hash_is_of_names_and_contents_and_not_of_the_packing(self, top: str, site: Site, cache: Path) -> None:
        site.files[PATH] = zipped(dict(reversed(self.members.items())), top)
        fetch(cache, packed(self.members, "[12]_*"))
        with zipfile.ZipFile(cache / "exam" / "e.zip") as archive:
            assert archive.namelist() == [f"{top}/{name}" for name in self.members]
        assert official.fetch(packed(self.members, "[12]_*"), cache, DownloadProgress()) is False

    def test_members_that_the_hash_does_not_cover_are_not_kept(self, site: Site, cache: Path) -> None:
        site.files[PATH] = zipped(self.members | {"3_C/forged.xml": b"<forged/>", "x/1_A/forged.xml": b"<forged/>"})
        fetch(cache, packed(self.members, "[12]_*"))
        with zipfile.ZipFile(cache / "exam" / "e.zip") as archive:
            assert [name for name in archive.namelist() if "forged" in name] == []

    @pytest.mark.parametrize(
        "content",
        [
            zipped({**members, "1_A/a.xml": b"<forged/>"}),
            zipped({**members, "1_A/forged.xml": b"<forged/>"}),
            zipped({"1_A/a.xml": b"<a/>"}),
            zipped(members)[:-30],
            b"not a zip",
        ],
        ids=["changed", "added", "missing", "cut", "other"],
    )
    def test_another_content_is_refused(self, content: bytes, site: Site, cache: Path) -> None:
        site.files[PATH] = content
        with pytest.raises(MedbenchError, match=r"did not send the official exam/e\.zip"):
            official.fetch(packed(self.members, "[12]_*"), cache, DownloadProgress())
        assert left(cache) == []


@downloadable("exam", EXAM)
def load(source: Source) -> ItemSet:
    """A benchmark's loader, as anyone writes it."""
    file = source.file("exam", "exam.bin")
    if file is None:
        raise DataMissing("exam needs exam.bin.", "Ask its authors.")
    return ItemSet((Item(hashlib.sha256(file.bytes()).hexdigest(), "q"),), origin=file.origin)


class TestLoaders:
    def test_what_is_missing_is_downloaded_and_then_found_by_all(self, site: Site, cache: Path) -> None:
        found = load(Source(None, DownloadProgress()))
        assert found.items[0].id == EXAM.sha256
        assert found.origin == str(cache / "exam" / "exam.bin")
        assert load(Source()) == load(Source(cache.parent)) == found
        assert len(site.asked) == 1

    def test_the_folder_of_data_comes_first(self, site: Site, tmp_path: Path) -> None:
        load(Source(None, DownloadProgress()))
        (tmp_path / "mine" / "exam").mkdir(parents=True)
        (tmp_path / "mine" / "exam" / "exam.bin").write_bytes(b"mine")
        assert load(Source(tmp_path / "mine")).items[0].id == hashlib.sha256(b"mine").hexdigest()

    def test_without_leave_nothing_is_downloaded_and_the_command_is_named(self, site: Site) -> None:
        with pytest.raises(DataMissing) as told:
            load(Source())
        assert str(told.value).splitlines() == [
            "exam needs exam.bin.",
            "On a machine with network access: medbench fetch data exam",
            "Ask its authors.",
        ]
        assert site.asked == []

    def test_a_failed_download_says_both(self, site: Site) -> None:
        site.script = [Reply(404)]
        with pytest.raises(DataMissing) as told:
            load(Source(None, DownloadProgress()))
        assert str(told.value).splitlines() == [
            "exam needs exam.bin.",
            f"It could not be downloaded either: the server refuses {site.url}{PATH}: 404 Not Found.",
            "On a machine with network access: medbench fetch data exam",
            "Ask its authors.",
        ]

    def test_a_fetched_file_that_was_changed_is_not_used(self, site: Site, cache: Path) -> None:
        load(Source(None, DownloadProgress()))
        (cache / EXAM.name).write_bytes(b"changed")
        with pytest.raises(DataMissing, match=r"exam needs exam\.bin"):
            load(Source())
        assert load(Source(None, DownloadProgress())).items[0].id == EXAM.sha256


BENCHMARK = f"""
from medbench.benchmarks.sources.official import downloadable
from medbench.core.text import size
from medbench.core.errors import DataMissing
from medbench.core.official import Download
from medbench.core.types import Benchmark, Item, ItemSet

@downloadable("exam", {EXAM!r})
def load(source):
    file = source.file("exam", "exam.bin")
    if file is None:
        raise DataMissing("exam needs exam.bin.")
    return ItemSet((Item("1", "q", references=("a",)),), origin=file.origin)

BENCHMARK = Benchmark("exam", "1", "An exam", "c", "MIT", load, lambda item: item.question, ("token_f1",))
"""

PINNED = (liveqa.RELEASE, liveqa_grades.RELEASE, pubmedqa.LABELED_FILE, pubmedqa.TEST_FILE, medquad.RELEASE)


def test_every_address_names_a_commit_and_its_repository_is_documented() -> None:
    page = (Path(__file__).parents[1] / "docs" / "data.md").read_text(encoding="utf-8")
    for file in PINNED:
        assert "/".join(file.address.split("/")[2:5]) in page
        assert re.search(r"^https://(raw\.githubusercontent|codeload\.github)\.com/.*/[0-9a-f]{40}(/|$)", file.address)
        assert re.fullmatch("[0-9a-f]{64}", file.sha256)


def medbench(*words: object) -> Result:
    return CliRunner().invoke(cli, list(map(str, words)), catch_exceptions=False)


class TestCommand:
    @pytest.fixture
    def releases(self, site: Site, real_data: Path, monkeypatch: pytest.MonkeyPatch) -> Site:
        """The real files where a mirror of their official addresses has them, and no hub."""
        for file in PINNED:
            site.files["/" + file.address.removeprefix("https://")] = (real_data / file.name).read_bytes()
        monkeypatch.delenv("MEDBENCH_DATA", raising=False)
        monkeypatch.setenv("HF_HUB_OFFLINE", "1")
        return site

    def test_the_pinned_hashes_are_those_of_the_real_files(self, releases: Site, cache: Path) -> None:
        done = medbench("fetch", "data", "liveqa", "liveqa-grades,pubmedqa", "--json")
        assert done.exit_code == 0, done.output
        found = {each["name"]: each for each in json.loads(done.stdout)}
        assert {name: each["count"] for name, each in found.items()} == {
            "liveqa": 104,
            "liveqa-grades": 2311,
            "pubmedqa": 500,
        }
        assert found["pubmedqa"]["files"] == [
            str(cache / "pubmedqa" / name) for name in ("ori_pqal.json", "test_ground_truth.json")
        ]
        assert "fetching liveqa/TREC-2017" in done.stderr and "0.3 MB fetched" in done.stderr
        asked = len(releases.asked)
        again = medbench("fetch", "data", "liveqa", "liveqa-grades", "pubmedqa")
        assert again.exit_code == 0, again.output
        assert again.stdout.count(", here: ") == 3
        assert len(releases.asked) == asked == 4

    @pytest.mark.slow
    def test_medquad_is_the_same_from_its_archive_and_from_the_folder_of_data(
        self, releases: Site, real_data: Path
    ) -> None:
        fetched, named = medquad.load(Source(None, DownloadProgress())), medquad.load(Source(real_data))
        assert (fetched.items, fetched.shots, fetched.variant) == (named.items, named.shots, named.variant)

    def test_all_names_what_cannot_be_fetched_and_fetches_the_rest(self, releases: Site) -> None:
        done = medbench("fetch", "data", "all")
        assert done.exit_code == 1
        lines = done.stdout.splitlines()
        assert [line.split()[0] for line in lines] == [
            "liveqa",
            "medquad",
            "pubmedqa",
            "pubmedqa-pqal",
            "liveqa-grades",
        ]
        for name in ("medical-reasoning", "medmcqa", "medqa", "mmlu-med"):
            assert f"Not fetched: {name}: " in done.stderr
        assert "HF_HUB_OFFLINE is set" in done.stderr

    def test_a_run_downloads_what_it_needs(
        self, releases: Site, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.delenv("HF_HUB_OFFLINE")
        (tmp_path / "answers.jsonl").write_text('{"id": "TQ1", "text": "Noonan syndrome."}\n')
        words = ("run", "-m", f"replay:{tmp_path / 'answers.jsonl'}", "-b", "liveqa", "--out", tmp_path / "runs")
        done = medbench(*words, "--limit", 2)
        assert "fetching liveqa/TREC-2017" in done.stderr, done.output
        assert "has no data" not in done.stderr
        assert len(releases.asked) == 1

    def test_a_run_that_is_told_to_stay_offline_names_the_command(self, releases: Site, tmp_path: Path) -> None:
        (tmp_path / "answers.jsonl").write_text('{"id": "TQ1", "text": "Noonan syndrome."}\n')
        words = ("run", "-m", f"replay:{tmp_path / 'answers.jsonl'}", "-b", "liveqa", "--out", tmp_path / "runs")
        done = medbench(*words)
        assert done.exit_code == 1
        assert "liveqa has no data" in done.stderr and "medbench fetch data liveqa" in done.stderr
        assert releases.asked == []

    def test_a_data_set_of_the_hub_is_fetched_into_its_cache_and_loads_offline(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        rows = [
            {"id": f"q{n}", "question": "?", "opa": "a", "opb": "b", "opc": "c", "opd": "d", "cop": 1} for n in "12"
        ]
        (tmp_path / "set" / "data").mkdir(parents=True)
        for split in ("train", "validation"):
            text = "".join(f"{json.dumps(row)}\n" for row in rows)
            (tmp_path / "set" / "data" / f"{split}-00000-of-00001.jsonl").write_text(text)
        with hub_trouble.at(tmp_path / "hub", monkeypatch, datasets={medmcqa.HUB: tmp_path / "set"}):
            done = medbench("fetch", "data", "medmcqa")
        assert done.exit_code == 0, done.output
        assert f"2 items, here: hub:{medmcqa.HUB}@" in done.stdout
        fake_hub.use("http://127.0.0.1:9", tmp_path / "hub", monkeypatch, offline=True)
        assert medbench("fetch", "data", "medmcqa").stdout == done.stdout

    def test_a_hub_that_refuses_is_no_end_where_there_is_an_official_address(
        self, releases: Site, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        with hub_trouble.at(tmp_path / "hub", monkeypatch):  # it has no such data set
            done = medbench("fetch", "data", "pubmedqa-pqal")
        assert done.exit_code == 0, done.output
        assert "1,000 items, fetched" in done.stdout

    def test_a_file_of_ones_own_is_fetched_as_it_is_run(self, site: Site, tmp_path: Path) -> None:
        (tmp_path / "exam.py").write_text(BENCHMARK)
        done = medbench("fetch", "data", tmp_path / "exam.py")
        assert done.exit_code == 0, done.output
        assert "1 item, fetched" in done.stdout
        assert site.asked == [(PATH, None)]

    def test_a_call_from_python_downloads_too_and_its_notes_reach_the_progress(
        self, site: Site, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.delenv("HF_HUB_OFFLINE", raising=False)
        (tmp_path / "exam.py").write_text(BENCHMARK)
        (tmp_path / "answers.jsonl").write_text('{"id": "1", "text": "a"}\n')

        class Notes(medbench_package.Progress):
            def __init__(self) -> None:
                self.lines: list[str] = []

            def note(self, text: str) -> None:
                self.lines.append(text)

        notes = Notes()
        runs = medbench_package.evaluate(
            f"replay:{tmp_path / 'answers.jsonl'}", str(tmp_path / "exam.py"), out=tmp_path / "runs", progress=notes
        )
        assert (len(runs), runs.problems) == (1, ())
        assert site.asked == [(PATH, None)]
        assert any("exam.bin" in line for line in notes.lines), notes.lines

    def test_wrong_usage(self, monkeypatch: pytest.MonkeyPatch) -> None:
        typo = medbench("fetch", "data", "livqa")
        assert typo.exit_code == 2
        assert "Did you mean liveqa" in typo.stderr
        listed = medbench("fetch", "data", "nosuch").stderr
        assert "-sample" not in listed, "samples need no download"
        assert " medqa, " in listed and "liveqa-grades; or all of them: all." in listed
        assert medbench("fetch", "data").exit_code == 2
        monkeypatch.setenv("MEDBENCH_MIRROR", "mirror")
        assert medbench("fetch", "data", "medqa-sample").exit_code == 2

    def test_samples_are_here(self) -> None:
        done = medbench("fetch", "data", "medqa-sample")
        assert done.exit_code == 0
        assert "40 items, here: the medbench package" in done.stdout

    def test_help(self) -> None:
        shown = medbench("fetch", "data", "--help").stdout
        assert "medbench fetch data all" in shown and "MEDBENCH_MIRROR" in shown and "Exit codes" in shown


def test_the_fetched_folder_follows_the_cache(cache: Path) -> None:
    assert paths.releases() == cache
    assert size(266_041) == "0.3 MB" and size(11_414) == "11.4 kB" and size(2.5e9) == "2.5 GB" and size(17) == "17 B"
