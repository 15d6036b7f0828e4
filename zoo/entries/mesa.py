"""MESA's recipe, which its three entries share but for the names of their projections.

"Medical Evaluation across Safety and Accuracy" fine-tunes BioGPT-Large, BioMedLM and DialoGPT-small by QLoRA (Dettmers
et al. 2023, arXiv:2305.14314) on 20,000 samples of four data sets. Its documentation publishes the quantization, the
LoRA configuration (biases untouched, as always here) and the data; its notebook for BioGPT-Large has more, and what
comes from there is marked as ours.
"""

from __future__ import annotations

from ..recipe import Lora, Part, Recipe, Stage

SAMPLES = 5_000  # of each set
NOTEBOOK = "as in its notebook for BioGPT-Large, not in its documentation"


def mesa(target_modules: tuple[str, ...], *notes: str) -> Recipe:
    """The recipe for a base whose transformer blocks have these linear projections; `notes` are the entry's own."""
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
            "data": "published: four sets × 5,000 samples, under names that fit these four hub repositories",
            "prompt": "the published recipe has no prompt: each set's question is put as it stands",
            "quantize": "published",
            "double_quant": "published",
            "compute_dtype": "published: of the products with 4-bit weights",
            "lora.rank": "published",
            "lora.alpha": "published",
            "lora.dropout": "published",
            "lora.target_modules": "all linear projections of the blocks; the published o_proj does not exist here",
            "learning_rate": NOTEBOOK,
            "warmup_ratio": NOTEBOOK,
            "weight_decay": NOTEBOOK,
            "batch_size": NOTEBOOK + "; fits the 24 GB card that is published",
            "gradient_accumulation_steps": NOTEBOOK + ": 8 examples per optimizer step",
            "epochs": NOTEBOOK,
            "gradient_checkpointing": "published",
            "eval_steps": "ten looks in the 5,000 steps",
            "save_steps": "a checkpoint is small and the 5,000 steps take hours",
        },
    )
    return Recipe(
        stages=(stage,),
        source="MESA",
        notes=(
            "The documentation publishes no learning rate, number of epochs, batch size or prompt.",
            "Its four modules (q_proj, k_proj, v_proj, o_proj) are not those of this architecture, see "
            "lora.target_modules; its notebook for BioGPT-Large has the same as here, for either architecture.",
            "float16 is the type of the products with 4-bit weights only; on a GPU all else computes in bfloat16 where "
            "the card has it, and the adapter, which TRL would round to bfloat16, is kept and trained in float32.",
            *notes,
        ),
    )
