"""BioGPT-Large, the base of MESA's best system.

Luo et al. 2022, "BioGPT: generative pre-trained transformer for biomedical text generation and mining", Briefings in
Bioinformatics 23(6), doi:10.1093/bib/bbac409. Trained on PubMed abstracts; a plain language model without chat turns.

MESA's documentation says 347M parameters, which is microsoft/biogpt. BioGPT-Large has 48 layers of width 1,600 and 1.57
billion parameters. MESA does not publish its prompt, so prompts are sent without a template.
"""

from __future__ import annotations

from ..entry import Entry
from .mesa import mesa

CONFIG = {
    "model_type": "biogpt",
    "vocab_size": 57_717,
    "hidden_size": 1600,
    "num_hidden_layers": 48,
    "num_attention_heads": 25,
    "intermediate_size": 6400,
    "hidden_act": "gelu",
    "max_position_embeddings": 2048,
    "layer_norm_eps": 1e-12,
    "scale_embedding": True,
    "hidden_dropout_prob": 0.1,
    "attention_probs_dropout_prob": 0.1,
    "activation_dropout": 0.0,
    "tie_word_embeddings": True,
    "bos_token_id": 0,
    "pad_token_id": 1,
    "eos_token_id": 2,
}

MODEL = Entry(
    name="biogpt-large",
    weights="microsoft/BioGPT-Large",
    licence="MIT",
    architecture="causal",
    parameters=1_571_188_800,
    summary="biomedical language model, base of MESA",
    source="MESA; Luo et al. 2022, BioGPT, doi:10.1093/bib/bbac409",
    recipe=mesa(
        ("q_proj", "k_proj", "v_proj", "out_proj", "fc1", "fc2"),
        "The published share of trained weights, 9.59%, is that of rank 64 on these six modules: 88,473,600 weights "
        "against 833,908,800 base weights, where two 4-bit weights count as one. It is 5.3% of all parameters.",
    ),
    config=CONFIG,
)
