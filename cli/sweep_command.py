"""The part of `medbench train` that trains a sweep and ranks its variants."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from ..core import dry, hub
from ..core.errors import MedbenchError, UsageError
from .ui import output
from .ui.messages import tell

if TYPE_CHECKING:
    from ..training.development import Development
    from ..training.ranking import Ranking
    from ..training.request import Request
    from ..training.sweep import Variant
    from ..zoo.adapter_manifest import AdapterManifest


@dataclass(frozen=True)
class Ask:
    """How to rank: "BENCHMARK:METRIC" ("": not at all), on how many items, and the folder for the answers."""

    by: str
    items: int
    out: Path


def run(planned: Sequence[Variant], ask: Ask, *, dry_run: bool, quiet: bool, as_json: bool) -> None:
    """Train and rank the variants, or show what that takes. Exits with 1 if anything failed."""
    if dry_run:
        hub.go_offline(dry.REASON)  # what is in its cache is used, and nothing is fetched
    ranked_on = _ranked_on(ask, planned, guess=dry_run, quiet=quiet or dry_run) if ask.by else None
    if dry_run:
        _dry_run(planned, ranked_on, as_json)
    else:
        _study(planned, ranked_on, ask.out, quiet, as_json)


def _ranked_on(ask: Ask, planned: Sequence[Variant], guess: bool, quiet: bool) -> Development:
    """Return what the variants will be ranked on. With `guess`, training data that is not here is passed over."""
    from ..training import development
    from ..training.sweep import training_examples

    development.chosen(ask.by, tell)  # find a misspelling before reading any data
    try:
        texts = list(training_examples(planned))
    except UsageError:
        raise
    except MedbenchError as error:
        if not guess:
            raise
        tell(f"It is not known how many development items are in the training texts. {error}")
        texts = []
    found = development.prepare(ask.by, len(planned) + 1, planned[0].request.source, texts, ask.items, tell)
    for line in () if quiet else development.sentences(found):
        tell(line)
    return found


def _study(
    planned: Sequence[Variant], ranked_on: Development | None, rank_out: Path, quiet: bool, as_json: bool
) -> None:
    """Train every variant, show one table, and rank them. A variant that fails is named; the others continue."""
    from ..training import sweep
    from .ui import render_training
    from .ui.train_progress import training_progress

    told = (lambda text: None) if quiet else tell
    trained = sweep.train_all(planned, lambda: training_progress(quiet), told, told)
    problems = [f"{variant.label}: {variant.problem}" for variant in trained if variant.problem]
    if not as_json and not quiet:
        output.show(render_training.study([(each.label, each.manifest, each.problem) for each in trained]))
    ranking = _ranking(ranked_on, trained, rank_out, quiet, problems) if ranked_on else None
    if as_json:
        variants = [
            {"variant": each.label, **(dataclasses.asdict(each.manifest) if each.manifest else {"error": each.problem})}
            for each in trained
        ]
        ranked = {"variants": variants, "ranking": ranking.as_dict() if ranking else None}
        output.show_json(ranked if ranked_on else variants)
    elif not quiet:
        _next(trained, ranking)
    for problem in problems:
        tell(f"\nNot done: {problem}")
    if problems:
        raise SystemExit(1)


def _ranking(
    ranked_on: Development, trained: Sequence[Variant], out: Path, quiet: bool, problems: list[str]
) -> Ranking | None:
    """Rank what was trained; what could not be ranked is added to `problems`."""
    from ..training import ranking
    from .ui.progress import watch

    try:
        found = ranking.evaluate(ranked_on, trained, out, watch(quiet))
    except MedbenchError as error:
        problems.append(str(error))
        return None
    problems += found.problems if found else ()
    return found


def _next(trained: Sequence[Variant], ranking: Ranking | None) -> None:
    """Show the ranking, and the command to try next."""
    from ..training.sweep import lowest_loss
    from .ui import render_ranking

    made = [(each, each.manifest) for each in trained if each.manifest]
    if ranking:
        by_loss = lowest_loss(trained)
        output.show(render_ranking.ranking(ranking, by_loss.label if by_loss else ""))
    if made:
        request, manifest = made[0][0].request, made[0][1]
        names = ranking.best if ranking else ",".join(each.model for each, _ in made)
        if ranking:
            data = f" --data {request.source.data}" if request.source.data else ""
            options = f"--benchmark {ranking.benchmark} --limit 100{data}"
        else:
            options = next_benchmark(request, manifest)
        question = "Its score:" if ranking else "Which is best?"
        tell(f"{question} medbench run --model {request.model},{names} {options}")


def _dry_run(planned: Sequence[Variant], ranked_on: Development | None, as_json: bool) -> None:
    from ..training import dry_run
    from .ui import render_training

    found = dry_run.describe_sweep(planned, ranked_on, tell)
    if as_json:
        output.show_json(found)
    else:
        output.show(render_training.dry_run_sweep(found))


def next_benchmark(request: Request, manifest: AdapterManifest) -> str:
    """Options of the command to try next: open questions whose items were here when leaks were looked for."""
    if "medquad" not in manifest.leaks:
        return "--benchmark medquad-sample"
    return "--benchmark medquad --limit 100" + (f" --data {request.source.data}" if request.source.data else "")
