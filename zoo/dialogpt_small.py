"""DialoGPT-small, the third base of MESA.

Zhang et al. 2020, "DialoGPT: Large-Scale Generative Pre-training for Conversational Response Generation",
arXiv:1911.00536. GPT-2 small (12 layers, width 768, window 1,024 tokens) trained on Reddit replies; its turns end with
<|endoftext|>. MESA does not publish its prompt.
"""

from __future__ import annotations

from .entry import Entry

MODEL = Entry(
    name="dialogpt-small",
    weights="microsoft/DialoGPT-small",
    licence="MIT",
    architecture="causal",
    parameters=124_439_808,
    summary="conversational GPT-2, the small base of MESA",
    source="MESA; Zhang et al. 2020, DialoGPT, arXiv:1911.00536",
)
