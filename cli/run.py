"""`medbench run`: models on benchmarks, stored as they go, then the leaderboard."""

from __future__ import annotations

import dataclasses
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import click

from ..core import paths
from ..core.errors import DataMissing, MedbenchError, ModelMissing, UsageError
from . import output
from .judge_options import Asked, Panel, judge_options, judge_runs, panel
from .progress import QuietWatch, tell, watch

if TYPE_CHECKING:
    from ..benchmarks.sources import Source
    from ..core.plan import Choice, Settings
    from ..core.types import Benchmark, Engine, ItemSet, ModelSpec
    from ..results.aside import Aside

TIMED_ITEMS = 5  # single requests for latency, where they cost nothing
TIMED_SHARE = 0.1  # of the time that the answers took: timing by default stops there
DEFAULT_MODEL = "smollm2-135m"
NAMED = 9  # items that a sentence names
SAMPLES = ("pubmedqa-sample", "medqa-sample", "medquad-sample")
# Read off every run: they cost nothing but the few requests that latency is timed on.
MEASUREMENTS = (
    "throughput_tokens_per_s",
    "latency_p50_s",
    "latency_p95_s",
    "peak_rss_bytes",
    "peak_gpu_memory_bytes",
)


@dataclass
class Session:
    """What one command has done so far: the runs to show, and what could not be done."""

    runs: list[Any] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)
    missing: bool = False  # weights or data were not to be had


@click.command(
    epilog="""\b
Examples:
  medbench run                                              the embedded model on the samples
  medbench run --model biogpt-large --suite all
  medbench run -m smollm2-135m -b pubmedqa,medqa --limit 50 --data releases/
  medbench run -m my/hub-model -b medqa --shots 5 --chat always
  medbench run -m models/mine.gguf -b my_benchmark.py --json
  medbench run -m openai:llama3.2 --base-url http://localhost:11434/v1
  medbench run -m gguf:models/mine.Q4_K_M.gguf -b medqa
  medbench run -m replay:answers.jsonl -b medquad --map id=question_id,text=response
  medbench run -m smollm2-135m -b medquad --limit 50 --judge groq --max-judge-cost 0.50
"""
)
@click.option(
    "--model",
    "-m",
    "models",
    multiple=True,
    metavar="NAMES",
    help="Zoo entries, hub ids, folders or GGUF files, each also @TAG as trained, or openai:NAME and groq:NAME at a "
    "server, gguf:FILE by llama.cpp, vllm:NAME, or replay:FILE of saved answers, by comma.  [default: smollm2-135m]",
)
@click.option(
    "--benchmark", "-b", "benchmarks", multiple=True, metavar="NAMES", help="Benchmarks or .py files, by comma."
)
@click.option(
    "--suite",
    "-s",
    "suites",
    multiple=True,
    metavar="NAMES",
    help="quick (the samples), all, or benchmark names.  [default: quick]",
)
@click.option(
    "--limit", type=click.IntRange(min=1), metavar="N", help="N items of each benchmark, the same for every model."
)
@click.option("--items", type=click.Path(path_type=Path), metavar="FILE", help="Only the item ids in FILE, one a line.")
@click.option(
    "--shots",
    type=click.IntRange(min=0),
    default=0,
    show_default=True,
    metavar="K",
    help="Examples before each question.",
)
@click.option("--seed", type=int, default=0, show_default=True, help="Draws the --limit items and the examples.")
@click.option(
    "--choice",
    type=click.Choice(["auto", "logprob", "generate"]),
    default="auto",
    show_default=True,
    help="How multiple choice is asked: auto is by log-probability where the engine gives them.",
)
@click.option(
    "--chat",
    type=click.Choice(["auto", "always", "never"]),
    default="auto",
    show_default=True,
    help="The model's chat template: auto uses it to generate, not to choose.",
)
@click.option(
    "--max-new-tokens", type=click.IntRange(min=1), metavar="N", help="Longest answer.  [default: the benchmark's]"
)
@click.option(
    "--metrics",
    "-M",
    multiple=True,
    metavar="NAMES",
    help="In the place of the benchmark's own: names, all, .py files, evaluate:NAME.",
)
@click.option(
    "--entity-model",
    default="",
    metavar="NAME",
    help="spaCy pipeline of the entity metrics: a package or a folder.  [default: the embedded one]",
)
@click.option(
    "--latency-items",
    type=click.IntRange(min=0),
    metavar="N",
    help="Single requests to time; 0: none.  [default: up to 5, within 10 % of the run's time; 0 for a remote server]",
)
@click.option("--adapter", default="", metavar="DIR|ID", help="PEFT adapter to put on the model: folder or hub id.")
@click.option("--quantize", type=click.Choice(["nf4", "int8"]), help="Load the weights quantized (bitsandbytes).")
@click.option(
    "--dtype", type=click.Choice(["auto", "float32", "bfloat16", "float16"]), default="auto", show_default=True
)
@click.option("--device", default="auto", show_default=True, help="cpu, cuda, cuda:1, …")
@click.option("--revision", default="", help="Commit, branch or tag of a hub model.")
@click.option(
    "--trust-remote-code",
    is_flag=True,
    help="Run Python code that comes with a model, where transformers has no class for it. Read that code first.",
)
@click.option("--engine", default="", metavar="NAME", help="How the model runs.  [default: the model's]")
@click.option(
    "--base-url",
    default="",
    metavar="URL",
    help="Server of openai:NAME, groq:NAME.  [default: OPENAI_BASE_URL, or their own]",
)
@click.option(
    "--tensor-parallel",
    type=click.IntRange(min=1),
    metavar="N",
    help="GPUs that share a model of vllm:NAME.  [default: 1]",
)
@click.option(
    "--map",
    "columns",
    default="",
    metavar="FIELD=COLUMN,…",
    help="Columns of replay:FILE: id, text, prediction, logprobs, finish, reasoning.",
)
@click.option(
    "--concurrency", type=click.IntRange(min=1), metavar="N", help="Requests at once to a server.  [default: 8]"
)
@click.option("--requests-per-minute", type=click.IntRange(min=1), metavar="N", help="At most, to a server.")
@click.option("--tokens-per-minute", type=click.IntRange(min=1), metavar="N", help="At most, to a server.")
@judge_options()
@click.option(
    "--data",
    type=click.Path(exists=True, file_okay=False, path_type=Path),
    metavar="DIR",
    help="Folder of official releases.  [default: MEDBENCH_DATA]",
)
@click.option("--out", type=click.Path(path_type=Path), metavar="DIR", help="Where runs are kept.  [default: runs/]")
@click.option("--quiet", "-q", is_flag=True, help="No progress, no table: errors only.")
@click.option("--json", "as_json", is_flag=True, help="The leaderboard as JSON on stdout.")
def command(
    models: tuple[str, ...],
    benchmarks: tuple[str, ...],
    suites: tuple[str, ...],
    limit: int | None,
    items: Path | None,
    shots: int,
    seed: int,
    choice: str,
    chat: str,
    max_new_tokens: int | None,
    metrics: tuple[str, ...],
    entity_model: str,
    latency_items: int | None,
    adapter: str,
    quantize: str | None,
    dtype: str,
    device: str,
    revision: str,
    trust_remote_code: bool,
    engine: str,
    base_url: str,
    tensor_parallel: int | None,
    columns: str,
    concurrency: int | None,
    requests_per_minute: int | None,
    tokens_per_minute: int | None,
    judging: Asked,
    data: Path | None,
    out: Path | None,
    quiet: bool,
    as_json: bool,
) -> None:
    """Run models on benchmarks and show the leaderboard.

    Every answer is stored as it comes. The same command again goes on where it stopped, and does nothing when all is
    done.
    """
    from ..benchmarks.sources import Source
    from ..core import registry, startup
    from ..core.plan import Settings
    from ..results.aside import Aside
    from ..results.store import begun
    from ..zoo.resolve import resolve

    # Everything that can be wrong with the request is found before anything is loaded.
    session = Session()
    chosen = _benchmarks(benchmarks, suites, session)
    wanted = output.metric_names(metrics, entity_model)
    if not wanted:
        output.metric_names(tuple(name for benchmark in chosen for name in benchmark.metrics))
    say = (lambda text: None) if quiet else tell
    judges = panel(judging, say)
    settings = Settings(
        limit=limit,
        items=_ids(items),
        items_file=str(items or ""),
        shots=shots,
        seed=seed,
        choice=cast("Choice", choice),
        max_new_tokens=max_new_tokens,
        metrics=tuple(wanted),
    )
    bounds = {
        "concurrency": concurrency,
        "requests_per_minute": requests_per_minute,
        "tokens_per_minute": tokens_per_minute,
    }
    data_source = Source(data or paths.data())
    loaded: dict[str, ItemSet | None] = {}
    root = out or paths.runs()
    specs: list[tuple[str, ModelSpec]] = []
    for name in output.names(models) or [DEFAULT_MODEL]:
        try:
            spec = resolve(
                name,
                revision=revision,
                adapter=adapter,
                dtype=dtype,
                quantize=quantize or "",
                device=device,
                chat=chat,
                engine=engine,
                base_url=base_url,
                columns=columns,
                tensor_parallel=tensor_parallel or 0,
                trust_remote_code=trust_remote_code,
                tell=say,
            )
            registry.get("engines", spec.engine)
            specs.append((name, spec))
        except UsageError:
            raise
        except MedbenchError as error:
            session.problems.append(str(error) if name in error.message else f"{name}: {error}")
            session.missing |= isinstance(error, ModelMissing)
    _at_servers(specs, {"base_url": base_url, **bounds})
    _of_engine(specs, "replay", f"--map {columns}" if columns else "", "saved answers: --model replay:FILE")
    parallel = f"--tensor-parallel {tensor_parallel}" if tensor_parallel else ""
    _of_engine(specs, "vllm", parallel, "a model run by vLLM: --model vllm:NAME")
    with Aside() as aside:
        shown = watch(quiet)
        for turn, (name, spec) in enumerate(specs):
            if any(not begun(root, spec.name, benchmark.name) for benchmark in chosen):
                startup.read_ahead(spec.location)  # while libraries are imported and items read
            try:
                with startup.counted("import"):
                    model: Engine = registry.get("engines", spec.engine)(spec)
                elsewhere = _bounded(model, bounds, say)
            except UsageError:
                raise
            except MedbenchError as error:
                session.problems.append(f"{name}: {error}")
                continue
            except Exception as error:
                session.problems.append(_of_a_plugin(name, error))
                continue
            untimed = elsewhere or not _measured(model)
            if latency_items and not _measured(model):
                raise UsageError(f"--latency-items {latency_items}: {name} has no model to time.", "Leave it out.")
            timed = latency_items if latency_items is not None else 0 if untimed else TIMED_ITEMS
            share = TIMED_SHARE if latency_items is None else None
            settings = dataclasses.replace(settings, latency_items=timed, latency_share=share)
            at = (turn * len(chosen), len(specs) * len(chosen))
            _run_model(model, chosen, settings, data_source, loaded, root, quiet, session, aside, shown, at)
            del model  # its weights make room for the next one's
        if judges:
            _judge(judges, session, quiet)
    _report(session, root, quiet, as_json, () if "all" in ",".join(metrics).split(",") else wanted)


def _judge(judges: Panel, session: Session, quiet: bool) -> None:
    """The answers of this command's runs before judges, who join the runs' tables."""
    from ..results.store import StoredRun

    judge_runs(judges, session.runs, quiet)
    session.runs = [StoredRun(run.path) for run in session.runs]
    session.problems += judges.problems


def _at_servers(specs: list[tuple[str, ModelSpec]], options: dict[str, Any]) -> None:
    """Raises UsageError for options about servers that are given where no model is at one."""
    from ..core import registry
    from ..engines.served import ServedEngine

    given = [name for name, value in options.items() if value]
    if given and specs and not any(issubclass(registry.get("engines", spec.engine), ServedEngine) for _, spec in specs):
        option = given[0].replace("_", "-")
        raise UsageError(f"--{option}: {specs[0][1].name} runs on this machine, not at a server.", "Leave it out.")
    if options["base_url"] and {"openai", "groq"} <= {spec.engine for _, spec in specs}:
        raise UsageError(
            f"--base-url {options['base_url']}: openai and groq models cannot be at one address; each is sent its key.",
            "Run them in two commands.",
        )


def _of_engine(specs: list[tuple[str, ModelSpec]], engine: str, option: str, what: str) -> None:
    """Raises UsageError for an option that one engine reads, where no model has that engine."""
    if option and specs and not any(spec.engine == engine for _, spec in specs):
        raise UsageError(f"{option}: {specs[0][0]} is not {what.partition(':')[0]}.", f"It belongs to {what}")


def _bounded(model: Engine, bounds: dict[str, Any], say: Callable[[str], None] = tell) -> bool:
    """Keep requests to a server within `bounds`. Whether it is a server elsewhere, where requests may cost."""
    from ..core.budget import Limits
    from ..engines.served import ServedEngine

    if not isinstance(model, ServedEngine):
        return False
    model.limits = Limits(**{name: value for name, value in bounds.items() if value is not None})
    model.tell = say
    return not model.local


def _measured(model: Engine) -> bool:
    """Whether the answers are made here, so that speed and memory can be measured."""
    return bool(getattr(model, "measured", True))


def _run_model(
    model: Engine,
    chosen: list[Benchmark],
    settings: Settings,
    data: Source,
    loaded: dict[str, ItemSet | None],
    root: Path,
    quiet: bool,
    session: Session,
    aside: Aside,
    shown: QuietWatch,
    at: tuple[int, int],  # runs of the command before this model's, and in all
) -> None:
    """One model through all benchmarks; what fails is named and the others go on."""
    from ..core import startup
    from ..core.plan import plan
    from ..core.run import execute
    from ..engines.served import Refused

    for number, benchmark in enumerate(chosen, at[0] + 1):
        shown.turn(number, at[1])
        try:
            if benchmark.name not in loaded:
                with startup.counted("data"):
                    loaded[benchmark.name] = _load(benchmark, data, session, quiet)
            item_set = loaded[benchmark.name]
            if item_set is None:
                continue
            names = (*(settings.metrics or benchmark.metrics), *(MEASUREMENTS if _measured(model) else ()))
            asked = dataclasses.replace(settings, metrics=tuple(dict.fromkeys(names)))
            with startup.counted("data"):
                planned = plan(benchmark, item_set, model, asked)
            if not quiet:
                for note in (*getattr(model, "notes", ()), *planned.notes):
                    tell(f"{model.spec.name}: {note}")
            withheld: set[str] = getattr(model, "withheld", set())
            withheld.clear()
            run = execute(planned, model, root, shown, ["medbench", *sys.argv[1:]], aside)
            if withheld and not quiet:
                refused = f"{model.spec.name} on {benchmark.name}: {len(withheld)} answers were refused"
                tell(
                    f"{refused} by the server or the model; they are unscored: medbench show {run.path.name} --unscored"
                )
        except MedbenchError as error:
            if isinstance(error, UsageError) and len(chosen) == 1 and not session.runs:
                raise
            if isinstance(error, Refused):  # as it would be on every benchmark
                session.problems.append(str(error))
                return
            session.problems.append(f"{model.spec.name} on {benchmark.name}: {error}")
            continue
        except Exception as error:
            session.problems.append(_of_a_plugin(f"{model.spec.name} on {benchmark.name}", error))
            continue
        if run.answered():  # without an answer there is nothing to score, judge or show
            session.runs.append(run)
        failures = run.manifest.sittings[-1].get("failures", {}) if run.manifest.sittings and not run.complete else {}
        if failures:
            (first, why), *others = failures.items()
            many = "1 item has" if len(failures) == 1 else f"{len(failures)} items have"
            also = ", ".join(item for item, _ in others[:NAMED]) + (", …" if len(others) > NAMED else "")
            session.problems.append(
                f"{model.spec.name} on {benchmark.name}: {many} no answer; {first}: {why}\n"
                + (f"The others: {also}\n" if also else "")
                + getattr(model, "remedy", "The same command tries them again.")
            )


def _load(benchmark: Benchmark, data: Source, session: Session, quiet: bool) -> ItemSet | None:
    """The benchmark's items, or None where its data cannot be had, which is then a problem named once."""
    from ..core.plan import checked

    try:
        found = data.noted(checked(benchmark.load(data)))
    except DataMissing as error:
        session.problems.append(f"{benchmark.name} has no data: {error}")
        session.missing = True
        return None
    except MedbenchError as error:
        session.problems.append(f"{benchmark.name}: {error}")
        return None
    except Exception as error:
        session.problems.append(_of_a_plugin(benchmark.name, error))
        return None
    if not quiet:
        for note in found.notes:
            tell(f"{benchmark.name}: {note}")
    return found


def _of_a_plugin(what: str, error: Exception) -> str:
    """The problem that a third party's code makes by raising this. An error of our own goes on, as a traceback."""
    from ..core import registry

    if not registry.fault(error):
        raise error
    return f"{what}: a plugin failed: {registry.told(error)}"


def _benchmarks(benchmarks: tuple[str, ...], suites: tuple[str, ...], session: Session) -> list[Benchmark]:
    """The benchmarks in the order given, each once; suites unfolded. A broken one that "all" brings is a problem."""
    from ..core import registry

    named: dict[str, bool] = {}  # by name, whether the user said it
    for name in output.names(suites) or ([] if benchmarks else ["quick"]):
        if name == "quick":
            named |= dict.fromkeys(SAMPLES, True)
        elif name == "all":
            # A third party's benchmarks belong to "all"; the samples do not.
            named |= {n: n in named for n in registry.names("benchmarks") if n not in SAMPLES}
        else:
            named[name] = True
    named |= dict.fromkeys(output.names(benchmarks), True)
    found: dict[str, Benchmark] = {}
    for name, said in named.items():
        try:
            benchmark: Benchmark = registry.get("benchmarks", name)
        except MedbenchError as error:
            if said:
                raise
            session.problems.append(str(error))
            continue
        if benchmark.name in found:
            raise UsageError(f"two of these benchmarks are called '{benchmark.name}'; {name} is the second.")
        found[benchmark.name] = benchmark
    return list(found.values())


def _ids(file: Path | None) -> tuple[str, ...]:
    if file is None:
        return ()
    from ..core.tables import BadLine, text_lines

    try:
        with file.open("rb") as lines:
            ids = tuple(dict.fromkeys(line.strip() for _, line in text_lines(lines) if line.strip()))
    except BadLine as error:
        told = f"--items {file}, line {error.number}: {error.problem}."
        raise UsageError(told, "It holds item ids, one a line, as UTF-8 text.") from error
    except OSError as error:
        told = f"--items {file} cannot be read: {error.strerror or error}."
        raise UsageError(told, "It holds item ids, one a line.") from error
    if not ids:
        raise UsageError(f"--items {file} holds no ids.", "It holds item ids, one a line.")
    return ids


def _report(session: Session, root: Path, quiet: bool, as_json: bool, named: Sequence[str]) -> None:
    """The leaderboard of this command's runs, then what could not be done. Exit code 1 where something was not.

    `named`: metrics asked for by name, of which it is told where they had nothing to score.
    """
    from ..results import leaderboard

    found = leaderboard.build(session.runs)
    if as_json or (session.runs and not quiet):
        output.present(found, as_json=as_json)
    if session.runs and not found.problems:
        shown = {column.metric for board in found.boards for column in board.columns}
        for name in named:
            if name not in shown:
                tell(f"{name} found nothing to score in these runs. What it scores: medbench list metrics {name}")
    if session.runs and not quiet:
        tell(f"Answers and scores: {root}. One item: medbench show RUN ITEM. A CSV: medbench leaderboard --csv FILE")
    for problem in session.problems:
        tell(f"\nNot done: {problem}")
    if session.problems or found.problems:
        if session.missing and not session.runs:
            tell("\nWhat runs without any of this: medbench run")
        raise SystemExit(1)
