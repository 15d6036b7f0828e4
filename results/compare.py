"""Two models, or two groups of runs, on the items that both answered: what differs, and whether that is real."""

from __future__ import annotations

import itertools
import json
import string
from collections import Counter
from collections.abc import Hashable, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal, Protocol, runtime_checkable

from ..core.errors import DataMalformed, MedbenchError, UsageError
from ..core.paired import discordant_interval
from ..core.stats import clusters_of, few_documents, holm, mcnemar_exact
from ..core.types import Figure, Metric, Record, Score
from .changed import changed
from .descriptions import (
    clean_note,
    distinguishing_fields,
    items_of,
    label,
    leaked_in,
    notes_on,
    setup_of,
    title,
)
from .identity import differing
from .lookup import candidates
from .manifest import Manifest
from .pairing import ALPHA, Counts, pair
from .scoring import CLEAN, JUDGING, Load, aggregate, bound, evaluate, load_metric, load_stored
from .store import StoredRun

Side = Literal["a", "b", ""]

MEANING = {
    "benchmark": "the benchmark",
    "version": "the benchmark's version",
    "variant": "the variant",
    "items_hash": "the items",
    "prompt_hash": "the prompts",
    "shots": "the number of examples (shots)",
    "method": "how the answer is obtained (method)",
    "max_new_tokens": "the most tokens an answer may have (max_new_tokens)",
    "stop": "the strings that end an answer (stop)",
}

STORED = "Preferences are those that judges gave in earlier commands; with --judge, only those of the judges named."


@runtime_checkable
class Between(Protocol):
    """A metric of two runs: of each item, whether A's answer is preferred (1), B's (0) or neither (1/2)."""

    def between(self, a: StoredRun, b: StoredRun) -> Metric:
        """The metric of A's records, beside B's; its `remark`, if it has one, is told with the comparison."""
        ...


@dataclass(frozen=True)
class Verdicts:
    """On how many items an answer is preferred. `judged` of the `both` items that both runs answered have a verdict."""

    a: int
    b: int
    neither: int
    judged: int
    both: int


@dataclass(frozen=True)
class ComparedFigure:
    """One figure of two runs. Where `test` is empty nothing was tested and `note` says why; `a` and `b` still stand.

    A tested line: `a` and `b` are means over the `n` pairs, `difference` is a - b with its 95 % interval, `p` the
    test's and `p_holm` adjusted over all tests of the comparison. The interval is not adjusted: it excludes 0 exactly
    when `p` is below 5 %. `left_out` are the answered items without a pair of scores, as (reason, how many).
    """

    name: str
    unit: str
    better: Literal["higher", "lower", ""]
    a: float | None
    b: float | None
    n: int
    test: str = ""  # "exact McNemar", "paired permutation"; of preferences "exact sign", "permutation by document"
    note: str = ""
    difference: float | None = None
    low: float | None = None
    high: float | None = None
    p: float | None = None
    p_holm: float | None = None
    counts: Counts | None = None  # right/wrong metrics only
    verdicts: Verdicts | None = None  # preferences only
    left_out: tuple[tuple[str, int], ...] = ()
    clean: bool = False  # the line above once more, without the items that either model's training data hold

    @property
    def favours(self) -> Side:
        """The side that is better, where the difference is real (adjusted p below 5 %)."""
        if self.p_holm is None or self.p_holm >= ALPHA or not self.difference or not self.better:
            return ""
        return "a" if (self.difference > 0) == (self.better == "higher") else "b"


@dataclass(frozen=True)
class Match:
    """Two comparable runs, side by side."""

    title: str
    run_a: str
    run_b: str
    label_a: str
    label_b: str
    both: int  # items that both answered
    only_a: int
    only_b: int
    lines: tuple[ComparedFigure, ...]
    changed: int | None = None  # answers that differ: another option, or another text
    notes: tuple[str, ...] = ()  # what the training data of either model hold, what judges preferred: a sentence each


@dataclass(frozen=True)
class Comparison:
    matches: tuple[Match, ...]
    tests: int  # how many p-values were adjusted together; equal metrics are one, and no difference at all is none
    left_out: tuple[str, ...] = ()  # runs of one side that have no counterpart, a sentence each
    problems: tuple[MedbenchError, ...] = ()  # metrics that could not be had


def compare(
    a: StoredRun | Sequence[StoredRun],
    b: StoredRun | Sequence[StoredRun],
    *others: StoredRun | Sequence[StoredRun],
    metrics: Sequence[str] = (),
    load: Load | None = None,
    preferences: Sequence[str] | None = None,
) -> Comparison:
    """Compare A with B and, where more sides are given, every two of them. A group is matched run by run.

    `metrics`: empty, what both runs list. `preferences`: besides these, what judges preferred; None: where no metric
    is named, all that is stored. `load`: as for `leaderboard.build`. Raises UsageError, naming the fields that differ
    and both values, where nothing can be compared.
    """
    sides = _sides((a, b, *others))
    matches, problems, hypotheses = [], dict[str, MedbenchError](), list[Hashable]()
    for run_a, run_b in _matched(sides):
        try:
            match, failed, tested = _match(run_a, run_b, metrics, preferences, load)
        except DataMalformed as error:  # a run whose files were changed leaves the others alone
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
    for name in metrics:  # asked for by name, so an empty line is no answer
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
    return Comparison(tuple(done), len(p_values), tuple(_left_out(sides)), tuple(problems.values()))


def matched(*sides: StoredRun | Sequence[StoredRun]) -> list[tuple[StoredRun, StoredRun]]:
    """Return every two runs of two different sides that may be compared.

    Raises UsageError, naming the fields that differ and both values, where no two may be, and where two are one.
    """
    return _matched(_sides(sides))


def _sides(given: Sequence[StoredRun | Sequence[StoredRun]]) -> list[_Side]:
    """The sides under the names of their models or, where these do not tell them apart, as A, B, C, …"""
    groups = [[runs] if isinstance(runs, StoredRun) else list(runs) for runs in given]
    models = [{setup_of(run.manifest).model for run in runs} for runs in groups]
    alone = all(len(names) == 1 for names in models) and len(set().union(*models)) == len(groups)
    names = [min(names) for names in models] if alone else string.ascii_uppercase
    return [_Side(name, runs) for name, runs in zip(names, groups)]


class _Side:
    """The runs of one side by what they can be compared on.

    Two runs for one column would be a choice that nobody made: that column is left out, as an error in `ambiguous`.
    """

    def __init__(self, name: str, runs: Sequence[StoredRun]) -> None:
        self.name = name
        columns: dict[str, list[StoredRun]] = {}
        for run in runs:
            columns.setdefault(run.manifest.comparable.key, []).append(run)
        if not columns:
            raise UsageError(f"{name} has no runs.")
        self.runs = {column: found[0] for column, found in columns.items() if len(found) == 1}
        self.ambiguous = {
            column: UsageError(
                f"{name} has {len(found)} runs of {title(found[0].manifest)}:{candidates([run.path for run in found])}",
                "Name one of them by its run id.",
            )
            for column, found in columns.items()
            if len(found) > 1
        }


def _matched(sides: Sequence[_Side]) -> list[tuple[StoredRun, StoredRun]]:
    found = []
    for one, other in itertools.combinations(sides, 2):
        for column, run in one.runs.items():
            if column in other.runs:
                if run.path.resolve() == other.runs[column].path.resolve():
                    raise UsageError(f"{one.name} and {other.name} are the same run: {run.manifest.run_id}.")
                found.append((run, other.runs[column]))
    if found:
        return found
    for side in sides:
        for column, error in side.ambiguous.items():
            if any(column in other.runs or column in other.ambiguous for other in sides if other is not side):
                raise error
    alone = [list(side.runs.values()) for side in sides]
    if not all(alone[:2]):
        raise next(iter(sides[0].ambiguous.values() or sides[1].ambiguous.values()))
    raise _refusal(alone[0], alone[1])


def _left_out(sides: Sequence[_Side]) -> list[str]:
    """A sentence for every run that no other side has a counterpart of."""
    return [
        f"{title(run.manifest)}: only {side.name} has it"
        for side in sides
        for column, run in side.runs.items()
        if not any(column in other.runs or column in other.ambiguous for other in sides if other is not side)
    ]


def _refusal(side_a: Sequence[StoredRun], side_b: Sequence[StoredRun]) -> UsageError:
    """Why nothing can be compared, shown on the two runs that are nearest to it."""
    candidates = [(run_a.manifest, run_b.manifest) for run_a in side_a for run_b in side_b]
    one, other = min(candidates, key=lambda both: len(_differences(*both)))
    differences = _differences(one, other)
    # Two benchmarks differ in all the rest too, which then says nothing.
    shown = [found for found in differences if found[0] == "benchmark"] or differences
    fields = [
        f"{MEANING.get(name, name)}: {_worded(name, left, one)} against {_worded(name, right, other)}"
        for name, left, right in shown
    ]
    hint = "Run both models with the same benchmark, items, examples and method."
    if [name for name, _, _ in shown] == ["method"]:
        chosen = one if one.method == "logprob" else other
        hint = f"Have {chosen.model.name} write its answers too: medbench run … --choice generate"
    return UsageError(f"{one.run_id} and {other.run_id} cannot be compared. They differ in {'; '.join(fields)}.", hint)


def _differences(one: Manifest, other: Manifest) -> list[tuple[str, Any, Any]]:
    return differing(one.comparable.as_json(), other.comparable.as_json())


def _worded(name: str, value: Any, manifest: Manifest) -> str:
    if name == "items_hash":
        return f"{items_of(manifest)} [{value}]"
    if value is None:
        return "not recorded"
    return repr(value) if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def _match(
    run_a: StoredRun, run_b: StoredRun, names: Sequence[str], preferences: Sequence[str] | None, load: Load | None
) -> tuple[Match, list[MedbenchError], list[Hashable]]:
    """Two comparable runs, p-values not yet adjusted; the metrics that failed; what each line tests, if anything."""
    all_a = {record.item.id: record for record in run_a.records()}
    all_b = {record.item.id: record for record in run_b.records()}
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
                whole, key = _preference(preferred, [all_a[item_id] for item_id in common])
                lines.append((whole, key))
                if clean:
                    part, key = _preference(preferred, [all_a[item_id] for item_id in clean])
                    lines.append((replace(part, name=part.name + CLEAN, clean=True), key))
                remarks += _verdicts(preferred, whole)
            elif isinstance(metric, Metric):
                metrics, scores = _scored(metric, (run_a, all_a), (run_b, all_b))
                if name not in names and not name.startswith(JUDGING) and not any(map(_valued, scores)):
                    continue  # it fits no item of either run
                remarks += [f"{side} was {told}" for side, m in zip("AB", metrics) if (told := m.remark)]
                for line, key in _lines(metrics, scores, (all_a, all_b), common):
                    lines.append((line, key))
                    if clean and line.name == metric.name:
                        again = _lines(metrics, scores, (all_a, all_b), clean)[:1]
                        lines += [(replace(first, name=first.name + CLEAN, clean=True), key) for first, key in again]
            else:
                figures = [evaluate(run, metric, ()).figures[0] for run in (run_a, run_b)]
                if all(figure.value is None for figure in figures):
                    continue  # never measured: no GPU
                measured = _untested(figures[0], figures[1], min(f.n for f in figures), "measured once per run")
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
    few = few_documents(clusters_of([all_a[item_id] for item_id in common]))
    match = Match(
        title=title(run_a.manifest),
        run_a=run_a.manifest.run_id,
        run_b=run_b.manifest.run_id,
        label_a=label_a,
        label_b=label_b,
        both=len(common),
        only_a=len(all_a) - len(common),
        only_b=len(all_b) - len(common),
        changed=changed([all_a[item_id] for item_id in common], [all_b[item_id] for item_id in common]),
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
    metric: Metric, a: tuple[StoredRun, dict[str, Record]], b: tuple[StoredRun, dict[str, Record]]
) -> tuple[tuple[Metric, Metric], tuple[dict[str, Score], dict[str, Score]]]:
    """The metric as it is for either run, and the scores of each by item."""
    (metric_a, of_a), (metric_b, of_b) = (bound(run, metric, list(answered.values())) for run, answered in (a, b))
    return (metric_a, metric_b), ({s.item_id: s for s in of_a}, {s.item_id: s for s in of_b})


def _valued(scores: dict[str, Score]) -> bool:
    return any(score.value is not None for score in scores.values())


def _lines(
    metrics: tuple[Metric, Metric],
    scored: tuple[dict[str, Score], dict[str, Score]],
    answered: tuple[dict[str, Record], dict[str, Record]],
    common: Sequence[str],
) -> list[tuple[ComparedFigure, Hashable]]:
    """The headline figures of one metric over the items that both answered; the first one tested where it is a mean."""
    records = [[by_id[item_id] for item_id in common] for by_id in answered]
    scores = [[by_id[item_id] for item_id in common] for by_id in scored]
    figures_a, figures_b = (aggregate(*each) for each in zip(metrics, records, scores, strict=True))
    theirs = {figure.name: figure for figure in figures_b}
    lines = list[tuple[ComparedFigure, Hashable]]()
    for index, figure in enumerate(figures_a):
        if index == 0 and metrics[0].mean:
            lines.append(_tested(metrics[0], figure, scores[0], scores[1], records[0]))
        elif figure.headline and figure.name in theirs:
            untested = _untested(figure, theirs[figure.name], len(common), "not a mean over items: not tested")
            lines.append((untested, None))
    return lines


def _preference(metric: Metric, records: Sequence[Record]) -> tuple[ComparedFigure, Hashable]:
    """How often A is preferred against how often B is, a tie being half of each."""
    scores = metric.score(records)
    of_a = {score.item_id: score.value for score in scores if score.value is not None}
    reasons = Counter(score.reason or "no reason given" for score in scores if score.value is None)
    left_out = tuple(reasons.most_common())
    documents = clusters_of(records)
    clusters = None if documents is None else {r.item.id: name for r, name in zip(records, documents, strict=True)}
    pairs = pair(of_a, {item_id: 1 - value for item_id, value in of_a.items()}, False, clusters)
    if pairs is None:
        return ComparedFigure(
            metric.name, "", "higher", None, None, 0, note="no item is judged", left_out=left_out
        ), None
    wins, losses = sum(value > 0.5 for value in of_a.values()), sum(value < 0.5 for value in of_a.values())
    # The sign test takes items for independent, which those of one document are not.
    independent = clusters is None and len(of_a) > 1
    low, high = discordant_interval(wins, losses, len(of_a)) if independent else pairs.interval() or (None, None)
    line = ComparedFigure(
        name=metric.name,
        unit="",
        better="higher",
        a=sum(pairs.a) / len(pairs.a),
        b=sum(pairs.b) / len(pairs.b),
        n=len(pairs.a),
        test="exact sign" if clusters is None else "permutation by document",
        difference=pairs.difference,
        low=low,
        high=high,
        p=mcnemar_exact(wins, losses) if clusters is None else pairs.p_value(),
        left_out=left_out,
        verdicts=Verdicts(wins, losses, len(of_a) - wins - losses, len(of_a), len(records)),
    )
    return line, pairs.hypothesis


def _verdicts(metric: Metric, line: ComparedFigure) -> list[str]:
    """What was preferred, in words."""
    if line.verdicts is None:
        return []
    v = line.verdicts
    many = f"{v.judged} of {v.both} items" if v.judged < v.both else f"{v.both} item{'s' * (v.both != 1)}"
    verdicts = f"A preferred on {v.a}, B on {v.b}, neither on {v.neither}"
    told = f"{metric.name}: {many} judged in both orders: {verdicts}"
    return [told, *([metric.remark] if metric.remark else [])]


def _tested(
    metric: Metric, figure: Figure, scores_a: Sequence[Score], scores_b: Sequence[Score], records: Sequence[Record]
) -> tuple[ComparedFigure, Hashable]:
    values_a, values_b = ({s.item_id: s.value for s in side if s.value is not None} for side in (scores_a, scores_b))
    left_out = Counter(
        f"unscored in {'A' if one.value is None else 'B'}: {reason or 'no reason given'}"
        for one, other in zip(scores_a, scores_b, strict=True)
        if one.value is None or other.value is None
        for reason in [one.reason if one.value is None else other.reason]
    )
    documents = clusters_of(records)
    clusters = None if documents is None else {r.item.id: name for r, name in zip(records, documents, strict=True)}
    pairs = pair(values_a, values_b, metric.binary, clusters)
    if pairs is None:
        note = "no item is scored in both"
        return ComparedFigure(
            figure.name, figure.unit, metric.better, None, None, 0, note=note, left_out=tuple(left_out.most_common())
        ), None
    low, high = pairs.interval() or (None, None)
    line = ComparedFigure(
        name=figure.name,
        unit=figure.unit,
        better=metric.better,
        a=sum(pairs.a) / len(pairs.a),
        b=sum(pairs.b) / len(pairs.b),
        n=len(pairs.a),
        test=pairs.test,
        difference=pairs.difference,
        low=low,
        high=high,
        p=pairs.p_value(),
        counts=pairs.counts,
        left_out=tuple(left_out.most_common()),
    )
    return line, pairs.hypothesis


def _untested(a: Figure, b: Figure, n: int, note: str) -> ComparedFigure:
    difference = None if a.value is None or b.value is None else a.value - b.value
    return ComparedFigure(a.name, a.unit, a.better, a.value, b.value, n, note=note, difference=difference)
