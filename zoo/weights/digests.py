"""Content hashes of files and model folders: the revision of weights that have no commit."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
from collections.abc import Callable, Iterable
from pathlib import Path

from ...core import dry, durable, paths

SMALL = 1_000_000  # bytes; smaller files are read each time
NOTICEABLE = 1_000_000_000  # bytes; reading larger files takes seconds, so it is announced
SHOWN = 16  # hexadecimal digits of a hash that are used instead of all 64


def file_digest(path: Path, tell: Callable[[str], None] = lambda line: None) -> str:
    """Return the SHA-256 of a file, in hexadecimal.

    The hash of a large file is cached by path, size and times of change, so that gigabytes are read once. These include
    `ctime`, which users cannot set: copying tools preserve `mtime`.
    """
    facts = path.stat()
    full = str(path.resolve())
    stamp = [full, facts.st_size, facts.st_mtime_ns, facts.st_ctime_ns]
    if facts.st_size < SMALL:
        return sha256_of(path)
    note = paths.cache() / "digests" / f"{hashlib.sha256(full.encode()).hexdigest()[:SHOWN]}.json"
    with contextlib.suppress(OSError, ValueError, KeyError, TypeError):
        known = json.loads(note.read_text(encoding="utf-8"))
        if known["stamp"] == stamp:
            return str(known["sha256"])
    if dry.running():
        return sha256_of(path)
    with contextlib.suppress(OSError):
        durable.sync_file(path)  # or a power cut could leave a cached hash for content that was never written
    if facts.st_size > NOTICEABLE:
        tell(f"reading {path} for its hash ({facts.st_size / 1e9:.1f} GB), once")
    digest = sha256_of(path)
    with contextlib.suppress(OSError):  # a cache that cannot be written only costs time
        note.parent.mkdir(parents=True, exist_ok=True)
        draft = note.with_suffix(f".{os.getpid()}")
        draft.write_text(json.dumps({"stamp": stamp, "sha256": digest}), encoding="utf-8")
        draft.replace(note)
    return digest


def content_hash(folder: Path, names: Iterable[str], tell: Callable[[str], None] = lambda line: None) -> str:
    """Return the first 16 digits of a SHA-256 over names and contents of files in a folder."""
    total = hashlib.sha256()
    for name in sorted(names):
        total.update(f"{name}\0{file_digest(folder / name, tell)}\n".encode())
    return total.hexdigest()[:SHOWN]


def sha256_of(path: Path) -> str:
    """Return the SHA-256 of a file, in hexadecimal, without the cache."""
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()
