"""A PEFT adapter on a model: with the embeddings it was saved with, and every one of its weights in its place.

PEFT itself loads what fits and warns at most, so that the base would answer under the adapter's name.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from importlib.metadata import version
from pathlib import Path
from pickle import UnpicklingError
from typing import Any

from ...core.errors import MedbenchError
from ...core.json_text import loads
from ...zoo.adapters import ADAPTER_WEIGHTS, CONFIG
from ...zoo.weights import tokenizer_files

NAME = "default"  # what PEFT calls an adapter that is not named
SHOWN = 3  # keys in a message
# Parameters that several layers of a VB-LoRA share and that are saved once.
SHARED = "vblora_vector_bank"
# PEFT saves resized embeddings that are trained as a whole twice, once under a key that it does not read.
SECOND = re.compile(r"\.modules_to_save(?=\.weight$|\.bias$)")
# Trained single tokens of tied embeddings are saved for both ends and read for one.
TRAINED_TOKENS = ".token_adapter.trainable_tokens_delta"


def put_on(name: str, model: Any, folder: Path, device: str) -> Any:
    """`model` with the adapter in `folder` on it. Raises MedbenchError unless every weight of either has its place."""
    import torch
    from peft import PeftModel

    fitting = "Name the model that it was trained on: --model BASE --adapter ADAPTER"
    try:
        shapes = _shapes(folder)
        here = model.get_input_embeddings().weight.shape[0]
        rows = _embedding_rows(model, shapes) or _rows_with_trained_tokens(folder, here)
        if rows and rows != here:
            # PEFT saves one end of the model at least. New tokens at the other have the mean, as transformers gives
            # them in training, with noise whose variance is a billion times smaller than theirs.
            torch.manual_seed(0)
            model.resize_token_embeddings(rows)
        out = model.get_output_embeddings()
        tied = out is not None and out.weight is model.get_input_embeddings().weight
        renamed = getattr(model, "_checkpoint_conversion_mapping", None) or {}
        adapted = PeftModel.from_pretrained(model, folder, torch_device=device)
        # Only this reports what of the file has no place. It reads the same weights again.
        report = adapted.load_adapter(folder, NAME, torch_device=device, key_mapping=renamed)
    except torch.OutOfMemoryError as error:
        raise MedbenchError(
            f"the adapter {folder} does not fit on {device}: {_why(error, folder)}",
            "Try --quantize nf4 or --device cpu.",
        ) from error
    except Exception as error:  # PEFT raises what its reader and torch have
        raise MedbenchError(
            f"the adapter {folder} cannot be put on {name}: {_why(error, folder)}.{_trained_on(folder)}", fitting
        ) from error
    # In the model the adapter's name is part of a key, in its file it is not.
    missing = sorted(re.sub(rf"\.{NAME}(?=\.|$)", "", key) for key in report.missing_keys if SHARED not in key)
    foreign = sorted(
        key
        for key in report.unexpected_keys
        if SECOND.sub("", key) not in shapes.keys() - {key} and not (tied and key.endswith(TRAINED_TOKENS))
    )
    if not missing and not foreign:
        return adapted
    said = []
    fit = len(shapes) - len(foreign)
    if foreign:
        said.append(
            f"{fit or 'none'} of its {len(shapes):,} weights {'have' if fit > 1 else 'has'} a place there; "
            f"without one: {_first(foreign)}"
        )
    if missing:
        whole = fit + len(missing)
        said.append(f"it lacks {len(missing):,} of the {whole:,} weights that it should have: {_first(missing)}")
    raise MedbenchError(
        f"the adapter {folder} does not fit {name}: {'; '.join(said)}.{_trained_on(folder)}",
        f"{fitting}. If this is that model, copy or fetch the adapter again.",
    )


def _why(error: Exception, folder: Path) -> str:
    """What PEFT says of an adapter that it cannot load, without lists of all modules or weights."""
    if isinstance(error, KeyError):
        if error.args[0] == loads((folder / CONFIG).read_bytes()).get("peft_type"):
            return f"the installed PEFT {version('peft')} does not know its method, {error.args[0]}"
        return f"its file lacks {error.args[0]}"  # a module that the adapter replaces as a whole
    if isinstance(error, UnpicklingError):
        return "its file is damaged or holds more than weights, such as code, which medbench does not load"
    sizes = re.findall(r"size mismatch for (\S+): .*?\[([\d, ]*)\].*?\[([\d, ]*)\]", str(error))
    if sizes:
        key, saved, here = sizes[0]
        return f"{len(sizes):,} of its weights have another size, the first: {key} is [{saved}] there and [{here}] here"
    return (str(error).strip() or type(error).__name__).splitlines()[0]


def _trained_on(folder: Path) -> str:
    base = loads((folder / CONFIG).read_bytes()).get("base_model_name_or_path")
    return f" It was trained on {base}." if base else ""


def _first(keys: Sequence[str]) -> str:
    return ", ".join(keys[:SHOWN]) + ", …" * (len(keys) > SHOWN)


def _shapes(folder: Path) -> dict[str, tuple[int, ...]]:
    """The shape of every weight in an adapter's file, by its key."""
    safe, pickled = (folder / name for name in ADAPTER_WEIGHTS)
    if safe.is_file():
        from safetensors import safe_open

        with safe_open(safe, "pt") as file:
            return {key: tuple(file.get_slice(key).get_shape()) for key in file.keys()}  # noqa: SIM118
    import torch

    weights = torch.load(pickled, map_location="meta", weights_only=True)
    return {key: tuple(value.shape) for key, value in weights.items()}


def _embedding_rows(model: Any, shapes: dict[str, tuple[int, ...]]) -> int:
    """How many tokens the embeddings have that the adapter saved as a whole; 0 if it saved none."""
    ends = [module for module in (model.get_input_embeddings(), model.get_output_embeddings()) if module is not None]
    names = {
        name.rpartition(".")[2]
        for name, module in model.named_modules(remove_duplicate=False)
        if any(module is end for end in ends)
    }
    whole = re.compile(
        rf"(?:.*\.)?(?:{'|'.join(map(re.escape, names))})(?:\.base_layer|\.modules_to_save(?:\.\w+)?)?\.weight"
    )
    return max((shape[0] for key, shape in shapes.items() if whole.fullmatch(key) and len(shape) == 2), default=0)


def _rows_with_trained_tokens(folder: Path, here: int) -> int:
    """Return how many embeddings an adapter needs that saved single tokens; 0 if the model's `here` are enough."""
    config = loads((folder / CONFIG).read_bytes())
    trained = config.get("trainable_token_indices") or config.get("token_indices") or []
    indices = [at for each in trained.values() for at in each] if isinstance(trained, Mapping) else trained
    rows = max(indices, default=-1) + 1
    if rows <= here:
        return 0
    if tokenizer_files.has_tokenizer(folder):
        from transformers import AutoTokenizer

        rows = max(rows, len(AutoTokenizer.from_pretrained(folder, trust_remote_code=False)))
    return int(rows)
