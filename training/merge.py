"""An adapter and its base made into one model folder, which any tool loads."""

from __future__ import annotations

import contextlib
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from ..core import durable
from ..core.errors import MedbenchError, UsageError
from ..core.resources import free_memory
from ..core.types import ModelSpec
from ..results.files import Lock, remedy, to_json
from ..zoo import adapters
from ..zoo.resolve import resolve
from ..zoo.weights.remote_code import is_own
from . import portable

BYTES = {"float32": 4, "bfloat16": 2, "float16": 2}  # per weight


def merge(
    folder: Path,
    out: Path,
    dtype: str = "float32",
    tell: Callable[[str], None] = lambda line: None,
    trust_remote_code: bool = False,
) -> Path:
    """Merge the adapter in `folder` into its base, unquantized in `dtype`, and save the model to `out`.

    `out` gets its name when it is whole. Beside weights, tokenizer and chat template it holds `medbench.json`: what was
    merged, how medbench asks it, and which items its training data held. Returns the full path of `out`.

    Raises UsageError for an adapter that is not finished or is no LoRA and for an `out` that is taken, MedbenchError
    where disk or memory is too small.
    """
    manifest = adapters.read(folder)
    adapters.Adapter(folder, manifest).finished()
    if dtype not in BYTES:
        raise UsageError(f"--dtype {dtype}: not one of {', '.join(BYTES)}.")
    if manifest.kind == "full":
        raise UsageError(
            f"{manifest.name} has whole weights already: there is nothing to merge.",
            f"Any tool loads the folder as it is: {folder}",
        )
    out = out.resolve()
    _require_free(out)
    spec = resolve(str(folder), dtype=dtype, device="cpu", trust_remote_code=trust_remote_code, tell=tell)
    work = out.with_name(f".{out.name}.merging")
    about = _about(manifest, spec)
    try:
        durable.make_folder(work)
        with _held(work, out):
            _require_free(out)  # nor has another process just made it
            draft = work / "model"
            shutil.rmtree(draft, ignore_errors=True)  # of a process that was killed
            _merge(spec, draft, tell)
            (draft / adapters.MERGED).write_bytes(to_json(about, indent=1) + b"\n")
            durable.sync_tree(draft)
            if out.exists():
                out.rmdir()  # empty; not every platform renames over a folder
            durable.rename(draft, out)
    except OSError as error:
        raise MedbenchError(
            f"{out} cannot be written: {error.strerror or error}.",
            f"{remedy(error)}, then give the same command again.",
        ) from error
    return out


def _merge(spec: ModelSpec, draft: Path, tell: Callable[[str], None]) -> None:
    from ..engines.hf.loading import first_line, opened, weights

    trusted = spec.trust_remote_code
    config, _ = opened(spec.location, trusted)
    _require_room(spec, config, draft.parent, tell)
    model = weights(spec.name, spec.location, config, spec.dtype, spec.device, None, spec.adapter, trusted)
    try:
        merged = model.merge_and_unload(safe_merge=True)
    except ValueError as error:  # it found numbers that are none
        raise MedbenchError(
            f"{spec.name} cannot be merged in {spec.dtype}: {first_line(error)}", "Try --dtype float32."
        ) from error
    try:
        portable.save(merged, Path(spec.location), draft)
    except Exception as error:  # safetensors has an error of its own for a full disk
        raise OSError(f"{type(error).__name__}: {error}") from error


def _about(manifest: adapters.AdapterManifest, spec: ModelSpec) -> dict[str, Any]:
    """Where merged weights are from, how they are asked, and what leaked into them; no times and paths, so that the
    same merge is the same model."""
    return {
        "adapter": manifest.name,
        "hash": spec.adapter_hash,
        "base": {"weights": manifest.base.get("weights", manifest.model), "revision": spec.revision},
        "dtype": spec.dtype,
        **({"trust_remote_code": True} if spec.trust_remote_code else {}),
        "prompt_format": spec.prompt_format,
        "generation": dict(spec.generation),
        "leaked": {benchmark: list(items) for benchmark, items in (spec.leaked or {}).items()},
    }


def _require_free(out: Path) -> None:
    if out.is_dir() and not any(out.iterdir()):
        return
    if out.exists():
        raise UsageError(f"--out {out}: there is something already.", "Name a folder that is new or empty.")


def _require_room(spec: ModelSpec, config: Any, folder: Path, tell: Callable[[str], None]) -> None:
    """Refuse what the disk or the memory cannot hold, before the weights are read."""
    import torch
    from transformers import AutoModelForCausalLM, AutoModelForSeq2SeqLM

    family = AutoModelForSeq2SeqLM if config.is_encoder_decoder else AutoModelForCausalLM
    with torch.device("meta"):
        size = family.from_config(config, trust_remote_code=is_own(config)).num_parameters() * BYTES[spec.dtype]
    smaller = " or give --dtype bfloat16, half of it" if spec.dtype == "float32" else ""
    free = shutil.disk_usage(folder).free
    if free < size:
        raise MedbenchError(
            f"{spec.name} takes {size / 1e9:.1f} GB merged; the disk of {folder.parent} has {free / 1e9:.1f} GB left.",
            f"Make room, name a folder on another disk with --out{',' * bool(smaller)}{smaller}.",
        )
    memory = free_memory(swap=True)
    if memory < size:
        raise MedbenchError(
            f"merging {spec.name} takes {size / 1e9:.1f} GB of memory; {memory / 1e9:.1f} GB are free.",
            f"End other programs{smaller}.",
        )
    tell(f"merging {spec.name} in {spec.dtype}: {size / 1e6:,.0f} MB")


@contextlib.contextmanager
def _held(work: Path, out: Path) -> Iterator[None]:
    """The folder of the unfinished merge, for one process at a time; it is gone afterwards, whatever comes."""
    lock = Lock(work / "lock", str(out))
    lock.acquire()
    try:
        yield
    finally:
        shutil.rmtree(work / "model", ignore_errors=True)
        lock.release()
        shutil.rmtree(work, ignore_errors=True)
