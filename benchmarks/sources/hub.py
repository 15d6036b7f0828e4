"""Data sets on the hub: downloaded and prepared by its client, or prepared copies that are already on this disk."""

from __future__ import annotations

import functools
import re
import shutil
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from ...core import hub, hub_client, hub_download
from ...core.errors import MedbenchError, UsageError
from ...core.json_text import loads
from . import prepared

COMMIT = re.compile(r"[0-9a-f]{40}")
# The ways to write a data set at a revision: OWNER/NAME@REV, hub:OWNER/NAME/CONFIG@REV, hf://datasets/…
PINNED = re.compile(r"(?:hub:|hf://)?(?:datasets/)?([\w-][\w.-]*/[\w.-]+?)(?:/[^@]*)?@(\S+)")


def revisions(pins: list[str], known: list[str]) -> dict[str, str]:
    """Return the revision of each hub data set in `pins`, each written as OWNER/NAME@REV.

    Raises UsageError for anything else, and for a data set that is not among the `known` ones.
    """
    found: dict[str, str] = {}
    for pin in pins:
        read = PINNED.fullmatch(pin)
        if not read:
            raise UsageError(
                f"--data-revision {pin}: this is not a data set at a revision.",
                "Name the hub repository and a commit, tag or branch: --data-revision OWNER/NAME@REV",
            )
        repository, revision = read.groups()
        if repository not in known:
            some = f"Its data is read from {', '.join(sorted(known))}." if known else "It reads no data from the hub."
            raise UsageError(f"--data-revision {pin}: this command reads no data from {repository}.", some)
        if found.setdefault(repository, revision) != revision:
            raise UsageError(f"--data-revision names two revisions of {repository}: {found[repository]}, {revision}.")
    return found


def obtain(
    repository: str, config: str | None, reachable: bool, revision: str, tell: Callable[[str], None]
) -> tuple[Any, bool]:
    """Return the client's builder for a data set, ready to read, and whether its copy is known to be intact.

    If the hub does not answer, the newest copy that was prepared here before is used, and the items' origin names it.
    With a `revision`, only that revision is used; a commit, in full or abbreviated, needs no hub if it was prepared
    before. Raises what the client raises, LookupError for a missing copy, and MedbenchError for the wrong commit.
    """
    import datasets

    named = COMMIT.fullmatch(revision) or hub.PREFIX.fullmatch(revision)
    found = _copy(repository, config, revision) if named or not (reachable or revision) else None
    if found and (not reachable or not prepared.damage(Path(found.cache_dir))):
        return found, prepared.prepare(repository, found, None, tell)
    if not reachable:
        raise LookupError(f"{repository} was not prepared here")
    loudness = datasets.logging.get_verbosity()
    if not sys.stderr.isatty():
        datasets.disable_progress_bars()
    datasets.config.HF_UPDATE_DOWNLOAD_COUNTS = False  # it contacts a host other than the hub, to count the download
    datasets.logging.set_verbosity_error()
    try:
        with hub_client.patient(tell):
            commit = _commit(repository, revision) if revision else None
            for info in _infos(repository):
                if not _readable(info):  # the client would fail on it
                    tell(f"{info} is damaged; preparing this copy of {repository} again")
                    shutil.rmtree(info.parent, ignore_errors=True)
            # By its address: otherwise a folder of that name in the working directory would be read instead of the hub.
            builder = datasets.load_dataset_builder(f"hf://datasets/{repository}", config, revision=commit)
            if commit and builder.hash != commit:  # the client falls back to any copy in its cache
                raise MedbenchError(
                    f"{repository} @ {commit} could not be fetched from the hub; only {builder.hash} is here."
                )
            download = functools.partial(_download, repository, builder, tell)
            return builder, prepared.prepare(repository, builder, download, tell)
    finally:
        datasets.logging.set_verbosity(loudness)


def _commit(repository: str, revision: str) -> str:
    """Return the current commit of a branch, a tag, or an abbreviated commit on the hub."""
    from huggingface_hub import HfApi

    return str(HfApi().dataset_info(repository, revision=hub.commit_of(repository, revision, "dataset")).sha)


def _copy(repository: str, config: str | None, commit: str) -> Any:
    """Return the newest copy of a data set that was prepared here, of a given commit if any; None if there is none.

    Copies whose preparation was interrupted are ignored, because the client would fail on them.
    """
    from datasets.packaged_modules.cache.cache import Cache

    name = repository.rpartition("/")[2]
    found = [path.parent for path in _infos(repository) if path.parent.name.startswith(commit) and _readable(path)]
    found = [path for path in found if path.suffix != ".incomplete" and (config is None or path.parts[-3] == config)]
    if config is None and len({path.parts[-3] for path in found}) > 1:
        found = [path for path in found if path.parts[-3] == "default"]
    if not found or (commit and len({path.name for path in found}) > 1):
        return None
    kind, version, digest = max(found, key=lambda path: path.stat().st_mtime_ns).parts[-3:]
    return Cache(dataset_name=name, repo_id=repository, config_name=kind, version=version, hash=digest)


def _infos(repository: str) -> list[Path]:
    """Return the client's descriptions of the copies of a data set that were prepared here, with each copy's folder."""
    import datasets
    from datasets.naming import camelcase_to_snakecase

    owner, _, name = repository.rpartition("/")
    root = Path(datasets.config.HF_DATASETS_CACHE).expanduser() / f"{owner}___{camelcase_to_snakecase(name)}"
    return sorted(root.glob(f"*/*/*/{datasets.config.DATASET_INFO_FILENAME}"))


def _readable(info: Path) -> bool:
    try:
        return isinstance(loads(info.read_bytes()), dict)
    except (OSError, ValueError):
        return False


def _download(repository: str, builder: Any, tell: Callable[[str], None]) -> None:
    """Download the files that the builder will request from its client, which then finds them in the hub's cache."""
    address = re.compile(rf"hf://datasets/{re.escape(repository)}@([0-9a-f]{{40}})/(.+)")
    wanted: dict[str, list[str]] = {}
    for split in (builder.config.data_files or {}).values():
        for file in split:
            if found := address.fullmatch(str(file)):
                wanted.setdefault(found[1], []).append(found[2])
    for commit, names in wanted.items():
        copy = hub_download.Repository(repository, commit, "dataset")
        for name in copy.damaged(names):
            tell(f"{name} of {repository} in the hub's cache is damaged; downloading it again")
            copy.renew(name, tell)
        if missing := copy.missing(names):
            size = sum(file.size or 0 for file in missing)
            tell(f"downloading {repository} @ {commit[: hub_download.SHORT]} from the hub: {size / 1e6:,.1f} MB")
            copy.fetch(missing, tell)
