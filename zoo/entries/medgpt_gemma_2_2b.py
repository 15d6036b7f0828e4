"""Gemma 2 2B Instruct, the base of MedGPT.

Gemma Team 2024, "Gemma 2: Improving Open Language Models at a Practical Size", arXiv:2408.00118. The same weights as
`hera-gemma-2-2b`: before training the two answer alike. MedGPT's Gemma turn markers are those of the tokenizer's own
chat template. MedGPT serves its model as GGUF q4_k_m; such a file goes to `--model` as it is.
"""

from __future__ import annotations

from ..entry import Entry
from ..recipe import Lora, Part, Recipe, Stage
from .bases import GEMMA_2_2B, SEVEN

NOTEBOOK = "as in its notebook, not in its documentation"

RECIPE = Recipe(
    stages=(
        Stage(
            name="sft",
            data=(Part("medical-reasoning"),),
            max_length=1024,
            quantize="nf4",
            lora=Lora(rank=64, alpha=16, dropout=0.0, target_modules=SEVEN, rslora=True),
            learning_rate=2e-4,
            weight_decay=0.01,
            batch_size=2,
            gradient_accumulation_steps=4,
            epochs=2,
            why={
                "data": "published: mamachang/medical-reasoning; without the tenth that the benchmark scores",
                "max_length": "half its notebook's 2,048: Gemma's 256,000 logits for every token take much memory",
                "quantize": "published: QLoRA",
                "lora.rank": NOTEBOOK,
                "lora.alpha": NOTEBOOK + "; rank-stabilised, a scaling of 16 / √64 = 2",
                "lora.dropout": NOTEBOOK,
                "lora.target_modules": NOTEBOOK + ": all seven linear projections",
                "lora.rslora": "published: rank-stabilised LoRA",
                "learning_rate": NOTEBOOK,
                "lr_scheduler": NOTEBOOK,
                "weight_decay": NOTEBOOK,
                "batch_size": NOTEBOOK + "; it ran on a 16 GB card",
                "gradient_accumulation_steps": NOTEBOOK + ": 8 examples per optimizer step",
                "epochs": NOTEBOOK,
            },
        ),
    ),
    source="MedGPT",
    notes=(
        "Gemma's turn markers are published; they are put by the tokenizer's own chat template, not written into the "
        "text.",
        "The data derive from MedQA: training leaves out the tenth that medical-reasoning scores, and the leak check "
        "says what of other benchmarks it holds.",
    ),
)

MODEL = Entry(
    name="medgpt-gemma-2-2b",
    weights="google/gemma-2-2b-it",
    licence="Gemma Terms of Use",
    architecture="causal",
    parameters=2_614_341_888,
    summary="general instruct model, base of MedGPT",
    source="MedGPT; Gemma Team 2024, Gemma 2, arXiv:2408.00118",
    gated=True,
    recipe=RECIPE,
    config=GEMMA_2_2B,
)
