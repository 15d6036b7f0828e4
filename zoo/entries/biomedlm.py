"""BioMedLM, the second base of MESA.

Bolton et al. 2024, "BioMedLM: A 2.7B Parameter Language Model Trained On Biomedical Text", arXiv:2403.18421. GPT-2
architecture with its own tokenizer (28,896 tokens): 32 layers, width 2,560, window 1,024 tokens. It is called 2.7B, but
matrices of these shapes have 2.59 billion weights. A plain language model. MESA does not publish its prompt.
"""

from __future__ import annotations

from ..entry import Entry
from .mesa import mesa

CONFIG = {
    "model_type": "gpt2",
    "vocab_size": 28_896,
    "n_embd": 2560,
    "n_layer": 32,
    "n_head": 20,
    "n_positions": 1024,
    "activation_function": "gelu_new",
    "layer_norm_epsilon": 1e-5,
    "scale_attn_by_inverse_layer_idx": True,
    "resid_pdrop": 0.1,
    "embd_pdrop": 0.1,
    "attn_pdrop": 0.1,
    "tie_word_embeddings": True,
    "bos_token_id": 28_895,
    "eos_token_id": 28_895,
}

MODEL = Entry(
    name="biomedlm",
    weights="stanford-crfm/BioMedLM",
    licence="BigScience BLOOM RAIL 1.0",
    architecture="causal",
    parameters=2_594_247_680,
    summary="biomedical language model (GPT-2 architecture), base of MESA",
    source="MESA; Bolton et al. 2024, BioMedLM, arXiv:2403.18421",
    recipe=mesa(("c_attn", "c_proj", "c_fc")),
    config=CONFIG,
)
