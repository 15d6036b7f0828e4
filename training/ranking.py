"""Rank the variants of a sweep, and the untrained model, by a benchmark's metric on its development split.

Every two models are tested in pairs on the items that both answered, with Holm's correction over all pairs. The order
is that of the means; which differences are real is what the tests say.
"""

from __future__ import annotations

import dataclasses
import gc
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import NormalDist
from typing import TYPE_CHECKING, Any, Literal, NamedTuple, cast

from ..core.errors import MedbenchError
from ..core.stats import clusters_of, few_documents
from ..core.types import Metric
from ..results.pairing import ALPHA
from ..results.scoring import Load, aggregate, bound, load_metric
from . import development
from .development import SPLIT, Development
from .request import revision_of
from .sweep import Variant

if TYPE_CHECKING:
    from ..evaluation.progress import Progress
    from ..results.comparison import ComparedFigure
    from ..results.store import StoredRun

UNTRAINED = "the untrained model"


@dataclass(frozen=True)
class Contender:
    """A model to rank. `label`: what the variant set, or UNTRAINED."""

    model: str  # as --model takes it
    label: str


@dataclass(frozen=True)
class Place:
    """One line of the ranking: the mean over the items that every model has a score for, with its 95% interval."""

    place: int  # counted from 1
    model: str
    label: str
    value: float
    low: float | None
    high: float | None
    run_id: str


@dataclass(frozen=True)
class Pair:
    """Two models on the `n` items that both have scores for; `a` has the better place.

    `difference` is A - B with its 95% interval. `p_holm` is adjusted over all pairs, and `better` is the side that is
    better at 5%, "" if the two cannot be told apart.
    """

    a: str  # labels
    b: str
    difference: float
    low: float | None
    high: float | None
    n: int
    test: str
    p: float
    p_holm: float
    better: Literal["a", "b", ""]
    sentence: str


@dataclass(frozen=True)
class Ranking:
    """What a sweep found. `best` is the variant with the best mean, and `verdict` says how sure that is.

    `detectable` is the difference that these items show four times in five (of the models with the widest interval).
    """

    benchmark: str
    metric: str
    better: Literal["higher", "lower"]
    column: str  # the name of the column, with the split
    items: int  # that every ranked model has a score for
    asked: int
    pool: int  # items of the split
    leaked: tuple[str, ...]  # items of the split that are in the training texts: not asked
    places: tuple[Place, ...]
    pairs: tuple[Pair, ...]
    tests: int  # that were corrected for; pairs with equal differences on every item count once
    best: str
    clear: bool  # the best variant is better than every other model
    better_than_untrained: bool
    tied: tuple[str, ...]  # labels of the models that cannot be told apart from the best variant
    detectable: float | None  # None if the intervals are unknown
    verdict: tuple[str, ...]
    folder: str  # of the runs
    problems: tuple[str, ...] = ()  # models that could not be ranked, and everything that failed

    def as_dict(self) -> dict[str, Any]:
        return dataclasses.asdict(self)


def evaluate(found: Development, trained: Sequence[Variant], root: Path, progress: Progress) -> Ranking | None:
    """Let the untrained model and the trained variants answer, one after another, and rank them.

    Answers are stored in `root` as they come, and the same call continues from there. None if no variant is trained.
    Raises as `rank`.
    """
    from ..evaluation.settings import Settings
    from ..evaluation.suite import AskedModel, ModelOptions, Outcome, evaluate_all

    ready = [variant for variant in trained if variant.manifest]
    if not ready:
        return None
    request = ready[0].request
    contenders = [Contender(request.model, UNTRAINED), *(Contender(each.model, each.label) for each in ready)]
    labels = {each.request.name: each.label for each in ready}
    options: ModelOptions = {"device": request.device, "trust_remote_code": request.trust_remote_code}
    # The adapters know the commit of their base; the untrained model is that commit, too.
    turns: list[tuple[list[str], ModelOptions]] = [
        ([request.model], {**options, "revision": revision_of(request)}),
        ([each.model for each in ready], options),
    ]
    settings = Settings(limit=len(found.items), seed=development.DRAW, metrics=(found.metric,))
    gc.collect()  # trainers refer to themselves, and hold models
    runs: dict[str, StoredRun] = {}
    problems: list[str] = []
    for models, model_options in turns:
        outcome = Outcome()
        evaluate_all(
            [AskedModel(name, model_options) for name in models],
            [found.benchmark],
            settings,
            outcome,
            limits={},
            judges=None,
            data=request.source,
            root=root,
            command=list(request.command),
            latency_items=0,
            progress=progress,
        )
        problems += outcome.problems
        runs |= {labels.get(run.manifest.model.name, UNTRAINED): run for run in outcome.runs}
    return rank(found, contenders, runs, root, problems)


def rank(
    found: Development,
    contenders: Sequence[Contender],
    runs: Mapping[str, StoredRun],
    root: Path,
    problems: Sequence[str] = (),
    load: Load = load_metric,
) -> Ranking:
    """Rank stored runs, by the label of their models. A run without an answer to every item is not ranked.

    `load` finds the metric by its name.

    Raises MedbenchError if fewer than two runs can be ranked, or if no item has a score in all of them.
    """
    from ..results.compare import compare
    from ..results.descriptions import title

    metric = cast(Metric, load(found.metric))  # checked before anything was trained
    unranked = [
        f"{each.label} ({each.model}) is not ranked: it has no answer to some of the items."
        for each in contenders
        if each.label not in runs or not runs[each.label].complete
    ]
    ranked = {each.label: runs[each.label] for each in contenders if each.label in runs and runs[each.label].complete}
    if len(ranked) < 2:
        raise MedbenchError("\n".join(["fewer than two models can be ranked.", *unranked, *problems]))
    means, items = _means(ranked, metric)
    sign = 1 if metric.better == "higher" else -1
    order = sorted(ranked, key=lambda label: -sign * means[label].value)
    models = {each.label: each.model for each in contenders}
    places = tuple(
        Place(number, models[label], label, *means[label], ranked[label].manifest.run_id)
        for number, label in enumerate(order, start=1)
    )
    compared = compare(*(ranked[label] for label in order), metrics=(found.metric,), load=load, preferences=())
    labels = {ranked[label].manifest.run_id: label for label in order}
    pairs = tuple(
        _pair(labels[match.run_a], labels[match.run_b], line, compared.tests)
        for match in compared.matches
        for line in match.lines
        if line.test and not line.clean
    )
    best = next(label for label in order if label != UNTRAINED)
    of_best = {(pair.b if pair.a == best else pair.a): pair for pair in pairs if best in (pair.a, pair.b)}
    beaten = {label for label, pair in of_best.items() if pair.better and (pair.better == "a") == (pair.a == best)}
    tied = tuple(label for label in order if label in of_best and not of_best[label].better)
    sizes = [size for pair in pairs if (size := _detectable(pair, len(pairs))) is not None]
    size = max(sizes, default=None)
    few = few_documents(clusters_of(ranked[best].records()))
    return Ranking(
        benchmark=found.benchmark.name,
        metric=found.metric,
        better=metric.better,
        column=title(ranked[best].manifest),
        items=items,
        asked=len(found.items),
        pool=found.pool,
        leaked=found.leaked.all,
        places=places,
        pairs=pairs,
        tests=compared.tests,
        best=models[best],
        clear=len(beaten) == len(ranked) - 1,
        better_than_untrained=UNTRAINED in beaten,
        tied=tied,
        detectable=size,
        verdict=(*_verdict(found, best, models[best], of_best, beaten, tied, size, len(pairs)), *filter(None, [few])),
        folder=str(root),
        problems=(*unranked, *problems, *map(str, compared.problems)),
    )


class _Mean(NamedTuple):
    value: float
    low: float | None
    high: float | None


def _means(runs: Mapping[str, StoredRun], metric: Metric) -> tuple[dict[str, _Mean], int]:
    """The mean of each run over the items that have a score in all of them, and the number of items."""
    made = {}
    common: set[str] | None = None
    for label, run in runs.items():
        records = run.records()
        mine, scores = bound(run, metric, records)
        made[label] = mine, records, scores
        scored = {score.item_id for score in scores} - {score.item_id for score in scores if score.value is None}
        common = scored if common is None else common & scored
    means = {}
    for label, (mine, records, scores) in made.items():
        kept = [(r, s) for r, s in zip(records, scores, strict=True) if r.item.id in (common or ())]
        figure = aggregate(mine, [r for r, _ in kept], [s for _, s in kept])[0] if kept else None
        if figure is None or figure.value is None:
            raise MedbenchError(f"{metric.name} has no score for any item that all {len(runs)} models answered.")
        means[label] = _Mean(figure.value, figure.low, figure.high)
    return means, len(common or ())


def _pair(a: str, b: str, line: ComparedFigure, tests: int) -> Pair:
    assert line.difference is not None and line.p is not None and line.p_holm is not None  # it was tested
    facts = [f"difference {line.difference:.3f}"]
    if line.low is not None and line.high is not None:
        facts.append(f"95% interval {line.low:.3f} to {line.high:.3f}")
    alone = ""
    if line.p < ALPHA and not line.favours:
        alone = f" after correction for {tests} tests ({_p(line.p).removeprefix('= ')} alone)"
    facts += [f"p {_p(line.p_holm)}{alone}", f"n = {line.n}"]
    told = {"a": f"{a} is better than {b}", "b": f"{b} is better than {a}", "": f"{a} and {b} cannot be told apart"}
    return Pair(
        a,
        b,
        line.difference,
        line.low,
        line.high,
        line.n,
        line.test,
        line.p,
        line.p_holm,
        line.favours,
        f"{told[line.favours]}: {', '.join(facts)}",
    )


def _p(p: float) -> str:
    return "< 0.001" if p < 0.001 else f"= {p:.2g}"


def _detectable(pair: Pair, tests: int) -> float | None:
    """The difference between two models that is found with probability POWER on the items of this pair.

    An interval of ±1.96 standard errors gives the standard error.
    """
    if pair.low is None or pair.high is None or pair.high <= pair.low:
        return None
    error = (pair.high - pair.low) / (2 * NormalDist().inv_cdf(1 - ALPHA / 2))
    return development.detectable(1, tests) * error


def _verdict(
    found: Development,
    best: str,
    model: str,
    pairs: Mapping[str, Pair],
    beaten: set[str],
    tied: Sequence[str],
    size: float | None,
    tests: int,
) -> list[str]:
    """Which model to use next, and how sure that is."""
    name = f"{model} ({best})"
    others = [label for label in tied if label != UNTRAINED]
    untrained = pairs.get(UNTRAINED)
    said = []
    if untrained is None:
        said.append(f"{name} has the best mean, but the untrained model could not be ranked.")
    elif UNTRAINED in beaten:
        more = " and than every other variant" if len(pairs) > 1 and len(beaten) == len(pairs) else ""
        said.append(f"Use {name}: it is better than the untrained model{more}.")
    elif untrained.better:
        said.append("Use the untrained model: it is better than the best variant.")
    elif untrained.a == UNTRAINED:
        said.append(
            f"No winner: the untrained model has the best mean, and {name}, the best variant, cannot be told "
            "apart from it."
        )
        said += _more_items(found, untrained, tests)
    else:
        said.append(f"No winner: {name} is the best variant, but it cannot be told apart from the untrained model.")
        said += _more_items(found, untrained, tests)
    if others:
        many = "another variant" if len(others) == 1 else f"{len(others)} other variants"
        said.append(f"{best} cannot be told apart from {many}: {'; '.join(others)}. Any of them may be the best one.")
    if size is not None:
        said.append(f"Four times in five, these {len(found.items)} items would show a difference of {size:.3f}.")
    said.append(
        "The choice was made on these items, so the mean of the best variant is optimistic: report its score on the "
        "scored items."
    )
    return said


def _more_items(found: Development, pair: Pair, tests: int) -> list[str]:
    """How many items it would take to tell the two apart, if they differ as much as they seem to."""
    size = _detectable(pair, tests)
    if not size or not pair.difference:
        return []
    needed = math.ceil(len(found.items) * (size / abs(pair.difference)) ** 2)
    rounded = round(needed, 1 - len(str(needed))) if needed > 10 else needed
    told = f"To show a difference of {abs(pair.difference):.3f} takes about {rounded:,} items"
    clean = found.pool - len(found.leaked.all)
    if rounded > clean:
        return [f"{told}, and the {SPLIT} has {clean:,}."]
    return [f"{told}: --rank-items {rounded}"]
