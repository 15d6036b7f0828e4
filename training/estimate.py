"""What a training run will need: memory, disk, steps and time, estimated before any weights are loaded."""

from __future__ import annotations

import math
import random
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..core.errors import MedbenchError
from ..core.resources import free_memory, is_cpu
from ..zoo.recipe import Stage
from .activations import kept as kept_activations
from .architecture import Shape, configuration, shape, trainable
from .precision import compute_dtype, resting_dtype
from .trainer import KEPT

FLOAT32 = 4  # bytes

# Bytes of optimizer state per trained parameter: two moments in float32 or in 8 bits. Adafactor keeps one row and one
# column per matrix (Shazeer & Stern 2018, arXiv:1804.04235), which is negligible.
OPTIMIZER_BYTES: Mapping[str, float] = {
    "adamw_torch": 8,
    "adamw_8bit": 2,
    "paged_adamw_8bit": 2,
    "paged_adamw_32bit": 8,
    "adafactor": 0,
}
# Bits per weight of NF4's scales, without and with double quantization (Dettmers et al. 2023, section 3).
SCALE_BITS = {False: 32 / 64, True: 8 / 64 + 32 / (64 * 256)}

# TRL's fused output layer (trl.kernels.chunked_logprob) holds one tile of logits: this many positions by this many
# tokens of the vocabulary. Without Triton, as on a CPU, it also holds float32 copies. Their number is measured.
TILE_POSITIONS, TILE_WORDS = 4096, 32768
TILE_COPIES = 7.5
# Memory that the heap of a CPU process wastes, because memory freed between layers is not fully returned, as a share of
# the activations of all layers. Measured with glibc: 0.4 to 0.75.
HEAP_SHARE = 0.5

# Share of the rate of large matrix products (`rate`) that a training step reaches. Measured on a CPU with SmolLM2 135M
# in float32 and rows of 256 tokens: 0.45 to 0.6. The values for GPUs, here and below, are guesses.
EFFICIENCY = {"cpu": 0.55, "cuda": 0.35}
# NF4 weights dequantized per second; each pass does so once. Measured on one CPU core: 0.5 to 3.7 billion.
DEQUANTIZED_PER_S = {"cpu": 1e9, "cuda": 1e11}

# Other memory of the process: 0.6 GB for torch, transformers, peft and trl, and what remains after reading the data and
# checking for leaks, 0.2 GB for a small set and 0.4 to 0.6 GB for MedQuAD. Measured on Linux.
PROCESS_BYTES = 1_000_000_000

SMALL_FILES_BYTES = 200_000  # small files of a checkpoint or result
GB = 1e9


@dataclass(frozen=True)
class Memory:
    """Peak memory of training in bytes: GPU memory, or the memory of the whole process on a CPU."""

    weights_bytes: int  # frozen weights in their dtype; all weights if all are trained
    adapter_bytes: int
    gradients_bytes: int
    optimizer_bytes: int
    activations_bytes: int  # kept for the backward pass, plus temporary tensors at the peak
    process_bytes: int = 0  # Python, the libraries and the data; 0 on a GPU

    @property
    def total(self) -> int:
        return self.growth + self.process_bytes

    @property
    def growth(self) -> int:
        """Bytes that training adds after the libraries are loaded."""
        return (
            self.weights_bytes
            + self.adapter_bytes
            + self.gradients_bytes
            + self.optimizer_bytes
            + self.activations_bytes
        )


def memory(source: Any, stage: Stage, device: str = "cpu", longest: int = 0) -> Memory:
    """Return the peak memory of a stage on `device` for a batch of rows of `longest` tokens (0: its max_length).

    - Weights: `resting_dtype`; half a byte plus SCALE_BITS for a quantized weight. Adapter and gradients: float32.
      Optimizer: OPTIMIZER_BYTES per trained parameter.
    - Activations: the tensors that a forward pass of the real architecture keeps for the backward pass, counted. With
      gradient checkpointing these are the input of each layer, and the tensors of one layer at a time (Chen et al.
      2016, arXiv:1604.06174; in closed form for one kind of layer: Korthikanti et al. 2022, arXiv:2205.05198).
    - Temporary tensors at the peak: the logits, which TRL computes in tiles and an encoder-decoder all at once; or the
      gradients of one layer, about as large as its activations; and one dequantized matrix.
    - The process: PROCESS_BYTES on a CPU, where the measured peak is that of the process.

    docs/measurements.md and tests/test_estimate.py compare these predictions with measurements.
    """
    config = configuration(source)
    sizes, trained = shape(config), trainable(config, stage)
    resting = resting_dtype(stage, device)
    width = _bytes(resting)
    weights = float(sizes.parameters * width)
    worst_matrix = 0
    if stage.quantize == "nf4":
        weights += sizes.quantizable * ((4 + SCALE_BITS[stage.double_quant]) / 8 - width)
        worst_matrix = sizes.largest * _bytes(compute_dtype(stage, device))
    length = min(
        longest or stage.max_length,
        getattr(config.get_text_config(decoder=True), "max_position_embeddings", None) or math.inf,
    )
    outside, layers = kept_activations(config, stage, device, int(length))
    inside = sum(size for size, _ in layers)
    largest = max((size for size, _ in layers), default=0)
    kept = outside + (sum(entry for _, entry in layers) if stage.gradient_checkpointing else inside)
    # In the backward pass a layer also holds gradients; with checkpointing it computes its activations only then.
    backward = (1 + stage.gradient_checkpointing) * largest
    worst = max(backward, _logits(sizes, stage, stage.batch_size * int(length), width, is_cpu(device)))
    worst += HEAP_SHARE * inside if is_cpu(device) else 0
    return Memory(
        weights_bytes=int(weights),
        adapter_bytes=0 if stage.lora is None else trained * FLOAT32,
        gradients_bytes=trained * FLOAT32,
        optimizer_bytes=int(trained * OPTIMIZER_BYTES[stage.optimizer]),
        activations_bytes=int(kept + worst + worst_matrix),
        process_bytes=PROCESS_BYTES if is_cpu(device) else 0,
    )


def steps(stage: Stage, rows: int, processes: int = 1) -> int:
    """Return the optimizer steps of a stage over `rows` training rows, counted as transformers' Trainer does.

    All processes get the same number of whole batches. The last step takes the remaining batches.
    """
    return stage.steps or math.ceil(stage.epochs * steps_per_epoch(stage, rows, processes))


def tokens(stage: Stage, lengths: Sequence[int], processes: int = 1) -> int:
    """Return the tokens that a stage processes, including padding, over rows of these lengths in random batches."""
    if stage.packing:
        epoch = sum(lengths)
    else:
        shuffled = random.Random(0).sample(lengths, len(lengths))
        batches = [shuffled[i : i + stage.batch_size] for i in range(0, len(shuffled), stage.batch_size)]
        epoch = sum(max(batch) * len(batch) for batch in batches)
    return round(epoch * steps(stage, len(lengths), processes) / steps_per_epoch(stage, len(lengths), processes))


def rate(device: str = "cpu", dtype: str = "float32", seconds: float = 0.3) -> float:
    """Measure the floating-point operations per second of large matrix products, for `seconds`."""
    import time

    import torch

    size = 1024 if is_cpu(device) else 8192
    left, right = (torch.ones(size, size, device=device, dtype=getattr(torch, dtype)) for _ in range(2))
    float((left @ right)[0, 0])  # reading a value waits for the GPU
    started, products = time.perf_counter(), 0
    while time.perf_counter() - started < seconds:
        float((left @ right)[0, 0])
        products += 1
    return products * 2 * size**3 / (time.perf_counter() - started)


def seconds(
    sizes: Shape, stage: Stage, run_tokens: int, flops_per_s: float, device: str = "cpu", evaluated: int = 0
) -> float:
    """Estimate how long a stage takes, within a factor of two on an otherwise idle machine.

    `run_tokens` is from `tokens`, `flops_per_s` from `rate`; `evaluated` is the tokens of all held-out evaluations.

    Per weight and token this counts two operations forward, two backward, two more for the gradients of weights that
    are trained (Kaplan et al. 2020, arXiv:2001.08361), and two more to recompute activations with checkpointing. The
    output layer is always computed twice forward, because its tiles are not kept.
    """
    kind = "cpu" if is_cpu(device) else "cuda"
    back = 2 if stage.lora else 4
    again = 2 if stage.gradient_checkpointing else 0
    body = sizes.linear / 2 if sizes.encoder_decoder else sizes.linear  # a token passes the encoder or the decoder
    work = run_tokens * (body * (2 + back + again) + sizes.head * (4 + back)) + evaluated * 2 * (body + sizes.head)
    unpacking = 0.0
    if stage.quantize == "nf4":
        passes = (run_tokens + evaluated / 3) / (stage.batch_size * stage.max_length)
        unpacking = passes * sizes.quantizable * (3 if again else 2) / DEQUANTIZED_PER_S[kind]
    return work / (flops_per_s * EFFICIENCY[kind]) + unpacking


def disk(sizes: Shape, trained: int, stage: Stage) -> int:
    """Return the bytes that a stage writes: KEPT checkpoints, the one being written, and two copies of the result.

    A checkpoint contains the adapter or all weights in float32, the optimizer state, and small files.
    """
    written = FLOAT32 * (trained if stage.lora else sizes.parameters)
    checkpoint = written + int(trained * OPTIMIZER_BYTES[stage.optimizer]) + SMALL_FILES_BYTES
    return (KEPT + 1) * checkpoint + 2 * (written + SMALL_FILES_BYTES)


def check_room(folder: Path, disk_bytes: int, memory_bytes: int, device: str, stage: Stage) -> None:
    """Raise MedbenchError if the disk of `folder` or the memory of `device` has too little space."""
    existing = next(parent for parent in (folder, *folder.absolute().parents) if parent.exists())
    free = shutil.disk_usage(existing).free
    if free < disk_bytes:
        raise MedbenchError(
            f"training '{stage.name}' writes up to {disk_bytes / GB:.1f} GB; the disk of {folder} has "
            f"{free / GB:.1f} GB left.",
            "Free some space, or choose a folder on another disk with MEDBENCH_HOME.",
        )
    available = free_memory(device)
    if available < memory_bytes:
        raise MedbenchError(
            f"training '{stage.name}' takes about {memory_bytes / GB:.1f} GB of memory; {device} has "
            f"{available / GB:.1f} GB free.",
            f"Try {_smaller(stage)}.",
        )


def check(source: Any, stage: Stage, folder: Path, device: str, longest: int = 0) -> None:
    """Raise MedbenchError if a stage of the model `source` needs more disk or memory than there is."""
    sizes, trained = shape(source), trainable(source, stage)
    check_room(folder, disk(sizes, trained, stage), memory(source, stage, device, longest).growth, device, stage)


def _bytes(dtype: str) -> int:
    return FLOAT32 if dtype == "float32" else 2


def _logits(sizes: Shape, stage: Stage, positions: int, width: int, cpu: bool) -> float:
    """Return the peak bytes of the output layer and the loss; `width` is bytes per number."""
    if sizes.encoder_decoder:
        return 2 * positions * sizes.vocabulary * FLOAT32  # the logits and their gradient, plus what is kept
    rows, words = min(positions, TILE_POSITIONS), min(sizes.vocabulary, TILE_WORDS)
    copies = TILE_COPIES * words * FLOAT32 if cpu else 0
    return rows * (TILE_WORDS * width + copies) + (0 if stage.lora else sizes.head * FLOAT32)


def steps_per_epoch(stage: Stage, rows: int, processes: int) -> int:
    """Return the optimizer steps of one pass over `rows` rows."""
    batches = math.ceil(math.ceil(rows / stage.batch_size) / processes)
    return max(math.ceil(batches / stage.gradient_accumulation_steps), 1)


def _smaller(stage: Stage) -> str:
    """Suggest settings that take less memory and are not set yet."""
    several = stage.batch_size > 1
    tries = [
        f"--set batch_size=1 --set gradient_accumulation_steps={stage.batch_size * stage.gradient_accumulation_steps}"
        if several
        else "",
        "" if stage.gradient_checkpointing else "--set gradient_checkpointing=on",
        "--set quantize=nf4" if stage.lora and stage.quantize == "none" else "",
        f"--set max_length={max(stage.max_length // 2, 8)}",
    ]
    return ", or ".join(filter(None, tries))
