"""How a zoo entry is trained, as data: every value that affects the result, each with its reason."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import InitVar, dataclass, field
from typing import Any, Literal

DISCLAIMER = (
    "This is general information and not medical advice. Consult a healthcare professional about your own case."
)

BY_USER = "set by the user"  # the reason for a value that the command line set

# Fields of a stage that had other names until 2026-11: old name -> new name. Recipes, settings and stored manifests
# may still use the old ones.
RENAMED: Mapping[str, str] = {
    "accumulation": "gradient_accumulation_steps",
    "warmup": "warmup_ratio",
    "schedule": "lr_scheduler",
}

# The reason for a value if the recipe gives none of its own.
DEFAULT_REASONS: Mapping[str, str] = {
    "prompt": "the example's own prompt, worded as in the benchmark that asks the same kind of question",
    "loss": "the model learns the answer, not the question",
    "max_length": "nine in ten of MedQuAD's pairs fit; longer answers are cut and counted",
    "packing": "off: each batch is padded to its longest row, so every example stays whole",
    "disclaimer": "off: answers are learned as written",
    "disclaimer_text": "one sentence that refers the reader to professional care; used if disclaimer is on",
    "quantize": "QLoRA (Dettmers et al. 2023, arXiv:2305.14314): NF4 weights take a quarter of the memory",
    "double_quant": "QLoRA: also quantizes the scales, which saves 0.4 bits per weight",
    "compute_dtype": "bfloat16 on a GPU that supports it, float16 on other GPUs, float32 on a CPU",
    "lora.rank": "the most common rank for instruction data of this size",
    "lora.alpha": "twice the rank: a scaling of 2",
    "lora.dropout": "QLoRA's value for models of up to 13 billion parameters",
    "lora.target_modules": "all linear projections; QLoRA needed all of them to match full fine-tuning",
    "lora.rslora": "off: the usual scaling, alpha / rank",
    "neftune_alpha": "off",
    "optimizer": "plain AdamW; the optimizer state of a LoRA is small enough not to need 8 bits",
    "learning_rate": "QLoRA's value for its smallest models, of 7 and 13 billion parameters",
    "lr_scheduler": "decays to zero, so the last checkpoint is the one to keep",
    "warmup_ratio": "the value in QLoRA's own scripts; as in transformers, the first warmup step has a rate of 0",
    "weight_decay": "off: the low rank already regularizes",
    "max_grad_norm": "transformers' default",
    "batch_size": "small enough for a consumer GPU; gradient accumulation makes up for it",
    "gradient_accumulation_steps": "with a batch of 4, 16 examples per optimizer step",
    "epochs": "one pass: more passes overfit on data of this size",
    "steps": "0: set by epochs",
    "gradient_checkpointing": "saves the memory of the activations and takes a third more time",
    "eval_examples": "enough to see when the held-out loss turns",
    "eval_steps": "about ten evaluations of the held-out loss in a run of usual length",
    "save_steps": "the most steps that a kill can lose",
}


@dataclass(frozen=True)
class Part:
    """One training set of a mixture: its name (`medbench list training-sets`) or the path of a .jsonl file."""

    source: str
    samples: int = 0  # examples drawn at random by the seed; 0 for all

    def __str__(self) -> str:
        return f"{self.source}:{self.samples}" if self.samples else self.source


@dataclass(frozen=True)
class Lora:
    """Low-rank adapters (Hu et al. 2021, arXiv:2106.09685), optionally rank-stabilized (Kalajdzievski 2023,
    arXiv:2312.03732)."""

    rank: int = 16
    alpha: int = 32
    dropout: float = 0.05
    target_modules: tuple[str, ...] = ()
    rslora: bool = False

    @property
    def scaling(self) -> float:
        """The factor on the adapter's output: alpha / rank, or alpha / sqrt(rank) if rank-stabilized."""
        return self.alpha / math.sqrt(self.rank) if self.rslora else self.alpha / self.rank


@dataclass(frozen=True)
class Stage:
    """One training run. A later stage continues with the adapter of the stage before it.

    `why` gives the reason for a value, by field ("lora.rank" for LoRA's): "published" or a sentence. A field that it
    leaves out has medbench's default, and DEFAULT_REASONS gives the reason.
    """

    name: str
    data: tuple[Part, ...]
    prompt: str = "{prompt}"  # template around the example's own prompt; the chat template, if any, goes around both
    loss: Literal["answer", "all"] = "answer"  # tokens to learn: the answer and its end token, or every token
    max_length: int = 512  # tokens of prompt and answer together; of each one, for an encoder-decoder
    packing: bool = False
    disclaimer: bool = False  # append disclaimer_text to every training answer that does not contain it
    disclaimer_text: str = DISCLAIMER
    quantize: Literal["nf4", "none"] = "nf4"
    double_quant: bool = True
    compute_dtype: Literal["auto", "float32", "bfloat16", "float16"] = "auto"
    lora: Lora | None = field(default_factory=Lora)  # None: all weights are trained
    neftune_alpha: float = 0.0  # noise on the embeddings (Jain et al. 2023, arXiv:2310.05914); 0 for none
    optimizer: Literal["adamw_torch", "adamw_8bit", "paged_adamw_8bit", "paged_adamw_32bit", "adafactor"] = (
        "adamw_torch"
    )
    learning_rate: float = 2e-4
    lr_scheduler: Literal["linear", "cosine", "constant"] = "cosine"
    warmup_ratio: float = 0.03  # share of the optimizer steps
    weight_decay: float = 0.0
    max_grad_norm: float = 1.0
    batch_size: int = 4  # examples per device and forward pass
    gradient_accumulation_steps: int = 4  # forward passes per optimizer step
    epochs: float = 1.0
    steps: int = 0  # optimizer steps; 0: set by epochs
    gradient_checkpointing: bool = True
    eval_examples: int = 100  # held out of training, for the held-out loss; 0 for none
    eval_steps: int = 100  # optimizer steps between evaluations of the held-out loss
    save_steps: int = 50  # optimizer steps between checkpoints
    why: Mapping[str, str] = field(default_factory=dict)
    # The old names in RENAMED.
    accumulation: InitVar[int | None] = None
    warmup: InitVar[float | None] = None
    schedule: InitVar[str | None] = None

    def __post_init__(self, accumulation: int | None, warmup: float | None, schedule: str | None) -> None:
        given = {"accumulation": accumulation, "warmup": warmup, "schedule": schedule}
        for old, value in given.items():
            if value is not None:
                object.__setattr__(self, RENAMED[old], value)
        object.__setattr__(self, "why", {RENAMED.get(name, name): reason for name, reason in self.why.items()})

    def reason(self, name: str) -> str:
        """Return the reason for a value: "published", "published: …", BY_USER, or ours, marked "ours: …"."""
        reason = self.why.get(name) or DEFAULT_REASONS.get(name, "")
        return reason if reason.startswith("published") or reason == BY_USER else f"ours: {reason}"


@dataclass(frozen=True)
class Recipe:
    """How an entry is trained."""

    stages: tuple[Stage, ...]
    source: str  # the publication it follows, or "ours"
    notes: tuple[str, ...] = ()  # where the publication is silent, wrong, or not followed; one sentence each

    def __post_init__(self) -> None:
        names = [stage.name for stage in self.stages]
        if not names or len(set(names)) < len(names) or any("." in name or not name for name in names):
            raise ValueError(f"the stages of a recipe need different names without dots: {names}")


def with_new_names(stage: Mapping[str, Any]) -> dict[str, Any]:
    """Return the fields of a stored stage under their current names, its reasons too."""
    stage = {RENAMED.get(name, name): value for name, value in stage.items()}
    if isinstance(stage.get("why"), Mapping):
        stage["why"] = with_new_names(stage["why"])
    return stage


def with_old_names(stage: Mapping[str, Any]) -> dict[str, Any]:
    """Return the fields of a stage under the names that fingerprints of checkpoints were first made with."""
    old = {new: name for name, new in RENAMED.items()}
    return {old.get(name, name): value for name, value in stage.items()}
