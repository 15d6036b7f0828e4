"""BioMedLM, the second base of MESA.

Bolton et al. 2024, "BioMedLM: A 2.7B Parameter Language Model Trained On Biomedical Text", arXiv:2403.18421. GPT-2
architecture with a tokenizer of its own (28,896 tokens): 32 layers, width 2,560, window 1,024 tokens. Called 2.7B; the
matrices of that shape hold 2.59 billion. A plain language model; MESA does not publish its prompt.
"""

from __future__ import annotations

from .entry import Entry

MODEL = Entry(
    name="biomedlm",
    weights="stanford-crfm/BioMedLM",
    licence="BigScience BLOOM RAIL 1.0",
    architecture="causal",
    parameters=2_594_247_680,
    summary="biomedical language model (GPT-2 architecture), base of MESA",
    source="MESA; Bolton et al. 2024, BioMedLM, arXiv:2403.18421",
)
