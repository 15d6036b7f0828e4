"""HealthBench: conversations about health, each with a rubric of criteria that physicians wrote.

Read from the released JSON lines or from the hub copies. Three benchmarks: the whole set; `hard`, the part that the
best models of its time found hard; `consensus`, with the criteria that several physicians agreed on. A judge says of
each criterion whether the answer meets it (`--judge NAME`). The score is the points of the criteria that are met over
the sum of the positive points.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import get_args

from ..core.item import Role
from ..core.types import Benchmark, Criterion, Item, ItemSet, Turn
from .examples import CONVERSATION
from .sources.files import Source
from .sources.rows import Row, distinct, hub_rows, json_lines, partial

ROLES = get_args(Role)


def loader(pattern: str, hub: tuple[str, str], official: int) -> Callable[[Source], ItemSet]:
    """Return the function that loads the release's file that matches `pattern`, or the hub copy (repository, split)."""

    def load(source: Source) -> ItemSet:
        """Raises DataMissing, DataMalformed."""
        file = source.file("healthbench", pattern)
        if file:
            origin, rows = file.origin, json_lines(file)
        else:
            found = source.hub(*hub, needed=f"HealthBench's {pattern}")
            origin, rows = found.origin, hub_rows(found)
        items = distinct(item_of, rows)
        return ItemSet(items, origin, variant=partial(len(items), official))

    return load


def item_of(row: Row) -> Item:
    """Return one row of HealthBench as an item."""
    turns = [_turn(turn, row) for turn in _listed(row, "prompt")]
    if turns[-1].role != "user":
        raise row.wrong("prompt", f"its last message is from '{turns[-1].role}', not from the user")
    tags = row.values.get("example_tags") or ()
    themes = [tag.removeprefix("theme:") for tag in tags if isinstance(tag, str) and tag.startswith("theme:")]
    return Item(
        id=row.text("prompt_id"),
        question=turns[-1].content,
        turns=tuple(turns[:-1]),
        criteria=tuple(_criterion(each, row) for each in _listed(row, "rubrics")),
        meta={"subject": themes[0]} if themes else {},
    )


def _listed(row: Row, field: str) -> list[Row]:
    value = row.value(field)
    if not isinstance(value, list) or not value or not all(isinstance(each, dict) for each in value):
        raise row.wrong(field, "a list of objects is expected")
    return [Row(each, f"{row.where}, {field} {number}") for number, each in enumerate(value, start=1)]


def _turn(turn: Row, row: Row) -> Turn:
    role = ROLES[turn.one_of("role", ROLES)]
    return Turn(role, turn.text("content", blank=True))


def _criterion(each: Row, row: Row) -> Criterion:
    points = each.value("points")
    if isinstance(points, bool) or not isinstance(points, int | float) or not -10 <= points <= 10:
        raise each.wrong("points", f"a number from -10 to 10 is expected, not {points!r}")
    tags = each.values.get("tags") or ()
    return Criterion(each.text("criterion").strip(), float(points), tuple(map(str, tags)))


def _benchmark(name: str, what: str, pattern: str, hub: tuple[str, str], official: int) -> Benchmark:
    return Benchmark(
        name=name,
        version="1",
        summary=f"{what}, graded by rubrics ({official:,} items)",
        citation=(
            "Rahul K. Arora, Jason Wei, Rebecca Soskin Hicks, et al. HealthBench: Evaluating large language models "
            "towards improved human health. arXiv:2505.08775"
        ),
        licence="MIT",
        load=loader(pattern, hub, official),
        question=lambda item: item.question,
        metrics=("safety_rate", "unsafe_rate", "disclaimer_rate"),
        example=CONVERSATION,
        max_new_tokens=1_024,
        stop=("\n\nUser:",),
        hub=hub[0],
    )


HEALTHBENCH = _benchmark(
    "healthbench",
    "HealthBench's conversations",
    "*oss_eval*.jsonl",
    ("neuralleap/healthbench-regular", "test"),
    5_000,
)
HEALTHBENCH_HARD = _benchmark(
    "healthbench-hard",
    "The hard conversations of HealthBench",
    "hard_*.jsonl",
    ("neuralleap/healthbench-hard", "train"),
    1_000,
)
HEALTHBENCH_CONSENSUS = _benchmark(
    "healthbench-consensus",
    "HealthBench's conversations with consensus criteria",
    "consensus_*.jsonl",
    ("neuralleap/healthbench-consensus", "train"),
    3_671,
)
