"""From the metrics a user names to the names that runs keep: `all` unfolded, files by full path, settings included."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

from ..core import registry
from ..core.errors import MedbenchError, UsageError
from ..core.types import Metric
from .scoring import load_metric


def metric_names(names: Iterable[str], entity_model: str, note: Callable[[str], None]) -> list[str]:
    """Return each metric once, as runs keep it, after loading it.

    `all` is every registered metric that scores answers. It includes no judge: what can cost money is asked for by
    name. A file is kept by its full path, since runs are read from anywhere, and an entity metric with its pipeline,
    which is `entity_model` unless its name has one.

    Raises UsageError or MedbenchError for a name that is unknown or cannot be loaded. A third party's broken metric
    among `all` is reported to `note` and left out.
    """
    found: list[str] = []
    used = False
    for name in names:
        if name == "all":
            for each in registry.names("metrics"):
                try:
                    plugin = registry.get("metrics", each)
                except MedbenchError as error:
                    note(f"Left out of all metrics: {error}")
                    continue
                if isinstance(plugin, Metric):
                    found.append(_kept(plugin, each, entity_model))
                    used |= plugin.takes_setting
            continue
        if registry.is_file("metrics", name):
            name = str(Path(name).resolve())
        try:
            plugin = load_metric(name)
        except UsageError:
            if owner := giver(name):
                raise UsageError(f"'{name}' is a figure of {owner} and comes with it.", f"--metrics {owner}") from None
            raise
        if plugin.runs_code:
            note(f"{name} runs the script {plugin.runs_code}")
        plugin.ready()
        found.append(_kept(plugin, name, entity_model))
        used |= plugin.takes_setting
    if entity_model and not used:
        raise UsageError(
            f"--entity-model {entity_model}: no metric asked for finds entities.",
            "Ask for one: --metrics entity_recall,entity_f1",
        )
    return list(dict.fromkeys(found))


def giver(figure: str) -> str:
    """The metric that gives a figure under a name that is not its own (`macro_f1`, `accuracy[anatomy]`); "" if none."""
    base = figure.partition("[")[0]
    for name in registry.names("metrics"):
        if name == base:
            return name
        with contextlib.suppress(MedbenchError):  # a third party's broken metric gives none
            if base in registry.get("metrics", name).figure_names:
                return name
    return ""


def _kept(plugin: Any, name: str, entity_model: str) -> str:
    """The name that runs keep of a metric: a setting is part of it. A file's is its path."""
    if not plugin.takes_setting:
        return name
    named_alone = ":" not in name
    return str((plugin.with_setting(entity_model) if entity_model and named_alone else plugin).canonical_name)
