"""The names of all installed plugins, built-in and third-party."""

from __future__ import annotations

from . import registry


def list_models() -> list[str]:
    """Return the names of the model zoo's entries."""
    return registry.names("zoo")


def list_benchmarks() -> list[str]:
    """Return the names of all benchmarks, including the samples."""
    return registry.names("benchmarks")


def list_metrics() -> list[str]:
    """Return the names of all metrics and measurements."""
    return registry.names("metrics")


def list_judges() -> list[str]:
    """Return the names of all judges."""
    return registry.names("judges")


def list_engines() -> list[str]:
    """Return the names of all engines."""
    return registry.names("engines")
