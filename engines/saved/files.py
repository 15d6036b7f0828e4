"""Which files a path of saved answers means, and which of them has the answers to a benchmark."""

from __future__ import annotations

import glob
import re
from collections.abc import Sequence
from pathlib import Path

from ...core.errors import UsageError
from .answers import FORM
from .inspect_log import model_of
from .seals import SAMPLES

LINES = (".jsonl", ".csv")
LOGS = (".eval", ".json")  # of Inspect
SUFFIXES = (*LINES, *LOGS)
BENCHMARK = "{benchmark}"  # in a path: stands for the name of the benchmark
FILES_NAMED = 6
# The names of files that lm-evaluation-harness and Inspect write, with the task in them.
OF_LM_EVAL = re.compile(r"samples_(?P<task>.+)_\d{4}-\d\d-\d\dT[\d.:-]+")
OF_INSPECT = re.compile(r"\d{4}-\d\d-\d\dT[\d:+-]+_(?P<task>.+)_[A-Za-z0-9]{20,24}")


def answer_files(path: Path) -> list[Path]:
    """Return the files that a path means: a file, those in a folder, a run's samples, or those that fit a pattern.

    Raises UsageError if there are none.
    """
    if BENCHMARK in str(path):
        return _fitting(path)
    if path.is_file():
        if path.suffix.lower() not in SUFFIXES:
            raise UsageError(
                f"{path}: saved answers must be in a file that ends in {' or '.join(LINES)}, or in a log of Inspect "
                f"({' or '.join(LOGS)}).",
                FORM,
            )
        return [path]
    if not path.is_dir():
        raise UsageError(f"there is no file or folder {path} of saved answers.", FORM)
    if (path / SAMPLES).is_file():
        return [path / SAMPLES]
    found = sorted(file for file in path.iterdir() if _has_answers(file))
    if not found:
        raise UsageError(f"the folder {path} has no file that ends in {' or '.join(LINES)}.", FORM)
    return found


def file_for(path: Path, benchmark: str) -> Path:
    """Return the file with the answers to a benchmark: the path itself or, in a folder, the file named after it.

    Other files of a folder are never used, because their ids may match although their answers are to other questions.
    Raises UsageError naming the missing file and those that are there.
    """
    files = answer_files(path)
    if BENCHMARK in str(path):
        file = Path(str(path).replace(BENCHMARK, benchmark))
        if file in files:
            return file
        raise UsageError(
            f"there are no answers to {benchmark}: {file} does not exist.", f"Files that fit {path}: {_listed(files)}."
        )
    if path.is_file() or files[0].name == SAMPLES:
        return files[0]
    named = [file for file in files if file.stem == benchmark or task_of(file) == re.sub(r"\W", "_", benchmark)]
    if len(named) == 1:
        return named[0]
    if named:
        raise UsageError(
            f"the folder {path} has two files of answers to {benchmark}: {' and '.join(file.name for file in named)}.",
            "Keep one of them, or name the file: --model replay:FILE",
        )
    alike = [file for file in files if benchmark in file.stem]
    named_after = path / alike[0].name.replace(benchmark, BENCHMARK) if alike else None
    raise UsageError(
        f"the folder {path} has no answers to {benchmark}: it has no {benchmark}{LINES[0]}, but {_listed(files)}.",
        f"Save them as {benchmark}{LINES[0]}. If one of the files has them, name it: --model "
        + (f"'replay:{named_after}'" if named_after else f"replay:{files[0]}"),
    )


def task_of(file: Path) -> str:
    """Return the task in the name of a file of lm-evaluation-harness or Inspect; "" if there is none."""
    found = OF_LM_EVAL.fullmatch(file.stem) or OF_INSPECT.fullmatch(file.stem)
    return re.sub(r"\W", "_", found["task"]) if found else ""


def _has_answers(file: Path) -> bool:
    """Whether a file of a folder may have answers: JSON only if it has the name of a log of Inspect."""
    suffix = file.suffix.lower()
    return file.is_file() and (suffix in SUFFIXES and (suffix != ".json" or bool(OF_INSPECT.fullmatch(file.stem))))


def _fitting(path: Path) -> list[Path]:
    """Return the files that fit a path with {benchmark} in it, sorted. Raises UsageError if there are none."""
    if path.suffix.lower() not in SUFFIXES:
        raise UsageError(f"{path}: a path with {BENCHMARK} must end in {' or '.join(LINES)}.", FORM)
    root = Path(path.anchor)
    found = sorted(root.glob("*".join(map(glob.escape, str(path.relative_to(root)).split(BENCHMARK)))))
    if not found:
        raise UsageError(f"no file fits {path}.", f"{BENCHMARK} stands for the name of a benchmark: medqa, pubmedqa, …")
    return found


def _listed(files: Sequence[Path]) -> str:
    return ", ".join(file.name for file in files[:FILES_NAMED]) + (", …" if len(files) > FILES_NAMED else "")


def system_of(path: Path) -> str:
    """Return the name of the system whose answers are saved at `path`: "alpha" for alpha.jsonl, the folder alpha,
    alpha-{benchmark}.jsonl and alpha/{benchmark}.jsonl. Samples of a run are named after the run's folder, those of
    lm-evaluation-harness after theirs, and a log of Inspect after its model.
    """
    if BENCHMARK in str(path):
        parts = (part.replace(BENCHMARK, "").strip("-_. ") for part in (path.stem, *reversed(path.parts[1:-1])))
        return next(filter(None, parts), path.suffix[1:])
    if path.suffix.lower() in LOGS and path.is_file() and (model := model_of(path)):
        return model
    if path.name == SAMPLES or OF_LM_EVAL.fullmatch(path.stem):
        return path.parent.name
    return path.stem if path.suffix else path.name
