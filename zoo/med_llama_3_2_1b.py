"""Llama 3.2 1B Instruct, the base of Med-Llama 3.2.

Grattafiori et al. 2024, "The Llama 3 Herd of Models", arXiv:2407.21783. 16 layers, width 2,048, 32 heads with 8
key-value heads, tied embeddings. The weights are Unsloth's copy, which asks for no acceptance on the hub; Meta's Llama
3.2 licence holds all the same. Prompts go through Llama 3's chat template, as published.
"""

from __future__ import annotations

from .entry import Entry

MODEL = Entry(
    name="med-llama-3.2-1b",
    weights="unsloth/Llama-3.2-1B-Instruct",
    licence="Llama 3.2 Community License",
    architecture="causal",
    parameters=1_235_814_400,
    summary="general instruct model, base of Med-Llama 3.2",
    source="Med-Llama 3.2; Grattafiori et al. 2024, Llama 3, arXiv:2407.21783",
)
