"""How a zoo entry is trained, as data: every value that decides what comes out, each with its reason."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

DISCLAIMER = (
    "This is general information and not medical advice. Consult a healthcare professional about your own case."
)

BY_USER = "set by the user"  # the reason of a value that the command line set

# Why a value is what it is where no publication says so and the entry gives no reason of its own.
HOUSE: Mapping[str, str] = {
    "prompt": "the example's own: where a benchmark asks the same kind of question, it is worded as that one does",
    "loss": "only what the model has to say is learned, not the question",
    "max_length": "holds nine in ten of MedQuAD's pairs whole; longer answers are cut and counted",
    "packing": "off: batches padded to their longest row keep every example whole",
    "disclaimer": "off: answers are learned as they were written",
    "disclaimer_text": "refers to professional care in one sentence; used where disclaimer is on",
    "quantize": "QLoRA (Dettmers et al. 2023, arXiv:2305.14314): NF4 fits the weights into a quarter of the memory",
    "double_quant": "QLoRA: quantises the scales too, 0.4 bits less per weight",
    "compute_dtype": "bfloat16 on a GPU that has it, float16 on one that has not, float32 on a CPU",
    "lora.rank": "the commonest rank for instruction data of this size",
    "lora.alpha": "twice the rank, a scaling of 2",
    "lora.dropout": "what QLoRA found useful for models of up to 13 billion parameters",
    "lora.target_modules": "all linear projections of the architecture, as QLoRA found necessary to match full tuning",
    "lora.rslora": "off: the common scaling, alpha / rank",
    "neftune_alpha": "off",
    "optimizer": "AdamW, the reference implementation; a LoRA's state is small enough not to need 8 bits",
    "learning_rate": "QLoRA's value for its smallest models, of 7 and 13 billion parameters",
    "schedule": "decays to zero, so that the last checkpoint is the one to keep",
    "warmup": "the share in QLoRA's own scripts",
    "weight_decay": "off: LoRA's low rank regularises already",
    "max_grad_norm": "transformers' value",
    "batch_size": "small enough for a consumer GPU; accumulation makes up for it",
    "accumulation": "16 examples per optimizer step",
    "epochs": "one pass: more overfits on data of this size",
    "steps": "0: by epochs",
    "gradient_checkpointing": "trades a third more time for the memory of the activations",
    "eval_examples": "enough to see the held-out loss turn",
    "eval_steps": "ten looks or so at the held-out loss in a run of usual length",
    "save_steps": "what a kill loses at most",
}


@dataclass(frozen=True)
class Part:
    """One training set of a mixture: its name (`medbench list training-sets`) or the path of a .jsonl file."""

    source: str
    samples: int = 0  # drawn by the seed; 0: all

    def __str__(self) -> str:
        return f"{self.source}:{self.samples}" if self.samples else self.source


@dataclass(frozen=True)
class Lora:
    """Low-rank adapters: Hu et al. 2021, arXiv:2106.09685; rank-stabilised: Kalajdzievski 2023, arXiv:2312.03732."""

    rank: int = 16
    alpha: int = 32
    dropout: float = 0.05
    target_modules: tuple[str, ...] = ()
    rslora: bool = False

    @property
    def scaling(self) -> float:
        """What the adapter's product is multiplied by: alpha / rank, or alpha / sqrt(rank) where rank-stabilised."""
        return self.alpha / math.sqrt(self.rank) if self.rslora else self.alpha / self.rank


@dataclass(frozen=True)
class Stage:
    """One training run. A later stage goes on with the adapter of the one before it.

    `why` gives the reason of a value, by field ("lora.rank" inside LoRA): "published" or a sentence. Fields that it
    does not name have medbench's own values, and HOUSE says why.
    """

    name: str
    data: tuple[Part, ...]
    prompt: str = "{prompt}"  # around the example's own prompt; then wrapped as the entry is asked (chat template, …)
    loss: Literal["answer", "all"] = "answer"  # the tokens that are learned: the answer with its end, or every one
    max_length: int = 512  # tokens of prompt and answer; of each, for an encoder-decoder
    packing: bool = False
    disclaimer: bool = False  # append disclaimer_text to every training answer that does not hold it already
    disclaimer_text: str = DISCLAIMER
    quantize: Literal["nf4", "none"] = "nf4"
    double_quant: bool = True
    compute_dtype: Literal["auto", "float32", "bfloat16", "float16"] = "auto"
    lora: Lora | None = field(default_factory=Lora)  # None: all weights are trained
    neftune_alpha: float = 0.0  # noise on the embeddings (Jain et al. 2023, arXiv:2310.05914); 0: none
    optimizer: Literal["adamw_torch", "adamw_8bit", "paged_adamw_8bit", "paged_adamw_32bit", "adafactor"] = (
        "adamw_torch"
    )
    learning_rate: float = 2e-4
    schedule: Literal["linear", "cosine", "constant"] = "cosine"
    warmup: float = 0.03  # share of the steps
    weight_decay: float = 0.0
    max_grad_norm: float = 1.0
    batch_size: int = 4  # examples per device and forward pass
    accumulation: int = 4  # forward passes per optimizer step
    epochs: float = 1.0
    steps: int = 0  # optimizer steps; 0: by epochs
    gradient_checkpointing: bool = True
    eval_examples: int = 100  # held out of training, for the held-out loss; 0: none
    eval_steps: int = 100  # optimizer steps between two looks at the held-out loss
    save_steps: int = 50  # optimizer steps between two checkpoints
    why: Mapping[str, str] = field(default_factory=dict)

    def reason(self, name: str) -> str:
        """Why a value is what it is: "published", "published: …", BY_USER, or our own reason, marked "ours: …"."""
        reason = self.why.get(name) or HOUSE.get(name, "")
        return reason if reason.startswith("published") or reason == BY_USER else f"ours: {reason}"


@dataclass(frozen=True)
class Recipe:
    """How an entry trains itself."""

    stages: tuple[Stage, ...]
    source: str  # the publication it follows, or "ours"
    notes: tuple[str, ...] = ()  # where the publication is silent, wrong, or not followed; one sentence each

    def __post_init__(self) -> None:
        names = [stage.name for stage in self.stages]
        if not names or len(set(names)) < len(names) or any("." in name or not name for name in names):
            raise ValueError(f"a recipe's stages need names of their own, without dots: {names}")
