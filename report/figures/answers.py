"""One question and the answers of several models to it, as a figure whose texts are wrapped."""

from __future__ import annotations

import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from matplotlib.axes import Axes
from matplotlib.patches import Rectangle

from ...core.errors import UsageError
from ...core.suggest import did_you_mean
from ...core.text import printable
from ...core.types import Item, Metric, Record
from ...results.board import Board
from ...results.item_values import item_value_name
from ...results.manifest import UNFINISHED
from ..scored import NO_ANSWER, ScoredRun, read_scores
from .request import FigureRequest
from .style import INK, SOFT, PaperFigure, blank
from .wrapping import unknown, wrapped

MOST = 1_200  # characters of an answer or a question that are shown
SIZE, SMALL = 7.0, 6.2  # points
LEAD = 1.32  # line height by font size
PAD, GAP = 6.0, 7.0  # points inside and between boxes
POINTS = 72.0  # per inch


@dataclass(frozen=True)
class Box:
    """A heading, a smaller line below it, and a text."""

    heading: str
    about: str
    text: str
    fill: str = "#f3f5f7"

    def lines(self, width: float) -> list[tuple[str, float, str, str]]:
        """Return (text, size, weight, color) of each line in a box of this width in points."""
        inside = width - 2 * PAD
        found = [(line, SIZE, "bold", INK) for line in wrapped(self.heading, inside, SIZE, bold=True)]
        found += [(line, SMALL, "normal", SOFT) for line in wrapped(self.about, inside, SMALL) if self.about]
        return [*found, *((line, SIZE, "normal", INK) for line in wrapped(self.text, inside, SIZE))]

    def height(self, width: float) -> float:
        """Return the height of the box in points."""
        return 2 * PAD + sum(size * LEAD for _, size, _, _ in self.lines(width))


def draw(request: FigureRequest) -> PaperFigure:
    """Draw the figure."""
    by_path = {str(run.path): run for run in request.runs}
    board, item_id = _chosen(request)
    scored, metrics = read_scores([by_path[row.path] for row in board.rows])
    if not item_id:
        item_id = _telling(scored, list(metrics))
    records = [run.answers.get(item_id, []) for run in scored]
    item = next((record.item for own in records for record in own), None)
    if item is None:
        raise UsageError(f"no model here answered '{item_id}' of {board.benchmark}.", "Name another: --item ID")
    answered = [(row.label, run, own[0]) for row, run, own in zip(board.rows, scored, records) if own]
    boxes = [_answer(label, run, record, metrics) for label, run, record in answered]
    drawn = _page(request.inches("page"), _question(item), boxes)
    caption = f"Item {item.id} of {board.benchmark}, and the answers of {len(boxes)} models."
    if any(record.output.logprobs is not None for _, _, record in answered):
        caption += " Percentages are the models' probabilities of their options."
    left_out = [row.label for row, own in zip(board.rows, records) if not own]
    notes = [f"{label}: no answer to this item." for label in left_out]
    if missing := unknown("".join(box.heading + box.text for box in (*boxes, *_question(item)))):
        notes.append(f"No installed font has these characters: {' '.join(sorted(missing)[:20])}")
    return drawn.describe(caption, (*request.notes, *notes))


def _chosen(request: FigureRequest) -> tuple[Board, str]:
    """Return the board, and the item that was asked for: the only one that has it, or the first board."""
    boards = request.leaderboard.boards
    if not boards:
        raise UsageError("no run could be read.", "; ".join(map(str, request.leaderboard.problems)))
    if not request.item:
        return request.boards[0], ""
    by_path = {str(run.path): run for run in request.runs}
    holding = [board for board in boards if request.item in by_path[board.rows[0].path].manifest.item_ids]
    if not holding:
        ids = [item for board in boards for item in by_path[board.rows[0].path].manifest.item_ids]
        meant = did_you_mean(request.item, dict.fromkeys(ids), most=3, cutoff=0.3)
        runs = [f"medbench show {shlex.quote(board.rows[0].path)}" for board in boards]
        raise UsageError(f"no run here was asked an item '{request.item}'.{meant}", f"Items: {' or '.join(runs[:3])}")
    if len({board.benchmark for board in holding}) > 1:
        named = ", ".join(dict.fromkeys(board.benchmark for board in holding))
        raise UsageError(f"the item '{request.item}' is in several benchmarks: {named}.", "Choose: --benchmark NAME")
    return holding[0], request.item


def _telling(scored: Sequence[ScoredRun], metrics: Sequence[str]) -> str:
    """Return the first item on which the models' first score differs; the first item that all answered, if none."""
    item_ids = [item_id for item_id in scored[0].run.manifest.item_ids if any(item_id in run.answers for run in scored)]
    values = [run.index(metrics[0], item_ids) for run in scored] if metrics else []
    for at, item_id in enumerate(item_ids):
        own = [row[at] for row in values]
        if NO_ANSWER not in own and len(set(own)) > 1:
            return item_id
    everyone = [item_id for item_id in item_ids if all(item_id in run.answers for run in scored)]
    return next(iter([*everyone, *item_ids]), "")


def _question(item: Item) -> list[Box]:
    question = "\n".join([*(f"{turn.role}: {turn.content}" for turn in item.turns), item.question]).strip()
    options = [
        f"{label if label != option else ''}{'. ' if label != option else ''}{option}{'  ✓' * (at == item.gold)}"
        for at, (option, label) in enumerate(zip(item.options, item.labels or item.options, strict=True))
    ]
    boxes = [Box("Question", "", "\n".join([_cut(question), *options]), "white")]
    if item.references:
        boxes.append(Box("Reference", "", _cut(item.references[0]), "white"))
    elif item.target is not None:
        boxes.append(Box("Right value", "", str(item.target.value), "white"))
    return boxes


def _answer(label: str, run: ScoredRun, record: Record, metrics: Mapping[str, Metric]) -> Box:
    output = record.output
    told = []
    for name, metric in [(name, each) for name, each in metrics.items() if name != UNFINISHED][:3]:
        score = run.scores.get(name, {}).get(record.key)
        if score is None or (score.value is None and output.error is None):
            continue
        if score.value is None:
            told.append(f"{item_value_name(name)}: unscored")
        elif metric.binary and metric.better == "higher" and name == "accuracy":
            told.append("✓ right" if score.value else "✗ wrong")
        else:
            told.append(f"{item_value_name(name)} {score.value:.3f}".removesuffix(".000"))
    if output.error:
        text = f"(failed) {output.error}"
    elif output.logprobs is not None:
        text = _options(record)
    else:
        text = output.text or "(empty answer)"
    return Box(label, " · ".join(told), _cut(text))


def _options(record: Record) -> str:
    """Return the options with their probabilities, the likeliest first."""
    import numpy as np

    logprobs = np.array(record.output.logprobs, dtype=float)
    shares = np.exp(logprobs - logprobs.max())
    shares /= shares.sum()
    answers = record.item.answers
    order = np.argsort(-shares, kind="stable")
    return "   ".join(f"{answers[at]} {shares[at]:.0%}" for at in order)


def _cut(text: str) -> str:
    shown = printable(text).strip()
    return shown if len(shown) <= MOST else f"{shown[:MOST].rstrip()} … ({len(shown) - MOST:,} more characters)"


def _page(width: float, head: Sequence[Box], boxes: Sequence[Box]) -> PaperFigure:
    """Draw the question over the whole width, and the answers below it in up to three columns."""
    whole = width * POINTS
    across = 1 if width < 5 or len(boxes) == 1 else 3 if len(boxes) == 3 else 2
    part = (whole - GAP * (across - 1)) / across
    rows = [boxes[at : at + across] for at in range(0, len(boxes), across)]
    heights = [max(box.height(part) for box in row) for row in rows]
    top = sum(box.height(whole) + GAP for box in head)
    tall = top + sum(height + GAP for height in heights) - GAP
    drawn = blank(width, tall / POINTS, layout=None)
    axes = drawn.add_axes((0, 0, 1, 1))
    axes.set(xlim=(0, whole), ylim=(tall, 0))
    axes.set_axis_off()
    y = 0.0
    for box in head:
        _box(axes, box, 0, y, whole, box.height(whole))
        y += box.height(whole) + GAP
    for row, height in zip(rows, heights, strict=True):
        for at, box in enumerate(row):
            _box(axes, box, at * (part + GAP), y, part, height)
        y += height + GAP
    return drawn


def _box(axes: Axes, box: Box, x: float, y: float, width: float, height: float) -> None:
    frame = Rectangle((x + 0.4, y + 0.4), width - 0.8, height - 0.8, facecolor=box.fill, edgecolor=SOFT, linewidth=0.6)
    axes.add_patch(frame)
    place = y + PAD
    for text, size, weight, color in box.lines(width):
        axes.text(x + PAD, place, text, fontsize=size, fontweight=weight, color=color, va="top")
        place += size * LEAD
