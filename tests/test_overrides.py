"""What `--set` and `--sweep` make of a recipe, and their errors for invalid values."""

from __future__ import annotations

import dataclasses
from typing import Any

import pytest
from medbench.core.errors import UsageError
from medbench.training.overrides import FIELDS, RANGES, apply, sweep, tag
from medbench.zoo.recipe import Lora, Part, Recipe, Stage


def stage(name: str = "train", **values: Any) -> Stage:
    lora = Lora(target_modules=("q_proj", "v_proj"))
    return Stage(**{"name": name, "data": (Part("medquad"),), "lora": lora, "why": {"epochs": "published"}, **values})


ONE = Recipe((stage(),), "ours")
TWO = Recipe((stage("abstracts"), stage("dialogue")), "ours")
FULL = Recipe((stage(lora=None, quantize="none"),), "ours")


@pytest.mark.parametrize(
    ("setting", "field", "value"),
    [
        ("learning_rate=5e-5", "learning_rate", 5e-5),
        ("batch_size=8", "batch_size", 8),
        ("epochs=0.5", "epochs", 0.5),
        ("packing=on", "packing", True),
        ("gradient_checkpointing=No", "gradient_checkpointing", False),
        ("quantize=none", "quantize", "none"),
        ("optimizer=adafactor", "optimizer", "adafactor"),
        ("prompt=Q: {prompt} A=", "prompt", "Q: {prompt} A="),
        ("disclaimer_text=See a doctor, please.", "disclaimer_text", "See a doctor, please."),
        ("lora.rank=8", "lora", Lora(rank=8, target_modules=("q_proj", "v_proj"))),
        ("lora.rslora=yes", "lora", Lora(rslora=True, target_modules=("q_proj", "v_proj"))),
        ("lora.target_modules=fc1, fc2", "lora", Lora(target_modules=("fc1", "fc2"))),
        ("data=medquad:3000,own.jsonl", "data", (Part("medquad", 3000), Part("own.jsonl"))),
        ("data=own.jsonl:20", "data", (Part("own.jsonl", 20),)),
        ("data=a:b/own.jsonl", "data", (Part("a:b/own.jsonl"),)),
    ],
)
def test_a_setting_is_read_by_the_type_of_its_field(setting: str, field: str, value: object) -> None:
    (changed,) = apply(ONE, [setting]).stages
    assert getattr(changed, field) == value
    untouched = dataclasses.replace(changed, **{field: getattr(ONE.stages[0], field)}, why=ONE.stages[0].why)
    assert untouched == ONE.stages[0], "nothing else changes"


def test_a_set_value_says_that_the_user_set_it_and_the_others_keep_their_reason() -> None:
    (changed,) = apply(ONE, ["lora.rank=8"]).stages
    assert changed.reason("lora.rank") == "set by the user"
    assert changed.reason("epochs") == "published"
    assert changed.reason("lora.alpha").startswith("ours: ")
    assert ONE.stages[0].reason("lora.rank").startswith("ours: ")


def test_a_setting_is_for_all_stages_unless_it_names_one() -> None:
    changed = apply(TWO, ["learning_rate=1e-4", "dialogue.learning_rate=1e-5", "abstracts.lora.rank=4"])
    assert [one.learning_rate for one in changed.stages] == [1e-4, 1e-5]
    assert [one.lora.rank for one in changed.stages if one.lora] == [4, 16]


def test_the_last_of_two_settings_wins() -> None:
    assert apply(ONE, ["steps=5", "steps=7"]).stages[0].steps == 7


def test_lora_is_turned_off_where_the_weights_are_not_quantized() -> None:
    assert apply(ONE, ["lora=none", "quantize=none"]).stages[0].lora is None
    with pytest.raises(UsageError, match=r"nf4 weights cannot be trained\.\n.*quantize=none"):
        apply(ONE, ["lora=none"])
    with pytest.raises(UsageError, match=r"cannot be trained in stage 'dialogue'"):
        apply(TWO, ["dialogue.lora=none"])


def test_a_value_of_loras_turns_lora_on_and_wants_modules() -> None:
    changed = apply(FULL, ["lora.rank=8", "lora.target_modules=q,v"])
    assert changed.stages[0].lora == Lora(rank=8, target_modules=("q", "v"))
    with pytest.raises(UsageError, match=r"no target modules(.|\n)*--set lora\.target_modules=q,v"):
        apply(FULL, ["lora.rank=8"])


@pytest.mark.parametrize(
    ("setting", "says"),
    [
        ("learning_rate=fast", r"learning_rate=fast: expected a number, such as 2e-4\."),
        ("lora.dropout=little", r"expected a number, such as 0\.05"),
        ("batch_size=2.5", "batch_size=2.5: expected a whole number, such as 8"),
        ("packing=perhaps", "expected one of on, true, yes, off, false, no"),
        ("lr_scheduler=square", "expected one of linear, cosine, constant"),
        ("lora=yes", "the only value is none, which trains all weights"),
        ("lora.target_modules=q,,v", "names separated by commas"),
        ("data=medquad:many", "'medquad:many' is not a training set"),
        ("data=medquad:0", "'medquad:0' is not a training set"),
        ("data=", "'' is not a training set"),
        ("prompt=Question:", r"\{prompt\} is missing"),
        ("learning_rat=1", "no field 'learning_rat'. Did you mean learning_rate(.|\n)*All fields: data, prompt"),
        ("lora.ranks=1", r"no field 'lora\.ranks'. Did you mean lora\.rank"),
        ("train.epoch=1", "no field 'epoch'. Did you mean epochs"),
        ("second.epochs=1", "no stage 'second'(.|\n)*The stages: train"),
        ("name=other", "no field 'name'"),
        ("train.why=because", "no field 'why'"),
        ("epochs", "'epochs' has no value"),
        ("lora.rank=0", r"lora\.rank must be 1 or more"),
        ("lora.alpha=0", r"lora\.alpha must be 1 or more"),
        ("lora.dropout=1", r"at least 0 and below 1"),
        ("learning_rate=0", "above 0 and below 1"),
        ("learning_rate=1", "above 0 and below 1"),
        ("batch_size=0", "1 or more"),
        ("gradient_accumulation_steps=0", "1 or more"),
        ("epochs=0", "above 0"),
        ("epochs=inf", "above 0"),
        ("max_length=7", "8 or more"),
        ("warmup_ratio=1", "at least 0 and below 1"),
        ("warmup_ratio=nan", "at least 0 and below 1"),
        ("steps=-1", "or more"),
        ("eval_steps=0", "1 or more"),
        ("save_steps=0", "1 or more"),
    ],
)
def test_a_value_that_cannot_be_is_told_with_what_can(setting: str, says: str) -> None:
    with pytest.raises(UsageError, match=says):
        apply(ONE, [setting])


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("accumulation=3", "gradient_accumulation_steps=3"),
        ("warmup=0.2", "warmup_ratio=0.2"),
        ("train.schedule=linear", "train.lr_scheduler=linear"),
    ],
)
def test_the_former_names_of_three_fields_still_set_them(old: str, new: str) -> None:
    assert apply(ONE, [old]) == apply(ONE, [new]) != ONE
    field, _, value = old.partition("=")
    swept = sweep(ONE, [f"{field}={value}"], paired=False)
    assert swept == [(old, apply(ONE, [new]))]  # the label, and so the tag of a study begun before, stays


def test_a_recipe_may_use_the_former_names_too() -> None:
    former = Stage("train", (), accumulation=2, warmup=0.5, schedule="linear", why={"warmup": "published"})
    assert (former.gradient_accumulation_steps, former.warmup_ratio, former.lr_scheduler) == (2, 0.5, "linear")
    assert former.reason("warmup_ratio") == "published"
    assert dataclasses.replace(former, epochs=2.0).warmup_ratio == 0.5


def test_every_number_has_a_range() -> None:
    assert {name for name, kind in FIELDS.items() if kind in (int, float)} == set(RANGES)


def labels(*sweeps: str, paired: bool = False) -> list[str]:
    return [label for label, _ in sweep(ONE, sweeps, paired)]


def test_a_sweep_is_every_combination() -> None:
    swept = sweep(ONE, ["learning_rate=1e-4,2e-4", "lora.rank=8,16"], paired=False)
    assert [label for label, _ in swept] == [
        "learning_rate=1e-4,lora.rank=8",
        "learning_rate=1e-4,lora.rank=16",
        "learning_rate=2e-4,lora.rank=8",
        "learning_rate=2e-4,lora.rank=16",
    ]
    values = [(made.stages[0].learning_rate, made.stages[0].lora.rank) for _, made in swept if made.stages[0].lora]
    assert values == [(1e-4, 8), (1e-4, 16), (2e-4, 8), (2e-4, 16)]


def test_a_paired_sweep_goes_through_its_lists_side_by_side() -> None:
    """Med-Llama's study of three."""
    assert labels("learning_rate=1e-4,2e-4,5e-5", "lora.rank=16,8,32", paired=True) == [
        "learning_rate=1e-4,lora.rank=16",
        "learning_rate=2e-4,lora.rank=8",
        "learning_rate=5e-5,lora.rank=32",
    ]


def test_nothing_swept_is_the_recipe_itself() -> None:
    assert sweep(ONE, [], paired=False) == sweep(ONE, [], paired=True) == [("", ONE)]


@pytest.mark.parametrize(
    ("sweeps", "paired", "says"),
    [
        (["epochs=1,2,3", "lora.rank=8,16"], True, r"epochs has 3, lora\.rank has 2"),
        (["data=medquad,liveqa"], False, r"data is itself a list(.|\n)*--set data=…"),
        (["lora.target_modules=q,v"], False, r"lora\.target_modules is itself a list"),
        (["epochs=1", "epochs=2"], False, "--sweep epochs is given twice"),
        (["epochs=1,1"], False, "repeated"),
        (["epochs=1,"], False, "empty"),
        (["epoch=1,2"], False, "Did you mean epochs"),
        (["epochs=1,none"], False, "epochs=none: expected a number"),
    ],
)
def test_a_sweep_that_cannot_be_is_told(sweeps: list[str], paired: bool, says: str) -> None:
    with pytest.raises(UsageError, match=says):
        sweep(ONE, sweeps, paired)


def test_a_label_becomes_a_folders_name() -> None:
    assert tag("learning_rate=1e-4,lora.rank=16") == "learning_rate-1e-4_lora.rank-16"
    assert tag("prompt=Q/A: {prompt}") == "prompt-Q-A---prompt-"


@pytest.mark.parametrize(
    ("written", "right"),
    [
        ("lr", "learning_rate"),
        ("LR", "learning_rate"),
        ("lora.r", "lora.rank"),
        ("lora_alpha", "lora.alpha"),
        ("alpha", "lora.alpha"),
        ("num_train_epochs", "epochs"),
        ("gradient_accumulation", "gradient_accumulation_steps"),
        ("learning_rat", "learning_rate"),
    ],
)
def test_another_tools_name_of_a_field_is_answered_with_ours(written: str, right: str) -> None:
    with pytest.raises(UsageError) as caught:
        apply(ONE, [f"{written}=1"])
    assert f"Did you mean {right}" in caught.value.message
