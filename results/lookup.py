"""Find the stored runs that a name means: a folder, a run id, a model, or the beginning of a run id."""

from __future__ import annotations

import re
import shlex
from collections.abc import Sequence
from pathlib import Path

from ..core import paths
from ..core.errors import MedbenchError, UsageError
from ..core.suggest import did_you_mean, question
from .descriptions import distinguishing_fields, setup_of, title
from .folders import has_answers, has_manifest, run_folders
from .identity import safe
from .store import StoredRun, all_runs

NAMED = 5  # runs that an error lists
NEAREST = 3  # run ids that an error suggests


def find(text: str, root: Path) -> Path:
    """Return the one run folder that `text` means.

    In this order: a path, a run id below `root`, a model (or MODEL__BENCHMARK) with one run, the beginning of one id.
    Among runs that match in the same way, those with answers come first. Raises UsageError if no run matches (naming
    the nearest ids) or several do (with how they differ). A text in the middle of an id matches nothing.
    """
    if Path(text).is_dir() and has_manifest(Path(text)):
        return Path(text)
    ids = [path.name for path in run_folders(root)] if root.is_dir() else []
    if text in ids:
        return root / text
    for matches in (_whole_parts, str.startswith):
        all_found = [run for run in ids if matches(run, text)]
        found = [run for run in all_found if has_answers(root / run)] or all_found
        if len(found) == 1:
            return root / found[0]
        if found:
            problem = f"'{text}' matches {len(found)} runs:{candidates([root / run for run in found])}"
            raise UsageError(problem, f"Name one of them by its whole run id. {_listed(root)}")
    models = sorted({run.partition("__")[0] for run in ids})
    held = [run for run in ids if text in run][:NEAREST]
    meant = (
        did_you_mean(text, models, cutoff=0.7) or question(held) or did_you_mean(text, ids, most=NEAREST, cutoff=0.4)
    )
    hint = _listed(root) if ids else f"There are no runs in {root}: medbench run"
    raise UsageError(f"no run or model here is called '{text}'.{meant}", hint)


def side(text: str, root: Path, allow_changed: bool = False) -> tuple[list[StoredRun], list[MedbenchError]]:
    """Return the runs that one side of a comparison means, and an error for each run of theirs that cannot be read.

    `text` is a folder of runs, a model's name as tables show it (all its runs below `root` that have answers), a model
    and a benchmark (`MODEL__BENCHMARK`, likewise), or whatever `find` takes. Raises UsageError if it means no run.
    """
    folder = Path(text)
    if folder.is_dir() and not has_manifest(folder):
        return all_runs(folder, allow_changed=allow_changed)
    if root.is_dir() and not has_manifest(root / text):
        runs, problems = all_runs(root, allow_changed=allow_changed)
        meant = [run for run in runs if setup_of(run.manifest).model == text or _whole_parts(run.path.name, text)]
        if meant:
            models = {run.path.name.partition("__")[0] for run in meant}
            of_these = re.compile(rf"(?:^|[\s/])(?:{'|'.join(map(re.escape, models))})__")
            return meant, [problem for problem in problems if of_these.search(str(problem))]
    return [StoredRun(find(text, root), allow_changed)], []


def candidates(folders: Sequence[Path]) -> str:
    """Return a line for each of the first few runs, with the fields that tell it from the others."""
    shown = folders[:NAMED]
    runs: dict[Path, StoredRun] = {}
    for folder in shown:
        try:
            runs[folder] = StoredRun(folder)
        except MedbenchError:
            continue  # listed by its name alone
    told = dict(zip(runs, distinguishing_fields(list(runs.values())), strict=True))
    lines = []
    for folder in shown:
        facts: list[str] = []
        if run := runs.get(folder):
            # Fields that the title or the name already shows are left out.
            differs = [f"{name} {value}" for name, value in told[folder] if name not in IN_TITLE]
            answered = f"{len(run.answered())} of {run.manifest.answers} answered"
            facts = [title(run.manifest), *differs, answered, minute(run.manifest.created)]
        lines.append(f"\n  {folder.name}" + (f"\n    {', '.join(filter(None, facts))}" if facts else ""))
    more = f"\n  and {len(folders) - NAMED} more" if len(folders) > NAMED else ""
    return "".join(lines) + more


def minute(created: str) -> str:
    """When a run was made, to the minute, in UTC: "2026-11-24 15:03"."""
    return created[:16].replace("T", " ")


IN_TITLE = ("benchmark", "protocol", "variant", "method", "shots", "items_hash", "prompt_hash", "name")


def _whole_parts(run: str, text: str) -> bool:
    """Whether `text` is a run's model, or model and benchmark: "m__medquad" does not mean "m__medquad-sample__…"."""
    model, *benchmark = text.split("__", 1)
    return run.startswith("".join(f"{safe(part)}__" for part in (model, *benchmark) if part))


def _listed(root: Path) -> str:
    """Return the hint that names the command that lists all runs in `root`."""
    return "All of them: medbench list runs" + ("" if root == paths.runs() else f" --out {shlex.quote(str(root))}")


def chosen(runs: Sequence[StoredRun], models: Sequence[str], benchmarks: Sequence[str]) -> list[StoredRun]:
    """Return the runs of these models and benchmarks; none named means all. Raises UsageError for one without a run."""
    of_model = {run.path: setup_of(run.manifest).model for run in runs}
    of_benchmark = {run.path: run.manifest.comparable.benchmark for run in runs}
    for kind, asked, known in (("model", models, of_model), ("benchmark", benchmarks, of_benchmark)):
        for name in asked:
            if name not in known.values():
                raise UsageError(
                    f"no run here has the {kind} '{name}'.{did_you_mean(name, set(known.values()))}",
                    f"The {kind}s here: {', '.join(sorted(set(known.values())))}",
                )
    return [
        run
        for run in runs
        if (not models or of_model[run.path] in models) and (not benchmarks or of_benchmark[run.path] in benchmarks)
    ]
