"""How an export changed the answers: the original, merged and exported model on the same items, in pairs."""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from ...core.errors import MedbenchError, UsageError

if TYPE_CHECKING:
    from ...evaluation.progress import Progress
    from ...evaluation.settings import Choice
    from ...evaluation.suite import ModelOptions
    from ...results.comparison import ComparedFigure
    from ...results.store import StoredRun

Role = Literal["original", "merged", "exported", "served"]
THROUGHPUT = "throughput_tokens_per_s"
HEADLINES = ("accuracy", "rouge1", "rougeL")  # the figure of the table, the first that was tested


@dataclass(frozen=True)
class Side:
    """One model of the check. `bytes`: what it takes on disk, None where that is not known."""

    role: Role
    model: str  # as `--model` takes it
    bytes: int | None
    options: ModelOptions | None = None


@dataclass(frozen=True)
class Ask:
    """On what the models are compared, and where their runs are stored."""

    benchmarks: tuple[str, ...]
    limit: int | None = None
    seed: int = 0
    choice: Choice = "auto"
    max_new_tokens: int | None = None
    data: Path | None = None
    out: Path | None = None
    server: str = ""  # a model at a server, as `--model` takes it, e.g. "openai:llama3.2"
    base_url: str = ""


@dataclass(frozen=True)
class CheckRow:
    """One model on one benchmark, beside the original.

    `value` is the figure called `metric`; `difference` is original - this, with its 95% interval, over the `n` items
    that both answered; `p` is the paired test's and `p_holm` is adjusted over the table. `changed` of the `n` items got
    another answer: another option, or another text.
    """

    benchmark: str
    role: Role
    model: str
    run_id: str
    bytes: int | None
    metric: str = ""
    value: float | None = None
    n: int = 0
    difference: float | None = None
    low: float | None = None
    high: float | None = None
    test: str = ""
    p: float | None = None
    p_holm: float | None = None
    changed: int | None = None
    tokens_per_s: float | None = None
    latency_p50_s: float | None = None


@dataclass(frozen=True)
class Check:
    """The table, row by row, and a sentence for everything that could not be done."""

    rows: tuple[CheckRow, ...]
    problems: tuple[str, ...] = ()

    def as_dict(self) -> dict[str, Any]:
        return asdict(self)


def check(sides: Sequence[Side], ask: Ask, progress: Progress) -> Check:
    """Run every side on the benchmarks and compare each with the first one. Runs are stored, and resumed, as always."""
    from ...evaluation.api import evaluate

    problems: list[str] = []
    runs: dict[tuple[str, str], StoredRun] = {}  # by role and benchmark
    choices: dict[str, Choice] = dict.fromkeys(ask.benchmarks, ask.choice)
    # A server goes first: where it gives no log-probabilities, the others write their answers too.
    for side in sorted(sides, key=lambda each: each.role != "served"):
        for benchmark in ask.benchmarks:
            found = evaluate(
                side.model,
                benchmark,
                limit=ask.limit,
                seed=ask.seed,
                choice=choices[benchmark],
                max_new_tokens=ask.max_new_tokens,
                data=ask.data,
                out=ask.out,
                progress=progress,
                **(side.options or {}),
            )
            problems += found.problems
            for run in found:
                name = run.manifest.benchmark.name
                runs[side.role, name] = run
                wrote = side.role == "served" and run.manifest.method == "generate"
                if wrote and any(record.item.options for record in run.records()):
                    choices[benchmark] = "generate"
    return Check(tuple(_table(sides, runs, problems)), tuple(dict.fromkeys(problems)))


def _table(sides: Sequence[Side], runs: dict[tuple[str, str], StoredRun], problems: list[str]) -> list[CheckRow]:
    from ...core.paired_tests import holm

    rows: list[CheckRow] = []
    for benchmark in dict.fromkeys(name for _, name in runs):
        first = runs.get((sides[0].role, benchmark))
        if first is None:
            continue
        for side in sides:
            run = runs.get((side.role, benchmark))
            if run is not None:
                try:
                    rows.append(_row(side, benchmark, first, run))
                except MedbenchError as error:
                    problems.append(f"{side.model} on {benchmark}: {error}")
    tested = [row for row in rows if row.p is not None]
    adjusted = iter(holm([row.p for row in tested if row.p is not None]))
    return [replace(row, p_holm=next(adjusted)) if row.p is not None else row for row in rows]


def _row(side: Side, benchmark: str, first: StoredRun, run: StoredRun) -> CheckRow:
    from ...core import registry
    from ...results.compare import compare
    from ...results.descriptions import setup_of

    measured = run.manifest.measured()
    row = CheckRow(
        benchmark=benchmark,
        role=side.role,
        model=setup_of(run.manifest).model,
        run_id=run.manifest.run_id,
        bytes=side.bytes,
        tokens_per_s=registry.get("metrics", THROUGHPUT).read(measured).value if measured.seconds else None,
        latency_p50_s=statistics.median(measured.latencies_s) if measured.latencies_s else None,
    )
    if run.path.resolve() == first.path.resolve():
        name, value, n = _headline_of(run)
        return replace(row, metric=name, value=value, n=n)
    (match,) = compare(first, run).matches
    line = _headline(match.lines)
    return replace(
        row,
        metric=line.name,
        value=line.b,
        n=line.n,
        difference=line.difference,
        low=line.low,
        high=line.high,
        test=line.test,
        p=line.p,
        changed=match.changed,
    )


def _headline(lines: Sequence[ComparedFigure]) -> ComparedFigure:
    tested = [line for line in lines if line.test and not line.clean] or list(lines)
    return min(tested, key=lambda line: HEADLINES.index(line.name) if line.name in HEADLINES else len(HEADLINES))


def _headline_of(run: StoredRun) -> tuple[str, float | None, int]:
    from ...results.runs import Runs

    rows = Runs([run]).frame().to_dict("records")
    for name in HEADLINES:
        for row in rows:
            if row["metric"] == name:
                return name, float(row["value"]), int(row["n"])
    return str(rows[0]["metric"]), rows[0]["value"], int(rows[0]["n"])


def require(ask: Ask) -> None:
    """Raise UsageError for benchmarks that are not installed, before anything is exported."""
    from ...core import registry

    if not ask.benchmarks:
        raise UsageError("--check names no benchmark.", "For example: --check medquad,medqa --limit 100")
    for name in ask.benchmarks:
        registry.get("benchmarks", name)
    if ask.server and not ask.server.startswith(("openai:", "groq:")):
        raise UsageError(
            f"--check-server {ask.server}: not a model at a server.",
            "Name one as for --model: --check-server openai:NAME --base-url http://localhost:11434/v1",
        )
