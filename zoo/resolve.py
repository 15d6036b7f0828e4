"""Turn the value of --model into a `ModelSpec` with weights on this disk."""

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
from .weights import converted, hub_cache, hub_files, packaged, remote_code, tokenizer_files
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
    """Return the model called `name`. Its weights are downloaded, converted and hashed if necessary.

    `name` is a zoo entry, a `.py` file with one MODEL, an existing folder or `.gguf` file, or a hub id. With @TAG it is
    that model as `medbench train` trained it, on the revision of the base that training recorded unless `revision`
    names another one. The folder that training wrote can be given instead.

    With a prefix, `ENGINE:NAME`, the engine decides what NAME means (`Engine.resolve`). Each engine reads only its own
    `engine_options`. `tell` gets one line for each slow step and each warning.

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
    """Return a model that is found by name, without the settings of its engine."""
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
    """Return the trained adapter or model that `name` refers to; None if it refers to an untrained model or nothing.

    Raises UsageError if the adapter does not exist or its training is not finished.
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
    """Return the value of --model for the base of `trained`: the user's name for it, else the manifest's."""
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
            f"the base model of {manifest.name} is no longer at {known}.",
            f"Give its new place: --model PATH@{manifest.tag}, or --model PATH --adapter {trained.folder}",
        )
    return known if means_a_model(known) else ""


def _full(trained: Adapter, revision: str, tell: Tell, trusted: bool = False) -> Weights:
    """Return weights that were trained in full, which do not need those of the base."""
    manifest, folder = trained.manifest, trained.folder
    if revision:
        raise UsageError(f"--revision {revision}: {manifest.name} has weights of its own.", "Leave --revision out.")
    if wrong := problem(folder):
        raise ModelMissing(f"the weights of {manifest.name} in {folder} are incomplete: {wrong}.", "Train it again.")
    runs_code = remote_code.settle(folder, trusted, manifest.name, tell)
    found = adapters.hash_of(folder, "full", tell)
    _warn(trained, str(manifest.base.get("revision", "")), found, tell)
    return Weights(
        folder, found, f"full weights trained from {manifest.base.get('source') or manifest.model}", runs_code
    )


def _warn(trained: Adapter, revision: str, found: str, tell: Tell) -> None:
    """Warn if the base has another revision than in training, or if the weights changed after training."""
    manifest = trained.manifest
    before = str(manifest.base.get("revision", ""))
    if before and before != revision:
        tell(
            f"warning: the adapter {trained.folder.name} was trained on {manifest.model} @ {before[:SHORT]}, "
            f"not on this base (@ {revision[:SHORT]})"
        )
    if manifest.hash and manifest.hash != found:
        tell(f"warning: the weights in {trained.folder} have changed since training saved them")


def _leaked_by(weights: Weights) -> Mapping[str, tuple[str, ...]] | None:
    return adapters.leaked_by(weights.location) if isinstance(weights.location, Path) else None


def _together(parts: Sequence[Mapping[str, tuple[str, ...]] | None]) -> dict[str, tuple[str, ...]] | None:
    """Return the items that leaked into any of several trainings, for the benchmarks that all were checked for."""
    known = [part for part in parts if part is not None]
    if not known:
        return None
    both = [benchmark for benchmark in known[0] if all(benchmark in part for part in known)]
    return {b: tuple(dict.fromkeys(item for part in known for item in part[b])) for b in both}


def _as_merged(weights: Weights) -> dict[str, Any]:
    """Return the prompt format and generation settings that the base of merged weights had."""
    found = adapters.merged_from(weights.location) if isinstance(weights.location, Path) else None
    return found or {}


def _as_trained(
    trained: Adapter, base: str, entry: Entry | None, tell: Tell, trusted: bool = False
) -> tuple[str, Weights]:
    """Return the shown name and the weights of an adapter's base, at the revision that the adapter was trained on.

    Raises ModelMissing if that revision is no longer available: only the user may choose another one.
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
            f"{trained.manifest.name} runs on {repository} @ {revision[:SHORT]}, on which it was trained. The hub now "
            f"has {current[:SHORT]}. To run the base at the same revision: --revision {revision[:SHORT]}"
        )
    return found


def _of_base(base: str, entry: Entry | None, revision: str, tell: Tell, trusted: bool = False) -> tuple[str, Weights]:
    """Return the shown name and the weights of a model without adapters."""
    if entry:
        return entry.name, _of_entry(entry, revision, tell, trusted)
    return _of_name(base, revision, tell, trusted)


def _of_entry(entry: Entry, revision: str, tell: Tell, trusted: bool = False) -> Weights:
    """Return an entry's weights: from the hub, or from a package that also ships them if the hub does not answer.

    Once a package's weights are converted on this machine, they stay in use even if the hub answers, so that the same
    command finds the same model tomorrow and resumes the same run. `--revision` or the hub id selects the hub's
    weights; the revision that medbench shows for the package's weights selects those.
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


def needs_no_download(name: str) -> bool:
    """Whether the weights of a zoo entry are on this disk, in the hub's cache or from the package that ships them."""
    return _is_here(registry.get("zoo", name))


def where(entry: Entry) -> str:
    """Return where an entry's weights come from, in words, without asking the hub; "" if only its engine knows."""
    if entry.engine != ENGINE:
        return ""
    if _is_here(entry):
        return "on this machine"
    if entry.package:
        return "not on this machine yet; comes with pip, without a hub"
    return f"not on this machine{'; comes from the hub' if HUB_ID.fullmatch(entry.weights) else ''}"


def _is_here(entry: Entry) -> bool:
    package = entry.package
    if package and (converted.place(package.sha256).is_dir() or packaged.installed(package)):
        return True
    if not HUB_ID.fullmatch(entry.weights):
        return Path(entry.weights).expanduser().exists()
    return hub_cache.find(entry.weights, entry.revision, problem) is not None


def _of_name(name: str, revision: str, tell: Tell, trusted: bool = False) -> tuple[str, Weights]:
    """Return the shown name and the weights of a model that is not a zoo entry."""
    path = Path(name).expanduser()
    if path.exists():
        if HUB_ID.fullmatch(name) and path.is_dir():
            tell(f"using the folder {name}; for the hub model of that name, run the command in another folder")
        return adapters.shown(path), _of_path(path, revision, tell, trusted)
    if HUB_ID.fullmatch(name) and not name.endswith(".gguf"):
        return name, from_hub(name, revision, tell, trusted=trusted)
    raise unknown(name)


def _of_path(path: Path, revision: str, tell: Tell, trusted: bool = False) -> Weights:
    if revision:
        raise UsageError(f"--revision {revision}: {path} is a local file, without revisions.", "Leave --revision out.")
    if path.is_dir():
        return from_folder(path.resolve(), tell, trusted)
    if path.suffix == ".gguf":
        return from_gguf(path.resolve(), tell)
    raise UsageError(
        f"{path} is not a model file that medbench can load.",
        f"If its folder is a model folder, give that: --model {path.parent}",
    )


def _adapter(given: str, known_as: set[str], revision: str, tell: Tell) -> tuple[Path, str, str]:
    """Return the folder, content hash and shown name of an adapter. Warn if it was trained on another model.

    `given` is a folder or a hub id. Raises UsageError for an adapter that cannot be used.
    """
    folder = Path(given).expanduser()
    on_hub = not folder.exists() and bool(HUB_ID.fullmatch(given))
    folder = hub_adapter.fetch(given, tell) if on_hub else folder.resolve()
    shown = given.rpartition("/")[2] if on_hub else folder.name
    trained = adapters.peek(folder)
    if trained and trained.finished().manifest.kind == "full":
        raise UsageError(f"--adapter {given}: a full model, not an adapter.", f"Give it as the model: --model {folder}")
    if trained:
        trained.intact(tell)
    found = adapters.hash_of(folder, "lora", tell)
    if trained:
        _warn(trained, revision, found, tell)
        return folder, found, shown
    base = adapter_files.check(folder).get("base_model_name_or_path")
    if base and base not in known_as and str(Path(str(base)).expanduser().resolve()) not in known_as:
        tell(f"warning: the adapter {shown} was trained on {base}, not on this model")
    if tokenizer_files.has_tokenizer(folder):
        tell(f"the adapter {shown} was saved with a tokenizer, which is used instead of the model's")
    return folder, found, shown


def _one_of(option: str, value: str, allowed: tuple[str, ...], unset: str | None = None) -> None:
    if value not in allowed and value != unset:
        raise UsageError(f"{option} {value}: not one of {', '.join(allowed)}.")
