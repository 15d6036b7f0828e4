"""From what a user names with --model to weights on this disk, as a `ModelSpec`."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal, cast, get_args
from urllib.parse import urlsplit

from ..core import hub, registry
from ..core.errors import ModelMissing, UsageError
from ..core.secrets import masked
from ..core.suggest import nearest
from ..core.types import ModelSpec
from . import adapter_files, adapters, hub_adapter
from .adapters import Adapter
from .entry import Entry
from .weights import converted, digests, gguf_header, hub_cache, hub_files, packaged, remote_code, tokenizer_files
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
# Engines that ask a server: the variable that may hold its address, and the address where neither it nor an option does
# ("": the engine's own).
SERVED = {"openai": ("OPENAI_BASE_URL", "https://api.openai.com/v1"), "groq": ("", "")}
REPLAY = "replay"  # answers that were saved before: replay:FILE
GGUF = "gguf"  # a GGUF file by llama.cpp, as it is: gguf:FILE
VLLM = "vllm"  # any model, by vLLM: vllm:NAME
PREFIXES = (*SERVED, REPLAY, GGUF, VLLM)


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
    base_url: str = "",
    columns: str = "",
    tensor_parallel: int = 0,
    trust_remote_code: bool = False,
    tell: Callable[[str], None] = lambda line: None,
) -> ModelSpec:
    """The model called `name`, its weights on this disk: fetched, converted and hashed where that is needed.

    `name` is a zoo entry; a `.py` file with one MODEL; a folder or `.gguf` file that is there; a hub id; or one of
    these with @TAG: as `medbench train` trained it, on the revision of its base that training recorded, unless
    `revision` names another. The folder that training wrote means the same. Or it is
    `openai:NAME` or `groq:NAME`, a model at a server, and `base_url` says which; `gguf:FILE`, run as it is; `vllm:`
    before any of the first; or `replay:FILE`, answers saved before, whose `columns` are as --map names them. What only
    another engine reads is not read. `tell` gets one line for each thing that takes long and each warning.

    Raises UsageError for what cannot be meant, ModelMissing for weights that cannot be had.
    """
    _one_of("--dtype", dtype, DTYPES)
    _one_of("--quantize", quantize, tuple(filter(None, get_args(Quantize))), unset="")
    _one_of("--chat", chat, get_args(Chat))
    prefix, _, rest = name.partition(":")
    if prefix == VLLM:
        if engine.removeprefix(VLLM):
            raise UsageError(f"--engine {engine}: {name} is run by vLLM.", "Leave one of the two out.")
        if not rest:
            raise UsageError("--model vllm: names no model.", "As without vLLM: --model vllm:NAME")
        name, engine = rest, VLLM
    given = {"--revision": revision, "--adapter": adapter, "--quantize": quantize}
    given |= {"--trust-remote-code": "on" * trust_remote_code}
    given |= {"--dtype": dtype.removeprefix("auto")}
    elsewhere = {"--device": device.removeprefix("auto")}
    if prefix in SERVED:
        if prefix == "groq" and not base_url and (elsewhere_url := os.environ.get("GROQ_BASE_URL")):
            tell(
                f"GROQ_BASE_URL is set to {masked(elsewhere_url)} and not used: {name} is asked at Groq's own address. "
                "To send the key there: --base-url (of a judge --judge-base-url)"
            )
        return _served(name, cast(Chat, chat), base_url, given | elsewhere | {"--engine": engine})
    if prefix == REPLAY or engine == REPLAY:
        given |= elsewhere | {"--chat": chat.removeprefix("auto"), "--engine": engine.removeprefix(REPLAY)}
        return _replayed(rest if prefix == REPLAY else name, columns, given)
    if prefix == GGUF or engine == GGUF:
        given |= {"--engine": engine.removeprefix(GGUF)}
        return _gguf(rest if prefix == GGUF else name, cast(Chat, chat), device, given, tell)
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
    runs_on = engine or (entry.engine if entry else ENGINE)
    if runs_on in SERVED:
        _refused(given | elsewhere, f"{shown} is run by a server, which decides that.")
    return ModelSpec(
        name=shown,
        location=str(weights.location),
        revision=weights.revision,
        engine=runs_on,
        adapter=folder,
        adapter_hash=adapter_hash,
        dtype=dtype,
        quantize=cast(Quantize, quantize),
        device=device,
        chat=cast(Chat, chat),
        prompt_format=entry.prompt_format if entry else as_merged.get("prompt_format", ""),
        generation=dict(entry.generation if entry else as_merged.get("generation", {})),
        source=source,
        leaked=_together(parts),
        base_url=_base_url(runs_on, base_url),
        trust_remote_code=weights.runs_code,
        options={"tensor_parallel": tensor_parallel} if tensor_parallel and runs_on == VLLM else {},
    )


def _served(name: str, chat: Chat, base_url: str, given: Mapping[str, str]) -> ModelSpec:
    """A model that a server runs, which decides everything that `given` options would."""
    engine, _, model = name.partition(":")
    if not model:
        raise UsageError(f"--model {name} names no model.", f"As its server calls it: {engine}:NAME")
    _refused(given, f"{name} is run by a server, which decides that.")
    url = _base_url(engine, base_url)
    return ModelSpec(name, model, "", engine, chat=chat, source=f"served at {url or engine}", base_url=url)


def _refused(given: Mapping[str, str], why: str) -> None:
    """Raises UsageError for the first option that is given where none of them has an effect."""
    for option, value in given.items():
        if value:
            raise UsageError(f"{option} {value}: {why}", "Leave it out.")


def _replayed(path: str, columns: str, given: Mapping[str, str]) -> ModelSpec:
    """Saved answers; what they are is found when they are read. A run's are called as the run."""
    if not path:
        raise UsageError("--model replay: names no file.", "The file of saved answers: --model replay:FILE")
    _refused(given, f"the answers in {path} are there already.")
    full = Path(path).expanduser().resolve()
    shown = full.parent.name if full.name == "samples.jsonl" else full.stem if full.suffix else full.name
    options = {"map": columns} if columns else {}
    return ModelSpec(f"{REPLAY}:{shown}", str(full), "", REPLAY, source=f"answers saved in {full}", options=options)


def _gguf(name: str, chat: Chat, device: str, given: Mapping[str, str], tell: Tell) -> ModelSpec:
    """A GGUF file as it is: a file, a folder with one, or a zoo entry whose weights are one."""
    _refused(given, "a GGUF file is run as it is.")
    entry = cast(Entry, registry.get("zoo", name)) if name in registry.names("zoo") else None
    path = Path(entry.weights if entry and entry.weights.endswith(".gguf") else name).expanduser()
    if entry and entry.package and not path.exists():
        path = packaged.kept(entry.package, tell)
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
    header = gguf_header.read_header(path)
    revision = digests.file_digest(path, tell)[: digests.SHOWN]
    kind = header.format or "GGUF"
    exported = _as_exported(path)
    return ModelSpec(
        name=entry.name if entry else adapters.shown(path),
        location=str(path.resolve()),
        revision=revision,
        engine=GGUF,
        dtype=kind,
        device=device,
        chat=chat,
        prompt_format=entry.prompt_format if entry else exported.get("prompt_format", ""),
        generation=dict(entry.generation) if entry else {},
        leaked=adapters.leaked_by(path.parent) if exported else None,
        source=f"file {path} (GGUF {header.format}".rstrip() + ")",
    )


def _as_exported(path: Path) -> dict[str, Any]:
    """Return what `medbench export` wrote beside a GGUF file of its own; {} for any other file."""
    about = adapters.merged_from(path.parent) or {}
    export = about.get("export")
    return about if isinstance(export, dict) and export.get("file") == path.name else {}


def _base_url(engine: str, given: str) -> str:
    """The address of the server that `engine` asks; "" for engines that ask none, and for one that knows its own.

    Raises UsageError for what cannot be one: it is stored with every run, so it may hold no password.
    """
    if engine not in SERVED:
        return ""
    variable, standard = SERVED[engine]
    url = (given or (os.environ.get(variable, "") if variable else "") or standard).strip().rstrip("/")
    if not url:
        return ""
    try:
        parts = urlsplit(url)
        known = parts.scheme in ("http", "https") and parts.hostname and (parts.port is None or parts.port > 0)
    except ValueError:
        known = False
    if not known or parts.username or parts.password or parts.query or parts.fragment or masked(url) != url:
        shown = "" if "@" in url or "?" in url or "#" in url or masked(url) != url else f" {url}"
        raise UsageError(
            f"the base URL{shown} cannot be used.",
            "It is like http://localhost:8000/v1, without a password or key: keys are read from the environment.",
        )
    return url


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
    if not (_means_a_model(base) or adapters.tags(base) or adapters.nearest(name)):
        raise _unknown(base)
    found = adapters.find(name)
    return Adapter(found.folder.resolve(), found.manifest).finished()


def _base(name: str, trained: Adapter) -> str:
    """What --model would take for the model that `trained` was made from: as the user names it, or as training did."""
    base = name.rpartition("@")[0]
    manifest = trained.manifest
    if not Path(name).expanduser().exists() and _means_a_model(base):
        return base
    if manifest.model in registry.names("zoo"):
        return manifest.model
    known = str(manifest.base.get("name") or manifest.model)
    if registry.uninstalled("zoo", known):
        raise UsageError(
            f"{manifest.name} was trained from the model file {known}, which runs as a program.",
            f"If you trust that file, name it in this command: {known}@{manifest.tag}",
        )
    if manifest.kind == "lora" and not _means_a_model(known):
        raise ModelMissing(
            f"the model that {manifest.name} was trained from is not at {known}.",
            f"Name it where it is: --model PATH@{manifest.tag}, or --model PATH --adapter {trained.folder}",
        )
    return known if _means_a_model(known) else ""


def _means_a_model(name: str) -> bool:
    """Whether `name` could be resolved, as far as this disk knows."""
    if name in registry.names("zoo") or Path(name).expanduser().exists():
        return True
    return bool(HUB_ID.fullmatch(name)) and not name.endswith((".gguf", ".py"))


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
    raise _unknown(name)


def _unknown(name: str) -> UsageError:
    prefix, colon, rest = name.partition(":")
    if colon and (near := nearest(prefix, PREFIXES, most=1)):
        return UsageError(
            f"no model is called '{name}'. Did you mean {near[0]}:{rest}?", "All of them: medbench list models"
        )
    if colon and prefix.isalpha() and len(prefix) > 1:  # one letter is a Windows drive
        return UsageError(
            f"no model is called '{name}': before a colon may stand {', '.join(PREFIXES)}.",
            "Without one: a zoo entry (medbench list models), a hub id (OWNER/NAME), a model folder or a .gguf file.",
        )
    if re.search(r"[/\\~]|^\.|\.gguf$", name):
        return UsageError(
            f"no such folder or file: {name}",
            "--model takes a zoo entry (medbench list models), a hub id (OWNER/NAME), a model folder or a .gguf file.",
        )
    return registry.unknown("zoo", name)


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
