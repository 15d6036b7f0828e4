"""What the name of a model refers to, as far as this disk can tell."""

from __future__ import annotations

import re
from pathlib import Path

from ..core import registry
from ..core.errors import UsageError
from ..core.suggest import nearest, question
from . import adapters
from .weights import digests
from .weights.sources import HUB_ID, Tell

OTHER_NAMES = "a zoo entry (medbench list models), a hub id (OWNER/NAME), a model folder or a .gguf file."


def split_prefix(name: str) -> tuple[str, str]:
    """Return the engine and the rest of `ENGINE:NAME`; no engine for any other name. A .py file may be the engine."""
    prefix, colon, rest = name.partition(":")
    claimed = prefix in registry.names("engines") or (prefix.endswith(".py") and Path(prefix).is_file())
    return (prefix, rest) if colon and claimed else ("", name)


def means_a_model(name: str) -> bool:
    """Whether `name` could be resolved, as far as this disk knows."""
    if name in registry.names("zoo") or Path(name).expanduser().exists():
        return True
    return bool(HUB_ID.fullmatch(name)) and not name.endswith((".gguf", ".py"))


def is_model(name: str) -> bool:
    """Whether a name is a zoo entry, a model on this disk, or one that was trained here. Hub ids are not looked up."""
    path = Path(name).expanduser()
    if name in registry.names("zoo"):
        return True
    if path.is_dir():
        return (path / "config.json").is_file() or any(path.glob("*.gguf")) or adapters.peek(path) is not None
    if path.exists():
        return path.suffix in (".gguf", ".py")
    base, _, tag = name.rpartition("@")
    return bool(base) and "/" not in tag and bool(adapters.tags(base))


def content(name: str, tell: Tell) -> tuple[str, str]:
    """Return the full path of a file or folder and the hash of its content; a name that is neither and ""."""
    path = Path(name).expanduser()
    if not path.exists():
        return name, ""
    if path.is_file():
        return str(path.resolve()), digests.file_digest(path, tell)[: digests.SHOWN]
    files = [str(file.relative_to(path)) for file in path.rglob("*") if file.is_file()]
    return str(path.resolve()), digests.content_hash(path, files, tell)


def unknown(name: str) -> UsageError:
    prefix, colon, rest = name.partition(":")
    if colon and re.fullmatch(r"\w[\w.-]+", prefix):  # one letter is a Windows drive
        meant = question([f"{engine}:{rest}" for engine in nearest(prefix, registry.names("engines"))])
        return UsageError(
            f"no model is called '{name}': {prefix} is not an engine.{meant}",
            f"All engines: medbench list engines\nWithout a prefix: {OTHER_NAMES}",
        )
    if re.search(r"[/\\~]|^\.|\.gguf$", name):
        return UsageError(f"no such folder or file: {name}", f"--model takes {OTHER_NAMES}")
    return registry.unknown("zoo", name)
