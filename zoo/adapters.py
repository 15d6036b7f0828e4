"""Adapters that training made on this disk: where they are, which ones there are, and whether they are intact.

    adapters/NAME/TAG/
      manifest.json                                  what was trained, on what, and how it ended
      adapter_config.json, adapter_model.safetensors kind "lora", as PEFT writes them
      config.json, model.safetensors, tokenizer      kind "full", as transformers writes them
      log.jsonl                                      one line per optimizer step
      work/                                          checkpoints, until training is done

`NAME@TAG` names an adapter wherever a model is named.
"""

from __future__ import annotations

import re
import shlex
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..core import paths, registry, suggest
from ..core.errors import MedbenchError, ModelMissing, UsageError
from ..core.json_text import loads
from . import adapter_manifest, progress
from .adapter_files import ADAPTER_WEIGHTS, CONFIG
from .adapter_manifest import MANIFEST, AdapterManifest, Kind
from .weights import tokenizer_files
from .weights.digests import content_hash, file_digest
from .weights.sources import SMALL_FILES, Tell, weight_files

MERGED = "medbench.json"  # in a folder of merged weights: what they were merged from
TAG = re.compile(r"[A-Za-z0-9][\w.-]*", re.ASCII)


@dataclass(frozen=True)
class Adapter:
    """A manifest and the folder it was read from."""

    folder: Path
    manifest: AdapterManifest

    @property
    def size(self) -> int:
        """Bytes of all files in the folder, including checkpoints."""
        return sum(path.stat().st_size for path in self.folder.rglob("*") if path.is_file())

    @property
    def reached(self) -> dict[str, int]:
        """Optimizer steps by stage: all steps of a finished stage, the logged steps of an unfinished one."""
        return progress.reached(self.folder, self.manifest)

    @property
    def again(self) -> str:
        """The command that trains it, or continues its training."""
        manifest = self.manifest
        return shlex.join(manifest.command) or f"medbench train --model {manifest.model} --tag {manifest.tag}"

    @property
    def status(self) -> str:
        """The manifest's status, or "damaged" if training is done but a file is missing or changed."""
        return "damaged" if self.manifest.status == "done" and self.damage() else self.manifest.status

    def damage(self, tell: Tell = lambda line: None) -> str:
        """Return what is wrong with the files that training wrote; "" if nothing is."""
        for name, digest in self.manifest.files.items():
            path = self.folder / name
            if not path.is_file():
                return f"{name} is missing"
            if file_digest(path, tell) != digest:
                size = path.stat().st_size
                return f"{name} ({size:,} bytes) is not the file that training wrote" if size else f"{name} is empty"
        return ""

    def intact(self, tell: Tell = lambda line: None) -> Adapter:
        """Return itself. Raises ModelMissing if a file is not the one that training wrote."""
        if wrong := self.damage(tell):
            raise ModelMissing(
                f"the adapter {self.manifest.name} in {self.folder} is damaged: {wrong}.",
                f"Restore that file from a copy, or move the folder away and train it again: {self.again}",
            )
        return self

    def finished(self) -> Adapter:
        """Return itself. Raises UsageError, with the command that continues, if training is not done."""
        manifest = self.manifest
        if manifest.status == "done":
            return self
        stages = [str(stage.get("name")) for stage in manifest.recipe.get("stages", ())]
        where = "before its first step"
        for stage, step in self.reached.items():
            where = f"at step {step} of stage '{stage}'"
            if len(stages) > 1 and stage in stages:
                where += f" ({stages.index(stage) + 1} of {len(stages)})"
        state = f"training stopped {where}{f' ({manifest.stopped})' if manifest.stopped else ''}"
        if manifest.status == "training":
            state = f"it is still training, or was killed {where}"
        raise UsageError(f"{manifest.name} is not ready: {state}.", f"To continue: {self.again}")


def folder(name: str, tag: str, root: Path | None = None) -> Path:
    """Return the folder of the adapter TAG of a model, by the name that tables show.

    Raises UsageError for an invalid tag.
    """
    if not TAG.fullmatch(tag):
        raise UsageError(
            f"'{tag}' is not a valid tag.",
            "Use letters, digits, '.', '-' and '_', starting with a letter or digit.",
        )
    return (root or paths.adapters()) / _safe(name) / tag


def shown(path: Path) -> str:
    """Return the name of a path in tables: its last part, without the suffix of a GGUF file."""
    path = path.resolve()
    return path.stem if path.suffix == ".gguf" else path.name


def hash_of(folder: Path, kind: Kind, tell: Tell = lambda line: None) -> str:
    """Return the content hash of the files that affect the answers. Raises UsageError if one is missing."""
    return content_hash(folder, deciding(folder, kind), tell)


def deciding(folder: Path, kind: Kind) -> list[str]:
    """Return the names of the files in `folder` that affect the answers. Raises UsageError if one is missing."""
    names = [path.name for path in folder.iterdir() if path.is_file()] if folder.is_dir() else []
    if kind == "full":
        small = {name for name in names if any(Path(name).match(pattern) for pattern in SMALL_FILES)}
        code = {name for name in names if name.endswith(".py")}  # for a model with remote code
        return sorted(small - {MANIFEST} | set(weight_files(names)) | code)
    if CONFIG not in names:
        raise UsageError(f"{folder} has no {CONFIG}.", "An adapter is a folder written by PEFT's save_pretrained().")
    weights = [name for name in ADAPTER_WEIGHTS if name in names]
    if not weights:
        raise UsageError(f"{folder} has no {ADAPTER_WEIGHTS[0]}.", "Was its training stopped before it was saved?")
    return [CONFIG, weights[0], *tokenizer_files.present(folder)]


def read(folder: Path) -> AdapterManifest:
    """Read the manifest in `folder`. Raises UsageError if training made nothing there, DataMalformed if damaged."""
    found = adapter_manifest.load(folder)
    if found is None:
        raise UsageError(f"{folder} was not made by medbench train.", "All adapters: medbench adapters list")
    return found


def peek(folder: Path) -> Adapter | None:
    """Return what training made in `folder`, or None. Raises DataMalformed for a damaged manifest."""
    manifest = adapter_manifest.load(folder)
    return Adapter(folder, manifest) if manifest else None


def all_adapters(root: Path | None = None) -> tuple[list[Adapter], list[MedbenchError]]:
    """Return everything trained below `root`, sorted by path, and an error for each damaged manifest."""
    found, problems = list[Adapter](), list[MedbenchError]()
    for path in sorted((root or paths.adapters()).glob(f"*/*/{MANIFEST}")):
        try:
            adapter = peek(path.parent)
        except MedbenchError as error:
            problems.append(error)
            continue
        if adapter:
            found.append(adapter)
    return found, problems


def tags(name: str, root: Path | None = None) -> list[str]:
    """Return the tags of the adapters of a model, named as --model takes it."""
    folder_of_model = (root or paths.adapters()) / _safe(_shown_name(name))
    return [path.parent.name for path in sorted(folder_of_model.glob(f"*/{MANIFEST}"))]


def nearest(text: str, root: Path | None = None) -> list[str]:
    """Return the names of existing adapters most like `text` (NAME@TAG)."""
    return suggest.nearest(text, [a.manifest.name for a in all_adapters(root)[0]], most=3, cutoff=0.6)


def find(text: str, root: Path | None = None) -> Adapter:
    """Find an adapter, finished or not, by NAME@TAG or by its folder.

    NAME is what --model takes, or the name in `medbench adapters list`. Raises UsageError if there is no such adapter,
    with the existing tags, or how to train one.
    """
    path = Path(text).expanduser()
    if path.is_dir() and (adapter := peek(path)):
        return adapter
    name, _, tag = text.rpartition("@")
    if not name or not tag:
        meant = suggest.question(nearest(text, root))
        raise UsageError(f"'{text}' is not an adapter.{meant}", "Write NAME@TAG. All adapters: medbench adapters list")
    adapter = peek(folder(_shown_name(name), tag, root))
    if adapter:
        return adapter
    known = tags(name, root)
    if known:
        meant = suggest.did_you_mean(tag, known)
        raise UsageError(f"{name} has no adapter '{tag}'.{meant}", f"Its tags: {', '.join(known)}")
    if near := nearest(text, root):
        raise UsageError(
            f"there is no adapter '{text}'.{suggest.question(near)}", "All adapters: medbench adapters list"
        )
    raise UsageError(f"there is no adapter '{text}'.", f"To train one: medbench train --model {name} --tag {tag}")


def leaked_by(folder: Path) -> dict[str, tuple[str, ...]] | None:
    """Return the leaked items of a folder that training or merging made; None for any other folder."""
    if adapter := peek(folder):
        return adapter.manifest.leaked
    about = merged_from(folder)
    leaked = about["leaked"] if about else None
    return None if leaked is None else {benchmark: tuple(items) for benchmark, items in leaked.items()}


def merged_from(folder: Path) -> dict[str, Any] | None:
    """Return what the weights in `folder` were merged from, as training/merge.py wrote it; None if not merged."""
    try:
        value = loads((folder / MERGED).read_bytes())
    except (OSError, ValueError):
        return None
    return value if isinstance(value, dict) and {"adapter", "leaked"} <= value.keys() else None


def _shown_name(name: str) -> str:
    """Return the name that tables show for a value of --model."""
    if name in registry.names("zoo"):
        return name
    path = Path(name).expanduser()
    if name.endswith(".py") and path.is_file():
        return str(registry.get("zoo", name).name)
    return shown(path) if path.exists() else name


def _safe(name: str) -> str:
    """Return a model's name as a folder name: "org/model" becomes org--model."""
    return re.sub(r"[^A-Za-z0-9._+-]+", "_", name.replace("/", "--")).lstrip(".") or "_"
