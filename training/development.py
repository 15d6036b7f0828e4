"""The items that rank the variants of a sweep: a benchmark's development split, without what the training texts hold.

The split is `ItemSet.shots`, the pool of few-shot examples, which is never scored. A benchmark without it is rejected:
holding items out of its scored ones would choose a variant by the items that its score is later reported on.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from statistics import NormalDist
from typing import TYPE_CHECKING

from ..benchmarks import leaks
from ..core import registry
from ..core.checked import checked
from ..core.errors import MedbenchError, UsageError
from ..core.stats import clusters_of
from ..core.types import Benchmark, Item, ItemSet, Metric, Output, Record
from ..results.metric_names import giver, metric_names
from ..results.pairing import ALPHA
from .example import Example
from .request import Tell

if TYPE_CHECKING:
    from ..benchmarks.sources.files import Source

SPLIT = "development split"  # part of the name of every column of these runs
DRAW = 0  # seed: the same items in every sweep, so that their rankings can be compared
POWER = 0.8  # probability with which a difference of the size `detectable` is found
TRIED = 20  # items whose right answers show whether a metric fits a benchmark


@dataclass(frozen=True)
class Development:
    """What every model of a ranking answers, and how well that can tell models apart.

    `benchmark` loads the development split without the `leaked` items; `items` are those that are asked.
    """

    benchmark: Benchmark
    metric: str
    items: tuple[Item, ...]
    pool: int  # items of the split
    leaked: leaks.Leaks
    models: int

    @property
    def tests(self) -> int:
        return tests_of(self.models)

    @property
    def units(self) -> int:
        return units_of(self.items)


def chosen(by: str, tell: Tell) -> tuple[Benchmark, str]:
    """Return the benchmark and the metric of "BENCHMARK:METRIC". Raises UsageError for what cannot rank."""
    name, _, metric = by.partition(":")
    benchmark: Benchmark | None = registry.get("benchmarks", name) if name else None
    if benchmark is None or not metric:
        raise UsageError(
            f"--rank-by {by}: a benchmark and a metric are needed, as BENCHMARK:METRIC.",
            _metrics_of(benchmark) if benchmark else "For example: --rank-by medquad:rouge1",
        )
    hint = _metrics_of(benchmark)
    if metric == "all" or "," in metric:
        raise UsageError(f"--rank-by {by}: only one metric can rank.", hint)
    try:
        (metric,) = metric_names([metric], "", tell)
    except UsageError as error:
        if owner := giver(metric):
            raise UsageError(
                f"--rank-by {by}: {metric} is computed over all items together, so it has no value per item to test.",
                f"It comes with {owner}: --rank-by {name}:{owner}",
            ) from None
        raise UsageError(f"--rank-by {by}: {error.message}", hint) from error
    found = registry.get("metrics", metric)
    if not isinstance(found, Metric):
        raise UsageError(f"--rank-by {by}: {metric} is measured once per run, so it has no value per item.", hint)
    if not found.mean:
        raise UsageError(f"--rank-by {by}: {metric} is not a mean over items, so pairs cannot be tested.", hint)
    return benchmark, metric


def prepare(
    by: str, models: int, source: Source, texts: Iterable[Sequence[Example]], items: int, tell: Tell
) -> Development:
    """Return what `models` models answer: at most `items` items that none of the training `texts` holds.

    Raises UsageError if the benchmark has no development split, if the metric does not fit it, or if so few items are
    left that no difference could ever be significant; DataMissing if its data is not available.
    """
    from ..evaluation.plan import selected
    from ..evaluation.settings import Settings

    benchmark, metric = chosen(by, tell)
    loaded = checked(benchmark.load(source.of(benchmark.hub)))
    pool = _distinct(loaded)
    if not pool:
        raise UsageError(
            f"--rank-by {by}: {benchmark.name} has no development split: all of its items are scored, and models must "
            "not be chosen on the items that they are reported on.",
            _others(source, fewest(tests_of(models))),
        )
    _check_fit(benchmark, metric, pool, by)
    leaked = _leaked(benchmark.name, pool, texts)
    clean = tuple(item for item in pool if item.id not in set(leaked.all))
    gone = f"{len(leaked.all):,} of {len(pool):,} items are in the training texts and left out."
    split = ItemSet(
        items=clean,
        origin=loaded.origin,
        variant=", ".join(filter(None, [SPLIT, loaded.variant])),
        notes=(gone,) if leaked.all else (),
    )
    asked = selected(benchmark, split, Settings(limit=items, seed=DRAW)) if clean else ()
    found = Development(
        benchmark=dataclasses.replace(benchmark, load=lambda _: split),
        metric=metric,
        items=asked,
        pool=len(pool),
        leaked=leaked,
        models=models,
    )
    _check_size(found, by, len(clean), source)
    return found


def tests_of(models: int) -> int:
    """Return the number of pairs of models."""
    return models * (models - 1) // 2


def fewest(tests: int) -> int:
    """Return the fewest items on which a difference can be significant after Holm's correction over `tests` tests.

    If all n items agree, McNemar's test and the permutation test both have p = 2 / 2ⁿ, and the smallest p-value is
    multiplied by the number of tests.
    """
    return math.floor(math.log2(2 * tests / ALPHA)) + 1


def detectable(units: int, tests: int) -> float:
    """Return the difference that is found with probability POWER, in standard deviations of the paired differences.

    This is the usual normal approximation, with the significance level that Holm applies to the smallest p-value.
    """
    normal = NormalDist()
    return (normal.inv_cdf(1 - ALPHA / (2 * tests)) + normal.inv_cdf(POWER)) / math.sqrt(units)


def units_of(items: Sequence[Item]) -> int:
    """Return how many independent units the items are: documents if items share them, else items."""
    clusters = clusters_of([Record(item, Output(item.id)) for item in items])
    return len(items) if clusters is None else len(set(clusters))


def sentences(found: Development) -> list[str]:
    """Return what is asked, what was left out, and what the size of the split can show."""
    name, metric = found.benchmark.name, registry.get("metrics", found.metric)
    lines = [
        f"ranking by {name}:{found.metric}: the untrained model and {found.models - 1} variants answer "
        f"{len(found.items):,} of the {found.pool:,} items of {name}'s {SPLIT}, which is never scored"
    ]
    kinds = (
        ("the same question", found.leaked.exact),
        ("13 consecutive words", found.leaked.ngram),
        ("nearly the same", found.leaked.near),
    )
    if found.leaked.all:
        how = ", ".join(f"{len(ids):,} {kind}" for kind, ids in kinds if ids)
        lines.append(f"ranking: {len(found.leaked.all):,} of its items are in the training texts and left out ({how})")
    of = "items" if found.units == len(found.items) else "documents"
    shown = f"about {detectable(found.units, found.tests):.2f} standard deviations of the differences between answers"
    if metric.binary:
        least = fewest(found.tests)
        shown += f"; at the very least, {least} {of} must favor one model and none the other"
    lines.append(
        f"ranking: {found.units:,} {of} and {_count(found.tests)} find, four times in five, a difference of {shown}"
    )
    return lines


def _metrics_of(benchmark: Benchmark) -> str:
    """A hint that names the benchmark's own metrics that can rank."""
    found = [(name, registry.get("metrics", name)) for name in benchmark.metrics]
    return f"Metrics of {benchmark.name}: {', '.join(n for n, m in found if isinstance(m, Metric) and m.mean)}"


def _count(tests: int) -> str:
    return "1 test" if tests == 1 else f"{tests} tests"


def _distinct(loaded: ItemSet) -> tuple[Item, ...]:
    """The development items, each id once, without any that is scored as well."""
    scored = {item.id for item in loaded.items}
    return tuple({item.id: item for item in loaded.shots if item.id not in scored}.values())


def _leaked(name: str, pool: Sequence[Item], texts: Iterable[Sequence[Example]]) -> leaks.Leaks:
    """The items that any of the training texts holds."""
    found = [leaks.find(examples, {name: pool})[name] for examples in texts]
    kinds = {
        field.name: tuple(dict.fromkeys(item for each in found for item in getattr(each, field.name)))
        for field in dataclasses.fields(leaks.Leaks)
    }
    return leaks.Leaks(**kinds)


def _check_fit(benchmark: Benchmark, metric: str, pool: Sequence[Item], by: str) -> None:
    """Raise UsageError if the metric cannot score even the right answers of the benchmark."""
    if metric in benchmark.metrics:
        return
    right = [_right(benchmark, item) for item in pool[:TRIED] if item.options or item.references]
    scores = registry.get("metrics", metric).score(right)
    if right and all(score.value is None for score in scores):
        why = next((f": {score.reason}" for score in scores if score.reason), "")
        raise UsageError(
            f"--rank-by {by}: {metric} scores no answer of {benchmark.name}{why}.",
            _metrics_of(benchmark),
        )


def _right(benchmark: Benchmark, item: Item) -> Record:
    if item.options:
        return Record(item, Output(item.id, logprobs=tuple(-float(at != item.gold) for at in range(len(item.options)))))
    return Record(item, Output(item.id, text=benchmark.answer(item), finish="stop"))


def _check_size(found: Development, by: str, clean: int, source: Source) -> None:
    """Raise UsageError if no difference on these items could ever be significant."""
    least = fewest(found.tests)
    if found.units >= least:
        return
    of = "" if found.units == len(found.items) else f", from {found.units} documents,"
    more = clean > len(found.items) and clean >= least
    leaked = len(found.leaked.all)
    gone = f" ({leaked:,} of {found.pool:,} are in the training texts)" if leaked and not more else ""
    raise UsageError(
        f"--rank-by {by}: {len(found.items)} items{of} are too few{gone}. With {found.models} models, and so "
        f"{_count(found.tests)}, fewer than {least} cannot show a difference, even if all items agree on it.",
        f"Ask more: --rank-items {min(clean, 10 * least)}" if more else _others(source, least),
    )


def _others(source: Source, least: int) -> str:
    """A hint that names the benchmarks whose data is here and whose development split is large enough."""
    from ..benchmarks.sources.files import Source

    here, found = Source(source.data, None, source.revisions, cached=True), []
    for name in registry.names("benchmarks"):
        try:
            benchmark: Benchmark = registry.get("benchmarks", name)
            pool = _distinct(checked(benchmark.load(here.of(benchmark.hub))))
        except MedbenchError:
            continue
        except Exception as error:
            if not registry.fault(error):
                raise
            continue  # a third party's benchmark
        if units_of(pool) >= least:
            found.append(f"{name} ({len(pool):,} items)")
    if not found:
        return f"No benchmark whose data is here has {least} development items. Name a folder of releases: --data DIR"
    return f"Benchmarks here with a large enough {SPLIT}: {', '.join(found)}"
