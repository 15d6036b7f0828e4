"""Suggestions for option names of other tools, and for names given without their option."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import click

from ..core.suggest import nearest, question
from .options import visible

NAMED = 3  # commands that have an option, in a message

# Our options, each with its names in other tools (lm-evaluation-harness, inspect, lighteval, HELM, vLLM, transformers).
ELSEWHERE: Mapping[str, str] = {
    "--adapter": "adapter-path delta lora lora-adapter lora-path peft",
    "--base-url": "api-base api-url endpoint host model-base-url openai-api-base server server-url",
    "--benchmark": "bench benchmarks dataset datasets eval evals t task tasks",
    "--chat": "apply-chat-template chat-template use-chat-template",
    "--choice": "cloze log-likelihood loglikelihood method multiple-choice",
    "--concurrency": "max-connections max-workers num-concurrent num-workers parallel threads workers",
    "--data": "data-dir data-path dataset-dir dataset-path root",
    "--device": "accelerator cuda device-id device-map gpu gpus",
    "--dtype": "bf16 bfloat16 float16 float32 fp16 half precision torch-dtype",
    "--engine": "backend provider runtime",
    "--judge": "grader grader-model grader-models judge-model judge-models judges",
    "--limit": "examples first items-limit limit-samples max-examples max-instances max-items max-samples n n-items "
    "num-examples num-items num-samples subset",
    "--max-new-tokens": "max-completion-tokens max-gen-tokens max-gen-toks max-length max-output-tokens max-tokens",
    "--max-judge-cost": "budget cost-limit max-budget max-cost",
    "--metrics": "metric score scores scorer scorers",
    "--model": "base-model checkpoint hf-model model-id model-name model-name-or-path model-path models pretrained",
    "--num-processes": "nproc nproc-per-node num-gpus world-size",
    "--out": "dir log-dir o out-dir output output-dir output-folder output-path results results-dir save-dir",
    "--paired": "zip",
    "--quantize": "4bit 8bit bits load-in-4bit load-in-8bit quant quantization quantized",
    "--quiet": "silent",
    "--report-to": "logger mlflow tensorboard tracker trackers trackio wandb wandb-args weave",
    "--reasoning-effort": "effort thinking-effort",
    "--requests-per-minute": "max-rpm rate-limit rpm",
    "--samples": "num-generations num-repeats num-return-sequences repeats",
    "--seed": "fewshot-seed random-seed",
    "--set": "override overrides",
    "--shots": "few-shot fewshot k n-shot n-shots nshot num-fewshot num-shots shot",
    "--sort": "order order-by sort-by",
    "--suite": "group groups preset suites",
    "--tag": "adapter-name name run-name",
    "--temperature": "temp",
    "--tensor-parallel": "tensor-parallel-size tp tp-size",
    "--think": "enable-thinking reasoning thinking",
    "--tokens-per-minute": "max-tpm tpm",
    "--where": "filter filters query",
}
# Options of other tools that have no option here, each with what to do instead.
INSTEAD: Mapping[str, str] = {
    "api-key key openai-api-key groq-api-key": "Keys are read from OPENAI_API_KEY and GROQ_API_KEY.",
    "batch batch-size bs max-batch-size auto-batch": "Batch sizes follow from the free memory.",
    "config config-file config-path run-config yaml": "A file that says what to run is an argument, not an option: "
    "medbench run experiment.toml. Its keys: docs/experiments.md",
    "do-sample gen-kwargs generation-kwargs num-beams top-k": "Answers are decoded greedily unless you give "
    "--temperature. A model entry of your own sets its generation: docs/add-a-model.md",
    "force no-cache overwrite overwrite-output-dir rerun": "Stored answers are reused. To ask again, name another "
    "folder with --out.",
    "format output-format": "Each format is an option of its own: --json, --csv FILE, --markdown FILE.",
    "hf-token hub-token token": "The hub's token is read from HF_TOKEN.",
    "log-samples save-samples write-out": "Every prompt and answer is always stored: medbench show RUN ITEM",
    "model-args model-kwargs": "Give the model with --model and each setting as an option of its own: --revision, "
    "--dtype, --adapter, --quantize, --device.",
    "continue restart-from resume use-cache": "The same command continues where it stopped.",
    "debug v verbose verbosity": "Progress goes to stderr, answers and scores to the run's folder; there "
    "is no log level.",
}
# Our commands, each with its names in other tools.
COMMANDS: Mapping[str, str] = {
    "compare": "diff versus vs",
    "doctor": "check env environment info status",
    "explain": "why",
    "fetch": "download pull",
    "leaderboard": "board rank ranking results summary table",
    "list": "ls",
    "list benchmarks": "benchmarks datasets tasks",
    "list metrics": "metrics",
    "list models": "models zoo",
    "list runs": "history runs",
    "run": "bench benchmark eval evaluate infer predict test",
    "score": "judge rescore grade",
    "show": "inspect open samples",
    "train": "finetune fine-tune fit sft tune",
}
# Plugin names given without their option: the registry's group, and the option that takes the name.
NAMED_BY = {"benchmarks": "--benchmark", "zoo": "--model", "metrics": "--metrics", "judges": "--judge"}

NO_NUMBER = re.compile(r"(?P<given>.*) is not (?:in the range |a valid (?:integer|float))", re.S)  # click's words


def commands_for(given: str, ours: Collection[str]) -> list[str]:
    """Return the commands that a name probably means: by its use in other tools, else by spelling."""
    meant = [command for command, names in COMMANDS.items() if given.lower() in names.split()]
    return meant or nearest(given, ours)


def explained(error: click.UsageError, words: Sequence[str]) -> click.UsageError:
    """Return the error with a suggestion of what the user probably meant by `words`."""
    context = error.ctx
    if context is None:
        return error
    if isinstance(error, click.BadParameter) and error.param and (said := NO_NUMBER.match(error.message)):
        wanted = _number(error.param.type)
        error = click.BadParameter(f"{said['given']} is not {wanted}.", context, error.param, error.param_hint)
    if isinstance(error, click.BadParameter) and (listed := _listed(context, words)):
        return click.UsageError(f"medbench list has no '{words[0]}'. Did you mean {listed}?", context)
    if isinstance(error, click.NoSuchOption):
        meant = _option(context, error.option_name)
        return click.UsageError(" ".join(filter(None, [f"No such option '{error.option_name}'.", meant])), context)
    if meant := " ".join(filter(None, (option_for(context, word) for word in _unnamed(context, words)))):
        return click.UsageError(f"{error.format_message().rstrip('.')}. Did you mean {meant}?", context)
    return error


def _number(kind: click.types.ParamType[Any]) -> str:
    """Return what a number must be, in words: "a whole number of at least 1"."""
    number = "a whole number" if isinstance(kind, click.types.IntParamType) else "a number"
    if not isinstance(kind, click.IntRange | click.FloatRange):
        return number
    if kind.min is not None and kind.max is not None and not (kind.min_open or kind.max_open):
        return f"{number} from {kind.min:g} to {kind.max:g}"
    low = "" if kind.min is None else f"above {kind.min:g}" if kind.min_open else f"of at least {kind.min:g}"
    high = "" if kind.max is None else f"below {kind.max:g}" if kind.max_open else f"at most {kind.max:g}"
    return " ".join([number, " and ".join(filter(None, [low, high]))]).strip()


def _listed(context: click.Context, words: Sequence[str]) -> str:
    """Return the command that the first word of `medbench list` probably means, by its use in other tools, else by
    spelling; "" if it is not known.
    """
    if context.info_name != "list" or not words:
        return ""
    found = (command for command, names in COMMANDS.items() if words[0].lower() in names.split())
    named = [command for command in found if command.startswith("list ")]
    kinds = next(each.type.choices for each in context.command.params if isinstance(each.type, click.Choice))
    spelled = [f"list {near}" for near in nearest(words[0], kinds)]
    return next((f"medbench {command}" for command in [*named, *spelled]), "")


def _option(context: click.Context, given: str) -> str:
    """Return what to use instead of an option that the command does not have; "" if unknown."""
    command, name = context.command, given.lstrip("-").replace("_", "-").lower()
    shown = [spelling for parameter in command.get_params(context) for spelling in visible(parameter)]
    ours = next((option for option, names in ELSEWHERE.items() if name in names.split()), f"--{name}")
    if ours in shown:
        return f"Did you mean {ours}?"
    if "--set" in shown and (field := _field(name)):
        return f"Did you mean --set {field}=VALUE?"
    for names, sentence in INSTEAD.items():
        if name in names.split():
            return sentence
    if others := list(_commands_with(context, ours)):
        more = " and others" if len(others) > NAMED else ""
        return f"{ours} is an option of {', '.join(others[:NAMED])}{more}."
    if field := _field(name):
        return f"A recipe is changed by: medbench train --set {field}=VALUE"
    near = [f"--{each}" for each in nearest(name, [known.lstrip("-") for known in shown], cutoff=0.6)]
    return question(near).strip() if near else f"All options: {context.command_path} --help"


def _field(name: str) -> str:
    """Return the field of a training recipe that other tools, or we, call `name`."""
    from ..training import overrides

    field = name.replace("-", "_")
    return field if field in overrides.FIELDS else overrides.ELSEWHERE.get(field, "")


def _commands_with(context: click.Context, option: str) -> Iterator[str]:
    root = context.find_root()
    assert isinstance(root.command, click.Group)
    for name in root.command.list_commands(root):
        command = root.command.get_command(root, name)
        if command and any(option in visible(parameter) for parameter in command.params):
            yield f"medbench {name}"


def _unnamed(context: click.Context, words: Sequence[str]) -> list[str]:
    """Return the words that belong to no option and no argument of the command."""
    if isinstance(context.command, click.Group):
        return []
    try:
        found, left, _ = context.command.make_parser(context).parse_args(list(words))
    except click.UsageError:
        return []
    taken = found.get("experiment")  # the argument of `medbench run`, which takes files alone
    words = taken if isinstance(taken, tuple | list) else ()
    return [*left, *(word for word in words if not word.lower().endswith(".toml"))]


def option_for(context: click.Context, word: str) -> str:
    """Return the option that takes a name, with the name; "" if the command has none for it."""
    from ..core import registry
    from ..evaluation.suite import SUITES

    known = [spelling for parameter in context.command.params for spelling in visible(parameter)]
    if word in SUITES and "--suite" in known:
        return f"--suite {word}"
    for group in registry.GROUPS:
        option = NAMED_BY.get(group, "")
        if option in known and word.partition(":")[0] in registry.names(group):
            return f"{option} {word}"
    if "--model" in known and (Path(word).exists() or "/" in word or "@" in word):
        return f"--model {word}"
    return ""
