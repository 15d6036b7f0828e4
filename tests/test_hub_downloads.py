"""Downloads from a hub with faults: stalls, breaks, busy servers, refusals, full and read-only disks."""

from __future__ import annotations

import errno
import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import fake_hub
import hub_trouble
import pytest
import tiny
from medbench.core import hub, hub_client
from medbench.core.errors import ModelMissing
from medbench.core.types import ModelSpec
from medbench.zoo.resolve import resolve

WEIGHTS = "model.safetensors"


@pytest.fixture(scope="module")
def llama(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny.save(tmp_path_factory.mktemp("models") / "tiny-llama", "llama")


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("MEDBENCH_CACHE", str(tmp_path / "cache"))
    return tmp_path / "hf"


@pytest.fixture
def server(llama: Path, home: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    with hub_trouble.at(home, monkeypatch, {"owner/tiny": llama}) as server:
        yield server


def get() -> tuple[ModelSpec, list[str]]:
    """The model, and the lines that were told."""
    told: list[str] = []
    return resolve("owner/tiny", tell=told.append), told


def refused() -> tuple[ModelMissing, list[str]]:
    told: list[str] = []
    with pytest.raises(ModelMissing) as error:
        resolve("owner/tiny", tell=told.append)
    return error.value, told


def same(spec: ModelSpec, llama: Path) -> bool:
    return Path(spec.location, WEIGHTS).read_bytes() == (llama / WEIGHTS).read_bytes()


# --- storage that stalls or breaks off


def test_xet_storage_is_not_needed(server: Any, llama: Path, home: Path) -> None:
    """The hub announces Xet storage that accepts connections and says nothing; its plain download is used."""
    with socket.create_server(("127.0.0.1", 0)) as silent:
        xet = f"http://127.0.0.1:{silent.getsockname()[1]}"
        server.more = {"X-Xet-Hash": "0" * 64, "X-Xet-Cas-Url": xet, "X-Xet-Refresh-Route": f"{xet}/token"}
        spec, told = get()
    assert same(spec, llama)
    assert len(told) == 1 and told[0].startswith("fetching owner/tiny @ 1a2b3c4 from the hub: ")


def test_a_stall_in_the_middle_of_a_file_is_announced_and_resumed(server: Any, llama: Path, home: Path) -> None:
    server.trouble = hub_trouble.breaks_off(llama / WEIGHTS, 100_000, times=1, stall=3)
    spec, told = get()
    assert same(spec, llama)
    assert server.ranges[-2:] == ["", "bytes=100000-"]
    assert f"{WEIGHTS}: {server.url} sent nothing for 1 s; 0.1 of 0." in told[1]
    assert hub_trouble.parts(home) == []


def test_storage_that_only_stalls_is_given_up_and_what_came_is_kept(server: Any, llama: Path, home: Path) -> None:
    server.trouble = hub_trouble.breaks_off(llama / WEIGHTS, 0, stall=2)
    error, told = refused()
    assert error.message == (
        "model 'owner/tiny' could not be fetched from the hub: "
        f"{WEIGHTS}: {server.url} sent nothing for 1 s (4 attempts)."
    )
    assert len([line for line in told if "trying again" in line]) == 3


def test_a_line_that_breaks_again_and_again_is_continued_as_long_as_bytes_come(
    server: Any, llama: Path, home: Path
) -> None:
    server.trouble = hub_trouble.breaks_off(llama / WEIGHTS, 20_000, times=8)
    spec, _ = get()
    assert same(spec, llama)
    assert server.ranges[-9:] == ["", *(f"bytes={n * 20_000}-" for n in range(1, 9))]


def test_a_broken_download_is_continued_by_the_next_process_and_leaves_nothing_behind(
    server: Any, llama: Path, home: Path
) -> None:
    server.trouble = hub_trouble.breaks_off(llama / WEIGHTS, 0, times=10)
    first = hub_trouble.breaks_off(llama / WEIGHTS, 130_000, times=1)
    after = server.trouble
    server.trouble = lambda request: first(request) or after(request)
    _, told = refused()
    assert told[-1].startswith("0.1 of 0.") and told[-1].endswith(
        "of owner/tiny kept; the same command continues from there"
    )
    assert [part.stat().st_size for part in hub_trouble.parts(home)] == [130_000]

    server.trouble = lambda request: False
    spec, _ = get()
    assert same(spec, llama) and server.ranges[-1] == "bytes=130000-"
    assert hub_trouble.parts(home) == []


def _left_behind(home: Path, llama: Path, suffix: str, content: bytes) -> Path:
    etag = fake_hub._oid(llama / WEIGHTS)
    part = home / "hub" / "models--owner--tiny" / "blobs" / f"{etag}{suffix}.incomplete"
    part.parent.mkdir(parents=True, exist_ok=True)
    part.write_bytes(content)
    return part


def test_a_part_that_the_hubs_own_client_left_when_it_was_killed_is_continued(
    server: Any, llama: Path, home: Path
) -> None:
    _left_behind(home, llama, ".1234abcd", (llama / WEIGHTS).read_bytes()[:50_000])
    _left_behind(home, llama, ".99999999", b"")
    spec, _ = get()
    assert same(spec, llama) and server.ranges[-1] == "bytes=50000-"
    assert hub_trouble.parts(home) == []


def test_a_part_full_of_zeros_is_not_built_on(server: Any, llama: Path, home: Path) -> None:
    """As a power cut leaves it, or parallel writers."""
    _left_behind(home, llama, "", bytes(90_000))
    spec, told = get()
    assert same(spec, llama) and server.ranges[-2:] == ["bytes=90000-", ""]
    assert f"{WEIGHTS}: the partial file of an earlier download is damaged; starting over" in told


def test_a_part_longer_than_the_file_starts_again(server: Any, llama: Path, home: Path) -> None:
    _left_behind(home, llama, "", bytes(5_000_000))
    spec, _ = get()
    assert same(spec, llama) and server.ranges[-1] == ""


def test_a_server_without_ranges_sends_the_whole_file_again(server: Any, llama: Path, home: Path) -> None:
    _left_behind(home, llama, "", (llama / WEIGHTS).read_bytes()[:50_000])
    content = (llama / WEIGHTS).read_bytes()
    whole = hub_trouble.of(f"/{WEIGHTS}")
    server.trouble = lambda request: (
        request.command == "GET" and whole(request) and hub_trouble.answer(request, 200, content)
    )
    spec, _ = get()
    assert same(spec, llama)


def test_a_file_that_is_shorter_than_announced_is_no_model(server: Any, llama: Path, home: Path) -> None:
    short = (llama / WEIGHTS).read_bytes()[:-10]
    whole = hub_trouble.of(f"/{WEIGHTS}")
    server.trouble = lambda request: (
        request.command == "GET" and whole(request) and hub_trouble.answer(request, 200, short)
    )
    error, _ = refused()
    assert f"{WEIGHTS}: {server.url} sent less than the whole file" in error.message


# --- a busy hub


@pytest.mark.parametrize(
    ("status", "headers"),
    [
        (429, {}),
        (429, {"Retry-After": "0"}),
        (429, {"Retry-After": "Wed, 21 Oct 2015 07:28:00 GMT"}),
        (429, {"RateLimit": '"api";r=0;t=0'}),
        (500, {"Content-Type": "text/html"}),
        (502, {}),
        (503, {}),
        (504, {}),
    ],
)
@pytest.mark.parametrize("path", ["/api/models/owner/tiny", f"/{WEIGHTS}", "/config.json"])
def test_one_busy_answer_does_not_end_a_run(
    server: Any, llama: Path, status: int, headers: dict[str, str], path: str
) -> None:
    server.trouble = hub_trouble.refuses(status, 1, path=path, headers=headers, body=b"<html>busy</html>")
    spec, told = get()
    assert same(spec, llama)
    assert next(line for line in told if "again" in line).startswith(f"{server.url} answers {status} ")


def test_a_hub_that_stays_busy_is_named_with_its_status_and_its_words(server: Any) -> None:
    server.trouble = hub_trouble.refuses(503, body=hub_trouble.says("We are\nback at noon."), headers=hub_trouble.JSON)
    error, told = refused()
    assert error.message == (
        "model 'owner/tiny' could not be fetched from the hub: "
        f"{server.url} answers 503 Service Unavailable: We are back at noon. (4 attempts)."
    )
    assert told == [
        f"{server.url} answers 503 Service Unavailable: We are back at noon.; trying again in {wait} s"
        for wait in ("0.01", "0.02", "0.03")
    ]


def test_a_wait_of_an_hour_is_not_sat_out(server: Any) -> None:
    server.trouble = hub_trouble.refuses(429, headers={"Retry-After": "3600"})
    error, told = refused()
    assert error.message.endswith("answers 429 Too Many Requests (it asks to wait 3,600 s).")
    assert told == []


def test_an_error_page_is_not_printed(server: Any) -> None:
    page = b"<!DOCTYPE html><html><body>" + b"Sorry! " * 1000
    server.trouble = hub_trouble.refuses(500, body=page, headers={"Content-Type": "text/html"})
    error, _ = refused()
    assert error.message.endswith("answers 500 Internal Server Error (4 attempts).")


def test_storage_that_refuses_a_signed_address_is_named_without_the_signature(server: Any, llama: Path) -> None:
    """The hub redirects to its storage, whose address holds a key for a few minutes."""
    redirect = hub_trouble.of(f"/resolve/{fake_hub.COMMIT}/{WEIGHTS}")

    def trouble(request: Any) -> bool:
        if request.path.startswith("/cdn/"):
            text = f"no access to {server.url}/cdn/x?X-Amz-Signature=5ec4e7&Expires=1"
            return hub_trouble.answer(request, 403, text.encode(), {"Content-Type": "text/plain"})
        if request.command == "GET" and redirect(request):
            return hub_trouble.answer(request, 302, headers={"Location": "/cdn/x?X-Amz-Signature=5ec4e7&Expires=1"})
        return False

    server.trouble = trouble
    error, told = refused()
    assert f"{server.url} answers 403 Forbidden: no access to {server.url}/cdn/x" in error.message
    assert "5ec4e7" not in str(error) + " ".join(told) and "Signature" not in str(error)


@pytest.mark.parametrize(("status", "times", "why"), [(503, 1, ""), (502, 2, ""), (429, 9, ""), (403, 9, "")])
def test_a_busy_gateway_is_asked_again_before_the_hub_counts_as_away(
    server: Any, status: int, times: int, why: str
) -> None:
    server.trouble = hub_trouble.refuses(status, times, path="/")
    assert hub._refused() == why


def test_a_gateway_that_stays_busy_is_named_with_its_status(server: Any) -> None:
    server.trouble = hub_trouble.refuses(504)
    assert hub._refused() == "answers 504 Gateway Timeout"


def test_a_certificate_that_is_not_trusted_is_not_tried_again(server: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    import huggingface_hub

    library = hub_client._http_library()

    def untrusted(request: Any, **options: Any) -> None:
        raise library.ConnectError("[SSL: CERTIFICATE_VERIFY_FAILED] self-signed certificate", request=request)

    client = huggingface_hub.get_session()
    told: list[str] = []
    request = client.build_request("GET", server.url)
    with pytest.raises(hub_client.HubError, match="CERTIFICATE_VERIFY_FAILED") as error:
        hub_client._send(untrusted, request, {}, told.append)
    assert "SSL_CERT_FILE" in error.value.hint and told == []


# --- refusals


def test_a_fine_grained_tokens_403_keeps_the_hubs_explanation(server: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_TOKEN", "hf_abc123")
    said = (
        "Please enable access to public gated repositories in your fine-grained token settings to view this repository."
    )
    for path, headers in (
        ("/api/models/owner/tiny", {"X-Error-Message": said}),
        ("/config.json", {"X-Error-Message": said}),
        (f"/{WEIGHTS}", {"X-Error-Message": said, "X-Error-Code": "GatedRepo"}),
    ):
        server.trouble = hub_trouble.refuses(403, path=path, headers=headers)
        error, _ = refused()
        assert said in error.message, path
        assert "token" in error.hint.lower(), path


@pytest.mark.parametrize(
    ("status", "headers", "message"),
    [
        (401, {"X-Error-Message": "Invalid credentials in Authorization header"}, "the hub does not accept your token"),
        (403, {"X-Error-Message": "Your token lacks the scope repo.content.read"}, "lacks the scope repo.content.read"),
        (404, {"X-Error-Code": "RepoNotFound"}, "the hub has no model 'owner/tiny' that you may read."),
        (410, {"X-Error-Message": "This repository was removed."}, "answers 410 Gone: This repository was removed."),
        (451, {"X-Error-Message": "Withheld by court order."}, "451 Unavailable For Legal Reasons: Withheld by court"),
        (403, {"X-Error-Message": "Access to this resource is disabled."}, "Access to this resource is disabled."),
    ],
)
def test_refusals_keep_their_status_and_the_hubs_words(
    server: Any, monkeypatch: pytest.MonkeyPatch, status: int, headers: dict[str, str], message: str
) -> None:
    monkeypatch.setenv("HF_TOKEN", "hf_abc123")
    server.trouble = hub_trouble.refuses(status, path="/api/models/owner/tiny", headers=headers)
    error, told = refused()
    assert message in error.message
    assert told == [], "it is no use to ask again"
    assert "hf_abc123" not in str(error)


def test_a_file_that_the_hub_lists_and_does_not_have_is_named(server: Any) -> None:
    server.trouble = hub_trouble.refuses(404, path=f"/{WEIGHTS}", headers={"X-Error-Code": "EntryNotFound"})
    error, _ = refused()
    assert f"the hub has no file {server.url}/owner/tiny/resolve/{fake_hub.COMMIT}/{WEIGHTS}" in error.message


def test_a_model_in_the_cache_is_used_while_the_hub_is_busy(server: Any, llama: Path) -> None:
    get()
    server.trouble = hub_trouble.refuses(503)
    spec, told = get()
    assert same(spec, llama)
    assert told[-1] == "using owner/tiny @ 1a2b3c4 from the hub's cache"


# --- the disk


def test_a_read_only_cache_is_told_as_that(server: Any, home: Path) -> None:
    (home / "hub").mkdir(parents=True)
    (home / "hub").chmod(0o500)
    if os.access(home / "hub", os.W_OK):
        pytest.skip("root may write anywhere")
    error, _ = refused()
    assert "cannot be written to the hub's cache (you may not write there): " in error.message
    assert error.hint.endswith("another folder. What was downloaded is kept.")


def test_a_cache_that_is_a_file_is_told_as_that(server: Any, home: Path) -> None:
    home.mkdir()
    (home / "hub").touch()
    error, _ = refused()
    assert str(home / "hub") in error.message and "HF_HOME" in error.hint


def test_a_full_disk_is_told_as_that_and_what_came_is_kept(
    server: Any, llama: Path, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from medbench.core import hub_download

    write = hub_download._write

    def full(out: Any, chunk: bytes) -> None:
        if out.tell() > 60_000:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        write(out, chunk)

    with monkeypatch.context() as patched:
        patched.setattr(hub_download, "_write", full)
        error, told = refused()
    assert "cannot be written to the hub's cache (the disk is full)" in error.message
    assert told[-1].endswith("of owner/tiny kept; the same command continues from there")
    spec, _ = get()
    # How much comes at once is the network's business: the piece that passed 60,000 bytes was kept, and no other.
    kept = int(server.ranges[-1].removeprefix("bytes=").rstrip("-"))
    assert same(spec, llama) and kept > 60_000


def test_a_disk_without_room_is_told_before_the_download(server: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    import shutil

    monkeypatch.setattr(shutil, "disk_usage", lambda folder: shutil._ntuple_diskusage(10, 9, 1))
    error, _ = refused()
    assert error.message.startswith("owner/tiny takes 0 MB more; the disk of ")
    assert server.fetched == []


@pytest.mark.parametrize(
    ("number", "path", "why"),
    [
        (errno.EROFS, "/cache/hub/blobs/1", "the disk is read-only"),
        (errno.EACCES, "/cache/hub", "you may not write there"),
        (errno.ENOSPC, None, "the disk is full"),
        (errno.EDQUOT, None, "your disk quota is used up"),
        (errno.EFBIG, None, "the file is larger than this system allows"),
        (errno.ENOTDIR, "/cache/hub", "Not a directory"),
    ],
)
def test_what_the_disk_refuses_is_told_apart_from_what_the_hub_does(
    number: int, path: str | None, why: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    error = OSError(number, os.strerror(number), path)
    try:
        raise RuntimeError("An error occurred while generating the dataset") from error
    except RuntimeError as wrapped:
        said = hub.refusal(wrapped, "owner/tiny", "model")
    assert said.message.startswith(f"model 'owner/tiny' cannot be written to the hub's cache ({why}): ")
    assert "HF_HOME" in said.hint


def test_a_refused_connection_is_no_matter_of_the_disk() -> None:
    said = hub.refusal(ConnectionRefusedError(errno.ECONNREFUSED, "Connection refused"), "owner/tiny", "model")
    assert said.message == (
        f"model 'owner/tiny' could not be fetched from the hub: [Errno {errno.ECONNREFUSED}] Connection refused"
    )


# --- real processes

FETCH = """
import sys
from medbench.core import hub_client
hub_client.WAITS = (0.1, 0.1, 0.1)
from medbench.cli import cli
cli(["run", "--model", "owner/tiny", "--benchmark", "medqa-sample", "--limit", "1", "--out", sys.argv[1]])
"""


def _process(server: Any, home: Path, **settings: str) -> subprocess.Popen[str]:
    kept = {k: v for k, v in os.environ.items() if not k.startswith(("HF_", "HUGGING")) and k != "TRANSFORMERS_OFFLINE"}
    there = {"HF_ENDPOINT": server.url, "HF_HOME": str(home), "NO_PROXY": "127.0.0.1", "no_proxy": "127.0.0.1"}
    home.parent.mkdir(exist_ok=True)
    return subprocess.Popen(
        [sys.executable, "-c", FETCH, str(home.parent / "runs")],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=kept | there | {"OMP_NUM_THREADS": "1"} | settings,
        cwd=home.parent,
    )


def _until(condition: Any) -> None:
    end = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < end, "it never came to this"
        time.sleep(0.05)


def test_ctrl_c_stops_a_download_and_says_what_is_kept(server: Any, llama: Path, home: Path) -> None:
    server.trouble = hub_trouble.breaks_off(llama / WEIGHTS, 120_000, stall=30)
    process = _process(server, home)
    _until(lambda: any(part.stat().st_size == 120_000 for part in hub_trouble.parts(home)))
    process.send_signal(signal.SIGINT)
    _, said = process.communicate(timeout=30)
    assert process.returncode == 130
    assert "stopped: 0.1 of 0." in said and "of owner/tiny kept; the same command continues from there" in said
    assert "Traceback" not in said
    assert [part.stat().st_size for part in hub_trouble.parts(home)] == [120_000]


def test_a_killed_download_is_continued_by_a_new_process(server: Any, llama: Path, home: Path) -> None:
    server.trouble = hub_trouble.breaks_off(llama / WEIGHTS, 120_000, stall=30)
    process = _process(server, home)
    _until(lambda: any(part.stat().st_size == 120_000 for part in hub_trouble.parts(home)))
    process.kill()
    process.communicate()
    server.trouble = lambda request: False
    spec, _ = get()
    assert same(spec, llama) and server.ranges[-1] == "bytes=120000-"
    assert hub_trouble.parts(home) == []


def test_the_command_ends_with_one_sentence_where_the_hub_stays_busy(server: Any, llama: Path, home: Path) -> None:
    server.trouble = hub_trouble.refuses(503, path=f"/{WEIGHTS}", headers={"X-Error-Message": "storage is down"})
    process = _process(server, home)
    _, said = process.communicate(timeout=60)
    assert process.returncode == 1
    assert "answers 503 Service Unavailable: storage is down (4 attempts)." in said
    assert "Traceback" not in said and "Request ID" not in said and "Dry run" not in said
