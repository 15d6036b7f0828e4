"""Gemma 2 2B Instruct, the base of MedGPT.

Gemma Team 2024, "Gemma 2: Improving Open Language Models at a Practical Size", arXiv:2408.00118. The same weights as
`hera-gemma-2-2b`: before training, the two give the same answers. MedGPT's Gemma turn markers are those of the
tokenizer's chat template. MedGPT distributes its model as GGUF q4_k_m; `--model` accepts such a file.
"""

from __future__ import annotations

from ..entry import Entry
from ..recipe import Lora, Part, Recipe, Stage
from .bases import GEMMA_2_2B, SEVEN

NOTEBOOK = "from its notebook; not in its documentation"

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
                "data": "published: mamachang/medical-reasoning, without the tenth that the benchmark scores",
                "max_length": "half of its notebook's 2,048: Gemma's 256,000 logits per token take much memory",
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
        "Gemma's turn markers are published. The tokenizer's chat template adds them; they are not part of the text.",
        "The data derive from MedQA. Training leaves out the tenth that medical-reasoning scores, and the leak check "
        "reports items of other benchmarks.",
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
