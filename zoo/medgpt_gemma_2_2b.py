"""Gemma 2 2B Instruct, the base of MedGPT.

Gemma Team 2024, "Gemma 2: Improving Open Language Models at a Practical Size", arXiv:2408.00118. The same weights as
`hera-gemma-2-2b`: before training the two answer alike. MedGPT's Gemma turn markers are those of the tokenizer's own
chat template. MedGPT serves its model as GGUF q4_k_m; such a file goes to `--model` as it is.
"""

from __future__ import annotations

from .entry import Entry

MODEL = Entry(
    name="medgpt-gemma-2-2b",
    weights="google/gemma-2-2b-it",
    licence="Gemma Terms of Use",
    architecture="causal",
    parameters=2_614_341_888,
    summary="general instruct model, base of MedGPT",
    source="MedGPT; Gemma Team 2024, Gemma 2, arXiv:2408.00118",
    gated=True,
)
