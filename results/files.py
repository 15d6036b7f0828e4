"""Files that survive a killed process and a full disk: append-only JSON lines, and one lock per file."""

from __future__ import annotations

import contextlib
import dataclasses
import errno
import json
import os
import shutil
import socket
import sys
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

from ..core import json_text
from ..core.durable import create, refuse_link, rename, sync_file, sync_folder
from ..core.errors import DataMalformed, MedbenchError
from ..core.seals import Chain, split
from ..core.text import printable

READ_ONLY = (errno.EACCES, errno.EPERM, errno.EROFS)
NO_LOCKS = (errno.ENOLCK, errno.ENOSYS, errno.ENOTSUP, errno.EOPNOTSUPP)  # of some network file systems
FOREVER_S = 1e9  # a wait that polls, so that Ctrl-C ends it
GRACE_S = 2.0  # how long to wait for a lock silently; background scoring releases it often
BLOCK = 1 << 16  # bytes read at once when searching backwards for a line break


def to_json(value: Any, indent: int | None = None) -> bytes:
    """Return strict JSON in UTF-8. Half a surrogate pair, which UTF-8 cannot encode, becomes its JSON escape.

    Raises ValueError for a number that is not finite and TypeError for a value that JSON does not have.
    """
    separators = (",", ":") if indent is None else None
    text = json.dumps(value, ensure_ascii=False, allow_nan=False, indent=indent, separators=separators)
    return text.encode("utf-8", "backslashreplace")  # only surrogates fail to encode, and "\udc80" is their escape


@dataclass(frozen=True, slots=True)
class StoredLine:
    """One complete line of a file. `problem` says what is wrong with it; "" if nothing is."""

    number: int  # from 1
    start: int  # the byte at which it begins
    value: Any  # without its seal; None if the line is not JSON
    problem: str = ""
    json: bool = True
    body: bytes = b""  # its JSON text without the seal


def sealed_lines(path: Path, chain: Chain | None = None) -> Iterator[StoredLine]:
    """Yield every complete line, good or bad. A torn last line is skipped, and the file is not changed.

    `chain`: the chain of seals before the first line; at the end it is the chain after the last line. Without it, seals
    are not checked. A missing file has no lines. Raises DataMalformed if the file cannot be read.
    """
    start = number = 0
    try:
        with path.open("rb") as file:
            while line := file.readline(json_text.MAX_LINE + 1):
                number += 1
                if len(line) > json_text.MAX_LINE:
                    yield StoredLine(number, start, None, f"longer than {json_text.MAX_LINE >> 20} MiB", json=False)
                    while line and not line.endswith(b"\n"):
                        line = file.readline(json_text.MAX_LINE)
                    start = file.tell()
                    continue
                if not line.endswith(b"\n"):
                    return  # the writer was killed here, or is writing now
                body, problem = chain.read(line) if chain else (split(line)[0], "")
                try:
                    yield StoredLine(number, start, json_text.loads(body), problem, body=body)
                except ValueError as error:
                    yield StoredLine(number, start, None, f"not JSON: {error}", json=False, body=body)
                start += len(line)
    except FileNotFoundError:
        return
    except OSError as error:
        raise DataMalformed(f"{path} cannot be read: {error.strerror or error}") from error


def read_lines(path: Path) -> Iterator[tuple[int, Any]]:
    """Yield the number (from 1) and the value of every complete line. Raises DataMalformed if one is not JSON."""
    for line in sealed_lines(path):
        if not line.json:
            raise malformed(path, line.number, line.problem)
        yield line.number, line.value


def malformed(path: Path, number: int, problem: str, hint: str = "") -> DataMalformed:
    """Return the error for a damaged or invalid line."""
    hint = hint or "Restore that file, or move it away."
    return DataMalformed(f"{path}, line {number}: {problem}", hint)


def set_aside(path: Path, copy: bool = False) -> Path:
    """Rename a damaged file to NAME.damaged-1 (or the next number), or copy it there. Raises OSError."""
    number = 1
    while os.path.lexists(kept := path.with_name(f"{path.name}.damaged-{number}")):
        number += 1
    if copy:
        with path.open("rb") as source, create(kept) as target:
            shutil.copyfileobj(source, target)
        sync_file(kept)
        sync_folder(kept.parent)
    else:
        rename(path, kept)
    return kept


def stat_of(path: Path) -> list[int] | None:
    """Return size, modification time, change time (ns) and inode of a file; None if it is missing."""
    try:
        found = path.stat()
    except OSError:
        return None
    return [found.st_size, found.st_mtime_ns, found.st_ctime_ns, found.st_ino]


def unwritable(folder: Path) -> str:
    """Say why no folder can be made or written at this path; "" if it can be. Nothing is made."""
    made = folder.absolute()
    while not os.path.lexists(made):
        made = made.parent
    if not made.is_dir():
        return f"{folder} cannot be written: {made} is not a folder"
    return "" if os.access(made, os.W_OK | os.X_OK) else f"{folder} cannot be written: {made} is read-only for you"


def remedy(error: OSError, path: Path | None = None) -> str:
    """Return what to do about a failed write. `path`: what exists and may not be written; else as the error says."""
    if error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG):
        return "Make room on that disk"
    if error.errno in READ_ONLY:
        return f"Make {path or 'that folder'} writable or choose another folder"
    if error.errno in NO_LOCKS:
        return "That file system has no locks: choose a folder on another one"
    if error.errno == errno.ELOOP:
        return "Remove that link or choose another folder"
    return "Fix that or choose another folder"


def chain_at_end(path: Path, chain: Chain) -> Chain:
    """Return `chain`, which is before the first line, as it is after the last line. A missing file has no lines."""
    # A line that is too long is reported when the lines are read.
    with contextlib.suppress(FileNotFoundError, ValueError), path.open("rb") as file:
        for line in json_text.bounded_lines(file):
            if line.endswith(b"\n"):
                chain.read(line)
    return chain


class LineFile:
    """A file of JSON lines, opened to append. A torn last line is cut off on opening.

    What a failed or interrupted append left behind is removed by the next one. With `chain`, the chain after the file's
    last line (`chain_at_end`), appended lines are sealed. Every method may raise OSError.
    """

    def __init__(self, path: Path, chain: Chain | None = None) -> None:
        self.chain = chain
        refuse_link(path)
        self._file = path.open("ab+", buffering=0)
        try:
            self.size = self._end_of_last_line()  # bytes of complete lines
            self._cut()
            sync_folder(path.parent)
        except BaseException:
            self._file.close()
            raise

    def append(self, values: Iterable[Any], sync: bool = True) -> None:
        """Append lines. With `sync`, they are on disk when this returns; otherwise a power cut can lose them."""
        chain = dataclasses.replace(self.chain) if self.chain else None
        add = chain.add if chain else _plain_line
        payload = b"".join(add(to_json(value)) for value in values)
        self._cut()  # an interrupted append may have left something
        try:
            rest = memoryview(payload)
            while rest:  # one write, unless the disk is nearly full
                rest = rest[self._file.write(rest) :]
            if sync:
                os.fsync(self._file.fileno())
        except OSError:
            with contextlib.suppress(OSError):
                self._cut()
            raise
        self.size += len(payload)
        self.chain = chain

    def sync(self) -> None:
        """Flush everything appended so far to disk."""
        os.fsync(self._file.fileno())

    def close(self) -> None:
        self._file.close()

    def _cut(self) -> None:
        if self._file.seek(0, os.SEEK_END) > self.size:
            self._file.truncate(self.size)
            os.fsync(self._file.fileno())

    def _end_of_last_line(self) -> int:
        end = self._file.seek(0, os.SEEK_END)
        while end > 0:
            start = max(0, end - BLOCK)
            self._file.seek(start)
            found = self._file.read(end - start).rfind(b"\n")
            if found >= 0:
                return start + found + 1
            end = start
        return 0


def _plain_line(body: bytes) -> bytes:
    return body + b"\n"


class LockHeld(MedbenchError):
    """Another process holds the lock."""


def tell(text: str) -> None:
    """Print a line to stderr, because stdout may be a pipe."""
    print(printable(text), file=sys.stderr, flush=True)


class Lock:
    """A lock that one process at a time can hold. The kernel frees it when that process ends, whatever file is left.

    `what` is named in the error, e.g. "the run runs/x".
    """

    def __init__(self, path: Path, what: str) -> None:
        self._what = what
        self._lock = FileLock(path, thread_local=False)
        self._holder = path.with_name(path.name + ".holder")

    def acquire(self, wait: bool = False) -> None:
        """Take the lock. If another process has it, raise LockHeld or, with `wait`, say so once and wait for it.

        Raises OSError if the file system refuses or has no locks.
        """
        refuse_link(Path(self._lock.lock_file))
        try:
            self._lock.acquire(timeout=GRACE_S if wait else 0.0)
        except NotImplementedError as error:  # how filelock says that the file system has no locks
            raise OSError(errno.ENOLCK, os.strerror(errno.ENOLCK)) from error
        except Timeout:
            if not wait:
                raise LockHeld(
                    f"{self._what} is being written by {self._who()}.",
                    "Wait for it to end, or end it; then run the same command again.",
                ) from None
            tell(f"Waiting: {self._what} is being written by {self._who()}. Ctrl-C ends the wait.")
            self._lock.acquire(timeout=FOREVER_S)
        now = datetime.now(UTC).isoformat(timespec="seconds")
        try:
            # Not synced: it is useless after a power cut, and syncing takes longer than scoring a small run.
            with create(self._holder) as file:
                file.write(to_json({"pid": os.getpid(), "host": socket.gethostname(), "started": now}))
        except BaseException:
            self._lock.release()
            raise

    @contextlib.contextmanager
    def held(self, wait: bool = False) -> Iterator[None]:
        """Hold the lock until the block ends."""
        self.acquire(wait)
        try:
            yield
        finally:
            self.release()

    def release(self) -> None:
        if self._lock.is_locked:
            with contextlib.suppress(OSError):
                self._holder.unlink(missing_ok=True)
            self._lock.release()

    def _who(self) -> str:
        try:
            holder = json_text.loads(self._holder.read_bytes())
            return f"process {holder['pid']} on {holder['host']} since {holder['started']}"
        except (OSError, ValueError, LookupError, TypeError):  # it has the lock but has not written its name yet
            return "another process"
