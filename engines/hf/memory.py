"""How many tokens fit into the memory that is free: on a CPU under its container's limit, or on a GPU."""

from __future__ import annotations

import ctypes
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from .loading import Loaded, is_cpu

SHARE = 0.7  # of what is free; the rest is for other programs, and for what a pass takes beyond our count
CGROUP = Path("/sys/fs/cgroup")


class _Heap(ctypes.Structure):
    """glibc's `struct mallinfo2` (malloc.h): ten numbers, of which the ninth is the bytes in free blocks."""

    _fields_ = [
        *((f"other{i}", ctypes.c_size_t) for i in range(8)),
        ("free", ctypes.c_size_t),
        ("top", ctypes.c_size_t),
    ]


@dataclass(frozen=True)
class Costs:
    """What one token takes, in bytes."""

    cached: int  # its keys and values, kept in every layer
    passing: int  # its activations while a pass goes through the widest layer, attention weights not counted
    logits: int  # one position that is read: the vocabulary in the model's dtype and in float32


def costs(loaded: Loaded) -> Costs:
    """Read off the model's configuration. An estimate: what does not fit after all halves its batch."""
    config = loaded.model.config.get_text_config(decoder=True)
    size = int(getattr(loaded.model.dtype, "itemsize", 4))
    hidden = _most(config, "hidden_size")
    heads = _most(config, "num_attention_heads") or 1  # a state-space model has none, and about as much to keep
    kept_heads = _most(config, "num_key_value_heads") or heads
    head_width = _most(config, "head_dim") or hidden // heads
    wide = max(_most(config, "intermediate_size"), _most(config, "n_inner"), _most(config, "d_ff"), 4 * hidden)
    return Costs(
        cached=_most(config, "num_hidden_layers") * kept_heads * head_width * 2 * size,
        passing=(8 * hidden + 3 * wide) * size,
        logits=int(config.vocab_size) * (size + 4),
    )


def free_bytes(device: str) -> int:
    """Memory that this process can still take on `device`, what torch holds without need of it included."""
    if not is_cpu(device):
        import torch

        idle = torch.cuda.memory_reserved(device) - torch.cuda.memory_allocated(device)
        return int(torch.cuda.mem_get_info(device)[0] + idle)
    import psutil

    left = _left_in_group()
    available: int = psutil.virtual_memory().available
    return (available if left is None else min(available, left)) + _kept_by_heap()


def fitting(device: str, bytes_each: int, share: float = SHARE) -> int:
    """How many things of `bytes_each` fit into `share` of what is free on `device`; at least one."""
    return max(1, int(free_bytes(device) * share) // bytes_each)


def cache_tokens(loaded: Loaded) -> int:
    """How many tokens' keys and values fit into the memory that is free."""
    return fitting(loaded.device, costs(loaded).cached)


def pass_tokens(loaded: Loaded) -> int:
    """How many tokens one pass without logits may hold, their keys and values kept."""
    cost = costs(loaded)
    return fitting(loaded.device, cost.cached + cost.passing)


def _most(config: Any, name: str) -> int:
    """A number of the configuration, the highest where layers have one each; 0 where it has none."""
    value = getattr(config, name, None) or 0
    return int(max(value)) if isinstance(value, list | tuple) else int(value)


def _kept_by_heap() -> int:
    """Bytes that this process freed and the C library keeps for it (core/heap.py); 0 where that cannot be asked."""
    try:
        ask = ctypes.CDLL(None).mallinfo2
    except (OSError, AttributeError, TypeError):
        return 0
    ask.restype = _Heap
    return int(ask().free)


def _left_in_group() -> int | None:
    """Bytes left under the memory limit of this process's control group; None without one.

    File pages that the kernel can drop count as free, as psutil counts them for the whole machine.
    """
    for limit, used, droppable in (
        ("memory.max", "memory.current", "inactive_file"),
        ("memory/memory.limit_in_bytes", "memory/memory.usage_in_bytes", "total_inactive_file"),
    ):
        try:
            most, taken = int((CGROUP / limit).read_text()), int((CGROUP / used).read_text())
            rows = (CGROUP / limit).with_name("memory.stat").read_text().splitlines()
        except (OSError, ValueError):  # no such group, or its limit is the word "max"
            continue
        pages = dict(row.split() for row in rows)
        return max(0, most - taken + int(pages.get(droppable, 0)))
    return None


def reclaim() -> None:
    """Take back what nothing holds any more, on every device; after memory ran out."""
    import gc

    import torch

    gc.collect()
    if torch.cuda.is_available():
        torch.cuda.empty_cache()
