"""What `medbench train --sweep --rank-by` prints: the order, what the tests say about it, and what to use next."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rich.console import RenderableType

    from ...training.ranking import Ranking

SENTENCES = 10  # pairs that are shown; with more, only those of the best variant and of the untrained model


def ranking(found: Ranking, by_loss: str = "") -> list[RenderableType]:
    """Return the table, a sentence for every tested pair, and the verdict.

    `by_loss`: the label of the variant with the lowest held-out loss.
    """
    from rich import box
    from rich.markup import escape
    from rich.table import Table
    from rich.text import Text

    from ...training.ranking import UNTRAINED
    from .names import Names

    best = next(place.label for place in found.places if place.model == found.best)
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    for heading in ("", "variant", "model", f"{found.metric} [95%]"):
        table.add_column(escape(heading), overflow="fold", justify="right" if "95" in heading else "left")
    for place in found.places:
        interval = "" if place.low is None or place.high is None else f" [{place.low:.3f}, {place.high:.3f}]"
        table.add_row(
            f"{place.place}",
            Names(escape(place.label)),
            Names(escape(place.model)),
            escape(f"{place.value:.3f}{interval}"),
        )
    shown = [pair for pair in found.pairs if len(found.pairs) <= SENTENCES or {pair.a, pair.b} & {best, UNTRAINED}]
    other = next((place.place for place in found.places if place.label == by_loss != best), 0)
    loss = [Text(f"Held-out loss would have chosen {by_loss}, which has place {other} here.")] if other else []
    hidden = len(found.pairs) - len(shown)
    tests = "one test" if found.tests == 1 else f"{found.tests or 'no'} tests"
    notes = [
        f"p: {' and '.join(dict.fromkeys(pair.test for pair in found.pairs))}, Holm-corrected over {tests}. Intervals "
        "are 95% for each pair alone.",
        *([f"{hidden} more pairs: --json lists them."] if hidden else []),
        f"Answers: {found.folder} (medbench leaderboard {found.folder})",
    ]
    unscored = f", {found.items:,} of them scored in every model" if found.items < found.asked else ""
    better = "" if found.better == "higher" else "; lower is better"
    return [
        Text(f"{found.column}{unscored}{better}", style="bold"),
        table,
        *(Text(f"· {pair.sentence}") for pair in shown),
        Text(),
        *(Text(line, style="bold" if number == 0 else "") for number, line in enumerate(found.verdict)),
        *loss,
        Text(),
        *(Text(note, style="dim") for note in notes),
    ]
