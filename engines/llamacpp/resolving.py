"""From the name in `--model gguf:NAME` to a GGUF file on this disk."""

from __future__ import annotations

from pathlib import Path
from typing import Any, cast

from ...core import registry
from ...core.errors import UsageError
from ...core.types import ModelRequest, ModelSpec
from ...zoo import adapters
from ...zoo.entry import Entry
from ...zoo.weights import digests, gguf_header, packaged
from ...zoo.weights.sources import HUB_ID


def resolve(name: str, request: ModelRequest) -> ModelSpec:
    """Return the spec of a GGUF file: `name` is the file, a folder that holds one, or a zoo entry that has one."""
    request.reject("a GGUF file is run as it is.")
    entry = cast(Entry, registry.get("zoo", name)) if name in registry.names("zoo") else None
    path = _file(name, entry, request)
    header = gguf_header.read_header(path)
    exported = _as_exported(path)
    return ModelSpec(
        name=entry.name if entry else adapters.shown(path),
        location=str(path.resolve()),
        revision=digests.file_digest(path, request.tell)[: digests.SHOWN],
        engine=request.engine,
        dtype=header.format or "GGUF",
        device=request.device,
        chat=request.chat,
        prompt_format=entry.prompt_format if entry else exported.get("prompt_format", ""),
        generation=dict(entry.generation) if entry else {},
        leaked=adapters.leaked_by(path.parent) if exported else None,
        source=f"file {path} (GGUF {header.format}".rstrip() + ")",
    )


def _file(name: str, entry: Entry | None, request: ModelRequest) -> Path:
    path = Path(entry.weights if entry and entry.weights.endswith(".gguf") else name).expanduser()
    if entry and entry.package and not path.exists():
        path = packaged.kept(entry.package, request.tell)
    if path.is_dir():
        inside = sorted(path.glob("*.gguf"))
        if len(inside) != 1:
            which = f"{len(inside)} GGUF files: {', '.join(file.name for file in inside)}" if inside else "no GGUF file"
            raise UsageError(f"the folder {path} has {which}.", "Name one file: --model gguf:FILE")
        path = inside[0]
    if not path.is_file():
        what = f"{entry.name} has no GGUF file of its own" if entry else f"there is no GGUF file {name}"
        on_hub = f"\nFrom the hub: hf download {name} FILE.gguf --local-dir FOLDER"
        on_hub = on_hub if HUB_ID.fullmatch(name) and not name.endswith(".gguf") else ""
        raise UsageError(f"{what}.", f"Name a file on this disk: --model gguf:FILE{on_hub}")
    return path


def _as_exported(path: Path) -> dict[str, Any]:
    """Return what `medbench export` wrote beside a GGUF file of its own; {} for any other file."""
    about = adapters.merged_from(path.parent) or {}
    export = about.get("export")
    return about if isinstance(export, dict) and export.get("file") == path.name else {}
