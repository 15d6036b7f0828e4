"""The options of `medbench run` as the values of an experiment: those that were given, by the keys of its file."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from click.core import ParameterSource

from ..core.errors import UsageError
from .ui import output

if TYPE_CHECKING:
    import click

    from ..experiments.values import Values

# Parameters of the command that hold names, separated by commas.
NAMES = ("benchmarks", "suites", "protocols", "metrics", "report_to")
# Other parameters whose key has another name.
KEYS = {"table_columns": "columns", "data_revision": "data_revisions"}
JUDGES = {
    "judge_names": "names",
    "judge_mode": "mode",
    "judge_per": "per",
    "judge_base_url": "base_url",
    "judge_price": "price",
    "max_judge_calls": "max_calls",
    "max_judge_cost": "max_cost",
    "judge_concurrency": "concurrency",
    "judge_requests_per_minute": "requests_per_minute",
    "judge_tokens_per_minute": "tokens_per_minute",
    "judge_timeout": "timeout",
}
ENGINE_OPTIONS = {"tensor_parallel": "tensor_parallel", "columns": "map"}  # parameter: name of the engine's option
OTHERS = ("experiment", "dry_run", "save", "quiet", "as_json", "help")  # no part of an experiment


def given(context: click.Context) -> Values:
    """Return the values of the options that were given. Raises UsageError for a text that cannot be read."""
    found: Values = {}
    judges: Values = {}
    params = {name: value for name, value in context.params.items() if _is_given(context, name)}
    for name, value in params.items():
        if name == "models":
            found[name] = [{"name": each} for each in output.names(value)]
        elif name in NAMES:
            found[name] = output.names(value)
        elif name in JUDGES:
            judges[JUDGES[name]] = _judge(name, value)
        elif name in (*ENGINE_OPTIONS, "engine_option"):
            continue
        elif name == "table_columns":
            found["columns"] = _pairs("--columns", value)
        elif name == "data_revision":
            found["data_revisions"] = _revisions(value)
        elif name == "quantize":
            found[name] = value or "none"
        else:
            found[KEYS.get(name, name)] = str(value) if hasattr(value, "__fspath__") else value
    aliases = {option: params.get(name) for name, option in ENGINE_OPTIONS.items()}
    if engine := _engine_options(params.get("engine_option", ()), aliases):
        found["engine_options"] = engine
    return {**found, **({"judges": judges} if judges else {})}


def _is_given(context: click.Context, name: str) -> bool:
    return name not in OTHERS and context.get_parameter_source(name) is not ParameterSource.DEFAULT


def _judge(name: str, value: Any) -> Any:
    if name == "judge_names":  # each as often as it was given
        return [each.strip() for text in value for each in text.split(",") if each.strip()]
    if name == "judge_price" and value:
        return _price(value)
    return value


def _price(text: str) -> list[float]:
    try:
        prices = [float(part) for part in text.split(",")]
    except ValueError:
        prices = []
    if len(prices) != 2 or not all(0 <= each < float("inf") for each in prices):
        raise UsageError(
            f"--judge-price {text}: not two prices.", "USD per million tokens, as in: --judge-price 0.15,0.60"
        )
    return prices


def _revisions(pins: Sequence[str]) -> dict[str, str]:
    """Return the revisions by data set of OWNER/NAME@REV, …, which are checked later."""
    found: dict[str, str] = {}
    for pin in pins:
        name, at, revision = pin.rpartition("@")
        name = name if at else pin
        if found.setdefault(name, revision) != revision:
            raise UsageError(f"--data-revision names two revisions of {name}: {found[name]}, {revision}.")
    return found


def _engine_options(texts: tuple[str, ...], aliases: Mapping[str, Any]) -> Values:
    """Return every KEY=VALUE, and the options that have a flag of their own. Raises UsageError for two values."""
    found = {name: value for name, value in aliases.items() if value}
    for text in texts:
        key, equals, value = text.partition("=")
        name = key.strip().replace("-", "_")
        if not equals or not name:
            raise UsageError(f"--engine-option {text}: it must be KEY=VALUE.", "The keys: medbench list engines")
        if str(found.get(name, value)) != value:
            raise UsageError(f"--engine-option {text}: {name} is also set to {found[name]}.", "Keep one of them.")
        found[name] = value
    return found


def _pairs(option: str, text: str) -> dict[str, str]:
    """Return FIELD=COLUMN,… by field."""
    found = {}
    for pair in filter(None, text.split(",")):
        name, equals, value = (part.strip() for part in pair.partition("="))
        if not (name and equals and value):
            raise UsageError(f"{option} {text}: '{pair.strip()}' is not FIELD=COLUMN.")
        found[name] = value
    return found
