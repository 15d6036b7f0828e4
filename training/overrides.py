"""Settings of the command line laid over a recipe: `--set learning_rate=1e-4`, `--sweep lora.rank=8,16`."""

from __future__ import annotations

import dataclasses
import itertools
import math
import re
from collections.abc import Mapping, Sequence
from typing import Any, Literal, get_args, get_origin, get_type_hints

from ..core.errors import UsageError
from ..core.suggest import did_you_mean, question
from ..zoo.recipe import BY_USER, Lora, Part, Recipe, Stage

FIXED = ("name", "why")  # of a stage: what it is called and why, which nobody sets
SWITCH = {"on": True, "true": True, "yes": True, "off": False, "false": False, "no": False}
NO_LORA = "none"
LORA = "lora."  # its values' paths

# Least value, greatest value, and the range in words; "below" where the greatest is itself too much.
RANGES: Mapping[str, tuple[float, float, str]] = {
    "max_length": (8, math.inf, "8 or more"),
    "lora.rank": (1, math.inf, "1 or more"),
    "lora.alpha": (1, math.inf, "1 or more"),
    "lora.dropout": (0, 1, "from 0 to below 1"),
    "neftune_alpha": (0, math.inf, "0 (no noise) or more"),
    "learning_rate": (0, 1, "above 0 and below 1"),
    "warmup": (0, 1, "from 0 to below 1, a share of the steps"),
    "weight_decay": (0, math.inf, "0 or more"),
    "max_grad_norm": (0, math.inf, "0 (no clipping) or more"),
    "batch_size": (1, math.inf, "1 or more"),
    "accumulation": (1, math.inf, "1 or more"),
    "epochs": (0, math.inf, "above 0"),
    "steps": (0, math.inf, "0 (by epochs) or more"),
    "eval_examples": (0, math.inf, "0 (none) or more"),
    "eval_steps": (1, math.inf, "1 or more"),
    "save_steps": (1, math.inf, "1 or more"),
}
ABOVE_ZERO = ("learning_rate", "epochs")

# What transformers, PEFT, TRL and other tools call these fields.
ELSEWHERE: Mapping[str, str] = {
    "alpha": "lora.alpha",
    "batch": "batch_size",
    "bf16": "compute_dtype",
    "bs": "batch_size",
    "clip": "max_grad_norm",
    "dropout": "lora.dropout",
    "fp16": "compute_dtype",
    "gradient_accumulation": "accumulation",
    "gradient_accumulation_steps": "accumulation",
    "load_in_4bit": "quantize",
    "lora_alpha": "lora.alpha",
    "lora_dropout": "lora.dropout",
    "lora_r": "lora.rank",
    "lr": "learning_rate",
    "lr_scheduler": "schedule",
    "lr_scheduler_type": "schedule",
    "max_seq_length": "max_length",
    "max_steps": "steps",
    "num_epochs": "epochs",
    "num_train_epochs": "epochs",
    "optim": "optimizer",
    "per_device_train_batch_size": "batch_size",
    "r": "lora.rank",
    "rank": "lora.rank",
    "scheduler": "schedule",
    "seq_len": "max_length",
    "target_modules": "lora.target_modules",
    "train_batch_size": "batch_size",
    "warmup_ratio": "warmup",
    "wd": "weight_decay",
}


def apply(recipe: Recipe, settings: Sequence[str]) -> Recipe:
    """`recipe` with every "FIELD=VALUE" set in all stages, and every "STAGE.FIELD=VALUE" in one.

    Later settings win. What is set has the reason BY_USER in its stage. Raises UsageError for a stage, field or value
    that does not exist, and for values that contradict each other.
    """
    stages = {stage.name: stage for stage in recipe.stages}
    for setting in settings:
        stage_name, field, text = _read(setting, list(stages))
        value = _value(setting, field, text)
        for name in [stage_name] if stage_name else list(stages):
            stages[name] = _set(stages[name], field, value)
    for name, stage in stages.items():
        _check_whole(stage, f" in stage '{name}'" if len(stages) > 1 else "")
    return dataclasses.replace(recipe, stages=tuple(stages.values()))


def sweep(recipe: Recipe, sweeps: Sequence[str], paired: bool) -> list[tuple[str, Recipe]]:
    """One recipe for every combination of the values in `sweeps`, each "FIELD=V1,V2,…"; with its label.

    `paired` takes the first values of all fields together, then the second ones, and so on. A label names what was
    set: "learning_rate=1e-4,lora.rank=16". Without `sweeps` there is one recipe, unlabeled. Raises UsageError.
    """
    if not sweeps:
        return [("", recipe)]
    fields: dict[str, list[str]] = {}
    for asked in sweeps:
        path, _, values = asked.partition("=")
        _, field, _ = _read(asked, [stage.name for stage in recipe.stages])
        if get_origin(FIELDS[field]) is tuple:
            raise UsageError(
                f"--sweep {asked}: {field} is a list itself, its commas part one value.",
                f"Train once for every value instead: --set {field}=…",
            )
        if path in fields:
            raise UsageError(f"--sweep {path} is given twice.", f"Name all its values in one: --sweep {path}=V1,V2,…")
        fields[path] = [value.strip() for value in values.split(",")]
        if "" in fields[path] or len(set(fields[path])) < len(fields[path]):
            raise UsageError(f"--sweep {asked}: a value is empty or named twice.", f"Such as --sweep {path}=V1,V2")
    counts = {path: len(values) for path, values in fields.items()}
    if paired and len(set(counts.values())) > 1:
        told = ", ".join(f"{path} has {count}" for path, count in counts.items())
        raise UsageError(f"paired sweeps need as many values each: {told}.", "Without pairing, all combinations run.")
    combinations = zip(*fields.values(), strict=True) if paired else itertools.product(*fields.values())
    swept = []
    for values_of_one in combinations:
        settings = [f"{path}={value}" for path, value in zip(fields, values_of_one)]
        swept.append((",".join(settings), apply(recipe, settings)))
    return swept


def tag(label: str) -> str:
    """A sweep's label as a folder may be called: "learning_rate-1e-4_lora.rank-16"."""
    return re.sub(r"[^\w.+-]", "-", label.replace("=", "-").replace(",", "_"))


# Type of every field that can be set, by its path.
FIELDS: Mapping[str, Any] = {name: kind for name, kind in get_type_hints(Stage).items() if name not in FIXED} | {
    LORA + name: kind for name, kind in get_type_hints(Lora).items()
}


def _read(setting: str, stages: Sequence[str]) -> tuple[str, str, str]:
    """Stage ("" for all), field and text of a setting."""
    path, equals, text = (part.strip() for part in setting.partition("="))
    named = ELSEWHERE.get(path.lower().replace("-", "_").removeprefix(LORA), path)
    if named in FIELDS and not equals:
        raise UsageError(f"'{setting}' has no value.", f"Write it as {named}=VALUE.")
    if not equals or not path:
        raise UsageError(f"'{setting}' sets nothing.", "Write FIELD=VALUE or STAGE.FIELD=VALUE: learning_rate=1e-4")
    if path in FIELDS:
        return "", path, text
    head, dot, rest = path.partition(".")
    if head in stages and rest in FIELDS:
        return head, rest, text
    if dot and head not in stages and head not in FIELDS:
        raise UsageError(f"{setting}: no stage is called '{head}'.", f"The stages are: {', '.join(stages)}")
    field = rest if head in stages else path
    asked = field.lower().replace("-", "_")
    known = ELSEWHERE.get(asked.removeprefix(LORA))
    meant = question([known]) if known else did_you_mean(asked, FIELDS)
    raise UsageError(f"{setting}: a stage has no field '{field}'.{meant}", f"All of them: {', '.join(FIELDS)}")


def _value(setting: str, field: str, text: str) -> Any:
    """`text` as the type of `field`, within its range."""
    hint = FIELDS[field]
    if get_origin(hint) is Literal:
        return _one_of(setting, text, {str(choice): choice for choice in get_args(hint)})
    if hint is bool:
        return _one_of(setting, text.lower(), SWITCH)
    if hint == Lora | None:
        if text.lower() != NO_LORA:
            raise UsageError(
                f"{setting}: {NO_LORA} is wanted, which trains all weights.",
                "LoRA's own values are set one by one: lora.rank=16",
            )
        return None
    if hint == tuple[Part, ...]:
        return tuple(_part(setting, part.strip()) for part in text.split(","))
    if hint == tuple[str, ...]:
        names = tuple(name.strip() for name in text.split(","))
        if "" in names:
            raise UsageError(f"{setting}: names with commas between them are wanted, such as q_proj,v_proj.")
        return names
    if hint in (int, float):
        return _number(setting, field, text, hint)
    if field == "prompt" and "{prompt}" not in text:
        raise UsageError(f"{setting}: {{prompt}} has to stand where the example's prompt comes.")
    return text


def _one_of(setting: str, text: str, choices: Mapping[str, Any]) -> Any:
    if text not in choices:
        raise UsageError(f"{setting}: one of these is wanted: {', '.join(choices)}.")
    return choices[text]


def _number(setting: str, field: str, text: str, kind: type) -> float:
    try:
        number = kind(text)
    except ValueError:
        wanted = "a whole number is wanted, such as 8" if kind is int else "a number is wanted, such as "
        raise UsageError(f"{setting}: {wanted}{'' if kind is int else _such_as(field)}.") from None
    least, greatest, words = RANGES[field]
    below = number < greatest  # no range includes its upper end; infinity and NaN are below nothing
    if not below or number < least or (field in ABOVE_ZERO and number == 0):
        raise UsageError(f"{setting}: {field} has to be {words}.")
    assert isinstance(number, int | float)
    return number


def _such_as(field: str) -> str:
    """The default of a field, as a person writes it: 2e-4, 0.05."""
    value = float(getattr(Lora if field.startswith(LORA) else Stage, field.removeprefix(LORA)))
    return f"{value:.0e}".replace("e-0", "e-") if 0 < value < 1e-3 else f"{value:g}"


def _part(setting: str, text: str) -> Part:
    """A part of a mixture: NAME, NAME:SAMPLES, FILE.jsonl or FILE.jsonl:SAMPLES."""
    source, colon, samples = text.rpartition(":")
    if not colon or "/" in samples or samples.endswith(".jsonl"):  # the colon, if any, belongs to a path
        source, samples = text, ""
    if not source or (colon and source != text and not (samples.isdecimal() and int(samples) > 0)):
        raise UsageError(
            f"{setting}: '{text}' names no examples; their number, if any, is 1 or more.",
            "Write NAME, NAME:SAMPLES or FILE.jsonl, with commas between several. Names: medbench list training-sets",
        )
    return Part(source, int(samples or 0))


def _set(stage: Stage, field: str, value: Any) -> Stage:
    why = {**stage.why, field: BY_USER}
    if not field.startswith(LORA):
        return dataclasses.replace(stage, why=why, **{field: value})
    # A value of LoRA's turns LoRA on where all weights were trained.
    lora = dataclasses.replace(stage.lora or Lora(), **{field.removeprefix(LORA): value})
    return dataclasses.replace(stage, why=why, lora=lora)


def _check_whole(stage: Stage, where: str) -> None:
    """Values that cannot stand beside each other."""
    if stage.lora is None and stage.quantize != "none":
        raise UsageError(
            f"without LoRA all weights are trained, and {stage.quantize} weights cannot be{where}.",
            "Add --set quantize=none, or leave LoRA on.",
        )
    if stage.lora is not None and not stage.lora.target_modules:
        raise UsageError(
            f"LoRA has no modules to adapt{where}.",
            "Name linear modules of the architecture, such as T5's: --set lora.target_modules=q,v",
        )
