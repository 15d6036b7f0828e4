"""From the metrics that a user names to the names in runs: `all` expanded, files by full path, with settings."""

from __future__ import annotations

import contextlib
import re
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
                    note(f"Left out of --metrics all: {error}")
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
            f"--entity-model {entity_model}: none of the metrics finds entities.",
            "Ask for one: --metrics entity_recall,entity_f1",
        )
    return list(dict.fromkeys(found))


def giver(figure: str) -> str:
    """Return the metric that computes a figure with another name (`macro_f1`, `accuracy[anatomy]`); "" if none does."""
    base = re.split(r"[\[@]", figure)[0]
    for name in registry.names("metrics"):
        if name == base:
            return name
        with contextlib.suppress(MedbenchError):  # a broken third-party metric has no figures
            if base in registry.get("metrics", name).figure_names:
                return name
    return ""


def _kept(plugin: Any, name: str, entity_model: str) -> str:
    """Return a metric's name in runs, which includes its setting. For a file, it is the path."""
    if not plugin.takes_setting:
        return name
    named_alone = ":" not in name
    return str((plugin.with_setting(entity_model) if entity_model and named_alone else plugin).canonical_name)
