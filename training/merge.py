"""Merge an adapter into its base: one model folder that any tool loads."""

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
from ..zoo.adapter_manifest import AdapterManifest
from ..zoo.resolve import resolve
from ..zoo.weights import tokenizer_files
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

    `out` appears only when it is complete. It contains weights, tokenizer, chat template and `medbench.json`: what was
    merged, how medbench prompts it, and which benchmark items its training data contained. Returns its full path.

    Raises UsageError if the adapter is unfinished or not a LoRA, or if `out` exists; MedbenchError if disk or memory is
    too small.
    """
    manifest = adapters.read(folder)
    adapters.Adapter(folder, manifest).finished()
    if dtype not in BYTES:
        raise UsageError(f"--dtype {dtype}: not one of {', '.join(BYTES)}.")
    if manifest.kind == "full":
        raise UsageError(
            f"{manifest.name} is already a complete model: there is nothing to merge.",
            f"Any tool can load this folder: {folder}",
        )
    out = out.resolve()
    require_free(out)
    spec = resolve(str(folder), dtype=dtype, device="cpu", trust_remote_code=trust_remote_code, tell=tell)
    with new_folder(out) as draft:
        write_whole(spec, draft, tell)
        (draft / adapters.MERGED).write_bytes(to_json(about_whole(spec, manifest), indent=1) + b"\n")
    return out


@contextlib.contextmanager
def new_folder(out: Path) -> Iterator[Path]:
    """Yield the path of a folder to make; it is named `out` when the block ends, whole, or not at all.

    Raises UsageError if `out` is taken, LockHeld while another process writes it, and
    MedbenchError if it cannot be written.
    """
    require_free(out)
    work = out.with_name(f".{out.name}.merging")
    try:
        durable.make_folder(work)
        with _held(work, out):
            require_free(out)  # another process may just have made it
            draft = work / "model"
            shutil.rmtree(draft, ignore_errors=True)  # left by a process that was killed
            yield draft
            durable.sync_tree(draft)
            if out.exists():
                out.rmdir()  # empty; not every platform renames over a folder
            durable.rename(draft, out)
    except OSError as error:
        raise MedbenchError(
            f"{out} cannot be written: {error.strerror or error}.",
            f"{remedy(error)}, then run the same command again.",
        ) from error


def write_whole(
    spec: ModelSpec,
    draft: Path,
    tell: Callable[[str], None],
    more: Callable[[int], float] = lambda parameters: 0,
    change: Callable[[Any], None] = lambda model: None,
) -> None:
    """Write the model of `spec` to the folder `draft` as unquantized weights; an adapter is merged into its base.

    `more`: bytes of disk that the caller will need besides, by the number of parameters. `change` gets the model before
    it is saved. Raises MedbenchError if disk or memory is too small, OSError if the folder cannot be written.
    """
    from ..engines.hf.loading import first_line, opened, weights

    trusted = spec.trust_remote_code
    config, _ = opened(spec.location, trusted)
    _require_room(spec, config, draft.parent, tell, more)
    model = weights(spec.name, spec.location, config, spec.dtype, spec.device, None, spec.adapter, trusted)
    if spec.adapter:
        try:
            model = model.merge_and_unload(safe_merge=True)
        except ValueError as error:  # NaN or infinite weights
            raise MedbenchError(
                f"{spec.name} cannot be merged in {spec.dtype}: {first_line(error)}", "Try --dtype float32."
            ) from error
    change(model)
    try:
        portable.save(model, tokenizer_folder(spec), draft)
    except OSError:
        raise
    except Exception as error:  # safetensors has an error of its own for a full disk
        raise OSError(f"{type(error).__name__}: {error}") from error


def tokenizer_folder(spec: ModelSpec) -> Path:
    """Return the folder whose tokenizer the model is run with: an adapter may bring one."""
    own = bool(spec.adapter) and tokenizer_files.has_tokenizer(Path(spec.adapter))
    return Path(spec.adapter if own else spec.location)


def about_whole(spec: ModelSpec, manifest: AdapterManifest | None = None) -> dict[str, Any]:
    """Return the content of `medbench.json`: where the weights come from, how to prompt them, and what leaked.

    It has no times and no paths, so the same merge always gives the same model.
    """
    base = manifest.base.get("weights", manifest.model) if manifest else spec.name
    return {
        "adapter": manifest.name if manifest else spec.name,
        "hash": spec.adapter_hash,
        "base": {"weights": base, "revision": spec.revision},
        "dtype": spec.dtype,
        **({"trust_remote_code": True} if spec.trust_remote_code else {}),
        "prompt_format": spec.prompt_format,
        "generation": dict(spec.generation),
        "leaked": None if spec.leaked is None else {name: list(items) for name, items in spec.leaked.items()},
    }


def require_free(out: Path) -> None:
    """Raise UsageError unless `out` is a new or empty folder."""
    if out.is_dir() and not any(out.iterdir()):
        return
    if out.exists():
        raise UsageError(f"--out {out}: this folder is not empty, or it is a file.", "Choose a new or empty folder.")


def _require_room(
    spec: ModelSpec, config: Any, folder: Path, tell: Callable[[str], None], more: Callable[[int], float]
) -> None:
    """Raise MedbenchError if disk or memory is too small, before the weights are read."""
    import torch

    from ..engines.hf.loading import model_class

    with torch.device("meta"):
        parameters = model_class(config).from_config(config, trust_remote_code=is_own(config)).num_parameters()
    size = parameters * BYTES[spec.dtype]
    needed = size + more(parameters)
    smaller = " or give --dtype bfloat16, half of it" if spec.dtype == "float32" else ""
    free = shutil.disk_usage(folder).free
    if free < needed:
        raise MedbenchError(
            f"{spec.name} takes {needed / 1e9:.1f} GB {'merged' if needed == size else 'to export'}; the disk "
            f"of {folder.parent} has {free / 1e9:.1f} GB left.",
            f"Free some space, choose a folder on another disk with --out{',' * bool(smaller)}{smaller}.",
        )
    memory = free_memory(swap=True)
    if memory < size:
        raise MedbenchError(
            f"{spec.name} takes {size / 1e9:.1f} GB of memory; {memory / 1e9:.1f} GB are free.",
            f"Close other programs{smaller}.",
        )
    tell(f"{'merging' if spec.adapter else 'writing'} {spec.name} in {spec.dtype}: {size / 1e6:,.0f} MB")


@contextlib.contextmanager
def _held(work: Path, out: Path) -> Iterator[None]:
    """Reserve the folder of an unfinished merge for this process, and delete it afterwards."""
    lock = Lock(work / "lock", str(out))
    lock.acquire()
    try:
        yield
    finally:
        shutil.rmtree(work / "model", ignore_errors=True)
        lock.release()
        shutil.rmtree(work, ignore_errors=True)
