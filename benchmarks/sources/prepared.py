"""Copies of hub data sets in the client's Arrow format, checked before they are read.

The client writes Arrow files into its cache without syncing them. After a power cut such a file may end in zeros, and
is read without an error as fewer rows or as rows of zeros. So medbench keeps the hash of each file of a copy that it
saw being prepared.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from ...core import durable, paths
from ...core.errors import DataMalformed

END = b"\xff\xff\xff\xff\0\0\0\0"  # end of an Arrow stream
ABSENT, UNKNOWN = "it is missing", "it was prepared by another program"


def prepare(repository: str, builder: Any, download: Callable[[], None] | None, tell: Callable[[str], None]) -> bool:
    """Have the client's builder prepare its copy, unless there is one that is known to be intact.

    `download` receives the files to make it from; None if the hub does not answer. In that case, a copy without known
    hashes is used as it is. Returns whether the copy is known to be intact. Raises DataMalformed for a damaged one.
    """
    folder = Path(builder.cache_dir)
    why = damage(folder)
    if why and download and builder.config.data_files:  # a builder without files can only read a prepared copy
        if why not in (ABSENT, UNKNOWN):
            tell(f"the copy of {repository} in {folder} is damaged ({why}); preparing it again")
        download()
        builder.download_and_prepare(download_mode="reuse_cache_if_exists")
        return remember(folder)
    if why not in ("", ABSENT, UNKNOWN):
        raise damaged(repository, builder, why)
    if why == UNKNOWN:
        tell(f"the copy of {repository} in the cache of datasets cannot be compared with a hash: {UNKNOWN}")
    builder.download_and_prepare()
    return not why


def rows(repository: str, builder: Any, split: str, whole: bool) -> list[dict[str, Any]]:
    """Return the rows of a split of a prepared copy. Raises DataMalformed if an unverified copy shows damage."""
    splits = builder.info.splits or {}
    found: list[dict[str, Any]] = []
    try:
        dataset = builder.as_dataset(split=split)
        expected = splits[split].num_examples if split in splits else None
        why = "" if whole else doubt(Path(builder.cache_dir), dataset.data, expected)
        if not why:
            found = dataset.to_list()
    except Exception as error:  # raised by Arrow or the client
        if isinstance(error, OSError | LookupError) or type(error).__module__.startswith("pyarrow"):
            raise damaged(repository, builder, _first_line(error)) from error
        raise
    if not whole and any("\0" in value for row in found for value in row.values() if isinstance(value, str)):
        why = "some of its texts are zeros"
    if why:
        raise damaged(repository, builder, why)
    return found


def damaged(repository: str, builder: Any, why: str) -> DataMalformed:
    return DataMalformed(
        f"the copy of {repository} in the cache of datasets is damaged: {why}.",
        f"Run this once with network access to prepare it again. If that does not help, delete this folder:\n"
        f"{builder.cache_dir}",
    )


def remember(folder: Path) -> bool:
    """Sync a copy that was just prepared, and store the hashes of its files. Return whether that was possible."""
    try:
        durable.sync_tree(folder)
        durable.make_folder(_note(folder).parent)
        files = {path.name: _sha256(path) for path in sorted(folder.iterdir()) if path.is_file()}
        durable.replace_file(_note(folder), json.dumps({"folder": str(folder), "files": files}).encode())
    except OSError:  # without a writable cache, only time is lost
        return False
    return True


def damage(folder: Path) -> str:
    """Return what is wrong with a prepared copy: "" if nothing, UNKNOWN if no hashes of it were stored."""
    if not folder.is_dir():
        return ABSENT
    try:
        noted = json.loads(_note(folder).read_bytes())
        files: Mapping[str, str] = noted["files"]
        if noted["folder"] != str(folder) or not files:
            return UNKNOWN
    except (OSError, ValueError, LookupError, TypeError):
        return UNKNOWN
    for name, digest in files.items():
        try:
            if _sha256(folder / name) != digest:
                return f"{name} was changed"
        except OSError as error:
            return f"{name} cannot be read: {error.strerror or error}"
    return ""


def doubt(folder: Path, table: Any, expected: int | None) -> str:
    """Return what indicates damage in a copy without known hashes; "" if nothing does.

    `table` was read from its Arrow files; `expected` is the number of its rows, if known.
    """
    for path in sorted(folder.glob("*.arrow")):
        with path.open("rb") as file:
            file.seek(max(0, path.stat().st_size - len(END)))
            if file.read() != END:
                return f"{path.name} does not end as it should"
    if expected is not None and table.num_rows != expected:
        return f"it has {table.num_rows:,} rows, not {expected:,}"
    try:
        table.validate(full=True)
    except Exception as error:  # Arrow has several kinds
        return _first_line(error)
    return ""


def _note(folder: Path) -> Path:
    return paths.cache() / "datasets" / f"{hashlib.sha256(str(folder).encode()).hexdigest()[:16]}.json"


def _sha256(path: Path) -> str:
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def _first_line(error: Exception) -> str:
    return next(iter(str(error).strip().splitlines()), type(error).__name__).rstrip(".")
