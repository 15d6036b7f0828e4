"""The figures of two runs on the items that both answered. Figures that are means over items are tested."""

from __future__ import annotations

from collections import Counter
from collections.abc import Hashable, Iterable, Mapping, Sequence
from typing import TypeVar

from ..core.paired_intervals import discordant_interval
from ..core.paired_tests import mcnemar_exact
from ..core.types import Figure, Metric, Record, Score
from .comparison import ComparedFigure, Verdicts
from .item_values import item_documents, item_means
from .pairing import pair
from .scoring import aggregate

Part = TypeVar("Part", Record, Score)
LONG = 20  # characters of a metric's name, from which a note does not repeat it


def by_item(parts: Iterable[Part]) -> dict[str, list[Part]]:
    """Return records or scores by the ids of their items, in order; an item has several if it has several samples."""
    found: dict[str, list[Part]] = {}
    for part in parts:
        found.setdefault(part.key[0], []).append(part)
    return found


def of_items(parts: Mapping[str, list[Part]], items: Iterable[str]) -> list[Part]:
    """Return the records or scores of these items, in their order."""
    return [part for item_id in items for part in parts[item_id]]


def figures_of(
    metrics: tuple[Metric, Metric],
    scored: tuple[Mapping[str, list[Score]], Mapping[str, list[Score]]],
    answered: tuple[Mapping[str, list[Record]], Mapping[str, list[Record]]],
    common: Sequence[str],
) -> list[tuple[ComparedFigure, Hashable]]:
    """Return the headline figures of one metric over the items that both answered, each with the hypothesis it tests.

    Only the first one is tested, and only if it is a mean.
    """
    records = [of_items(side, common) for side in answered]
    scores = [of_items(side, common) for side in scored]
    figures_a, figures_b = (aggregate(*each) for each in zip(metrics, records, scores, strict=True))
    theirs = {figure.name: figure for figure in figures_b}
    lines = list[tuple[ComparedFigure, Hashable]]()
    for index, figure in enumerate(figures_a):
        if index == 0 and metrics[0].mean:
            lines.append(_tested(metrics[0], figure, scored, common, records[0]))
        elif figure.headline and figure.name in theirs:
            name = metrics[0].name
            note = f"not tested; {name} is" if metrics[0].mean and len(name) < LONG else "not tested; no item mean"
            lines.append((untested(figure, theirs[figure.name], len(common), note), None))
    return lines


def preference(metric: Metric, records: Sequence[Record]) -> tuple[ComparedFigure, Hashable]:
    """Return how often A and how often B is preferred, with the hypothesis tested. A tie counts half for each."""
    scores = metric.score(records)
    of_a = item_means(scores)
    reasons = Counter(score.reason or "no reason given" for score in scores if score.value is None)
    left_out = tuple(reasons.most_common())
    clusters = item_documents(records)
    pairs = pair(of_a, {item_id: 1 - value for item_id, value in of_a.items()}, False, clusters)
    if pairs is None:
        return ComparedFigure(
            metric.name, "", "higher", None, None, 0, note="no item is judged", left_out=left_out
        ), None
    wins, losses = sum(value > 0.5 for value in of_a.values()), sum(value < 0.5 for value in of_a.values())
    # The sign test assumes independent items; items of one document are not.
    independent = clusters is None and len(of_a) > 1
    low, high = discordant_interval(wins, losses, len(of_a)) if independent else pairs.interval() or (None, None)
    line = ComparedFigure(
        name=metric.name,
        unit="",
        better="higher",
        a=sum(pairs.a) / len(pairs.a),
        b=sum(pairs.b) / len(pairs.b),
        n=len(pairs.a),
        test="exact sign" if clusters is None else "permutation by document",
        difference=pairs.difference,
        low=low,
        high=high,
        p=mcnemar_exact(wins, losses) if clusters is None else pairs.p_value(),
        left_out=left_out,
        verdicts=Verdicts(wins, losses, len(of_a) - wins - losses, len(of_a), len(by_item(records))),
    )
    return line, pairs.hypothesis


def verdict_notes(metric: Metric, line: ComparedFigure) -> list[str]:
    """Return what was preferred, in words."""
    if line.verdicts is None:
        return []
    v = line.verdicts
    many = f"{v.judged} of {v.both} items" if v.judged < v.both else f"{v.both} item{'s' * (v.both != 1)}"
    verdicts = f"A preferred on {v.a}, B on {v.b}, neither on {v.neither}"
    told = f"{metric.name}: {many} judged in both orders: {verdicts}"
    return [told, *([metric.remark] if metric.remark else [])]


def _tested(
    metric: Metric,
    figure: Figure,
    scored: tuple[Mapping[str, list[Score]], Mapping[str, list[Score]]],
    common: Sequence[str],
    records: Sequence[Record],
) -> tuple[ComparedFigure, Hashable]:
    """Compare the means of items. If items have several samples, their means are neither right nor wrong."""
    values_a, values_b = (item_means(of_items(side, common)) for side in scored)
    left_out = Counter(
        f"unscored in {name}: {side[item_id][0].reason or 'no reason given'}"
        for item_id in common
        if item_id not in values_a or item_id not in values_b
        for name, side in [("A", scored[0]) if item_id not in values_a else ("B", scored[1])]
    )
    binary = metric.binary and len(records) == len(common)
    clusters = item_documents(records)
    pairs = pair(values_a, values_b, binary, clusters)
    if pairs is None:
        note = "no item is scored in both"
        return ComparedFigure(
            figure.name, figure.unit, figure.better, None, None, 0, note=note, left_out=tuple(left_out.most_common())
        ), None
    low, high = pairs.interval() or (None, None)
    line = ComparedFigure(
        name=figure.name,
        unit=figure.unit,
        better=figure.better,
        a=sum(pairs.a) / len(pairs.a),
        b=sum(pairs.b) / len(pairs.b),
        n=len(pairs.a),
        test=pairs.test,
        difference=pairs.difference,
        low=low,
        high=high,
        p=pairs.p_value(),
        counts=pairs.counts,
        left_out=tuple(left_out.most_common()),
    )
    return line, pairs.hypothesis


def untested(a: Figure, b: Figure, n: int, note: str) -> ComparedFigure:
    difference = None if a.value is None or b.value is None else a.value - b.value
    return ComparedFigure(a.name, a.unit, a.better, a.value, b.value, n, note=note, difference=difference)
