"""Loading a PEFT adapter onto a model, with the embeddings it was saved with, and checking that every weight was used.

PEFT itself loads whatever fits and at most warns. The base model would then answer under the adapter's name.
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
from ...zoo.adapter_files import ADAPTER_WEIGHTS, CONFIG
from ...zoo.weights import tokenizer_files

NAME = "default"  # PEFT's name for an adapter without one
SHOWN = 3  # keys in a message
# Parameters that the layers of a VB-LoRA share. They are saved once.
SHARED = "vblora_vector_bank"
# PEFT saves fully trained resized embeddings twice, once under a key that it does not read.
UNREAD_COPY = re.compile(r"\.modules_to_save(?=\.weight$|\.bias$)")
# Trained single tokens of tied embeddings are saved for both input and output embeddings and read for one of them.
TRAINED_TOKENS = ".token_adapter.trainable_tokens_delta"


def load_adapter(name: str, model: Any, folder: Path, device: str) -> Any:
    """Return `model` with the adapter in `folder`. Raise MedbenchError unless their weights match completely."""
    import torch
    from peft import PeftModel

    right_base = "Give the model that it was trained on: --model BASE --adapter ADAPTER"
    try:
        shapes = _shapes(folder)
        here = model.get_input_embeddings().weight.shape[0]
        rows = _embedding_rows(model, shapes) or _rows_with_trained_tokens(folder, here)
        if rows and rows != here:
            # PEFT saves the input or the output embeddings, at least. In the others, new tokens get the mean of all
            # embeddings, as transformers does in training, plus noise with a billionth of their variance.
            torch.manual_seed(0)
            model.resize_token_embeddings(rows)
        out = model.get_output_embeddings()
        tied = out is not None and out.weight is model.get_input_embeddings().weight
        renamed = getattr(model, "_checkpoint_conversion_mapping", None) or {}
        adapted = PeftModel.from_pretrained(model, folder, torch_device=device)
        # Only this call reports unused weights of the file. It reads the same weights again.
        report = adapted.load_adapter(folder, NAME, torch_device=device, key_mapping=renamed)
    except torch.OutOfMemoryError as error:
        raise MedbenchError(
            f"the adapter {folder} does not fit on {device}: {_why(error, folder)}",
            "Try --quantize nf4 or --device cpu.",
        ) from error
    except Exception as error:  # PEFT raises whatever torch and its file reader raise
        raise MedbenchError(
            f"the adapter {folder} does not load on {name}: {_why(error, folder)}.{_trained_on(folder)}", right_base
        ) from error
    # The adapter's name is part of a key in the model, but not in its file.
    missing = sorted(re.sub(rf"\.{NAME}(?=\.|$)", "", key) for key in report.missing_keys if SHARED not in key)
    unused = sorted(
        key
        for key in report.unexpected_keys
        if UNREAD_COPY.sub("", key) not in shapes.keys() - {key} and not (tied and key.endswith(TRAINED_TOKENS))
    )
    if not missing and not unused:
        return adapted
    problems = []
    fit = len(shapes) - len(unused)
    if unused:
        problems.append(
            f"{fit or 'none'} of its {len(shapes):,} weights {'match' if fit > 1 else 'matches'} the model; "
            f"unmatched: {_first(unused)}"
        )
    if missing:
        expected = fit + len(missing)
        problems.append(f"{len(missing):,} of the {expected:,} weights it should have are missing: {_first(missing)}")
    raise MedbenchError(
        f"the adapter {folder} does not fit {name}: {'; '.join(problems)}.{_trained_on(folder)}",
        f"{right_base}. If this is that model, copy or download the adapter again.",
    )


def _why(error: Exception, folder: Path) -> str:
    """Return why PEFT cannot load an adapter, without its lists of all modules or weights."""
    if isinstance(error, KeyError):
        if error.args[0] == loads((folder / CONFIG).read_bytes()).get("peft_type"):
            return f"the installed PEFT {version('peft')} does not support its method, {error.args[0]}"
        return f"{error.args[0]} is missing from its file"  # a module that the adapter replaces entirely
    if isinstance(error, UnpicklingError):
        return "its file is damaged or contains more than weights, such as code, which medbench does not load"
    sizes = re.findall(r"size mismatch for (\S+): .*?\[([\d, ]*)\].*?\[([\d, ]*)\]", str(error))
    if sizes:
        key, saved, here = sizes[0]
        shapes = f"{key} is [{saved}] in the adapter and [{here}] in the model"
        return f"{len(sizes):,} of its weights have another shape: {shapes}"
    return (str(error).strip() or type(error).__name__).splitlines()[0]


def _trained_on(folder: Path) -> str:
    base = loads((folder / CONFIG).read_bytes()).get("base_model_name_or_path")
    return f" It was trained on {base}." if base else ""


def _first(keys: Sequence[str]) -> str:
    return ", ".join(keys[:SHOWN]) + ", …" * (len(keys) > SHOWN)


def _shapes(folder: Path) -> dict[str, tuple[int, ...]]:
    """Return the shape of every weight in an adapter's file, by key."""
    safe, pickled = (folder / name for name in ADAPTER_WEIGHTS)
    if safe.is_file():
        from safetensors import safe_open

        with safe_open(safe, "pt") as file:
            return {key: tuple(file.get_slice(key).get_shape()) for key in file.keys()}  # noqa: SIM118
    import torch

    weights = torch.load(pickled, map_location="meta", weights_only=True)
    return {key: tuple(value.shape) for key, value in weights.items()}


def _embedding_rows(model: Any, shapes: dict[str, tuple[int, ...]]) -> int:
    """Return the number of rows of the embeddings that the adapter saved completely; 0 if it saved none."""
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
    """Return the rows of embeddings that an adapter with single trained tokens needs; 0 if the model's are enough."""
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
