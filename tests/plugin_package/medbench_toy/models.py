"""Two models that need no weights: the toy engine runs them, and they differ by name."""

from __future__ import annotations

import dataclasses

from medbench.zoo import Entry

MODEL = Entry(
    name="toy-model",
    engine="toy-echo",
    weights="none",
    licence="MIT",
    architecture="causal",
    parameters=0,
    summary="answers by a hash; for tests",
    source="medbench-toy",
)
RIVAL = dataclasses.replace(MODEL, name="toy-rival")
