"""Names that a shell completes when Tab is pressed: models, benchmarks, metrics, runs, adapters and more.

Each function is the `shell_complete` of an option or argument. A shell waits for the answer, so nothing here imports
a plugin or reads more than the names of files and packages.
"""

from __future__ import annotations

import glob
from collections.abc import Callable, Iterable
from pathlib import Path

import click
from click.shell_completion import CompletionItem

from ..core import paths

Complete = Callable[[click.Context, click.Parameter, str], list[CompletionItem]]
MANIFEST = "manifest.json"
FILE = "file"  # the shell completes file names itself


def plugins(group: str, *others: str) -> Complete:
    """Complete the plugins of a group and `others`, several separated by commas, or a file."""
    return lambda context, parameter, begun: _listed(begun, [*_installed(group), *others])


def models(context: click.Context, parameter: click.Parameter, begun: str) -> list[CompletionItem]:
    """Complete zoo entries and what was trained from models (NAME@TAG), several separated by commas, or a file."""
    return _listed(begun, [*_installed("zoo"), *_trained()])


def protocols(context: click.Context, parameter: click.Parameter, begun: str) -> list[CompletionItem]:
    """Complete the protocols that several benchmarks share, several separated by commas."""
    from ..benchmarks.protocols import NAMES

    return _listed(begun, NAMES)


def adapters(context: click.Context, parameter: click.Parameter, begun: str) -> list[CompletionItem]:
    """Complete NAME@TAG."""
    return _matching(begun, _trained())


def files(context: click.Context, parameter: click.Parameter, begun: str) -> list[CompletionItem]:
    """Let the shell complete file names."""
    return [CompletionItem(begun, type=FILE)]


def experiments(context: click.Context, parameter: click.Parameter, begun: str) -> list[CompletionItem]:
    """Complete experiment files, and folders that lead to one. If only a folder fits, its content is offered."""
    head, slash, name = begun.rpartition("/")
    found = sorted(Path(head + slash or ".").glob(f"{glob.escape(name)}*"))
    found = [path for path in found if name or not path.name.startswith(".")]
    files = [f"{head}{slash}{path.name}" for path in found if path.suffix == ".toml" and path.is_file()]
    folders = [f"{head}{slash}{path.name}/" for path in found if path.is_dir() and _leads_to(path)]
    if not files and len(folders) == 1:
        return experiments(context, parameter, folders[0])
    return [CompletionItem(name) for name in (*files, *folders)]


def _leads_to(folder: Path) -> bool:
    """Whether a folder has an experiment file, or a folder that may have one."""
    try:
        return any(path.suffix == ".toml" or path.is_dir() for path in folder.iterdir())
    except OSError:
        return False


def runs(context: click.Context, parameter: click.Parameter, begun: str) -> list[CompletionItem]:
    """Complete the names of run folders, or a file."""
    return _matching(begun, _runs(context)) or files(context, parameter, begun)


def sides(context: click.Context, parameter: click.Parameter, begun: str) -> list[CompletionItem]:
    """Complete models that have runs, then run folders, or a file."""
    return _matching(begun, [*_models(context), *_runs(context)]) or files(context, parameter, begun)


def exported(context: click.Context, parameter: click.Parameter, begun: str) -> list[CompletionItem]:
    """Complete what `medbench export` takes: a model or, with --format, run folders."""
    if not context.params.get("of_runs"):
        return models(context, parameter, begun)
    found = sorted(Path(context.params.get("runs") or paths.runs()).glob(f"*/{MANIFEST}"))
    return _matching(begun, [manifest.parent.name for manifest in found]) or files(context, parameter, begun)


def models_that_ran(context: click.Context, parameter: click.Parameter, begun: str) -> list[CompletionItem]:
    """Complete models that have runs, several separated by commas."""
    return _listed(begun, _models(context))


def columns(context: click.Context, parameter: click.Parameter, begun: str) -> list[CompletionItem]:
    """Complete the columns of the summary: benchmarks that have runs, then the others."""
    benchmarks = sorted({run.split("__")[1] for run in _runs(context) if "__" in run})
    return _matching(begun, [*benchmarks, "mean", "safety", "latency", "memory"])


def listed(context: click.Context, parameter: click.Parameter, begun: str) -> list[CompletionItem]:
    """Complete the NAME of `medbench list WHAT NAME`."""
    what = str(context.params.get("what") or "")
    return _matching(begun, _installed("zoo" if what == "models" else what))


def fields(context: click.Context, parameter: click.Parameter, begun: str) -> list[CompletionItem]:
    """Complete FIELD= of a training recipe."""
    from ..training.overrides import FIELDS

    return _matching(begun, [f"{field}=" for field in FIELDS])


def _listed(begun: str, names: Iterable[str]) -> list[CompletionItem]:
    """Complete the last of several comma-separated names, without those already given."""
    head, comma, last = begun.rpartition(",")
    found = [name for name in names if name.startswith(last) and name not in head.split(",")]
    return [CompletionItem(head + comma + name) for name in found] or [CompletionItem(begun, type=FILE)]


def _matching(begun: str, names: Iterable[str]) -> list[CompletionItem]:
    return [CompletionItem(name) for name in names if name.startswith(begun)]


def _installed(group: str) -> list[str]:
    from importlib.metadata import entry_points

    return sorted({point.name for point in entry_points(group=f"medbench.{group}")})


def _trained() -> list[str]:
    found = sorted(paths.adapters().glob(f"*/*/{MANIFEST}"))
    return [f"{manifest.parts[-3]}@{manifest.parts[-2]}" for manifest in found]


def _runs(context: click.Context) -> list[str]:
    roots = context.params.get("folders") or [context.params.get("out") or paths.runs()]
    return sorted(manifest.parent.name for root in roots for manifest in Path(root).glob(f"*/{MANIFEST}"))


def _models(context: click.Context) -> list[str]:
    return [*dict.fromkeys(run.partition("__")[0] for run in _runs(context))]
