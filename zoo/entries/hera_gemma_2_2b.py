"""Gemma 2 2B Instruct, the base of HERA.

Gemma Team 2024, "Gemma 2: Improving Open Language Models at a Practical Size", arXiv:2408.00118. 26 layers, width
2,304, 8 heads with 4 key-value heads, tied embeddings. Prompts go through Gemma's chat template.

HERA names SDPA attention. transformers refuses SDPA for Gemma 2, whose attention logits are soft-capped, and loads it
with eager attention where none is asked for; so nothing is asked for here.
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
        "max_length": "abstract, question and long answer: a tenth of PubMedQA's expert-labeled items pass 512 tokens",
    },
)
DIALOGUE = replace(
    PUBMEDQA,
    name="dialogue",
    data=(Part("healthcaremagic", SAMPLES),),
    max_length=Stage.max_length,
    why=dict.fromkeys(ADAPTER, "published")
    | dict.fromkeys(SCHEDULE, "published: the first stage's; the documentation calls the second's similar")
    | {
        "data": "HealthCareMagic is published, the number of samples is not: as many as before, and as in its notebook",
        "max_length": "a turn and its answer; longer answers are cut and counted",
    },
)

RECIPE = Recipe(
    stages=(PUBMEDQA, DIALOGUE),
    source="HERA",
    notes=(
        "The second stage goes on with the first one's adapter, as published; merging it is a command of its own.",
        "SDPA attention is published; transformers refuses it for Gemma 2, so attention is eager.",
        "HERA's code contradicts its documentation on the second stage: learning rates of 1e-4 and 8e-5, two epochs, "
        "and a fresh adapter on merged weights.",
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
