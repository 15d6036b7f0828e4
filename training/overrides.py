"""Apply settings to a recipe: `--set learning_rate=1e-4`, `--sweep lora.rank=8,16`."""

from __future__ import annotations

import dataclasses
import itertools
import math
import re
from collections.abc import Mapping, Sequence
from typing import Any, Literal, get_args, get_origin, get_type_hints

from ..core.errors import UsageError
from ..core.suggest import did_you_mean, question
from ..zoo.recipe import BY_USER, RENAMED, Lora, Part, Recipe, Stage

FIXED = ("name", "why")  # fields of a stage that cannot be set
SWITCH = {"on": True, "true": True, "yes": True, "off": False, "false": False, "no": False}
NO_LORA = "none"
LORA = "lora."  # prefix of the fields of a stage's LoRA

# Minimum, excluded maximum, and the range in words.
RANGES: Mapping[str, tuple[float, float, str]] = {
    "max_length": (8, math.inf, "8 or more"),
    "lora.rank": (1, math.inf, "1 or more"),
    "lora.alpha": (1, math.inf, "1 or more"),
    "lora.dropout": (0, 1, "at least 0 and below 1"),
    "neftune_alpha": (0, math.inf, "0 (no noise) or more"),
    "learning_rate": (0, 1, "above 0 and below 1"),
    "warmup_ratio": (0, 1, "at least 0 and below 1, a share of the steps"),
    "weight_decay": (0, math.inf, "0 or more"),
    "max_grad_norm": (0, math.inf, "0 (no clipping) or more"),
    "batch_size": (1, math.inf, "1 or more"),
    "gradient_accumulation_steps": (1, math.inf, "1 or more"),
    "epochs": (0, math.inf, "above 0"),
    "steps": (0, math.inf, "0 (by epochs) or more"),
    "eval_examples": (0, math.inf, "0 (none) or more"),
    "eval_steps": (1, math.inf, "1 or more"),
    "save_steps": (1, math.inf, "1 or more"),
}
ABOVE_ZERO = ("learning_rate", "epochs")

# Names of these fields in transformers, PEFT, TRL and other tools.
ELSEWHERE: Mapping[str, str] = {
    "alpha": "lora.alpha",
    "batch": "batch_size",
    "bf16": "compute_dtype",
    "bs": "batch_size",
    "clip": "max_grad_norm",
    "dropout": "lora.dropout",
    "fp16": "compute_dtype",
    "gradient_accumulation": "gradient_accumulation_steps",
    "load_in_4bit": "quantize",
    "lora_alpha": "lora.alpha",
    "lora_dropout": "lora.dropout",
    "lora_r": "lora.rank",
    "lr": "learning_rate",
    "lr_scheduler_type": "lr_scheduler",
    "max_seq_length": "max_length",
    "max_steps": "steps",
    "num_epochs": "epochs",
    "num_train_epochs": "epochs",
    "optim": "optimizer",
    "per_device_train_batch_size": "batch_size",
    "r": "lora.rank",
    "rank": "lora.rank",
    "scheduler": "lr_scheduler",
    "seq_len": "max_length",
    "target_modules": "lora.target_modules",
    "train_batch_size": "batch_size",
    "wd": "weight_decay",
    **RENAMED,
}


def apply(recipe: Recipe, settings: Sequence[str]) -> Recipe:
    """Return `recipe` with every "FIELD=VALUE" set in all stages, and every "STAGE.FIELD=VALUE" in one.

    Later settings win. A value that was set has the reason BY_USER. Raises UsageError for a stage, field or value that
    does not exist, and for values that contradict each other.
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
    """Return a label and a recipe for every combination of the values in `sweeps`, each "FIELD=V1,V2,…".

    `paired` combines the first values of all fields, then the second ones, and so on. A label names what was set:
    "learning_rate=1e-4,lora.rank=16". Without `sweeps` there is one recipe, unlabeled. Raises UsageError.
    """
    if not sweeps:
        return [("", recipe)]
    fields: dict[str, list[str]] = {}
    for asked in sweeps:
        path, _, values = asked.partition("=")
        _, field, _ = _read(asked, [stage.name for stage in recipe.stages])
        if get_origin(FIELDS[field]) is tuple:
            raise UsageError(
                f"--sweep {asked}: {field} is itself a list with commas, so it cannot be swept.",
                f"Train once per value instead: --set {field}=…",
            )
        if path in fields:
            raise UsageError(f"--sweep {path} is given twice.", f"Give all values at once: --sweep {path}=V1,V2,…")
        fields[path] = [value.strip() for value in values.split(",")]
        if "" in fields[path] or len(set(fields[path])) < len(fields[path]):
            raise UsageError(f"--sweep {asked}: a value is empty or repeated.", f"Example: --sweep {path}=V1,V2")
    counts = {path: len(values) for path, values in fields.items()}
    if paired and len(set(counts.values())) > 1:
        each = ", ".join(f"{path} has {count}" for path, count in counts.items())
        raise UsageError(
            f"paired sweeps need the same number of values: {each}.", "Without --paired, all combinations run."
        )
    combinations = zip(*fields.values(), strict=True) if paired else itertools.product(*fields.values())
    swept = []
    for values_of_one in combinations:
        settings = [f"{path}={value}" for path, value in zip(fields, values_of_one)]
        swept.append((",".join(settings), apply(recipe, settings)))
    return swept


def tag(label: str) -> str:
    """Return a sweep's label as a valid folder name: "learning_rate-1e-4_lora.rank-16"."""
    return re.sub(r"[^\w.+-]", "-", label.replace("=", "-").replace(",", "_"))


def _types(owner: type, prefix: str = "") -> dict[str, Any]:
    hints = get_type_hints(owner)
    return {prefix + field.name: hints[field.name] for field in dataclasses.fields(owner) if field.name not in FIXED}


# Type of every field that can be set, by its path.
FIELDS: Mapping[str, Any] = _types(Stage) | _types(Lora, LORA)


def _read(setting: str, stages: Sequence[str]) -> tuple[str, str, str]:
    """Split a setting into stage ("" for all), field and text."""
    path, equals, text = (part.strip() for part in setting.partition("="))
    before, dot, last = path.rpartition(".")
    path = before + dot + RENAMED.get(last, last)
    named = ELSEWHERE.get(path.lower().replace("-", "_").removeprefix(LORA), path)
    if named in FIELDS and not equals:
        raise UsageError(f"'{setting}' has no value.", f"Write {named}=VALUE.")
    if not equals or not path:
        raise UsageError(f"'{setting}' sets nothing.", "Write FIELD=VALUE or STAGE.FIELD=VALUE: learning_rate=1e-4")
    if path in FIELDS:
        return "", path, text
    head, dot, rest = path.partition(".")
    if head in stages and rest in FIELDS:
        return head, rest, text
    if dot and head not in stages and head not in FIELDS:
        raise UsageError(f"{setting}: there is no stage '{head}'.", f"The stages: {', '.join(stages)}")
    field = rest if head in stages else path
    asked = field.lower().replace("-", "_")
    known = ELSEWHERE.get(asked.removeprefix(LORA))
    meant = question([known]) if known else did_you_mean(asked, FIELDS)
    raise UsageError(f"{setting}: there is no field '{field}'.{meant}", f"All fields: {', '.join(FIELDS)}")


def _value(setting: str, field: str, text: str) -> Any:
    """Convert `text` to the type of `field` and check its range."""
    hint = FIELDS[field]
    if get_origin(hint) is Literal:
        return _one_of(setting, text, {str(choice): choice for choice in get_args(hint)})
    if hint is bool:
        return _one_of(setting, text.lower(), SWITCH)
    if hint == Lora | None:
        if text.lower() != NO_LORA:
            raise UsageError(
                f"{setting}: the only value is {NO_LORA}, which trains all weights.",
                "Set LoRA's own values one by one: lora.rank=16",
            )
        return None
    if hint == tuple[Part, ...]:
        return tuple(_part(setting, part.strip()) for part in text.split(","))
    if hint == tuple[str, ...]:
        names = tuple(name.strip() for name in text.split(","))
        if "" in names:
            raise UsageError(f"{setting}: expected names separated by commas, such as q_proj,v_proj.")
        return names
    if hint in (int, float):
        return _number(setting, field, text, hint)
    if field == "prompt" and "{prompt}" not in text:
        raise UsageError(f"{setting}: {{prompt}} is missing; it marks where the example's prompt goes.")
    return text


def _one_of(setting: str, text: str, choices: Mapping[str, Any]) -> Any:
    if text not in choices:
        raise UsageError(f"{setting}: expected one of {', '.join(choices)}.")
    return choices[text]


def _number(setting: str, field: str, text: str, kind: type) -> float:
    try:
        number = kind(text)
    except ValueError:
        expected = "a whole number, such as 8" if kind is int else f"a number, such as {_default(field)}"
        raise UsageError(f"{setting}: expected {expected}.") from None
    least, greatest, words = RANGES[field]
    below = number < greatest  # false for infinity and NaN
    if not below or number < least or (field in ABOVE_ZERO and number == 0):
        raise UsageError(f"{setting}: {field} must be {words}.")
    assert isinstance(number, int | float)
    return number


def _default(field: str) -> str:
    """Return the default of a field as people write it: 2e-4, 0.05."""
    value = float(getattr(Lora if field.startswith(LORA) else Stage, field.removeprefix(LORA)))
    return f"{value:.0e}".replace("e-0", "e-") if 0 < value < 1e-3 else f"{value:g}"


def _part(setting: str, text: str) -> Part:
    """Read a part of a mixture: NAME, NAME:SAMPLES, FILE.jsonl or FILE.jsonl:SAMPLES."""
    source, colon, samples = text.rpartition(":")
    if not colon or "/" in samples or samples.endswith(".jsonl"):  # the colon is part of a path
        source, samples = text, ""
    if not source or (colon and source != text and not (samples.isdecimal() and int(samples) > 0)):
        raise UsageError(
            f"{setting}: '{text}' is not a training set; the number of samples must be 1 or more.",
            "Write NAME, NAME:SAMPLES or FILE.jsonl, separated by commas. Names: medbench list training-sets",
        )
    return Part(source, int(samples or 0))


def _set(stage: Stage, field: str, value: Any) -> Stage:
    why = {**stage.why, field: BY_USER}
    if not field.startswith(LORA):
        return dataclasses.replace(stage, why=why, **{field: value})
    # Setting a value of LoRA turns LoRA on.
    lora = dataclasses.replace(stage.lora or Lora(), **{field.removeprefix(LORA): value})
    return dataclasses.replace(stage, why=why, lora=lora)


def _check_whole(stage: Stage, where: str) -> None:
    """Raise UsageError for values that contradict each other."""
    if stage.lora is None and stage.quantize != "none":
        raise UsageError(
            f"without LoRA all weights are trained, and {stage.quantize} weights cannot be trained{where}.",
            "Add --set quantize=none, or keep LoRA on.",
        )
    if stage.lora is not None and not stage.lora.target_modules:
        raise UsageError(
            f"LoRA has no target modules{where}.",
            "Name linear modules of the architecture. For T5: --set lora.target_modules=q,v",
        )
