"""Gemma 2 2B Instruct, the base of HERA.

Gemma Team 2024, "Gemma 2: Improving Open Language Models at a Practical Size", arXiv:2408.00118. 26 layers, width
2,304, 8 heads with 4 key-value heads, tied embeddings. Prompts go through Gemma's chat template.

HERA names SDPA attention. transformers refuses SDPA for Gemma 2, whose attention logits are soft-capped, and loads it
with eager attention where none is asked for; so nothing is asked for here.
"""

from __future__ import annotations

from .entry import Entry

MODEL = Entry(
    name="hera-gemma-2-2b",
    weights="google/gemma-2-2b-it",
    licence="Gemma Terms of Use",
    architecture="causal",
    parameters=2_614_341_888,
    summary="general instruct model, base of HERA",
    source="HERA; Gemma Team 2024, Gemma 2, arXiv:2408.00118",
    gated=True,
)
