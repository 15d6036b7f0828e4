"""Plugins by name: a name maps to "package.module:attribute" and is imported when asked for.

Built-in and third-party plugins are found the same way, through the entry-point groups `medbench.benchmarks`,
`medbench.zoo`, `medbench.engines`, `medbench.metrics`, `medbench.metric_families` and `medbench.judges`. A path to a
`.py` file works in place of a name; the file holds one object under the group's constant (`BENCHMARK`, `METRIC`,
`MODEL`, `ENGINE`, `JUDGE`).

Names also come from stored files (a run's manifest), which anyone may have written. Such a name may only run installed
code: reading a file must not execute another one. `uninstalled` tells which names would.
"""

from __future__ import annotations

import functools
import importlib.util
import re
import sys
import types
from importlib.metadata import EntryPoint, entry_points
from pathlib import Path
from typing import Any, Literal, get_args

from .errors import MedbenchError, UsageError
from .protocol import DIRECT, Protocol
from .suggest import did_you_mean
from .types import Benchmark, Engine, Measurement, Metric, MetricFamily

FAMILIES: Literal["metric_families"] = "metric_families"
Group = Literal["benchmarks", "zoo", "engines", "metrics", "metric_families", "judges"]
GROUPS: tuple[Group, ...] = ("benchmarks", "zoo", "engines", "metrics", FAMILIES, "judges")
CONSTANT = {
    "benchmarks": "BENCHMARK",
    "zoo": "MODEL",
    "engines": "ENGINE",
    "metrics": "METRIC",
    FAMILIES: "FAMILY",
    "judges": "JUDGE",
}
NOUN = {
    "benchmarks": "benchmark",
    "zoo": "model",
    "engines": "engine",
    "metrics": "metric",
    FAMILIES: "metric family",
    "judges": "judge",
}
LISTED = {
    "benchmarks": "benchmarks",
    "zoo": "models",
    "engines": "engines",
    "metrics": "metrics",
    FAMILIES: "metrics",
    "judges": "judges",
}
PARTS = {
    "zoo": ("name", "weights", "licence", "parameters", "summary"),
    "engines": ("load", "choose", "generate", "chat", "describe", "peak_gpu_memory_bytes"),
    "metrics": ("name", "version", "binary", "mean", "better", "score", "aggregate"),
    FAMILIES: ("name", "make"),
    "judges": ("name", "summary", "make"),
}
# The values of a metric's `dimension`; third-party metrics may have none.
DIMENSIONS = ("accuracy", "text quality", "safety", "efficiency")
FILE_MODULE = "medbench_file_"  # prefix of the module name of a user's file
# What a third-party module may raise when it is imported; SystemExit would end medbench without a message.
RAISED = (Exception, SystemExit)
_named: set[tuple[Group, str]] = set()  # uninstalled names that `get` was called with


def owner(point: EntryPoint) -> str:
    """Return the distribution that declares an entry point, as errors name it."""
    return point.dist.name if point.dist else point.value


@functools.cache
def points(group: Group) -> dict[str, tuple[EntryPoint, ...]]:
    """Return the entry points of a group by name, sorted; two under one name are a conflict."""
    found: dict[str, dict[tuple[str, str], EntryPoint]] = {}
    for point in entry_points(group=f"medbench.{group}"):
        # The same distribution can be on sys.path twice (an editable install and its checkout).
        found.setdefault(point.name, {})[owner(point), point.value] = point
    return {name: tuple(found[name].values()) for name in sorted(found)}


def names(group: Group) -> list[str]:
    return list(points(group))


def get(group: Group, name: str) -> Any:
    """Return the plugin called `name`, or the one in the .py file at that path.

    A metric may also be one of a family (`evaluate:NAME`, `judge:…`), or have a setting: `METRIC:SETTING`, for example
    `entity_f1:en_core_sci_sm`.

    The name must come from a person. For a name from a stored file, call `uninstalled` first.

    Raises UsageError for an unknown name (with the nearest ones) or file, and MedbenchError for a plugin that two
    packages claim, that fails to import, or that is not what its group holds; other names are untouched by either.
    """
    plugin = look_up(group, name)
    if uninstalled(group, name):
        _named.add((group, _whole_path(name)))
    return plugin


def with_defaults(group: Group, plugin: Any) -> Any:
    """Give an engine's class or a metric the optional members that it does not define, and return it."""
    if group not in ("engines", "metrics"):
        return plugin
    base = Engine if group == "engines" else Metric if hasattr(plugin, "score") else Measurement
    owner = plugin if group == "engines" else type(plugin)
    for name, default in _optional(base).items():
        if hasattr(plugin, name):
            continue
        try:
            setattr(owner, name, default)
        except TypeError:  # a built-in class, such as SimpleNamespace
            setattr(plugin, name, types.MethodType(default, plugin) if callable(default) else default)
    return plugin


@functools.cache
def _optional(base: type) -> dict[str, Any]:
    """The members of a protocol that have a default."""
    required = {*PARTS["engines"], *PARTS["metrics"], "read"} - {"version", "binary", "better"}
    found = {name: value for each in reversed(base.__mro__) for name, value in vars(each).items()}
    return {name: value for name, value in found.items() if not name.startswith("_") and name not in required}


def uninstalled(group: Group, name: str) -> bool:
    """Return whether a name refers to uninstalled code or data that `get` was not called with in this process.

    That is a .py file, a script of `evaluate`, or a metric setting that is a path.
    """
    if (group, _whole_path(name)) in _named:
        return False
    if is_file(group, name):
        return True
    if group != "metrics" or name in points(group):
        return False
    if prefix := family(name):
        try:
            return not look_up(FAMILIES, prefix).installed
        except MedbenchError:
            return True
    return bool(re.search(r"[/\\~]|^\.", name.partition(":")[2]))


def family(name: str) -> str:
    """Return the prefix of a metric's name that a family makes ("evaluate"); "" for any other name."""
    prefix, colon, _ = name.partition(":")
    return prefix if colon and prefix in points(FAMILIES) else ""


def is_file(group: Group, name: str) -> bool:
    """Whether a name is the path of a plugin's .py file."""
    return name.endswith(".py") and not (group == "metrics" and family(name))


def forget() -> None:
    """Start another command: files named by earlier commands must be named again."""
    _named.clear()


def _whole_path(name: str) -> str:
    return str(Path(name).resolve()) if name.endswith(".py") and not family(name) else name


def look_up(group: Group, name: str) -> Any:
    """Do what `get` does, without recording the name."""
    if group == "metrics" and (prefix := family(name)):
        return _of_family(look_up(FAMILIES, prefix), name)
    if is_file(group, name):
        return _from_file(group, Path(name))
    claims = points(group).get(name)
    if claims is None:
        base, _, setting = name.partition(":")
        if group == "metrics" and setting and base in points(group):
            return _set_up(name, look_up(group, base), setting)
        raise unknown(group, name)
    if len(claims) > 1:
        owners = " and ".join(sorted(f"{owner(point)} ({point.value})" for point in claims))
        raise MedbenchError(f"two packages claim the {NOUN[group]} '{name}': {owners}", "Uninstall one of them.")
    point = claims[0]
    what = f"the {NOUN[group]} '{name}' from {owner(point)}"
    todo = f"It is declared as {point.value}; reinstall or remove that package."
    try:
        plugin = point.load()
    except RAISED as error:
        raise MedbenchError(f"{what} cannot be loaded: {told(error)}", todo) from error
    flaw = _flaw(group, plugin)
    if not flaw and getattr(plugin, "name", name) != name:
        flaw = f"calls itself '{plugin.name}'; name and entry point must be the same"
    if flaw:
        raise MedbenchError(f"{what} cannot be used: it {flaw}.", todo)
    return with_defaults(group, plugin)


def _of_family(family: MetricFamily, name: str) -> Any:
    try:
        plugin = family.make(name)
    except MedbenchError:
        raise
    except RAISED as error:
        raise MedbenchError(f"the metric '{name}' cannot be created: {told(error)}") from error
    if flaw := _flaw("metrics", plugin):
        raise MedbenchError(f"the metric '{name}' cannot be used: it {flaw}.")
    return with_defaults("metrics", plugin)


def _set_up(name: str, plugin: Any, setting: str) -> Any:
    if not plugin.takes_setting:
        raise UsageError(f"'{name}': the metric '{plugin.name}' has no settings.", f"Use the name alone: {plugin.name}")
    return with_defaults("metrics", plugin.with_setting(setting))


def unknown(group: Group, name: str) -> UsageError:
    """Return the error for a name that nobody has registered, with the nearest names and the list command."""
    todo = f"All of them: medbench list {LISTED[group]}"
    if others := [NOUN[other] for other in GROUPS if other != group and name in points(other)]:
        kinds = " and ".join(f"{'an' if noun == 'engine' else 'a'} {noun}" for noun in others)
        return UsageError(f"no {NOUN[group]} is called '{name}'; it is {kinds}.", todo)
    meant = did_you_mean(name, names(group), most=3)
    return UsageError(f"no {NOUN[group]} is called '{name}'.{meant}", todo)


def fault(error: BaseException) -> str:
    """Return the last file and line of third-party code that an exception passed, which is where a plugin failed.

    "" if it passed none: then the failure is a bug in medbench, and needs a traceback.
    """
    plugins = {point.module for group in get_args(Group) for claims in points(group).values() for point in claims}
    theirs = {module.partition(".")[0] for module in plugins} - {"medbench"}
    found, trace = "", error.__traceback__
    while trace is not None:
        frame = trace.tb_frame
        package = str(frame.f_globals.get("__name__")).partition(".")[0]
        if package in theirs or package.startswith(FILE_MODULE):
            found = f"{frame.f_code.co_filename}, line {trace.tb_lineno}"
        trace = trace.tb_next
    return found


def told(error: BaseException) -> str:
    """Return what a plugin's code raised, in one line: "KeyError: 'x' (my_metric.py, line 12)"."""
    where = fault(error)
    return f"{type(error).__name__}: {error}" + (f" ({where})" if where else "")


def _from_file(group: Group, path: Path) -> Any:
    constant, noun = CONSTANT[group], NOUN[group]
    if not path.is_file():
        raise UsageError(f"no such file: {path}", f"A {noun} file is a .py file with one {constant}.")
    module_name = FILE_MODULE + path.stem
    spec = importlib.util.spec_from_file_location(module_name, path)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[module_name] = module  # dataclasses in the file look themselves up there
    try:
        spec.loader.exec_module(module)
    except RAISED as error:
        raise MedbenchError(f"{path} cannot be loaded: {told(error)}", "Fix it and try again.") from error
    if not hasattr(module, constant):
        raise MedbenchError(f"{path} defines no {constant}.", f"A {noun} file ends with one: {constant} = …")
    plugin = getattr(module, constant)
    flaw = _flaw(group, plugin)
    if flaw:
        raise MedbenchError(f"{path} cannot be used: its {constant} {flaw}.", "Fix it and try again.")
    name = getattr(plugin, "name", "")
    if name in points(group):
        owners = " and ".join(owner(point) for point in points(group)[name])
        raise MedbenchError(
            f"{path} calls its {noun} '{name}', but {owners} has one of that name.",
            f"Rename yours, or use the installed one by name: {name}",
        )
    return with_defaults(group, plugin)


def _flaw(group: Group, plugin: Any) -> str:
    """Return why an object is not a plugin of its group, as the rest of a sentence; "" if it is one."""
    lacks = ", ".join(part for part in PARTS.get(group, ()) if not hasattr(plugin, part))
    if group == "engines":
        if not isinstance(plugin, type):
            return f"is a {type(plugin).__name__}, not a class"
        return f"has no {lacks}" if lacks else ""
    if isinstance(plugin, type):
        return f"is a class; write {plugin.__name__}(…) to make an object from it"
    measurement = group == "metrics" and all(hasattr(plugin, part) for part in ("name", "read"))
    if lacks and not measurement:
        return f"is a {type(plugin).__name__} that has no {lacks}"
    if group == FAMILIES and not isinstance(plugin, MetricFamily):
        return f"is a {type(plugin).__name__}, not a medbench MetricFamily"
    if group == "benchmarks" and not isinstance(plugin, Benchmark):
        return f"is a {type(plugin).__name__}, not a medbench Benchmark"
    if group == "benchmarks" and (wrong := _flaw_in_protocols(plugin.protocols)):
        return wrong
    for field in ("metrics", "stop"):
        if isinstance(getattr(plugin, field, ()), str):
            return f'has a string for `{field}`; a tuple is expected, also for a single value: ("…",)'
    return ""


def _flaw_in_protocols(protocols: Any) -> str:
    """Do what `_flaw` does, for a benchmark's protocols."""
    if not isinstance(protocols, tuple) or not all(isinstance(each, Protocol) for each in protocols):
        return "has something other than a tuple of medbench.core.protocol.Protocol as `protocols`"
    named = [DIRECT.name, *(each.name for each in protocols)]
    again = next((name for at, name in enumerate(named) if name in named[:at]), "")
    return (
        f"has two protocols called '{again}'" + " (every benchmark has that one)" * (again == DIRECT.name)
        if again
        else ""
    )
