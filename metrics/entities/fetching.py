"""Fetch a released spaCy pipeline: download, verify, unpack into the cache, and load once.

scispaCy's releases are source archives for pip, but pip would downgrade spaCy with them. Only the folder with its
`config.cfg` is needed, which is three folders deep.
"""

from __future__ import annotations

import shutil
import tarfile
import zlib
from pathlib import Path, PurePosixPath

from ...core import durable
from ...core.download import BLOCK, DownloadRefused, DownloadUnreachable, Progress, Tell, download, forget
from ...core.errors import MedbenchError, UsageError
from . import pipelines
from .pipelines import Pipeline

LARGEST = 8 * 2**30  # bytes that an archive may unpack to; the largest release unpacks to 1 GiB


def fetch(name: str, source: str, progress: Progress, tell: Tell = lambda line: None) -> Pipeline:
    """Put the pipeline in the archive `source` (a file or an address) into the cache as `name`, and load it once.

    An interrupted download is kept, and the next call continues it. Bytes from an earlier call may be damaged (a power
    cut can leave zeros or lose what was not yet on the disk); then the whole archive is downloaded again. Nothing of a
    pipeline that fails a check is kept. Raises MedbenchError with what to do, and UsageError for a source that is not
    an archive.
    """
    from filelock import FileLock, Timeout

    store = pipelines.store()
    try:
        durable.make_folder(store)
        with FileLock(store / f".{name}.lock", timeout=0):
            if source.startswith(("http://", "https://")):
                archive = store / f".{name}.part"
                continued = _download(name, source, archive, progress, tell)
                try:
                    found = _unpacked(name, archive, source)
                except DamagedArchive:
                    if not continued:
                        raise
                    tell("the partial file of an earlier download was damaged; downloading all of it again")
                    _download(name, source, archive, progress, tell)
                    found = _unpacked(name, archive, source)
                forget(archive)
                return found
            return _unpacked(name, _file(source), source)
    except Timeout:
        raise MedbenchError(f"another medbench process is fetching '{name}'.", "Wait for it to finish.") from None
    except OSError as error:
        problem = error.strerror or str(error)
        raise MedbenchError(
            f"the entity model cannot be written to {store}: {problem}.",
            "Free some space there, or set MEDBENCH_CACHE to another folder.",
        ) from error


def _file(source: str) -> Path:
    path = Path(source.removeprefix("file://")).expanduser()
    if path.is_dir():
        raise UsageError(
            f"{path} is a folder, not an archive.", f"A folder can be used without fetching: --entity-model {path}"
        )
    if not path.is_file():
        raise UsageError(f"no such file: {path}", "--from takes an archive (.tar.gz) on disk, or its http(s) address.")
    return path


def _download(name: str, address: str, archive: Path, progress: Progress, tell: Tell) -> bool:
    """Download the archive. Return whether bytes from an earlier call were used."""
    try:
        return download(address, archive, progress, tell)
    except (DownloadUnreachable, DownloadRefused) as error:
        by_hand = f"Download it on a machine with network access, then: medbench fetch entity-model {name} --from FILE"
        raise MedbenchError(error.message, "\n".join(filter(None, [error.hint, by_hand]))) from error


# Check and unpack


class DamagedArchive(MedbenchError):
    """The archive is incomplete or damaged."""


def _unpacked(name: str, archive: Path, source: str) -> Pipeline:
    """Unpack an archive, check the pipeline, and return it in its place in the cache."""
    target = pipelines.store() / name
    scratch = pipelines.store() / f".{name}.work"
    shutil.rmtree(scratch, ignore_errors=True)  # left by a process that was killed
    scratch.mkdir()
    folder = scratch / name
    try:
        try:
            unpack(archive, folder)
        except MedbenchError:
            if archive.parent == pipelines.store():
                forget(archive)  # a damaged download is not continued
            raise
        _check_name(name, folder, source)
        pipelines.load(Pipeline(name, folder, "", ""))
        pipelines.load.cache_clear()
        durable.sync_tree(folder)
        if target.exists():
            target.rename(scratch / "old")
        durable.rename(folder, target)
    finally:
        shutil.rmtree(scratch, ignore_errors=True)
    pipelines.find.cache_clear()
    return pipelines.find(name)


def _check_name(name: str, folder: Path, source: str) -> None:
    meta = pipelines.read_meta(folder)
    own = f"{meta.get('lang')}_{meta.get('name')}"
    if name in pipelines.RELEASES and own != name:
        raise MedbenchError(
            f"{source} holds '{own}', not '{name}'.", f"medbench fetch entity-model {own} --from {source}"
        )


def unpack(archive: Path, folder: Path) -> None:
    """Unpack only the pipeline's folder from a .tar.gz to `folder`. Writes nothing outside `folder`.

    The whole archive is read, so that damage anywhere is detected. Raises MedbenchError.
    """
    try:
        with tarfile.open(archive, "r:gz") as tar:
            members = tar.getmembers()
            assert tar.fileobj is not None
            while tar.fileobj.read(BLOCK):  # the rest after the last member, up to gzip's checksum
                pass
            inner = _inner(archive, members)
            written = 0
            for member in members:
                path = PurePosixPath(member.name)
                if not (member.isfile() and path.is_relative_to(inner)):
                    continue
                written += member.size
                if written > LARGEST:
                    raise MedbenchError(f"{archive} unpacks to over {LARGEST:,} bytes: it is not an entity model.")
                place = folder.joinpath(*path.relative_to(inner).parts)
                place.parent.mkdir(parents=True, exist_ok=True)
                content = tar.extractfile(member)
                assert content is not None
                with content, place.open("wb") as file:
                    shutil.copyfileobj(content, file, BLOCK)
    except (tarfile.TarError, EOFError, zlib.error) as error:
        raise _damaged(archive, error) from error
    except OSError as error:
        if error.errno is not None:
            raise
        raise _damaged(archive, error) from error  # gzip.BadGzipFile


def _damaged(archive: Path, error: Exception) -> DamagedArchive:
    return DamagedArchive(f"{archive} is not a complete .tar.gz: {error}.", "Fetch it again.")


def _inner(archive: Path, members: list[tarfile.TarInfo]) -> PurePosixPath:
    """Return the topmost folder with config.cfg and meta.json. Rejects an archive with paths outside its folder."""
    for member in members:
        path = PurePosixPath(member.name)
        if path.is_absolute() or ".." in path.parts or "\\" in member.name or ":" in member.name:
            raise MedbenchError(f"{archive} is rejected: it would write outside its folder ({member.name}).")
    files = {PurePosixPath(member.name) for member in members if member.isfile()}
    found = [path.parent for path in files if path.name == "config.cfg" and path.parent / "meta.json" in files]
    if not found:
        raise MedbenchError(
            f"{archive} contains no spaCy pipeline: no folder has a config.cfg and a meta.json.",
            "Use a release of scispaCy; see medbench fetch entity-model --help",
        )
    return min(found, key=lambda path: (len(path.parts), str(path)))
