"""Stored runs for Python: loaded from folders, shown as tables, and turned into pandas DataFrames."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, overload

from ..core import paths
from ..core.errors import UsageError
from ..core.text import names
from .store import StoredRun, all_runs

if TYPE_CHECKING:
    import pandas as pd

    from .board import Leaderboard
    from .comparison import Comparison
    from .formats.api import ExportedRuns


# The columns of `Runs.items` besides those of metrics.
ITEM = (
    *("run_id", "model", "benchmark", "item", "sample", "question", "gold", "chosen", "answer", "reasoning", "finish"),
    *("prompt_tokens", "completion_tokens"),
)


class Runs(Sequence[StoredRun]):
    """Runs that stay together: the result of `medbench.evaluate` and `medbench.load_runs`.

    `problems` holds a sentence for everything that could not be done or read. In a notebook it shows itself as
    leaderboard tables.
    """

    def __init__(self, runs: Iterable[StoredRun], problems: Iterable[str] = ()) -> None:
        self._runs = tuple(runs)
        self.problems = tuple(problems)

    def leaderboard(self, metrics: str | Sequence[str] = ()) -> Leaderboard:
        """Return the tables of `medbench leaderboard`: one board per set of comparable runs, with paired tests.

        `metrics`: only these; by default, all that the runs list. Missing scores are computed and stored.
        """
        from . import leaderboard

        return leaderboard.build(self._runs, names(metrics, "metrics"))

    def frame(self, metrics: str | Sequence[str] = ()) -> pd.DataFrame:
        """Return every figure in long form: a row per model, benchmark and metric, with the columns of the CSV export.

        `value`, `low` and `high` (95% interval) are in the unit that `unit` names; `n` of `total` items were scored.
        """
        import pandas as pd

        from .export import FIELDS, rows

        return pd.DataFrame(rows(self.leaderboard(metrics)), columns=list(FIELDS))

    def items(self, metrics: str | Sequence[str] = ()) -> pd.DataFrame:
        """Return a row per answer, with a column per metric that scores answers; NaN if one is unscored.

        `sample` numbers the answers to an item, from 0. `chosen` is the option that was read off the answer, `gold` the
        right one, `answer` the text of a generated answer. A column `METRIC.reason` says why items are unscored or
        could not be read, if there are such items.

        Raises MedbenchError for a run that was changed after it was made, and if a metric fails.
        """
        import pandas as pd

        asked = names(metrics, "metrics")
        found = pd.DataFrame([row for run in self._runs for row in _items(run, asked)])
        if found.empty:
            return pd.DataFrame(columns=list(ITEM))
        unused = [name for name in found if str(name).endswith(".reason") and found[name].isna().all()]
        return found.drop(columns=unused)

    def risk_coverage(self) -> pd.DataFrame:
        """Return the risk-coverage curve of each run: a row per distinct confidence, the most confident answers first.

        `coverage` is the share of items whose answers are kept, `risk` the share of wrong ones among these. The
        confidence is the agreement among an item's samples or, by log-probability, the probability of the chosen
        option. Runs of generated answers without samples have no rows.

        Raises MedbenchError for a run that was changed after it was made.
        """
        import pandas as pd

        from .descriptions import setup_of
        from .risk import curve

        names = ("run_id", "model", "benchmark", "confidence", "coverage", "risk")
        rows = [
            (run.manifest.run_id, setup_of(run.manifest).model, run.manifest.benchmark.name, *point)
            for run in self._runs
            for point in curve(run)
        ]
        return pd.DataFrame(rows, columns=list(names))

    def export(self, format: str, out: str | Path) -> ExportedRuns:
        """Write figures and answers as another tool's files, as `medbench export --format` does.

        `format`: "every-eval-ever", "lm-eval" or "inspect". Files of an earlier export of the same runs are replaced.
        Raises UsageError for an unknown format or no runs, MedbenchError if a file cannot be written.
        """
        from .formats.api import export_runs

        return export_runs(self._runs, format, out)

    def compare(self, *models: str, metrics: str | Sequence[str] = ()) -> Comparison:
        """Test models against each other in pairs on the items they share, as `medbench compare` does.

        `models` are names as the leaderboard shows them; none means every model of these runs. Raises UsageError for
        fewer than two models, an unknown one, and runs that cannot be compared.
        """
        from .compare import compare
        from .descriptions import setup_of

        by_model: dict[str, list[StoredRun]] = {}
        for run in self._runs:
            by_model.setdefault(setup_of(run.manifest).model, []).append(run)
        asked = models or tuple(by_model)
        for model in asked:
            if model not in by_model:
                raise UsageError(f"no run here is of '{model}'.", f"The models here: {', '.join(by_model) or 'none'}")
        if len(asked) < 2:
            raise UsageError(
                f"{len(asked)} model{'s' * (len(asked) != 1)}: a comparison needs two.",
                "Run another one on the same benchmarks.",
            )
        return compare(*(by_model[model] for model in asked), metrics=names(metrics, "metrics"))

    @overload
    def __getitem__(self, index: int) -> StoredRun: ...

    @overload
    def __getitem__(self, index: slice) -> Runs: ...

    def __getitem__(self, index: int | slice) -> StoredRun | Runs:
        return Runs(self._runs[index], self.problems) if isinstance(index, slice) else self._runs[index]

    def __len__(self) -> int:
        return len(self._runs)

    def __repr__(self) -> str:
        lines = [f"{len(self)} run{'s' * (len(self) != 1)}"]
        lines += [f"  {run.path}" for run in self._runs]
        lines += [f"not done: {problem}" for problem in self.problems]
        return "\n".join(lines)

    def _repr_html_(self) -> str:
        import html

        from ..core.text import printable
        from .export import to_html

        told = [f"<p>Not done: {html.escape(printable(problem))}</p>" for problem in self.problems]
        tables = to_html(self.leaderboard()) if self._runs else "<p>0 runs</p>"
        return "\n".join([tables, *told])


def load_runs(*places: str | Path, allow_changed: bool = False) -> Runs:
    """Load runs from folders: each a run, or a folder of runs. The default is `runs/`, as for the command line.

    What cannot be read is in `problems`. Raises UsageError for a folder that does not exist. `allow_changed`: load runs
    that were changed after they were made, too; tables mark them.
    """
    found, problems = all_runs(
        *(Path(place).absolute() for place in places or (paths.runs(),)), allow_changed=allow_changed
    )
    return Runs(found, map(str, problems))


def compare(
    *sides: str | Path, metrics: str | Sequence[str] = (), out: str | Path | None = None, allow_changed: bool = False
) -> Comparison:
    """Test models, runs or folders of runs against each other in pairs, named as for `medbench compare`.

    `out`: the folder of runs that names are looked up in; by default `runs/`. Raises UsageError for fewer than two
    sides and for sides that cannot be compared, MedbenchError for a run of theirs that cannot be read.
    """
    from .compare import compare as compare_runs
    from .lookup import side

    if len(sides) < 2:
        raise UsageError(
            f"{len(sides)} side{'s' * (len(sides) != 1)}: a comparison needs two.", "medbench.compare(A, B)"
        )
    given = []
    for name in sides:
        runs, problems = side(str(name), Path(out or paths.runs()), allow_changed)
        if problems:
            raise problems[0]
        given.append(runs)
    return compare_runs(*given, metrics=names(metrics, "metrics"))


def _items(run: StoredRun, metrics: Sequence[str]) -> list[dict[str, Any]]:
    from ..core.types import Metric
    from .descriptions import setup_of
    from .scoring import bound, load_metric, load_stored

    records = run.records()
    rows: list[dict[str, Any]] = [
        {
            "run_id": run.manifest.run_id,
            "model": setup_of(run.manifest).model,
            "benchmark": run.manifest.benchmark.name,
            "item": record.item.id,
            "sample": record.output.sample,
            "question": record.item.question,
            "gold": None if record.item.gold is None else record.item.answers[record.item.gold],
            "chosen": None,
            "answer": record.output.text,
            "reasoning": record.output.reasoning,
            "finish": record.output.finish,
            "prompt_tokens": record.output.prompt_tokens,
            "completion_tokens": record.output.completion_tokens,
        }
        for record in records
    ]
    for name in metrics or run.manifest.shown_metrics:
        metric = (load_metric if metrics else load_stored)(name)
        if not isinstance(metric, Metric):
            continue  # measured over the run, not per item
        for row, score in zip(rows, bound(run, metric, records)[1], strict=True):
            row[name] = score.value
            row[f"{name}.reason"] = score.reason
            row["chosen"] = row["chosen"] or score.answer
    return rows
