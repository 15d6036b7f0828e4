"""Read archives of official releases. They are untrusted, so the unpacked size is limited."""

from __future__ import annotations

import bz2
import gzip
import lzma
import tarfile
import tempfile
import weakref
import zipfile
import zlib
from collections.abc import Callable
from functools import cached_property
from pathlib import Path
from typing import IO, Any

PACKED: dict[str, Callable[[Path], Any]] = {".gz": gzip.open, ".tgz": gzip.open, ".bz2": bz2.open, ".xz": lzma.open}
MAX_UNPACKED = 4 << 30  # bytes that an archive or one of its members may unpack to
MAX_MEMBERS = 1_000_000
MAX_DIRECTORY = 128 << 20  # bytes of a zip file's list of members: more than a million
MAX_RATIO = 100  # maximum ratio of unpacked to packed size above FAR_FROM_SMALL; texts have 10 or 20
FAR_FROM_SMALL = 64 << 20  # bytes
MAX_TAR_HEADER = 1 << 20  # bytes; tarfile reads a header at once, whatever length it declares
UNREADABLE = (OSError, EOFError, RuntimeError, zipfile.BadZipFile, tarfile.TarError, zlib.error, lzma.LZMAError)


class Archive:
    """A .zip or .tar (compressed or not), opened once, on first use. Members can be read in any order at equal cost."""

    def __init__(self, disk: Path) -> None:
        self.disk = disk

    @cached_property
    def members(self) -> tuple[str, ...]:
        """The names of the files inside."""
        if isinstance(self._handle, zipfile.ZipFile):
            return tuple(info.filename for info in self._handle.infolist() if not info.is_dir())
        names = []
        for number, info in enumerate(self._handle):
            if number >= MAX_MEMBERS:
                raise tarfile.ReadError(f"it has more than {MAX_MEMBERS:,} members")
            names += [info.name] if info.isfile() else []
        return tuple(names)

    def open(self, member: str) -> IO[bytes]:
        if isinstance(self._handle, zipfile.ZipFile):
            info = self._handle.getinfo(member)  # zipfile unpacks no more than this size
            if problem := _too_much(info.file_size, info.compress_size):
                raise zipfile.BadZipFile(problem)
            return self._handle.open(member)
        stream = self._handle.extractfile(member)
        assert stream is not None, "members are files"
        return stream

    @cached_property
    def _handle(self) -> zipfile.ZipFile | tarfile.TarFile:
        handle: zipfile.ZipFile | tarfile.TarFile
        if self.disk.suffix.lower() == ".zip":
            _check_directory(self.disk)
            handle = zipfile.ZipFile(self.disk)
        elif unpack := PACKED.get(self.disk.suffix.lower()):
            # Unpacked to an unnamed file: a compressed stream would be unpacked again for every member.
            plain = tempfile.TemporaryFile()  # noqa: SIM115  # lives as long as the archive
            weakref.finalize(self, plain.close)
            size, packed = 0, self.disk.stat().st_size
            with unpack(self.disk) as stream:
                while part := stream.read(1 << 20):
                    size += len(part)
                    if problem := _too_much(size, packed):
                        raise tarfile.ReadError(problem)
                    plain.write(part)
            plain.seek(0)
            handle = tarfile.open(fileobj=plain, mode="r:", tarinfo=_Header)  # noqa: SIM115
        else:
            handle = tarfile.open(self.disk, mode="r:", tarinfo=_Header)  # noqa: SIM115
        weakref.finalize(self, handle.close)
        return handle


class _Header(tarfile.TarInfo):
    """A member's header. Long names and fields before it are read at once, so their length is limited."""

    def _proc_member(self, tar: tarfile.TarFile) -> tarfile.TarInfo:
        long = (tarfile.GNUTYPE_LONGNAME, tarfile.GNUTYPE_LONGLINK, tarfile.XHDTYPE, tarfile.XGLTYPE, b"X")
        if self.type in long and self.size > MAX_TAR_HEADER:
            raise tarfile.ReadError(f"a header of {self.size:,} bytes")
        return super()._proc_member(tar)  # type: ignore[misc,no-any-return]  # documented for subclasses in tarfile.py


def _too_much(size: int, packed: int) -> str:
    """Return why `size` bytes unpacked from `packed` ones cannot be a release; "" if they can."""
    if size > MAX_UNPACKED:
        return f"it unpacks to more than {MAX_UNPACKED >> 30} GiB"
    if size > FAR_FROM_SMALL and size > MAX_RATIO * packed:
        return f"it unpacks to more than {MAX_RATIO} times its size"
    return ""


def _check_directory(path: Path) -> None:
    """Raise BadZipFile for a zip file whose member list is too large for memory, where zipfile reads it."""
    with path.open("rb") as file:
        file.seek(max(0, path.stat().st_size - (22 + 0xFFFF)))
        tail = file.read()
    at = tail.rfind(b"PK\5\6")  # the end record; zipfile reports a file that has none
    if at >= 0 and int.from_bytes(tail[at + 12 : at + 16], "little") > MAX_DIRECTORY:
        raise zipfile.BadZipFile(f"its list of members is longer than {MAX_DIRECTORY >> 20} MiB")
