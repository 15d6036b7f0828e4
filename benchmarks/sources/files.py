"""Where a benchmark's data comes from: a folder of official releases, what `medbench fetch data` put into the cache, or
the hub through `datasets`.
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

from ...core import hub, official, paths
from ...core.errors import DataMalformed, DataMissing
from ...core.tables import BadLine, text_lines
from ...core.types import ItemSet
from . import hub as hub_sets
from . import prepared
from .archives import PACKED, UNREADABLE, Archive

MAX_DEPTH = 6  # how far below the data folder a release is looked for
BIG_ARCHIVE = 1 << 30  # bytes; a larger archive is opened only in the benchmark's own folder
MAX_FILE = 1 << 30  # bytes that are read at once; no release of one file is near it
MEND = "Fetch the file anew from its release, or name another folder with --data."


@dataclass(frozen=True)
class SourceFile:
    """One file of an official release, on disk or inside an archive."""

    path: str  # relative to the data folder; "archive.zip:member" inside an archive
    disk: Path
    member: str = ""
    archive: Archive | None = field(default=None, repr=False, compare=False)

    @property
    def origin(self) -> str:
        """The file as a person finds it: its path on disk, and the member where that is an archive."""
        return f"{self.disk}:{self.member}" if self.member else str(self.disk)

    def bytes(self) -> bytes:
        """The whole content. Raises DataMalformed for more than MAX_FILE: what is read at once has to fit in memory."""
        with self._readable(), _stream(self) as stream:
            size = 0 if self.archive else self.disk.stat().st_size
            content = b"" if size > MAX_FILE else stream.read((size or MAX_FILE) + 1)
        if size > MAX_FILE or len(content) > MAX_FILE:
            raise DataMalformed(f"{self.origin} is larger than {MAX_FILE >> 30} GiB.", MEND)
        return content

    def digest(self) -> str:
        """SHA-256 of the content, in hexadecimal."""
        total = hashlib.sha256()
        with self._readable(), _stream(self) as stream:
            while part := stream.read(1 << 20):
                total.update(part)
        return total.hexdigest()

    def text(self) -> str:
        try:
            return self.bytes().decode("utf-8-sig")
        except UnicodeDecodeError as error:
            raise DataMalformed(f"{self.origin} is not UTF-8: byte {error.start}", MEND) from error

    def pieces(self, size: int) -> Iterator[str]:
        """The text in pieces of about `size` bytes, for a file that is too large to be read at once."""
        decoder = codecs.getincrementaldecoder("utf-8-sig")()
        with self._readable(), _stream(self) as stream:
            try:
                while part := stream.read(size):
                    yield decoder.decode(part)
                yield decoder.decode(b"", final=True)
            except UnicodeDecodeError as error:
                raise DataMalformed(f"{self.origin} is not UTF-8: {error.reason}", MEND) from error

    def lines(self) -> Iterator[tuple[int, str]]:
        """Lines with their numbers, from 1, read as they are asked for."""
        with self._readable(), _stream(self) as stream:
            try:
                yield from text_lines(stream)
            except BadLine as error:
                raise DataMalformed(f"{self.origin}, row {error.number}: {error.problem}.", MEND) from error

    @contextmanager
    def _readable(self) -> Iterator[None]:
        try:
            yield
        except UNREADABLE as error:
            raise DataMalformed(f"{self.origin} cannot be read: {error}", MEND) from error


def beside(plugin: str, name: str) -> SourceFile:
    """Return the file `name` in the folder of a plugin's own file: `beside(__file__, "questions.json")`.

    Raises DataMissing if it is not there.
    """
    path = Path(plugin).resolve().parent / name
    if not path.is_file():
        raise DataMissing(
            f"{path} is missing; {Path(plugin).name} reads it from its own folder.",
            "Put it there. An installed package has to list it as package-data.",
        )
    return SourceFile(name, path)


def only(files: Sequence[SourceFile]) -> SourceFile | None:
    """The one file among these, the least deep of copies of it. Raises DataMalformed naming two that differ."""
    if not files:
        return None
    first, *others = sorted(files, key=lambda file: (file.path.count("/"), file.path))
    for other in others:
        if other.digest() != first.digest():
            raise DataMalformed(
                f"two files may be meant, and they differ: {first.origin} and {other.origin}.",
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
    """Hands a benchmark its files. `data` is the folder with official releases, None where the user named none.

    `downloads` shows the progress of official files that are downloaded because they are not here (see `official`), and
    what happens with the hub; None: official files are not downloaded. `revisions` pins hub data sets, by repository,
    to a branch, a tag or a commit.
    """

    def __init__(
        self,
        data: Path | None = None,
        downloads: official.Quiet | None = None,
        revisions: Mapping[str, str] | None = None,
    ) -> None:
        self.data = data
        self.downloads = downloads
        self.revisions = dict(revisions or {})
        self.commits: dict[str, str] = {}  # of the hub data sets that were read
        self._elsewhere: list[str] = []
        self._archives: dict[Path, Archive] = {}
        self._damaged: dict[Path, str] = {}
        self._closed: dict[Path, None] = {}  # packed archives that were not looked into
        self._on_disk = cache(self._files_on_disk)
        self._packed = cache(self._files_packed)
        tell = (downloads or official.Quiet()).tell
        self._prepared = cache(
            lambda name, config, reachable, revision: hub_sets.obtain(name, config, reachable, revision, tell)
        )
        self._hub_alone = False

    def of(self, repository: str) -> Source:
        """Return the source for one hub data set: this one, or the hub alone if a revision of it was asked for."""
        if repository not in self.revisions:
            return self
        alone = copy.copy(self)
        alone.data, alone.downloads, alone._hub_alone = None, None, True
        return alone

    def at(self, revisions: Mapping[str, str]) -> Source:
        """Return a source of the same folder with hub data sets at these revisions instead."""
        return Source(self.data, self.downloads, revisions)

    def files(self, folder: str, *patterns: str) -> list[SourceFile]:
        """Files whose path ends in one of `patterns` (`fnmatch`; the data folder's own name counts), sorted by path.

        Looked for below DATA/`folder`, then in any folder of that name below DATA, then below DATA itself; in each on
        disk first, then inside archives (.zip, .tar, .tar.gz, …): the first of these places that holds any gives all,
        so that a folder above the releases mixes none of them. Where none does, or where there is no data folder, the
        files are those that `medbench fetch data` put into the cache, if any. Raises DataMissing for a data folder
        that does not exist and DataMalformed for a damaged archive in DATA/`folder`.
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
        """The one file that `files` finds, None without any; copies of one file are one.

        Raises DataMalformed naming them where several differ: which is meant is not for us to guess.
        """
        return only(self.files(folder, *patterns))

    def noted(self, loaded: ItemSet) -> ItemSet:
        """What was just loaded, with a note for each file that was found in a folder of another name."""
        notes, self._elsewhere = tuple(dict.fromkeys(self._elsewhere)), []
        return dataclasses.replace(loaded, notes=(*loaded.notes, *notes)) if notes else loaded

    def _note_elsewhere(self, folder: str, found: list[SourceFile]) -> None:
        """Remember files in folders whose names do not say that they are this benchmark's.

        The data folder itself may be the release: that the user named.
        """
        assert self.data is not None
        for file in found[:1]:
            if "/" in file.path and self.data.resolve().name.lower() != folder.lower():
                others = f" and {len(found) - 1:,} other files" if len(found) > 1 else ""
                self._elsewhere.append(
                    f"Read from {file.origin}{others}: no folder called {folder} below {self.data} has such a file."
                )

    def hub(self, repository: str, split: str, config: str | None = None, needed: str = "") -> HubRows:
        """All rows of one split (`train`, or a part: `train[:100]`) of a hub data set, from its cache where offline.

        `needed` names the official file in the message. Raises DataMissing where the data set cannot be had.
        """
        reachable = hub.reachable()
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
        except Exception as error:  # the client's, of a split that does not exist
            raise DataMissing(f"{repository} on the hub: {_first_line(error)}") from error
        # The builder's hash is the commit: of the repository where it was asked, of the cached copy otherwise.
        revision = f"@{builder.hash}" if builder.hash else ""
        self.commits[repository] = builder.hash or ""
        return HubRows(rows, f"hub:{repository}" + (f"/{config}" if config else "") + revision)

    def missing(self, repository: str, needed: str = "") -> DataMissing:
        """The error for data that is neither in the folder nor on the hub: what, where it was looked for, what next."""
        return DataMissing(
            f"{self._looked(needed)}, and the hub copy {repository} is not in the cache and cannot be fetched: "
            f"{hub.why_unreachable()}.",
            "Name a folder that holds the release with --data or MEDBENCH_DATA, or run once with network to fetch "
            f"{repository}.",
        )

    def _looked(self, needed: str) -> str:
        what = needed or "the official release"
        if self._hub_alone:
            return f"{what}: a revision of the hub copy was asked for"
        if self.data is None:
            return f"{what}: no data folder was named"
        damaged = "".join(f" ({path} is damaged: {why})" for path, why in self._damaged.items())
        closed = ", ".join(map(str, self._closed))
        closed = f" (not looked into, for want of the benchmark's name in theirs: {closed})" if closed else ""
        return f"{what} is not below {self.data}{damaged}{closed}"

    def _files_on_disk(self, root: Path) -> list[tuple[str, SourceFile]]:
        """Files below `root`, each with the path that patterns are matched on: it begins with the data folder's name,
        and goes through archives as through folders.
        """
        assert self.data is not None
        name = self.data.resolve().name
        paths = [(path.relative_to(self.data).as_posix(), path) for path in _files_below(root, set())]
        return [(f"/{name}/{shown}", SourceFile(shown, path)) for shown, path in paths]

    def _files_packed(self, root: Path, folder: str) -> list[tuple[str, SourceFile]]:
        """Files in the archives below `root`, as `_files_on_disk` gives them.

        A .tar.gz has no list of what is in it: to look inside is to unpack all of it. That is done for those alone that
        are in a folder of this name or have it in their own.
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
                    raise DataMalformed(f"{path} cannot be opened: {error}", MEND) from error
                self._damaged[path] = str(error)
                continue
            for member in members:
                if not any(part.startswith((".", "__MACOSX")) for part in member.split("/")):
                    found.append((f"{seen}/{member}", SourceFile(f"{packed.path}:{member}", path, member, archive)))
        return found


def _letters(name: str) -> str:
    """A name without case and marks: "Medical_Reasoning" is "medical-reasoning"."""
    return re.sub(r"[^a-z0-9]", "", name.lower())


def _files_below(root: Path, seen: set[tuple[int, int]], depth: int = 0) -> Iterator[Path]:
    """Files below `root`, hidden ones left out; links are followed, each folder once."""
    try:
        status = root.stat()
        entries = sorted(os.scandir(root), key=lambda entry: entry.name)
    except OSError:  # a folder that we may not look into holds nothing for us
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
            yield from _files_below(root / entry.name, seen, depth + 1)


def _first_line(error: Exception) -> str:
    return next(iter(str(error).strip().splitlines()), type(error).__name__)
