"""Load the model of a stage: quantized if the recipe says so, with the adapter to train."""

from __future__ import annotations

from typing import Any

from ..core.errors import MedbenchError
from ..core.resources import is_cpu
from ..engines.hf.loading import embedding_rows, opened, padding, weights
from ..engines.hf.quantization import nf4
from .job import StageJob
from .precision import compute_dtype, resting_dtype


def load(job: StageJob) -> tuple[Any, Any]:
    """Return the model with the adapter to train, and the tokenizer."""
    from peft import LoraConfig, PeftModel, get_peft_model

    stage = job.stage
    config, tokenizer = opened(job.location, job.trusted)
    quantization = None
    if stage.quantize == "nf4":
        quantization = nf4(compute_dtype(stage, job.device), stage.double_quant)
    resting = resting_dtype(stage, job.device)
    model = weights(job.model, job.location, config, resting, job.device, quantization, trusted=job.trusted)
    model.config.use_cache = False
    _fit_tokens(job, model, tokenizer)
    if quantization and is_cpu(job.device):
        _unmap(model)
    if stage.lora is None:
        return model, tokenizer
    if job.adapter:
        model = PeftModel.from_pretrained(model, job.adapter, is_trainable=True)
    else:
        lora = LoraConfig(
            r=stage.lora.rank,
            lora_alpha=stage.lora.alpha,
            lora_dropout=stage.lora.dropout,
            target_modules=list(stage.lora.target_modules),
            use_rslora=stage.lora.rslora,
            bias="none",
            task_type="SEQ_2_SEQ_LM" if config.is_encoder_decoder else "CAUSAL_LM",
        )
        model = get_peft_model(model, lora)
    if stage.gradient_checkpointing:
        model.enable_input_require_grads()  # or gradients would stop before the first adapter
    return model, tokenizer


def _fit_tokens(job: StageJob, model: Any, tokenizer: Any) -> None:
    """Give the tokenizer a padding token that the model has.

    Raises MedbenchError if a row contains a token that the model has no embedding for.
    """
    rows = embedding_rows(model)
    highest = max((max(row["input_ids"]) for row in [*job.train.rows, *job.held_out.rows]), default=0)
    if highest >= rows:
        raise MedbenchError(
            f"the tokenizer of {job.model} uses the token {tokenizer.convert_ids_to_tokens(highest)!r} (id {highest}), "
            f"but the model has only {rows:,} embeddings.",
            "Save the model with an embedding for every token of its tokenizer (resize_token_embeddings).",
        )
    if tokenizer.pad_token_id is None or not 0 <= tokenizer.pad_token_id < rows:
        # Padding is always masked. The base's tokenizer is saved unchanged.
        tokenizer.pad_token = tokenizer.convert_ids_to_tokens(padding(tokenizer, rows))


def _unmap(model: Any) -> None:
    """Copy the unquantized weights into memory of their own.

    As views of the mapped file they would keep the whole file in memory, including the weights that were quantized.
    """
    for tensor in (*model.parameters(), *model.buffers()):
        if tensor.is_floating_point():
            tensor.data = tensor.data.clone()
