"""What every format says about a run: its figures, its answers and the score of each, without private data."""

from __future__ import annotations

import contextlib
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from functools import cached_property
from typing import Any

from ...core.errors import MedbenchError
from ...core.types import AnswerKey, Figure, Metric, Output, Record, Score
from .. import leaderboard
from ..board import Board, BoardRow, Column
from ..manifest import Manifest
from ..scoring import bound, load_stored
from ..store import StoredRun

HERE = "medbench"


@dataclass(frozen=True)
class RunToExport:
    """A run with its row of the leaderboard and the scores of its answers."""

    run: StoredRun
    board: Board
    row: BoardRow
    records: Sequence[Record]  # in the order of the items and of their samples; long texts are read when they are used
    metrics: Mapping[str, Metric]  # those that score answers
    scores: Mapping[str, Mapping[AnswerKey, Score]]  # by metric
    problems: tuple[str, ...] = field(default=())

    @property
    def manifest(self) -> Manifest:
        return self.run.manifest

    @cached_property
    def figures(self) -> list[tuple[Column, Figure]]:
        """The figures with a value."""
        cells = zip(self.board.columns, self.row.cells, strict=True)
        return [(column, cell.figure) for column, cell in cells if cell.figure and cell.figure.value is not None]

    def answers(self) -> Iterator[list[Record]]:
        """Yield the answers to each item."""
        same: list[Record] = []
        for record in self.records:
            if same and same[0].item.id != record.item.id:
                yield same
                same = []
            same.append(record)
        if same:
            yield same

    @property
    def version(self) -> str:
        """The version of medbench that made the run."""
        packages = self.manifest.environment.get("packages")
        return str(packages.get(HERE, "unknown")) if isinstance(packages, Mapping) else "unknown"

    @property
    def created(self) -> float:
        """When the run was made, in seconds since 1970; 0 if that is not recorded."""
        with contextlib.suppress(ValueError):
            return datetime.fromisoformat(self.manifest.created).timestamp()
        return 0.0


def read(runs: Sequence[StoredRun]) -> tuple[list[RunToExport], list[str]]:
    """Return runs with their figures and scores, and a sentence for each run or metric that cannot be read.

    Missing scores are computed and stored, as for the leaderboard.
    """
    found = leaderboard.build(runs)
    problems = list(map(str, found.problems))
    by_path = {str(run.path): run for run in runs}
    made = []
    for board in found.boards:
        for row in board.rows:
            one = _read(by_path[row.path], board, row)
            problems += (problem for problem in one.problems if problem not in problems)
            made.append(one)
    return made, problems


def _read(run: StoredRun, board: Board, row: BoardRow) -> RunToExport:
    records = run.records()
    metrics: dict[str, Metric] = {}
    scores: dict[str, dict[AnswerKey, Score]] = {}
    problems = []
    for name in run.manifest.reported_metrics:
        try:
            plugin = load_stored(name)
            if not isinstance(plugin, Metric):
                continue
            metric, own = bound(run, plugin, records)
            if any(score.value is not None for score in own):  # else it does not apply to these items
                metrics[name], scores[name] = metric, {score.key: score for score in own}
        except MedbenchError as error:
            problems.append(str(error))
    return RunToExport(run, board, row, records, metrics, scores, tuple(problems))


def question(record: Record) -> str:
    """Return what an item asks: its context, if it has one, and its question."""
    return "\n\n".join(filter(None, [record.item.context, record.item.question]))


def gold(record: Record) -> list[str]:
    """Return the right answers: the label of the right option, the references or the right value."""
    item = record.item
    if item.gold is not None:
        return [item.answers[item.gold]]
    return [item.target.value] if item.target else list(item.references)


def chosen(output: Output) -> int | None:
    """Return the option with the highest log-probability; None if the answer is a text."""
    if output.logprobs is None:
        return None
    return max(range(len(output.logprobs)), key=output.logprobs.__getitem__)


def answer(record: Record) -> str:
    """Return what the model answered: its text, or the label that it found the likeliest."""
    at = chosen(record.output)
    return (record.output.text or "") if at is None else record.item.answers[at]


def logprobs(output: Output) -> list[str]:
    """Return log-probabilities (nats) as texts, since JSON has no infinity."""
    return [str(value) for value in output.logprobs or ()]


def right(metric: Metric, score: Score) -> bool:
    """Whether an answer is right by a metric: it has the best value that a share or a score from 0 to 1 can have."""
    return score.value == (1.0 if metric.better == "higher" else 0.0)


def standard_error(values: Sequence[float]) -> float | None:
    """Return the standard error of a mean (sample deviation / √n); None for fewer than two values."""
    if len(values) < 2:
        return None
    mean = sum(values) / len(values)
    return math.sqrt(sum((value - mean) ** 2 for value in values) / (len(values) - 1) / len(values))


def settings(one: RunToExport) -> dict[str, Any]:
    """Return how the items were asked and answered, without addresses and folders."""
    manifest, own = one.manifest, one.manifest.identity.model
    found = {
        "run_id": manifest.run_id,
        "method": manifest.method,
        "protocol": manifest.comparable.protocol,
        "shots": manifest.comparable.shots,
        "retrieval": manifest.comparable.retrieval,
        "engine": own.engine,
        "revision": own.revision,
        "adapter": own.adapter,
        "dtype": own.dtype,
        "quantize": own.quantize,
        "chat": manifest.identity.chat,
        "seed": manifest.identity.seed,
        "samples": manifest.comparable.samples,
        "benchmark_version": manifest.comparable.version,
        "variant": manifest.comparable.variant,
        "items_hash": manifest.comparable.items_hash,
        "prompt_hash": manifest.comparable.prompt_hash,
        "leaked_items": len(manifest.model.leaked) if manifest.model.leaked is not None else None,
    }
    return {name: value for name, value in found.items() if value not in (None, "")}
