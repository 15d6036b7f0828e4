"""Convert GGUF weights to a folder that transformers loads, once, in the cache.

The weights are dequantized to float32. Smaller dtypes would change them: a block's `scale * integer + offset` needs
more digits than float16 or bfloat16 have (41% of SmolLM2's Q4_1 weights change when rounded to float16).
"""

from __future__ import annotations

import contextlib
import copy
import functools
import io
import json
import shutil
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from ...core import dry, durable, paths
from ...core.errors import MedbenchError, ModelMissing
from ...core.resources import free_memory
from .digests import SHOWN, file_digest, sha256_of
from .gguf_header import Header, read_header

# Part of the folder's name and of the revision: increase it when the result of a conversion changes.
VERSION = "1"
ABOUT = "medbench.json"  # in the folder: what the weights were made from
BYTES_PER_WEIGHT = 4  # float32
FIXED_S, S_PER_WEIGHT = 20, 60e-9  # expected time: parsing the vocabulary, then each weight (measured on two cores)
PEAK = 2  # peak memory, in copies of the model (measured on SmolLM2: 1.4)

# Names in GGUF files for the way the vocabulary splits text before merging. transformers knows some of them and treats
# the others as GPT-2's. The names below mean GPT-2's with each digit separate, as in llama.cpp.
DIGIT_BY_DIGIT = {"smollm", "starcoder", "refact", "command-r", "codeshell", "exaone", "minerva-7b"}
_PARSING = threading.Lock()  # gguf's functions are replaced for one conversion at a time
AS_GPT2 = {"", "gpt-2", "phi-2", "mpt", "olmo", "jais", "trillion"}


def revision(sha256: str) -> str:
    """Return the revision of a converted GGUF file, from the file's hash."""
    return f"{sha256[:SHOWN]}-{VERSION}"


def place(sha256: str) -> Path:
    """Return the folder of a converted GGUF file, by the file's hash. It exists only if the conversion is complete."""
    return paths.cache() / "converted" / revision(sha256)


def about(folder: Path) -> dict[str, Any]:
    """Return what a converted folder was made from (file, sha256, format, transformers) and its files' SHA-256."""
    said: dict[str, Any] = json.loads((folder / ABOUT).read_text(encoding="utf-8"))
    return said


def converted(sha256: str, obtain: Callable[[Path], Path], tell: Callable[[str], None]) -> Path:
    """Return the converted folder of the GGUF file with this hash. Convert the file if needed.

    `obtain` gets a temporary folder, which it may use, and returns the path of the file. One process converts at a
    time. The folder gets its final name only when it is complete, so a partial conversion is never used.
    """
    import filelock

    target = place(sha256)
    if target.is_dir() and not damage(target, tell):
        return target
    if dry.running():
        raise ModelMissing("the weights are not converted on this machine yet, which a dry run does not do.")
    work = target.with_name(f".{target.name}.work")
    try:
        durable.make_folder(target.parent)
        lock = filelock.FileLock(target.with_name(f".{target.name}.lock"))
        try:
            lock.acquire(blocking=False)
        except filelock.Timeout:
            tell("waiting for another process that converts these weights")
            lock.acquire()
        with contextlib.ExitStack() as stack:
            stack.callback(lock.release)
            if target.is_dir():
                if not (wrong := damage(target)):
                    return target
                tell(f"the converted weights in {target} are damaged ({wrong}), so the file is converted again")
                shutil.rmtree(target)
            shutil.rmtree(work, ignore_errors=True)  # left by a process that was killed
            stack.callback(shutil.rmtree, work, ignore_errors=True)
            work.mkdir()
            source = obtain(work)
            draft = work / target.name
            _convert(source, draft, sha256, tell)
            durable.sync_tree(draft)
            durable.rename(draft, target)
    except OSError as error:
        raise MedbenchError(
            f"the cache folder {target.parent} cannot be used: {error}",
            "Make room or fix its permissions, or name another with MEDBENCH_CACHE.",
        ) from error
    return target


def damage(folder: Path, tell: Callable[[str], None] = lambda line: None) -> str:
    """Return what is wrong with a converted folder; "" if nothing is. Early versions stored no hashes to check."""
    try:
        said = about(folder)
        files = dict(said.get("files") or {})
        for name, digest in files.items():
            if file_digest(folder / name, tell) != digest:
                return f"{name} is not what was written"
    except (OSError, ValueError, TypeError, AttributeError) as error:
        return f"{type(error).__name__}: {error}"
    return ""


def _convert(source: Path, target: Path, sha256: str, tell: Callable[[str], None]) -> None:
    header = read_header(source)
    size = header.parameters * BYTES_PER_WEIGHT
    _require_room(source, size, target.parent)
    minutes = max(1, round((FIXED_S + S_PER_WEIGHT * header.parameters) / 60))
    tell(
        f"converting {source.name} to float32, once ({size / 1e6:,.0f} MB below {paths.cache()}); this takes about "
        f"{minutes} minute{'s' * (minutes != 1)}"
    )
    import transformers

    try:
        model, tokenizer = _read(source)
    except Exception as error:  # transformers raises many kinds for an unusual file
        first = (str(error).strip() or "no reason given").splitlines()[0]
        raise MedbenchError(
            f"transformers {transformers.__version__} cannot read {source} (architecture '{header.architecture}'): "
            f"{type(error).__name__}: {first}",
            "Name the folder or hub id of the model that the GGUF file was made from.",
        ) from error
    _mend_splitting(tokenizer, header, tell)
    for name in ("is_local", "local_files_only"):  # these say how this process loaded it
        tokenizer.init_kwargs.pop(name, None)
    try:
        with _quiet():
            model.save_pretrained(target)
            tokenizer.save_pretrained(target)
    except Exception as error:  # safetensors has an error of its own for a full disk
        raise OSError(f"{type(error).__name__}: {error}") from error
    made_from = {
        "file": source.name,
        "sha256": sha256,
        "format": header.format,
        "transformers": transformers.__version__,
        "files": {path.name: sha256_of(path) for path in sorted(target.iterdir()) if path.is_file()},
    }
    (target / ABOUT).write_text(json.dumps(made_from, indent=1) + "\n", encoding="utf-8")


def _read(source: Path) -> tuple[Any, Any]:
    """Return model and tokenizer of a GGUF file, in float32."""
    import torch
    from transformers import AutoConfig, AutoModelForCausalLM, AutoModelForSeq2SeqLM, AutoTokenizer, GgufConfig

    folder, file = str(source.parent), source.name
    with _quiet(), _parsed_once():
        config = AutoConfig.from_pretrained(folder, gguf_file=file, trust_remote_code=False)
        family = AutoModelForSeq2SeqLM if config.is_encoder_decoder else AutoModelForCausalLM
        loaded, report = family.from_pretrained(
            folder,
            gguf_file=file,
            config=config,  # or it would be read again, which takes seconds
            dtype=torch.float32,
            quantization_config=GgufConfig(dequantize=True),
            output_loading_info=True,
            trust_remote_code=False,
        )
        tokenizer = AutoTokenizer.from_pretrained(folder, gguf_file=file, config=config, trust_remote_code=False)
    if report["missing_keys"]:  # transformers fills them with random numbers
        raise ValueError(f"it lacks weights: {', '.join(sorted(report['missing_keys'])[:5])}")
    # transformers still treats the model as quantized and does not save it, so the weights go into a new one.
    config = copy.deepcopy(loaded.config)
    if hasattr(config, "quantization_config"):
        del config.quantization_config
    with torch.device("meta"):
        model = type(loaded)(config)
    model.load_state_dict(loaded.state_dict(), assign=True)
    model.tie_weights()
    model.generation_config = loaded.generation_config
    window = getattr(config, "max_position_embeddings", None)
    if window:
        tokenizer.model_max_length = window
    return model, tokenizer


@contextlib.contextmanager
def _parsed_once() -> Iterator[None]:
    """During the block, transformers parses a GGUF file once, not three times, and builds the table of names once, not
    for each module. This halves the time (SmolLM2 on two busy cores: 33 s, then 15 s).
    """
    import gguf

    with _PARSING:
        plain = gguf.GGUFReader, gguf.get_tensor_name_map
        gguf.GGUFReader, gguf.get_tensor_name_map = map(functools.cache, plain)
        try:
            yield
        finally:
            gguf.GGUFReader, gguf.get_tensor_name_map = plain


def _mend_splitting(tokenizer: Any, header: Header, tell: Callable[[str], None]) -> None:
    """Split text as the file says, if transformers treated its name for that as GPT-2's."""
    from tokenizers import pre_tokenizers

    backend = getattr(tokenizer, "backend_tokenizer", None)
    if backend is None or not isinstance(backend.pre_tokenizer, pre_tokenizers.ByteLevel):
        return
    if header.pre_tokenizer in DIGIT_BY_DIGIT:
        backend.pre_tokenizer = pre_tokenizers.Sequence(
            [pre_tokenizers.Digits(individual_digits=True), pre_tokenizers.ByteLevel(add_prefix_space=False)]
        )
    elif header.pre_tokenizer not in AS_GPT2:
        tell(
            f"warning: the file splits text in a way that transformers does not know, '{header.pre_tokenizer}'; "
            "some tokens may differ from the original model's"
        )


def _quiet() -> contextlib.AbstractContextManager[Any]:
    """Hide transformers' progress bars and messages; some of the bars have no switch."""
    return contextlib.redirect_stderr(io.StringIO())


def _require_room(source: Path, size: int, folder: Path) -> None:
    """Raise MedbenchError if disk or memory is too small for the conversion; `size` in bytes."""
    free = shutil.disk_usage(folder).free
    if free < size:
        raise MedbenchError(
            f"{source.name} takes {size / 1e9:.1f} GB as float32; the disk of {folder} has {free / 1e9:.1f} GB left.",
            "Make room, or name a cache folder on another disk with MEDBENCH_CACHE.",
        )
    memory = free_memory(swap=True)
    if memory < PEAK * size:
        raise MedbenchError(
            f"converting {source.name} needs {PEAK * size / 1e9:.1f} GB of memory; {memory / 1e9:.1f} GB are free.",
            "Name the folder or hub id of the model that the GGUF file was made from, and load it with --quantize nf4.",
        )
