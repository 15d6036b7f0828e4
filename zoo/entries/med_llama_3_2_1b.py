"""Llama 3.2 1B Instruct, the base of Med-Llama 3.2.

Grattafiori et al. 2024, "The Llama 3 Herd of Models", arXiv:2407.21783. 16 layers, width 2,048, 32 heads with 8
key-value heads, tied embeddings. The weights are Unsloth's copy, which needs no acceptance on the hub; Meta's Llama
3.2 license still applies. Prompts use Llama 3's chat template, as published.
"""

from __future__ import annotations

from ..entry import Entry
from ..recipe import Lora, Part, Recipe, Stage
from .bases import SEVEN

CONFIG = {
    "model_type": "llama",
    "vocab_size": 128_256,
    "hidden_size": 2048,
    "intermediate_size": 8192,
    "num_hidden_layers": 16,
    "num_attention_heads": 32,
    "num_key_value_heads": 8,
    "head_dim": 64,
    "max_position_embeddings": 131_072,
    "rms_norm_eps": 1e-5,
    "rope_parameters": {
        "rope_type": "llama3",
        "rope_theta": 500_000.0,
        "factor": 32.0,
        "low_freq_factor": 1.0,
        "high_freq_factor": 4.0,
        "original_max_position_embeddings": 8192,
    },
    "tie_word_embeddings": True,
    "bos_token_id": 128_000,
    "eos_token_id": 128_009,
}

NOTEBOOK = "from its notebook; not in its documentation"

RECIPE = Recipe(
    stages=(
        Stage(
            name="sft",
            data=(Part("medquad"),),
            disclaimer=True,
            quantize="none",
            lora=Lora(rank=16, alpha=32, dropout=0.05, target_modules=SEVEN),
            neftune_alpha=5.0,
            learning_rate=1e-4,
            warmup_ratio=0.1,
            steps=500,
            eval_steps=50,
            why={
                "data": "published: the train part of an 80/10/10 split of MedQuAD; ours keeps documents together",
                "disclaimer": "published: appended to every training answer",
                "disclaimer_text": "the published meaning in our own sentence",
                "quantize": "LoRA is published, 4-bit weights are not; 1.24B parameters take 2.5 GB in 16 bits",
                "double_quant": "no effect: nothing is quantized",
                "lora.rank": "published: the first of the study's three",
                "lora.alpha": "published",
                "lora.dropout": NOTEBOOK,
                "lora.target_modules": "published: all seven linear projections",
                "neftune_alpha": "NEFTune is published, its α is not: 5 is the smallest of the paper's 5, 10 and 15, "
                "and the notebook's value",
                "learning_rate": "published: the first of the study's three",
                "warmup_ratio": NOTEBOOK + ": 50 of 500 steps",
                "steps": NOTEBOOK + ": 8,000 examples, 0.6 of an epoch",
                "eval_steps": NOTEBOOK + ": ten evaluations",
            },
        ),
    ),
    source="Med-Llama 3.2",
    notes=(
        "The study's three pairs: medbench train --model med-llama-3.2-1b --sweep learning_rate=1e-4,2e-4,5e-5 "
        "--sweep lora.rank=16,8,32 --paired. Its table has α = 2 × rank: add --sweep lora.alpha=32,16,64.",
        "Questions use Llama 3's chat template, as published, and the wording of the medquad benchmark.",
        "The published split is by row, so pairs of one document and near-duplicate questions are on both sides. Its "
        "ROUGE was measured on 50 rows of the test tenth.",
        "The notebook also learns the tokens of the question: --set loss=all.",
    ),
)

MODEL = Entry(
    name="med-llama-3.2-1b",
    weights="unsloth/Llama-3.2-1B-Instruct",
    licence="Llama 3.2 Community License",
    architecture="causal",
    parameters=1_235_814_400,
    summary="general instruct model, base of Med-Llama 3.2",
    source="Med-Llama 3.2; Grattafiori et al. 2024, Llama 3, arXiv:2407.21783",
    recipe=RECIPE,
    config=CONFIG,
)
