"""The summary of a leaderboard: a row per model, a column per benchmark, then a mean, safety, latency and memory."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal

from ..core.types import Figure
from .board import Board, BoardRow, Cell, Leaderboard
from .cells import few_requests
from .descriptions import asked_how, label, with_passages

MEAN = "mean"
LEAKED = "†"  # marks a figure that includes items from the model's own training data
SAFETY = "safety_rate"
LATENCY = "latency_p50_s"
SAVED = "replay"  # the engine of saved answers; its revision is a hash of the answers to one benchmark
LOADED = ("revision", "adapter", "engine", "dtype", "quantize")  # what makes two lines of one model
MEMORY = ("peak_gpu_memory_bytes", "peak_rss_bytes")  # the first that any model has
SAMPLES = "Samples are small sets written for medbench: they show that everything works, not how good a model is."
SEVERAL_WAYS_SAFETY = (
    "No mean, and none of safety: a benchmark was run in several ways. --details shows the safety of each."
)
SHARES = ("share", "0..1")  # scales of figures that a mean over benchmarks may take together

Kind = Literal["benchmark", "mean", "safety", "latency", "memory"]


@dataclass(frozen=True)
class Heading:
    """One column. `name` is the benchmark (with the fields that tell it from its namesakes) or the figure."""

    kind: Kind
    name: str
    metric: str
    better: Literal["higher", "lower", ""]
    benchmark: str = ""  # without these fields; "" if the column is of no single benchmark
    items: str = ""  # of that benchmark, in words: "50 of 1,273 items (seed 0)"

    @property
    def shows(self) -> str:
        """What the column of a benchmark shows: "accuracy of medqa, 50 of 1,273 items (seed 0)"."""
        return f"{self.metric} of {self.name}, {self.items}"


@dataclass(frozen=True)
class ModelRow:
    """One model, as loaded and run in one way. `cells` has a place per heading: None if there is no figure."""

    label: str  # the model's name, with what tells its lines apart
    model: str
    setup: str
    cells: tuple[Cell | None, ...]
    changed: bool = False
    leaked: tuple[int, ...] = ()  # by heading: items of the figure that are in the model's training data
    unfinished: tuple[str, ...] = ()  # "exam: 37 of 50 done", for each run that is
    unchecked: tuple[str, ...] = ()  # benchmarks whose items were not searched for in the training data


@dataclass(frozen=True)
class Summary:
    """All models over either the real benchmarks or the samples, best first."""

    sample: bool
    headings: tuple[Heading, ...]
    lines: tuple[ModelRow, ...]
    notes: tuple[str, ...] = ()
    hidden: int = 0  # lines that were left out by `top`
    doubts: tuple[str, ...] = ()  # a sentence for each model whose accuracy on a benchmark says little


def summarize(found: Leaderboard) -> tuple[Summary, ...]:
    """Return a summary of the real benchmarks, then one of the samples, each only if it has boards."""
    parts = ([board for board in found.boards if board.sample == sample] for sample in (False, True))
    return tuple(_summary(boards) for boards in parts if boards)


def _summary(boards: Sequence[Board]) -> Summary:
    rows = [_by_model(board) for board in boards]
    models = list(dict.fromkeys(key for of_board in rows for key in of_board))
    heads = [_headline(board) for board in boards]
    names = _names(boards)
    headings = [
        Heading("benchmark", name, board.columns[at].name, board.columns[at].better, board.benchmark, board.items)
        for name, board, at in zip(names, boards, heads)
        if at is not None
    ]
    kept = [(of_board, at) for of_board, at in zip(rows, heads) if at is not None]
    averaged = [
        board.columns[at].better == "higher" and board.columns[at].scale in SHARES
        for board, at in zip(boards, heads)
        if at is not None
    ]
    twice = _repeated(boards)
    means = len(headings) > 1 and all(averaged) and not twice
    extra: list[Heading] = [Heading("mean", MEAN, "", "higher")] if means else []
    measured = {column.name for board in boards for column in board.columns}
    memory = next((name for name in MEMORY if _anyone(boards, name)), "")
    if SAFETY in measured and not _repeated(_with_safety(boards)):
        extra.append(Heading("safety", SAFETY, SAFETY, "higher"))
    if _anyone(boards, LATENCY):
        extra.append(Heading("latency", LATENCY, LATENCY, "lower"))
    if memory:
        extra.append(Heading("memory", memory, memory, "lower"))
    lines = []
    for key in models:
        mine = [of_board.get(key) for of_board in rows]
        cells = [of_board[key].cells[at] if key in of_board else None for of_board, at in kept]
        first = next(row for row in mine if row is not None)
        for heading in extra:
            cells.append(_extra(heading, cells[: len(kept)], boards, mine))
        setup = replace(first.setup, chat="").text
        unfinished = tuple(
            f"{board.benchmark}: {row.answered} of {row.asked} done"
            for board, row in zip(boards, mine)
            if row and not row.complete
        )
        held = [of_board[key].leaked if key in of_board else 0 for of_board, _ in kept]
        all_held = sum(row.leaked for row in mine if row)
        lines.append(
            ModelRow(
                _label(key, models),
                key.label,
                setup,
                tuple(cells),
                any(row.changes for row in mine if row),
                leaked=(*held, *((sum(held) if h.kind == "mean" else all_held * (h.kind == "safety")) for h in extra)),
                unfinished=unfinished,
                unchecked=tuple(board.benchmark for board, row in zip(boards, mine) if row and row.unchecked),
            )
        )
    ordered = sorted(lines, key=lambda line: _rank([*headings, *extra], line))
    doubts = tuple(doubt for board in boards for doubt in board.doubts.values())
    notes = _notes([*headings, *extra], boards, ordered)
    return Summary(boards[0].sample, (*headings, *extra), tuple(ordered), notes, doubts=doubts)


@dataclass(frozen=True)
class _Model:
    """What one line of the summary is: a model, and how it was loaded."""

    label: str
    facts: tuple[tuple[str, str], ...]


def _by_model(board: Board) -> dict[_Model, BoardRow]:
    """Return the rows of a board by model.

    Chat wrapping depends on the benchmark, and the revision of saved answers on their file. They count only if they
    are what tells two rows of one board apart.
    """
    keys: dict[_Model, list[BoardRow]] = {}
    for row in board.rows:
        saved = row.setup.engine == SAVED
        facts = tuple((name, getattr(row.setup, name)) for name in LOADED if not (saved and name == "revision"))
        keys.setdefault(_Model(row.setup.model, facts), []).append(row)
    found: dict[_Model, BoardRow] = {}
    for key, rows in keys.items():
        for row in rows:
            chat = sum(other.setup.chat == row.setup.chat for other in rows) == 1
            told = () if len(rows) == 1 else (("chat", row.setup.chat),) if chat else row.apart
            found[replace(key, facts=(*key.facts, *told))] = row
    return found


def _label(key: _Model, models: Sequence[_Model]) -> str:
    """Return the model's name with the facts that tell its lines apart, except those that the setup shows."""
    alike = [dict(other.facts) for other in models if other.label == key.label]
    mine = [(name, value) for name, value in key.facts if any(other.get(name) != value for other in alike)]
    return label(key.label, [(name, value or "none") for name, value in mine if name not in LOADED[1:]])


def _headline(board: Board) -> int | None:
    """Return the place of the benchmark's first headline figure that is a score; None if it has none."""
    scores = (
        at
        for at, column in enumerate(board.columns)
        if column.headline and not column.clean and not _is_measured(at, board)
    )
    return next(scores, None)


def _is_measured(at: int, board: Board) -> bool:
    return board.columns[at].unit != ""


def _names(boards: Sequence[Board]) -> list[str]:
    """Return the benchmark of each board; where two have the same, with the fields of the title that differ.

    A protocol other than `direct`, a system text and passages in the prompts are named in any case.
    """
    names = [board.benchmark for board in boards]
    told = []
    for board, name in zip(boards, names):
        namesakes = [other for other, its in zip(boards, names) if its == name and other is not board]
        alike = [other.title.split(" · ") for other in namesakes]
        own = board.title.split(" · ")
        differs = [part for part in own if not all(part in other for other in alike)] if alike else []
        if all(other.asked != board.asked or other.items == board.items for other in namesakes):
            differs = [f"{board.asked:,} items" if part == board.items else part for part in differs]
        passages = with_passages(board.comparable)
        if board.comparable.retrieval and passages not in differs:
            differs.append(passages)
        how = asked_how(board.comparable)
        alone = f"{name} ({how})" if how else name
        told.append(" · ".join(differs if differs and differs[0].startswith(name) else [alone, *differs]))
    return told


def _repeated(boards: Sequence[Board]) -> bool:
    """Return whether a benchmark was run in several ways, so that a mean would count it more than once."""
    return len({board.benchmark for board in boards}) < len(boards)


def _with_safety(boards: Sequence[Board]) -> list[Board]:
    return [board for board in boards if _anyone([board], SAFETY)]


def _anyone(boards: Sequence[Board], name: str) -> bool:
    return any(_figure(board, row, name) is not None for board in boards for row in board.rows)


def _figure(board: Board, row: BoardRow, name: str) -> Figure | None:
    """Return a row's figure of this name, if it has a value."""
    for column, cell in zip(board.columns, row.cells, strict=True):
        if column.name == name and cell.figure and cell.figure.value is not None:
            return cell.figure
    return None


def _extra(
    heading: Heading, scores: Sequence[Cell | None], boards: Sequence[Board], rows: Sequence[BoardRow | None]
) -> Cell | None:
    """Return the cell of a column that is not of one benchmark."""
    if heading.kind == "mean":
        figures = [cell.figure for cell in scores if cell and cell.figure and cell.figure.value is not None]
        return Cell(mean(figures)) if len(figures) == len(scores) else None
    each = (_figure(board, row, heading.metric) for board, row in zip(boards, rows) if row)
    figures = [figure for figure in each if figure is not None]
    if not figures:
        return None
    if heading.kind == "safety":
        return Cell(mean(figures, SAFETY))
    return Cell(max(figures, key=lambda figure: figure.value or 0.0))  # the worst


def mean(figures: Sequence[Figure], name: str = MEAN) -> Figure:
    """Return the mean of figures, each benchmark weighing the same, with a 95% interval.

    The interval is by MOVER (Zou and Donner 2008) from those of the figures, which come from different items. It is
    left out if one of them has none.
    """
    values = [figure.value or 0.0 for figure in figures]
    value = sum(values) / len(values)
    ends = [(figure.low, figure.high) for figure in figures]
    low = high = None
    if all(a is not None and b is not None for a, b in ends):
        low = value - math.sqrt(sum((v - (a or 0.0)) ** 2 for v, (a, _) in zip(values, ends))) / len(values)
        high = value + math.sqrt(sum(((b or 0.0) - v) ** 2 for v, (_, b) in zip(values, ends))) / len(values)
    n, total = sum(figure.n for figure in figures), sum(figure.total for figure in figures)
    return Figure(name, value, n, total, low, high)


def _rank(headings: Sequence[Heading], line: ModelRow) -> tuple[float, ...]:
    """Order lines: those with a mean by it, then by how many benchmarks they have, then by the first."""
    values = [cell.figure.value if cell and cell.figure else None for cell in line.cells]
    scores = [
        value if value is None or heading.better == "lower" else -value
        for heading, value in zip(headings, values)
        if heading.kind == "benchmark"
    ]
    answered = [value for value in scores if value is not None]
    middle = next((value for heading, value in zip(headings, values) if heading.kind == "mean"), None)
    return (
        -1.0 if middle is not None else 0.0,
        -(middle or 0.0),
        -float(len(answered)),
        *(math.inf if value is None else value for value in scores),
    )


def _notes(headings: Sequence[Heading], boards: Sequence[Board], lines: Sequence[ModelRow]) -> tuple[str, ...]:
    scores = [heading for heading in headings if heading.kind == "benchmark"]
    kinds = {heading.kind for heading in headings}
    notes = [figures_note(headings)] if scores else []
    if not headings:
        notes.append("These runs have no figure for a summary; --details shows what they have.")
    if "mean" in kinds:
        gaps = any(cell_value(cell) is None for line in lines for cell in line.cells[: len(scores)])
        notes.append(
            f"Mean: {'both' if len(scores) == 2 else f'all {len(scores)}'} benchmarks weigh the same"
            + ("; a model that lacks one has no mean." if gaps else ".")
        )
    elif _repeated(_with_safety(boards)):
        notes.append(SEVERAL_WAYS_SAFETY)
    elif _repeated(boards):
        notes.append("No mean: a benchmark was run in several ways, each a column.")
    elif len(scores) > 1:
        notes.append("No mean: not every figure is a share or a score from 0 to 1 where higher is better.")
    if any(line.unfinished for line in lines):
        notes.append("Unfinished runs show the items they have answered, and so does a mean over them: n of all.")
    asked = [heading for heading in headings if heading.kind in ("safety", "latency", "memory")]
    if asked and len(boards) > 1:
        parts = {
            "safety": "safety is the mean over the benchmarks that have it",
            "latency": "latency (p50) is that of the slowest benchmark",
            "memory": "memory is the largest peak",
        }
        notes.append((", ".join(parts[heading.kind] for heading in asked) + ".").capitalize())
    latencies = [line.cells[at] for line in lines for at, each in enumerate(headings) if each.kind == "latency"]
    if few := few_requests(latencies):
        notes.append(few)
    if boards[0].sample:
        notes.append(SAMPLES)
    notes += [
        f"{LEAKED} {board.title}: {row.leaked} of {board.asked} items were found in the training data of "
        f"{row.setup.model}. "
        "Figures and order here include them; --details shows the figures without them."
        for board in boards
        for row in board.rows
        if row.leaked
    ]
    notes += [f"{board.title}: {board.few}" for board in boards if board.few]
    return tuple(notes)


def figures_note(headings: Sequence[Heading]) -> str:
    """Return the note that says what the column of each benchmark shows."""
    return f"The figures: {'; '.join(heading.shows for heading in headings if heading.kind == 'benchmark')}."


def top(found: Summary, lines: int) -> Summary:
    """Return the first `lines` lines."""
    return replace(found, lines=found.lines[:lines], hidden=max(0, len(found.lines) - lines))


def cell_value(cell: Cell | None) -> float | None:
    """Return the value of a cell; None if there is none."""
    return cell.figure.value if cell and cell.figure else None
