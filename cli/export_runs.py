"""`medbench export --format`: stored runs in the formats of other tools."""

from __future__ import annotations

from pathlib import Path

import click
from click.core import ParameterSource

from ..core import paths
from ..core.errors import UsageError
from .options import visible
from .ui import output
from .ui.messages import say, tell

TAKEN = ("of_runs", "names", "out", "runs", "quiet", "as_json")  # by --format


def export_runs(
    names: tuple[str, ...], format: str, out: Path | None, root: Path | None, quiet: bool, as_json: bool
) -> None:
    """Export the runs that are named, by default all in `root`. Options that are for models are rejected."""
    from ..core.errors import MedbenchError
    from ..results.formats.api import export_runs as export
    from ..results.lookup import side
    from ..results.store import StoredRun, all_runs

    _reject_model_options(format)
    folder = root or paths.runs()
    found: dict[Path, StoredRun] = {}
    problems: list[MedbenchError] = []
    for runs, broken in [side(name, folder) for name in names] if names else [all_runs(folder)]:
        found |= {run.path: run for run in runs}
        problems += broken
    if not found and not problems:
        raise UsageError(f"there are no runs in {' or '.join(names) or folder}.", "Make one: medbench run")
    made = export(list(found.values()), format, out or Path("exports") / format) if found else None
    told = [*map(str, problems), *(made.problems if made else ())]
    if as_json:
        output.show_json((made.as_dict() if made else {}) | {"problems": told})
    elif made and not quiet:
        for file in made.files:
            say(f"written: {file}")
    for problem in told:
        tell(f"Not exported: {problem}")
    if told:
        raise SystemExit(1)


def _reject_model_options(format: str) -> None:
    """Raise UsageError for an option that only the export of a model has."""
    context = click.get_current_context()
    for parameter in context.command.params:
        given = context.get_parameter_source(str(parameter.name)) is not ParameterSource.DEFAULT
        if given and parameter.name not in TAKEN and (spelled := visible(parameter)):
            raise UsageError(
                f"{spelled[0]} works only when a model is exported; --format {format} exports runs.", "Leave one out."
            )
