"""Which runs of two or more sides can be compared with each other."""

from __future__ import annotations

import itertools
import json
import string
from collections.abc import Callable, Sequence
from typing import Any

from ..core.errors import UsageError
from .descriptions import items_of, setup_of, title
from .identity import differing
from .lookup import candidates
from .manifest import Manifest
from .store import StoredRun

MEANING = {
    "benchmark": "the benchmark",
    "version": "the benchmark's version",
    "variant": "the variant",
    "protocol": "the protocol",
    "system_hash": "the system text",
    "items_hash": "the items",
    "prompt_hash": "the prompts",
    "shots": "the number of examples (shots)",
    "method": "how the answer is obtained (method)",
    "samples": "the number of answers to each item (samples)",
    "max_new_tokens": "the most tokens an answer may have (max_new_tokens)",
    "stop": "the strings that end an answer (stop)",
    "retrieval": "the passages in the prompts (retrieval)",
}


Key = Callable[[StoredRun], str]


class ComparedSide:
    """The runs of one side, by the hash (`key`) of what comparable runs have in common.

    Of two runs with the same hash, neither is chosen: `ambiguous` has an error that names both.
    """

    def __init__(self, name: str, runs: Sequence[StoredRun], key: Key) -> None:
        self.name = name
        columns: dict[str, list[StoredRun]] = {}
        for run in runs:
            columns.setdefault(key(run), []).append(run)
        if not columns:
            raise UsageError(f"{name} has no runs.")
        self.runs = {column: found[0] for column, found in columns.items() if len(found) == 1}
        self.ambiguous = {
            column: UsageError(
                f"{name} has {len(found)} runs of {title(found[0].manifest)}:{candidates([run.path for run in found])}",
                "Name one of them by its run id.",
            )
            for column, found in columns.items()
            if len(found) > 1
        }


def sides_of(given: Sequence[StoredRun | Sequence[StoredRun]]) -> list[ComparedSide]:
    """Return the sides, named by their models or, if several share a model, A, B, C, …

    Runs match if they are comparable. If no two are, runs match that differ in nothing but the passages in their
    prompts: what these change is what one compares.
    """
    groups = [[runs] if isinstance(runs, StoredRun) else list(runs) for runs in given]
    models = [{setup_of(run.manifest).model for run in runs} for runs in groups]
    alone = all(len(names) == 1 for names in models) and len(set().union(*models)) == len(groups)
    names = [min(names) for names in models] if alone else string.ascii_uppercase
    columns = [{_column(run) for run in runs} for runs in groups]
    comparable = any(one & other for one, other in itertools.combinations(columns, 2))
    key = _column if comparable else _column_without_passages
    return [ComparedSide(name, runs, key) for name, runs in zip(names, groups)]


def _column(run: StoredRun) -> str:
    return run.manifest.comparable.key


def _column_without_passages(run: StoredRun) -> str:
    return run.manifest.comparable.paired_key


def matched(*sides: StoredRun | Sequence[StoredRun]) -> list[tuple[StoredRun, StoredRun]]:
    """Return every two runs of two different sides that can be compared.

    Raises UsageError if no two can be, naming the fields that differ and both values, and if two sides have one run.
    """
    return match_sides(sides_of(sides))


def match_sides(sides: Sequence[ComparedSide]) -> list[tuple[StoredRun, StoredRun]]:
    """Return every two runs of two different sides that can be compared. Raises UsageError as `matched` does."""
    found = []
    for one, other in itertools.combinations(sides, 2):
        for column, run in one.runs.items():
            if column in other.runs:
                if run.path.resolve() == other.runs[column].path.resolve():
                    raise UsageError(f"{one.name} and {other.name} are the same run: {run.manifest.run_id}.")
                found.append((run, other.runs[column]))
    if found:
        return found
    for side in sides:
        for column, error in side.ambiguous.items():
            if any(column in other.runs or column in other.ambiguous for other in sides if other is not side):
                raise error
    alone = [list(side.runs.values()) for side in sides]
    if not all(alone[:2]):
        raise next(iter(sides[0].ambiguous.values() or sides[1].ambiguous.values()))
    raise _refusal(alone[0], alone[1])


def left_out(sides: Sequence[ComparedSide]) -> list[str]:
    """Return a sentence for every run that has no counterpart on another side."""
    return [
        f"{title(run.manifest)}: only {side.name} has it"
        for side in sides
        for column, run in side.runs.items()
        if not any(column in other.runs or column in other.ambiguous for other in sides if other is not side)
    ]


def _refusal(side_a: Sequence[StoredRun], side_b: Sequence[StoredRun]) -> UsageError:
    """Return why nothing can be compared, for the two runs that differ in the fewest fields."""
    candidates = [(run_a.manifest, run_b.manifest) for run_a in side_a for run_b in side_b]
    one, other = min(candidates, key=lambda both: len(_differences(*both)))
    differences = _differences(one, other)
    # Two benchmarks differ in everything else too.
    shown = [found for found in differences if found[0] == "benchmark"] or differences
    fields = [
        f"{MEANING.get(name, name)}: {_worded(name, left, one)} against {_worded(name, right, other)}"
        for name, left, right in shown
    ]
    hint = "Run both models with the same benchmark, items, examples and method."
    if [name for name, _, _ in shown] == ["method"]:
        chosen = one if one.method == "logprob" else other
        hint = f"Have {chosen.model.name} write its answers too: medbench run … --choice generate"
    return UsageError(f"{one.run_id} and {other.run_id} cannot be compared. They differ in {'; '.join(fields)}.", hint)


def _differences(one: Manifest, other: Manifest) -> list[tuple[str, Any, Any]]:
    return differing(one.comparable.as_json(), other.comparable.as_json())


def _worded(name: str, value: Any, manifest: Manifest) -> str:
    if name == "items_hash":
        return f"{items_of(manifest)} [{value}]"
    if value is None:
        return "not recorded"
    return repr(value) if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
