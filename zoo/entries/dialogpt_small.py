"""DialoGPT-small, the third base of MESA.

Zhang et al. 2020, "DialoGPT: Large-Scale Generative Pre-training for Conversational Response Generation",
arXiv:1911.00536. GPT-2 small (12 layers, width 768, window 1,024 tokens) trained on Reddit replies. Turns end with
<|endoftext|>. MESA does not publish its prompt.
"""

from __future__ import annotations

from ..entry import Entry
from .mesa import mesa

CONFIG = {
    "model_type": "gpt2",
    "vocab_size": 50_257,
    "n_embd": 768,
    "n_layer": 12,
    "n_head": 12,
    "n_positions": 1024,
    "activation_function": "gelu_new",
    "layer_norm_epsilon": 1e-5,
    "resid_pdrop": 0.1,
    "embd_pdrop": 0.1,
    "attn_pdrop": 0.1,
    "tie_word_embeddings": True,
    "bos_token_id": 50_256,
    "eos_token_id": 50_256,
}

MODEL = Entry(
    name="dialogpt-small",
    weights="microsoft/DialoGPT-small",
    licence="MIT",
    architecture="causal",
    parameters=124_439_808,
    summary="conversational GPT-2, the small base of MESA",
    source="MESA; Zhang et al. 2020, DialoGPT, arXiv:1911.00536",
    recipe=mesa(
        ("c_attn", "c_proj", "c_fc"),
        "The published share of trained weights, 5.44%, is that of rank 32 on these three modules, counted as for "
        "BioGPT-Large. The documentation says rank 64 for all three models, and this recipe follows it.",
    ),
    config=CONFIG,
)
