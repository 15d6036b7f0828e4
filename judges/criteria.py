"""A judge's verdicts on criteria: on each criterion of a rubric, or on each statement of physicians, about one answer.

All criteria of an item are asked about in one call, or each in a call of its own (modes that end in `-each`), as
HealthBench's authors do. A verdict that is missing or invalid leaves the answer unscored, never a criterion unmet.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from ..core.hashing import fingerprint
from ..core.item import MUST_HAVE
from ..core.types import Criterion, Figure, GenerateRequest, Item, MetricDefaults, Record, Score
from ..metrics.figures import by_subject, mean_figure, unscored
from ..results.judgments import JudgeReply
from ..results.store import StoredRun
from .metric import NOT_JUDGED, asked, by_itself, not_to_judge, read_reply, reply_flaw
from .modes import CONTRADICTED, ENTAILED, MET, REASON, VERDICT, Fields, Mode, read_numbered

TOKENS_EACH = 96  # new tokens for one verdict with its reason

Verdict = tuple[str, str]  # the verdict, and the judge's reason


def requests(mode: Mode, record: Record, max_new_tokens: int) -> Iterator[tuple[str, GenerateRequest]]:
    """What a judge is asked about one answer: for each call, a name for what it is shown, and the request.

    The id of a request begins with the item's and is unique to the answer, so that equal samples are judged once.
    """
    item, answer = record.item, record.output.text or ""
    for group in _groups(mode, item):
        named = _named(item, answer, group)
        yield (
            named,
            GenerateRequest(
                f"{item.id}|{named}",
                mode.prompt(item, answer, criteria=[criterion.text for criterion in group]),
                max_new_tokens if mode.each else max(max_new_tokens, TOKENS_EACH * (len(group) + 1)),
                schema=mode.schema_for(len(group)),
            ),
        )


def _groups(mode: Mode, item: Item) -> list[tuple[Criterion, ...]]:
    return [(criterion,) for criterion in item.criteria] if mode.each else [item.criteria]


def _named(item: Item, answer: str, group: Sequence[Criterion]) -> str:
    turns = [[turn.role, turn.content] for turn in item.turns]
    return fingerprint([asked(item, answer), turns, [criterion.text for criterion in group]])


def verdicts_in(mode: Mode, reply: JudgeReply, fields: Fields, count: int) -> list[Verdict] | str:
    """The verdicts of one stored reply on `count` criteria, or why there are none."""
    if mode.each:
        found = read_reply(reply, fields)
        return found if isinstance(found, str) else [(found[VERDICT], mode.reason(reply.output))]
    if flaw := reply_flaw(reply):
        return flaw
    output = reply.output
    read = read_numbered(output.text or "", fields, count, output.prompt)
    if isinstance(read, str):
        return f"unparsed: {read}"
    return [(str(each[VERDICT]), str(each[REASON])) for each in read]


@dataclass(frozen=True)
class CriteriaGrades(MetricDefaults):
    """One judge's verdicts on a run's answers. Made by name, it has no replies: `of_run` reads them.

    With a rubric, an answer's value is the points of the criteria that it meets over the sum of the positive points.
    The first figure is the mean of these values, clipped to 0..1 (HealthBench, Arora et al. 2025). With statements, it
    is the share of the must-have statements that the answer entails; `contradiction_rate` is the share of all
    statements that it contradicts (K-QA, Manes et al. 2024).
    """

    name: str
    mode: Mode
    judge: str  # as --judge names it
    replies: Mapping[str, JudgeReply] = field(default_factory=dict, repr=False)
    fields: Fields = field(default_factory=dict, repr=False)
    remark: str = ""
    version: str = "1"
    binary: bool = False
    mean: bool = True
    better: Literal["higher", "lower"] = "higher"
    dimension: str = "text quality"
    unit: str = "share"

    def of_run(self, run: StoredRun) -> CriteriaGrades:
        """Return the metric with the run's stored replies. Raises DataMalformed if their file is damaged."""
        header, replies = run.judgements(self.name)
        if not header:
            return self
        own = by_itself(header.model, run.manifest.model)
        remark = f"judged by itself ({self.judge})" if own else ""
        return dataclasses.replace(self, replies=replies, fields=self.mode.fields, remark=remark)

    def verdicts(self, record: Record) -> list[Verdict] | str:
        """The verdict on each criterion of the record's item, or why there is none."""
        if why := not_to_judge(record, self.mode):
            return why
        found: list[Verdict] = []
        each = self.each_verdict(record)
        for done, verdict in enumerate(each):
            if isinstance(verdict, str):
                return f"judged on {done} of {len(each)} criteria" if done and verdict == NOT_JUDGED else verdict
            found.append(verdict)
        return found

    def each_verdict(self, record: Record) -> list[Verdict | str]:
        """For each criterion of the record's item, the verdict on it, or why there is none."""
        if why := not_to_judge(record, self.mode):
            return [why] * len(record.item.criteria)
        found: list[Verdict | str] = []
        for group in _groups(self.mode, record.item):
            named = _named(record.item, record.output.text or "", group)
            reply = self.replies.get(f"{record.item.id}|{named}")
            read = NOT_JUDGED if reply is None else verdicts_in(self.mode, reply, self.fields, len(group))
            found += [read] * len(group) if isinstance(read, str) else read
        return found

    def score(self, records: Sequence[Record]) -> list[Score]:
        return [self._score(record) for record in records]

    def aggregate(self, records: Sequence[Record], scores: Sequence[Score]) -> list[Figure]:
        """Return the mean; for a rubric also per theme and per axis, for statements the `contradiction_rate`."""
        first = mean_figure(self.name, records, scores, binary=False)
        if self.mode.statements:
            contradicted = self._values(records, _contradicted)
            rate = f"{self.name}[contradiction_rate]"
            return [first, mean_figure(rate, records, contradicted, binary=False, better="lower", in_0_1=True)]
        axes = sorted(
            {tag for record in records for each in record.item.criteria for tag in each.tags if _is_axis(tag)}
        )
        figures = [first, *by_subject(self.name, records, scores, binary=False)]
        for axis in axes:
            of_axis = self._values(records, lambda criteria, verdicts, axis=axis: _points(criteria, verdicts, axis))
            name = f"{self.name}[{axis.removeprefix('axis:')}]"
            figures.append(mean_figure(name, records, of_axis, binary=False, headline=False))
        return [_clipped(figure) for figure in figures]

    def _values(self, records: Sequence[Record], value: Any) -> list[Score]:
        found = []
        for record in records:
            verdicts = self.verdicts(record)
            worth = None if isinstance(verdicts, str) else value(record.item.criteria, [each for each, _ in verdicts])
            found.append(Score(record.item.id, worth, sample=record.output.sample))
        return found

    def _score(self, record: Record) -> Score:
        verdicts = self.verdicts(record)
        if isinstance(verdicts, str):
            return unscored(record, verdicts)
        said = [verdict for verdict, _ in verdicts]
        value = (_entailed if self.mode.statements else _points)(record.item.criteria, said)
        if value is None:
            return unscored(record, "no criterion with positive points")
        by: dict[str, list[str]] = {}
        for number, verdict in enumerate(said, start=1):
            by.setdefault(verdict, []).append(str(number))
        told = "; ".join(
            f"{verdict} {', '.join(by[verdict])}" for verdict in self.mode.fields[VERDICT] if verdict in by
        )
        why = "\n".join(f"{number}: {reason}" for number, (_, reason) in enumerate(verdicts, start=1) if reason)
        return Score(record.item.id, value, why or None, told, sample=record.output.sample)


def _points(criteria: Sequence[Criterion], verdicts: Sequence[str], axis: str = "") -> float | None:
    """Points met over the sum of the positive points; None if no criterion has positive points."""
    kept = [(each.points, verdict) for each, verdict in zip(criteria, verdicts) if not axis or axis in each.tags]
    positive = math.fsum(points for points, _ in kept if points > 0)
    met = math.fsum(points for points, verdict in kept if verdict == MET)
    return met / positive if positive else None


def _entailed(criteria: Sequence[Criterion], verdicts: Sequence[str]) -> float | None:
    """Share of the must-have statements that are entailed; None if there are none."""
    must = [verdict for each, verdict in zip(criteria, verdicts) if MUST_HAVE in each.tags]
    return must.count(ENTAILED) / len(must) if must else None


def _contradicted(criteria: Sequence[Criterion], verdicts: Sequence[str]) -> float:
    return list(verdicts).count(CONTRADICTED) / len(verdicts)


def _is_axis(tag: str) -> bool:
    return tag.startswith("axis:")


def _clipped(figure: Figure) -> Figure:
    def clip(value: float | None) -> float | None:
        return None if value is None else min(1.0, max(0.0, value))

    return dataclasses.replace(figure, value=clip(figure.value), low=clip(figure.low), high=clip(figure.high))
