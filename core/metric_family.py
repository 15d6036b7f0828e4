"""Metrics that are made from a name."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class MetricFamily:
    """Metrics that are made from a name: `PREFIX:REST`. The entry point is named after the prefix.

    A stored run names its metrics, and anyone may have written that run. With `installed=False`, a name may refer to
    code or data that is not installed, so a stored name alone makes no metric: only its stored scores are shown.
    """

    name: str  # the prefix, without the colon
    make: Callable[[str], Any]  # the Metric or Measurement of a whole name; raises UsageError for an invalid one
    summary: str = ""
    installed: bool = False  # every name of the family runs installed code only
