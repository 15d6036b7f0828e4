"""`medbench show`: shows a run or one of its items."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

import click

from ...core import paths
from ...core.errors import MedbenchError, UsageError
from .. import completion
from ..options import RUNS_FOLDER
from ..ui import output
from ..ui.messages import tell
from ..ui.render_item import as_json_row, gold, show_item

if TYPE_CHECKING:
    from ...core.types import AnswerKey, Figure, Record, Score
    from ...results.store import StoredRun

    Scores = dict[str, dict[AnswerKey, Score]]  # by metric and answer

FEW = 10  # fewest items of a subject for which a figure is shown, in a run that has as many
SNIPPET = 60  # characters of an answer in the list


@click.command(
    epilog="""\b
Examples:
  medbench show smollm2-135m__medqa              what ran, its figures, items
  medbench show smollm2-135m__medqa --wrong      wrong answers
  medbench show smollm2-135m__medqa --unscored   unscored items, and why
  medbench show smollm2-135m__medqa 17           prompt, answer, gold, scores
  medbench explain smollm2-135m__medquad ITEM    the words behind its scores
"""
)
@click.argument("run", shell_complete=completion.runs)
@click.argument("item", required=False)
@click.option(
    "--metrics",
    "-M",
    multiple=True,
    metavar="NAMES",
    help="Only these metrics.  [default: those of the run]",
    shell_complete=completion.plugins("metrics"),
)
@click.option("--wrong", is_flag=True, help="Only answers that the first metric, a yes-or-no one, counts as wrong.")
@click.option("--unscored", is_flag=True, help="Only items without a score or an answer, with the reason.")
@click.option(
    "--limit", type=click.IntRange(min=1), default=20, show_default=True, metavar="N", help="List at most N items."
)
@RUNS_FOLDER
@click.option("--json", "as_json", is_flag=True, help="Print JSON on stdout.")
@output.allow_changed
def command(
    run: str,
    item: str | None,
    metrics: tuple[str, ...],
    wrong: bool,
    unscored: bool,
    limit: int,
    out: Path | None,
    as_json: bool,
    allow_changed: bool,
) -> None:
    """Show RUN or one ITEM of it. RUN is a folder, a run id or the beginning of one, or a model that has one run."""
    from ...core.types import answer_name
    from ...results import manifest_file
    from ...results.descriptions import notes_on
    from ...results.lookup import find
    from ...results.risk import curve
    from ...results.store import StoredRun

    if wrong and unscored:
        raise UsageError("--wrong and --unscored cannot be combined.", "Choose one.")
    named = output.metric_names(metrics)
    stored = StoredRun(find(run, out or paths.runs()), allow_changed)
    records = {record.key: record for record in stored.records()}
    judged = stored.judged() if unscored or item is not None else []  # also judges that graded nothing
    scores = _scores(stored, list(records.values()), judged, named)
    notes = notes_on([stored])
    for note in notes:
        tell(note)
    if item is not None:
        show_item(stored, records, scores, item, as_json)
        return
    right = _right(stored, scores) if wrong else None
    chosen = [key for key in records if _wanted(key, scores, right, unscored)]
    reasons = _reasons(stored, chosen, scores) if unscored else {}
    if as_json:
        output.show_json(
            {
                "manifest": manifest_file.as_json(stored.manifest),
                "figures": [dataclasses.asdict(figure) for figure in _figures(stored, named)],
                "items": (as_json_row(records[key], scores) for key in chosen[:limit]),
                "risk_coverage": [
                    dict(zip(("confidence", "coverage", "risk"), point))
                    for point in curve(stored, list(records.values()))
                ],
                "notes": list(notes),
            }
            | ({"unscored": {answer_name(key): why for key, why in list(reasons.items())[:limit]}} if unscored else {})
        )
        return
    _run(stored, records, scores, list(reasons) if unscored else chosen, limit, reasons, named)


def _scores(stored: StoredRun, records: list[Record], judged: list[str], named: list[str]) -> Scores:
    """Return scores by metric and answer, with a note on answers that a judge could not grade.

    A metric that fails is reported and left out. One that applies to no item is left out silently if another applies.
    """
    from ...core.types import Metric
    from ...results.scoring import JUDGING, load_stored, score_run

    found = {}
    for name in dict.fromkeys([*(named or stored.manifest.shown_metrics), *judged]):
        try:
            metric = load_stored(name)
            if isinstance(metric, Metric):
                found[name] = {score.key: score for score in score_run(stored, metric, records)}
        except MedbenchError as error:
            tell(f"Not shown: {error}")
    fits = {
        name: by_key
        for name, by_key in found.items()
        if name.startswith(JUDGING) or any(score.value is not None for score in by_key.values())
    }
    return fits or found


def _right(stored: StoredRun, scores: Scores) -> dict[str, float]:
    """Return the score of a right answer by yes-or-no metric. Raises UsageError if the first metric is of degree."""
    from ...results.scoring import load_stored

    metrics = {name: load_stored(name) for name in scores}
    first = next(iter(metrics), "")
    if first and not metrics[first].binary:
        raise UsageError(
            f"--wrong: {first} is a matter of degree, so it says of no answer that it is wrong.",
            f"Leave it out to list all answers with their {first}, or name a yes-or-no metric: --metrics unsafe_rate",
        )
    return {name: 0.0 if each.better == "lower" else 1.0 for name, each in metrics.items() if each.binary}


def _wanted(key: AnswerKey, scores: Scores, right: dict[str, float] | None, unscored: bool) -> bool:
    """Return whether an answer is listed. `right`: the score of a right answer by metric, if only wrong ones are."""
    mine = [by_key[key] for by_key in scores.values()]
    if unscored and all(score.value is not None for score in mine):
        return False
    if right is None:
        return True
    values = ((scores[name][key].value, best) for name, best in right.items())
    return next((value != best for value, best in values if value is not None), False)


def _reasons(stored: StoredRun, chosen: list[AnswerKey], scores: Scores) -> dict[AnswerKey, dict[str, str]]:
    """Return why answers have no score, by answer and metric, in benchmark order; under "" why there is no answer."""
    from ...core.types import answer_name

    failures: dict[str, str] = {}
    for session in stored.manifest.sessions:
        failures |= session.failures
    headers = {name: stored.judgements(name)[0] for name in stored.judged()}
    unjudged = {name: header.failures for name, header in headers.items() if header}
    answered, wanted = stored.answered(), set(chosen)
    found: dict[AnswerKey, dict[str, str]] = {}
    samples = range(stored.manifest.comparable.samples)
    for key in ((item, sample) for item in stored.manifest.item_ids for sample in samples):
        if key not in answered:
            found[key] = {"": f"no answer: {failures.get(answer_name(key), 'not asked yet')}"}
        elif key in wanted:
            found[key] = {
                name: _reason(by_key[key], unjudged.get(name, {}))
                for name, by_key in scores.items()
                if by_key[key].value is None
            }
    return found


def _reason(score: Score, unjudged: Mapping[str, str]) -> str:
    """Return why an item has no score. `unjudged`: why a judge gave no reply, by item."""
    reason = score.reason or "no reason given"
    return f"{reason}: {unjudged[score.item_id]}" if score.item_id in unjudged else reason


def _told(reasons: dict[str, str]) -> str:
    """Return one line per reason, with the metrics that gave it."""
    names: dict[str, list[str]] = {}
    for name, reason in reasons.items():
        names.setdefault(reason, []).append(name)
    return "\n".join(
        f"{', '.join(filter(None, given))}: {reason}".removeprefix(": ") for reason, given in names.items()
    )


def _figures(stored: StoredRun, named: list[str]) -> list[Figure]:
    """Return all figures of the run that have a value."""
    from ...results.scoring import load_stored, run_scores

    results = run_scores(stored, named or stored.manifest.reported_metrics, load_stored).results.values()
    return [figure for result in results for figure in result.figures if figure.value is not None]


def _short(text: str) -> str:
    """Return the beginning of a text, with an ellipsis if it is longer."""
    return text if len(text) <= SNIPPET else f"{text[: SNIPPET - 1].rstrip()}…"


def _answer(record: Record, scores: Scores) -> str:
    if record.output.text is not None:
        return " ".join(record.output.text.split())
    read = next((s.answer for by_key in scores.values() if (s := by_key[record.key]).answer), None)
    return read or ""


def _run(
    stored: StoredRun,
    records: dict[AnswerKey, Record],
    scores: Scores,
    chosen: list[AnswerKey],
    limit: int,
    reasons: dict[AnswerKey, dict[str, str]],
    named: list[str],
) -> None:
    from rich import box
    from rich.markup import escape
    from rich.table import Table

    from ...core.stats import few_documents
    from ...results.descriptions import CHANGED, missing_latency, title
    from ...results.item_values import item_documents, item_value_name
    from ..ui import render

    screen = render.console()
    manifest = stored.manifest
    facts = {
        "run": manifest.run_id,
        "benchmark": title(manifest),
        "system text": " ".join(manifest.settings.system.split()),
        "data": manifest.benchmark.origin,
        "model": " @ ".join(filter(None, [manifest.model.name, (manifest.model.revision or "")[:12]])),
        "weights": manifest.model.source or "",
        "engine": " · ".join(
            str(v)
            for v in (
                manifest.identity.model.engine,
                manifest.identity.model.dtype,
                manifest.model.quantize,
                manifest.engine.get("device"),
                manifest.identity.chat,
                "code of the model's own" if manifest.model.trust_remote_code else "",
            )
            if v
        ),
        "answered": f"{len(records)} of {manifest.answers}",
        "truncated prompts": str(sum(r.output.truncated_tokens > 0 for r in records.values())),
        "reused": ", ".join(f"{n} answers of {run}" for run, n in manifest.settings.reused.items()),
        "latency": missing_latency(stored),
        "made": manifest.created,
    }
    for name, value in facts.items():
        if value:
            screen.print(f"[dim]{name:>18}[/dim]  {escape(str(value))}")
    for change in stored.changes:
        screen.print(f"[yellow]{CHANGED:>18}  {escape(change)}[/yellow]")
    for sentence in manifest.benchmark.notes:
        screen.print(f"[dim]{'note':>18}[/dim]  {escape(sentence)}")
    known = _figures(stored, named)
    few = min(FEW, max((f.n for f in known), default=0))
    shown = [f for f in known if f.headline or f.n >= few]
    screen.print(render.figures(shown))
    if hidden := len(known) - len(shown):
        more = "figure has" if hidden == 1 else "figures have"
        screen.print(
            f"[dim]{hidden} more {more} an n below {few}; --json shows {'it' if hidden == 1 else 'them'}.[/dim]"
        )
    if unsure := few_documents((item_documents(records.values()) or {}).values()):
        screen.print(f"[yellow]{unsure}[/yellow]")
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    first = next(iter(scores), "")
    shown_keys = chosen[:limit]
    explained = bool(first) and any(scores[first][key].reason for key in shown_keys if key in scores[first])
    of_scores = ("item", item_value_name(first), "answer", "gold", *(("why",) if explained else ()))
    for heading in ("item", "answer", "why") if reasons else of_scores:
        table.add_column(heading, overflow="fold")
    several = manifest.comparable.samples > 1
    for key in shown_keys:
        name = escape(f"{key[0]} (sample {key[1]})" if several else key[0])
        if reasons:
            said = _short(_answer(records[key], scores)) if key in records else ""
            table.add_row(name, escape(said), escape(_told(reasons[key])))
            continue
        score = scores[first][key] if first else None
        value = "–" if score is None or score.value is None else f"{score.value:.3g}"
        texts = [_short(_answer(records[key], scores)), _short(gold(records[key]))]
        told = [(score and score.reason) or ""] if explained else []
        table.add_row(name, value, *map(escape, [*texts, *told]))
    if chosen:
        screen.print(table)
    listed = f"{min(limit, len(chosen))} of {len(chosen)} {'answers' if several else 'items'}."
    example = f" One of them: medbench show {output.run_name(stored)} ITEM" if records.keys() & set(chosen) else ""
    screen.print(f"[dim]{listed}{escape(example)}[/dim]", soft_wrap=True)
