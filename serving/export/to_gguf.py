"""Convert a model to a GGUF file: check that it can work, convert, quantize, and read the file back."""

from __future__ import annotations

import json
import re
import shutil
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ...core.errors import MedbenchError, UsageError
from ...core.types import ModelSpec
from ...training.merge import tokenizer_folder, write_whole
from ...training.portable import older_config, older_tokenizer
from ...zoo.weights import tokenizer_files
from ...zoo.weights.gguf_header import read_header
from . import converter, obstacles, quantizer
from .traits import Traits, checked_by_llama_cpp, differences, traits

Tell = Callable[[str], None]

INSTEAD = converter.INSTEAD
OUTTYPE = {"float32": "f32", "bfloat16": "bf16", "float16": "f16"}  # the type that keeps every digit of a dtype
# Keys that llama.cpp's converter reads and transformers 5 no longer writes, by type of model.
OLD_KEYS = {"gpt2": {"n_ctx": "n_positions"}}


@dataclass(frozen=True)
class Ready:
    """A model that llama.cpp's converter accepts, as far as can be known without its weights."""

    spec: ModelSpec
    traits: Traits
    tokenizer: Any
    encoder_decoder: bool


@dataclass(frozen=True)
class Made:
    """A finished GGUF file, and what was read back from it."""

    file: Path
    bytes: int
    parameters: int
    window: int | None  # tokens
    tensor_types: dict[str, int]
    notes: tuple[str, ...]


def prepare(spec: ModelSpec, kind: str, tell: Tell) -> Ready:
    """Check all that can be checked before the weights are read: llama.cpp's converter and its view of this model.

    Fetches the converter on first use. Raises UsageError, naming the reason, for a model that llama.cpp does not take.
    """
    quantizer.require(kind)
    found, config, tokenizer = traits(spec)
    if spec.trust_remote_code:
        raise UsageError(f"{spec.name} needs its own Python code, which llama.cpp cannot run.", INSTEAD)
    program = converter.obtain(tell)
    if found.architecture not in converter.architectures(program):
        raise UsageError(f"{spec.name} cannot become GGUF: llama.cpp has no {found.architecture}.", INSTEAD)
    if why := obstacles.obstacle(config):
        raise UsageError(f"{spec.name} would answer differently under llama.cpp: {why}.", INSTEAD)
    tell(f"checking {spec.name} with llama.cpp's converter, without its weights")
    with tempfile.TemporaryDirectory(prefix="medbench-export-") as work:
        folder, file = Path(work) / "model", Path(work) / "vocabulary.gguf"
        _describe(spec, found, config, tokenizer, folder)
        try:
            said = _convert(program, folder, file, "f32", spec, found, vocabulary_only=True)
        except converter.Unconvertible as error:
            needed = re.search(r"([\w.]+\.model)$", error.message)
            why = (
                f"llama.cpp's converter reads its tokenizer from {needed[1]}, which is missing"
                if needed
                else f"llama.cpp's converter ({converter.REQUIREMENT}) rejects it: {error.message}"
            )
            raise UsageError(f"{spec.name} cannot become GGUF: {why}.", error.hint) from error
        wrong = differences(file, found, tokenizer)
    if wrong and not said.recognized:  # medbench named the pre-tokenizer, and was wrong
        raise UsageError(
            f"{spec.name} cannot become GGUF: llama.cpp does not know how its tokenizer splits text; {wrong[-1]}.",
            INSTEAD,
        )
    for difference in wrong:
        tell(f"warning: {difference}")
    return Ready(spec, found, tokenizer, bool(config.is_encoder_decoder))


def room(kind: str, dtype: str) -> Callable[[int], float]:
    """Return the disk space in bytes that an export needs beside the merged weights, from the number of parameters."""
    between = 0.0 if kind in converter.NATIVE else quantizer.KINDS[OUTTYPE[dtype]].bits / 8
    return lambda parameters: quantizer.bytes_of(kind, parameters) + between * parameters


def make(ready: Ready, weights: Path, file: Path, kind: str, work: Path, tell: Tell) -> Made:
    """Write the GGUF file `file` from the whole weights in the folder `weights`; `work` is for temporary files.

    Raises MedbenchError where a step fails and where the file does not say what the model does.
    """
    spec = ready.spec
    native = kind in converter.NATIVE
    first = file if native else work / f"{file.stem}.between.gguf"
    outtype = kind if native else OUTTYPE[spec.dtype]
    tell(f"converting {spec.name} to GGUF ({outtype})")
    file.parent.mkdir(parents=True, exist_ok=True)
    try:
        said = _convert(converter.obtain(tell), weights, first, outtype, spec, ready.traits)
    except converter.Unconvertible as error:
        raise MedbenchError(f"llama.cpp's converter failed on {spec.name}: {error.message}", error.hint) from error
    if not native:
        tell(f"quantizing {spec.name} to {kind}")
        quantizer.quantize(first, file, kind)
        first.unlink()
    header = read_header(file)
    notes = differences(file, ready.traits, ready.tokenizer)
    if not said.recognized:
        notes.append(
            f"the converter does not know this vocabulary; its text is split as '{said.pre_tokenizer}' does"
            + (", which gives the same tokens" if checked_by_llama_cpp() and not notes else "")
        )
    if not checked_by_llama_cpp():
        notes.append("tokens were not compared: llama-cpp-python is not installed")
    notes += _other_types(kind, dict(header.tensor_types))
    return Made(file, file.stat().st_size, header.parameters, header.window, dict(header.tensor_types), tuple(notes))


def write_weights(ready: Ready, folder: Path, kind: str, tell: Tell) -> None:
    """Write whole weights, with the adapter merged in, in the form that llama.cpp's converter reads."""
    write_whole(ready.spec, folder, tell, room(kind, ready.spec.dtype), obstacles.fold)
    _adapt(folder)


def _convert(
    program: Path, folder: Path, file: Path, kind: str, spec: ModelSpec, found: Traits, vocabulary_only: bool = False
) -> converter.Converted:
    return converter.convert(
        program,
        folder,
        file,
        kind,
        name=spec.name,
        pre_tokenizer=found.pre_tokenizer,
        end_of_turn=found.turn_end,
        vocabulary_only=vocabulary_only,
    )


def _describe(spec: ModelSpec, found: Traits, config: Any, tokenizer: Any, folder: Path) -> None:
    """Write a model folder without weights: the configuration and the tokenizer that whole weights will have."""
    folder.mkdir()
    said = older_config(config.to_dict()) | {"architectures": [found.architecture]}
    said["vocab_size"] = max(int(said.get("vocab_size") or 0), len(tokenizer))  # an adapter may add tokens
    (folder / "config.json").write_text(json.dumps(said, default=str), encoding="utf-8")
    words = tokenizer_folder(spec)
    for name in tokenizer_files.present(words):
        shutil.copyfile(words / name, folder / name)
    settings = folder / "tokenizer_config.json"
    if settings.exists():
        settings.write_text(json.dumps(older_tokenizer(json.loads(settings.read_text("utf-8")))), encoding="utf-8")
    _adapt(folder)


def _adapt(folder: Path) -> None:
    """Add to a model folder what the converter reads in an older form, and take out code that a tokenizer names."""
    path = folder / "config.json"
    config = json.loads(path.read_text(encoding="utf-8"))
    for old, new in OLD_KEYS.get(config.get("model_type"), {}).items():
        config.setdefault(old, config.get(new))
    path.write_text(json.dumps(config, indent=2), encoding="utf-8")
    settings = folder / "tokenizer_config.json"
    if settings.exists():
        said = json.loads(settings.read_text(encoding="utf-8"))
        said.pop("auto_map", None)
        said.setdefault("added_tokens_decoder", _added_tokens(folder / "tokenizer.json"))
        settings.write_text(json.dumps(said, indent=2), encoding="utf-8")


def _added_tokens(file: Path) -> dict[str, Any]:
    """Return the added tokens of a tokenizer.json as tokenizer_config.json listed them before transformers 5.

    The converter takes marks such as <start_of_turn> from that list. Without it, it stores them as ordinary words of a
    sentencepiece vocabulary, and llama.cpp spells them out.
    """
    if not file.exists():
        return {}
    added = json.loads(file.read_text(encoding="utf-8")).get("added_tokens") or []
    return {str(token["id"]): {name: value for name, value in token.items() if name != "id"} for token in added}


def _other_types(kind: str, types: dict[str, int]) -> list[str]:
    """Name the types in which llama.cpp stored the matrices, which differ if rows are no multiple of 256."""
    if kind in converter.NATIVE:
        return []
    matrices = sorted(((count, name) for name, count in types.items() if name != "F32"), reverse=True)
    return [f"{kind} stores the matrices of this model as {', '.join(f'{name} ({count})' for count, name in matrices)}"]


def require_decoder(ready: Ready, what: str) -> None:
    """Raise UsageError for an encoder-decoder, which llama.cpp converts but `what` does not run."""
    if ready.encoder_decoder:
        raise UsageError(
            f"{ready.spec.name} has an encoder, and {what} runs only models without one.",
            "llama.cpp's own programs run the file: --to gguf. transformers and medbench run: --to safetensors",
        )
