"""Options that say how a model is found and loaded, shared by all commands that load one."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import click
import cloup

from . import completion

if TYPE_CHECKING:
    from ..evaluation.suite import ModelOptions


def _unquantized_is_empty(context: click.Context, parameter: click.Parameter, value: str | None) -> str:
    """Return what `ModelOptions` calls it: "" for unquantized weights."""
    return "" if value in (None, "none") else value


ADAPTER = click.option(
    "--adapter",
    default="",
    metavar="DIR|ID",
    shell_complete=completion.files,
    help="PEFT adapter for the model: folder or hub id.",
)
DTYPE = click.option(
    "--dtype",
    type=click.Choice(["auto", "float32", "bfloat16", "float16"]),
    default="auto",
    show_default=True,
    help="Data type of the weights. auto: float32 on a CPU, 16 bits on a GPU.",
)
QUANTIZE = click.option(
    "--quantize",
    type=click.Choice(["nf4", "int8", "none"]),
    callback=_unquantized_is_empty,
    help="Load the weights quantized by bitsandbytes.  [default: none]",
)
DEVICE = click.option("--device", default="auto", show_default=True, metavar="NAME", help="cpu, cuda, cuda:1, …")
REVISION = click.option("--revision", default="", metavar="REV", help="Commit, branch or tag of a hub model.")
CHAT = click.option(
    "--chat",
    type=click.Choice(["auto", "always", "never"]),
    default="auto",
    show_default=True,
    help="When to apply the model's chat template. auto: if it has one.",
)
THINK = click.option(
    "--think",
    type=click.Choice(["auto", "on", "off"]),
    default="auto",
    show_default=True,
    help="Whether a reasoning model reasons before its answer. auto: as its chat template or server does by default.",
)
REASONING_EFFORT = click.option(
    "--reasoning-effort",
    type=click.Choice(["none", "minimal", "low", "medium", "high", "xhigh", "max"]),
    help="How much a reasoning model reasons, if its server or chat template (such as gpt-oss's) has levels.  "
    "[default: the model's]",
)
BASE_URL = click.option(
    "--base-url",
    default="",
    metavar="URL",
    help="Server of openai:NAME, groq:NAME.  [default: OPENAI_BASE_URL, or their own]",
)
TRUST_REMOTE_CODE = click.option(
    "--trust-remote-code",
    is_flag=True,
    help="Run Python code that comes with a model, if transformers has no class for it. Read that code first.",
)


def model_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Add the group "Model" to a command for one model, which then takes `options: ModelOptions`."""

    @functools.wraps(command)
    def with_options(
        *args: Any,
        adapter: str,
        dtype: str,
        quantize: str,
        device: str,
        revision: str,
        chat: str,
        think: str,
        reasoning_effort: str | None,
        base_url: str,
        trust_remote_code: bool,
        **rest: Any,
    ) -> Any:
        options: ModelOptions = {
            "adapter": adapter,
            "dtype": dtype,
            "quantize": quantize,
            "device": device,
            "revision": revision,
            "chat": chat,
            "think": think,
            "reasoning_effort": reasoning_effort or "",
            "base_url": base_url,
            "trust_remote_code": trust_remote_code,
        }
        return command(*args, options=options, **rest)

    group = (ADAPTER, DTYPE, QUANTIZE, DEVICE, REVISION, CHAT, THINK, REASONING_EFFORT, BASE_URL, TRUST_REMOTE_CODE)
    return cloup.option_group("Model", *group)(with_options)
