"""BioGPT-Large, the base of MESA's best system.

Luo et al. 2022, "BioGPT: generative pre-trained transformer for biomedical text generation and mining", Briefings in
Bioinformatics 23(6), doi:10.1093/bib/bbac409. Trained on PubMed abstracts; a plain language model without chat turns.

MESA's documentation gives it 347M parameters; that is microsoft/biogpt. BioGPT-Large has 48 layers of width 1,600 and
1.57 billion. MESA does not publish its prompt, so prompts are sent plainly.
"""

from __future__ import annotations

from .entry import Entry

MODEL = Entry(
    name="biogpt-large",
    weights="microsoft/BioGPT-Large",
    licence="MIT",
    architecture="causal",
    parameters=1_571_188_800,
    summary="biomedical language model, base of MESA",
    source="MESA; Luo et al. 2022, BioGPT, doi:10.1093/bib/bbac409",
)
