"""Where things lie: runs and adapters in the working folder, caches in the platform's cache folder."""

from __future__ import annotations

import os
from pathlib import Path

from platformdirs import user_cache_path


def home() -> Path:
    """Folder that `runs/` and `adapters/` are made in: MEDBENCH_HOME, or the working folder."""
    return Path(os.environ.get("MEDBENCH_HOME") or ".")


def runs() -> Path:
    return home() / "runs"


def adapters() -> Path:
    """Where training puts what it makes: a folder per model, in it one per tag."""
    return home() / "adapters"


def cache() -> Path:
    """Converted weights, fetched files and other things that can be made again: MEDBENCH_CACHE, or the platform's."""
    override = os.environ.get("MEDBENCH_CACHE")
    return Path(override) if override else user_cache_path("medbench")


def releases() -> Path:
    """Where `medbench fetch data` puts official releases: a folder per benchmark, as in a data folder."""
    return cache() / "data"


def data() -> Path | None:
    """Folder with official releases: MEDBENCH_DATA, if set."""
    value = os.environ.get("MEDBENCH_DATA")
    return Path(value) if value else None
