"""The zoo's recipes: each value has its reason, and each module that one names is there in the true architecture.

Architectures are built from `Entry.config` on torch's meta device: true classes and shapes, and no memory for weights.
"""

from __future__ import annotations

import dataclasses
import math
from functools import cache
from typing import Any

import pytest
from medbench.core import registry
from medbench.training.sets import SETS
from medbench.zoo import Entry
from medbench.zoo.recipe import DEFAULT_REASONS, Lora, Part, Recipe, Stage

NAMES = (
    "biogpt-large",
    "biomedlm",
    "dialogpt-small",
    "flan-t5-base-medqa",
    "hera-gemma-2-2b",
    "med-llama-3.2-1b",
    "medgpt-gemma-2-2b",
    "smollm2-135m",
)
FULL = "flan-t5-base-medqa"  # the one that trains all its weights
MESA = ("biogpt-large", "biomedlm", "dialogpt-small")


def entry(name: str) -> Entry:
    found: Entry = registry.get("zoo", name)
    return found


def recipe(name: str) -> Recipe:
    found = entry(name).recipe
    assert found is not None
    return found


def stages() -> list[Any]:
    """Every stage of every recipe, as pytest's parameters."""
    return [pytest.param(stage, id=f"{name}/{stage.name}") for name in NAMES for stage in recipe(name).stages]


def values(stage: Stage) -> dict[str, Any]:
    """Every value of a stage by the name that `why` and `--set` have for it: "learning_rate", "lora.rank"."""
    found = {field.name: getattr(stage, field.name) for field in dataclasses.fields(Stage)}
    del found["name"], found["why"]
    if stage.lora is not None:
        del found["lora"]
        found |= {f"lora.{field.name}": getattr(stage.lora, field.name) for field in dataclasses.fields(Lora)}
    return found


DEFAULTS = values(Stage("default", ()))
NO_DEFAULT = {
    "data",
    "lora.target_modules",
}  # the second has a default reason: all projections


def bare(name: str) -> Any:
    """The entry's architecture without weights."""
    import torch
    import transformers as hf

    config = hf.AutoConfig.for_model(**entry(name).config)
    family = hf.AutoModelForSeq2SeqLM if config.is_encoder_decoder else hf.AutoModelForCausalLM
    with torch.device("meta"):
        return family.from_config(config)


def linear(model: Any) -> set[str]:
    """Names of all linear modules but the output head."""
    import torch
    from transformers.pytorch_utils import Conv1D

    head = model.get_output_embeddings()
    kinds = (torch.nn.Linear, Conv1D)
    return {name for name, module in model.named_modules() if isinstance(module, kinds) and module is not head}


def adapt(model: Any, lora: Lora) -> dict[str, Any]:
    """The modules that PEFT adapts, by name."""
    import torch
    from peft import LoraConfig, inject_adapter_in_model
    from peft.tuners.lora import LoraLayer

    wanted = LoraConfig(
        r=lora.rank,
        lora_alpha=lora.alpha,
        lora_dropout=lora.dropout,
        target_modules=list(lora.target_modules),
        use_rslora=lora.rslora,
        init_lora_weights=False,
    )
    with torch.device("meta"):
        inject_adapter_in_model(wanted, model)
    return {name: module for name, module in model.named_modules() if isinstance(module, LoraLayer)}


@dataclasses.dataclass(frozen=True)
class Built:
    """What an entry's architecture has, and what PEFT adapts of it."""

    parameters: int
    linear: set[str]
    adapted: dict[str, float]  # scaling by module
    trained: int  # weights of the adapters


@cache
def built(name: str) -> Built:
    model = bare(name)
    parameters = sum(weight.numel() for weight in model.parameters())
    projections, lora = linear(model), recipe(name).stages[0].lora
    adapted = {module: layer.scaling["default"] for module, layer in adapt(model, lora).items()} if lora else {}
    trained = sum(weight.numel() for weight_name, weight in model.named_parameters() if ".lora_" in weight_name)
    return Built(parameters, projections, adapted, trained)


ADAPTED = [name for name in NAMES if name != FULL]


# What the recipes say


@pytest.mark.parametrize("name", NAMES)
def test_every_entry_has_a_recipe_and_a_configuration(name: str) -> None:
    assert recipe(name).stages and recipe(name).source
    assert entry(name).config["model_type"]


def test_house_has_a_reason_for_every_default() -> None:
    assert set(DEFAULT_REASONS) == set(DEFAULTS) - {"data"}


@pytest.mark.parametrize("stage", stages())
def test_every_value_is_published_or_has_a_reason_that_is_meant_for_it(stage: Stage) -> None:
    for name, value in values(stage).items():
        assert stage.reason(name) != "ours: ", f"{name} has no reason"
        if name not in NO_DEFAULT and value != DEFAULTS.get(name, DEFAULTS):
            assert name in stage.why, f"{name} is {value!r}; the default reason is for {DEFAULTS.get(name)!r}"


@pytest.mark.parametrize("stage", stages())
def test_reasons_are_given_for_values_that_there_are(stage: Stage) -> None:
    assert set(stage.why) <= set(values(stage))
    for reason in stage.why.values():
        assert not reason.endswith("."), "reasons stand in a table"


@pytest.mark.parametrize("stage", stages())
def test_a_stage_learns_from_training_sets_that_exist(stage: Stage) -> None:
    assert stage.data
    assert {part.source for part in stage.data} <= set(SETS)


@pytest.mark.parametrize("stage", stages())
def test_a_stage_runs_on_a_cpu_as_on_a_gpu(stage: Stage) -> None:
    assert stage.optimizer == "adamw_torch", "paged and 8-bit optimizers want a GPU, and nothing published names one"
    assert stage.lora is not None or stage.quantize == "none", "4-bit weights cannot be trained themselves"
    assert "{prompt}" in stage.prompt


def test_published_is_said_of_what_the_documents_give_and_of_nothing_else() -> None:
    published = {
        (name, value)
        for name in NAMES
        for value in set().union(*(stage.why for stage in recipe(name).stages))
        if all(stage.reason(value).startswith("published") for stage in recipe(name).stages if value in stage.why)
    }
    quantized = {"quantize", "double_quant", "compute_dtype", "gradient_checkpointing"}
    mesa = {"data", "lora.rank", "lora.alpha", "lora.dropout"} | quantized
    expected = {
        **dict.fromkeys(MESA, mesa),
        FULL: {"prompt", "loss", "max_length", "quantize", "compute_dtype", "lora", "learning_rate", "weight_decay"}
        | {"batch_size", "gradient_accumulation_steps", "epochs"},
        "hera-gemma-2-2b": {"quantize", "lora.rank", "lora.alpha", "lora.dropout", "lora.target_modules"}
        | {"learning_rate", "batch_size", "gradient_accumulation_steps", "epochs", "eval_steps"},
        "med-llama-3.2-1b": {"data", "disclaimer", "learning_rate"}
        | {"lora.rank", "lora.alpha", "lora.target_modules"},
        "medgpt-gemma-2-2b": {"data", "quantize", "lora.rslora"},
        "smollm2-135m": set(),
    }
    assert published == {(name, value) for name, these in expected.items() for value in these}


# The published values themselves


@pytest.mark.parametrize("name", MESA)
def test_mesa(name: str) -> None:
    (stage,) = recipe(name).stages
    assert sum(part.samples for part in stage.data) == 4 * 5_000 == 20_000
    assert (stage.quantize, stage.double_quant, stage.compute_dtype) == ("nf4", True, "float16")
    assert stage.gradient_checkpointing
    assert stage.lora is not None
    assert (stage.lora.rank, stage.lora.alpha, stage.lora.dropout) == (64, 16, 0.1)
    assert "o_proj" not in stage.lora.target_modules
    if name != "biogpt-large":  # these two differ in nothing, and from BioGPT in the names of their modules
        assert stage == recipe("biomedlm").stages[0]


def test_flan_t5_trains_all_its_weights() -> None:
    (stage,) = recipe(FULL).stages
    assert stage.data == (Part("medical-questions"),)
    assert (stage.lora, stage.quantize, stage.compute_dtype, stage.max_length) == (None, "none", "float32", 128)
    assert (stage.learning_rate, stage.weight_decay, stage.epochs) == (1e-4, 0.01, 10)
    assert (stage.batch_size, stage.gradient_accumulation_steps) == (4, 2)
    # What its reasons say: 13 pairs make 4 batches, those 2 steps an epoch, and 10 epochs 20 steps.
    assert math.ceil(math.ceil(13 / 4) / 2) * 10 == 20 == 2 * stage.save_steps


def test_med_llama() -> None:
    (stage,) = recipe("med-llama-3.2-1b").stages
    assert stage.data == (Part("medquad"),)
    assert stage.lora is not None
    assert (stage.lora.rank, stage.lora.alpha, stage.learning_rate) == (16, 32, 1e-4)
    assert stage.disclaimer and "onsult a healthcare professional" in stage.disclaimer_text
    assert stage.neftune_alpha > 0


def test_med_llamas_study_of_three_pairs_is_a_paired_sweep() -> None:
    from medbench.training import overrides

    ours = recipe("med-llama-3.2-1b")
    (study,) = [note for note in ours.notes if "--paired" in note]
    sweeps = [word.rstrip(".") for before, word in zip(study.split(), study.split()[1:]) if before == "--sweep"]
    swept = [found.stages[0] for _, found in overrides.sweep(ours, sweeps, paired=True)]
    assert [(s.learning_rate, s.lora.rank, s.lora.scaling) for s in swept if s.lora] == [
        (1e-4, 16, 2),
        (2e-4, 8, 2),
        (5e-5, 32, 2),
    ]


def test_hera_has_two_stages_and_one_adapter() -> None:
    first, second = recipe("hera-gemma-2-2b").stages
    assert (first.name, second.name) == ("pubmedqa", "dialogue")
    assert first.data == (Part("pubmedqa-artificial", 3_000),)
    assert second.data[0].source == "healthcaremagic"
    assert first.lora == second.lora, "the second stage goes on with the first one's adapter"
    for stage in (first, second):
        assert stage.lora is not None
        assert (stage.lora.rank, stage.lora.alpha, stage.lora.dropout, stage.quantize) == (16, 32, 0.05, "nf4")
        assert (stage.learning_rate, stage.batch_size, stage.gradient_accumulation_steps) == (2e-4, 1, 2)
        assert (stage.epochs, stage.eval_steps) == (1, 200)


def test_medgpt_is_rank_stabilised_qlora() -> None:
    (stage,) = recipe("medgpt-gemma-2-2b").stages
    assert stage.data == (Part("medical-reasoning"),)
    assert stage.lora is not None
    assert stage.lora.rslora and stage.quantize == "nf4"


def test_the_default_model_trains_on_a_laptop() -> None:
    """At 150 tokens a second; the mean pair of MedQuAD has 191 tokens where it is cut at 256."""
    (stage,) = recipe("smollm2-135m").stages
    (part,) = stage.data
    assert part.samples * 191 / 150 < 45 * 60  # seconds
    assert part.samples / stage.batch_size / stage.gradient_accumulation_steps * stage.epochs >= 200  # steps


# The architectures


@pytest.mark.parametrize("name", NAMES)
def test_the_configuration_builds_the_true_architecture(name: str) -> None:
    # transformers ties T5's embeddings as it builds it, and parts them as it reads Flan-T5's checkpoint.
    untied = 32_128 * 768 if name == FULL else 0
    assert built(name).parameters + untied == entry(name).parameters


@pytest.mark.parametrize("name", ADAPTED)
def test_lora_adapts_every_linear_projection_and_not_the_output_head(name: str) -> None:
    lora = recipe(name).stages[0].lora
    assert lora is not None
    found = built(name)
    assert set(found.adapted) == found.linear
    assert {module.rpartition(".")[2] for module in found.adapted} == set(lora.target_modules)


@pytest.mark.parametrize("name", MESA)
def test_the_module_that_mesa_names_is_not_there(name: str) -> None:
    assert not any(module.endswith(".o_proj") for module in built(name).linear)


@pytest.mark.parametrize("name", ADAPTED)
def test_peft_scales_the_adapter_as_the_recipe_says(name: str) -> None:
    lora = recipe(name).stages[0].lora
    assert lora is not None
    by_hand = lora.alpha / math.sqrt(lora.rank) if name == "medgpt-gemma-2-2b" else lora.alpha / lora.rank
    assert set(built(name).adapted.values()) == {by_hand} == {lora.scaling}


def test_scalings_written_out() -> None:
    scaling = {name: next(iter(built(name).adapted.values())) for name in ADAPTED}
    assert scaling == {
        "biogpt-large": 16 / 64,
        "biomedlm": 16 / 64,
        "dialogpt-small": 16 / 64,
        "hera-gemma-2-2b": 32 / 16,
        "med-llama-3.2-1b": 32 / 16,
        "medgpt-gemma-2-2b": 16 / 8,  # √64 = 8
        "smollm2-135m": 32 / 16,
    }


def test_mesas_published_shares_of_trained_weights() -> None:
    """9.59% is BioGPT-Large at rank 64, 5.44% DialoGPT-small at rank 32, two 4-bit weights counted as one."""

    def share(name: str, blocks: int, trained: int) -> float:
        """`blocks`: weights of the linear projections, biases left out, which alone are quantized."""
        return 100 * trained / (built(name).parameters - blocks // 2 + trained)

    biogpt = 48 * (4 * 1600 * 1600 + 2 * 1600 * 6400)
    assert built("biogpt-large").trained == 48 * 64 * (4 * (1600 + 1600) + 2 * (1600 + 6400)) == 88_473_600
    assert built("biogpt-large").parameters - biogpt // 2 == 833_908_800
    assert round(share("biogpt-large", biogpt, built("biogpt-large").trained), 2) == 9.59
    dialogpt = 12 * 12 * 768 * 768
    assert built("dialogpt-small").trained == 12 * 64 * ((768 + 2304) + 2 * (768 + 3072) + (768 + 768))
    assert round(share("dialogpt-small", dialogpt, built("dialogpt-small").trained // 2), 2) == 5.44


def test_flan_t5_has_the_modules_that_its_note_offers_for_lora() -> None:
    from medbench.training import overrides

    (note,) = [note for note in recipe(FULL).notes if "--set lora.rank" in note]
    settings = [word for word in note.split() if "=" in word]
    (stage,) = overrides.apply(recipe(FULL), settings).stages
    assert stage.lora is not None
    model = bare(FULL)
    projections = linear(model)
    assert set(adapt(model, stage.lora)) == projections
