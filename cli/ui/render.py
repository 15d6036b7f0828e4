"""Tables on a terminal: leaderboards, comparisons, figures. Everything here takes data and draws it."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from ...core import registry
from ...core.errors import MedbenchError
from ...results.cells import MARKS, SHORT, CellText, cell_text, few_requests, figure_text, number
from ...results.descriptions import label
from ...results.scoring import CLEAN
from ...results.summary import LATENCY, SAMPLES

if TYPE_CHECKING:
    from rich.console import Console, RenderableType
    from rich.table import Table

    from ...core.types import Figure
    from ...results.board import Board, Cell, Column, Leaderboard
    from ...results.comparison import ComparedFigure, Comparison

BEST_STYLE = "bold green"
SETUP = ("engine", "dtype", "quantize", "chat", "adapter")  # what Setup.text says
RIGHT = ("accuracy", "exact_match")  # of which 1 says that an answer is right; of others, that something holds
LONGEST = 18  # characters of a benchmark's name that are kept on one line
FOLDED = 16  # characters of a line of a model's name, at the least
LEFT_OUT = 5  # runs without a counterpart that a comparison names
WIDE = 100  # columns of a window from which a comparison's verdicts stand in a column of their own


def console() -> Console:
    """The console of stdout."""
    from .screen import stdout

    return stdout()


def leaderboard(found: Leaderboard) -> list[RenderableType]:
    """A table per board, or one per dimension where the window is narrower than all of them, the same for its clean
    figures, then what was measured, then what the marks mean.
    """
    from rich.text import Text

    parts: list[RenderableType] = []
    if not found.boards:
        return [Text("None of these runs can be shown.")]  # why is among the problems
    for board in found.boards:
        parts += [Text(board.title, style="bold"), *_board(board)]
        parts += [Text(f"{sign} {remark}", style="yellow") for remark, sign in board.footnotes.items()]
        if board.few:
            parts.append(Text(board.few, style="yellow"))
        parts += [Text(doubt, style="yellow") for doubt in board.doubts.values()]
        if board.hidden:
            word = "runs are" if board.hidden > 1 else "run is"
            parts.append(Text(f"{board.hidden} more {word} not shown, below these: --top 0 shows all.", style="yellow"))
        if board.clean:
            parts.append(Text(board.clean))
        if any(column.clean for column in board.columns) and len(board.leaked) < board.asked:
            parts += _board(board, clean=True)
    if any(_measured(board) for board in found.boards):
        parts += [Text("speed and memory, measured once on this machine", style="bold"), _measurements(found.boards)]
        if few := few_requests(_latencies(found.boards)):
            parts.append(Text(few, style="dim"))
        parts += [Text(line, style="yellow") for line in _missing_latencies(found.boards)]
    if legend := _legend(found.boards):
        parts.append(Text(legend, style="dim"))
    return parts


def comparison(found: Comparison) -> list[RenderableType]:
    from rich.markup import escape
    from rich.text import Text

    parts: list[RenderableType] = []
    for match in found.matches:
        differ = "" if match.changed is None else f", {match.changed} of them differently"
        parts.append(Text(f"{match.title} · {match.both} items answered by both{differ}", style="bold"))
        parts += [Text(f"A  {match.label_a}"), Text(f"B  {match.label_b}")]
        table = plain_table()
        wide = console().width >= WIDE
        for heading in ("metric", "A", "B", "A - B [95%]", "p (Holm)", *([""] if wide else [])):
            numbers = heading not in ("metric", "")
            folds = heading in ("", "metric") or (heading == "p (Holm)" and not wide)
            table.add_column(
                escape(heading), overflow="fold", justify="right" if numbers else "left", no_wrap=not folds
            )
        untested: dict[str, list[str]] = {}  # in a narrow window: names by why they were not tested
        for line in match.lines:
            if line.a is None and line.b is None:
                continue  # neither run has it
            name, *cells, p, verdict = _line(line)
            if not wide and verdict == line.note and verdict:
                untested.setdefault(verdict, []).append(" ".join(name.split()))
            told = [p, verdict] if wide else [f"{p}\n{verdict}" if p else ""]
            table.add_row(*map(escape, [name, *cells, *told]))
        parts += [table, *(Text(f"{', '.join(names)}: {why}", style="dim") for why, names in untested.items())]
        for line in match.lines:
            if line.counts:
                c = line.counts
                both = "both right" if line.name in RIGHT else "yes in both"
                counted = f"{line.name}: {both} {c.both}, only A {c.only_a}, only B {c.only_b}, neither {c.neither}"
                parts.append(Text(counted, style="dim"))
            parts += [Text(f"{line.name}: {n} left out, {why}", style="dim") for why, n in line.left_out]
        parts += [Text(note) for note in match.notes]
        parts.append(Text())
    tests = "one test" if found.tests == 1 else f"{found.tests or 'no'} tests"
    note = (
        "p: exact McNemar for right/wrong, exact sign test for judges' preferences (by permutation where items share a "
        "document), paired permutation otherwise, "
        f"Holm-corrected over {tests}. Intervals are 95% for each line alone: they exclude 0 where p before the "
        "correction is below 5%."
    )
    parts.append(Text(note, style="dim"))
    parts += [Text(sentence, style="dim") for sentence in found.left_out[:LEFT_OUT]]
    if len(found.left_out) > LEFT_OUT:
        parts.append(
            Text(f"{len(found.left_out) - LEFT_OUT} more runs have no counterpart; --json lists them", style="dim")
        )
    return parts


def figures(found: Sequence[Figure]) -> RenderableType:
    from rich.markup import escape

    table = plain_table()
    table.add_column("figure", overflow="fold")
    table.add_column("value [95%]")
    table.add_column("n", justify="right")
    for figure in found:
        scored = str(figure.n) if figure.n == figure.total else f"{figure.n} of {figure.total}"
        table.add_row(escape(figure.name), figure_text(figure, figure.n).split(" (n ")[0], scored)
    return table


def plain_table() -> Table:
    from rich import box
    from rich.table import Table

    return Table(box=box.SIMPLE_HEAD, pad_edge=False)


def _board(board: Board, clean: bool = False) -> list[RenderableType]:
    """The figures of all asked items, or those of the clean ones: in one table if the window holds it."""
    from rich.measure import Measurement
    from rich.text import Text

    screen = console()
    shown = _scores(board, clean)

    def fits(columns: Sequence[tuple[int, Column]]) -> bool:
        table = _figures(board, columns, clean)
        table.columns[0].max_width = max(FOLDED, table.columns[0].min_width or 0)
        return Measurement.get(screen, screen.options.update(width=10_000), table).maximum <= screen.width

    if not shown:
        return [Text("Nothing to score here for the metrics asked for.")]
    if fits(shown):
        return [_figures(board, shown, clean)]
    parts: list[RenderableType] = []
    of = {column.metric: _dimension(column.metric) for _, column in shown}
    for dimension in sorted(set(of.values()), key=lambda name: (*registry.DIMENSIONS, name).index(name)):
        rest = [(at, column) for at, column in shown if of[column.metric] == dimension]
        parts.append(Text(dimension or "other", style="italic"))
        while rest:
            most = next((n for n in range(len(rest), 1, -1) if fits(rest[:n])), 1)
            parts.append(_figures(board, rest[:most], clean))
            rest = rest[most:]
    return parts


def _dimension(metric: str) -> str:
    """Return what a metric measures; "" if it does not say or is no longer available."""
    try:
        return str(registry.get("metrics", metric).dimension)
    except MedbenchError:
        return ""


def heading(name: str) -> str:
    """The name of a figure on several lines: what is set up in it ("entity_f1:NAME", "judge:MODE:JUDGE:MODEL:HASH")
    stands below, without folders; of a part of it ("…[safety]") only which part, and whose.
    """
    whole, _, part = name.removesuffix("]").partition("[") if name.endswith("]") else (name, "", "")
    parts = [each.rpartition("/")[2] or each for each in re.split(r":(?!\d+(?:[:~]|$))|~", whole)]  # not before a port
    if part and len(parts) > 1:
        return "\n".join([f"[{part}]", *parts[3:-1]])
    if len(parts) > 2:
        parts = [" ".join(parts[:2]), *parts[2:]]
    return "\n".join(parts) + (f"[{part}]" if part else "")


def _figures(board: Board, shown: Sequence[tuple[int, Column]], clean: bool) -> Table:
    """A table of some columns, each with its place in the board."""
    from rich.markup import escape

    from .names import Names, longest_piece

    asked = (board.asked - len(board.leaked) if clean else board.asked) * board.comparable.samples
    table = plain_table()
    table.add_column("model", overflow="fold", min_width=max(12, longest_piece(row.setup.model for row in board.rows)))
    for _, column in shown:
        arrow = {"higher": " ↑", "lower": " ↓", "": ""}[column.better]
        name, *below = heading(column.name.removesuffix(CLEAN) if clean else column.name).split("\n")
        table.add_column(escape("\n".join([name + arrow, *below])), justify="right", no_wrap=True)
    alone = len(board.rows) + board.hidden == 1

    def text(cell: Cell) -> CellText:
        return cell_text(cell, asked, board.footnotes[cell.remark] if cell.remark else "")

    for row in board.rows:
        # Of what tells two runs of a model apart, the line below the name says the most.
        rest = [(field, value) for field, value in row.apart if field not in SETUP]
        lines = [escape(label(row.setup.model, rest)), f"[dim]{escape(row.setup.text)}[/dim]"]
        if row.remarks and not clean:
            lines.append(f"[yellow]{row.remarks}[/yellow]")
        table.add_row(Names("\n".join(lines)), *(_cell(text(row.cells[at]), alone) for at, _ in shown))
    return table


def _scores(board: Board, clean: bool = False) -> list[tuple[int, Column]]:
    """Return the columns of scores that have a figure, each with its place."""
    return [
        (at, column)
        for at, column in enumerate(board.columns)
        if column.headline and not column.unit and column.clean == clean
        if any(_value(row.cells[at]) is not None for row in board.rows)
    ]


def _cell(shown: CellText, alone: bool) -> str:
    """Lay out a cell: the value, its interval and its n below each other."""
    value = f"{shown.value} {shown.sign}".rstrip()
    if shown.amount is None:
        return value
    lines = [marked(value, "" if alone else shown.mark)]
    if shown.low:
        lines.append(f"[dim]{without_zero(shown.low)}–{without_zero(shown.high)}[/dim]")
    if shown.n:
        lines.append(f"[{'yellow' if shown.partial else 'dim'}]{shown.n}[/]")
    return "\n".join(lines)


def marked(value: str, mark: str) -> str:
    """Return a value with its mark; the best of a column stands out."""
    style = BEST_STYLE if mark == MARKS["best"] else ""
    return f"[{style}]{value}[/] {mark}" if style else f"{value} {mark}".rstrip()


def without_zero(end: str) -> str:
    """Return an end of an interval without a leading zero: ".570"."""
    return re.sub(r"^(-?)0\.", r"\1.", end)


def _measured(board: Board) -> list[tuple[int, str]]:
    return [
        (at, column.name)
        for at, column in enumerate(board.columns)
        if column.headline and column.unit and any(_value(row.cells[at]) is not None for row in board.rows)
    ]


def _latencies(boards: Sequence[Board]) -> list[Cell | None]:
    columns = ((board, at) for board in boards for at, name in _measured(board) if name == LATENCY)
    return [row.cells[at] for board, at in columns for row in board.rows]


def _measurements(boards: Sequence[Board]) -> RenderableType:
    from rich.markup import escape

    from .names import Names, longest_piece

    names = list(dict.fromkeys(name for board in boards for _, name in _measured(board)))
    table = plain_table()
    names_seen = [board.benchmark for board in boards]
    longest = max(max(len(word) for word in board.benchmark.split()) for board in boards)
    wide = console().width >= WIDE
    pieces = longest_piece(row.label for board in boards for row in board.rows)
    table.add_column("model" if wide else "model, benchmark", overflow="fold", min_width=max(12, pieces))
    if wide:
        table.add_column("benchmark", overflow="fold", min_width=min(longest, LONGEST))
    for name in names:
        table.add_column(SHORT.get(name, name), justify="right", no_wrap=True)
    for board in boards:
        at = {name: index for index, name in _measured(board)}
        for row in board.rows:
            cells = [row.cells[at[name]] if name in at else None for name in names]
            if all(_value(cell) is None for cell in cells):
                continue  # of answers that were saved before
            values = [cell_text(cell).value for cell in cells]
            several = names_seen.count(board.benchmark) > 1
            what = [row.label, board.title if several else board.benchmark]
            table.add_row(
                *(Names(escape(text)) for text in (what if wide else ["\n  ".join(what)])),
                *(v.removesuffix(" tokens/s") for v in values),
            )
    return table


def _missing_latencies(boards: Sequence[Board]) -> Iterator[str]:
    """Yield why runs in the table of measurements have no latency, a line per reason."""
    runs: dict[str, list[str]] = {}
    for board in boards:
        for row in board.rows:
            if row.missing_latency and _measured(board):
                runs.setdefault(row.missing_latency, []).append(f"{row.label} on {board.benchmark}")
    for why, which in runs.items():
        yield f"{', '.join(which)}: latency {why}"


def _legend(boards: Sequence[Board]) -> str:
    parts = ["Below each figure its 95% interval."] if any(_scores(board) for board in boards) else []
    if any(len(board.rows) + board.hidden > 1 for board in boards):
        parts.append(
            "▼ another model is significantly better, ≈ none is shown to be (paired tests, 5%, Holm-corrected over "
            "all pairs of the table), ★ the best value of a column whose models differ. Where ★ is the only mark, "
            "nothing was tested item by item: the 95% intervals, widened for the number of models, do not overlap."
        )
    if any(board.sample for board in boards):
        parts.append(SAMPLES)
    return " ".join(parts)


def _line(line: ComparedFigure) -> list[str]:
    def shown(value: float | None) -> str:
        return number(value, line.unit).removesuffix(" tokens/s")  # as the metric's short name says

    difference = (
        "–" if line.difference is None else f"{line.difference:+.3f}" if not line.unit else shown(line.difference)
    )
    if line.low is not None and line.high is not None:
        difference += f"\n[{line.low:+.3f}, {line.high:+.3f}]"
    p = "" if line.p_holm is None else "<0.001" if line.p_holm < 0.001 else f"{line.p_holm:.3f}"
    verdict = {"a": "A is better", "b": "B is better", "": ""}[line.favours]
    if line.test and not line.favours:
        verdict = "not significant"
    name = "  clean" if line.clean else SHORT.get(line.name, heading(line.name))
    return [name, shown(line.a), shown(line.b), difference, p, verdict or line.note]


def _value(cell: Cell | None) -> float | None:
    return cell.figure.value if cell is not None and cell.figure else None
