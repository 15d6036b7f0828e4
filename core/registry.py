"""Plugins by name: a name maps to "package.module:attribute" and is imported when asked for.

Ours and a third party's are found the same way, through the entry-point groups `medbench.benchmarks`,
`medbench.zoo`, `medbench.engines`, `medbench.metrics` and `medbench.judges`. A path to a `.py` file works where a
name does; the file holds one object under the group's constant (`BENCHMARK`, `METRIC`, `MODEL`, `ENGINE`, `JUDGE`).
"""

from __future__ import annotations

import difflib
import functools
import importlib.util
import sys
from importlib.metadata import EntryPoint, entry_points
from pathlib import Path
from typing import Any, Literal

from .errors import MedbenchError, UsageError

Group = Literal["benchmarks", "zoo", "engines", "metrics", "judges"]
CONSTANT = {"benchmarks": "BENCHMARK", "zoo": "MODEL", "engines": "ENGINE", "metrics": "METRIC", "judges": "JUDGE"}
NOUN = {"benchmarks": "benchmark", "zoo": "model", "engines": "engine", "metrics": "metric", "judges": "judge"}
LISTED = {"benchmarks": "benchmarks", "zoo": "models", "engines": "engines", "metrics": "metrics", "judges": "judges"}


def owner(point: EntryPoint) -> str:
    """The distribution that declares an entry point, as an error names it."""
    return point.dist.name if point.dist else point.value


@functools.cache
def points(group: Group) -> dict[str, tuple[EntryPoint, ...]]:
    """Entry points of a group by name, in the alphabet's order; two under one name are a conflict."""
    found: dict[str, dict[tuple[str, str], EntryPoint]] = {}
    for point in entry_points(group=f"medbench.{group}"):
        # The same distribution can be on sys.path twice (an editable install and its checkout).
        found.setdefault(point.name, {})[owner(point), point.value] = point
    return {name: tuple(found[name].values()) for name in sorted(found)}


def names(group: Group) -> list[str]:
    return list(points(group))


def get(group: Group, name: str) -> Any:
    """The plugin called `name`, or the one in the file that `name` is the path of.

    Raises UsageError for an unknown name (with the nearest ones) and MedbenchError for a plugin that two packages
    claim or that fails to import; other names are untouched by either.
    """
    if name.endswith(".py"):
        return _from_file(group, Path(name))
    claims = points(group).get(name)
    if claims is None:
        raise unknown(group, name)
    if len(claims) > 1:
        owners = " and ".join(sorted(f"{owner(point)} ({point.value})" for point in claims))
        raise MedbenchError(f"two packages claim the {NOUN[group]} '{name}': {owners}", "Uninstall one of them.")
    try:
        return claims[0].load()
    except Exception as error:  # a stranger's module may raise anything at import
        raise MedbenchError(
            f"the {NOUN[group]} '{name}' from {owner(claims[0])} cannot be loaded: {type(error).__name__}: {error}",
            f"It is declared as {claims[0].value}; reinstall or remove that package.",
        ) from error


def unknown(group: Group, name: str) -> UsageError:
    """The error for a name nobody has registered, with the nearest names and the list command."""
    near = difflib.get_close_matches(name, names(group), n=3, cutoff=0.5)
    meant = f" Did you mean {' or '.join(near)}?" if near else ""
    return UsageError(f"no {NOUN[group]} is called '{name}'.{meant}", f"All of them: medbench list {LISTED[group]}")


def _from_file(group: Group, path: Path) -> Any:
    if not path.is_file():
        raise UsageError(f"no such file: {path}", f"A {NOUN[group]} file is a .py file with one {CONSTANT[group]}.")
    module_name = f"medbench_file_{path.stem}"
    spec = importlib.util.spec_from_file_location(module_name, path)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[module_name] = module
    try:
        spec.loader.exec_module(module)
    except Exception as error:  # a user's file may raise anything
        raise MedbenchError(f"{path} cannot be loaded: {type(error).__name__}: {error}") from error
    try:
        return getattr(module, CONSTANT[group])
    except AttributeError:
        raise MedbenchError(f"{path} defines no {CONSTANT[group]}", f"See docs/add-a-{NOUN[group]}.md.") from None
