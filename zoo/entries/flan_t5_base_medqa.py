"""Flan-T5 base, as used for medical questions by a small published project.

Chung et al. 2022, "Scaling Instruction-Finetuned Language Models", arXiv:2210.11416. Encoder and decoder of 12 layers
each, width 768; input and output embeddings are not tied.

Published: the input prefix "Medical question: ", 4 beams, blocked n-gram repetition, temperature 0.3. The length of the
blocked n-grams is not published: 3 is our choice. Temperature is left out because it has no effect on beam search
without sampling, and transformers would warn about it.
"""

from __future__ import annotations

from ..entry import Entry
from ..recipe import Part, Recipe, Stage

# transformers builds T5 with tied embeddings and unties them when it reads this checkpoint.
CONFIG = {
    "model_type": "t5",
    "vocab_size": 32_128,
    "d_model": 768,
    "d_kv": 64,
    "d_ff": 2048,
    "num_layers": 12,
    "num_decoder_layers": 12,
    "num_heads": 12,
    "feed_forward_proj": "gated-gelu",
    "relative_attention_num_buckets": 32,
    "relative_attention_max_distance": 128,
    "layer_norm_epsilon": 1e-6,
    "dropout_rate": 0.1,
    "n_positions": 512,
    "tie_word_embeddings": False,
    "pad_token_id": 0,
    "eos_token_id": 1,
    "decoder_start_token_id": 0,
}

RECIPE = Recipe(
    stages=(
        Stage(
            name="seq2seq",
            data=(Part("medical-questions"),),
            max_length=128,
            quantize="none",
            compute_dtype="float32",
            lora=None,
            learning_rate=1e-4,
            warmup_ratio=0.0,
            weight_decay=0.01,
            batch_size=4,
            gradient_accumulation_steps=2,
            epochs=10,
            gradient_checkpointing=False,
            eval_examples=0,
            save_steps=10,
            why={
                "data": "the published 13 pairs are not available: our own 13, on the published topics",
                "prompt": "published: the bare question; the prefix comes from the entry's prompt_format",
                "loss": "published: the decoder learns the answer; padding is labeled -100 and not learned",
                "max_length": "published",
                "quantize": "published: fp32",
                "double_quant": "no effect: nothing is quantized",
                "compute_dtype": "published",
                "lora": "published: all weights are trained",
                "optimizer": "AdamW, transformers' default; it keeps two values for each of 248M weights, 2 GB",
                "learning_rate": "published",
                "lr_scheduler": "not published: decays to zero, so the last checkpoint is the one to keep",
                "warmup_ratio": "20 steps are too few for a warmup",
                "weight_decay": "published",
                "batch_size": "published",
                "gradient_accumulation_steps": "published",
                "epochs": "published",
                "gradient_checkpointing": "off: 4 × 128 tokens need little memory",
                "eval_examples": "13 pairs are too few to hold any out",
                "save_steps": "one checkpoint halfway through 20 steps: weights and optimizer state take 3 GB",
            },
        ),
    ),
    source="a published Flan-T5 medical question-answering fine-tune",
    notes=(
        "The model memorizes 13 pairs seen ten times. The recipe shows that training works; it teaches no medicine.",
        "To train a LoRA instead of all weights: --set lora.rank=16 --set lora.target_modules=q,k,v,o,wi_0,wi_1,wo",
    ),
)

MODEL = Entry(
    name="flan-t5-base-medqa",
    weights="google/flan-t5-base",
    licence="Apache-2.0",
    architecture="encoder-decoder",
    parameters=247_577_856,
    summary="encoder-decoder; prompts get the prefix 'Medical question:', answers use 4 beams",
    source="a published Flan-T5 medical question-answering fine-tune; Chung et al. 2022, arXiv:2210.11416",
    prompt_format="Medical question: {prompt}",
    generation={"num_beams": 4, "no_repeat_ngram_size": 3},
    recipe=RECIPE,
    config=CONFIG,
)
