"""The leaderboard: runs that may be compared stand in one board, and each board says which differences are real."""

from __future__ import annotations

import dataclasses
import itertools
import json
import math
import re
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from statistics import NormalDist
from typing import Any, Literal

from ..core.errors import MedbenchError, UsageError
from ..core.stats import few_documents
from ..core.types import Figure, Measurement, Metric
from .identity import Comparable, differing
from .manifest import Manifest
from .marks import Compared, verdicts
from .pairing import ALPHA
from .scoring import JUDGING, Load, RunScores, load_metric, load_stored, run_scores
from .store import StoredRun

METHODS = {"logprob": "log-probability", "generate": "generated"}

CHANGED = "changed after the run"  # beside every figure of such a run

Status = Literal["best", "worse", "tied", ""]


@dataclass(frozen=True)
class Column:
    """One figure. `tested`: its rows are compared item by item. `clean`: over the items that no model has leaked."""

    metric: str  # the metric that gives it, as it is asked for
    name: str
    unit: str
    better: Literal["higher", "lower", ""]
    headline: bool
    tested: bool
    clean: bool = False
    scale: str = ""  # what its values are, as docs/metrics.md calls it: "share", "0..1", "1 to 5", "s"


@dataclass(frozen=True)
class Cell:
    """A row's figure in one column.

    `status` is "worse" where the paired test shows that another run is better, "tied" where no other is shown to be;
    "best" is the best value of a column in which some differ; "" where nothing was tested. `p` (adjusted over all pairs
    of the board), `against` (the run that beats this one most clearly) and `pairs` (items that both answered) belong to
    the test.
    """

    figure: Figure | None
    status: Status = ""
    p: float | None = None
    pairs: int = 0
    against: str = ""
    remark: str = ""  # what a reader has to know of it: that a judge judged itself


@dataclass(frozen=True)
class BoardRow:
    """One run. `apart` holds what tells it from other rows of the same model: (field, value)."""

    run_id: str
    path: str
    model: str
    revision: str
    adapter: str
    engine: str
    dtype: str
    quantize: str
    chat: str
    answered: int
    truncated: int  # prompts that were cut to fit the model's window
    asked: int
    cells: tuple[Cell, ...]  # one per column of the board
    apart: tuple[tuple[str, str], ...] = ()
    unchecked: bool = False  # trained by medbench on data that were not looked through for these items
    changes: tuple[str, ...] = ()  # what was changed in its files after the run, a sentence each
    sealed: bool = True  # False: from before medbench sealed what it stores
    leaked: int = 0  # asked items that were found in this model's own training data

    @property
    def label(self) -> str:
        """The model's name, with what tells it from its namesakes: "smollm2-135m (dtype bfloat16)"."""
        return label(self.model, self.apart)

    @property
    def setup(self) -> str:
        """What one compares besides the model: "float32 · plain"."""
        adapter = f"adapter {self.adapter}" if self.adapter else ""
        dtype = "" if self.dtype == "auto" else self.dtype  # a server's own business
        engine = "" if self.engine == "transformers" else self.engine
        return " · ".join(filter(None, [engine, adapter, dtype, self.quantize, self.chat]))

    @property
    def complete(self) -> bool:
        return self.answered == self.asked

    @property
    def remarks(self) -> str:
        """What a reader has to know beside all the figures: "37 of 50 done, 2 prompts cut"; "" for nothing."""
        done = "" if self.complete else f"{self.answered} of {self.asked} done"
        cut = f"{self.truncated} prompts cut" if self.truncated else ""
        unchecked = "training data not checked against this benchmark" if self.unchecked else ""
        changed = CHANGED if self.changes else ""
        return ", ".join(filter(None, [changed, done, cut, unchecked]))


@dataclass(frozen=True)
class Board:
    """All runs of one benchmark that may be compared, best first by the first column."""

    title: str
    benchmark: str
    version: str
    variant: str
    sample: bool
    items: str  # "50 of 500 items (seed 0)"
    asked: int
    method: str  # "logprob" or "generate"
    shots: int
    columns: tuple[Column, ...]
    rows: tuple[BoardRow, ...]
    tests: int  # how many pairs were tested together
    leaked: tuple[str, ...] = ()  # ids of the asked items that the training data of a model of this board hold
    clean: str = ""  # what the clean columns leave out, in words
    few: str = ""  # that the items come from few documents, in words
    hidden: int = 0  # rows that `top` left out; the tests are over them too
    comparable: Comparable = field(default_factory=Comparable)  # all that the runs have in common

    @property
    def footnotes(self) -> dict[str, str]:
        """The remarks on single figures, each with the sign that stands beside them: †, ††, …"""
        told = dict.fromkeys(cell.remark for row in self.rows for cell in row.cells if cell.remark)
        return {remark: "†" * at for at, remark in enumerate(told, 1)}


@dataclass(frozen=True)
class Leaderboard:
    boards: tuple[Board, ...]  # real benchmarks first, then samples; by title
    problems: tuple[MedbenchError, ...] = ()  # runs and metrics that could not be read
    notes: tuple[str, ...] = ()  # what else a reader has to know of the runs, a sentence each


def build(runs: Iterable[StoredRun], metrics: Sequence[str] = (), load: Load | None = None) -> Leaderboard:
    """The leaderboard of `runs`, missing scores computed and kept. `metrics`: these only; empty: those each run lists.

    A broken run or metric is named in `problems` and leaves the others alone. `load`: by default `load_metric` for
    `metrics` and `load_stored` for what runs list, which runs no code that is not installed.
    """
    load = _once(load or (load_metric if metrics else load_stored))
    sheets: dict[str, list[RunScores]] = {}
    problems: dict[str, MedbenchError] = {}
    groups: dict[str, list[StoredRun]] = {}
    for run in runs:
        groups.setdefault(run.manifest.comparable.key, []).append(run)
    for comparable, group in groups.items():
        leaked = set(leaked_in(group))
        for run in group:
            try:
                made = run_scores(run, metrics or metrics_of(run.manifest), load, leaked)
            except MedbenchError as error:
                problems.setdefault(str(error), error)
                continue
            problems.update((str(error), error) for error in made.problems if str(error) not in problems)
            sheets.setdefault(comparable, []).append(made)
    boards = [_board(made, groups[comparable], load) for comparable, made in sheets.items()]
    titled = _told_apart(boards, [made[0].run.manifest for made in sheets.values()])
    shown = [made.run for made in itertools.chain.from_iterable(sheets.values())]
    return Leaderboard(
        tuple(sorted(titled, key=lambda board: (board.sample, board.title))),
        tuple(problems.values()),
        notes_on(shown),
    )


def by_subject(found: Leaderboard) -> Leaderboard:
    """The boards with a column per subject (`accuracy[anatomy]`) instead of the headline figures; others are left out.

    Raises UsageError where no board has a subject.
    """
    boards = []
    for board in found.boards:
        names = {column.name for column in board.columns if column.name.startswith("accuracy[")}
        columns = tuple(dataclasses.replace(column, headline=column.name in names) for column in board.columns)
        if names:
            boards.append(dataclasses.replace(board, columns=columns))
    if not boards:
        raise UsageError(
            "no item of these runs names its subject.",
            "The multiple-choice benchmarks mmlu-med and medmcqa name subjects, and so do the samples.",
        )
    return dataclasses.replace(found, boards=tuple(boards))


def top(found: Leaderboard, rows: int) -> Leaderboard:
    """The best `rows` rows of each board. Marks and tests stay those of all rows."""
    boards = [
        dataclasses.replace(board, rows=board.rows[:rows], hidden=max(0, len(board.rows) - rows))
        for board in found.boards
    ]
    return dataclasses.replace(found, boards=tuple(boards))


def notes_on(runs: Sequence[StoredRun]) -> tuple[str, ...]:
    """What a reader has to know of runs that were read: what was changed, computed again or left out in their files."""
    changes = [f"{CHANGED}: {change}." for run in runs for change in run.changes]
    before = sum(not run.manifest.sealed for run in runs)
    which = "It is" if len(runs) == 1 else f"{before} of {len(runs)} runs are"
    unsealed = [f"{which} from before medbench sealed what it stores: a change would not be noticed."] if before else []
    return tuple(dict.fromkeys([*changes, *(note for run in runs for note in run.notes), *unsealed]))


def leaked_in(runs: Sequence[StoredRun]) -> tuple[str, ...]:
    """Ids of the items of comparable runs that the training data of any of their models hold, in order."""
    found = {item_id for run in runs for item_id in run.manifest.model.leaked or ()}
    return tuple(item_id for item_id in runs[0].manifest.item_ids if item_id in found)


def clean_note(runs: Iterable[StoredRun], leaked: int, items: int) -> str:
    """What the figures named "…_clean" leave out, in words; "" where nothing is leaked."""
    models = dict.fromkeys(setup_of(run.manifest).model for run in runs if run.manifest.model.leaked)
    held = f"the {leaked} of {items} items whose text was found in the training data of {', '.join(models)}"
    return f"clean: without {held}" if leaked else ""


def title(manifest: Manifest) -> str:
    """What a board of such runs is called: "pubmedqa · 50 of 500 items (seed 0) · log-probability · 0-shot"."""
    comparable = manifest.comparable
    name = comparable.benchmark + (f" ({comparable.variant})" if comparable.variant else "")
    method = METHODS.get(manifest.method, manifest.method)
    sample = "sample" if manifest.benchmark.sample else ""
    return " · ".join(filter(None, [name, sample, items_of(manifest), method, f"{comparable.shots}-shot"]))


def items_of(manifest: Manifest) -> str:
    """Which items were asked, in words: "500 items", "50 of 500 items (seed 0)"."""
    asked, total, settings = len(manifest.item_ids), manifest.benchmark.n_total, manifest.settings
    if not total or asked >= total:
        return f"{asked} items"
    how = []
    if settings.items_file:
        how.append(f"from {settings.items_file}")
    elif settings.items:
        how.append("chosen by id")
    if settings.limit:
        how.append(f"seed {settings.seed}")
    return f"{asked} of {total} items" + (f" ({', '.join(how)})" if how else "")


@dataclass(frozen=True)
class Setup:
    """What one compares, as text; "" for what a run does not have."""

    model: str
    revision: str
    adapter: str
    engine: str
    dtype: str
    quantize: str
    chat: str


def setup_of(manifest: Manifest) -> Setup:
    """Return what a run's row shows of its model and how it ran."""
    resolved, asked = manifest.identity.model, manifest.model

    def text(name: str) -> str:
        # The identity has no "auto"; a run from before a field was added to it has only what was asked for.
        return _text(getattr(asked if name in resolved.missing else resolved, name))

    return Setup(
        model=text("name"),
        revision=_short(text("revision")),
        adapter=_short(text("adapter")),
        engine=text("engine"),
        dtype=text("dtype"),
        quantize=text("quantize"),
        chat=manifest.identity.chat or asked.chat or "",
    )


def label(model: str, told: Sequence[tuple[str, str]]) -> str:
    """A model's name with what tells it from its namesakes."""
    return model + (f" ({', '.join(f'{name} {value}' for name, value in told)})" if told else "")


def _once(load: Load) -> Load:
    """A metric is loaded once, and one that fails fails with one error however many runs name it."""
    known: dict[str, Any] = {}

    def cached(name: str) -> Any:
        if name not in known:
            try:
                known[name] = load(name)
            except MedbenchError as error:
                known[name] = error
        if isinstance(known[name], MedbenchError):
            raise known[name]
        return known[name]

    return cached


def metrics_of(manifest: Manifest) -> list[str]:
    """The run's metrics: first the benchmark's own in its order, then the others."""
    own = [name for name in manifest.benchmark.metrics if name in manifest.metrics]
    return [*own, *(name for name in manifest.metrics if name not in own)]


def _board(sheets: Sequence[RunScores], group: Sequence[StoredRun], load: Load) -> Board:
    """The board of a group of comparable runs, of which those in `sheets` could be read."""
    manifest = sheets[0].run.manifest
    columns = _columns(sheets, load)
    table = [[_cell(made, column) for column in columns] for made in sheets]
    leaked = leaked_in(group)
    tests = _mark(sheets, columns, table, frozenset(leaked))
    told_apart = apart([made.run for made in sheets])
    rows = [
        BoardRow(
            run_id=made.run.manifest.run_id,
            path=str(made.run.path),
            **vars(setup_of(made.run.manifest)),
            answered=made.answered,
            truncated=made.truncated,
            asked=len(made.run.manifest.item_ids),
            cells=tuple(cells),
            apart=told,
            unchecked=made.run.manifest.model.unchecked,
            changes=tuple(made.run.changes),
            sealed=made.run.manifest.sealed,
            leaked=len(leaked_in([made.run])),
        )
        for made, cells, told in zip(sheets, table, told_apart, strict=True)
    ]
    return Board(
        title=title(manifest),
        benchmark=manifest.comparable.benchmark,
        version=manifest.comparable.version,
        variant=manifest.comparable.variant,
        sample=bool(manifest.benchmark.sample),
        items=items_of(manifest),
        asked=len(manifest.item_ids),
        method=manifest.method,
        shots=manifest.comparable.shots,
        columns=tuple(columns),
        rows=tuple(sorted(rows, key=lambda row: (_rank(columns, row), row.label, row.run_id))),
        tests=tests,
        leaked=leaked,
        clean=clean_note(group, len(leaked), len(manifest.item_ids)),
        comparable=manifest.comparable,
        few=few_documents(document for made in sheets for document in (made.clusters or {}).values()),
    )


def _columns(sheets: Sequence[RunScores], load: Load) -> list[Column]:
    """One per figure that any run has, metric by metric, measurements last. A figure without a value in any run is none
    of this board's (accuracy, of open answers), unless a judge was asked for it.
    """
    metrics = list(dict.fromkeys(name for made in sheets for name in made.results))
    measured = {name for made in sheets for name, result in made.results.items() if result.measured}
    columns: dict[tuple[str, str], Column] = {}
    for metric in sorted(metrics, key=lambda name: name in measured):
        plugin = load(metric)
        results = [made.results[metric] for made in sheets if metric in made.results]
        told = {
            f.name for result in results for f in result.figures if f.value is not None or metric.startswith(JUDGING)
        }
        for result in results:
            for index, figure in enumerate(result.figures):
                if figure.name not in told:
                    continue
                column = Column(
                    metric=metric,
                    name=figure.name,
                    unit=figure.unit,
                    better=figure.better,
                    headline=figure.headline,
                    tested=index == 0 and result.paired,
                    scale=scale(plugin, figure),
                )
                columns.setdefault((metric, figure.name), column)
                if index == 0 and result.clean:
                    clean = dataclasses.replace(columns[metric, figure.name], name=result.clean.name, clean=True)
                    columns.setdefault((metric, clean.name), clean)
    return list(columns.values())


def scale(metric: Metric | Measurement, figure: Figure) -> str:
    """What a figure's values are: its unit, else its metric's ("share", "0..1", "1 to 5"); "" where nobody says."""
    if figure.unit or not figure.better:
        return figure.unit
    if figure.name.partition("[")[0] == metric.name or figure.name.startswith(f"{metric.name}["):
        return metric.unit or ("share" if metric.binary else "")
    return "share" if figure.name.endswith("_rate") else "0..1"


def _cell(made: RunScores, column: Column) -> Cell:
    result = made.results.get(column.metric)
    if result is None:
        return Cell(None)
    of_column = (f for f in result.figures if f.name == column.name)
    return Cell(result.clean if column.clean else next(of_column, None), remark=result.remark)


def _mark(
    sheets: Sequence[RunScores], columns: Sequence[Column], table: list[list[Cell]], leaked: Collection[str]
) -> int:
    """Set the status of every cell in `table` (rows × columns); returns the number of pairs tested.

    A best one is marked only where another differs from it: by the test or, where nothing can be tested, by intervals
    that are apart for so many models; by its value where no figure of a column has one (speed is measured once).
    """
    known = [_known(column, at, table) for at, column in enumerate(columns)]
    # An unfinished run is not best by luck, and shows nothing against a finished one.
    finished = {row for row, made in enumerate(sheets) if made.answered == len(made.run.manifest.item_ids)}
    rivals = [finished.intersection(values) or set(values) for values in known]
    tested = [at for at, column in enumerate(columns) if column.tested and len(known[at]) > 1]
    found, pairs = verdicts([_tested(sheets, columns[at], known[at], rivals[at], leaked) for at in tested])
    worse: dict[int, set[int]] = {}
    for at, by_row in zip(tested, found, strict=True):
        worse[at] = {row for row, verdict in by_row.items() if verdict.p is not None and verdict.p < ALPHA}
        for row, verdict in by_row.items():
            table[row][at] = dataclasses.replace(
                table[row][at],
                status="worse" if row in worse[at] else "tied",
                p=verdict.p,
                pairs=verdict.pairs,
                against="" if verdict.rival is None else sheets[verdict.rival].run.manifest.run_id,
            )
    for at, column in enumerate(columns):
        level = rivals[at] - worse.get(at, set())
        if not level or (at in worse and not worse[at]):
            continue
        sign = 1 if column.better == "higher" else -1
        highest = max(sign * known[at][row] for row in level)
        best = [row for row in level if sign * known[at][row] == highest]
        first, models = table[best[0]][at].figure, len(known[at])
        once = all(figure is None or figure.low is None for figure in (table[row][at].figure for row in known[at]))
        differs = len(best) < models if once else any(_apart(first, table[row][at].figure, models) for row in known[at])
        if at in worse or differs:
            for row in best:
                table[row][at] = dataclasses.replace(table[row][at], status="best")
    return pairs


def _apart(one: Figure | None, other: Figure | None, models: int) -> bool:
    """Whether two figures of a column of so many models differ by their intervals; without these nothing shows it.

    The intervals must not overlap. Among many models some two would be that far apart by chance alone, so the gap must
    also exceed the margin of a difference (Zou and Donner 2008), widened for all pairs of models (Bonferroni).
    """
    if one is None or other is None or one.value is None or other.value is None or one.value == other.value:
        return False
    if one.low is None or one.high is None or other.low is None or other.high is None:
        return False
    below, above = sorted((one, other), key=lambda figure: figure.value or 0.0)
    assert below.value is not None and below.high is not None and above.value is not None and above.low is not None
    pairs = models * (models - 1) / 2
    wider = NormalDist().inv_cdf(1 - ALPHA / 2 / pairs) / NormalDist().inv_cdf(1 - ALPHA / 2)
    margin = math.hypot(above.value - above.low, below.high - below.value) * wider
    return below.high < above.low and above.value - below.value > margin


def _known(column: Column, at: int, table: Sequence[Sequence[Cell]]) -> dict[int, float]:
    """The values of one column by row, where one is better than another."""
    if not column.better:
        return {}
    return {row: value for row, cells in enumerate(table) if (value := _value(cells[at])) is not None}


def _tested(
    sheets: Sequence[RunScores],
    column: Column,
    known: Collection[int],
    rivals: Collection[int],
    leaked: Collection[str],
) -> Compared:
    def values(row: int) -> Mapping[str, float]:
        found = sheets[row].results[column.metric].values
        return {item: value for item, value in found.items() if item not in leaked} if column.clean else found

    return Compared(
        names=[f"{made.run.manifest.run_id} {made.run.path}" for made in sheets],
        values=[values(row) if row in known else None for row in range(len(sheets))],
        rivals=rivals,
        higher=column.better == "higher",
        binary=any(sheets[row].results[column.metric].binary for row in known),
        clusters=next((made.clusters for made in sheets if made.clusters), None),
    )


def _rank(columns: Sequence[Column], row: BoardRow) -> tuple[int, float]:
    """Sorts rows by the first column, those without a value last."""
    value = _value(row.cells[0]) if columns else None
    if value is None:
        return 1, 0.0
    return 0, value if columns[0].better == "lower" else -value


def _value(cell: Cell) -> float | None:
    return cell.figure.value if cell.figure else None


PART_OF = re.compile(r"^(?:model|generation)\.")  # of an identity: its fields are known without it


def apart(runs: Sequence[StoredRun]) -> list[tuple[tuple[str, str], ...]]:
    """For each run, the fields of its identity in which it differs from another run of the same model."""
    names = [setup_of(run.manifest).model for run in runs]
    told = []
    identities = [run.manifest.identity.as_json() for run in runs]
    for run, name, one in zip(runs, names, identities, strict=True):
        mine: dict[str, str] = {}
        for other, its, another in zip(runs, names, identities, strict=True):
            if other is not run and its == name:
                found = differing(one, another) or [("folder", str(run.path), "")]
                mine |= {PART_OF.sub("", field): _short(_text(own)) or "none" for field, own, _ in found}
        told.append(tuple(mine.items()))
    return told


def _told_apart(boards: Sequence[Board], manifests: Sequence[Manifest]) -> list[Board]:
    """Boards whose titles are the same get the field that differs into them."""
    named = []
    for board, manifest in zip(boards, manifests, strict=True):
        extra: dict[str, str] = {}
        for other, theirs in zip(boards, manifests, strict=True):
            if other is not board and other.title == board.title:
                for name, own, _ in differing(manifest.comparable.as_json(), theirs.comparable.as_json()):
                    extra[name] = f"{name.removesuffix('_hash')} {_short(_text(own)) or 'none'}"
        named.append(dataclasses.replace(board, title=" · ".join([board.title, *extra.values()])))
    return named


def _text(value: Any) -> str:
    if isinstance(value, list | dict):
        return json.dumps(value, ensure_ascii=False)
    return "" if value is None else str(value)


def _short(value: str) -> str:
    """Eight digits of every hash in it."""
    return re.sub(r"[0-9a-f]{12,}", lambda found: found[0][:8], value)
