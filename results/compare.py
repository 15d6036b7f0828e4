"""Two models, or two groups of runs, on the items that both answered: what differs, and whether that is significant."""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from dataclasses import replace
from typing import Protocol, runtime_checkable

from ..core.errors import DataMalformed, MedbenchError
from ..core.paired_tests import holm
from ..core.stats import few_documents
from ..core.types import Metric, Record, Score
from .changed import changed
from .compared_figures import by_item, figures_of, of_items, preference, untested, verdict_notes
from .comparison import ComparedFigure, Comparison, Match
from .descriptions import clean_note, distinguishing_fields, label, leaked_in, notes_on, setup_of, title_of_pair
from .item_values import item_documents
from .scoring import CLEAN, JUDGING, Load, bound, evaluate, load_metric, load_stored
from .sides import left_out, match_sides, sides_of
from .store import StoredRun

STORED = "Preferences are those that judges gave in earlier commands; with --judge, only those of the judges named."


@runtime_checkable
class Between(Protocol):
    """A metric of two runs: for each item, whether A's answer is preferred (1), B's (0) or neither (1/2)."""

    def between(self, a: StoredRun, b: StoredRun) -> Metric:
        """Return the metric of A's records against B's. Its `remark`, if any, is shown with the comparison."""
        ...


def compare(
    a: StoredRun | Sequence[StoredRun],
    b: StoredRun | Sequence[StoredRun],
    *others: StoredRun | Sequence[StoredRun],
    metrics: Sequence[str] = (),
    load: Load | None = None,
    preferences: Sequence[str] | None = None,
) -> Comparison:
    """Compare A with B, and every two sides if there are more. Groups are matched run by run.

    `metrics`: only these; by default, those of both runs. `preferences`: also these judges' preferences; None: all that
    are stored, if no metric is named. `load`: as for `leaderboard.build`. Raises UsageError, naming the fields that
    differ and both values, if nothing can be compared.
    """
    sides = sides_of((a, b, *others))
    matches, problems, hypotheses = [], dict[str, MedbenchError](), list[Hashable]()
    for run_a, run_b in match_sides(sides):
        try:
            match, failed, tested = _match(run_a, run_b, metrics, preferences, load)
        except DataMalformed as error:  # a changed run does not affect the others
            problems[str(error)] = error
            continue
        matches.append(match)
        hypotheses += [key and (len(matches), key) for key in tested]
        problems.update((str(error), error) for error in failed)
    if problems and not matches:
        raise next(iter(problems.values()))
    for side in sides:
        problems.update((str(error), error) for error in side.ambiguous.values())
    lines = [line for match in matches for line in match.lines]
    for name in metrics:  # requested by name, so an empty line would not do
        found = [line for line in lines if line.name == name]
        if found and all(line.a is None and line.b is None for line in found):
            why = next((f": {reason}" for line in found for reason, _ in line.left_out), "")
            problems[name] = MedbenchError(f"{name} scores no item that both answered{why}.")
    p_values = {key: line.p for key, line in zip(hypotheses, lines, strict=True) if key and line.p is not None}
    adjusted = dict(zip(p_values, holm(list(p_values.values())), strict=True))
    p_holm = iter([None if line.p is None else adjusted.get(key, 1.0) for key, line in zip(hypotheses, lines)])
    done = [
        replace(match, lines=tuple(replace(line, p_holm=next(p_holm)) for line in match.lines)) for match in matches
    ]
    return Comparison(tuple(done), len(p_values), tuple(left_out(sides)), tuple(problems.values()))


def _match(
    run_a: StoredRun, run_b: StoredRun, names: Sequence[str], preferences: Sequence[str] | None, load: Load | None
) -> tuple[Match, list[MedbenchError], list[Hashable]]:
    """Return the match of two comparable runs before p-values are adjusted, the metrics that failed, and the hypothesis
    that each figure tests, if any.
    """
    all_a, all_b = (by_item(run.records()) for run in (run_a, run_b))
    common = [item_id for item_id in all_a if item_id in all_b]
    leaked = set(leaked_in([run_a, run_b])).intersection(common)
    clean = [item_id for item_id in common if item_id not in leaked] if leaked else []
    lines, problems, remarks = list[tuple[ComparedFigure, Hashable]](), list[MedbenchError](), list[str]()
    both = [name for name in run_a.manifest.shown_metrics if name in run_b.manifest.metrics]
    stored = list[str]()
    if preferences is None and not names:
        stored = [*run_a.judged_against(run_b.manifest.run_id), *run_b.judged_against(run_a.manifest.run_id)]
    for name in dict.fromkeys((*(names or both), *(preferences or stored))):
        try:
            metric = (load or (load_metric if name in names else load_stored))(name)
            if isinstance(metric, Between):
                preferred = metric.between(run_a, run_b)
                whole, key = preference(preferred, of_items(all_a, common))
                lines.append((whole, key))
                if clean:
                    part, key = preference(preferred, of_items(all_a, clean))
                    lines.append((replace(part, name=part.name + CLEAN, clean=True), key))
                remarks += verdict_notes(preferred, whole)
            elif isinstance(metric, Metric):
                metrics, scores = _scored(metric, (run_a, all_a), (run_b, all_b))
                if name not in names and not name.startswith(JUDGING) and not any(map(_valued, scores)):
                    continue  # it fits no item of either run
                remarks += [f"{side} was {told}" for side, m in zip("AB", metrics) if (told := m.remark)]
                for line, key in figures_of(metrics, scores, (all_a, all_b), common):
                    lines.append((line, key))
                    if clean and line.name == metric.name:
                        again = figures_of(metrics, scores, (all_a, all_b), clean)[:1]
                        lines += [(replace(first, name=first.name + CLEAN, clean=True), key) for first, key in again]
            else:
                figures = [evaluate(run, metric, ()).figures[0] for run in (run_a, run_b)]
                if all(figure.value is None for figure in figures):
                    continue  # never measured: no GPU
                measured = untested(figures[0], figures[1], min(f.n for f in figures), "measured once per run")
                lines.append((measured, None))
        except MedbenchError as error:
            problems.append(error)
    if any(line.verdicts for line, _ in lines if line.name in stored):
        remarks.append(STORED)
    label_a, label_b = (
        label(setup_of(run.manifest).model, told)
        for run, told in zip((run_a, run_b), distinguishing_fields([run_a, run_b]))
    )
    unsure = [
        f"the training data of {name} were not checked against this benchmark"
        for name, run in zip("AB", (run_a, run_b))
        if run.manifest.model.unchecked
    ]
    few = few_documents((item_documents(of_items(all_a, common)) or {}).values())
    match = Match(
        title=title_of_pair(run_a.manifest, run_b.manifest),
        run_a=run_a.manifest.run_id,
        run_b=run_b.manifest.run_id,
        label_a=label_a,
        label_b=label_b,
        both=len(common),
        only_a=len(all_a) - len(common),
        only_b=len(all_b) - len(common),
        changed=changed(of_items(all_a, common), of_items(all_b, common)),
        lines=tuple(line for line, _ in lines),
        notes=tuple(
            filter(
                None,
                [
                    *notes_on([run_a, run_b]),
                    clean_note([run_a, run_b], len(leaked), len(common)),
                    few,
                    *unsure,
                    *remarks,
                ],
            )
        ),
    )
    return match, problems, [key for _, key in lines]


def _scored(
    metric: Metric, a: tuple[StoredRun, Mapping[str, list[Record]]], b: tuple[StoredRun, Mapping[str, list[Record]]]
) -> tuple[tuple[Metric, Metric], tuple[dict[str, list[Score]], dict[str, list[Score]]]]:
    """Return the metric for each run, and each run's scores by item."""
    (metric_a, of_a), (metric_b, of_b) = (bound(run, metric, of_items(answered, answered)) for run, answered in (a, b))
    return (metric_a, metric_b), (by_item(of_a), by_item(of_b))


def _valued(scores: Mapping[str, list[Score]]) -> bool:
    return any(score.value is not None for score in of_items(scores, scores))
