"""What an experiment asks for, typed: made from the values of a file, of options, or of both."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

from ..core import paths
from ..core.errors import UsageError
from ..core.text_or_file import text_or_file
from ..evaluation.judging import Asked
from ..evaluation.settings import Settings
from ..evaluation.suite import AskedModel, ModelOptions, RequestLimits
from ..training.api import TrainOptions
from .schema import LIMITS, MODEL_OPTIONS
from .values import Values

DEFAULT_MODEL = "smollm2-135m"
TITLE = "medbench report"


@dataclass(frozen=True, slots=True)
class Training:
    """An adapter to train before anything runs: `medbench train --model MODEL --tag TAG`."""

    model: str
    tag: str
    options: TrainOptions

    @property
    def name(self) -> str:
        """What --model takes for the result."""
        return f"{self.model}@{self.tag}"


@dataclass(frozen=True, slots=True)
class Pairing:
    """Models to test in pairs when all of them have answered, by the names that the experiment gives them."""

    models: tuple[str, ...]
    metrics: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Pages:
    """A report to write."""

    out: Path
    title: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Experiment:
    """Everything that `medbench run` is asked to do. `of` makes it from the values of a file or of options."""

    models: tuple[AskedModel, ...]
    benchmarks: tuple[str, ...] = ()
    suites: tuple[str, ...] = ()
    protocols: tuple[str, ...] = ()
    columns: Mapping[str, str]
    settings: Settings
    metrics: tuple[str, ...] = ()  # instead of the benchmarks' own, as the user names them
    entity_model: str = ""
    latency_items: int | None = None
    retrieve: str = ""
    passages: int | None = None
    limits: RequestLimits
    judges: Asked
    data: Path | None = None
    data_revisions: tuple[str, ...] = ()  # OWNER/NAME@REV
    out: Path
    report_to: tuple[str, ...] = ()  # trackers
    train: tuple[Training, ...] = ()
    compare: tuple[Pairing, ...] = ()
    report: Pages | None = None

    @classmethod
    def of(cls, values: Values) -> Experiment:
        """Return the experiment. What `values` leave out has the default of `medbench run`.

        Raises UsageError for values that contradict each other, and for files that cannot be read.
        """
        get = values.get
        shared = {name: values[name] for name in MODEL_OPTIONS if name in values}
        data = Path(values["data"]) if "data" in values else None
        made = cls(
            models=tuple(_model(each, shared) for each in get("models", [{"name": DEFAULT_MODEL}])),
            benchmarks=tuple(get("benchmarks", ())),
            suites=tuple(get("suites", ())),
            protocols=tuple(get("protocols", ())),
            columns=get("columns", {}),
            settings=_settings(values),
            metrics=tuple(get("metrics", ())),
            entity_model=get("entity_model", ""),
            latency_items=get("latency_items"),
            retrieve=get("retrieve", ""),
            passages=get("passages"),
            limits=cast(RequestLimits, {name: get(name) for name in LIMITS}),
            judges=_judges(get("judges", {})),
            data=data,
            data_revisions=tuple(f"{name}@{revision}" for name, revision in get("data_revisions", {}).items()),
            out=Path(values["out"]) if "out" in values else paths.runs(),
            report_to=tuple(get("report_to", ())),
            train=tuple(_training(each, data) for each in get("train", ())),
            compare=tuple(Pairing(tuple(one["models"]), tuple(one.get("metrics", ()))) for one in get("compare", ())),
            report=_pages(values["report"]) if "report" in values else None,
        )
        _check(made)
        return made


def _model(table: Mapping[str, Any], shared: Mapping[str, Any]) -> AskedModel:
    options = {**shared, **{name: value for name, value in table.items() if name != "name"}}
    engine_options = {**shared.get("engine_options", {}), **table.get("engine_options", {})}
    if engine_options:
        options["engine_options"] = engine_options
    if options.get("quantize") == "none":
        options["quantize"] = ""
    return AskedModel(table["name"], cast(ModelOptions, options))


def _settings(values: Values) -> Settings:
    fields = ("limit", "shots", "seed", "choice", "max_new_tokens", "temperature", "top_p", "samples")
    given = {name: values[name] for name in (*fields, "permute_options", "prompt_variants") if name in values}
    items = values.get("items", "")
    system = text_or_file("--system", values["system"]) if values.get("system") else ""
    return Settings(**given, items=_ids(Path(items)) if items else (), items_file=items, system=system)


def _ids(file: Path) -> tuple[str, ...]:
    from ..core.tables import BadLine, text_lines

    try:
        with file.open("rb") as lines:
            ids = tuple(dict.fromkeys(line.strip() for _, line in text_lines(lines) if line.strip()))
    except BadLine as error:
        told = f"--items {file}, line {error.number}: {error.problem}."
        raise UsageError(told, "The file must hold one item id per line, as UTF-8 text.") from error
    except OSError as error:
        told = f"--items {file} cannot be read: {error.strerror or error}."
        raise UsageError(told, "The file must hold one item id per line.") from error
    if not ids:
        raise UsageError(f"--items {file} has no ids.", "The file must hold one item id per line.")
    return ids


def _judges(table: Mapping[str, Any]) -> Asked:
    price = table.get("price", ())
    fields = {
        name: table[name] for name in ("mode", "per", "base_url", "max_calls", "max_cost", *LIMITS) if name in table
    }
    return Asked(
        names=tuple(table.get("names", ())),
        mode_given="mode" in table,
        price=",".join(map(str, price)),
        timeout_s=table.get("timeout"),
        **fields,
    )


def _training(table: Mapping[str, Any], data: Path | None) -> Training:
    options = {name: value for name, value in table.items() if name not in ("model", "tag")}
    return Training(table["model"], table.get("tag", "default"), cast(TrainOptions, {"data": data, **options}))


def _pages(table: Mapping[str, Any]) -> Pages:
    return Pages(Path(table["out"]) if "out" in table else paths.pages(), table.get("title", TITLE))


def _check(made: Experiment) -> None:
    """Raise UsageError for parts that do not fit together."""
    names = [model.name for model in made.models]
    trained = [training.name for training in made.train]
    for at, name in enumerate(trained):
        if name in trained[:at]:
            raise UsageError(f"two trainings are called {name}.", "Give one of them another tag.")
    for pairing in made.compare:
        if len(set(pairing.models)) < 2:
            raise UsageError(
                f"[[compare]] names {_listed(pairing.models)}: a comparison needs two models.", "Name another one."
            )
        for name in pairing.models:
            if name not in names:
                raise UsageError(
                    f"[[compare]]: {name} is not a model of this experiment.", f"Its models: {_listed(names)}"
                )


def _listed(names: Sequence[str]) -> str:
    return ", ".join(dict.fromkeys(names)) or "none"
