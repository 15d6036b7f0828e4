"""Models that llama.cpp's converter accepts, but that llama.cpp would compute differently from transformers.

llama.cpp reads a fixed formula for each architecture and ignores settings that its converter does not write. A model
with such a setting converts without a warning and answers differently. Each such setting is either folded into the
weights, where that is exact, or the model is refused before the work starts.
"""

from __future__ import annotations

from typing import Any

GELU = ("gelu_new", "gelu_pytorch_tanh", "gelu_fast")  # the tanh form, which llama.cpp computes
LLAMA_ROPE = ("default", "linear", "llama3", "longrope", "yarn")
GEMMA_27B_LAYERS = 46  # llama.cpp scales the attention of this one by its width


def obstacle(config: Any) -> str:
    """Return why llama.cpp would compute a model of this configuration wrongly; "" if it would not."""
    kind = config.model_type
    if kind == "gpt2":
        if config.activation_function not in GELU:
            return f"it computes GPT-2 with gelu_new, and this model has {config.activation_function}"
        if config.n_inner not in (None, 4 * config.n_embd):
            return f"it assumes that GPT-2's inner width is 4 × {config.n_embd}, and this model has {config.n_inner}"
        if not config.scale_attn_weights:
            return "it scales GPT-2's attention, and this model does not (scale_attn_weights)"
    if kind == "llama":
        if config.hidden_act != "silu":
            return f"it computes Llama with silu, and this model has {config.hidden_act}"
        rope = (getattr(config, "rope_parameters", None) or {}).get("rope_type", "default")
        if rope not in LLAMA_ROPE:
            return f"it has no rotary positions of the type {rope}"
    if kind == "gemma2":
        scaled = config.num_hidden_layers == GEMMA_27B_LAYERS or config.query_pre_attn_scalar == config.head_dim
        if not scaled:
            return (
                f"it scales Gemma 2's attention by head_dim ({config.head_dim}), and this model by "
                f"query_pre_attn_scalar ({config.query_pre_attn_scalar})"
            )
        if config.hidden_activation != "gelu_pytorch_tanh":
            return f"it computes Gemma 2 with gelu_pytorch_tanh, and this model has {config.hidden_activation}"
    return ""


def fold(model: Any) -> None:
    """Move settings that llama.cpp would ignore into the weights, in place. Answers stay the same.

    GPT-2 with `scale_attn_by_inverse_layer_idx` (BioMedLM) divides the attention scores of layer i = 0, 1, … by i + 1.
    The scores are linear in the queries, so the query part of the layer's projection is divided instead.
    """
    config = model.config
    if config.model_type != "gpt2" or not config.scale_attn_by_inverse_layer_idx:
        return
    import torch

    with torch.no_grad():
        for number, block in enumerate(model.transformer.h, start=1):
            projection = block.attn.c_attn
            projection.weight[:, : config.n_embd] /= number
            projection.bias[: config.n_embd] /= number
    config.scale_attn_by_inverse_layer_idx = False
