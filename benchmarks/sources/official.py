"""Loaders that download their official files if they are neither in a data folder nor on the hub."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import TypeVar

from ...core import official, paths
from ...core.errors import DataMalformed, DataMissing, MedbenchError
from ...core.official import Download
from .files import Source

T = TypeVar("T")


class NotDownloaded(DataMissing):
    """The data is missing, and its official files were not downloaded."""


def downloadable(name: str, *files: Download) -> Callable[[Callable[[Source], T]], Callable[[Source], T]]:
    """Decorate a loader: if it raises DataMissing, download its official files and call it again.

    The files go to the cache, where `Source.file` finds them. Every process verifies their hashes; a damaged file is
    deleted and downloaded again. `name` is the argument of `medbench fetch data`.
    """

    def wrap(load: Callable[[Source], T]) -> Callable[[Source], T]:
        @functools.wraps(load)
        def loading(source: Source) -> T:
            _remove_damaged(name, files)
            try:
                return load(source)
            except NotDownloaded:  # raised by a loader that this one calls
                raise
            except DataMissing as missing:
                if source.downloads is None:
                    raise NotDownloaded(missing.message, _hints(name, missing)) from missing
                _download(name, files, source.downloads, missing)
            return load(source)

        return loading

    return wrap


def _download(name: str, files: tuple[Download, ...], watch: official.DownloadProgress, missing: DataMissing) -> None:
    try:
        for file in files:
            official.fetch(file, paths.releases(), watch)
    except MedbenchError as error:
        message = f"{missing.message}\nIt could not be downloaded either: {error.message}"
        raise NotDownloaded(message, "\n".join(filter(None, [error.hint, _hints(name, missing)]))) from error


def _hints(name: str, missing: DataMissing) -> str:
    return f"On a machine with network access: medbench fetch data {name}\n{missing.hint}"


def _remove_damaged(name: str, files: tuple[Download, ...]) -> None:
    for file in files:
        path = paths.releases() / file.name
        if not path.exists() or official.is_whole(file, path):
            continue
        try:
            path.unlink()
        except OSError as error:
            raise DataMalformed(
                f"{path} is not the official file, and cannot be deleted: {error.strerror}.",
                f"Delete it, then run: medbench fetch data {name}",
            ) from error
