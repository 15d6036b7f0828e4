"""`medbench run`: models on benchmarks, stored as they go, then the leaderboard."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, cast

import cloup

from ...core import paths
from ...core.errors import UsageError
from ...evaluation.judging import Asked
from ..options import Command
from ..run_options import run_options
from ..ui import output
from ..ui.messages import tell
from ..ui.progress import watch

if TYPE_CHECKING:
    from ...evaluation.settings import Choice
    from ...evaluation.suite import Outcome

DEFAULT_MODEL = "smollm2-135m"


@cloup.command(
    cls=Command,
    epilog="""\b
Examples:
  medbench run                       the embedded model on the samples
  medbench run --model biogpt-large --suite all
  medbench run -m smollm2-135m -b pubmedqa,medqa --limit 50 --data releases/
  medbench run -m my/hub-model -b medqa --shots 5 --chat always
  medbench run -m my/hub-model -b medqa,pubmedqa --protocol direct,cot
  medbench run -m models/mine.gguf -b my_benchmark.py --json
  medbench run -m gemma -b ward.xlsx --columns question=Case,answer=Key
  medbench run -m openai:llama3.2 --base-url http://localhost:11434/v1
  medbench run -m gguf:models/mine.Q4_K_M.gguf -b medqa
  medbench run -m replay:answers.jsonl -b medquad --map id=qid,text=response
  medbench run -b medqa --retrieve medquad
  medbench run -b medquad --limit 50 --judge groq --max-judge-cost 0.50
""",
)
@run_options
def command(
    models: tuple[str, ...],
    benchmarks: tuple[str, ...],
    suites: tuple[str, ...],
    limit: int | None,
    items: Path | None,
    table_columns: str,
    shots: int,
    seed: int,
    protocols: tuple[str, ...],
    system: str,
    choice: str,
    chat: str,
    think: str,
    reasoning_effort: str | None,
    max_new_tokens: int | None,
    retrieve: str,
    passages: int | None,
    temperature: float,
    top_p: float,
    samples: int,
    permute_options: int,
    prompt_variants: bool,
    metrics: tuple[str, ...],
    entity_model: str,
    latency_items: int | None,
    adapter: str,
    quantize: str,
    dtype: str,
    device: str,
    revision: str,
    trust_remote_code: bool,
    engine: str,
    base_url: str,
    engine_option: tuple[str, ...],
    tensor_parallel: int | None,
    columns: str,
    concurrency: int | None,
    requests_per_minute: int | None,
    tokens_per_minute: int | None,
    judging: Asked,
    data: Path | None,
    data_revision: tuple[str, ...],
    out: Path | None,
    quiet: bool,
    as_json: bool,
) -> None:
    """Run models on benchmarks and show the leaderboard.

    Every answer is stored as it arrives. You can stop at any time: the same command continues where it stopped, and
    does nothing if the run is complete.
    """
    from ...benchmarks.sources import hub as hub_sets
    from ...benchmarks.sources.files import Source
    from ...evaluation.judging import panel
    from ...evaluation.settings import Settings
    from ...evaluation.suite import Outcome, chosen_benchmarks, evaluate_all
    from ..ui.download_progress import automatic

    # Check the whole request before loading anything.
    engine_options = _engine_options(engine_option, {"tensor_parallel": tensor_parallel, "map": columns})
    progress = watch(quiet)
    outcome = Outcome()
    chosen = chosen_benchmarks(
        output.names(benchmarks),
        output.names(suites),
        outcome,
        output.names(protocols),
        _pairs("--columns", table_columns),
    )
    wanted = output.metric_names(metrics, entity_model)
    if not wanted:
        output.metric_names(tuple(name for benchmark in chosen for name in benchmark.metrics))
    judges = panel(judging, progress.note)
    settings = Settings(
        limit=limit,
        items=_ids(items),
        items_file=str(items or ""),
        shots=shots,
        seed=seed,
        choice=cast("Choice", choice),
        system=system,
        max_new_tokens=max_new_tokens,
        temperature=temperature,
        top_p=top_p,
        samples=samples,
        permute_options=permute_options,
        prompt_variants=prompt_variants,
        metrics=tuple(wanted),
    )
    pinned = hub_sets.revisions(list(data_revision), [benchmark.hub for benchmark in chosen if benchmark.hub])
    root = out or paths.runs()
    evaluate_all(
        output.names(models) or [DEFAULT_MODEL],
        chosen,
        settings,
        outcome,
        options={
            "revision": revision,
            "adapter": adapter,
            "dtype": dtype,
            "quantize": quantize,
            "device": device,
            "chat": chat,
            "think": think,
            "reasoning_effort": reasoning_effort or "",
            "engine": engine,
            "base_url": base_url,
            "engine_options": engine_options,
            "trust_remote_code": trust_remote_code,
        },
        limits={
            "concurrency": concurrency,
            "requests_per_minute": requests_per_minute,
            "tokens_per_minute": tokens_per_minute,
        },
        judges=judges,
        data=Source(data or paths.data(), automatic(quiet), pinned),
        root=root,
        command=["medbench", *sys.argv[1:]],
        latency_items=latency_items,
        retrieve=retrieve,
        passages=passages,
        progress=progress,
    )
    _report(outcome, root, quiet, as_json, () if "all" in ",".join(metrics).split(",") else wanted)


def _engine_options(texts: tuple[str, ...], aliases: dict[str, object]) -> dict[str, object]:
    """Return every KEY=VALUE, and the options that have a flag of their own. Raises UsageError for two values."""
    found = {name: value for name, value in aliases.items() if value}
    for text in texts:
        key, equals, value = text.partition("=")
        name = key.strip().replace("-", "_")
        if not equals or not name:
            raise UsageError(f"--engine-option {text}: it must be KEY=VALUE.", "The keys: medbench list engines")
        if str(found.get(name, value)) != value:
            raise UsageError(f"--engine-option {text}: {name} is given as {found[name]} as well.", "Keep one of them.")
        found[name] = value
    return found


def _pairs(option: str, text: str) -> dict[str, str]:
    """Return FIELD=COLUMN,… by field."""
    found = {}
    for pair in filter(None, text.split(",")):
        name, equals, value = (part.strip() for part in pair.partition("="))
        if not (name and equals and value):
            raise UsageError(f"{option} {text}: '{pair.strip()}' is not FIELD=COLUMN.")
        found[name] = value
    return found


def _ids(file: Path | None) -> tuple[str, ...]:
    if file is None:
        return ()
    from ...core.tables import BadLine, text_lines

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


def _report(outcome: Outcome, root: Path, quiet: bool, as_json: bool, named: Sequence[str]) -> None:
    """Show the leaderboard of this command's runs, then what failed. Exit code 1 if anything did.

    `named`: metrics that the user named; those that scored nothing are reported.
    """
    from ...results import leaderboard

    found = leaderboard.build(outcome.runs)
    if as_json or (outcome.runs and not quiet):
        output.present(found, as_json=as_json)
    if outcome.runs and not found.problems:
        shown = {column.metric for board in found.boards for column in board.columns}
        for name in named:
            if name not in shown:
                tell(f"{name} had nothing to score in these runs. See what it scores: medbench list metrics {name}")
    if outcome.runs and not quiet:
        tell(
            f"Answers and scores are in {root}/. One item: medbench show RUN ITEM. A CSV: medbench leaderboard "
            "--csv FILE"
        )
    for problem in outcome.problems:
        tell(f"\nNot done: {problem}")
    if outcome.problems or found.problems:
        if outcome.missing and not outcome.runs:
            tell("\nThis needs no data and no download: medbench run")
        raise SystemExit(1)
