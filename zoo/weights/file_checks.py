"""Check the files of a model for damage: truncated, full of zeros, or not JSON."""

from __future__ import annotations

import zipfile
from collections.abc import Callable
from pathlib import Path

from ...core import json_text

BIG = 1 << 20  # bytes; only both ends of larger JSON files are checked, where damage shows
# The JSON files that are read when a model is loaded. Others are not checked.
READ = (
    *("config.json", "generation_config.json", "*.index.json", "adapter_config.json", "tokenizer*.json", "vocab.json"),
    *("special_tokens_map.json", "added_tokens.json", "chat_template.json"),
)
MAX_HEADER = 100_000_000  # bytes, of the safetensors format


def damage(path: Path) -> str:
    """Return what is wrong with a file of a model folder; "" if no damage is found."""
    if path.suffix == ".json" and not any(path.match(pattern) for pattern in READ):
        return ""
    checks: dict[str, Callable[[Path, int], str]] = {".safetensors": _safetensors, ".json": _json, ".bin": _torch}
    try:
        size = path.stat().st_size
        with path.open("rb") as file:
            head = file.read(64)
        if size and not any(head):
            return "it begins with zeros"
        if not size and path.suffix in (".safetensors", ".json", ".bin", ".model"):
            return "it is empty"
        return checks[path.suffix](path, size) if path.suffix in checks else ""
    except OSError as error:
        return error.strerror or str(error)


def _safetensors(path: Path, size: int) -> str:
    """Check a safetensors file, whose header says where the last tensor, and so the file, ends."""
    with path.open("rb") as file:
        length = int.from_bytes(file.read(8), "little")
        if length > min(size, MAX_HEADER):
            return f"it is cut short: {size:,} bytes"
        header = file.read(length)
    try:
        tensors = json_text.loads(header)
        end = max((each["data_offsets"][1] for name, each in tensors.items() if name != "__metadata__"), default=0)
    except (ValueError, LookupError, TypeError, AttributeError):
        return "its header cannot be read"
    whole = 8 + length + end
    return "" if size == whole else f"it has {size:,} of {whole:,} bytes"


def _json(path: Path, size: int) -> str:
    if size > BIG:
        with path.open("rb") as file:
            start = file.read(64).lstrip()
            file.seek(-64, 2)
            end = file.read().rstrip()
        return "" if start[:1] + end[-1:] in (b"{}", b"[]") else "it is cut short"
    try:
        json_text.loads(path.read_bytes(), constants=True)
    except ValueError as error:
        return f"it is not JSON: {error}"
    return ""


def _torch(path: Path, size: int) -> str:
    """Check a PyTorch file, since version 1.6 a zip file, whose directory is at its end."""
    with path.open("rb") as file:
        if file.read(2) != b"PK":
            return ""
    return "" if zipfile.is_zipfile(path) else f"it is cut short: {size:,} bytes"
