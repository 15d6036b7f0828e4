"""Where a benchmark's data comes from: a folder of official releases first, the hub through `datasets` otherwise."""

from __future__ import annotations

import fnmatch
import tarfile
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from ..core import hub
from ..core.errors import DataMalformed, DataMissing

MAX_DEPTH = 6  # how far below the data folder a release is looked for


@dataclass(frozen=True)
class SourceFile:
    """One file of an official release, on disk or inside an archive."""

    path: str  # relative to the data folder; "archive.zip:member" inside an archive
    disk: Path
    member: str = ""

    def bytes(self) -> bytes:
        try:
            if not self.member:
                return self.disk.read_bytes()
            if zipfile.is_zipfile(self.disk):
                with zipfile.ZipFile(self.disk) as archive:
                    return archive.read(self.member)
            with tarfile.open(self.disk) as tar:
                stream = tar.extractfile(self.member)
                assert stream is not None
                return stream.read()
        except (OSError, zipfile.BadZipFile, tarfile.TarError) as error:
            raise DataMalformed(f"{self.path} cannot be read: {error}") from error

    def text(self) -> str:
        try:
            return self.bytes().decode("utf-8-sig")
        except UnicodeDecodeError as error:
            raise DataMalformed(f"{self.path} is not UTF-8: byte {error.start}") from error


@dataclass(frozen=True)
class HubRows:
    rows: list[dict[str, Any]]
    origin: str


class Source:
    """Hands a benchmark its files. `data` is the folder with official releases, None where the user named none."""

    def __init__(self, data: Path | None = None) -> None:
        self.data = data
        self._looked: list[str] = []

    def files(self, folder: str, *patterns: str) -> list[SourceFile]:
        """Files whose path matches a pattern (`fnmatch`, on the last components), sorted by path.

        Looked for below DATA/`folder`, then below DATA itself, inside .zip and .tar.gz archives too. Empty where
        there is no data folder or nothing matches.
        """
        if self.data is None:
            return []
        if not self.data.is_dir():
            raise DataMissing(f"the data folder does not exist: {self.data}", "Mend --data or MEDBENCH_DATA.")
        for root in (self.data / folder, self.data):
            self._looked.append(str(root))
            found = [f for f in self._tree.get(root, self._walk(root)) if _matches(f.member or f.path, patterns)]
            if found:
                return sorted(found, key=lambda f: f.path)
        return []

    def hub(self, repository: str, split: str, config: str | None = None) -> HubRows:
        """All rows of one split of a hub data set. Raises DataMissing where it cannot be had."""
        import datasets

        if not hub.reachable() and not hub.offline():
            # A copy that an earlier run fetched still works; the client must be told not to retry for minutes.
            datasets.config.HF_HUB_OFFLINE = True
        try:
            rows = datasets.load_dataset(repository, config, split=split)
        except Exception as error:  # the client raises dozens of kinds
            if hub.reachable():
                raise DataMissing(*_parts(hub.refusal(error, repository, "dataset"))) from error
            raise self.missing(repository) from error
        revision = next((part for part in str(rows.info.download_checksums or "").split("@")[1:]), "")[:8]
        origin = f"hub:{repository}" + (f"/{config}" if config else "") + (f"@{revision}" if revision else "")
        return HubRows(list(rows), origin)

    def missing(self, repository: str, needed: str = "") -> DataMissing:
        """The error for data that is neither in the folder nor on the hub: what, where it was looked for, what next."""
        where = f"not below {self.data}" if self.data else "no data folder was named (--data or MEDBENCH_DATA)"
        what = needed or "its official release"
        return DataMissing(
            f"{what}: {where}; the hub copy {repository}: {hub.why_unreachable()}.",
            f"Put the release in a folder and name it with --data, or run once with network to fetch {repository}.",
        )

    @cached_property
    def _tree(self) -> dict[Path, list[SourceFile]]:
        return {}

    def _walk(self, root: Path) -> list[SourceFile]:
        self._tree[root] = list(_files_below(root, self.data or root)) if root.is_dir() else []
        return self._tree[root]


def _files_below(root: Path, data: Path, depth: int = 0) -> Iterator[SourceFile]:
    for path in sorted(root.iterdir()):
        shown = str(path.relative_to(data))
        if path.name.startswith("."):
            continue
        if path.is_dir():
            if depth < MAX_DEPTH:
                yield from _files_below(path, data, depth + 1)
            continue
        yield SourceFile(shown, path)
        for member in _members(path):
            yield SourceFile(f"{shown}:{member}", path, member)


def _members(path: Path) -> list[str]:
    """File names inside an archive; none for any other file or an archive that does not open."""
    try:
        if path.suffix == ".zip":
            with zipfile.ZipFile(path) as archive:
                return [n for n in archive.namelist() if not n.endswith("/") and not n.startswith("__MACOSX")]
        if path.name.endswith((".tar.gz", ".tgz", ".tar")):
            with tarfile.open(path) as tar:
                return [m.name for m in tar.getmembers() if m.isfile()]
    except (OSError, zipfile.BadZipFile, tarfile.TarError):
        return []
    return []


def _matches(path: str, patterns: tuple[str, ...]) -> bool:
    return any(fnmatch.fnmatch("/" + path, "*/" + pattern) for pattern in patterns)


def _parts(error: Any) -> tuple[str, str]:
    return error.message, error.hint
