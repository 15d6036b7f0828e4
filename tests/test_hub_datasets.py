"""Data sets from a hub with faults, and damaged copies of them in the caches."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import hub_trouble
import pytest
from medbench.benchmarks.sources.files import HubRows, Source
from medbench.core import hub, official
from medbench.core.errors import DataMalformed, DataMissing, MedbenchError

FILE = "test-00000-of-00001.parquet"
ROWS = [{"question": f"Which drug treats case {n}?", "answer": n % 4} for n in range(4000)]


class Told(official.DownloadProgress):
    def __init__(self) -> None:
        self.lines: list[str] = []

    def tell(self, line: str) -> None:
        self.lines.append(line)


@pytest.fixture(scope="module")
def exam(tmp_path_factory: pytest.TempPathFactory) -> Path:
    import pyarrow as arrow
    from pyarrow import parquet

    folder = tmp_path_factory.mktemp("exam")
    (folder / "data").mkdir()
    (folder / "README.md").write_text("---\nlicense: mit\n---\nAn exam.\n")
    parquet.write_table(arrow.Table.from_pylist(ROWS), folder / "data" / FILE)
    return folder


@pytest.fixture
def home(tmp_path: Path) -> Path:
    return tmp_path / "hf"


@pytest.fixture
def server(exam: Path, home: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    with hub_trouble.at(home, monkeypatch, datasets={"owner/exam": exam}) as server:
        yield server


def get(split: str = "test") -> tuple[HubRows, list[str]]:
    told = Told()
    return Source(None, told).hub("owner/exam", split, needed="exam.jsonl"), told.lines


def refused(kind: type[MedbenchError] = DataMissing) -> tuple[MedbenchError, list[str]]:
    told = Told()
    with pytest.raises(kind) as error:
        Source(None, told).hub("owner/exam", "test", needed="exam.jsonl")
    return error.value, told.lines


def test_a_data_set_is_downloaded_once_with_its_size(server: Any) -> None:
    found, told = get()
    assert found.rows == ROWS
    assert told == ["downloading owner/exam @ 1a2b3c4 from the hub: 0.0 MB"]
    assert server.fetched.count(f"data/{FILE}") == 1
    server.fetched.clear()
    assert get() == (found, [])
    assert f"data/{FILE}" not in server.fetched


@pytest.mark.parametrize("path", ["README.md", "/tree/main", f"/data/{FILE}"])
@pytest.mark.parametrize("status", [429, 500, 503])
def test_one_busy_answer_does_not_end_a_run(server: Any, path: str, status: int) -> None:
    server.trouble = hub_trouble.refuses(status, 1, path=path)
    found, _ = get()
    assert found.rows == ROWS


@pytest.mark.parametrize("path", ["README.md", f"/data/{FILE}", ""])
def test_a_hub_that_stays_busy_is_named_with_its_status_and_its_words(server: Any, path: str) -> None:
    server.trouble = hub_trouble.refuses(503, path=path, headers={"X-Error-Message": "back at noon"})
    error, told = refused()
    assert error.message == (
        "no data folder with exam.jsonl was named, and dataset 'owner/exam' could not be fetched from the hub: "
        f"{server.url} answers 503 Service Unavailable: back at noon (4 attempts)."
    )
    assert [line.partition("; ")[2] for line in told if "again" in line] == [
        "trying again in 0.01 s",
        "trying again in 0.02 s",
        "trying again in 0.03 s",
    ]


def test_a_file_that_breaks_off_is_continued(server: Any, exam: Path, home: Path) -> None:
    size = (exam / "data" / FILE).stat().st_size
    server.trouble = hub_trouble.breaks_off(exam / "data" / FILE, size // 3)
    found, _ = get()
    assert found.rows == ROWS
    assert server.ranges[-1] == f"bytes={size // 3 * 3}-"
    assert hub_trouble.parts(home) == []


def test_storage_that_stalls_is_given_up(server: Any, exam: Path) -> None:
    server.trouble = hub_trouble.breaks_off(exam / "data" / FILE, 0, stall=2)
    error, told = refused()
    assert f"{FILE}: {server.url} sent nothing for 1 s (4 attempts)." in error.message
    assert len([line for line in told if "trying again" in line]) == 3


@pytest.mark.parametrize(
    ("status", "headers", "message"),
    [
        (
            403,
            {"X-Error-Message": "Your fine-grained token lacks repo.content.read."},
            "token lacks repo.content.read.",
        ),
        (
            403,
            {"X-Error-Message": "Please enable access to public gated repositories.", "X-Error-Code": "GatedRepo"},
            "terms first. The hub says: Please enable access to public gated repositories.",
        ),
        (401, {"X-Error-Message": "Invalid credentials in Authorization header"}, "does not accept your token."),
        (404, {"X-Error-Code": "RepoNotFound"}, "the hub has no dataset 'owner/exam' that you may read."),
        (451, {"X-Error-Message": "Withheld."}, "answers 451 Unavailable For Legal Reasons: Withheld."),
    ],
)
def test_refusals_keep_their_status_and_the_hubs_words(
    server: Any, monkeypatch: pytest.MonkeyPatch, status: int, headers: dict[str, str], message: str
) -> None:
    monkeypatch.setenv("HF_TOKEN", "hf_abc123")
    server.trouble = hub_trouble.refuses(status, headers=headers)
    error, _ = refused()
    assert message in error.message
    for noise in ("Request ID", "Couldn't find any data file", "Dry run", "hf_abc123"):
        assert noise not in str(error)


def test_a_data_set_without_data_files_is_told_as_that(server: Any, tmp_path: Path) -> None:
    empty = tmp_path / "empty"
    empty.mkdir()
    (empty / "README.md").write_text("nothing here")
    server.datasets = {"owner/exam": empty}
    error, _ = refused()
    assert "doesn't contain any data files" in error.message


def test_a_split_that_is_not_there_is_named(server: Any) -> None:
    with pytest.raises(DataMissing, match='owner/exam on the hub: Unknown split "dev"'):
        get("dev")


def _blob(home: Path) -> Path:
    """The parquet file in the hub's cache."""
    return next((home / "hub" / "datasets--owner--exam" / "snapshots").rglob(FILE)).resolve()


def _prepared_copy(home: Path) -> Path:
    return next((home / "datasets").rglob("*.arrow"))


def _cut(content: bytes) -> bytes:
    return content[: len(content) // 2]


def _zeros(content: bytes) -> bytes:
    return bytes(len(content))


def _zeros_inside(content: bytes) -> bytes:
    third = len(content) // 3
    return content[:third] + bytes(third) + content[2 * third :]


@pytest.mark.parametrize("spoil", [_cut, _zeros, _zeros_inside, lambda content: b""])
def test_a_damaged_file_in_the_hubs_cache_is_downloaded_again(server: Any, home: Path, spoil: Any) -> None:
    import shutil

    get()
    _blob(home).write_bytes(spoil(_blob(home).read_bytes()))
    shutil.rmtree(home / "datasets")  # what was prepared of it
    found, told = get()
    assert found.rows == ROWS
    assert told[0] == f"data/{FILE} of owner/exam in the hub's cache is damaged; downloading it again"


@pytest.mark.parametrize("spoil", [_cut, _zeros, lambda content: b"", lambda content: b"not arrow" * 1000])
def test_a_damaged_prepared_copy_is_prepared_again_and_offline_says_what_to_delete(
    server: Any, home: Path, spoil: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    get()
    copy = _prepared_copy(home)
    copy.write_bytes(spoil(copy.read_bytes()))
    with monkeypatch.context() as offline:
        offline.setattr(hub, "reachable", lambda: False)
        error, _ = refused(DataMalformed)
    assert error.message.startswith("the copy of owner/exam in the cache of datasets is damaged: exam-test.arrow ")
    assert error.hint.startswith("Run this once with network access to prepare it again.")
    assert error.hint.endswith(str(copy.parent))
    found, told = get()
    assert found.rows == ROWS
    assert told == [
        f"the copy of owner/exam in {copy.parent} is damaged (exam-test.arrow was changed); preparing it again"
    ]


def test_a_full_disk_is_told_as_that(server: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    import errno
    import os

    from medbench.core import hub_download

    def full(out: Any, chunk: bytes) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(hub_download, "_write", full)
    error, _ = refused()
    assert "dataset 'owner/exam' cannot be written to the hub's cache (the disk is full): " in error.message
    assert "HF_HOME" in error.hint
