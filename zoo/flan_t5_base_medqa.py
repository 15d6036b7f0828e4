"""Flan-T5 base, as a small published project uses it for medical questions.

Chung et al. 2022, "Scaling Instruction-Finetuned Language Models", arXiv:2210.11416. Encoder and decoder of 12 layers
each, width 768; input and output embeddings are not tied.

Published: the input prefix "Medical question: ", 4 beams, n-gram repetition blocked, temperature 0.3. The length of the
blocked n-grams is not published: 3 is ours. Temperature is left out because it does nothing under beam search without
sampling, and transformers would warn of it.
"""

from __future__ import annotations

from .entry import Entry

MODEL = Entry(
    name="flan-t5-base-medqa",
    weights="google/flan-t5-base",
    licence="Apache-2.0",
    architecture="encoder-decoder",
    parameters=247_577_856,
    summary="encoder-decoder, asked with the prefix 'Medical question:' and 4 beams",
    source="a published Flan-T5 medical question-answering fine-tune; Chung et al. 2022, arXiv:2210.11416",
    prompt_format="Medical question: {prompt}",
    generation={"num_beams": 4, "no_repeat_ngram_size": 3},
)
