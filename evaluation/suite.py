"""Models × benchmarks: what runs in which order, what happens when one fails, scoring and judging along the way."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypedDict

from ..core.errors import DataMissing, MedbenchError, ModelMissing, UsageError
from ..core.suggest import did_you_mean
from .progress import Progress

if TYPE_CHECKING:
    from ..benchmarks.sources.files import Source
    from ..core.types import Benchmark, Engine, ItemSet, ModelSpec
    from ..results.store import StoredRun
    from .background import BackgroundScorer
    from .judging import Panel
    from .retrieval.retriever import Retriever
    from .settings import Settings

TIMED_ITEMS = 5  # single requests for latency, where they cost nothing
TIMED_SHARE = 0.1  # of the time that the answers took: timing by default stops there
NAMED = 9  # items that a sentence names
SAMPLES = ("pubmedqa-sample", "medqa-sample", "medquad-sample")  # the suite "quick"
OTHER_SAMPLES = ("healthbench-sample",)  # needs a judge
SUITES = ("quick", "all")
# Read off every run: they cost nothing but the few requests that latency is timed on.
MEASUREMENTS = (
    "throughput_tokens_per_s",
    "latency_p50_s",
    "latency_p95_s",
    "peak_rss_bytes",
    "peak_gpu_memory_bytes",
)


class ModelOptions(TypedDict, total=False):
    """How every model of an evaluation is loaded and asked. `medbench run --help` describes each under its name."""

    revision: str  # commit, branch or tag of a hub model
    adapter: str  # folder or hub id of a PEFT adapter
    dtype: str  # "auto", "float32", "bfloat16", "float16"
    quantize: str  # "", "nf4", "int8"
    device: str  # "auto", "cpu", "cuda", "cuda:1", …
    chat: str  # "auto", "always", "never": the model's chat template
    think: str  # "auto", "on", "off": whether a reasoning model reasons before its answer
    reasoning_effort: str  # "low", "medium", "high", …; "": the model's default
    engine: str  # "": the model's own
    base_url: str  # of the server that openai:NAME and groq:NAME ask
    engine_options: Mapping[str, Any]  # settings that only some engines take, by name: medbench list engines
    trust_remote_code: bool  # run Python code that comes with a model


class RequestLimits(TypedDict, total=False):
    """Bounds on the requests to a server that runs models. None: no bound, and 8 requests at once."""

    concurrency: int | None
    requests_per_minute: int | None
    tokens_per_minute: int | None


@dataclass(frozen=True, slots=True)
class AskedModel:
    """A model as the user names it, and how it is loaded and asked."""

    name: str
    options: ModelOptions = field(default_factory=lambda: ModelOptions())


@dataclass
class Outcome:
    """What an evaluation did: its runs, and what could not be done."""

    runs: list[StoredRun] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)  # what failed beside the runs: a tracker
    missing: bool = False  # whether weights or data could not be found
    shown: dict[str, str] = field(default_factory=dict)  # names of models in tables, by the names that were given


def evaluate_all(
    models: Sequence[AskedModel],
    chosen: Sequence[Benchmark],
    settings: Settings,
    outcome: Outcome,
    *,
    limits: RequestLimits,
    judges: Panel | None,
    data: Source,
    root: Path,
    command: Sequence[str],
    latency_items: int | None = None,
    retrieve: str = "",
    passages: int | None = None,
    report_to: Sequence[str] = (),
    progress: Progress,
) -> None:
    """Run every model on every benchmark, score and judge the answers, and add runs and problems to `outcome`.

    A model, benchmark or judge that fails is a problem of `outcome`, and the others continue. Raises UsageError for a
    request that is wrong as a whole, before anything is loaded. `latency_items` None: a few, if that is quick and free.
    `retrieve`: a corpus whose best `passages` are in every prompt; "": none. `report_to`: trackers that get the runs.
    """
    from ..core import registry
    from ..results import trackers
    from ..results.folders import begun
    from . import startup
    from .background import BackgroundScorer
    from .retrieval.retriever import opened

    trackers.check(report_to)
    with startup.counted("data"):
        retriever = opened(retrieve, passages, data, progress.note)
    specs = resolved(models, limits, settings.choice == "generate", outcome, progress)
    loaded: dict[str, ItemSet | None] = {}
    with BackgroundScorer() as scorer:
        for turn, (name, spec) in enumerate(specs):
            if any(not begun(root, spec.name, benchmark.name) for benchmark in chosen):
                startup.read_ahead(spec.location)  # while libraries are imported and items read
            try:
                with startup.counted("import"):
                    model: Engine = registry.get("engines", spec.engine)(spec)
                elsewhere = bounded(model, limits, progress)
            except UsageError:
                raise
            except MedbenchError as error:
                outcome.problems.append(f"{name}: {error}")
                continue
            except Exception as error:
                outcome.problems.append(_of_a_plugin(name, error))
                continue
            untimed = elsewhere or not model.measured
            if latency_items and not model.measured:
                raise UsageError(f"--latency-items {latency_items}: {name} has no model to time.", "Leave it out.")
            if retriever and not model.measured:
                raise UsageError(f"--retrieve {retrieve}: the answers of {name} were saved earlier.", "Leave it out.")
            timed = latency_items if latency_items is not None else 0 if untimed else TIMED_ITEMS
            share = TIMED_SHARE if latency_items is None else None
            asked = dataclasses.replace(settings, latency_items=timed, latency_share=share)
            at = (turn * len(chosen), len(specs) * len(chosen))
            _run_model(model, chosen, asked, data, loaded, retriever, root, command, outcome, scorer, progress, at)
            del model  # its weights make room for the next one's
        if judges:
            _judge(judges, outcome, progress)
    trackers.report(outcome.runs, report_to, outcome.warnings.append)


def resolved(
    models: Sequence[AskedModel], limits: RequestLimits, writes: bool, outcome: Outcome, progress: Progress
) -> list[tuple[str, ModelSpec]]:
    """Return each name with its weights on this disk; what cannot be found is a problem.

    `writes`: whether every model writes its answers. Raises UsageError for options that a model or its engine does not
    take.
    """
    from ..core import registry
    from ..zoo.resolve import resolve
    from .option_checks import check_options, check_servers, check_thinking

    specs: list[tuple[str, ModelSpec]] = []
    alike: list[tuple[ModelOptions, list[tuple[str, ModelSpec]]]] = []  # models by their options
    for model in models:
        name = model.name
        try:
            spec = resolve(name, **model.options, tell=progress.note)
            registry.get("engines", spec.engine)
        except UsageError:
            raise
        except MedbenchError as error:
            outcome.problems.append(str(error) if name in error.message else f"{name}: {error}")
            outcome.missing |= isinstance(error, ModelMissing)
            continue
        specs.append((name, spec))
        outcome.shown[name] = spec.name
        group = next((found for options, found in alike if options == model.options), None)
        if group is None:
            alike.append((model.options, group := []))
        group.append((name, spec))
    check_servers(specs, "", limits)
    for options, group in alike:
        check_servers(group, options.get("base_url", ""), {})
        check_options(group, options.get("engine_options", {}))
    check_thinking(specs, writes)
    return specs


def _judge(judges: Panel, outcome: Outcome, progress: Progress) -> None:
    """Let judges grade the answers of these runs, and add their metrics to the runs."""
    from ..results.store import StoredRun
    from .judging import judge_runs

    judge_runs(judges, outcome.runs, progress)
    outcome.runs = [StoredRun(run.path) for run in outcome.runs]
    outcome.problems += judges.problems


def bounded(model: Engine, limits: RequestLimits, progress: Progress) -> bool:
    """Keep requests to a server within `limits`. Return whether the server is remote, where requests may cost."""
    from ..core.budget import Limits

    if model.limits is None:
        return False
    model.limits = Limits(
        concurrency=limits.get("concurrency") or Limits.concurrency,
        requests_per_minute=limits.get("requests_per_minute"),
        tokens_per_minute=limits.get("tokens_per_minute"),
    )
    model.report_to(progress.note)
    return not model.local


def _run_model(
    model: Engine,
    chosen: Sequence[Benchmark],
    settings: Settings,
    data: Source,
    loaded: dict[str, ItemSet | None],
    retriever: Retriever | None,
    root: Path,
    command: Sequence[str],
    outcome: Outcome,
    scorer: BackgroundScorer,
    progress: Progress,
    at: tuple[int, int],  # runs of the evaluation before this model's, and in all
) -> None:
    """Run one model on all benchmarks. A failure is added to the problems, and the other benchmarks continue."""
    from ..core.asking import put
    from ..engines.server.engine import Refused
    from ..results.identity import safe
    from . import startup
    from .engine_facts import engine_facts
    from .plan import plan
    from .run import execute

    for number, benchmark in enumerate(chosen, at[0] + 1):
        progress.turn(number, at[1])
        try:
            if benchmark.name not in loaded:
                with startup.counted("data"):
                    known = any(root.glob(f"*__{safe(benchmark.name)}__*"))
                    loaded[benchmark.name] = load_items(benchmark, data, outcome, progress, notes=not known)
            item_set = loaded[benchmark.name]
            if item_set is None:
                continue
            item_set = put(benchmark, item_set)
            names = (*(settings.metrics or benchmark.metrics), *(MEASUREMENTS if model.measured else ()))
            asked = dataclasses.replace(settings, metrics=tuple(dict.fromkeys(names)))
            with startup.counted("data"):
                retrieval = retriever.on(benchmark, item_set) if retriever else None
                planned = plan(benchmark, item_set, engine_facts(model, benchmark, item_set, asked), asked, retrieval)
            for note in model.notes:
                progress.note(f"{model.spec.name}: {note}")
            for note in planned.notes:
                progress.note(f"{model.spec.name} on {benchmark.name}: {note}")
            run = execute(planned, model, root, progress, list(command), scorer)
            if model.refused_items:
                refused = f"{model.spec.name} on {benchmark.name}: {len(model.refused_items)} answers were refused"
                progress.note(
                    f"{refused} by the server or the model; they are unscored: medbench show {run.path.name} --unscored"
                )
        except MedbenchError as error:
            if isinstance(error, UsageError) and len(chosen) == 1 and not outcome.runs:
                raise
            if isinstance(error, Refused):  # as it would be on every benchmark
                outcome.problems.append(str(error))
                return
            outcome.problems.append(f"{model.spec.name} on {benchmark.name}: {error}")
            continue
        except Exception as error:
            outcome.problems.append(_of_a_plugin(f"{model.spec.name} on {benchmark.name}", error))
            continue
        if run.answered():  # without an answer there is nothing to score, judge or show
            outcome.runs.append(run)
        failures = run.manifest.sessions[-1].failures if run.manifest.sessions and not run.complete else {}
        if failures:
            (first, why), *others = failures.items()
            many = "1 item has" if len(failures) == 1 else f"{len(failures)} items have"
            also = ", ".join(item for item, _ in others[:NAMED]) + (", …" if len(others) > NAMED else "")
            outcome.problems.append(
                f"{model.spec.name} on {benchmark.name}: {many} no answer. Item '{first}': {why}\n"
                + (f"The others: {also}\n" if also else "")
                + model.retry_hint
            )


def load_items(
    benchmark: Benchmark, data: Source, outcome: Outcome, progress: Progress, *, notes: bool
) -> ItemSet | None:
    """Return the benchmark's items; None if its data is not available, which is then a problem named once.

    `notes`: whether to report the notes on its data. Runs keep them: `medbench show RUN`.
    """
    from ..core.checked import checked

    try:
        found = data.noted(checked(benchmark.load(data.of(benchmark.hub))))
    except DataMissing as error:
        outcome.problems.append(f"{benchmark.name} has no data: {error}")
        outcome.missing = True
        return None
    except MedbenchError as error:
        outcome.problems.append(f"{benchmark.name}: {error}")
        return None
    except Exception as error:
        outcome.problems.append(_of_a_plugin(benchmark.name, error))
        return None
    for note in found.notes if notes else ():
        progress.note(f"{benchmark.name}: {note}")
    return found


def _of_a_plugin(what: str, error: Exception) -> str:
    """The problem that a third party's code makes by raising this. An error of our own is raised again."""
    from ..core import registry

    if not registry.fault(error):
        raise error
    return f"{what}: a plugin failed: {registry.told(error)}"


def chosen_benchmarks(
    benchmarks: Sequence[str],
    suites: Sequence[str],
    outcome: Outcome,
    protocols: Sequence[str] = (),
    columns: Mapping[str, str] | None = None,
) -> list[Benchmark]:
    """Return the benchmarks that are named, each under each of the `protocols`, by default `direct`.

    columns: of tables of questions among them, by field (benchmarks/table.py).

    A benchmark without one of the protocols is a problem. Raises UsageError for a protocol that none of them has.
    """
    from ..core import asking
    from ..core.protocol import DIRECT

    found = _named_benchmarks(benchmarks, suites, outcome, columns or {})
    known = asking.names_of(found)
    chosen = []
    for protocol in dict.fromkeys(protocols or [DIRECT.name]):
        if protocol not in known and len(found) > 1:
            raise UsageError(
                f"none of these benchmarks has a protocol '{protocol}'.{did_you_mean(protocol, known, most=3)}",
                f"They have: {', '.join(known)}. Each with its prompt: medbench list protocols",
            )
        for benchmark in found:
            try:
                chosen.append(asking.under(benchmark, protocol))
            except UsageError as error:
                if len(found) == 1:
                    raise
                outcome.problems.append(str(error))
    return chosen


def _named_benchmarks(
    benchmarks: Sequence[str], suites: Sequence[str], outcome: Outcome, columns: Mapping[str, str]
) -> list[Benchmark]:
    """The benchmarks in the order given, each once; suites unfolded. A broken one that "all" brings is a problem."""
    from ..benchmarks.table import is_table, named_benchmark
    from ..core import registry

    named: dict[str, bool] = {}  # by name, whether the user said it
    for name in suites or ([] if benchmarks else ["quick"]):
        if name == "quick":
            named |= dict.fromkeys(SAMPLES, True)
        elif name == "all":
            # A third party's benchmarks belong to "all"; the samples do not.
            named |= {n: n in named for n in registry.names("benchmarks") if n not in (*SAMPLES, *OTHER_SAMPLES)}
        elif name not in registry.names("benchmarks") and (meant := did_you_mean(name, SUITES, most=1)):
            raise UsageError(f"no suite is called '{name}'.{meant}", f"Suites: {', '.join(SUITES)}.")
        else:
            named[name] = True
    for name in benchmarks:
        if name in SUITES and name not in registry.names("benchmarks"):
            raise UsageError(f"'{name}' is a suite, not a benchmark.", f"Run it with: --suite {name}")
        named[name] = True
    if columns and not any(map(is_table, named)):
        given = ",".join(f"{name}={column}" for name, column in columns.items())
        raise UsageError(
            f"--columns {given}: none of the benchmarks is a table.", "Name one: --benchmark questions.csv"
        )
    found: dict[str, Benchmark] = {}
    for name, said in named.items():
        try:
            benchmark = named_benchmark(name, columns)
        except MedbenchError as error:
            if said:
                raise
            outcome.problems.append(str(error))
            continue
        if benchmark.name in found:
            raise UsageError(f"two of these benchmarks are called '{benchmark.name}'; {name} is the second.")
        found[benchmark.name] = benchmark
    return list(found.values())
