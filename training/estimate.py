"""What a training run will need, found from the model's configuration before any weight is loaded.

Nothing here is computed with numbers: the model is built without memory for its weights, by torch's fake tensors, so
that parameters are counted exactly and the tensors kept for the backward pass are the ones of the true architecture.
"""

from __future__ import annotations

import math
import random
import shutil
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..core.errors import MedbenchError, UsageError
from ..core.resources import free_memory, is_cpu
from ..core.suggest import nearest
from ..engines.hf.loading import sound
from ..zoo.recipe import Stage
from ..zoo.weights.remote_code import is_own
from .trainer import KEPT, compute_dtype, resting_dtype

FLOAT32 = 4  # bytes

# Bytes per trained parameter that the optimizer keeps: two moments in float32, or in 8 bits. Adafactor keeps a row and
# a column for each matrix (Shazeer & Stern 2018, arXiv:1804.04235), next to nothing.
OPTIMIZER_BYTES: Mapping[str, float] = {
    "adamw_torch": 8,
    "adamw_8bit": 2,
    "paged_adamw_8bit": 2,
    "paged_adamw_32bit": 8,
    "adafactor": 0,
}
# Bits per weight that NF4's scales take, without and with double quantization: Dettmers et al. 2023, section 3.
SCALE_BITS = {False: 32 / 64, True: 8 / 64 + 32 / (64 * 256)}

# TRL's fused output layer (trl.kernels.chunked_logprob) holds one tile of logits, this many positions by this many
# words; without Triton, as on a CPU, float32 tensors of its size besides. Their number is measured.
TILE_POSITIONS, TILE_WORDS = 4096, 32768
TILE_COPIES = 7.5
# Of what all layers of a model keep or would keep, the share that a CPU's heap holds without need, because memory freed
# between two layers is not given back whole. Measured with glibc: 0.4 to 0.75.
HEAP_SHARE = 0.5

# Share of the rate of large matrix products (`rate`) that a training step reaches. Measured on a CPU: SmolLM2 135M in
# float32, rows of 256 tokens, 0.45 to 0.6. The GPU's values, here and below, are guesses until one is measured.
EFFICIENCY = {"cpu": 0.55, "cuda": 0.35}
# NF4 weights turned into numbers per second, once in each pass. Measured on one CPU core: 0.5 to 3.7 billion.
DEQUANTISED_PER_S = {"cpu": 1e9, "cuda": 1e11}

# What the process holds besides: 0.6 GB with torch, transformers, peft and trl, and what is left of reading data and
# looking for leaks, 0.2 GB of a small set and 0.4 to 0.6 GB of MedQuAD. Measured on Linux.
PROCESS_BYTES = 1_000_000_000

SMALL_FILES_BYTES = 200_000  # of a checkpoint or result: configuration, random states, schedule
GB = 1e9


@dataclass(frozen=True)
class Shape:
    """The size of an architecture, in parameters unless said otherwise. Shared ones are counted once."""

    architecture: str  # class name, for people
    parameters: int
    linear: int  # weights of linear layers without the output layer: what every token is multiplied with
    quantisable: int  # of these, what NF4 stores in 4 bits; the rest keeps its dtype
    largest: int  # the largest of the quantisable matrices
    head: int  # the output layer's matrix, vocabulary x width, also where it is the embedding
    vocabulary: int  # words
    encoder_decoder: bool


@dataclass(frozen=True)
class Memory:
    """Bytes that training takes at its peak: of a GPU's memory, or of the whole process on a CPU."""

    weights_bytes: int  # the frozen ones as they rest; all of them where all are trained
    adapter_bytes: int
    gradients_bytes: int
    optimizer_bytes: int
    activations_bytes: int  # kept for the backward pass, with what is worked on at the worst moment
    process_bytes: int = 0  # Python, the libraries and the data; 0 on a GPU

    @property
    def total(self) -> int:
        return self.growth + self.process_bytes

    @property
    def growth(self) -> int:
        """Bytes that are added once the libraries are in memory."""
        return (
            self.weights_bytes
            + self.adapter_bytes
            + self.gradients_bytes
            + self.optimizer_bytes
            + self.activations_bytes
        )


def skeleton(source: Any) -> Any:
    """The model of `source` on torch's meta device: every module, none of its numbers.

    `source` is a model folder, an entry's configuration, a transformers configuration, or such a model already.
    """
    import torch

    if isinstance(source, torch.nn.Module):
        return source
    with torch.device("meta"):
        return _build(_configuration(source))


def shape(source: Any) -> Shape:
    """Count the parameters of what `skeleton` takes."""
    from transformers.quantizers.base import HfQuantizer
    from transformers.quantizers.quantizers_utils import should_convert_module

    model = skeleton(source)
    head = model.get_output_embeddings()
    # transformers decides this way which layers bitsandbytes gets, GPT-2's Conv1D among them.
    kept = HfQuantizer.get_modules_to_not_convert(model, None, model._keep_in_fp32_modules)
    linear = {name: module.weight.numel() for name, module in _linear(model).items() if module is not head}
    quantisable = [size for name, size in linear.items() if should_convert_module(name, kept)]
    return Shape(
        architecture=type(model).__name__,
        parameters=sum(parameter.numel() for parameter in model.parameters()),
        linear=sum(linear.values()),
        quantisable=sum(quantisable),
        largest=max(quantisable, default=0),
        head=head.weight.numel(),
        vocabulary=head.weight.shape[0],
        encoder_decoder=bool(model.config.is_encoder_decoder),
    )


def check_modules(source: Any, stage: Stage) -> None:
    """Raises UsageError where a LoRA names modules that the architecture has not.

    PEFT is content when one name of several matches, and trains less than the recipe says.
    """
    if stage.lora is None:
        return
    model = skeleton(source)
    linear = _linear(model)
    missing = [
        wanted
        for wanted in stage.lora.target_modules
        if not any(name == wanted or name.endswith(f".{wanted}") for name in linear)
    ]
    if not missing:
        return
    head = model.get_output_embeddings()
    had = dict.fromkeys(name.rpartition(".")[2] for name, module in linear.items() if module is not head)
    near = [found for name in missing for found in nearest(name, had, most=1)]
    meant = f" Did you mean {' and '.join(dict.fromkeys(near))}?" if near else ""
    raise UsageError(
        f"stage '{stage.name}': {type(model).__name__} has no module {' and no '.join(missing)}; its linear "
        f"modules are {', '.join(had)}.{meant}",
        "Name some of these: --set lora.target_modules=NAME,NAME",
    )


def trainable(source: Any, stage: Stage) -> int:
    """How many parameters a stage trains: all, or rank x (in + out) for every matrix that PEFT matches."""
    from peft.tuners.tuners_utils import check_target_module_exists

    model = skeleton(source)
    if stage.lora is None:
        return sum(parameter.numel() for parameter in model.parameters() if parameter.requires_grad)
    lora = _lora(stage, model.config)
    return sum(
        stage.lora.rank * sum(module.weight.shape)
        for name, module in _linear(model).items()
        if check_target_module_exists(lora, name)
    )


def memory(source: Any, stage: Stage, device: str = "cpu", longest: int = 0) -> Memory:
    """Bytes that a stage takes at its peak on `device`, for a batch of rows of `longest` tokens (0: its max_length).

    - Weights: as they rest, float32 on a CPU and where all are trained, else bfloat16; quantized ones half a byte and
      SCALE_BITS each. Adapter and gradients: float32. Optimizer: OPTIMIZER_BYTES per trained parameter.
    - Activations: the tensors that a forward pass of the true architecture keeps for the backward pass, counted. With
      gradient checkpointing only the input of each layer is kept, and one layer's tensors at a time besides: Chen et
      al. 2016, arXiv:1604.06174. (In closed form, for one kind of layer: Korthikanti et al. 2022, arXiv:2205.05198.)
    - The worst moment: the output layer's logits, which TRL makes in tiles and an encoder-decoder whole; or one layer
      going back, whose gradients take about what it kept; and one matrix out of NF4.

    - The process: PROCESS_BYTES on a CPU, where the peak that is measured is the process's.

    Predicted over measured: docs/measurements.md and tests/test_estimate.py.
    """
    config = _configuration(source)
    sizes, trained = shape(config), trainable(config, stage)
    resting = resting_dtype(stage, device)
    width = _bytes(resting)
    weights = float(sizes.parameters * width)
    worst_matrix = 0
    if stage.quantize == "nf4":
        weights += sizes.quantisable * ((4 + SCALE_BITS[stage.double_quant]) / 8 - width)
        worst_matrix = sizes.largest * _bytes(compute_dtype(stage, device))
    length = min(longest or stage.max_length, getattr(config, "max_position_embeddings", None) or math.inf)
    outside, layers = _kept(config, stage, device, int(length))
    inside = sum(size for size, _ in layers)
    largest = max((size for size, _ in layers), default=0)
    kept = outside + (sum(entry for _, entry in layers) if stage.gradient_checkpointing else inside)
    # A layer that is gone back through holds gradients besides what it kept, and with checkpointing keeps it only now.
    going_back = (1 + stage.gradient_checkpointing) * largest
    worst = max(going_back, _logits(sizes, stage, stage.batch_size * int(length), width, is_cpu(device)))
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
    """Optimizer steps of a stage over `rows` training rows, as transformers' Trainer counts them.

    Each process gets whole batches, as many as the others; a last step takes what batches are left.
    """
    return stage.steps or math.ceil(stage.epochs * steps_per_epoch(stage, rows, processes))


def tokens(stage: Stage, lengths: Sequence[int], processes: int = 1) -> int:
    """Tokens that a stage goes through, with padding, over rows of these lengths: batches drawn as shuffling would."""
    if stage.packing:
        epoch = sum(lengths)
    else:
        shuffled = random.Random(0).sample(lengths, len(lengths))
        batches = [shuffled[i : i + stage.batch_size] for i in range(0, len(shuffled), stage.batch_size)]
        epoch = sum(max(batch) * len(batch) for batch in batches)
    return round(epoch * steps(stage, len(lengths), processes) / steps_per_epoch(stage, len(lengths), processes))


def rate(device: str = "cpu", dtype: str = "float32", seconds: float = 0.3) -> float:
    """Operations per second (multiplications and additions) of large matrix products, measured for `seconds`."""
    import time

    import torch

    size = 1024 if is_cpu(device) else 8192
    left, right = (torch.ones(size, size, device=device, dtype=getattr(torch, dtype)) for _ in range(2))
    float((left @ right)[0, 0])  # reading a number waits for a GPU
    started, products = time.perf_counter(), 0
    while time.perf_counter() - started < seconds:
        float((left @ right)[0, 0])
        products += 1
    return products * 2 * size**3 / (time.perf_counter() - started)


def seconds(
    sizes: Shape, stage: Stage, run_tokens: int, flops_per_s: float, device: str = "cpu", looked_at: int = 0
) -> float:
    """About how long a stage takes; within a factor of two where the machine is not busy otherwise.

    `run_tokens`: `tokens`. `flops_per_s`: `rate`. `looked_at`: tokens of all looks at the held-out data.

    Two operations per weight and token going forward; two going back, and two more for the gradients of the weights
    where these are trained (Kaplan et al. 2020, arXiv:2001.08361); two more to go forward again with checkpointing.
    The output layer always goes forward twice: its tiles are not kept.
    """
    kind = "cpu" if is_cpu(device) else "cuda"
    back = 2 if stage.lora else 4
    again = 2 if stage.gradient_checkpointing else 0
    body = sizes.linear / 2 if sizes.encoder_decoder else sizes.linear  # a token is the encoder's or the decoder's
    work = run_tokens * (body * (2 + back + again) + sizes.head * (4 + back)) + looked_at * 2 * (body + sizes.head)
    unpacking = 0.0
    if stage.quantize == "nf4":
        passes = (run_tokens + looked_at / 3) / (stage.batch_size * stage.max_length)
        unpacking = passes * sizes.quantisable * (3 if again else 2) / DEQUANTISED_PER_S[kind]
    return work / (flops_per_s * EFFICIENCY[kind]) + unpacking


def disk(sizes: Shape, trained: int, stage: Stage) -> int:
    """Bytes that a stage writes: KEPT checkpoints and the one being written, and what comes out, twice while copied.

    A checkpoint is the adapter, or all weights, in float32, the optimizer's state, and a little besides.
    """
    written = FLOAT32 * (trained if stage.lora else sizes.parameters)
    checkpoint = written + int(trained * OPTIMIZER_BYTES[stage.optimizer]) + SMALL_FILES_BYTES
    return (KEPT + 1) * checkpoint + 2 * (written + SMALL_FILES_BYTES)


def check_room(folder: Path, disk_bytes: int, memory_bytes: int, device: str, stage: Stage) -> None:
    """Raises MedbenchError where the disk of `folder`, or the memory of `device`, has less left than is needed."""
    standing = next(parent for parent in (folder, *folder.absolute().parents) if parent.exists())
    free = shutil.disk_usage(standing).free
    if free < disk_bytes:
        raise MedbenchError(
            f"training '{stage.name}' writes up to {disk_bytes / GB:.1f} GB; the disk of {folder} has "
            f"{free / GB:.1f} GB left.",
            "Make room, or name a folder on another disk with MEDBENCH_HOME.",
        )
    available = free_memory(device)
    if available < memory_bytes:
        raise MedbenchError(
            f"training '{stage.name}' takes about {memory_bytes / GB:.1f} GB of memory; {device} has "
            f"{available / GB:.1f} GB free.",
            f"Try {_smaller(stage)}.",
        )


def check(source: Any, stage: Stage, folder: Path, device: str, longest: int = 0) -> None:
    """`check_room` for a stage of the model `source`."""
    sizes, trained = shape(source), trainable(source, stage)
    check_room(folder, disk(sizes, trained, stage), memory(source, stage, device, longest).growth, device, stage)


def _configuration(source: Any) -> Any:
    from transformers import AutoConfig

    if isinstance(source, str | Path):
        return sound(AutoConfig.from_pretrained(source, trust_remote_code=False))
    return AutoConfig.for_model(**source) if isinstance(source, Mapping) else source


def _build(config: Any, dtype: str = "float32") -> Any:
    import torch
    from transformers import AutoModelForCausalLM, AutoModelForSeq2SeqLM

    family = AutoModelForSeq2SeqLM if config.is_encoder_decoder else AutoModelForCausalLM
    model = family.from_config(config, dtype=getattr(torch, dtype), trust_remote_code=is_own(config))
    if not getattr(config, "scale_decoder_outputs", True):
        # A T5 1.1: transformers ties its output layer here, and parts it as it reads the checkpoint.
        model.lm_head.weight = torch.nn.Parameter(torch.empty_like(model.lm_head.weight))
    return model


def _linear(model: Any) -> dict[str, Any]:
    """Linear layers by name, GPT-2's among them, whose weights stand the other way round."""
    import torch
    from transformers.pytorch_utils import Conv1D

    return {name: module for name, module in model.named_modules() if isinstance(module, torch.nn.Linear | Conv1D)}


def _lora(stage: Stage, config: Any) -> Any:
    from peft import LoraConfig

    assert stage.lora is not None
    return LoraConfig(
        r=stage.lora.rank,
        lora_alpha=stage.lora.alpha,
        lora_dropout=stage.lora.dropout,
        target_modules=list(stage.lora.target_modules),
        task_type="SEQ_2_SEQ_LM" if config.is_encoder_decoder else "CAUSAL_LM",
    )


def _bytes(dtype: str) -> int:
    return FLOAT32 if dtype == "float32" else 2


def _kept(config: Any, stage: Stage, device: str, length: int) -> tuple[int, list[tuple[int, int]]]:
    """Bytes kept for the backward pass: outside the layers, and for each layer inside it and for its input.

    The output layer of a decoder-only model is left out, see `_logits`.
    """
    import torch
    from peft import get_peft_model
    from torch._subclasses import FakeTensorMode
    from transformers.modeling_layers import GradientCheckpointingLayer

    resting = resting_dtype(stage, device)
    mixed = resting != "float32"
    outside, inside = 0, [-1]
    layers: list[list[int]] = []
    seen: dict[int, Any] = {}

    def keep(tensor: Any) -> Any:
        nonlocal outside
        storage = tensor.untyped_storage()
        if storage._cdata not in seen:
            seen[storage._cdata] = storage  # held, so that no later one gets its address
            if inside[-1] < 0:
                outside += storage.nbytes()
            else:
                layers[inside[-1]][0] += storage.nbytes()
        return tensor

    def enter(_: Any, given: tuple[Any, ...], named: Mapping[str, Any]) -> None:
        entering = given[0] if given else named["hidden_states"]
        layers.append([0, entering.nbytes])
        inside.append(len(layers) - 1)

    def leave(*_: Any) -> None:
        inside.pop()

    with torch.device("meta"), warnings.catch_warnings():
        warnings.simplefilter("ignore")  # PEFT says what it does for GPT-2; training will say so itself
        model = _build(config, resting)
        if stage.lora is not None:
            get_peft_model(model, _lora(stage, config))
    with FakeTensorMode():
        _off_meta(model)
        for module in model.modules():
            if isinstance(module, GradientCheckpointingLayer):
                module.register_forward_pre_hook(enter, with_kwargs=True)
                module.register_forward_hook(leave)
        model.train()
        for held in (*model.parameters(), *model.buffers()):
            seen[held.untyped_storage()._cdata] = held
        words = torch.zeros(stage.batch_size, length, dtype=torch.long)
        mask = torch.ones_like(words)  # padded batches have one
        autocast = torch.autocast("cpu", torch.bfloat16, enabled=mixed)
        with autocast, torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor):
            if config.is_encoder_decoder:
                model(input_ids=words, attention_mask=mask, decoder_input_ids=words, labels=words)
            else:
                model.base_model(input_ids=words, attention_mask=mask, use_cache=False)
    return outside, [(kept, entry) for kept, entry in layers]


def _off_meta(model: Any) -> None:
    """Give every tensor of a model on the meta device a twin on the CPU: fake ones, where these are on."""
    import torch

    twins: dict[int, Any] = {}  # by the tensor they stand for, so that shared ones stay shared
    for module in model.modules():
        for name, parameter in module._parameters.items():
            if parameter is not None and id(parameter) not in twins:
                empty = torch.empty(parameter.shape, dtype=parameter.dtype)
                twins[id(parameter)] = torch.nn.Parameter(empty, requires_grad=parameter.requires_grad)
            module._parameters[name] = twins.get(id(parameter))
        for name, buffer in module._buffers.items():
            module._buffers[name] = None if buffer is None else torch.empty(buffer.shape, dtype=buffer.dtype)


def _logits(sizes: Shape, stage: Stage, positions: int, width: int, cpu: bool) -> float:
    """Bytes that the output layer and the loss take at their worst moment; `width`: of a number, in bytes."""
    if sizes.encoder_decoder:
        return 2 * positions * sizes.vocabulary * FLOAT32  # the logits and their gradient, besides what is kept
    rows, words = min(positions, TILE_POSITIONS), min(sizes.vocabulary, TILE_WORDS)
    copies = TILE_COPIES * words * FLOAT32 if cpu else 0
    return rows * (TILE_WORDS * width + copies) + (0 if stage.lora else sizes.head * FLOAT32)


def steps_per_epoch(stage: Stage, rows: int, processes: int) -> int:
    """Optimizer steps of one pass over `rows` rows."""
    batches = math.ceil(math.ceil(rows / stage.batch_size) / processes)
    return max(math.ceil(batches / stage.gradient_accumulation_steps), 1)


def _smaller(stage: Stage) -> str:
    """The settings that would take less memory, of those that are not set so already."""
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
