"""Shared by several entries: the names of linear projections, and the configuration of Gemma 2."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

# Llama and Gemma: four projections of the attention, three of the gated feed-forward block.
SEVEN = ("q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj")

# google/gemma-2-2b-it. Attention windows alternate: 4,096 tokens in even layers, all 8,192 in odd layers.
GEMMA_2_2B: Mapping[str, Any] = {
    "model_type": "gemma2",
    "vocab_size": 256_000,
    "hidden_size": 2304,
    "intermediate_size": 9216,
    "num_hidden_layers": 26,
    "num_attention_heads": 8,
    "num_key_value_heads": 4,
    "head_dim": 256,
    "hidden_activation": "gelu_pytorch_tanh",
    "max_position_embeddings": 8192,
    "sliding_window": 4096,
    "query_pre_attn_scalar": 256,
    "attn_logit_softcapping": 50.0,
    "final_logit_softcapping": 30.0,
    "rms_norm_eps": 1e-6,
    "rope_parameters": {"rope_type": "default", "rope_theta": 10_000.0},
    "tie_word_embeddings": True,
    "pad_token_id": 0,
    "eos_token_id": 1,
    "bos_token_id": 2,
}
