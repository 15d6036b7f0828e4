"""The options --model and --benchmark of commands that show stored runs: which of the runs they show."""

from __future__ import annotations

from typing import Any

import cloup

from . import completion
from .options import Option


def options() -> tuple[Any, ...]:
    """Return both options, to be put into a group of a command, which then takes `models` and `benchmarks`."""
    return (
        cloup.option(
            "--model",
            "-m",
            "models",
            cls=Option,
            aliases=("--models",),
            multiple=True,
            metavar="NAMES",
            help="Only runs of these models.",
            shell_complete=completion.models_that_ran,
        ),
        cloup.option(
            "--benchmark",
            "-b",
            "benchmarks",
            cls=Option,
            aliases=("--benchmarks",),
            multiple=True,
            metavar="NAMES",
            help="Only these benchmarks.",
            shell_complete=completion.plugins("benchmarks"),
        ),
    )
