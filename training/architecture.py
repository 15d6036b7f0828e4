"""The modules and the size of a model, without its weights."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..core.errors import UsageError
from ..core.suggest import nearest
from ..engines.hf.loading import model_class, sound
from ..zoo.recipe import Stage
from ..zoo.weights.remote_code import is_own


@dataclass(frozen=True)
class Shape:
    """The size of an architecture, in parameters. Shared parameters are counted once."""

    architecture: str  # class name, for people
    parameters: int
    linear: int  # weights of the linear layers except the output layer: every token is multiplied by them
    quantizable: int  # those of them that NF4 stores in 4 bits; the others keep their dtype
    largest: int  # the largest quantizable matrix
    head: int  # the output layer's matrix, vocabulary x width, even if it is the embedding too
    vocabulary: int  # words
    encoder_decoder: bool


def skeleton(source: Any) -> Any:
    """Build the model of `source` on torch's meta device: all modules, no memory for weights.

    `source` is a model folder, an entry's configuration, a transformers configuration, or such a model already.
    Raises UsageError for an architecture that medbench does not train.
    """
    import torch

    if isinstance(source, torch.nn.Module):
        return source
    with torch.device("meta"):
        return build(configuration(source))


def shape(source: Any) -> Shape:
    """Count the parameters of anything that `skeleton` takes."""
    from transformers.quantizers.base import HfQuantizer
    from transformers.quantizers.quantizers_utils import should_convert_module

    model = skeleton(source)
    head = model.get_output_embeddings()
    # This is how transformers decides which layers bitsandbytes quantizes, including GPT-2's Conv1D.
    kept = HfQuantizer.get_modules_to_not_convert(model, None, model._keep_in_fp32_modules)
    linear = {name: module.weight.numel() for name, module in _linear(model).items() if module is not head}
    quantizable = [size for name, size in linear.items() if should_convert_module(name, kept)]
    return Shape(
        architecture=type(model).__name__,
        parameters=sum(parameter.numel() for parameter in model.parameters()),
        linear=sum(linear.values()),
        quantizable=sum(quantizable),
        largest=max(quantizable, default=0),
        head=head.weight.numel(),
        vocabulary=head.weight.shape[0],
        encoder_decoder=bool(model.config.is_encoder_decoder),
    )


def check_modules(source: Any, stage: Stage) -> None:
    """Raise UsageError if a LoRA names modules that the architecture does not have.

    PEFT accepts a list if only one name matches, and would train less than the recipe says.
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
    existing = dict.fromkeys(name.rpartition(".")[2] for name, module in linear.items() if module is not head)
    near = [found for name in missing for found in nearest(name, existing, most=1)]
    meant = f" Did you mean {' and '.join(dict.fromkeys(near))}?" if near else ""
    raise UsageError(
        f"stage '{stage.name}': {type(model).__name__} has no module {' and no '.join(missing)}. Its linear "
        f"modules are {', '.join(existing)}.{meant}",
        "Choose some of them: --set lora.target_modules=NAME,NAME",
    )


def trainable(source: Any, stage: Stage) -> int:
    """Return how many parameters a stage trains: all, or rank x (in + out) for every matrix that PEFT matches."""
    from peft.tuners.tuners_utils import check_target_module_exists

    model = skeleton(source)
    if stage.lora is None:
        return sum(parameter.numel() for parameter in model.parameters() if parameter.requires_grad)
    adapter = lora(stage, model.config)
    return sum(
        stage.lora.rank * sum(module.weight.shape)
        for name, module in _linear(model).items()
        if check_target_module_exists(adapter, name)
    )


def configuration(source: Any) -> Any:
    """Return the transformers configuration of a model folder, or of an entry's own configuration."""
    from transformers import AutoConfig

    if isinstance(source, str | Path):
        return sound(AutoConfig.from_pretrained(source, trust_remote_code=False))
    return AutoConfig.for_model(**source) if isinstance(source, Mapping) else source


def build(config: Any, dtype: str = "float32") -> Any:
    """Build a model from its configuration, on torch's current default device."""
    import torch

    model = model_class(config).from_config(config, dtype=getattr(torch, dtype), trust_remote_code=is_own(config))
    if not getattr(config, "scale_decoder_outputs", True):
        # T5 1.1: transformers ties the output layer here, and unties it when it reads the checkpoint.
        model.lm_head.weight = torch.nn.Parameter(torch.empty_like(model.lm_head.weight))
    return model


def _linear(model: Any) -> dict[str, Any]:
    """Return the linear layers by name, including GPT-2's Conv1D, whose weights are transposed."""
    import torch
    from transformers.pytorch_utils import Conv1D

    return {name: module for name, module in model.named_modules() if isinstance(module, torch.nn.Linear | Conv1D)}


def lora(stage: Stage, config: Any) -> Any:
    """Return PEFT's configuration of a stage's LoRA."""
    from peft import LoraConfig

    assert stage.lora is not None
    return LoraConfig(
        r=stage.lora.rank,
        lora_alpha=stage.lora.alpha,
        lora_dropout=stage.lora.dropout,
        target_modules=list(stage.lora.target_modules),
        task_type="SEQ_2_SEQ_LM" if config.is_encoder_decoder else "CAUSAL_LM",
    )
