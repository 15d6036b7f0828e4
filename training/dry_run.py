"""Describe a training without running it: recipe, tokens, steps, memory, disk, time. None means unknown."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from ..core.errors import MedbenchError, UsageError
from ..core.resources import is_cpu
from ..evaluation.workload import CHARACTERS_PER_TOKEN, NEW_TOKEN_COST
from ..zoo.recipe import BY_USER, Stage
from . import architecture, development, estimate, leak_check
from .data import StageData, prepare
from .development import Development
from .encode import Encodings, shown
from .prepare import as_tokens, left_out_of
from .record import planned
from .request import Request, Tell, check, on_the_same_data, revision_of
from .sweep import Variant

LORA_FIELDS = ("rank", "alpha", "dropout", "target_modules", "rslora")
SAMPLE_TOKENS = 512  # of the example that is shown
NF4_ONLY = ("double_quant",)


def describe(request: Request, tell: Tell = lambda line: None) -> dict[str, Any]:
    """Return the resolved recipe and what it needs, as plain JSON data. Nothing is downloaded, converted or written.

    Raises UsageError for a request that `train` would refuse before loading anything.
    """
    from ..core.types import ModelSpec
    from ..engines.hf.loading import opened, settle
    from ..zoo.weights import remote_code
    from ..zoo.weights.sources import at_hand

    check(request)
    request = on_the_same_data(request)
    entry = request.entry
    here = at_hand(entry, revision_of(request))
    trusted = bool(here) and remote_code.settle(Path(here or ""), request.trust_remote_code, entry.name, tell)
    source = opened(str(here), True)[0] if trusted else str(here) if here else dict(entry.config)
    device = settle(ModelSpec(entry.name, "", "", device=request.device)).device
    loaded = [_loaded(request, stage) for stage in request.recipe.stages]
    known = [data for data in loaded if isinstance(data, StageData)]
    left_out = left_out_of(request, known, tell)
    stages = [
        _stage(request, stage, data, left_out, source, str(here or ""), device, trusted)
        for stage, data in zip(request.recipe.stages, loaded, strict=True)
    ]
    unchecked = leak_check.scored_items(request.source)[1] if request.leave_out_leaks else {}
    return {
        "model": entry.name,
        "adapter": request.name,
        "folder": str(request.folder),
        "weights": entry.weights,
        "weights_here": bool(here),
        "recipe_source": request.recipe.source,
        "notes": list(request.recipe.notes),
        "device": device,
        "processes": request.processes,
        "seed": request.seed,
        "stages": stages,
        **({"leaks_unchecked": unchecked} if request.leave_out_leaks else {}),
    }


def describe_sweep(planned: Sequence[Variant], ranked_on: Development | None, tell: Tell) -> dict[str, Any]:
    """Return `describe` of every variant with its label, and what ranking them costs; None without a ranking."""
    found = [{"variant": each.label, **describe(each.request, tell)} for each in planned]
    cost = None if ranked_on is None else _cost(ranked_on, planned[0].request.entry.parameters, found[0]["device"])
    return {"variants": found, "ranking": cost}


def _cost(found: Development, parameters: int, device: str) -> dict[str, Any]:
    """Return what a ranking takes. Tokens of prompts are estimated from their length; answers have at most so many."""
    benchmark, items = found.benchmark, found.items
    characters = sum(len(benchmark.instruction(item)) + len(benchmark.question(item)) for item in items)
    prompt_tokens = found.models * characters // CHARACTERS_PER_TOKEN
    written = 0 if items[0].options else found.models * len(items) * benchmark.max_new_tokens
    work = 2 * parameters * (prompt_tokens + NEW_TOKEN_COST * written)
    return {
        "benchmark": benchmark.name,
        "metric": found.metric,
        "models": found.models,
        "items": len(items),
        "pool": found.pool,
        "leaked": list(found.leaked.all),
        "tests": found.tests,
        "detectable_sd": development.detectable(found.units, found.tests),
        "prompt_tokens": prompt_tokens,
        "new_tokens": written,
        "seconds": work / (estimate.rate(device) * estimate.EFFICIENCY["cpu" if is_cpu(device) else "cuda"]),
        "sentences": development.sentences(found),
    }


def _loaded(request: Request, stage: Stage) -> StageData | MedbenchError:
    """Return the data of a stage, or why it is not available. Raises UsageError for an unknown set or file."""
    try:
        return prepare(stage, request.source, request.seed)
    except UsageError:  # a data set or file that does not exist
        raise
    except MedbenchError as error:
        return error


def _stage(
    request: Request,
    stage: Stage,
    loaded: StageData | MedbenchError,
    left_out: leak_check.LeftOut,
    source: Any,
    folder: str,
    device: str,
    trusted: bool,
) -> dict[str, Any]:
    found: dict[str, Any] = {"name": stage.name, "fields": fields(stage, request.max_steps), "unknown": []}
    data: StageData | None = None
    rows: int | None = sum(part.samples for part in stage.data) or None
    if not all(part.samples for part in stage.data):
        rows = None
    if isinstance(loaded, MedbenchError):
        found["unknown"].append(f"examples, tokens and time. {loaded}")
        found |= {"examples": None, "held_out": None, "data_notes": []}
    else:
        data = leak_check.without(loaded, left_out)
        rows = len(data.train)
        found |= {"examples": rows, "held_out": len(data.held_out), "data_notes": list(data.notes)}
        if request.leave_out_leaks:
            found["left_out"] = {e.id: list(left_out[e.id]) for e in loaded.train if e.id in left_out}
    train: Encodings | None = None
    if data and folder:
        train, held_out = as_tokens(request, stage, data, folder, trusted)
        looked_at = held_out.tokens
        rows = len(train.rows)
        found |= {
            "tokens": train.tokens,
            "learned_tokens": train.learned,
            "answers_cut": train.cut_answers,
            "dropped": len(train.dropped),
            "example": _example(train, folder, trusted),
        }
    else:
        looked_at = 0
        found |= dict.fromkeys(("tokens", "learned_tokens", "answers_cut", "dropped", "example"))
        if data:
            found["unknown"].append(
                f"tokens and time. The tokenizer of {request.entry.weights} is not on this machine."
            )
    limited = dataclasses.replace(stage, steps=planned(request, stage, rows)) if rows else stage
    found["steps"] = limited.steps or request.max_steps or None
    found["examples_per_step"] = stage.batch_size * stage.gradient_accumulation_steps * request.processes
    if not source:
        found["unknown"].append("memory and disk. The entry has no configuration.")
        return found | dict.fromkeys(("parameters", "trainable", "memory", "memory_bytes", "disk_bytes", "seconds"))
    sizes, trained = architecture.shape(source), architecture.trainable(source, stage)
    longest = max((len(row["input_ids"]) for row in train.rows), default=0) if train else 0
    memory = estimate.memory(source, stage, device, longest)
    found |= {
        "parameters": request.entry.parameters,
        "trainable": trained,
        "memory": dataclasses.asdict(memory),
        "memory_bytes": memory.total,
        "disk_bytes": estimate.disk(sizes, trained, stage),
        "seconds": None,
    }
    if train:
        lengths = [len(row["input_ids"]) for row in train.rows]
        run_tokens = estimate.tokens(limited, lengths, request.processes)
        looks = 2 + limited.steps // stage.eval_steps if looked_at else 0
        found["seconds"] = estimate.seconds(sizes, stage, run_tokens, estimate.rate(device), device, looks * looked_at)
    return found


def fields(stage: Stage, max_steps: int = 0) -> list[dict[str, str]]:
    """Return every value of a stage that has an effect, as text, with its reason. `max_steps`: the user's limit."""
    found = []
    for field in dataclasses.fields(stage):
        if field.name in ("name", "why") or (field.name in NF4_ONLY and stage.quantize == "none"):
            continue
        value = getattr(stage, field.name)
        if field.name == "lora" and value is not None:
            found += [
                {
                    "field": f"lora.{name}",
                    "value": _words(getattr(value, name)),
                    "reason": stage.reason(f"lora.{name}"),
                }
                for name in LORA_FIELDS
            ]
            continue
        if field.name == "disclaimer_text" and not stage.disclaimer:
            continue
        shown, reason = _words(value), stage.reason(field.name)
        if field.name == "steps" and max_steps and not 0 < stage.steps <= max_steps:
            shown, reason = f"at most {max_steps}", BY_USER
        found.append({"field": field.name, "value": shown, "reason": reason})
    return found


def _words(value: Any) -> str:
    if isinstance(value, bool):
        return "on" if value else "off"
    if value is None:
        return "none"
    if isinstance(value, tuple):
        return ", ".join(map(str, value))
    return f"{value:g}" if isinstance(value, float) else str(value)


def _example(train: Encodings, folder: str, trusted: bool) -> list[tuple[str, bool]] | None:
    """Return the shortest row as pieces of text, each with whether it is learned."""
    from ..engines.hf.loading import opened

    if not train.rows:
        return None
    row = min(train.rows, key=lambda row: len(row["input_ids"]))
    return shown(row, opened(folder, trusted)[1]) if len(row["input_ids"]) <= SAMPLE_TOKENS else None
