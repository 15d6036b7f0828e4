"""Files that survive a power cut: the content is on the disk before the name, and the name before anyone relies on it.

A file system may lose anything that was not synced, in any order. So the order is always the same: write, sync the
file, rename it into place, sync the folder that holds the name. A new folder is also a name in its parent.
"""

from __future__ import annotations

import contextlib
import errno
import os
from pathlib import Path
from typing import BinaryIO

# Errors of platforms that cannot sync a folder: Windows cannot open one, and some file systems refuse.
_NOT_SUPPORTED = (errno.EINVAL, errno.ENOTSUP, errno.ENOSYS, errno.EACCES, errno.EPERM, errno.EBADF)


def create(path: Path) -> BinaryIO:
    """Open a new file for writing, replacing any file of that name. A link there is replaced, not followed."""
    path.unlink(missing_ok=True)
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_BINARY", 0)
    return os.fdopen(os.open(path, flags, 0o666), "wb")


def refuse_link(path: Path) -> None:
    """Raise OSError if `path` is a link. In a folder that others can write to, it could point to any file of ours."""
    if path.is_symlink():
        raise OSError(errno.ELOOP, "it is a link, and medbench does not write through links", str(path))


def replace_file(path: Path, content: bytes) -> None:
    """Replace the content of `path` atomically: it holds either the old or the new content, and the new on return."""
    temporary = path.with_name(path.name + ".new")
    try:
        with create(temporary) as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
    except OSError:
        with contextlib.suppress(OSError):
            temporary.unlink(missing_ok=True)
        raise
    sync_folder(path.parent)


def rename(source: Path, target: Path) -> None:
    """Move a synced file or folder to another name on the same file system.

    A file at `target` is replaced. A folder there must be empty, as for `os.replace`.
    """
    source.replace(target)
    sync_folder(target.parent)
    if source.parent != target.parent:
        sync_folder(source.parent)


def make_folder(folder: Path) -> None:
    """Create `folder` and its missing parents. Each is durable on return."""
    missing = []
    at = folder
    if folder.is_dir():
        return
    while not at.exists() and at != at.parent:
        missing.append(at)
        at = at.parent
    for each in reversed(missing) if missing else (folder,):
        each.mkdir(exist_ok=True)
        sync_folder(each.parent)


def sync_file(path: Path) -> None:
    """Make the content of a file durable that another library wrote."""
    descriptor = os.open(path, os.O_RDWR if os.name == "nt" else os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def sync_folder(folder: Path) -> None:
    """Make new, renamed and deleted names in `folder` durable, if the platform can."""
    try:
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
    except OSError as error:
        if error.errno not in _NOT_SUPPORTED:
            raise


def sync_tree(folder: Path) -> None:
    """Make everything in `folder` and below durable, files first. Its own name in its parent is not included."""
    for at, _, names in os.walk(folder, topdown=False):
        for name in names:
            path = Path(at, name)
            if path.is_file():
                sync_file(path)
        sync_folder(Path(at))
