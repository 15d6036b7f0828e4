"""medbench: evaluation-first benchmarks, metrics and a self-training model zoo for medical question answering."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .core.catalog import list_benchmarks as list_benchmarks
    from .core.catalog import list_engines as list_engines
    from .core.catalog import list_judges as list_judges
    from .core.catalog import list_metrics as list_metrics
    from .core.catalog import list_models as list_models
    from .core.errors import MedbenchError as MedbenchError
    from .core.errors import UsageError as UsageError
    from .evaluation.api import evaluate as evaluate
    from .evaluation.judging import Asked as Asked
    from .evaluation.progress import Progress as Progress
    from .experiments.api import run_experiment as run_experiment
    from .report.figures.api import figure as figure
    from .report.site import write_report as write_report
    from .results.runs import Runs as Runs
    from .results.runs import compare as compare
    from .results.runs import load_runs as load_runs
    from .serving.api.background import serve as serve
    from .serving.export.api import export as export
    from .training.api import sweep as sweep
    from .training.api import train as train

__version__ = "0.1.0"

# Where each public name is defined. It is imported when it is first used: `import medbench` loads no heavy library.
_PUBLIC = {
    "Asked": "evaluation.judging",
    "MedbenchError": "core.errors",
    "Progress": "evaluation.progress",
    "Runs": "results.runs",
    "UsageError": "core.errors",
    "compare": "results.runs",
    "evaluate": "evaluation.api",
    "export": "serving.export.api",
    "figure": "report.figures.api",
    "list_benchmarks": "core.catalog",
    "list_engines": "core.catalog",
    "list_judges": "core.catalog",
    "list_metrics": "core.catalog",
    "list_models": "core.catalog",
    "load_runs": "results.runs",
    "run_experiment": "experiments.api",
    "serve": "serving.api.background",
    "sweep": "training.api",
    "train": "training.api",
    "write_report": "report.site",
}
__all__ = ["__version__", *_PUBLIC]


def __getattr__(name: str) -> Any:
    if name not in _PUBLIC:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    import importlib

    return getattr(importlib.import_module(f".{_PUBLIC[name]}", __name__), name)


def __dir__() -> list[str]:
    return sorted([*globals(), *_PUBLIC])
