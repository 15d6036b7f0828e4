"""What a model of a dry run takes: memory for weights and KV cache, and what must be downloaded first."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..core.errors import MedbenchError
from ..core.resources import free_memory, is_cpu
from ..core.types import ModelSpec
from .candidates import TRANSFORMERS, Candidate

WIDTH = {"float32": 4, "bfloat16": 2, "float16": 2}  # bytes of a number
NF4_BYTES, INT8_BYTES = 4.5 / 8, 1.0  # of a quantized weight, with its scales
HUB_BYTES = 2  # of a weight on the hub, usually


@dataclass(frozen=True, slots=True)
class Load:
    """What one run has in memory at once."""

    writes: bool
    answers: int  # that are left
    tokens: int  # of the longest prompt
    new_tokens: int  # of one answer at most


def weights_bytes(candidate: Candidate) -> int | None:
    """Return the bytes of the weights in memory; None if they are not known, 0 if they are elsewhere."""
    spec = candidate.engine.spec
    if not (candidate.engine.measured and candidate.engine.runs_here):
        return 0
    if spec.location.endswith(".gguf") and Path(spec.location).is_file():
        return Path(spec.location).stat().st_size  # llama.cpp runs it as it is
    if spec.engine != TRANSFORMERS:
        return None
    source = _source(candidate)
    sizes = _shape(source) if source else None
    if sizes is None:
        return int(candidate.entry.parameters * _width(spec)) if candidate.entry else None
    quantized = {"nf4": NF4_BYTES, "int8": INT8_BYTES}.get(spec.quantize)
    if quantized is None:
        return int(sizes.parameters * _width(spec))
    return int((sizes.parameters - sizes.quantizable) * _width(spec) + sizes.quantizable * quantized)


def cache_bytes(candidate: Candidate, load: Load) -> int | None:
    """Estimate the most bytes of keys and values, and of activations, that a run would use."""
    from ..engines.hf import engine as hf
    from ..engines.hf.memory import bytes_per_token

    spec = candidate.engine.spec
    if not (candidate.engine.measured and candidate.engine.runs_here):
        return 0
    source = _source(candidate) if spec.engine == TRANSFORMERS else None
    config = _configuration(source) if source else None
    if config is None:
        return None
    each = bytes_per_token(config, _width(spec))
    kind = "cpu" if is_cpu(spec.device) else "cuda"
    if not load.writes:
        return min(hf.CHOICE_TOKENS[kind], load.answers * load.tokens) * (each.cached + each.activations)
    at_once = min(hf.SLOTS[kind], load.answers)
    return at_once * (load.tokens + load.new_tokens) * each.cached


def room(free: int) -> int:
    """Return the bytes that an engine uses of the memory that is free after loading: with less, smaller batches."""
    from ..engines.hf.memory import SHARE

    return max(0, int(free * SHARE))


def free_bytes(spec: ModelSpec) -> int | None:
    """Return the memory that is free on the model's device; None if it is not known."""
    try:
        return free_memory(spec.device if spec.device.startswith(("cpu", "cuda")) else "cpu")
    except (RuntimeError, AssertionError, OSError):  # torch has no such device
        return None


def download_bytes(candidate: Candidate) -> int | None:
    """Return about how many bytes of weights must be downloaded: 0 if they are here, None if that is not known."""
    if not candidate.missing:
        return 0
    entry = candidate.entry
    return entry.parameters * HUB_BYTES if entry else None


def _width(spec: ModelSpec) -> int:
    return WIDTH.get(spec.dtype, WIDTH["float32"])


def _source(candidate: Candidate) -> Any:
    """Return what transformers reads a configuration from: the model's folder, or the entry's own; None if neither."""
    if candidate.folder:
        return candidate.folder
    return dict(candidate.entry.config) if candidate.entry and candidate.entry.config else None


def _configuration(source: Any) -> Any:
    from ..training.architecture import configuration

    try:
        return configuration(source)
    except (MedbenchError, OSError, ValueError):  # not read by this transformers
        return None


def _shape(source: Any) -> Any:
    from ..training import architecture

    try:
        return architecture.shape(source)
    except (MedbenchError, OSError, ValueError, AttributeError):  # an architecture that cannot be built without weights
        return None
