"""core/durable.py: what it reports as stored survives a power cut. The order of syncs and names is what matters."""

from __future__ import annotations

import errno
import os
from pathlib import Path

import pytest
from medbench.core import durable


@pytest.fixture
def steps(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What the disk was asked to do, in order: "sync NAME", "rename NAME", "mkdir NAME"."""
    told: list[str] = []
    fsync, replace, mkdir = os.fsync, Path.replace, Path.mkdir

    def synced(descriptor: int) -> None:
        file = Path(f"/proc/self/fd/{descriptor}").readlink()
        told.append(f"sync {file.name}")
        fsync(descriptor)

    def renamed(self: Path, target: Path) -> Path:
        told.append(f"rename {self.name}")
        return replace(self, target)

    def made(self: Path, *args: int, **named: bool) -> None:
        told.append(f"mkdir {self.name}")
        mkdir(self, *args, **named)

    monkeypatch.setattr(os, "fsync", synced)
    monkeypatch.setattr(Path, "replace", renamed)
    monkeypatch.setattr(Path, "mkdir", made)
    return told


pytestmark = pytest.mark.skipif(not Path("/proc/self/fd").exists(), reason="names of descriptors are Linux's")


def test_a_file_is_synced_before_its_name_and_the_name_before_the_return(tmp_path: Path, steps: list[str]) -> None:
    durable.replace_file(tmp_path / "a.json", b"1")
    assert steps == ["sync a.json.new", "rename a.json.new", f"sync {tmp_path.name}"]
    assert (tmp_path / "a.json").read_bytes() == b"1"


def test_every_new_parent_is_synced(tmp_path: Path, steps: list[str]) -> None:
    durable.make_folder(tmp_path / "a" / "b")
    assert steps == ["mkdir a", f"sync {tmp_path.name}", "mkdir b", "sync a"]
    steps.clear()
    durable.make_folder(tmp_path / "a" / "b")
    assert steps == []


def test_a_rename_syncs_both_folders(tmp_path: Path, steps: list[str]) -> None:
    durable.make_folder(tmp_path / "draft" / "model")
    durable.make_folder(tmp_path / "out")
    steps.clear()
    durable.rename(tmp_path / "draft" / "model", tmp_path / "out" / "model")
    assert steps == ["rename model", "sync out", "sync draft"]


def test_a_tree_is_synced_files_before_the_folders_that_hold_them(tmp_path: Path, steps: list[str]) -> None:
    (tmp_path / "top" / "inner").mkdir(parents=True)
    (tmp_path / "top" / "inner" / "x").write_bytes(b"x")
    (tmp_path / "top" / "y").write_bytes(b"y")
    steps.clear()
    durable.sync_tree(tmp_path / "top")
    assert steps == ["sync x", "sync inner", "sync y", "sync top"]


def test_a_failed_write_leaves_the_old_file_and_no_other(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    durable.replace_file(tmp_path / "a", b"old")

    def full(descriptor: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="No space left"):
        durable.replace_file(tmp_path / "a", b"new")
    assert [path.name for path in tmp_path.iterdir()] == ["a"]
    assert (tmp_path / "a").read_bytes() == b"old"


def test_a_disk_error_while_syncing_a_folder_is_raised(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(code: int) -> None:
        def fsync(descriptor: int) -> None:
            raise OSError(code, os.strerror(code))

        monkeypatch.setattr(os, "fsync", fsync)

    broken(errno.EINVAL)  # a file system that cannot sync folders
    durable.sync_folder(tmp_path)
    broken(errno.EIO)
    with pytest.raises(OSError, match=os.strerror(errno.EIO)):
        durable.sync_folder(tmp_path)
