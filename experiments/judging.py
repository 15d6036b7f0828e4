"""What judges would be asked about a planned run, at most, and what that costs by the price table."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from ..core.errors import MedbenchError
from ..core.types import Output, Record
from ..evaluation.judging import Panel
from ..evaluation.plan import Plan

if TYPE_CHECKING:
    from ..judges.judge import Judge

CHARACTERS_PER_TOKEN = 4
WORD = "word "  # answers that are not there yet are made of it


@dataclass(frozen=True, slots=True)
class Judged:
    """The calls about one run that a judge has not answered, and their cost in USD; None: the price is not known."""

    judge: str
    model: str
    benchmark: str
    mode: str
    calls: int
    cost: float | None


def judged(panel: Panel, plan: Plan, model: str, stored: Sequence[Record], folder: Path | None) -> list[Judged]:
    """Return what each judge is asked. An answer that is not there yet is taken to be as long as it may be.

    `stored`: answers that the run has or copies; `folder`: of the run, with the replies that are there.
    """
    from ..judges.judging import price_of, requests_about
    from ..judges.modes import mode_of
    from ..judges.names import metric_name

    mode = mode_of(panel.mode_of(plan.items[0]))
    text = WORD * max(1, plan.max_new_tokens * CHARACTERS_PER_TOKEN // len(WORD))
    have = {record.key for record in stored}
    # Each is another text, since samples that read the same are graded once.
    coming = [
        Record(item, Output(key[0], text=f"{key[1]} {text}", sample=key[1]))
        for key, item in plan.open_items(have).items()
    ]
    found = []
    for judge in panel.judges:
        known = _replies(folder, metric_name(mode, judge.label))
        wanted = requests_about(mode, [*stored, *coming], judge.max_new_tokens)
        todo = [request for key, (_, request) in wanted.items() if key not in known]
        calls, cost = len(todo), price_of(todo, judge)
        if calls:
            found.append(Judged(judge.label, model, plan.benchmark.name, mode.name, calls, _cost(judge, cost)))
    return found


def _cost(judge: Judge, cost: float | None) -> float | None:
    """Return the cost of a judge; one on this machine costs nothing."""
    return cost if judge.served else 0.0


def _replies(folder: Path | None, metric: str) -> set[str]:
    """Return the ids of the replies that a judge has given about a run."""
    from ..results.store import StoredRun

    if folder is None or not (folder / "manifest.json").is_file():
        return set()
    try:
        return set(StoredRun(folder).judgements(metric)[1])
    except MedbenchError:
        return set()
