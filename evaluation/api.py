"""`medbench.evaluate`: the Python door to everything that `medbench run` does."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Unpack

from .progress import Progress
from .suite import ModelOptions, RequestLimits

if TYPE_CHECKING:
    from ..results.runs import Runs
    from .judging import Asked
    from .plan import Choice

QUICK = "quick"  # the sample benchmarks that the package holds


def evaluate(
    models: str | Sequence[str] = "smollm2-135m",
    benchmarks: str | Sequence[str] = QUICK,
    *,
    limit: int | None = None,
    items: Iterable[str] = (),
    shots: int = 0,
    seed: int = 0,
    choice: Choice = "auto",
    max_new_tokens: int | None = None,
    metrics: str | Sequence[str] = (),
    entity_model: str = "",
    judges: Asked | str | Sequence[str] = (),
    latency_items: int | None = None,
    limits: RequestLimits | None = None,
    data: str | Path | None = None,
    data_revisions: Mapping[str, str] | None = None,
    out: str | Path | None = None,
    progress: Progress | None = None,
    **model_options: Unpack[ModelOptions],
) -> Runs:
    """Run models on benchmarks and return the runs, each stored as it goes, as `medbench run` does.

    The same call again continues where it stopped, and asks nothing when all is done. Every argument means what the
    option of `medbench run` means that has its name.

    models: zoo entries, hub ids, folders, files, or NAME@TAG as trained.
    benchmarks: names, .py files, or the suites "quick" and "all".
    limit: this many items of each benchmark, drawn by `seed`, the same ones for every model; `items`: only these ids.
    metrics: instead of the benchmarks' own; "all" for every one that scores answers.
    judges: names such as "groq" or "local:MODEL", or `medbench.Asked` with caps and mode.
    data, out: folder of official releases (by default MEDBENCH_DATA), folder of runs (by default `runs/`).
    data_revisions: commits, tags or branches of hub data sets, by repository; these are then not read from `data`.
    progress: hears what happens; by default nobody does.
    model_options: how every model is loaded and asked: dtype, device, quantize, chat, base_url, …

    A model, benchmark or judge that fails is a sentence in the result's `problems`, and the others go on. Raises
    UsageError for a request that is wrong as a whole.
    """
    from ..benchmarks import hub_sets
    from ..benchmarks.sources import Source
    from ..core import official, paths
    from ..results.metric_names import metric_names
    from ..results.runs import Runs
    from .judging import Asked, panel
    from .plan import Settings
    from .suite import Outcome, chosen_benchmarks, evaluate_all

    command = _call(locals())
    progress = progress or Progress()
    outcome = Outcome()
    named = _names(benchmarks)
    suites = [name for name in named if name in (QUICK, "all")]
    chosen = chosen_benchmarks([name for name in named if name not in suites], suites, outcome)
    wanted = metric_names(_names(metrics), entity_model, progress.note)
    if not wanted:
        metric_names((name for benchmark in chosen for name in benchmark.metrics), "", progress.note)
    pins = [f"{repository}@{revision}" for repository, revision in (data_revisions or {}).items()]
    pinned = hub_sets.revisions(pins, [benchmark.hub for benchmark in chosen if benchmark.hub])
    asked = judges if isinstance(judges, Asked) else Asked(names=tuple(_names(judges)))
    evaluate_all(
        _names(models),
        chosen,
        Settings(
            limit=limit,
            items=tuple(dict.fromkeys(items)),
            shots=shots,
            seed=seed,
            choice=choice,
            max_new_tokens=max_new_tokens,
            metrics=tuple(wanted),
        ),
        outcome,
        options=model_options,
        limits=limits or {},
        judges=panel(asked, progress.note),
        data=Source(Path(data) if data else paths.data(), official.unattended(progress.note), pinned),
        root=Path(out or paths.runs()),
        command=[command],
        latency_items=latency_items,
        progress=progress,
    )
    return Runs(outcome.runs, outcome.problems)


def _names(value: str | Sequence[str]) -> list[str]:
    """Return the names in a comma-separated string or a sequence, each once, in order."""
    parts = value.split(",") if isinstance(value, str) else value
    return list(dict.fromkeys(part.strip() for part in parts if part.strip()))


def _call(arguments: dict[str, Any]) -> str:
    """Return the call as a manifest keeps it: the arguments that were given, the model's options among them."""
    import inspect

    defaults = {name: parameter.default for name, parameter in inspect.signature(evaluate).parameters.items()}
    given = {name: value for name, value in arguments.items() if name in defaults and value != defaults[name]}
    given |= given.pop("model_options", {})
    return f"medbench.evaluate({', '.join(f'{name}={value!r}' for name, value in given.items())})"
