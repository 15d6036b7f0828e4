"""`medbench.evaluate`: everything that `medbench run` does, from Python."""

from __future__ import annotations

import inspect
import operator
import warnings
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Unpack, get_args

from ..core.errors import UsageError
from ..core.option_names import keywords_beside_options, with_keywords
from ..core.suggest import nearest
from ..core.text import names
from .progress import Progress
from .suite import ModelOptions, RequestLimits

if TYPE_CHECKING:
    from ..results.runs import Runs
    from .judging import Asked
    from .settings import Choice

Names = str | Path | Sequence[str | Path]
QUICK = "quick"  # the sample benchmarks in the package

# The keywords of `evaluate` by the option of `medbench run` that means the same.
KEYWORDS = {
    **{name: name for name in ("limit", "items", "shots", "seed", "choice", "protocol", "system")},
    **{"temperature": "temperature", "top-p": "top_p", "samples": "samples"},
    **{"permute-options": "permute_options", "prompt-variants": "prompt_variants"},
    **{name: name for name in ("metrics", "data", "out")},
    "report-to": "report_to",
    **{name: name for name in ("revision", "adapter", "dtype", "quantize", "device", "chat", "think", "engine")},
    "columns": "columns",
    **{"model": "models", "benchmark": "benchmarks", "suite": "benchmarks", "judge": "judges"},
    **{name: name.replace("-", "_") for name in ("max-new-tokens", "entity-model", "latency-items")},
    **{name: name.replace("-", "_") for name in ("base-url", "reasoning-effort")},
    **{"trust-remote-code": "trust_remote_code", "retrieve": "retrieve", "passages": "passages"},
    **dict.fromkeys(("engine-option", "map", "tensor-parallel"), "engine_options"),
    **{name: f'limits["{name.replace("-", "_")}"]' for name in ("concurrency", "requests-per-minute")},
    **{"tokens-per-minute": 'limits["tokens_per_minute"]', "data-revision": "data_revisions"},
    **{f"judge-{name}": f"Asked.{name.replace('-', '_')}" for name in ("mode", "base-url", "price", "concurrency")},
    **{f"judge-{unit}-per-minute": f"Asked.{unit}_per_minute" for unit in ("requests", "tokens")},
    **{"judge-timeout": "Asked.timeout_s", "max-judge-calls": "Asked.max_calls", "max-judge-cost": "Asked.max_cost"},
}


@with_keywords(KEYWORDS)
def evaluate(
    models: Names = "smollm2-135m",
    benchmarks: Names = QUICK,
    *,
    limit: int | None = None,
    items: str | Iterable[str] = (),
    columns: Mapping[str, str] | None = None,
    shots: int = 0,
    seed: int = 0,
    choice: Choice = "auto",
    protocol: str | Sequence[str] = (),
    system: str = "",
    max_new_tokens: int | None = None,
    temperature: float = 0.0,
    top_p: float = 1.0,
    samples: int = 1,
    permute_options: int = 1,
    prompt_variants: bool = False,
    metrics: str | Sequence[str] = (),
    entity_model: str = "",
    judges: Asked | str | Sequence[str] = (),
    latency_items: int | None = None,
    retrieve: str | Path = "",
    passages: int | None = None,
    limits: RequestLimits | None = None,
    data: str | Path | None = None,
    data_revisions: Mapping[str, str] | None = None,
    out: str | Path | None = None,
    report_to: str | Sequence[str] = (),
    progress: Progress | None = None,
    **model_options: Unpack[ModelOptions],
) -> Runs:
    """Run models on benchmarks and return the runs, each stored as it goes, as `medbench run` does.

    The same call again continues where it stopped, and asks nothing if the runs are complete. Every argument means the
    same as the option of `medbench run` with its name.

    models: zoo entries, hub ids, folders, files, or NAME@TAG as trained.
    benchmarks: names, .py files, tables of questions (.csv, .jsonl, .json, .parquet, .xlsx), or the suites "quick" and
        "all".
    columns: what is in which column of these tables, by field, for example {"question": "Text", "answer": "Key"}.
    limit: this many items of each benchmark, drawn by `seed`, the same ones for every model; `items`: only these ids.
    protocol: how the questions are asked, by name (`medbench list protocols`); several names are several runs.
    system: a text for the system turn of every prompt.
    temperature, top_p: how the tokens of answers are drawn; by default the likeliest is taken each time.
    samples: answers to each item, each with a seed of its own. More than one needs a temperature.
    permute_options: orders of the options in which each item is asked; prompt_variants: whether to use three wordings.
    metrics: instead of the benchmarks' own; "all" for every one that scores answers.
    judges: names such as "groq" or "local:MODEL", or `medbench.Asked` with caps and mode.
    retrieve: a folder of texts, or "medquad"; its best `passages` (by default 3) are put into every prompt.
    data, out: folder of official releases (by default MEDBENCH_DATA), folder of runs (by default `runs/`).
    data_revisions: commits, tags or branches of hub data sets, by repository; these are then not read from `data`.
    progress: receives events; by default they are not reported.
    model_options: how every model is loaded and asked: dtype, device, quantize, chat, think, base_url,
        engine_options (settings that only one engine takes), …

    A model, benchmark or judge that fails is a sentence in the result's `problems`, and the others continue. Raises
    UsageError for a request that is wrong as a whole.
    """
    from ..benchmarks.sources import hub as hub_sets
    from ..benchmarks.sources.files import Source
    from ..core import official, paths
    from ..results.metric_names import metric_names
    from ..results.runs import Runs
    from .judging import Asked, panel
    from .settings import Choice, Settings
    from .suite import AskedModel, Outcome, chosen_benchmarks, evaluate_all

    arguments = locals()
    named_parameters = inspect.signature(evaluate).parameters
    options = {name: None for name in [*named_parameters, *ModelOptions.__annotations__] if name != "model_options"}
    _known(model_options, options, "evaluate()")
    _known(limits or {}, RequestLimits.__annotations__, "limits")
    _checked({"limit": (limit, 1), "shots": (shots, 0), "seed": (seed, None)})
    _checked({"max_new_tokens": (max_new_tokens, 1), "latency_items": (latency_items, 0), "passages": (passages, 1)})
    _checked({"samples": (samples, 1), "permute_options": (permute_options, 1)})
    for name, number in (("temperature", temperature), ("top_p", top_p)):
        if isinstance(number, bool) or not isinstance(number, int | float):
            raise TypeError(f"{name} must be a number, not {number!r}")
    _checked({name: (value, 1) for name, value in (limits or {}).items()})
    if choice not in get_args(Choice):
        raise UsageError(f"choice={choice!r}: not one of {', '.join(get_args(Choice))}.")
    if not isinstance(progress, Progress | None):
        raise TypeError(f"progress must be a medbench.Progress, not {progress!r}")
    of_models, named = names(models, "models"), names(benchmarks, "benchmarks")
    for what, found in (("model", of_models), ("benchmark", named)):
        if not found:
            raise UsageError(f"no {what} is named.", f"{what}s=… takes a name or a list of names.")
    command = _call(arguments)
    progress = progress or Progress()
    outcome = Outcome()
    suites = [name for name in named if name in (QUICK, "all")]
    chosen = chosen_benchmarks(
        [name for name in named if name not in suites], suites, outcome, names(protocol, "protocol"), columns
    )
    wanted = metric_names(names(metrics, "metrics"), entity_model, progress.note)
    if not wanted:
        metric_names((name for benchmark in chosen for name in benchmark.metrics), "", progress.note)
    pins = [f"{repository}@{revision}" for repository, revision in (data_revisions or {}).items()]
    pinned = hub_sets.revisions(pins, [benchmark.hub for benchmark in chosen if benchmark.hub])
    asked = judges if isinstance(judges, Asked) else Asked(names=tuple(names(judges, "judges")))
    evaluate_all(
        [AskedModel(name, model_options) for name in of_models],
        chosen,
        Settings(
            limit=limit,
            items=tuple(names(items, "items")),
            shots=shots,
            seed=seed,
            choice=choice,
            system=system,
            max_new_tokens=max_new_tokens,
            temperature=float(temperature),
            top_p=float(top_p),
            samples=samples,
            permute_options=permute_options,
            prompt_variants=prompt_variants,
            metrics=tuple(wanted),
        ),
        outcome,
        limits=limits or {},
        judges=panel(asked, progress.note),
        data=Source(Path(data) if data else paths.data(), official.unattended(progress.note), pinned),
        root=Path(out or paths.runs()).absolute(),  # the runs are found after a change of directory, too
        command=[command],
        latency_items=latency_items,
        retrieve=str(retrieve),
        passages=passages,
        report_to=names(report_to, "report_to"),
        progress=progress,
    )
    for text in outcome.warnings:
        warnings.warn(text, stacklevel=2)
    return Runs(outcome.runs, [keywords_beside_options(problem, KEYWORDS) for problem in outcome.problems])


def _checked(numbers: Mapping[str, tuple[object, int | None]]) -> None:
    """Raise TypeError for a value that is not a whole number, UsageError for one that is too small. None is allowed."""
    for name, (value, least) in numbers.items():
        if value is None:
            continue
        if not hasattr(value, "__index__"):
            raise TypeError(f"{name} must be a whole number, not {value!r}")
        if least is not None and operator.index(value) < least:
            raise UsageError(f"{name}={value}: it must be at least {least}.")


def _known(given: Mapping[str, object], known: Mapping[str, object], what: str) -> None:
    """Raise TypeError, as Python does, for an unknown keyword, with the nearest known one."""
    for name in given:
        if name not in known:
            near = nearest(name, known, most=1)
            meant = f". Did you mean '{near[0]}'?" if near else f". Known: {', '.join(known)}"
            raise TypeError(f"{what} got an unexpected keyword argument '{name}'{meant}")


def _call(arguments: dict[str, Any]) -> str:
    """Return the call as it is stored in manifests: the arguments that were given, including the model's options."""
    defaults = {name: parameter.default for name, parameter in inspect.signature(evaluate).parameters.items()}
    given = {name: value for name, value in arguments.items() if name in defaults and value != defaults[name]}
    given |= given.pop("model_options", {})
    for name in ("models", "benchmarks", "retrieve"):
        if name in given and not isinstance(given[name], str):
            given[name] = names(given[name]) if not isinstance(given[name], Path) else str(given[name])
    return f"medbench.evaluate({', '.join(f'{name}={value!r}' for name, value in given.items())})"
