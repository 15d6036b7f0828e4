"""Download files of a hub repository into the hub's cache, one at a time, resumed, and verified after a resume.

The hub's client restarts an interrupted file from zero, keeps its threads running after Ctrl-C, and waits for Xet
storage without a limit. This module receives a file by plain HTTP into `blobs/ETAG.incomplete`, which any process can
continue, and renames it when it is complete. The client then finds it in its own cache.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import shutil
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from . import durable, hub_client
from .hub_client import HubError, Tell

ATTEMPTS = 50  # for one file, however few bytes each one brings
LINE_SECONDS = 10.0  # between progress lines without a terminal
BRIEF = 1_000_000  # bytes; smaller downloads need no bar
SHORT = 7  # digits of a commit hash in messages
PART = ".incomplete"


@dataclass(frozen=True)
class RemoteFile:
    """One file of a commit. `etag` is its name in the cache; for large files, it is their SHA-256."""

    name: str
    url: str
    etag: str
    size: int | None  # bytes


@dataclass(frozen=True)
class Repository:
    """A commit of a model or data set. Its methods contact the hub; call them inside `hub_client.patient`."""

    id: str
    commit: str
    kind: str = "model"  # or "dataset"

    @property
    def folder(self) -> Path:
        from huggingface_hub import constants

        return Path(constants.HF_HUB_CACHE, f"{self.kind}s--" + self.id.replace("/", "--"))

    @property
    def snapshot(self) -> Path:
        return self.folder / "snapshots" / self.commit

    def missing(self, names: Sequence[str]) -> list[RemoteFile]:
        """Return those of these files that are not in the cache."""
        from huggingface_hub import get_hf_file_metadata, hf_hub_url

        found = []
        for name in names:
            if (self.snapshot / name).exists():
                continue
            url = hf_hub_url(self.id, name, repo_type=self.kind, revision=self.commit)
            about = get_hf_file_metadata(url, timeout=hub_client.stall_seconds())
            if not about.etag or set(about.etag) & set("/\\") or about.etag.startswith("."):
                raise HubError(f"{hub_client.origin(url)} sends no usable ETag for {name}.", "Check HF_ENDPOINT.")
            found.append(RemoteFile(name, url, about.etag, about.size))
        return found

    def damaged(self, names: Sequence[str]) -> list[str]:
        """Return those of these files whose cached content does not match their hash."""
        links = [(name, self.snapshot / name) for name in names]
        named = [(name, link, link.readlink().name) for name, link in links if link.is_symlink() and link.exists()]
        return [name for name, link, etag in named if len(etag) in (40, 64) and not _is(link, etag)]

    def renew(self, name: str, tell: Tell) -> None:
        """Download a damaged cached file again. If that fails, the damaged file stays."""
        blob = (self.snapshot / name).resolve()
        aside = blob.with_name(f"{blob.name}.damaged")
        with contextlib.suppress(FileNotFoundError):
            blob.replace(aside)
        try:
            self.fetch(self.missing([name]), tell)
        finally:
            if blob.exists():
                aside.unlink(missing_ok=True)
            else:
                with contextlib.suppress(FileNotFoundError):
                    aside.replace(blob)

    def fetch(self, files: Sequence[RemoteFile], tell: Tell) -> Path:
        """Download these files and return the snapshot folder. After an error or Ctrl-C, received bytes are kept."""
        from huggingface_hub import hf_hub_download

        blobs = self.folder / "blobs"
        total = sum(file.size or 0 for file in files)
        if files:
            durable.make_folder(blobs)
            self._require_room(total - sum(_received(blobs, file) for file in files))
        done = 0
        with _bar(self.id, total, tell) as bar:
            for file in files:
                try:
                    with _alone(self.folder, file, tell):
                        _obtain(blobs, file, bar, tell)
                except BaseException as error:
                    kept = done + _received(blobs, file)
                    if kept:
                        bar.close()
                        # Also on Ctrl-C, when this is what the user wants to know.
                        stopped = "stopped: " if isinstance(error, KeyboardInterrupt) else ""
                        have = megabytes(kept, total)
                        tell(f"{stopped}{have} of {self.id} kept; the same command continues from there")
                    raise
                done += file.size or 0
                # This only links the file that is now in `blobs`.
                hf_hub_download(self.id, file.name, repo_type=self.kind, revision=self.commit)
        return self.snapshot

    def _require_room(self, size: int) -> None:
        free = shutil.disk_usage(self.folder).free
        if free < size:
            cache = self.folder.parent
            raise HubError(
                f"{self.id} takes {size / 1e6:,.0f} MB more; the disk of {cache} has {free / 1e6:,.0f} MB left.",
                "Free some space, or set HF_HOME to a folder on another disk.",
            )


def matching(names: Sequence[str], patterns: Sequence[str]) -> list[str]:
    """Return the top-level files of a repository whose names match one of these patterns."""
    return [name for name in names if "/" not in name and any(Path(name).match(pattern) for pattern in patterns)]


def megabytes(part: int, total: int) -> str:
    """Format `12 of 270 MB`; totals below 10 MB get a decimal."""
    digits = 0 if total >= 10_000_000 else 1
    return f"{part / 1e6:,.{digits}f} of {total / 1e6:,.{digits}f} MB"


def _obtain(blobs: Path, file: RemoteFile, bar: Any, tell: Tell) -> None:
    """Put the complete file into `blobs` under its ETag."""
    whole = blobs / file.etag
    if whole.exists():
        bar.update(file.size or 0)
        return
    part = _adopted(blobs, file)
    resumed = part.stat().st_size if part.exists() else 0
    bar.update(resumed)
    _receive(file, part, bar, tell)
    if resumed and not _is(part, file.etag):
        bar.clear()
        tell(f"{file.name}: the partial file of an earlier download is damaged; starting over")
        part.unlink()
        bar.update(-(file.size or 0))
        _receive(file, part, bar, tell)
    durable.sync_file(part)
    durable.rename(part, whole)


def _parts(blobs: Path, file: RemoteFile) -> list[Path]:
    """Return the partial downloads of a file, ours and those that a killed hub client left, longest first."""
    found = [blobs / f"{file.etag}{PART}", *blobs.glob(f"{file.etag}.*{PART}")]
    return sorted((path for path in found if path.is_file()), key=lambda path: path.stat().st_size, reverse=True)


def _received(blobs: Path, file: RemoteFile) -> int:
    """Return how many bytes of a file are on this disk."""
    if (blobs / file.etag).exists():
        return file.size or 0
    return next((path.stat().st_size for path in _parts(blobs, file)), 0)


def _adopted(blobs: Path, file: RemoteFile) -> Path:
    """Return the path of the file's partial download, made from the longest one left; delete the others."""
    ours = blobs / f"{file.etag}{PART}"
    longest, *rest = _parts(blobs, file) or [ours]
    for path in rest:
        path.unlink()
    if longest != ours:
        longest.replace(ours)
    if ours.exists() and file.size is not None and ours.stat().st_size > file.size:
        ours.unlink()
    return ours


def _receive(file: RemoteFile, part: Path, bar: Any, tell: Tell) -> None:
    """Append the missing bytes to `part`. Raises HubError when several attempts in a row bring nothing."""
    with part.open("r+b" if part.exists() else "w+b", buffering=0) as out:
        have = out.seek(0, os.SEEK_END)
        attempts = failures = 0
        while file.size is None or have < file.size:
            before, why = have, ""
            try:
                for chunk in _stream(file, have):
                    if chunk is None:  # the server sends the whole file
                        bar.update(-have)
                        have = out.seek(0)
                        out.truncate()
                        continue
                    _write(out, chunk)
                    have += len(chunk)
                    bar.update(len(chunk))
                if file.size is None:
                    return
            except hub_client.transient() as error:
                why = hub_client.trouble(error, _asked(error) or file.url)
            if have >= (file.size or have + 1):
                break
            attempts += 1
            failures = failures + 1 if have <= before else 1
            why = why or f"{hub_client.origin(file.url)} sent less than the whole file"
            if failures > len(hub_client.WAITS) or attempts == ATTEMPTS:
                raise HubError(
                    f"{file.name}: {why} ({attempts} attempts).", "Try again later; what was downloaded is kept."
                )
            wait = hub_client.WAITS[failures - 1]
            bar.clear()
            tell(f"{file.name}: {why}; {megabytes(have, file.size or have)} are here, trying again in {wait:g} s")
            time.sleep(wait)
    if file.size is not None and have != file.size:
        part.unlink()
        raise HubError(f"{file.name}: the hub says {file.size:,} bytes and sends {have:,}.", "Try again later.")


def _stream(file: RemoteFile, start: int) -> Iterator[bytes | None]:
    """Yield the bytes of a file from `start` on. If the server starts at 0 instead, None comes first."""
    from huggingface_hub import get_session
    from huggingface_hub.utils import build_hf_headers, hf_raise_for_status

    headers = build_hf_headers() | {"Accept-Encoding": "identity"}
    if start:
        headers["Range"] = f"bytes={start}-"
    # The client drops the token when a redirect leaves the hub for its storage.
    with get_session().stream("GET", file.url, headers=headers, follow_redirects=True) as response:
        hf_raise_for_status(response)
        continues = response.headers.get("Content-Range", "").startswith(f"bytes {start}-")
        if start and not (response.status_code == 206 and continues):
            yield None
        yield from response.iter_bytes()


def _asked(error: Exception) -> str:
    """Return the URL of the failed request, which redirects may have changed; "" if unknown."""
    return str(getattr(getattr(error, "_request", None), "url", ""))


def _write(out: Any, chunk: bytes) -> None:
    """Write all of `chunk`: a raw file may accept less at once."""
    view = memoryview(chunk)
    while view:
        view = view[out.write(view) :]


def _is(path: Path, etag: str) -> bool:
    """Return whether a file matches its ETag: SHA-256 for large files, git's blob SHA-1 for small ones."""
    if len(etag) == 64:
        with path.open("rb") as stream:
            return hashlib.file_digest(stream, "sha256").hexdigest() == etag.lower()
    if len(etag) == 40:
        content = path.read_bytes()
        return etag.lower() in (
            hashlib.sha1(b"blob %d\0%b" % (len(content), content)).hexdigest(),
            hashlib.sha1(content).hexdigest(),
        )
    return False


@contextlib.contextmanager
def _alone(folder: Path, file: RemoteFile, tell: Tell) -> Iterator[None]:
    """Hold the lock that the hub's client takes for this file."""
    import filelock

    path = folder.parent / ".locks" / folder.name / f"{file.etag}.lock"
    path.parent.mkdir(parents=True, exist_ok=True)
    lock = filelock.FileLock(path)
    try:
        lock.acquire(blocking=False)
    except filelock.Timeout:
        tell(f"waiting for another process that is downloading {file.name}")
        lock.acquire()
    try:
        yield
    finally:
        lock.release()


@contextlib.contextmanager
def _bar(name: str, total: int, tell: Tell) -> Iterator[Any]:
    """Show progress in bytes: a bar on a terminal, otherwise a line every few seconds."""
    from huggingface_hub.utils import are_progress_bars_disabled, tqdm

    if not sys.stderr.isatty() or are_progress_bars_disabled() or total < BRIEF:
        yield _Lines(name, total, tell)
        return
    width = shutil.get_terminal_size().columns
    with tqdm(total=total, unit="B", unit_scale=True, desc=name, leave=False, ncols=width) as bar:
        yield bar


class _Lines:
    """Progress without a terminal."""

    def __init__(self, name: str, total: int, tell: Tell) -> None:
        self.name, self.total, self.tell = name, total, tell
        self.done, self.shown, self.at = 0, 0, time.monotonic()

    def update(self, size: int) -> None:
        self.done += size
        seconds = time.monotonic() - self.at
        if seconds >= LINE_SECONDS:
            speed = max(0, self.done - self.shown) / 1e6 / seconds
            self.tell(f"{self.name}: {megabytes(self.done, self.total)} ({speed:.1f} MB/s)")
            self.shown, self.at = self.done, time.monotonic()

    def clear(self) -> None:
        pass

    def close(self) -> None:
        pass
