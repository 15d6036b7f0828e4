"""Archives below --data that unpack to more than memory or disk can hold, and archives that no benchmark needs."""

from __future__ import annotations

import gzip
import io
import json
import struct
import tarfile
import tracemalloc
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import CliRunner
from medbench.benchmarks.sources import archives
from medbench.benchmarks.sources import files as sources
from medbench.benchmarks.sources.files import Source
from medbench.cli import cli
from medbench.core.errors import DataMalformed, DataMissing

MIB = 1 << 20
SPACES = b" " * MIB


@pytest.fixture(autouse=True)
def _small(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Bombs that are small enough for a test: 64 MiB from 64 KiB, a thousandfold."""
    monkeypatch.setattr(archives, "FAR_FROM_SMALL", MIB)
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    monkeypatch.setenv("MEDBENCH_CACHE", str(tmp_path / "cache"))
    monkeypatch.delenv("MEDBENCH_DATA", raising=False)


def zip_bomb(path: Path, member: str = "test.jsonl") -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive, archive.open(member, "w") as stream:
        for _ in range(64):
            stream.write(SPACES)


def tar_bomb(path: Path, member: str = "test.jsonl") -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with tarfile.open(path, "w:gz") as archive:
        info = tarfile.TarInfo(member)
        info.size = 64 * MIB
        archive.addfile(info, io.BytesIO(SPACES * 64))


def header_bomb(path: Path) -> None:
    """A tar file whose first header says that 64 MiB of names follow."""
    path.parent.mkdir(parents=True, exist_ok=True)
    info = tarfile.TarInfo("x")
    info.type, info.size = tarfile.XHDTYPE, 64 * MIB
    with path.open("wb") as file:
        file.write(info.tobuf())
        for _ in range(64):
            file.write(SPACES)


def long_list(path: Path) -> None:
    """A zip file that says that 200 MiB of members follow."""
    path.parent.mkdir(parents=True, exist_ok=True)
    end = struct.pack("<4s4H2LH", b"PK\5\6", 0, 0, 0xFFFF, 0xFFFF, 200 * MIB, 0, 0)
    path.write_bytes(b"\0" * 1000 + end)


BOMBS: dict[str, tuple[str, Callable[[Path], None], str]] = {
    "zip": ("exam.zip", zip_bomb, r"exam\.zip:test\.jsonl cannot be read: it unpacks to more than 100 times its size"),
    "tar.gz": ("exam.tar.gz", tar_bomb, r"exam\.tar\.gz cannot be opened: it unpacks to more than 100 times its size"),
    "tar header": ("exam.tar", header_bomb, r"exam\.tar cannot be opened: a header of 67,108,864 bytes"),
    "zip list": ("exam.zip", long_list, r"exam\.zip cannot be opened: its list of members is longer than 128 MiB"),
}


@pytest.mark.parametrize("kind", BOMBS)
def test_a_bomb_is_named_and_not_unpacked(tmp_path: Path, kind: str) -> None:
    name, make, said = BOMBS[kind]
    make(tmp_path / "exam" / name)
    tracemalloc.start()
    try:
        with pytest.raises(DataMalformed, match=said):
            [file.text() for file in Source(tmp_path).files("exam", "test.jsonl")]
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 16 * MIB


def test_lines_of_a_bomb_are_not_read_either(tmp_path: Path) -> None:
    zip_bomb(tmp_path / "exam" / "exam.zip")
    [file] = Source(tmp_path).files("exam", "test.jsonl")
    for read in (file.bytes, file.digest, lambda: list(file.lines()), lambda: list(file.pieces(1000))):
        with pytest.raises(DataMalformed, match="it unpacks to more than 100 times its size"):
            read()


def test_an_archive_with_too_many_members_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(archives, "MAX_MEMBERS", 10)
    (tmp_path / "exam").mkdir()
    with tarfile.open(tmp_path / "exam" / "exam.tar", "w") as archive:
        for number in range(11):
            archive.addfile(tarfile.TarInfo(f"{number}.xml"))
    with pytest.raises(DataMalformed, match="more than 10 members"):
        Source(tmp_path).files("exam", "*.xml")


def test_a_release_that_packs_well_is_no_bomb(tmp_path: Path) -> None:
    rows = "".join(json.dumps({"id": n, "question": f"question number {n}?"}) + "\n" for n in range(60_000))
    assert len(rows) > 2 * archives.FAR_FROM_SMALL
    (tmp_path / "exam").mkdir()
    with zipfile.ZipFile(tmp_path / "exam" / "exam.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("test.jsonl", rows)
    [file] = Source(tmp_path).files("exam", "test.jsonl")
    assert file.text() == rows


@pytest.mark.parametrize("at", ["backup.tar.gz", "photos/2024.tgz", "photos/all.tar.xz"])
def test_a_packed_archive_that_nobody_names_is_not_looked_into(
    tmp_path: Path, at: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / at
    path.parent.mkdir(exist_ok=True)
    path.write_bytes(b"to be left alone")

    def unpack(_: Path) -> gzip.GzipFile:
        raise AssertionError("unpacked")

    for ending in archives.PACKED:
        monkeypatch.setitem(sources.PACKED, ending, unpack)
    source = Source(tmp_path)
    assert source.files("exam", "test.jsonl") == []
    with pytest.raises(DataMissing, match=rf"not searched, because the benchmark's name is not in their path: {path}"):
        source.hub("someone/exam", "test")


@pytest.mark.parametrize("at", ["exam/a.tar.gz", "old/exam/a.tar.gz", "exam-master.tar.gz", "old/My_Exam_1.0.tgz"])
def test_a_packed_archive_that_is_named_for_the_benchmark_is_read(tmp_path: Path, at: str) -> None:
    path = tmp_path / at
    path.parent.mkdir(parents=True, exist_ok=True)
    with tarfile.open(path, "w:gz") as archive:
        info = tarfile.TarInfo("release/test.jsonl")
        info.size = 4
        archive.addfile(info, io.BytesIO(b"here"))
    [file] = Source(tmp_path).files("exam", "test.jsonl")
    assert file.text() == "here"


def test_a_command_names_the_benchmark_with_the_bomb_and_runs_the_others(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    release = "data_clean/questions/US/4_options/phrases_no_exclude_test.jsonl"
    zip_bomb(tmp_path / "data" / "medqa" / "data_clean.zip", release)
    (tmp_path / "answers.jsonl").write_text(json.dumps({"id": "s-qd-01", "text": "rest"}) + "\n")
    words = ["run", "-m", "replay:answers.jsonl", "-b", "medqa,medquad-sample", "--data", "data"]
    done = CliRunner().invoke(cli, words)
    assert done.exit_code == 1
    assert "Not done: medqa: data/medqa/data_clean.zip:" in done.output, done.output
    assert "it unpacks to more than 100 times its size" in done.output
    assert "rougeL" in done.output
