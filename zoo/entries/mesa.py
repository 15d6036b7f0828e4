"""MESA's recipe. Its three entries share it, except for the names of their projections.

"Medical Evaluation across Safety and Accuracy" fine-tunes BioGPT-Large, BioMedLM and DialoGPT-small with QLoRA
(Dettmers et al. 2023, arXiv:2305.14314) on 20,000 samples of four data sets. Its documentation publishes the
quantization, the LoRA configuration (without biases, as in all our recipes) and the data. Its notebook for
BioGPT-Large has more; values from there are marked as ours.
"""

from __future__ import annotations

from ..recipe import Lora, Part, Recipe, Stage

SAMPLES = 5_000  # of each set
NOTEBOOK = "from its notebook for BioGPT-Large; not in its documentation"


def mesa(target_modules: tuple[str, ...], *notes: str) -> Recipe:
    """Return the recipe for a base whose blocks have these linear projections; `notes` are the entry's own."""
    stage = Stage(
        name="sft",
        data=tuple(Part(name, SAMPLES) for name in ("medical-qa", "medical-chatbot", "flashcards", "wiki-terms")),
        quantize="nf4",
        double_quant=True,
        compute_dtype="float16",
        lora=Lora(rank=64, alpha=16, dropout=0.1, target_modules=target_modules),
        learning_rate=1e-4,
        warmup_ratio=0.05,
        weight_decay=0.01,
        batch_size=1,
        gradient_accumulation_steps=8,
        epochs=2,
        gradient_checkpointing=True,
        eval_steps=500,
        save_steps=100,
        why={
            "data": "published: four sets × 5,000 samples, with names that match these four hub repositories",
            "prompt": "the published recipe has no prompt: each set's question is used unchanged",
            "quantize": "published",
            "double_quant": "published",
            "compute_dtype": "published, for the products with 4-bit weights",
            "lora.rank": "published",
            "lora.alpha": "published",
            "lora.dropout": "published",
            "lora.target_modules": "all linear projections of the blocks; this model has no o_proj as published",
            "learning_rate": NOTEBOOK,
            "warmup_ratio": NOTEBOOK,
            "weight_decay": NOTEBOOK,
            "batch_size": NOTEBOOK + "; fits the 24 GB card that is published",
            "gradient_accumulation_steps": NOTEBOOK + ": 8 examples per optimizer step",
            "epochs": NOTEBOOK,
            "gradient_checkpointing": "published",
            "eval_steps": "ten evaluations in 5,000 steps",
            "save_steps": "checkpoints are small, and 5,000 steps take hours",
        },
    )
    return Recipe(
        stages=(stage,),
        source="MESA",
        notes=(
            "The documentation does not publish the learning rate, the number of epochs, the batch size or the prompt.",
            "The four published modules (q_proj, k_proj, v_proj, o_proj) are not those of this architecture: see "
            "lora.target_modules. Its notebook for BioGPT-Large has the modules that are used here.",
            "Only the products with 4-bit weights are in float16. Everything else on a GPU is in bfloat16 if the GPU "
            "supports it, and the adapter, which TRL would cast to bfloat16, is trained in float32.",
            *notes,
        ),
    )
