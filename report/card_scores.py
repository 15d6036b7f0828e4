"""The scores of one model as its card has them: a table, the hub's `model-index`, and its `.eval_results` files."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from ..core.types import Figure
from ..results import leaderboard
from ..results.board import Board, BoardRow, Column
from ..results.export import escaped, figure_text, markdown_row
from ..results.identity import safe
from ..results.manifest import Manifest
from ..results.origins import hub_data
from ..results.store import StoredRun
from ..results.summary import SAFETY, SHARES

if TYPE_CHECKING:
    from huggingface_hub import EvalResult

FOLDER = ".eval_results"  # the hub reads results from YAML files in this folder of a model's repository
TASK = "question-answering"  # the hub's name for what every benchmark here asks
PRIVATE = ("base_url", "folder")  # fields that name a server or a folder of the user
HEADINGS = ("benchmark", "metric", "value [95% interval]", "n", "in the training data")


@dataclass(frozen=True)
class Scored:
    """One figure of the model, with the board and the run that it is from."""

    board: Board
    row: BoardRow
    column: Column
    figure: Figure  # it has a value
    manifest: Manifest


@dataclass(frozen=True)
class Scores:
    """The headline figures of a model on real benchmarks, and what readers must know of them."""

    figures: tuple[Scored, ...]
    remarks: tuple[str, ...]  # of runs: unfinished, prompts cut, not checked for leaks
    problems: tuple[str, ...]  # runs and metrics that could not be read

    @property
    def published(self) -> Iterator[Scored]:
        """The figures that metadata has: shares, of finished runs. Speed and memory belong to this machine."""
        return (each for each in self.figures if each.row.complete and each.column.scale in SHARES)


def scores(runs: Sequence[StoredRun]) -> Scores:
    """Return the scores of runs of one model, computed and stored if missing. Sample sets are left out."""
    real = [run for run in runs if not run.manifest.benchmark.sample]
    found = leaderboard.build(real)
    manifests = {str(run.path): run.manifest for run in real}
    figures = [
        Scored(board, row, column, cell.figure, manifests[row.path])
        for board in found.boards
        for row in board.rows
        for cell, column in zip(row.cells, board.columns, strict=True)
        if (column.headline or column.name == SAFETY) and column.better
        if cell.figure is not None and cell.figure.value is not None
    ]
    remarks = [
        f"{_about(board, row)}: {remark}"
        for board in found.boards
        for row in board.rows
        for remark in filter(None, (row.remarks, board.few))
    ]
    return Scores(tuple(figures), tuple(dict.fromkeys(remarks)), tuple(str(problem) for problem in found.problems))


def table(figures: Iterable[Scored]) -> list[str]:
    """Return the lines of a Markdown table, a row per figure."""
    lines = [markdown_row([*HEADINGS]), markdown_row(["---", "---", "---:", "---:", "---:"])]
    for each in figures:
        figure = each.figure
        n = f"{figure.n:,}" if figure.n == figure.total else f"{figure.n:,} of {figure.total:,}"
        value = figure_text(figure).partition(" (n ")[0]
        cells = [escaped(_about(each.board, each.row)), each.column.name, value, n, _leaked(each)]
        lines.append(markdown_row(cells))
    return lines


def eval_results(found: Scores) -> list[EvalResult]:
    """Return the entries of `model-index`, in the hub client's own class. Only finished runs have any."""
    from huggingface_hub import EvalResult

    results = []
    for each in found.published:
        data = hub_data(each.manifest.benchmark.origin)
        figure = each.figure
        args: dict[str, Any] = {
            "n": figure.n,
            "total": figure.total,
            "setup": each.board.title,
            "items_hash": each.board.comparable.items_hash,
            "prompt_hash": each.board.comparable.prompt_hash,
            "run": each.row.run_id,
        }
        if figure.low is not None and figure.high is not None:
            args |= {"low": figure.low, "high": figure.high}
        results.append(
            EvalResult(
                task_type=TASK,
                dataset_type=data.get("id") or each.board.benchmark,
                dataset_name=each.board.benchmark,
                dataset_config=data.get("config"),
                dataset_revision=data.get("revision"),
                metric_type=each.column.name,
                metric_name=f"{each.column.name} ({_about(each.board, each.row)})",
                metric_value=figure.value,
                metric_args=args,
            )
        )
    return results


def result_files(found: Scores) -> dict[str, str]:
    """Return the `.eval_results` files by name: the first figure of each run that asked a whole hub data set.

    The format names a data set on the hub, so items from a folder of official releases have no file. Different setups
    of one benchmark are in files of their own, as the hub asks.
    """
    from huggingface_hub import EvalResultEntry, eval_result_entries_to_yaml
    from huggingface_hub.utils import yaml_dump

    files: dict[str, str] = {}
    runs = set[str]()
    for each in found.published:
        data, manifest = hub_data(each.manifest.benchmark.origin), each.manifest
        whole = len(manifest.item_ids) == manifest.benchmark.n_total
        if not data or not whole or each.column.name == SAFETY or manifest.run_id in runs:
            continue
        runs.add(manifest.run_id)
        entry = EvalResultEntry(
            dataset_id=data["id"],
            task_id=data.get("config", "default"),
            value=each.figure.value,
            dataset_revision=data.get("revision"),
            date=manifest.created or None,
            notes=f"{each.column.name}, {each.board.title}, n {each.figure.n}, by medbench",
        )
        name = f"{FOLDER}/{safe(each.board.benchmark)}.yaml"
        if name in files:
            name = f"{FOLDER}/{safe(manifest.run_id.partition('__')[2])}.yaml"
        files[name] = yaml_dump(eval_result_entries_to_yaml([entry]))
    return files


def _about(board: Board, row: BoardRow) -> str:
    """Return the board's title, with what tells the row from others of the same model, but no private address."""
    apart = [f"{name} {value}" for name, value in row.apart if name not in PRIVATE]
    if len(apart) < len(row.apart):
        apart.append(f"run {row.run_id.rpartition('__')[2]}")
    return " · ".join(filter(None, [board.title, ", ".join(apart)]))


def _leaked(each: Scored) -> str:
    if each.manifest.model.leaked is None:
        return "not checked"
    return f"{each.row.leaked:,} items" if each.row.leaked else "none found"
