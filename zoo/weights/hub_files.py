"""Check files in the hub's cache against the hashes in their names.

The hub's client gives a downloaded file its final name before the content is on the disk, so a power cut leaves files
with the right names that are empty, truncated or full of zeros. In the cache a file is a link to one whose name is the
hash that the hub gave for the content, which reveals the damage.
"""

from __future__ import annotations

import hashlib
import os
import re
from collections.abc import Callable, Iterable
from pathlib import Path

from ...core import hub, hub_client, hub_download
from ...core.errors import ModelMissing
from . import file_checks
from .digests import file_digest

Tell = Callable[[str], None]

GIT_LIMIT = 100_000_000  # bytes; the hub stores larger files under their SHA-256, which `digests` remembers


class Damaged(ModelMissing):
    """A file in the hub's cache is damaged and cannot be downloaded again."""


def intact(repository: str, folder: Path, names: Iterable[str], tell: Tell) -> Path:
    """Return `folder`, a snapshot in the hub's cache, after making sure that its files `names` are those of the hub.

    Damaged files are downloaded again, once. A server whose file names are not hashes sends the same file again, which
    is then used. Raises Damaged if the download fails.
    """
    damaged = {name: why for name in names if (why := damage(folder / name, tell))}
    for name, why in damaged.items():
        what = f"{name} of {repository} in the hub's cache is damaged ({why})"
        if not hub.reachable():
            raise Damaged(f"{what}; {hub.why_unreachable()}.", _advice(folder / name))
        tell(f"{what} and is downloaded again")
        try:
            with hub_client.patient(tell):
                hub_download.Repository(repository, folder.name).renew(name, tell)
        except Exception as error:  # the client raises dozens of kinds
            said = hub.refusal(error, repository, "model").message.rstrip(".")
            raise Damaged(f"{what} and cannot be downloaded again: {said}.", _advice(folder / name)) from error
    return folder


def damage(path: Path, tell: Tell = lambda line: None) -> str:
    """Return what is wrong with a file of a snapshot; "" if nothing is, or if its name is not a hash."""
    try:
        size = path.stat().st_size
        name = path.readlink().name if path.is_symlink() else ""
        if re.fullmatch(r"[0-9a-f]{64}", name):
            right = file_digest(path, tell) == name
        elif re.fullmatch(r"[0-9a-f]{40}", name) and size < GIT_LIMIT:
            content = path.read_bytes()
            # Git hashes a header too; some mirrors of the hub do not.
            right = name in (hashlib.sha1(b"blob %d\0" % size + content).hexdigest(), hashlib.sha1(content).hexdigest())
        else:
            return file_checks.damage(path)
    except OSError as error:
        return error.strerror or str(error)
    return "" if right else "it is empty" if size == 0 else "its content does not match its hash"


def _advice(path: Path) -> str:
    place = path.parent / path.readlink() if path.is_symlink() else path
    return (
        "Run this once with network access, and the file is downloaded again. For other tools to do so, delete it:\n"
        f"{os.path.normpath(place)}"
    )
