"""The options of `medbench run`, in the groups that its help shows."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import click
import cloup

from ..core.text_or_file import text_or_file
from . import completion
from .judge_options import judge_option, judge_options
from .model_options import (
    ADAPTER,
    BASE_URL,
    DEVICE,
    DTYPE,
    QUANTIZE,
    REASONING_EFFORT,
    REVISION,
    THINK,
    TRUST_REMOTE_CODE,
)
from .options import REPORTED, RUNS_FOLDER, FilePath, report_to

MOST_USED = cloup.option_group(
    "Most used",
    click.option(
        "--model",
        "-m",
        "models",
        multiple=True,
        metavar="NAMES",
        help="Models, separated by commas: zoo entries, hub ids, folders, GGUF files, NAME@TAG as trained. At a "
        "server: openai:NAME, groq:NAME. With other engines: gguf:FILE (llama.cpp), vllm:NAME. Saved answers: "
        "replay:FILE.  [default: smollm2-135m]",
        shell_complete=completion.models,
    ),
    click.option(
        "--benchmark",
        "-b",
        "benchmarks",
        multiple=True,
        metavar="NAMES",
        help="Benchmarks, .py files, or tables of questions (.csv, .jsonl, .parquet, .xlsx), separated by commas.",
        shell_complete=completion.plugins("benchmarks"),
    ),
    click.option(
        "--suite",
        "-s",
        "suites",
        multiple=True,
        metavar="NAMES",
        help="quick (the samples), all, or benchmark names, in addition to --benchmark.  "
        "[default: quick if there is no --benchmark]",
        shell_complete=completion.plugins("benchmarks", "quick", "all"),
    ),
    click.option(
        "--limit",
        type=click.IntRange(min=1),
        metavar="N",
        help="Ask only N items of each benchmark, the same for every model.",
    ),
    click.option(
        "--shots",
        type=click.IntRange(min=0),
        default=0,
        show_default=True,
        metavar="K",
        help="Solved examples before each question (few-shot).",
    ),
    click.option(
        "--metrics",
        "-M",
        multiple=True,
        metavar="NAMES",
        help="Use these metrics instead of the benchmark's own: names, all, .py files, evaluate:NAME.",
        shell_complete=completion.plugins("metrics", "all"),
    ),
    judge_option(),
    QUANTIZE,
    click.option(
        "--data",
        type=FilePath(exists=True, file_okay=False),
        metavar="DIR",
        help="Folder of official data releases.  [default: MEDBENCH_DATA]",
    ),
    RUNS_FOLDER,
)
MODEL = cloup.option_group(
    "Model",
    ADAPTER,
    DTYPE,
    DEVICE,
    REVISION,
    TRUST_REMOTE_CODE,
    click.option(
        "--engine",
        default="",
        metavar="NAME",
        help="Engine that runs the model.  [default: depends on the model]",
        shell_complete=completion.plugins("engines"),
    ),
    click.option(
        "--engine-option",
        "engine_option",
        multiple=True,
        metavar="KEY=VALUE",
        help="A setting that only this engine has. medbench list engines shows them. Repeatable.",
    ),
    click.option(
        "--tensor-parallel",
        type=click.IntRange(min=1),
        metavar="N",
        help="Number of GPUs that share a vllm:NAME model; short for --engine-option tensor_parallel=N.  [default: 1]",
    ),
    click.option(
        "--map",
        "columns",
        default="",
        metavar="FIELD=COLUMN,…",
        help="Columns of replay:FILE (id, text, prediction, logprobs, finish, reasoning, sample); short for "
        "--engine-option map=….",
    ),
)
ITEMS = cloup.option_group(
    "Items",
    click.option(
        "--items",
        type=FilePath(),
        metavar="FILE",
        help="Ask only the items whose ids FILE lists, one per line.",
    ),
    click.option(
        "--seed",
        type=int,
        default=0,
        show_default=True,
        metavar="N",
        help="Random seed for the --limit items, the few-shot examples and, with --temperature, the answers.",
    ),
    click.option(
        "--columns",
        "table_columns",
        default="",
        metavar="FIELD=COLUMN,…",
        help="Columns of a table of questions: question, options (A|B|C|D), answer, references, id, subject, context, "
        "document.  [default: by their names]",
    ),
    click.option(
        "--data-revision",
        multiple=True,
        metavar="OWNER/NAME@REV",
        help="Read this data set from the hub, not from --data, at a commit, tag or branch.",
    ),
)


def _system_text(context: click.Context, parameter: click.Parameter, value: str) -> str:
    return text_or_file("--system", value) if value else ""


ASKING = cloup.option_group(
    "Asking",
    click.option(
        "--protocol",
        "protocols",
        multiple=True,
        metavar="NAMES",
        help="How questions are asked: direct, cot (reasoning first), mirage-cot, patient. Several make several "
        "runs. medbench list protocols shows the prompts.  [default: direct]",
        shell_complete=completion.protocols,
    ),
    click.option(
        "--system",
        default="",
        metavar="TEXT|FILE",
        callback=_system_text,
        shell_complete=completion.files,
        help="System text, or a file that holds it. It becomes a system turn, or the beginning of a plain prompt.",
    ),
    click.option(
        "--choice",
        type=click.Choice(["auto", "logprob", "generate"]),
        default="auto",
        show_default=True,
        help="How multiple-choice items are asked. auto: by log-probability if the engine supports it.",
    ),
    click.option(
        "--chat",
        type=click.Choice(["auto", "always", "never"]),
        default="auto",
        show_default=True,
        help="When to apply the model's chat template. auto: for generated answers, not for log-probabilities.",
    ),
    THINK,
    REASONING_EFFORT,
    click.option(
        "--max-new-tokens",
        type=click.IntRange(min=1),
        metavar="N",
        help="Token limit of an answer.  [default: the protocol's or the benchmark's]",
    ),
    click.option(
        "--temperature",
        type=float,
        default=0.0,
        metavar="T",
        help="Draw the tokens of answers at this temperature.  [default: 0, the likeliest token each time]",
    ),
    click.option(
        "--top-p",
        type=float,
        default=1.0,
        metavar="P",
        help="Draw only from the likeliest tokens that together have this probability.  [default: 1]",
    ),
    click.option(
        "--samples",
        type=click.IntRange(min=1),
        default=1,
        metavar="K",
        help="Answers to each item, each with a seed of its own. Above 1 needs --temperature.  [default: 1]",
    ),
    click.option(
        "--permute-options",
        type=click.IntRange(min=1),
        default=1,
        metavar="K",
        help="Ask each multiple-choice item in K orders of its options, drawn by --seed, the original first.",
    ),
    click.option(
        "--prompt-variants",
        is_flag=True,
        help="Ask each item in three wordings, the benchmark's own first, and report the spread of the score.",
    ),
    click.option(
        "--retrieve",
        default="",
        metavar="FOLDER|NAME",
        shell_complete=completion.files,
        help="Put passages from a folder of texts, or from medquad, into the prompts, without those that would give "
        "the answer away.",
    ),
    click.option(
        "--passages", type=click.IntRange(min=1), metavar="K", help="Passages per prompt with --retrieve.  [default: 3]"
    ),
)
SCORING = cloup.option_group(
    "Scoring",
    click.option(
        "--entity-model",
        default="",
        metavar="NAME",
        help="spaCy pipeline of the entity metrics: a package or a folder.  [default: the built-in one]",
    ),
    click.option(
        "--latency-items",
        type=click.IntRange(min=0),
        metavar="N",
        help="Requests to time one at a time; 0: none.  [default: up to 5, within 10% of the run's time; "
        "0 for a remote server]",
    ),
)
SERVER = cloup.option_group(
    "Server",
    BASE_URL,
    click.option(
        "--concurrency", type=click.IntRange(min=1), metavar="N", help="Requests in flight at once.  [default: 8]"
    ),
    click.option(
        "--requests-per-minute", type=click.IntRange(min=1), metavar="N", help="Send at most N requests per minute."
    ),
    click.option(
        "--tokens-per-minute", type=click.IntRange(min=1), metavar="N", help="Use at most N tokens per minute."
    ),
)
EXPERIMENT = cloup.option_group(
    "Experiment",
    click.option(
        "--dry-run",
        is_flag=True,
        help="Show what would run: items, tokens, time, memory, downloads, judge costs; change nothing.",
    ),
    click.option(
        "--save",
        type=FilePath(dir_okay=False),
        metavar="FILE.toml",
        help="Write this command as an experiment file, then run it; with --dry-run, only write it.",
    ),
)
OUTPUT = cloup.option_group(
    "Output",
    click.option("--quiet", "-q", is_flag=True, help="No progress, no table: errors only."),
    click.option("--json", "as_json", is_flag=True, help="Print the leaderboard as JSON on stdout."),
    report_to(REPORTED),
    cloup.help_option("--help", "-h", help="Show this message and exit."),
)


def run_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Add all options of `medbench run` to a command, in the order of its help."""
    for group in reversed(
        (MOST_USED, MODEL, ITEMS, ASKING, SCORING, judge_options(with_judge=False), SERVER, EXPERIMENT, OUTPUT)
    ):
        command = group(command)
    return command
