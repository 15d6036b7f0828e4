"""What training made, on this disk: `adapters/NAME/TAG` with its weights and a manifest that says where they are from.

    manifest.json                                  what was trained, on what, how it ended; replaced as a whole
    adapter_config.json, adapter_model.safetensors kind "lora", as PEFT writes them
    config.json, model.safetensors, tokenizer      kind "full", as transformers writes them
    log.jsonl                                      a line per optimizer step
    work/                                          checkpoints, while it trains

`NAME@TAG` names it wherever a model is named.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
import math
import re
import shlex
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, TypedDict, cast

from ..core import paths, registry, suggest
from ..core.durable import make_folder, replace_file
from ..core.errors import DataMalformed, MedbenchError, ModelMissing, UsageError
from ..core.json_text import loads
from ..core.typed import check_fields
from ..results.files import remedy, to_json
from . import progress
from .weights import tokenizer_files
from .weights.digests import content_hash, file_digest
from .weights.sources import SMALL_FILES, Tell, weight_files

MANIFEST = "manifest.json"
SEAL = "seal"  # in the manifest: the hash of the rest
MERGED = "medbench.json"  # in a folder of merged weights: what they were merged from
CONFIG = "adapter_config.json"
ADAPTER_WEIGHTS = ("adapter_model.safetensors", "adapter_model.bin")
TAG = re.compile(r"[A-Za-z0-9][\w.-]*", re.ASCII)
LEAK_KINDS = ("exact", "ngram", "near")
RESTORE = "Restore it, or move that folder away."

Kind = Literal["lora", "full"]
Status = Literal["training", "stopped", "done"]


@dataclass(frozen=True)
class AdapterManifest:
    """Everything about a training but its weights and log. All values are what JSON can hold."""

    model: str  # as shown: a zoo entry, a hub id, or the name of a folder or file
    tag: str
    kind: Kind
    status: Status
    identity: dict[str, Any]  # everything that decides what comes out
    base: dict[str, Any]  # weights, revision, source, location; name (as --model takes it) where it is no zoo entry
    recipe: dict[str, Any] = field(default_factory=dict)  # a Recipe
    settings: list[str] = field(default_factory=list)  # what --set said
    stages: list[dict[str, Any]] = field(default_factory=list)  # what was measured, of every stage that is done
    data: list[dict[str, Any]] = field(default_factory=list)  # what was learned from, stage by stage
    # By hub data set: "commit" as read, and the revision that was "asked" for, if one was.
    data_revisions: dict[str, dict[str, str]] = field(default_factory=dict)
    seed: int = 0
    environment: dict[str, Any] = field(default_factory=dict)  # core/environment.py
    leaks: dict[str, dict[str, list[str]]] = field(default_factory=dict)  # benchmark -> "exact", "ngram", "near" -> ids
    unchecked: dict[str, str] = field(default_factory=dict)  # benchmark -> why it was not checked for leaks
    created: str = ""  # ISO 8601, UTC
    command: list[str] = field(default_factory=list)
    hash: str = ""  # of the weights, once they are done: hash_of
    stopped: str = ""  # why, where status is "stopped"
    files: dict[str, str] = field(default_factory=dict)  # once done: SHA-256 by file; older ones lack it

    @property
    def name(self) -> str:
        return f"{self.model}@{self.tag}"

    @property
    def leaked(self) -> dict[str, tuple[str, ...]]:
        """By benchmark that was checked, the ids of the items that the training data hold."""
        return {
            benchmark: tuple(dict.fromkeys(item for kind in LEAK_KINDS for item in by_kind.get(kind, ())))
            for benchmark, by_kind in self.leaks.items()
            if benchmark not in self.unchecked
        }


class _Recipe(TypedDict, total=False):
    source: str
    stages: list[Mapping[str, Any]]


class _Environment(TypedDict, total=False):
    packages: Mapping[str, str]


class _Stage(TypedDict, total=False):
    name: str
    steps: int | None
    tokens: int | None
    epochs: float | None
    files: Mapping[str, str]


class _Part(TypedDict, total=False):
    source: str
    drawn: int | None
    available: int | None


class _Data(TypedDict, total=False):
    stage: str
    rows: int | None
    examples: int | None
    held_out: int | None
    tokens: int | None
    learned_tokens: int | None
    answers_cut: int | None
    dropped: int | None
    recipe_steps: int | None
    set_notes: int | None
    notes: list[str]
    parts: list[_Part]


@dataclass(frozen=True)
class Adapter:
    """A manifest and the folder that it was read from."""

    folder: Path
    manifest: AdapterManifest

    @property
    def size(self) -> int:
        """Bytes of all files in the folder, checkpoints included."""
        return sum(path.stat().st_size for path in self.folder.rglob("*") if path.is_file())

    @property
    def reached(self) -> dict[str, int]:
        """Optimizer steps by stage: of those that are done, and as far as the log goes of the one that is not."""
        return progress.reached(self.folder, self.manifest)

    @property
    def again(self) -> str:
        """The command that trains it, or resumes its training."""
        manifest = self.manifest
        return shlex.join(manifest.command) or f"medbench train --model {manifest.model} --tag {manifest.tag}"

    def intact(self, tell: Tell = lambda line: None) -> Adapter:
        """Itself. Raises ModelMissing if a file is not the one that training wrote."""
        wrong = ""
        for name, digest in self.manifest.files.items():
            path = self.folder / name
            if not path.is_file():
                wrong = f"{name} is missing"
            elif file_digest(path, tell) != digest:
                size = path.stat().st_size
                wrong = f"{name} ({size:,} bytes) is not the file that training wrote" if size else f"{name} is empty"
            if wrong:
                raise ModelMissing(
                    f"the adapter {self.manifest.name} in {self.folder} is damaged: {wrong}.",
                    f"Restore that file from a copy, or move the folder away and train it again: {self.again}",
                )
        return self

    def finished(self) -> Adapter:
        """Itself. Raises UsageError, with the command that goes on, where training has not come to its end."""
        manifest = self.manifest
        if manifest.status == "done":
            return self
        stages = [str(stage.get("name")) for stage in manifest.recipe.get("stages", ())]
        where = "before its first step"
        for stage, step in self.reached.items():
            where = f"at step {step} of stage '{stage}'"
            if len(stages) > 1 and stage in stages:
                where += f" ({stages.index(stage) + 1} of {len(stages)})"
        said = f"training stopped {where}{f' ({manifest.stopped})' if manifest.stopped else ''}"
        if manifest.status == "training":
            said = f"it is in training, or was killed in it, {where}"
        raise UsageError(f"{manifest.name} is not ready: {said}.", f"The same command continues: {self.again}")


def folder(name: str, tag: str, root: Path | None = None) -> Path:
    """Where the adapter TAG of the model called `name` (as shown) lies, or will.

    Raises UsageError for a tag that is no plain word.
    """
    if not TAG.fullmatch(tag):
        raise UsageError(
            f"'{tag}' cannot be a tag.", "A tag is letters, digits, '.', '-' and '_', with a letter or digit first."
        )
    return (root or paths.adapters()) / _safe(name) / tag


def shown(path: Path) -> str:
    """A path as tables show it: without its folders, and a GGUF file without its ending."""
    path = path.resolve()
    return path.stem if path.suffix == ".gguf" else path.name


def hash_of(folder: Path, kind: Kind, tell: Tell = lambda line: None) -> str:
    """The content hash of the files that decide how the model in `folder` answers. Raises UsageError without them."""
    return content_hash(folder, deciding(folder, kind), tell)


def deciding(folder: Path, kind: Kind) -> list[str]:
    """The names of the files that decide how the model in `folder` answers. Raises UsageError without them."""
    names = [path.name for path in folder.iterdir() if path.is_file()] if folder.is_dir() else []
    if kind == "full":
        small = {name for name in names if any(Path(name).match(pattern) for pattern in SMALL_FILES)}
        code = {name for name in names if name.endswith(".py")}  # of a model that needs its own
        return sorted(small - {MANIFEST} | set(weight_files(names)) | code)
    if CONFIG not in names:
        raise UsageError(f"{folder}: no {CONFIG} there.", "An adapter is a folder that PEFT's save_pretrained() wrote.")
    weights = [name for name in ADAPTER_WEIGHTS if name in names]
    if not weights:
        raise UsageError(f"{folder}: no {ADAPTER_WEIGHTS[0]} there.", "Was its training stopped before it was saved?")
    return [CONFIG, weights[0], *tokenizer_files.present(folder)]


def write(folder: Path, manifest: AdapterManifest) -> None:
    """Write the manifest, making the folder: at any moment the old one or the new is there, whole.

    A number that is not finite (the loss of a training that diverged) is written as null. Raises MedbenchError where
    the disk refuses.
    """
    try:
        make_folder(folder)
        value = _finite(dataclasses.asdict(manifest))
        replace_file(folder / MANIFEST, to_json(value | {SEAL: _seal(value)}, indent=1) + b"\n")
    except OSError as error:
        raise MedbenchError(
            f"{folder / MANIFEST} cannot be written: {error.strerror or error}.",
            f"{remedy(error)}, then give the same command again.",
        ) from error


def read(folder: Path) -> AdapterManifest:
    """Raises UsageError where `folder` is none that training made, DataMalformed where its manifest is broken."""
    found = peek(folder)
    if found is None:
        raise UsageError(f"{folder} holds nothing that medbench trained.", "See what does: medbench adapters list")
    return found.manifest


def peek(folder: Path) -> Adapter | None:
    """What training made in `folder`; None where it made nothing there. Raises DataMalformed for a broken manifest."""
    path = folder / MANIFEST
    try:
        value = loads(path.read_bytes())
    except (FileNotFoundError, NotADirectoryError):
        return None
    except (OSError, ValueError) as error:
        raise DataMalformed(f"{path} cannot be read: {error}", RESTORE) from error
    if not isinstance(value, dict) or not {"tag", "kind", "identity"} <= value.keys():
        return None  # another program's manifest
    if (sealed := value.pop(SEAL, None)) is not None and sealed != _seal(value):  # none before there were seals
        raise DataMalformed(f"{path} was damaged or changed after it was written", RESTORE)
    return Adapter(folder, _manifest(path, value))


def all_adapters(root: Path | None = None) -> tuple[list[Adapter], list[MedbenchError]]:
    """Everything trained below `root`, in the alphabet's order, and an error for each manifest that is broken."""
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
    """The tags of what was trained from a model, which is named as --model takes it."""
    made_from = (root or paths.adapters()) / _safe(_called(name))
    return [path.parent.name for path in sorted(made_from.glob(f"*/{MANIFEST}"))]


def nearest(text: str, root: Path | None = None) -> list[str]:
    """The names most like `text` (NAME@TAG) of what is there."""
    return suggest.nearest(text, [a.manifest.name for a in all_adapters(root)[0]], most=3, cutoff=0.6)


def find(text: str, root: Path | None = None) -> Adapter:
    """What `text` means: NAME@TAG, or a folder that training made; finished or not.

    NAME is whatever --model takes, or the name in `medbench adapters list`. Raises UsageError where there is none,
    with the tags there are, or how to train one.
    """
    path = Path(text).expanduser()
    if path.is_dir() and (adapter := peek(path)):
        return adapter
    name, _, tag = text.rpartition("@")
    if not name or not tag:
        meant = suggest.question(nearest(text, root))
        raise UsageError(f"'{text}' names no adapter.{meant}", "NAME@TAG does. All of them: medbench adapters list")
    adapter = peek(folder(_called(name), tag, root))
    if adapter:
        return adapter
    known = tags(name, root)
    if known:
        meant = suggest.did_you_mean(tag, known)
        raise UsageError(f"{name} has no adapter '{tag}'.{meant}", f"Its tags: {', '.join(known)}")
    if near := nearest(text, root):
        raise UsageError(
            f"no adapter is called '{text}'.{suggest.question(near)}", "All of them: medbench adapters list"
        )
    raise UsageError(f"no adapter is called '{text}'.", f"To train one: medbench train --model {name} --tag {tag}")


def leaked_by(folder: Path) -> dict[str, tuple[str, ...]] | None:
    """`AdapterManifest.leaked` of a folder that training or merging made; None for any other."""
    if adapter := peek(folder):
        return adapter.manifest.leaked
    about = merged_from(folder)
    leaked = about["leaked"] if about else None
    return None if leaked is None else {benchmark: tuple(items) for benchmark, items in leaked.items()}


def merged_from(folder: Path) -> dict[str, Any] | None:
    """What the weights in `folder` were merged from (training/merge.py writes it); None where they were not merged."""
    try:
        value = loads((folder / MERGED).read_bytes())
    except (OSError, ValueError):
        return None
    return value if isinstance(value, dict) and {"adapter", "leaked"} <= value.keys() else None


def _called(name: str) -> str:
    """The shown name of what --model takes."""
    if name in registry.names("zoo"):
        return name
    path = Path(name).expanduser()
    if name.endswith(".py") and path.is_file():
        return str(registry.get("zoo", name).name)
    return shown(path) if path.exists() else name


def _safe(name: str) -> str:
    """A model's name as a folder's: "org/model" is org--model."""
    return re.sub(r"[^A-Za-z0-9._+-]+", "_", name.replace("/", "--")).lstrip(".") or "_"


def _seal(value: Mapping[str, Any]) -> str:
    """The SHA-256 of a manifest without its seal, in any order of its fields."""
    as_read = loads(to_json(value))
    return hashlib.sha256(json.dumps(as_read, sort_keys=True).encode()).hexdigest()


def _manifest(path: Path, value: dict[str, Any]) -> AdapterManifest:
    known = {f.name: f for f in dataclasses.fields(AdapterManifest)}
    for name, f in known.items():
        if name not in value and f.default is dataclasses.MISSING and f.default_factory is dataclasses.MISSING:
            raise DataMalformed(f"{path}: the field '{name}' is missing", RESTORE)
    try:
        check_fields(AdapterManifest, value)
        check_fields(_Recipe, value.get("recipe", {}), "recipe.")
        check_fields(_Environment, value.get("environment", {}), "environment.")
        for field_name, shape in (("stages", _Stage), ("data", _Data)):
            for number, part in enumerate(value.get(field_name, ())):
                check_fields(shape, part, f"{field_name}[{number}].")
    except ValueError as error:
        raise DataMalformed(f"{path}: {error}", RESTORE) from error
    # A later version may have added fields; what this one does not know it does not read.
    return AdapterManifest(**{name: value[name] for name in known if name in value})


def _finite(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {key: _finite(part) for key, part in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(part) for part in value]
    return None if isinstance(value, float) and not math.isfinite(value) else cast(Any, value)
