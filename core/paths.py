"""Where files are stored: runs and adapters in the working folder, caches in the platform's cache folder."""

from __future__ import annotations

import os
from pathlib import Path

from platformdirs import user_cache_path


def home() -> Path:
    """Return the folder that holds `runs/`, `adapters/` and the like: MEDBENCH_HOME, or the working folder."""
    return Path(os.environ.get("MEDBENCH_HOME") or ".")


def runs() -> Path:
    return home() / "runs"


def rankings() -> Path:
    """Return the folder of runs on development splits, which rank the variants of a sweep. No leaderboard reads it."""
    return home() / "rankings"


def adapters() -> Path:
    """Return where training writes: one folder per model, with one per tag inside."""
    return home() / "adapters"


def exports() -> Path:
    """Return the folder that `medbench export` writes to: one folder per model and type."""
    return home() / "exports"


def pages() -> Path:
    """Return the folder that reports are written to."""
    return home() / "pages"


def cache() -> Path:
    """Return the folder for files that can be recreated: MEDBENCH_CACHE, or the platform's cache folder."""
    override = os.environ.get("MEDBENCH_CACHE")
    return Path(override) if override else user_cache_path("medbench")


def releases() -> Path:
    """Return where `medbench fetch data` puts official releases: a folder per benchmark, as in a data folder."""
    return cache() / "data"


def data() -> Path | None:
    """Return the folder with official releases: MEDBENCH_DATA, if set."""
    value = os.environ.get("MEDBENCH_DATA")
    return Path(value) if value else None
