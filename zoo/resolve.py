"""From what a user names with --model to weights on this disk, as a `ModelSpec`."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Literal, cast, get_args

from ..core import hub, registry
from ..core.errors import ModelMissing, UsageError
from ..core.types import ModelSpec
from . import converted
from .digests import content_hash
from .entry import Entry
from .weights import Tell, Weights, from_folder, from_gguf, from_hub, from_package

ENGINE = "transformers"
DTYPES = ("auto", "float32", "bfloat16", "float16")
Quantize = Literal["", "nf4", "int8"]
Chat = Literal["auto", "always", "never"]
HUB_ID = re.compile(r"[\w-][\w.-]*/[\w.-]+")
ADAPTER_WEIGHTS = ("adapter_model.safetensors", "adapter_model.bin")


def resolve(
    name: str,
    *,
    revision: str = "",
    adapter: str = "",
    dtype: str = "auto",
    quantize: str = "",
    device: str = "auto",
    chat: str = "auto",
    engine: str = "",
    tell: Callable[[str], None] = lambda line: None,
) -> ModelSpec:
    """The model called `name`, its weights on this disk: fetched, converted and hashed where that is needed.

    `name` is a zoo entry; a `.py` file with one MODEL; a folder or `.gguf` file that is there; or a hub id. `tell`
    gets one line for each thing that takes long and each warning.

    Raises UsageError for what cannot be meant, ModelMissing for weights that cannot be had.
    """
    _one_of("--dtype", dtype, DTYPES)
    _one_of("--quantize", quantize, tuple(filter(None, get_args(Quantize))), unset="")
    _one_of("--chat", chat, get_args(Chat))
    entry: Entry | None = None
    if name.endswith(".py") or name in registry.names("zoo"):
        entry = cast(Entry, registry.get("zoo", name))
        shown, weights = entry.name, _of_entry(entry, revision, tell)
    else:
        shown, weights = _of_name(name, revision, tell)
    folder, adapter_hash = "", ""
    if adapter:
        known_as = {name, shown, str(weights.location), *([entry.weights] if entry else [])}
        folder, adapter_hash = _adapter(adapter, known_as, tell)
        shown = f"{shown}+{Path(folder).name}"
    return ModelSpec(
        name=shown,
        location=str(weights.location),
        revision=weights.revision,
        engine=engine or (entry.engine if entry else ENGINE),
        adapter=folder,
        adapter_hash=adapter_hash,
        dtype=dtype,
        quantize=cast(Quantize, quantize),
        device=device,
        chat=cast(Chat, chat),
        prompt_format=entry.prompt_format if entry else "",
        generation=dict(entry.generation) if entry else {},
        source=weights.source,
    )


def _of_entry(entry: Entry, revision: str, tell: Tell) -> Weights:
    """An entry's weights. Where a package ships them too, the hub's come first and the package's where it is silent.

    Once the package's are converted on this machine they stay in use, whether the hub answers or not: the same command
    tomorrow is to find the same model and resume the same run. `--revision` or the hub id asks for the hub's.
    """
    if entry.engine != ENGINE:
        return Weights(entry.weights, revision or entry.revision, entry.source)
    if not HUB_ID.fullmatch(entry.weights):
        path = Path(entry.weights).expanduser()
        if not path.exists():
            raise ModelMissing(f"the weights of {entry.name} are not at {path}.", "Mend `weights` in the zoo entry.")
        return _of_path(path, revision, tell)
    if entry.package is None or revision:
        return from_hub(entry.weights, revision or entry.revision, tell, entry)
    if converted.place(entry.package.sha256).is_dir():
        return from_package(entry.package, tell)
    try:
        return from_hub(entry.weights, entry.revision, tell, entry)
    except ModelMissing as error:
        if hub.reachable():
            tell(error.message)
            tell(f"using the package {entry.package.requirement} instead")
    return from_package(entry.package, tell)


def _of_name(name: str, revision: str, tell: Tell) -> tuple[str, Weights]:
    """The shown name and the weights of what is no zoo entry."""
    path = Path(name).expanduser()
    if path.exists():
        return _shown(path), _of_path(path, revision, tell)
    if HUB_ID.fullmatch(name) and not name.endswith(".gguf"):
        return name, from_hub(name, revision, tell)
    if re.search(r"[/\\~]|^\.|\.gguf$", name):
        raise UsageError(
            f"no such folder or file: {name}",
            "--model takes a zoo entry (medbench list models), a hub id (OWNER/NAME), a model folder or a .gguf file.",
        )
    raise registry.unknown("zoo", name)


def _of_path(path: Path, revision: str, tell: Tell) -> Weights:
    if revision:
        raise UsageError(f"--revision {revision}: {path} is on this disk and has none.", "Leave --revision out.")
    if path.is_dir():
        return from_folder(path.resolve(), tell)
    if path.suffix == ".gguf":
        return from_gguf(path.resolve(), tell)
    raise UsageError(
        f"{path} is a file that medbench cannot take for a model.",
        f"Name its folder, if that is a model folder: --model {path.parent}",
    )


def _shown(path: Path) -> str:
    """A path as the leaderboard shows it: without its folders, and a GGUF file without its ending."""
    path = path.resolve()
    return path.stem if path.suffix == ".gguf" else path.name


def _adapter(given: str, known_as: set[str], tell: Tell) -> tuple[str, str]:
    """The folder and content hash of a LoRA adapter, with a warning where it was trained on another model."""
    folder = Path(given).expanduser().resolve()
    config = folder / "adapter_config.json"
    if not config.is_file():
        raise UsageError(
            f"--adapter {given}: no adapter_config.json there.",
            "An adapter is a folder that PEFT's save_pretrained() wrote.",
        )
    weights = next((name for name in ADAPTER_WEIGHTS if (folder / name).is_file()), "")
    if not weights:
        raise UsageError(
            f"--adapter {given}: no {ADAPTER_WEIGHTS[0]} there.", "Was its training stopped before it was saved?"
        )
    try:
        base = json.loads(config.read_text(encoding="utf-8")).get("base_model_name_or_path")
    except (ValueError, AttributeError) as error:
        raise UsageError(f"{config} is no JSON object: {error}", "Copy the adapter again.") from error
    if base and base not in known_as and str(Path(base).expanduser().resolve()) not in known_as:
        tell(f"warning: the adapter {folder.name} was trained on {base}, which is not the model it is put on")
    return str(folder), content_hash(folder, [config.name, weights], tell)


def _one_of(option: str, value: str, allowed: tuple[str, ...], unset: str | None = None) -> None:
    if value not in allowed and value != unset:
        raise UsageError(f"{option} {value}: not one of {', '.join(allowed)}.")
