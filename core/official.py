"""Files of official releases, from their authors' addresses, verified by hash.

Set MEDBENCH_MIRROR=http://mirror/path to replace all addresses: `https://HOST/FILE` is then requested as
`http://mirror/path/HOST/FILE`.
"""

from __future__ import annotations

import contextlib
import errno
import fnmatch
import functools
import hashlib
import os
import shutil
import time
import zipfile
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from . import durable, hub
from .download import DownloadUnreachable, Progress, Tell, download, forget, shown
from .errors import MedbenchError, UsageError
from .text import size

REMEMBERED = 60.0  # seconds before a server that did not answer is tried again

LARGEST = 1 << 30  # bytes that a .zip may unpack to
DAMAGED = (zipfile.BadZipFile, zlib.error, NotImplementedError, EOFError, RuntimeError)  # what zipfile raises

_unreachable: dict[str, tuple[float, DownloadUnreachable]] = {}  # by server: when it last failed to answer


@dataclass(frozen=True, slots=True)
class Download:
    """A file of an official release, at an address whose content does not change."""

    name: str  # folder/file, below the target folder
    address: str
    sha256: str  # of the file, or its `members_digest` if `members` is given
    size: int  # bytes; an estimate until the server reports it
    # For a .zip that its server creates for each request: the members that are kept and verified, a pattern for
    # `fnmatch` on their names below the top folder.
    members: str = ""


class DownloadProgress:
    """A display of download progress. This one shows nothing."""

    def tell(self, line: str) -> None:
        pass

    @contextlib.contextmanager
    def file(self, name: str) -> Iterator[Progress]:
        """Show the progress of one file. The returned function is called with the bytes so far."""
        yield lambda done, total: None


class _Noted(DownloadProgress):
    def __init__(self, note: Callable[[str], None]) -> None:
        self.note = note

    def tell(self, line: str) -> None:
        self.note(line)


def unattended(note: Callable[[str], None]) -> DownloadProgress | None:
    """Return what lets a script download missing files, with notes going to `note`; None if the hub is off."""
    return None if hub.offline() else _Noted(note)


def mirrored(address: str) -> str:
    """Return the address to request: below MEDBENCH_MIRROR if that is set. Raises UsageError if it is invalid."""
    mirror = os.environ.get("MEDBENCH_MIRROR", "").rstrip("/")
    if not mirror:
        return address
    try:
        valid = urlsplit(mirror).scheme in ("http", "https") and bool(urlsplit(mirror).hostname)
    except ValueError:
        valid = False
    if not valid:
        raise UsageError(
            f"MEDBENCH_MIRROR is not an address: {mirror}",
            "It must begin with http:// or https://. To use a local folder of releases, set --data or MEDBENCH_DATA.",
        )
    return f"{mirror}/{address.partition('://')[2]}"


def fetch(file: Download, folder: Path, watch: DownloadProgress) -> bool:
    """Download `file` into `folder`. Return False if it was there already. Raises MedbenchError with what to do.

    An interrupted download is kept, and the next call resumes it, in this process or another. If another process is
    fetching the same file, wait for it. The file gets its name once its hash is verified and its content is on the
    disk.
    """
    target = folder / file.name
    try:
        if is_whole(file, target):
            return False
        address = mirrored(file.address)
        _raise_if_unreachable(address)
        durable.make_folder(target.parent)
        with _locked(target, watch.tell):
            if is_whole(file, target):  # another process fetched it while this one waited
                return False
            part = target.with_name(f".{target.name}.part")
            _require_room(file, part)
            watch.tell(f"fetching {file.name} ({size(file.size)}) from {shown(address)}")
            with watch.file(target.name) as progress:
                _download(file, address, part, progress, watch.tell)
            durable.sync_file(part)
            durable.rename(part, target)
            forget(part)  # the note beside it
    except OSError as error:
        problem = error.strerror or str(error)
        raise MedbenchError(
            f"{file.name} cannot be written below {folder}: {problem}.",
            "Free some space or fix the permissions, or set MEDBENCH_CACHE to another folder.",
        ) from error
    except DownloadUnreachable as error:
        _unreachable[urlsplit(address).netloc] = time.monotonic(), error
        raise
    return True


def is_whole(file: Download, path: Path) -> bool:
    """Return whether `path` is this file, by its hash."""
    try:
        facts = path.stat()
    except (FileNotFoundError, NotADirectoryError):
        return False
    return _digest(path, bool(file.members), facts.st_size, facts.st_mtime_ns, facts.st_ctime_ns) == file.sha256


def members_digest(path: Path) -> str:
    """Return the SHA-256 of the names (below the top folder) and contents of a .zip's members; "" if damaged."""
    total = hashlib.sha256()
    try:
        with zipfile.ZipFile(path) as archive:
            for name, inner in _members(archive, "*"):
                total.update(f"{inner}\0{hashlib.sha256(archive.read(name)).hexdigest()}\n".encode())
    except DAMAGED:
        return ""
    return total.hexdigest()


@functools.lru_cache(maxsize=256)
def _digest(path: Path, packed: bool, *_: int) -> str:
    """Return the hash of a file. The other arguments are its size and times, so it is read once per process."""
    if packed:
        return members_digest(path)
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def _members(archive: zipfile.ZipFile, pattern: str) -> list[tuple[str, str]]:
    """Return sorted (name, name below the top folder) of the members whose latter matches, each once."""
    names = {info.filename.partition("/")[2]: info.filename for info in archive.infolist() if not info.is_dir()}
    return [(names[inner], inner) for inner in sorted(names) if fnmatch.fnmatchcase(inner, pattern)]


def _keep_members(path: Path, pattern: str) -> None:
    """Rewrite the .zip without the members that its hash does not cover. Does nothing if it is not a .zip."""
    draft = path.with_name(path.name + ".kept")
    try:
        with zipfile.ZipFile(path) as archive, zipfile.ZipFile(draft, "w", zipfile.ZIP_DEFLATED) as kept:
            members = _members(archive, pattern)
            if sum(archive.getinfo(name).file_size for name, _ in members) > LARGEST:
                raise zipfile.BadZipFile("its content is too large")
            for name, _ in members:
                kept.writestr(zipfile.ZipInfo(name), archive.read(name), zipfile.ZIP_DEFLATED)
        draft.replace(path)
    except DAMAGED:
        pass
    finally:
        draft.unlink(missing_ok=True)


@contextlib.contextmanager
def _locked(target: Path, tell: Tell) -> Iterator[None]:
    from filelock import FileLock, Timeout

    lock = FileLock(target.with_name(f".{target.name}.lock"))
    try:
        lock.acquire(blocking=False)
    except Timeout:
        tell(f"waiting for another medbench process to fetch {target.name}")
        lock.acquire()
    try:
        yield
    finally:
        lock.release()


def _raise_if_unreachable(address: str) -> None:
    """Raise a server's last error if it did not answer recently, because each attempt takes seconds."""
    asked, error = _unreachable.get(urlsplit(address).netloc, (0.0, None))
    if error and time.monotonic() - asked < REMEMBERED:
        raise error


def _require_room(file: Download, part: Path) -> None:
    have = part.stat().st_size if part.exists() else 0
    needed = file.size * (2 if file.members else 1) - have  # with members, two copies for a moment
    free = shutil.disk_usage(part.parent).free
    if free < needed:
        raise OSError(errno.ENOSPC, f"it needs {size(needed)}, but only {size(free)} are free")


def _download(file: Download, address: str, part: Path, progress: Progress, tell: Tell) -> None:
    """Download the file as `part` and verify it. Raises MedbenchError and deletes a part with the wrong hash."""
    for again in (True, False):
        used = download(address, part, lambda done, total: progress(done, total or file.size), tell, checked=True)
        start, length = _start(part), part.stat().st_size
        if file.members:
            _keep_members(part, file.members)
        if is_whole(file, part):
            return
        forget(part)
        if not (used and again):
            break
        tell(f"the partial download of {file.name} is damaged; starting over")
    came = (
        "received a web page" if start.startswith((b"<!doctype html", b"<html")) else f"received {length:,} other bytes"
    )
    raise MedbenchError(
        f"{shown(address)} did not send the official {file.name}: {came} (SHA-256 differs).",
        "If a proxy answers in its place, fetch it from another network. Otherwise, the file has changed "
        "since this version of medbench.",
    )


def _start(path: Path) -> bytes:
    with path.open("rb") as stream:
        return stream.read(256).lstrip().lower()
