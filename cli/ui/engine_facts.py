"""What `medbench list engines` says about an engine: what its prefix takes, what it can do, and its options."""

from __future__ import annotations

from typing import Any

from ...core.types import Engine, EngineOption

VALUES = {"str": "TEXT", "int": "N", "float": "X", "bool": "on|off"}


def facts(name: str, engine: type[Engine]) -> dict[str, Any]:
    """Return the details of one engine."""
    return {
        "model": f"{name}:NAME, where NAME is {engine.prefix_takes}",
        "can": "; ".join(_abilities(engine)),
        "options": [_option(option) for option in engine.engine_options],
    }


def _abilities(engine: type[Engine]) -> list[str]:
    if not engine.measured:
        place = "reads saved answers, so no speed or memory is measured"
    else:
        place = "runs on this machine" if engine.runs_here else "asks a server, so no memory is measured"
    # An engine that overrides `cannot_choose` decides when it sees the model and the items.
    always = engine.cannot_choose is Engine.cannot_choose
    chooses = "always" if always else "where available"
    logprobs = f"log-probabilities of options: {chooses if engine.gives_logprobs else 'never'}"
    return [place, logprobs, *([] if engine.can_sample else ["no --temperature and no --samples"])]


def _option(option: EngineOption) -> str:
    default = "" if option.default in (None, "") else f"  [default: {option.default}]"
    flag = f" (or {option.flag})" if option.flag else ""
    return f"--engine-option {option.name}={VALUES[option.kind.__name__]}{flag}: {option.help}{default}"
