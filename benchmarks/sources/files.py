"""Where a benchmark's data comes from: a folder of official releases, the cache, or the hub.

`medbench fetch data` fills the cache. The hub is read through `datasets`.
"""

from __future__ import annotations

import codecs
import copy
import dataclasses
import fnmatch
import hashlib
import os
import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import IO, Any

from ...core import dry, hub, official, paths
from ...core.errors import DataMalformed, DataMissing
from ...core.tables import BadLine, text_lines
from ...core.types import ItemSet
from . import hub as hub_sets
from . import prepared
from .archives import PACKED, UNREADABLE, Archive

MAX_DEPTH = 6  # how many levels below the data folder are searched for a release
BIG_ARCHIVE = 1 << 30  # bytes; a larger archive is opened only in the benchmark's own folder
MAX_FILE = 1 << 30  # bytes that are read at once; every known release file is far smaller
FETCH_AGAIN = "Download the file again from its release, or name another folder with --data."


@contextmanager
def own_file(hint: str) -> Iterator[None]:
    """Add this hint to errors in a file that the user wrote, because it cannot be downloaded from a release."""
    try:
        yield
    except DataMalformed as error:
        more = error.hint.removesuffix(FETCH_AGAIN).removesuffix(hint).strip()
        raise DataMalformed(error.message, f"{more}\n{hint}".strip()) from error


@dataclass(frozen=True)
class SourceFile:
    """One file of an official release, on disk or inside an archive."""

    path: str  # relative to the data folder; "archive.zip:member" inside an archive
    disk: Path
    member: str = ""
    archive: Archive | None = field(default=None, repr=False, compare=False)

    @property
    def origin(self) -> str:
        """The file as people find it: its path on disk, and the member if that is an archive."""
        return f"{self.disk}:{self.member}" if self.member else str(self.disk)

    def bytes(self) -> bytes:
        """Return the whole content. Raises DataMalformed for more than MAX_FILE, because it must fit in memory."""
        with self._readable(), _stream(self) as stream:
            size = 0 if self.archive else self.disk.stat().st_size
            content = b"" if size > MAX_FILE else stream.read((size or MAX_FILE) + 1)
        if size > MAX_FILE or len(content) > MAX_FILE:
            raise DataMalformed(f"{self.origin} is larger than {MAX_FILE >> 30} GiB.", FETCH_AGAIN)
        return content

    def digest(self) -> str:
        """Return the SHA-256 of the content, in hexadecimal."""
        total = hashlib.sha256()
        with self._readable(), _stream(self) as stream:
            while part := stream.read(1 << 20):
                total.update(part)
        return total.hexdigest()

    def text(self) -> str:
        try:
            return self.bytes().decode("utf-8-sig")
        except UnicodeDecodeError as error:
            raise DataMalformed(f"{self.origin} is not UTF-8: byte {error.start}", FETCH_AGAIN) from error

    def pieces(self, size: int) -> Iterator[str]:
        """Yield the text in pieces of about `size` bytes, for a file that is too large to read at once."""
        decoder = codecs.getincrementaldecoder("utf-8-sig")()
        with self._readable(), _stream(self) as stream:
            try:
                while part := stream.read(size):
                    yield decoder.decode(part)
                yield decoder.decode(b"", final=True)
            except UnicodeDecodeError as error:
                raise DataMalformed(f"{self.origin} is not UTF-8: {error.reason}", FETCH_AGAIN) from error

    def lines(self) -> Iterator[tuple[int, str]]:
        """Yield lines with their numbers, from 1, reading the file as needed."""
        with self._readable(), _stream(self) as stream:
            try:
                yield from text_lines(stream)
            except BadLine as error:
                raise DataMalformed(f"{self.origin}, row {error.number}: {error.problem}.", FETCH_AGAIN) from error

    @contextmanager
    def _readable(self) -> Iterator[None]:
        try:
            yield
        except UNREADABLE as error:
            raise DataMalformed(f"{self.origin} cannot be read: {error}", FETCH_AGAIN) from error


def beside(plugin: str, name: str) -> SourceFile:
    """Return the file `name` in the folder of a plugin's own file: `beside(__file__, "questions.json")`.

    Raises DataMissing if it is not there.
    """
    path = Path(plugin).resolve().parent / name
    if not path.is_file():
        raise DataMissing(
            f"{path} is missing; {Path(plugin).name} needs it in its own folder.",
            "Put it there. An installed package must list it as package-data.",
        )
    return SourceFile(name, path)


def only(files: Sequence[SourceFile]) -> SourceFile | None:
    """Return the one file among these, the topmost if there are copies. Raises DataMalformed naming two that differ."""
    if not files:
        return None
    first, *others = sorted(files, key=lambda file: (file.path.count("/"), file.path))
    for other in others:
        if other.digest() != first.digest():
            raise DataMalformed(
                f"two files match, and they differ: {first.origin} and {other.origin}.",
                "Keep one of them, or name the folder of one with --data.",
            )
    return first


def _stream(file: SourceFile) -> IO[bytes]:
    return file.archive.open(file.member) if file.archive else file.disk.open("rb")


@dataclass(frozen=True)
class HubRows:
    rows: list[dict[str, Any]]
    origin: str


class Source:
    """Provides a benchmark with its files. `data` is the folder with official releases, or None.

    `downloads` shows the progress of official files that are downloaded because they are missing (see `official`), and
    messages about the hub; if None, official files are not downloaded. `revisions` maps hub data sets to a branch, tag
    or commit. With `cached`, the hub is not asked: only copies in its cache are read.
    """

    def __init__(
        self,
        data: Path | None = None,
        downloads: official.DownloadProgress | None = None,
        revisions: Mapping[str, str] | None = None,
        cached: bool = False,
    ) -> None:
        self.data = data
        self.cached = cached
        self.downloads = downloads
        self.revisions = dict(revisions or {})
        self.commits: dict[str, str] = {}  # of the hub data sets that were read
        self._elsewhere: list[str] = []
        self._archives: dict[Path, Archive] = {}
        self._damaged: dict[Path, str] = {}
        self._closed: dict[Path, None] = {}  # compressed archives that were not searched
        self._on_disk = cache(self._files_on_disk)
        self._packed = cache(self._files_packed)
        tell = (downloads or official.DownloadProgress()).tell
        self._prepared = cache(
            lambda name, config, reachable, revision: hub_sets.obtain(name, config, reachable, revision, tell)
        )
        self._hub_alone = False

    def of(self, repository: str) -> Source:
        """Return the source for one hub data set: this one, or the hub alone if the user asked for a revision of it."""
        if repository not in self.revisions:
            return self
        alone = copy.copy(self)
        alone.data, alone.downloads, alone._hub_alone = None, None, True
        return alone

    def at(self, revisions: Mapping[str, str]) -> Source:
        """Return a source of the same folder with hub data sets at these revisions instead."""
        return Source(self.data, self.downloads, revisions)

    def files(self, folder: str, *patterns: str) -> list[SourceFile]:
        """Return files whose path ends in one of `patterns` (`fnmatch`; includes the data folder's name), sorted by
        path.

        Searches DATA/`folder`, then any folder of that name below DATA, then DATA itself; in each first on disk, then
        inside archives (.zip, .tar, .tar.gz, …). The first of these places with a match provides all files, so that a
        folder above the releases mixes none of them. Without a match or a data folder, uses the files that `medbench
        fetch data` put into the cache, if any. Raises DataMissing for a data folder that does not exist and
        DataMalformed for a damaged archive in DATA/`folder`.
        """
        if self._hub_alone:
            return []
        if self.data is None:
            return self._fetched(folder, patterns)
        if not self.data.is_dir():
            problem = "is a file, not a folder" if self.data.exists() else "does not exist"
            raise DataMissing(f"the data folder {problem}: {self.data}", "Fix --data or MEDBENCH_DATA.")
        wanted = re.compile("|".join(fnmatch.translate(f"*/{pattern}") for pattern in patterns))
        own = f"/{folder}/".lower()
        for root, inside in ((self.data / folder, "/"), (self.data, own), (self.data, "/")):
            for packed in (False, True):
                place = self._packed(root, folder) if packed else self._on_disk(root)
                found = [file for seen, file in place if wanted.match(seen) and inside in f"/{file.path}".lower()]
                if found:
                    found.sort(key=lambda file: file.path)
                    if root == self.data and inside == "/":
                        self._note_elsewhere(folder, found)
                    return found
        return self._fetched(folder, patterns)

    def _fetched(self, folder: str, patterns: Sequence[str]) -> list[SourceFile]:
        own = paths.releases() / folder
        return Source(own).files(folder, *patterns) if own != self.data and own.is_dir() else []

    def file(self, folder: str, *patterns: str) -> SourceFile | None:
        """Return the one file that `files` finds, or None. Identical copies count as one.

        Raises DataMalformed naming the files if they differ, because medbench does not guess which one is right.
        """
        return only(self.files(folder, *patterns))

    def noted(self, loaded: ItemSet) -> ItemSet:
        """Return `loaded` with a note for each file that was found in a folder with another name."""
        notes, self._elsewhere = tuple(dict.fromkeys(self._elsewhere)), []
        return dataclasses.replace(loaded, notes=(*loaded.notes, *notes)) if notes else loaded

    def _note_elsewhere(self, folder: str, found: list[SourceFile]) -> None:
        """Record files in folders whose names do not show that they belong to this benchmark.

        The data folder itself may be the release, because the user named it.
        """
        assert self.data is not None
        for file in found[:1]:
            if "/" in file.path and self.data.resolve().name.lower() != folder.lower():
                others = f" and {len(found) - 1:,} more files" if len(found) > 1 else ""
                self._elsewhere.append(
                    f"Read from {file.origin}{others}: no folder called {folder} below {self.data} has such a file."
                )

    def hub(self, repository: str, split: str, config: str | None = None, needed: str = "") -> HubRows:
        """Return all rows of one split (`train`, or a part: `train[:100]`) of a hub data set, from its cache if
        offline.

        `needed` names the official file in the message. Raises DataMissing if the data set is not available.
        """
        reachable = not self.cached and hub.reachable()
        pinned = self.revisions.get(repository, "")
        try:
            builder, whole = self._prepared(repository, config, reachable, pinned)
        except Exception as error:  # the client raises dozens of kinds
            if isinstance(error, DataMalformed):
                raise
            if not reachable:
                raise self.missing(f"{repository} @ {pinned}" if pinned else repository, needed) from error
            refusal = hub.refusal(error, repository, "dataset", pinned)
            raise DataMissing(f"{self._looked(needed)}, and {refusal.message}", refusal.hint) from error
        try:
            rows = prepared.rows(repository, builder, split, whole)
        except DataMalformed:
            raise
        except Exception as error:  # the client's error for a split that does not exist
            raise DataMissing(f"{repository} on the hub: {_first_line(error)}") from error
        # The builder's hash is the commit: of the repository if the hub was asked, otherwise of the cached copy.
        revision = f"@{builder.hash}" if builder.hash else ""
        self.commits[repository] = builder.hash or ""
        return HubRows(rows, f"hub:{repository}" + (f"/{config}" if config else "") + revision)

    def missing(self, repository: str, needed: str = "") -> DataMissing:
        """Return the error for data that is neither in the folder nor on the hub: what, where it was searched, what
        next.
        """
        if dry.running():
            return DataMissing(f"{self._looked(needed)}, and a run asks the hub for {repository}.")
        return DataMissing(
            f"{self._looked(needed)}, and the hub copy {repository} is not in the cache and cannot be fetched: "
            f"{hub.why_unreachable()}.",
            "Name a folder with the release (--data or MEDBENCH_DATA), or run once with network access to fetch "
            f"{repository}.",
        )

    def not_on_hub(self, folder: str, needed: str, release: str) -> DataMissing:
        """Return the error for a release that has no hub copy: `needed` of `release` is not in the data folder."""
        return DataMissing(
            f"{self._looked(f'{needed} of {release}')}, and it has no copy on the hub.",
            f"Put {needed} into {self.data or 'a data folder'}, in a folder {folder}."
            + ("" if self.data else " Name the data folder with --data or MEDBENCH_DATA."),
        )

    def _looked(self, needed: str) -> str:
        what = needed or "the official release"
        if self._hub_alone:
            return f"{what}: a revision of the hub copy was asked for"
        if self.data is None:
            return f"no data folder with {what} was named"
        damaged = "".join(f" ({path} is damaged: {why})" for path, why in self._damaged.items())
        closed = ", ".join(map(str, self._closed))
        closed = f" (not searched, because the benchmark's name is not in their path: {closed})" if closed else ""
        return f"{what} is not below {self.data}{damaged}{closed}"

    def _files_on_disk(self, root: Path) -> list[tuple[str, SourceFile]]:
        """Yield the files below `root`, each with the path that patterns are matched against.

        The path begins with the data folder's name, and treats archives as folders.
        """
        assert self.data is not None
        name = self.data.resolve().name
        paths = [(path.relative_to(self.data).as_posix(), path) for path in files_below(root)]
        return [(f"/{name}/{shown}", SourceFile(shown, path)) for shown, path in paths]

    def _files_packed(self, root: Path, folder: str) -> list[tuple[str, SourceFile]]:
        """Yield the files in the archives below `root`, as `_files_on_disk` does.

        A .tar.gz has no list of its contents, so searching it means unpacking all of it. Only those that are in a
        folder of this name or have it in their own name are searched.
        """
        found = []
        bare = _letters(folder)
        own = root != self.data
        for seen, packed in self._on_disk(root):
            path = packed.disk
            if not path.name.lower().endswith((".zip", ".tar", ".tgz", ".tar.gz", ".tar.bz2", ".tar.xz")):
                continue
            if not own and path.stat().st_size > BIG_ARCHIVE:
                continue
            named = own or f"/{folder}/".lower() in f"/{packed.path}".lower() or bare in _letters(path.name)
            if path.suffix.lower() in PACKED and not named:
                self._closed[path] = None
                continue
            archive = self._archives.setdefault(path, Archive(path))
            try:
                members = archive.members
            except UNREADABLE as error:
                if own:
                    raise DataMalformed(f"{path} cannot be opened: {error}", FETCH_AGAIN) from error
                self._damaged[path] = str(error)
                continue
            for member in members:
                if not any(part.startswith((".", "__MACOSX")) for part in member.split("/")):
                    found.append((f"{seen}/{member}", SourceFile(f"{packed.path}:{member}", path, member, archive)))
        return found


def _letters(name: str) -> str:
    """Return a name without case and punctuation: "Medical_Reasoning" matches "medical-reasoning"."""
    return re.sub(r"[^a-z0-9]", "", name.lower())


def files_below(root: Path, seen: set[tuple[int, int]] | None = None, depth: int = 0) -> Iterator[Path]:
    """Yield the files below `root` in the order of their names, without hidden ones, up to MAX_DEPTH folders deep.

    Links are followed, each folder once: `seen` are those that were read before.
    """
    seen = set() if seen is None else seen
    try:
        status = root.stat()
        entries = sorted(os.scandir(root), key=lambda entry: entry.name)
    except OSError:  # a folder that cannot be read is skipped
        return
    if (status.st_dev, status.st_ino) in seen:
        return
    seen.add((status.st_dev, status.st_ino))
    for entry in entries:
        if entry.name.startswith("."):
            continue
        if entry.is_file():
            yield root / entry.name
        elif entry.is_dir() and depth < MAX_DEPTH:
            yield from files_below(root / entry.name, seen, depth + 1)


def _first_line(error: Exception) -> str:
    return next(iter(str(error).strip().splitlines()), type(error).__name__)
