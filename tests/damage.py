"""Ways to damage a file on a disk, and checks of what a resumed training makes of it."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

GARBAGE = b"\x89PNG not what it was\n" * 20


def emptied(path: Path, other: Path) -> None:
    path.write_bytes(b"")


def halved(path: Path, other: Path) -> None:
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def flipped(path: Path, other: Path) -> None:
    """One byte in the middle is another one."""
    content = bytearray(path.read_bytes())
    if content:
        content[len(content) // 2] ^= 0x01
    path.write_bytes(content)


def deleted(path: Path, other: Path) -> None:
    path.unlink()


def garbage(path: Path, other: Path) -> None:
    path.write_bytes(GARBAGE)


def exchanged(path: Path, other: Path) -> None:
    """The file of the same name of another training: whole, valid, and wrong."""
    if other.is_file():
        path.unlink()
        shutil.copyfile(other, path)


def joined(path: Path, other: Path) -> None:
    """A file that does not belong there lies beside it, under a name that a library would read."""
    name = {".safetensors": "model.safetensors", ".pt": "optimizer.bin", ".json": "adapter_model.bin"}
    shutil.copyfile(path, path.with_name(name.get(path.suffix, f"copy-of-{path.name}")))


KINDS: dict[str, Callable[[Path, Path], None]] = {
    kind.__name__: kind for kind in (emptied, halved, flipped, deleted, garbage, exchanged, joined)
}


def files(folder: Path) -> list[Path]:
    """Every file in and below `folder`, relative to it."""
    return sorted(path.relative_to(folder) for path in folder.rglob("*") if path.is_file())
