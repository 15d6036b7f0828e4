"""Gemma 2 2B Instruct, the base of HERA.

Gemma Team 2024, "Gemma 2: Improving Open Language Models at a Practical Size", arXiv:2408.00118. 26 layers, width
2,304, 8 heads with 4 key-value heads, tied embeddings. Prompts go through Gemma's chat template.

HERA specifies SDPA attention. transformers rejects SDPA for Gemma 2, because its attention logits are soft-capped, and
uses eager attention by default. So this entry specifies none.
"""

from __future__ import annotations

from dataclasses import replace

from ..entry import Entry
from ..recipe import Lora, Part, Recipe, Stage
from .bases import GEMMA_2_2B, SEVEN

SAMPLES = 3_000

ADAPTER = ("quantize", "lora.rank", "lora.alpha", "lora.dropout", "lora.target_modules")
SCHEDULE = ("learning_rate", "batch_size", "gradient_accumulation_steps", "epochs", "eval_steps")

PUBMEDQA = Stage(
    name="pubmedqa",
    data=(Part("pubmedqa-artificial", SAMPLES),),
    max_length=1024,
    quantize="nf4",
    lora=Lora(rank=16, alpha=32, dropout=0.05, target_modules=SEVEN),
    learning_rate=2e-4,
    batch_size=1,
    gradient_accumulation_steps=2,
    epochs=1,
    eval_steps=200,
    why=dict.fromkeys(ADAPTER + SCHEDULE, "published")
    | {
        "data": "published: 3,000 samples of PubMedQA's artificial subset",
        "max_length": "abstract, question, long answer: a tenth of PubMedQA's expert-labeled items exceed 512 tokens",
    },
)
DIALOGUE = replace(
    PUBMEDQA,
    name="dialogue",
    data=(Part("healthcaremagic", SAMPLES),),
    max_length=Stage.max_length,
    why=dict.fromkeys(ADAPTER, "published")
    | dict.fromkeys(SCHEDULE, "published: as in the first stage; the documentation calls the second similar")
    | {
        "data": "HealthCareMagic is published, the number of samples is not: as in the first stage and in its notebook",
        "max_length": "one turn and its answer; longer answers are cut and counted",
    },
)

RECIPE = Recipe(
    stages=(PUBMEDQA, DIALOGUE),
    source="HERA",
    notes=(
        "The second stage continues with the first one's adapter, as published. To merge it: medbench adapters merge.",
        "SDPA attention is published, but transformers rejects it for Gemma 2, so attention is eager.",
        "HERA's code contradicts its documentation on the second stage: it has learning rates of 1e-4 and 8e-5, two "
        "epochs, and a new adapter on merged weights.",
    ),
)

MODEL = Entry(
    name="hera-gemma-2-2b",
    weights="google/gemma-2-2b-it",
    licence="Gemma Terms of Use",
    architecture="causal",
    parameters=2_614_341_888,
    summary="general instruct model, base of HERA",
    source="HERA; Gemma Team 2024, Gemma 2, arXiv:2408.00118",
    gated=True,
    recipe=RECIPE,
    config=GEMMA_2_2B,
)
