"""`--think` and `--reasoning-effort`: how each family of models is told to reason or not, and how much.

Most chat templates take a variable. Some look for words in the system turn. Servers take a field of the request, which
differs by provider.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any
from urllib.parse import urlsplit

from ..core.errors import UsageError
from ..core.reasoning import opening_mark
from ..core.types import ModelSpec
from . import chat_templates
from .prompting import Wrapping

# Variables of chat templates, each with its value for on and off. Qwen3, GLM-4.5, SmolLM3, EXAONE 4, Gemma 4; Granite,
# DeepSeek-V3.1, Kimi-K2; Command A Reasoning; others; Seed-OSS, which counts tokens (-1: any number).
VARIABLES: Mapping[str, tuple[Any, Any]] = {
    "enable_thinking": (True, False),
    "thinking": (True, False),
    "reasoning": (True, False),
    "enable_reasoning": (True, False),
    "think": (True, False),
    "thinking_budget": (-1, 0),
}
EFFORT = ("reasoning_effort", "thinking_effort")  # gpt-oss and others
USUAL_EFFORTS = ("low", "medium", "high")
# Words for the system turn, which templates without a variable look for: Nemotron Nano, Llama Nemotron.
WORDS = (("/think", "/no_think"), ("detailed thinking on", "detailed thinking off"))

# Fields of a request, for on and off, by the end of a provider's host.
_TYPE = {"thinking": {"type": "enabled"}}, {"thinking": {"type": "disabled"}}
_ENABLE = {"enable_thinking": True}, {"enable_thinking": False}
_EFFORT: tuple[dict[str, Any], dict[str, Any]] = {"reasoning_effort": "medium"}, {"reasoning_effort": "none"}
PROVIDERS: Mapping[str, tuple[dict[str, Any], dict[str, Any]]] = {
    "openrouter.ai": ({"reasoning": {"enabled": True}}, {"reasoning": {"enabled": False}}),
    **dict.fromkeys(("deepseek.com", "z.ai", "bigmodel.cn", "moonshot.ai", "moonshot.cn", "volces.com"), _TYPE),
    **dict.fromkeys(("aliyuncs.com", "siliconflow.com", "siliconflow.cn"), _ENABLE),
    **dict.fromkeys(("api.openai.com", "azure.com", "googleapis.com", "ollama.com"), _EFFORT),
    "groq.com": ({"reasoning_effort": "default"}, {"reasoning_effort": "none"}),
}
OLLAMA_PORT = 11434
# vLLM, SGLang and llama-server hand these to the chat template, which ignores those that it does not know.
_TEMPLATE_VARIABLES = ("enable_thinking", "thinking")


def asked(spec: ModelSpec) -> str:
    """Return the options about reasoning as they were given; "" for none."""
    think = "" if spec.think == "auto" else f"--think {spec.think}"
    effort = f"--reasoning-effort {spec.reasoning_effort}" if spec.reasoning_effort else ""
    return " ".join(filter(None, (think, effort)))


def switched(wrap: Wrapping, spec: ModelSpec, method: str) -> Wrapping:
    """Return the wrapping with the switches of its chat template set as `spec` says.

    Raises UsageError if the template has no such switch, or if a text is generated without a template. Options that
    are scored by log-probability without a template are left as they are.
    """
    if not asked(spec):
        return wrap
    if wrap.kind != "template":
        if method == "choose":
            return wrap
        raise _refused(spec, f"{spec.name} is prompted without a chat template", "Leave it out.")
    variables: dict[str, Any] = {}
    system = ""
    if spec.think != "auto":
        variables, system = _think(wrap.template, spec)
    if spec.reasoning_effort:
        names = [name for name in EFFORT if _reads(wrap.template, name, "low", "high")]
        if not names:
            raise _refused(spec, f"the chat template of {spec.name} has no reasoning effort", "Leave it out.")
        effort = spec.reasoning_effort
        if effort not in USUAL_EFFORTS and not re.search(rf"""["']{effort}["']""", wrap.template):
            raise _refused(spec, f"the chat template of {spec.name} does not know it", f"Give {_or(USUAL_EFFORTS)}.")
        variables |= dict.fromkeys(names, effort)
    return replace(wrap, variables=tuple(variables.items()), system=system)


def request_fields(spec: ModelSpec, home: str) -> dict[str, Any]:
    """Return what a chat request holds for `spec`. `home`: the address that is asked if the spec has none."""
    found: dict[str, Any] = {}
    if spec.think != "auto":
        found |= _fields_of(spec.base_url or home)[spec.think == "off"]
    if spec.reasoning_effort:
        found["reasoning_effort"] = spec.reasoning_effort
    return found


def is_named(words: str, spec: ModelSpec, home: str) -> bool:
    """Return whether a server's error names a field that `spec` adds to requests."""
    return any(re.search(rf"\b{name}\b", words) for name in request_fields(spec, home))


def _think(template: str, spec: ModelSpec) -> tuple[dict[str, Any], str]:
    """Return the variables to set, or the words for the system turn."""
    off = spec.think == "off"
    found = {name: values[off] for name, values in VARIABLES.items() if _reads(template, name, *values)}
    if found:
        return found, ""
    words = next((pair[off] for pair in WORDS if pair[1] in template), "")
    if not words:
        always = " and always opens it" if opening_mark(chat_templates.tried(template, {})) else ""
        raise _refused(spec, f"the chat template of {spec.name} has no switch for reasoning{always}", "Leave it out.")
    return {}, words


def _refused(spec: ModelSpec, why: str, hint: str) -> UsageError:
    return UsageError(f"{asked(spec)}: {why}.", hint)


def _or(words: Sequence[str]) -> str:
    return f"{', '.join(words[:-1])} or {words[-1]}"


def _fields_of(url: str) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return the fields of a request for on and off at this server."""
    parts = urlsplit(url)
    host = parts.hostname or ""
    for end, fields in PROVIDERS.items():
        if host == end or host.endswith(f".{end}"):
            return fields
    if parts.port == OLLAMA_PORT:
        return _EFFORT
    on, off = ({"chat_template_kwargs": dict.fromkeys(_TEMPLATE_VARIABLES, value)} for value in (True, False))
    return on, off


@functools.lru_cache(maxsize=256)
def _reads(template: str, name: str, one: Any, other: Any) -> bool:
    """Return whether a template's output depends on a variable, by rendering it with either value."""
    if not re.search(rf"\b{name}\b", template):
        return False
    chat_templates.check(template, "the model")
    texts = [chat_templates.tried(template, {name: value}) for value in (one, other)]
    return texts[0] != texts[1]
