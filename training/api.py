"""`medbench.train` and `medbench.sweep`: the same as the command `medbench train`, from Python."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypedDict, Unpack

from ..core import registry
from ..core.errors import MedbenchError, UsageError
from ..core.option_names import with_keywords
from ..core.text import names

if TYPE_CHECKING:
    from ..core.official import DownloadProgress
    from ..evaluation.progress import Progress
    from ..zoo.adapters import Adapter
    from ..zoo.entry import Entry
    from .progress import TrainingProgress
    from .ranking import Ranking
    from .request import Request
    from .sweep import Variant

RANK_ITEMS = 100  # that every model of a ranking answers, if nothing else is asked

# The keywords of `train` by the option of `medbench train` that means the same.
KEYWORDS = {
    **{name: name for name in ("model", "tag", "seed", "device", "data", "out", "revision")},
    **{name: name.replace("-", "_") for name in ("max-steps", "allow-leak", "leave-out-leaks", "trust-remote-code")},
    **{"set": "settings", "num-processes": "processes", "quantize": "settings", "data-revision": "data_revisions"},
}
# Those of `sweep`, which takes the keywords of `train` as well.
SWEEP_KEYWORDS = {
    **KEYWORDS,
    **{"sweep": "fields", "paired": "paired"},
    **{name: name.replace("-", "_") for name in ("rank-by", "rank-items", "rank-out")},
}


class TrainOptions(TypedDict, total=False):
    """Keywords of `train` that `sweep` takes as well. `train` describes them."""

    settings: Mapping[str, Any] | None
    max_steps: int
    seed: int
    device: str
    data: str | Path | None
    data_revisions: Mapping[str, str] | None
    out: str | Path | None
    allow_leak: str | Iterable[str]
    leave_out_leaks: bool
    revision: str
    trust_remote_code: bool
    processes: int


@dataclass(frozen=True)
class Sweep:
    """The variants of a sweep, each with its `adapter` or the `problem` that it had, and their ranking.

    `ranking` is None without `rank_by`, and if fewer than two models could be ranked, which `problems` then says.
    """

    variants: tuple[Variant, ...]
    ranking: Ranking | None = None
    problems: tuple[str, ...] = ()


@with_keywords(KEYWORDS)
def train(
    model: str | Path,
    *,
    tag: str = "default",
    settings: Mapping[str, Any] | None = None,
    max_steps: int = 0,
    seed: int = 0,
    device: str = "auto",
    data: str | Path | None = None,
    data_revisions: Mapping[str, str] | None = None,
    out: str | Path | None = None,
    allow_leak: str | Iterable[str] = (),
    leave_out_leaks: bool = False,
    revision: str = "",
    trust_remote_code: bool = False,
    processes: int = 1,
    progress: TrainingProgress | None = None,
) -> Adapter:
    """Train a zoo entry by its recipe and return the adapter, which runs as `NAME@TAG`.

    The same call continues a training that was stopped, and returns a finished one unchanged.

    settings: changes to the recipe, in all stages or in one: {"learning_rate": 5e-4, "pubmedqa.epochs": 2}.
    max_steps: limit of optimizer steps per stage; 0 for no limit.
    data, out: folder of official releases (default: MEDBENCH_DATA), folder of adapters (default: `adapters/`).
    data_revisions: commits, tags or branches of hub data sets, by repository; these are then not read from `data`.
    allow_leak: benchmarks whose own items may be in the training data.
    leave_out_leaks: train without the examples that contain scored items; the manifest lists them by stage.
    revision: branch, tag or commit of the model on the hub; by default the entry's, else main.
    processes: one per GPU, or several on CPU cores; each adds a batch to every step. With 1, this process trains.
    progress: receives losses and steps; by default they are not reported.

    Raises UsageError for a model without a recipe and for wrong settings, MedbenchError if training fails.
    """
    from ..zoo.adapters import Adapter
    from . import launch
    from .progress import TrainingProgress

    request = request_of(
        model,
        tag,
        f"medbench.train({str(model)!r}, tag={tag!r}, settings={settings!r})",
        {
            "settings": settings,
            "max_steps": max_steps,
            "seed": seed,
            "device": device,
            "data": data,
            "data_revisions": data_revisions,
            "out": out,
            "allow_leak": allow_leak,
            "leave_out_leaks": leave_out_leaks,
            "revision": revision,
            "trust_remote_code": trust_remote_code,
            "processes": processes,
        },
    )
    manifest, folder = launch.run(request, progress or TrainingProgress(), lambda line: None)
    return Adapter(folder, manifest)


@with_keywords(SWEEP_KEYWORDS)
def sweep(
    model: str | Path,
    fields: Mapping[str, Iterable[Any]],
    *,
    paired: bool = False,
    tag: str = "sweep",
    rank_by: str = "",
    rank_items: int = RANK_ITEMS,
    rank_out: str | Path | None = None,
    progress: Progress | None = None,
    **train_options: Unpack[TrainOptions],
) -> Sweep:
    """Train once for every combination of values, as `medbench train --sweep`, and rank what was trained.

    The same call continues where it stopped, and trains and asks nothing when all is done.

    fields: values by field of the recipe: {"learning_rate": [1e-4, 2e-4], "lora.rank": [8, 16]}.
    paired: combine the first values of all fields, then the second ones, …, instead of every value with every other.
    tag: first part of the adapters' tags; the rest says what was set.
    rank_by: "BENCHMARK:METRIC", such as "medquad:rouge1": the variants and the untrained model answer items of the
        benchmark's development split and are compared in pairs; "" for no ranking.
    rank_items: at most this many of these items, drawn by a fixed seed.
    rank_out: folder of these runs; by default `rankings/`.
    progress: receives the events of the ranking; by default they are not reported.
    train_options: as for `train`.

    A variant that fails is in the result's `problems`, and the others continue. Raises UsageError for a request that is
    wrong, before anything is trained.
    """
    from ..core import paths
    from ..evaluation.progress import Progress
    from . import development, ranking
    from .progress import TrainingProgress
    from .sweep import train_all, training_examples, variants

    if unknown := sorted(train_options.keys() - TrainOptions.__annotations__.keys()):
        raise TypeError(f"sweep() got an unexpected keyword argument '{unknown[0]}'")
    if rank_items < 1:
        raise UsageError(f"rank_items={rank_items}: it must be at least 1.")
    if not fields:
        raise UsageError("fields is empty: nothing is swept.", 'For example: {"learning_rate": [1e-4, 2e-4]}')
    asked = [f"{field}={','.join(map(str, _values(values)))}" for field, values in fields.items()]
    request = request_of(model, tag, f"medbench.sweep({str(model)!r}, {dict(fields)!r}, tag={tag!r})", train_options)
    planned = variants(request, asked, paired)
    progress = progress or Progress()
    found = None
    if rank_by:
        texts = training_examples(planned)
        found = development.prepare(rank_by, len(planned) + 1, request.source, texts, rank_items, progress.note)
    trained = train_all(planned, TrainingProgress, lambda line: None, progress.note)
    problems = [f"{each.label}: {each.problem}" for each in trained if each.problem]
    ranked = None
    if found:
        try:
            ranked = ranking.evaluate(found, trained, Path(rank_out or paths.rankings()).absolute(), progress)
        except MedbenchError as error:
            problems.append(str(error))
    return Sweep(tuple(trained), ranked, (*problems, *(ranked.problems if ranked else ())))


def _values(values: Iterable[Any]) -> list[Any]:
    """The values of one field; a single text or number is one value."""
    return [values] if isinstance(values, str) or not isinstance(values, Iterable) else list(values)


def _as_text(value: Any) -> str:
    """Return a value as --set takes it."""
    if isinstance(value, bool):
        return "on" if value else "off"
    return ",".join(map(str, value)) if isinstance(value, list | tuple) else str(value)


def request_of(
    model: str | Path,
    tag: str,
    command: str,
    options: TrainOptions,
    downloads: DownloadProgress | None = None,
) -> Request:
    """Make a request from keywords of `train`. Raises UsageError.

    downloads: shows the progress of official files that are downloaded; by default nobody sees it.
    """
    from ..benchmarks.sources.files import Source
    from ..core import official, paths
    from . import overrides
    from .data import data_revisions as asked
    from .request import Request

    processes = options.get("processes", 1)
    if processes < 1:
        raise UsageError(f"processes={processes}: at least 1 is needed.")
    model = str(model)
    entry = trainable(model)
    if entry.recipe is None:
        raise UsageError(f"the zoo entry '{entry.name}' has no recipe.", "To add one: docs/add-a-model.md")
    given = tuple(f"{field}={_as_text(value)}" for field, value in (options.get("settings") or {}).items())
    recipe = overrides.apply(entry.recipe, given)
    pins = [f"{repository}@{revision}" for repository, revision in (options.get("data_revisions") or {}).items()]
    data = options.get("data")
    return Request(
        model=model,
        entry=entry,
        recipe=recipe,
        source=Source(
            Path(data) if data else paths.data(),
            downloads or official.unattended(lambda line: None),
            asked(recipe, pins),
        ),
        root=Path(options.get("out") or paths.adapters()),
        tag=tag,
        settings=given,
        seed=options.get("seed", 0),
        max_steps=options.get("max_steps", 0),
        device=options.get("device", "auto"),
        processes=processes,
        allowed_leaks=frozenset(names(options.get("allow_leak", ()), "allow_leak")),
        leave_out_leaks=options.get("leave_out_leaks", False),
        revision=options.get("revision", ""),
        command=(command,),
        trust_remote_code=options.get("trust_remote_code", False),
    )


def trainable(model: str) -> Entry:
    """Return the zoo entry to train. Raises UsageError for a model that is not an entry."""
    if model.endswith(".py") or model in registry.names("zoo"):
        entry: Entry = registry.get("zoo", model)
        return entry
    if "/" in model or Path(model).exists():
        raise UsageError(
            f"{model} has no training recipe: only zoo entries have one.",
            "Write an entry for these weights in a .py file: docs/add-a-model.md. All entries: medbench list models",
        )
    if "@" in model:
        raise UsageError(
            f"{model}: training starts from a model, not from an adapter.",
            "Give the model and the adapter's tag: --model {} --tag {}".format(*model.split("@", 1)),
        )
    raise registry.unknown("zoo", model)
