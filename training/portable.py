"""Save a model so that any tool loads it, including transformers 4.

transformers 5 writes RoPE settings under a name that version 4 ignores, declares T5's embeddings as tied in every
configuration, names tokenizer classes that version 4 does not have, and omits a tokenizer's source files.
"""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

from ..zoo.weights import tokenizer_files

# Names that version 4 reads for these model types.
_RENAMED = {"gpt_neox": {"rope_theta": "rotary_emb_base", "partial_rotary_factor": "rotary_pct"}}


def save(model: Any, words: Path, out: Path) -> None:
    """Write the model to the folder `out`, with a copy of the tokenizer files in the folder `words`."""
    model.save_pretrained(out)
    for name in tokenizer_files.present(words):
        shutil.copyfile(words / name, out / name)
    config = out / "config.json"
    _rewrite(config, older_config(_read(config)) | _ties(model))
    settings = out / "tokenizer_config.json"
    if settings.exists():
        _rewrite(settings, older_tokenizer(_read(settings)))


def older_config(config: dict[str, Any]) -> dict[str, Any]:
    """Return the content of a config.json with the names of version 4 added to those of version 5."""
    config = {name: older_config(part) if isinstance(part, dict) else part for name, part in config.items()}
    rope = config.get("rope_parameters")
    if not isinstance(rope, dict):
        return config
    added: dict[str, Any] = {}
    if any(isinstance(part, dict) for part in rope.values()):  # one part per type of layer
        near = rope.get("sliding_attention") or {}
        rope = rope.get("full_attention") or near
        if "rope_theta" in near:
            added["rope_local_base_freq"] = near["rope_theta"]
    beside = ("rope_theta", "partial_rotary_factor")
    added |= {name: rope[name] for name in beside if rope.get(name) is not None}
    scaling = {name: value for name, value in rope.items() if name not in beside}
    kind = scaling.get("rope_type", "default")
    if kind == "longrope":  # Phi-3 accepts only these three, with its original length outside
        scaling = {"type": kind} | {name: scaling[name] for name in ("short_factor", "long_factor")}
        if "original_max_position_embeddings" in rope:
            added["original_max_position_embeddings"] = rope["original_max_position_embeddings"]
    if kind != "default":
        added["rope_scaling"] = scaling
    names = _RENAMED.get(str(config.get("model_type")), {})
    return {names.get(name, name): value for name, value in added.items()} | config


def older_tokenizer(settings: dict[str, Any]) -> dict[str, Any]:
    """Return the content of a tokenizer_config.json in a form that versions 4 and 5 both read."""
    if settings.get("tokenizer_class") == "TokenizersBackend":
        settings = settings | {"tokenizer_class": "PreTrainedTokenizerFast"}
    if isinstance(settings.get("extra_special_tokens"), list):
        settings = dict(settings)
        settings["additional_special_tokens"] = settings.pop("extra_special_tokens")
    return settings


def _ties(model: Any) -> dict[str, bool]:
    """Return whether input and output embeddings are one matrix, judged by the weights: T5's configuration always says
    so."""
    ends = [model.get_input_embeddings(), model.get_output_embeddings()]
    if any(getattr(end, "weight", None) is None for end in ends):
        return {}
    return {"tie_word_embeddings": ends[0].weight.data_ptr() == ends[1].weight.data_ptr()}


def _read(path: Path) -> dict[str, Any]:
    content: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    return content


def _rewrite(path: Path, content: dict[str, Any]) -> None:
    path.write_text(json.dumps(content, indent=2, sort_keys=True, ensure_ascii=False) + "\n", encoding="utf-8")
