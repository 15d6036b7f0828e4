"""The keys of an experiment file: what each may hold, and the option of `medbench run` that sets the same."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Literal

# What a text may name besides itself. Such texts are relative to the file (paths.py).
Place = Literal["", "model", "plugin", "path", "maybe"]
Check = Callable[[Any], bool]


@dataclass(frozen=True, slots=True)
class Kind:
    """What a key holds: a check of the value, the expected form in words, and an example of it."""

    fits: Check
    expected: str
    example: str
    place: Place = ""
    comment: str = ""  # for a file that medbench writes


def _whole(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def _number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)


def _text(value: Any) -> bool:
    return isinstance(value, str)


def _is_names(value: Any) -> bool:
    each = value if isinstance(value, list) else [value]
    return bool(each) and all(isinstance(one, str) and one.strip() for one in each)


def names(example: str, place: Place = "", comment: str = "") -> Kind:
    return Kind(_is_names, "a name or a list of names", example, place, comment)


def text(example: str, place: Place = "", comment: str = "") -> Kind:
    return Kind(_text, "a text in quotation marks", f'"{example}"', place, comment)


def count(least: int, example: int, comment: str = "") -> Kind:
    def fits(value: Any) -> bool:
        return _whole(value) and value >= least

    return Kind(fits, f"a whole number, {least} or more", str(example), comment=comment)


def number(example: str, least: float = 0.0, comment: str = "") -> Kind:
    def fits(value: Any) -> bool:
        return _number(value) and value >= least

    return Kind(fits, f"a number, {least:g} or more", example, comment=comment)


def switch(comment: str = "") -> Kind:
    return Kind(lambda value: isinstance(value, bool), "true or false", "true", comment=comment)


def one_of(*choices: str, comment: str = "") -> Kind:
    quoted = ", ".join(f'"{choice}"' for choice in choices)
    return Kind(lambda value: value in choices, f"one of {quoted}", f'"{choices[0]}"', comment=comment)


def texts_by_name(example: str, comment: str = "") -> Kind:
    def fits(value: Any) -> bool:
        return isinstance(value, dict) and all(map(_text, value.values()))

    return Kind(fits, "a table of texts", example, comment=comment)


def _plain(value: Any) -> bool:
    one = isinstance(value, str | bool) or _number(value)
    return one or (isinstance(value, list) and bool(value) and all(isinstance(each, str) for each in value))


def values_by_name(example: str, comment: str = "") -> Kind:
    """A table whose values are texts, numbers, switches or lists of texts. Dotted keys may be written as tables."""

    def fits(value: Any) -> bool:
        return isinstance(value, dict) and all(map(_plain, flat(value).values()))

    return Kind(fits, "a table of values", example, comment=comment)


def flat(table: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """Return a table with dotted keys in place of tables inside it: {"lora": {"rank": 8}} is {"lora.rank": 8}."""
    found: dict[str, Any] = {}
    for name, value in table.items():
        found |= flat(value, f"{prefix}{name}.") if isinstance(value, dict) else {f"{prefix}{name}": value}
    return found


def _is_price(value: Any) -> bool:
    return isinstance(value, list) and len(value) == 2 and all(_number(each) and each >= 0 for each in value)


EFFORTS = ("none", "minimal", "low", "medium", "high", "xhigh", "max")
MODEL_OPTIONS: Mapping[str, Kind] = {
    "adapter": text("adapters/mine", "maybe", "a PEFT adapter for the model: folder or hub id"),
    "dtype": one_of("auto", "float32", "bfloat16", "float16"),
    "quantize": one_of("nf4", "int8", "none", comment="load the weights quantized"),
    "device": text("cpu"),
    "revision": text("v1.0", comment="commit, branch or tag of a hub model"),
    "chat": one_of("auto", "always", "never", comment="when to apply the model's chat template"),
    "think": one_of("auto", "on", "off", comment="whether a reasoning model reasons before its answer"),
    "reasoning_effort": one_of(*EFFORTS),
    "engine": text("transformers", "plugin"),
    "base_url": text("http://localhost:11434/v1", comment="server of openai:NAME, groq:NAME"),
    "engine_options": values_by_name('{ map = "id=qid,text=response" }', "settings of one engine alone"),
    "trust_remote_code": switch("run Python code that comes with a model"),
}
RUN: Mapping[str, Kind] = {
    "benchmarks": names('["medqa", "pubmedqa"]', "plugin"),
    "suites": names('["quick"]'),
    "protocols": names('["direct", "cot"]', comment="how questions are asked; several are several runs"),
    "limit": count(1, 50, "items of each benchmark, the same for every model"),
    "items": text("ids.txt", "path", "only the item ids in this file"),
    "columns": texts_by_name('{ question = "Case", answer = "Key" }', "columns of a table of questions"),
    "shots": count(0, 5, "solved examples before each question"),
    "seed": Kind(_whole, "a whole number", "0"),
    "system": text("You are a family doctor.", "maybe", "system text, or a file with it"),
    "choice": one_of("auto", "logprob", "generate", comment="how multiple-choice items are asked"),
    "max_new_tokens": count(1, 256, "token limit of an answer"),
    "temperature": number("0.7"),
    "top_p": number("0.95"),
    "samples": count(1, 5, "answers to each item"),
    "permute_options": count(1, 4, "orders of the options of each item"),
    "prompt_variants": switch("ask each item in three wordings"),
    "retrieve": text("medquad", "maybe", "put passages of this corpus into the prompts"),
    "passages": count(1, 3, "passages per prompt"),
    "metrics": names('["accuracy", "rouge1"]', "plugin", "instead of the benchmarks' own"),
    "entity_model": text("en_core_sci_sm", "maybe", "spaCy pipeline of the entity metrics"),
    "latency_items": count(0, 5, "requests to time one at a time"),
    "data": text("releases", "path", "folder of official releases"),
    "data_revisions": texts_by_name('{ "owner/name" = "main" }', "hub data sets at a commit, tag or branch"),
    "out": text("runs", "path", "folder of runs"),
    "report_to": names('["mlflow"]', comment="experiment trackers that get figures and answers"),
}
LIMITS: Mapping[str, Kind] = {
    "concurrency": count(1, 8, "requests to a server in flight at once"),
    "requests_per_minute": count(1, 60),
    "tokens_per_minute": count(1, 100_000),
}
JUDGES: Mapping[str, Kind] = {
    "names": names('["groq"]'),
    "mode": one_of("reference", "rubric", "grades", "criteria", "statements", "harmfulness"),
    "per": one_of("item", "criterion"),
    "base_url": text("http://localhost:8000/v1"),
    "price": Kind(_is_price, "two numbers, USD per million prompt and new tokens", "[0.15, 0.60]"),
    "max_calls": count(0, 500, "retries included"),
    "max_cost": number("0.50", comment="USD, estimated"),
    **LIMITS,
    "timeout": number("120.0", comment="seconds to wait for one reply"),
}
MODEL: Mapping[str, Kind] = {"name": text("smollm2-135m", "model"), **MODEL_OPTIONS}
TRAIN: Mapping[str, Kind] = {
    "model": text("smollm2-135m", "model", "a zoo entry with a recipe, or a .py file with one"),
    "tag": text("short", comment="the adapter runs as MODEL@TAG"),
    "settings": values_by_name("{ learning_rate = 5e-4, lora.rank = 8 }", "changes to the recipe"),
    "max_steps": count(1, 100, "optimizer steps per stage at most"),
    "seed": Kind(_whole, "a whole number", "0"),
    "device": text("cpu"),
    "revision": text("v1.0", comment="commit, branch or tag of a hub model"),
    "trust_remote_code": switch(),
    "processes": count(1, 2, "one per GPU, or several on CPU cores"),
    "allow_leak": names('["medquad"]', comment="benchmarks whose own items may be trained on"),
    "leave_out_leaks": switch("train without examples that contain benchmark items"),
    "data_revisions": texts_by_name('{ "owner/name" = "main" }'),
}
COMPARE: Mapping[str, Kind] = {
    "models": names('["smollm2-135m", "smollm2-135m@short"]', "model", "tested in pairs on the items they share"),
    "metrics": names('["accuracy"]', "plugin"),
}
REPORT: Mapping[str, Kind] = {
    "out": text("pages", "path", "folder of the pages"),
    "title": text("medbench report"),
}


@dataclass(frozen=True, slots=True)
class Section:
    """A table of the file: its keys, which of them it must have, and whether there may be several (`[[name]]`)."""

    keys: Mapping[str, Kind]
    several: bool = False
    needs: tuple[str, ...] = ()


TOP: Mapping[str, Kind] = {**RUN, **MODEL_OPTIONS, **LIMITS}
SECTIONS: Mapping[str, Section] = {
    "models": Section(MODEL, several=True, needs=("name",)),
    "judges": Section(JUDGES, needs=("names",)),
    "train": Section(TRAIN, several=True, needs=("model",)),
    "compare": Section(COMPARE, several=True, needs=("models",)),
    "report": Section(REPORT),
}
