"""Files that survive a killed process and a full disk: append-only JSON lines, and one lock per file."""

from __future__ import annotations

import contextlib
import errno
import json
import os
import socket
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

from ..core.durable import replace_file, sync_folder
from ..core.errors import DataMalformed, MedbenchError
from ..core.json_text import loads

READ_ONLY = (errno.EACCES, errno.EPERM, errno.EROFS)
BLOCK = 1 << 16  # bytes read at once when looking backwards for a line's end


def to_json(value: Any, indent: int | None = None) -> bytes:
    """Strict JSON in UTF-8. Half a surrogate pair, which UTF-8 cannot hold, becomes its JSON escape.

    Raises ValueError for a number that is not finite and TypeError for what JSON cannot hold.
    """
    separators = (",", ":") if indent is None else None
    text = json.dumps(value, ensure_ascii=False, allow_nan=False, indent=indent, separators=separators)
    return text.encode("utf-8", "backslashreplace")  # only surrogates fail to encode, and "\udc80" is their escape


def read_lines(path: Path) -> Iterator[tuple[int, Any]]:
    """(line number from 1, value) of every whole line; a torn last line is passed over, the file is not touched.

    Raises DataMalformed for any other line that is not JSON. A missing file has no lines.
    """
    return ((number, value) for number, _, value in placed_lines(path))


def placed_lines(path: Path) -> Iterator[tuple[int, int, Any]]:
    """As `read_lines`, with the byte at which each line begins between the two."""
    start = 0
    try:
        with path.open("rb") as file:
            for number, line in enumerate(file, 1):
                if not line.endswith(b"\n"):
                    return  # the writer was killed here, or is writing this moment
                try:
                    value = loads(line)
                except ValueError as error:
                    raise malformed(path, number, f"not JSON: {error}") from error
                yield number, start, value
                start += len(line)
    except FileNotFoundError:
        return
    except OSError as error:
        raise DataMalformed(f"{path} cannot be read: {error.strerror or error}") from error


def malformed(path: Path, number: int, problem: str) -> DataMalformed:
    """The error for a line that is not what it should be."""
    return DataMalformed(f"{path}, line {number}: {problem}", "Delete that line: what it held is then made again.")


def remedy(error: OSError) -> str:
    """What to do about a refusal to write."""
    if error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG):
        return "Make room on that disk"
    if error.errno in READ_ONLY:
        return "Make that folder writable or name another one to write to"
    return "Mend that or name another folder to write to"


class LineFile:
    """A file of JSON lines, opened to append. A torn last line is cut off on opening.

    An append is on the disk when it returns; one that failed or was interrupted leaves no trace after the next one.
    Every method may raise OSError.
    """

    def __init__(self, path: Path) -> None:
        self._file = path.open("ab+", buffering=0)
        try:
            self.size = self._end_of_last_line()  # bytes that are whole and safe
            self._cut()
            sync_folder(path.parent)
        except BaseException:
            self._file.close()
            raise

    def append(self, values: Iterable[Any], sync: bool = True) -> None:
        """`sync`: on the disk when this returns; otherwise safe from a killed process but not from a power cut."""
        payload = b"".join(to_json(value) + b"\n" for value in values)
        self._cut()  # what an interrupted append may have left
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


class Held(MedbenchError):
    """Another process holds the lock."""


class Lock:
    """One process at a time, and who it is. The kernel frees it when its holder dies, so a left-over file is no lock.

    `what` is named in the error, e.g. "the run runs/x".
    """

    def __init__(self, path: Path, what: str) -> None:
        self._what = what
        self._lock = FileLock(path, thread_local=False)
        self._holder = path.with_name(path.name + ".holder")

    def acquire(self, wait_s: float = 0.0) -> None:
        """Raises Held after `wait_s` seconds; OSError where the file system refuses."""
        try:
            self._lock.acquire(timeout=wait_s)
        except Timeout:
            raise Held(
                f"{self._what} is being written by {self._who()}.",
                "Wait for it to end, or end it; then give the same command again.",
            ) from None
        now = datetime.now(UTC).isoformat(timespec="seconds")
        try:
            replace_file(self._holder, to_json({"pid": os.getpid(), "host": socket.gethostname(), "started": now}))
        except BaseException:
            self._lock.release()
            raise

    def release(self) -> None:
        if self._lock.is_locked:
            with contextlib.suppress(OSError):
                self._holder.unlink(missing_ok=True)
            self._lock.release()

    def _who(self) -> str:
        try:
            holder = loads(self._holder.read_bytes())
            return f"process {holder['pid']} on {holder['host']} since {holder['started']}"
        except (OSError, ValueError, LookupError, TypeError):  # it has the lock but has not said so yet
            return "another process"
