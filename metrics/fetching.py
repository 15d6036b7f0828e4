"""Getting a released spaCy pipeline: download, check, unpack into the cache, load once.

scispaCy's releases are source archives for pip, but pip would downgrade spaCy with them; all that is needed of one is
the folder with its `config.cfg`, which lies three folders deep.
"""

from __future__ import annotations

import contextlib
import http.client
import json
import shutil
import tarfile
import threading
import urllib.error
import urllib.request
import zlib
from collections.abc import Callable
from pathlib import Path, PurePosixPath
from typing import Any

from ..core import durable
from ..core.errors import MedbenchError, UsageError
from . import pipelines
from .pipelines import Pipeline

CONNECT_SECONDS = 8.0  # until a server has begun to answer, the look-up of its name counted in
READ_SECONDS = 30.0  # until the next bytes arrive
TRIES = 3  # connections per command, each going on where the last one broke off
BLOCK = 1 << 18
LARGEST = 8 * 2**30  # bytes an archive may unpack to; the largest release takes one

Progress = Callable[[int, int | None], None]  # bytes so far, bytes in all where the server says


def fetch(name: str, source: str, progress: Progress, tell: Callable[[str], None] = lambda line: None) -> Pipeline:
    """Put the pipeline in the archive `source` (a file or an address) into the cache as `name`, and load it once.

    A download that breaks off is kept, and the next call continues it. Bytes that an earlier call left may be damaged
    (a power cut leaves zeros or nothing of what was not yet on the disk); then the whole archive is downloaded again.
    Nothing of a pipeline that fails a check is kept. Raises MedbenchError with what to do, UsageError for a source
    that is not an archive.
    """
    from filelock import FileLock, Timeout

    store = pipelines.store()
    try:
        durable.make_folder(store)
        with FileLock(store / f".{name}.lock", timeout=0):
            if source.startswith(("http://", "https://")):
                archive = store / f".{name}.part"
                continued = download(source, archive, progress)
                try:
                    found = _unpacked(name, archive, source)
                except Damaged:
                    if not continued:
                        raise
                    tell("what an earlier download left was damaged; downloading all of it again")
                    download(source, archive, progress)
                    found = _unpacked(name, archive, source)
                _forget(archive)
                return found
            return _unpacked(name, _file(source), source)
    except Timeout:
        raise MedbenchError(f"another medbench is fetching '{name}' just now.", "Wait for it.") from None
    except OSError as error:
        problem = error.strerror or str(error)
        raise MedbenchError(
            f"the entity model cannot be put into {store}: {problem}.", "Make room there, or set MEDBENCH_CACHE."
        ) from error


def _file(source: str) -> Path:
    path = Path(source.removeprefix("file://")).expanduser()
    if path.is_dir():
        raise UsageError(
            f"{path} is a folder; an archive is wanted.", f"A folder needs no fetching: --entity-model {path}"
        )
    if not path.is_file():
        raise UsageError(f"no such file: {path}", "--from takes an archive (.tar.gz) on disk, or its http(s) address.")
    return path


# Download


def download(address: str, target: Path, progress: Progress) -> bool:
    """Download `address` to the file `target`, continuing where an earlier call for the same file of the same server
    stopped. Return whether bytes of an earlier call were used."""
    used = _have(target, address)[0] > 0
    left = TRIES
    while True:
        before = _have(target, address)[0]
        try:
            return not _once(address, target, progress) and used
        except (OSError, http.client.HTTPException) as error:
            if isinstance(error, OSError) and not isinstance(error, _NETWORK):
                raise  # the disk's, not the network's
            have = _have(target, address)[0]
            left -= 1
            if not left or have == before:  # it does not get on
                raise _broken(address, target, have, error) from error


_NETWORK = (urllib.error.URLError, ConnectionError, TimeoutError)


def _once(address: str, target: Path, progress: Progress) -> bool:
    """Return whether the whole file came in this request."""
    have, tag = _have(target, address)
    headers = {"User-Agent": "medbench", "Accept-Encoding": "identity"}
    if have and tag:
        headers |= {"Range": f"bytes={have}-", "If-Range": tag}
    try:
        opened = _open(urllib.request.Request(address, headers=headers))
    except urllib.error.HTTPError as error:
        if error.code != 416 or "Range" not in headers:
            raise
        # There is nothing behind what is here: it is the whole file, or not this one.
        if error.headers.get("Content-Range") == f"bytes */{have}":
            return False
        _forget(target)
        return _once(address, target, progress)
    with contextlib.closing(opened) as reply:
        goes_on = reply.status == 206
        have = have if goes_on else 0
        length = reply.headers.get("Content-Length")
        total = have + int(length) if length else None
        if not goes_on:
            _forget(target)  # first, so that no note ever stands beside the bytes of another file
        with target.open("ab") as file:
            _note(target, address, reply.headers.get("ETag") or reply.headers.get("Last-Modified") or "")
            progress(have, total)
            while block := reply.read(BLOCK):
                file.write(block)
                have += len(block)
                progress(have, total)
    if total is not None and have < total:
        raise ConnectionError(f"the connection ended at {have} of {total} bytes")
    return not goes_on


def _open(request: urllib.request.Request) -> Any:
    """The reply. In a thread, because a name server that does not answer holds a look-up past every timeout."""
    replies: list[Any] = []
    errors: list[Exception] = []

    def ask() -> None:
        try:
            replies.append(urllib.request.urlopen(request, timeout=READ_SECONDS))
        except Exception as error:  # told to whoever waits
            errors.append(error)

    asking = threading.Thread(target=ask, daemon=True)
    asking.start()
    asking.join(CONNECT_SECONDS)
    if replies:
        return replies[0]
    raise errors[0] if errors else TimeoutError(f"no answer within {CONNECT_SECONDS:.0f} s")


def _beside(target: Path) -> Path:
    return target.with_name(target.name + ".json")


def _have(target: Path, address: str) -> tuple[int, str]:
    """(bytes that an earlier try left, the server's tag of their file); none of another address."""
    try:
        noted = json.loads(_beside(target).read_bytes())
        return (target.stat().st_size, str(noted["tag"])) if noted["address"] == address else (0, "")
    except (OSError, ValueError, LookupError, TypeError):
        return 0, ""


def _note(target: Path, address: str, tag: str) -> None:
    _beside(target).write_text(json.dumps({"address": address, "tag": tag}), encoding="utf-8")


def _forget(target: Path) -> None:
    target.unlink(missing_ok=True)
    _beside(target).unlink(missing_ok=True)


def _broken(address: str, target: Path, have: int, error: Exception) -> MedbenchError:
    name = target.name.removeprefix(".").removesuffix(".part")
    by_hand = (
        f"Download it where the network allows, then: medbench fetch entity-model {name} --from FILE\n"
        f"The address: {address}"
    )
    if isinstance(error, urllib.error.HTTPError):
        return MedbenchError(f"the server refuses {address}: {error.code} {error.reason}.", by_hand)
    reason = error.reason if isinstance(error, urllib.error.URLError) else error
    if have:
        return MedbenchError(
            f"the download broke off after {have:,} bytes: {reason}.", "The same command goes on from there."
        )
    return MedbenchError(f"{address} cannot be reached from here: {reason}.", by_hand)


# Check and unpack


class Damaged(MedbenchError):
    """The archive is not whole."""


def _unpacked(name: str, archive: Path, source: str) -> Pipeline:
    """The pipeline of an archive, checked, in its place in the cache."""
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
                _forget(archive)  # a broken download is not continued
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
    """The pipeline's folder inside a .tar.gz, as `folder`. Nothing else of the archive is written, and nothing outside
    of `folder`; the whole archive is read, so that a damaged one is found out. Raises MedbenchError.
    """
    try:
        with tarfile.open(archive, "r:gz") as tar:
            members = tar.getmembers()
            assert tar.fileobj is not None
            while tar.fileobj.read(BLOCK):  # what follows the last member, up to gzip's checksum
                pass
            inner = _inner(archive, members)
            written = 0
            for member in members:
                path = PurePosixPath(member.name)
                if not (member.isfile() and path.is_relative_to(inner)):
                    continue
                written += member.size
                if written > LARGEST:
                    raise MedbenchError(f"{archive} unpacks to over {LARGEST:,} bytes: it is no entity model.")
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


def _damaged(archive: Path, error: Exception) -> Damaged:
    return Damaged(f"{archive} is no whole .tar.gz: {error}.", "Fetch it again.")


def _inner(archive: Path, members: list[tarfile.TarInfo]) -> PurePosixPath:
    """The folder with config.cfg and meta.json that lies least deep. Refuses an archive that reaches outside itself."""
    for member in members:
        path = PurePosixPath(member.name)
        if path.is_absolute() or ".." in path.parts or "\\" in member.name or ":" in member.name:
            raise MedbenchError(f"{archive} is refused: it would write outside its folder ({member.name}).")
    files = {PurePosixPath(member.name) for member in members if member.isfile()}
    found = [path.parent for path in files if path.name == "config.cfg" and path.parent / "meta.json" in files]
    if not found:
        raise MedbenchError(
            f"{archive} holds no spaCy pipeline: no folder with config.cfg and meta.json.",
            "A release of scispaCy does; see medbench fetch entity-model --help",
        )
    return min(found, key=lambda path: (len(path.parts), str(path)))
